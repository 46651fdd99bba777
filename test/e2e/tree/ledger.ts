/**
 * Every content that a person saved, and which of them a person destroyed knowingly: what was read
 * just before it was written over or deleted. All others have to be somewhere at the end.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { decodeItem, decodeVersion } from "@tidelock/core/kinds/files/item";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import { homePaths } from "@tidelock/node/home/paths";
import { contentBytes } from "@tidelock/node/vault/content";
import { openSession } from "@tidelock/node/vault/session";
import { verifySession } from "@tidelock/node/vault/verify";

/** How programs save. */
export const saves = ["inPlace", "renamed", "backedUp", "appended"] as const;

export class Ledger {
  /** Where each content was saved, by its hash. */
  readonly #savedByHash = new Map<string, string>();
  readonly #destroyed = new Set<string>();
  #next = 1;

  get saved(): number {
    return this.#savedByHash.size;
  }

  /** A content that nobody has written before. */
  save(path: string, how: (typeof saves)[number], size: number): void {
    mkdirSync(dirname(path), { recursive: true });
    const before = existsSync(path) ? readFileSync(path) : undefined;
    const line = `${this.#next++} ${path}\n`;
    const text = line + "0123456789abcdef".repeat(Math.ceil(size / 16)).slice(0, size);
    const bytes =
      how === "appended" && before !== undefined
        ? Buffer.concat([before, Buffer.from(line)])
        : Buffer.from(text);
    switch (how) {
      case "inPlace":
      case "appended":
        writeFileSync(path, bytes, how === "appended" && before !== undefined ? undefined : { flag: "w" });
        break;
      case "renamed":
        writeFileSync(`${path}.new`, bytes);
        renameSync(`${path}.new`, path);
        break;
      case "backedUp":
        if (before !== undefined) renameSync(path, `${path}~`);
        writeFileSync(path, bytes);
        rmSync(`${path}~`, { force: true });
        break;
    }
    if (before !== undefined) this.#destroyed.add(hashOf(before));
    this.#savedByHash.set(hashOf(bytes), path);
  }

  delete(path: string): void {
    if (!existsSync(path)) return;
    this.#destroyed.add(hashOf(readFileSync(path)));
    rmSync(path);
  }

  /** What is nowhere: neither on a disk of these, nor in what the vault can give back. */
  async lost(folders: readonly string[], home: string): Promise<readonly string[]> {
    const there = new Set(folders.flatMap((folder) => hashesIn(folder)));
    const missing = new Map(
      [...this.#savedByHash].filter(([hash]) => !(there.has(hash) || this.#destroyed.has(hash))),
    );
    for (const hash of await givenBack(home, missing)) missing.delete(hash);
    return [...missing.values()];
  }
}

/** All files, those in the trash and the stage too. */
function hashesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return hashesIn(path);
    return lstatSync(path).isFile() ? [hashOf(readFileSync(path))] : [];
  });
}

/** Of these hashes, those that the vault names in an item, live or deleted, or in a history, and whose bytes it has. */
async function givenBack(home: string, wanted: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const session = await openSession({ paths: await homePaths({ home }), keys: { insecureKeyFile: true } });
  try {
    const { checks } = await verifySession(session);
    const wrong = checks.filter(({ state }) => state !== "ok");
    if (wrong.length > 0) throw new Error(`verify: ${JSON.stringify(wrong)}`);
    const contents = session.replica.read((tx): readonly (Content | undefined)[] => [
      ...tx.scan("f.item", NONE, undefined).map(([id, bytes]) => decodeItem(id as ItemId, bytes).content),
      ...tx.scan("f.version", NONE, undefined).map(([, bytes]) => decodeVersion(bytes).content),
    ]);
    const found: string[] = [];
    for (const content of contents) {
      if (content === undefined || !wanted.has(toHex(content.hash))) continue;
      found.push(hashOf(await contentBytes(session, content, "a version")));
    }
    return found;
  } finally {
    await session.close();
  }
}

const NONE = new Uint8Array(0);

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
