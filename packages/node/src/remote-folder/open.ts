import { createHash, randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock } from "@tidelock/core/ports";
import { createNodeFs } from "../fs/node-fs.ts";
import { createFolderRemote, type FolderRemote } from "./folder.ts";
import { mirrorOf } from "./synced.ts";

/**
 * The folder remote on the real file system. Throws `remote-no-cas` for a folder that something
 * mirrors, and for a vault's folder that no longer orders writes. A folder that is not there (yet)
 * is no error: its calls answer `unreachable`, and `create` may found a vault in it.
 */
export async function openFolderRemote(directory: string): Promise<FolderRemote> {
  const fs = createNodeFs();
  const root = (await realPath(resolve(directory))).replaceAll("\\", "/");
  const mirror = await mirrorOf(fs, root);
  if (mirror !== undefined) {
    throw new TidelockError("remote-no-cas", {
      why: `${mirror} mirrors this folder, and each of its copies takes writes`,
    });
  }
  const remote = createFolderRemote({
    directory: root,
    fs,
    clock: realClock,
    random: (n) => new Uint8Array(randomBytes(n)),
    sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()),
  });
  // Full, read-only, not mounted: the remote's own calls say so.
  await remote.prepare();
  return remote;
}

const realClock: Clock = { now: () => Date.now(), mono: () => performance.now() };

/** With links resolved as far as the path exists: a mirrored folder is known by its real place. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPath(parent), basename(path));
  }
}
