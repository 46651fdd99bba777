/** What people saved on real disks, and what is owed to them: each of it is on a disk, or in the vault. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { decodeItem } from "@tidelock/core/kinds/files/item";
import { confirmed } from "@tidelock/core/kinds/files/spaces";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import type { Session } from "../../packages/node/src/vault/session.ts";

const OURS = ".tidelock";
const START = new Uint8Array(0);

export class ByteLedger {
  /** By hash: where it was saved. */
  readonly #owed = new Map<string, string>();
  readonly #ever = new Set<string>([hashOf(START)]);

  /** Told once the save has returned. */
  saved(bytes: Uint8Array | string, where: string): void {
    const hash = hashOf(bytes);
    this.#owed.set(hash, where);
    this.#ever.add(hash);
  }

  /** Its own person wrote over it or deleted it. */
  destroyed(bytes: Uint8Array | string): void {
    this.#owed.delete(hashOf(bytes));
  }

  get count(): number {
    return this.#ever.size - 1;
  }

  /** What is nowhere: not in one of the folders, our own place in it included, nor in a vault. */
  lost(folders: readonly string[], sessions: readonly Session[]): string[] {
    const kept = new Set<string>();
    for (const folder of folders)
      for (const path of filesIn(folder, true)) kept.add(hashOf(readFileSync(path)));
    for (const session of sessions) for (const hash of contentsOf(session)) kept.add(hash);
    return [...this.#owed].flatMap(([hash, where]) =>
      kept.has(hash) ? [] : [`what was saved as ${where} is on no disk and not in the vault`],
    );
  }

  /** Files that hold what nobody saved: halves and mixtures. The disk must be at rest. */
  strange(folder: string): string[] {
    return filesIn(folder, false).flatMap((path) =>
      this.#ever.has(hashOf(readFileSync(path))) ? [] : [`${path} holds what nobody saved`],
    );
  }
}

export function hashOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function filesIn(folder: string, ours: boolean): string[] {
  const found: string[] = [];
  if (!existsSync(folder)) return found;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    if (stat.isFile()) found.push(path);
    else if (stat.isDirectory() && (ours || name !== OURS)) found.push(...filesIn(path, ours));
  }
  return found;
}

/** Of everything that lives or died in a vault, now and before. */
function contentsOf({ replica, kinds }: Session): Set<string> {
  const found = new Set<string>();
  replica.read((tx) => {
    for (const [id, bytes] of tx.scan(confirmed.item, START, undefined)) {
      const item = decodeItem(id as ItemId, bytes);
      if (item.content !== undefined) found.add(toHex(item.content.hash));
      for (const { content } of kinds.files.history(tx, item.id)) found.add(toHex(content.hash));
    }
  });
  return found;
}
