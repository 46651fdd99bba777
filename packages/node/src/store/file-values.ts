/**
 * Large values of one space beside the replica, each in a file of its own: SQLite would write them
 * twice, and keep their room for ever. The row stays, without its bytes, and decides: a file counts
 * only while a row names it. It is flushed before the row commits and removed after the row's removal did.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { writeWhole } from "../home/files.ts";
import type { SqlStore } from "./sql-store.ts";

export interface FileValues extends SqlStore {
  /** Removes files without a row, which a crash left. Only for who alone has the store open. */
  sweep(): void;
}

/** From here on a value is a file, bytes. */
const LARGE = 64 << 10;

/** Values of `space` are never empty there, and a key's bytes are for ever: it is a hash of them. */
export function withFileValues(
  store: SqlStore,
  space: string,
  folder: string,
  large: number = LARGE,
): FileValues {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fileOf = (key: Uint8Array): string => join(folder, toHex(key));
  let depth = 0;
  /** Keys whose file may have lost its row in the transaction that is open. */
  let touched = new Map<string, Uint8Array>();

  function settle(): void {
    const keys = [...touched.values()];
    touched = new Map();
    for (const key of keys)
      try {
        if (store.get(space, key) === undefined) rmSync(fileOf(key), { force: true });
      } catch {
        // The store is broken, or the disk is: what is left over goes with the next sweep.
      }
  }

  function touch(key: Uint8Array): void {
    touched.set(toHex(key), key);
    if (depth === 0) settle();
  }

  function heldAt(key: Uint8Array, value: Uint8Array): Uint8Array {
    if (value.length > 0) return value;
    try {
      return new Uint8Array(readFileSync(fileOf(key)));
    } catch (cause) {
      throw new TidelockError("replica-damaged", { why: "a file of its spool cannot be read", cause });
    }
  }

  const filled = (row: [Uint8Array, Uint8Array]): [Uint8Array, Uint8Array] => [row[0], heldAt(...row)];

  return {
    transaction(work) {
      depth++;
      try {
        return store.transaction(work);
      } finally {
        depth--;
        // Either way the rows are those that count now.
        if (depth === 0 && touched.size > 0) settle();
      }
    },
    get(name, key) {
      const value = store.get(name, key);
      return name === space && value !== undefined ? heldAt(key, value) : value;
    },
    put(name, key, value) {
      if (name !== space || value.length < large) {
        store.put(name, key, value);
        return;
      }
      touch(key);
      writeWhole(fileOf(key), value);
      store.put(name, key, new Uint8Array(0));
    },
    delete(name, key) {
      store.delete(name, key);
      if (name === space) touch(key);
    },
    scan(name, from, to, limit) {
      const rows = store.scan(name, from, to, limit);
      return name === space ? rows.map(filled) : rows;
    },
    last(name, from, to) {
      const row = store.last(name, from, to);
      return name === space && row !== undefined ? filled(row) : row;
    },
    count: (name) => store.count(name),
    quickCheck: () => store.quickCheck(),
    close: () => store.close(),
    sweep() {
      const known = new Set<string>();
      for (const [key, value] of store.scan(space, new Uint8Array(0), undefined))
        if (value.length === 0) known.add(toHex(key));
      for (const name of readdirSync(folder))
        if (!known.has(name)) rmSync(join(folder, name), { force: true });
    },
  };
}
