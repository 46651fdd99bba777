/** The names of `blob/`, a directory of two digits after another. */
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import type { BlobInfo } from "@tidelock/core/ports";
import { unless } from "./errno.ts";
import type { Place } from "./place.ts";

/** In the order of their names, after `after`; what is not named like a blob is none. */
export async function listBlobs(
  { fs, root }: Place,
  after: Uint8Array,
  most: number,
): Promise<readonly BlobInfo[]> {
  const from = toHex(after);
  const found: BlobInfo[] = [];
  const homes = (await fs.readdir(`${root}/blob`)).filter((name) => /^[0-9a-f]{2}$/.test(name));
  for (const home of homes.sort()) {
    if (home < from.slice(0, 2)) continue;
    const names = (await unless(["ENOTDIR"], fs.readdir(`${root}/blob/${home}`))) ?? [];
    for (const name of names.filter((one) => isName(one, home) && one > from).sort()) {
      const stat = await unless(["ENOENT"], fs.stat(`${root}/blob/${home}/${name}`));
      if (stat?.kind !== "file") continue;
      found.push({ id: fromHex(name) as Uint8Array, size: stat.size, storedAt: Math.floor(stat.mtime) });
      if (found.length === most) return found;
    }
  }
  return found;
}

function isName(name: string, home: string): boolean {
  return /^[0-9a-f]{64}$/.test(name) && name.startsWith(home);
}
