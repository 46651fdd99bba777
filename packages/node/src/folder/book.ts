/** The rows of one folder in memory, as the replica has them: read once, written through. */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { DiskProfile, Fingerprint, RowPatch } from "@tidelock/core/kinds/files/plan/types";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { FolderRow, FolderRows } from "./rows.ts";
import { samePrint } from "./seen.ts";

export interface RowChange {
  readonly id: ItemId;
  /** Undefined: there is none from then on. */
  readonly set: RowPatch | undefined;
}

export class RowBook {
  readonly #rows: FolderRows;
  readonly #byId = new Map<string, FolderRow>();
  readonly #byIno = new Map<bigint, FolderRow>();

  constructor(rows: FolderRows, tx: Tx) {
    this.#rows = rows;
    for (const row of rows.all(tx)) this.#keep(row);
  }

  all(): readonly FolderRow[] {
    return [...this.#byId.values()];
  }

  get size(): number {
    return this.#byId.size;
  }

  row(id: ItemId): FolderRow | undefined {
    return this.#byId.get(toHex(id));
  }

  /** The row of a file that looks exactly as it did when it was noted. */
  like(print: Fingerprint): FolderRow | undefined {
    const row = this.#byIno.get(print.ino);
    return row !== undefined && samePrint(row.print, print) ? row : undefined;
  }

  /**
   * In a transaction; what fails to commit must make the book anew. `from`: ms since 1970, before anything was looked at
   * that the changes say of how files look. What says nothing of that proves nothing of it either.
   */
  put(tx: Tx, changes: readonly RowChange[], from: number): void {
    const now = BigInt(Math.floor(from)) * 1_000_000n;
    for (const { id, set } of changes) {
      const before = this.row(id);
      if (set === undefined) {
        this.#rows.drop(tx, id);
        if (before !== undefined) this.#drop(before);
        continue;
      }
      // Said of an item that is not on this disk, e.g. one that only made room.
      if (before === undefined && (set.kind === undefined || set.print === undefined)) continue;
      const row = {
        ...before,
        ...set,
        print: printOf(set.print ?? (before as FolderRow).print),
        id,
        noted: set.print === undefined && before !== undefined ? before.noted : now,
      } as FolderRow;
      this.#rows.put(tx, row);
      if (before !== undefined) this.#drop(before);
      this.#keep(row);
    }
  }

  #keep(row: FolderRow): void {
    this.#byId.set(toHex(row.id), row);
    this.#byIno.set(row.print.ino, row);
  }

  #drop(row: FolderRow): void {
    this.#byId.delete(toHex(row.id));
    if (this.#byIno.get(row.print.ino) === row) this.#byIno.delete(row.print.ino);
  }
}

/** Without the rest of the facts it may come with: a row keeps what it must. */
function printOf({ size, mtimeNs, ctimeNs, ino, birthtimeNs }: Fingerprint): Fingerprint {
  return { size, mtimeNs, ctimeNs, ino, birthtimeNs };
}

/** Until when a row's stamp proves nothing, ns since 1970; undefined where it does. */
export function racyUntil({ kind, print, noted }: FolderRow, { stampStep }: DiskProfile): bigint | undefined {
  const last = print.mtimeNs > print.ctimeNs && print.mtimeNs <= noted ? print.mtimeNs : print.ctimeNs;
  const two = 2_000_000_000n;
  const window = stampStep * 2n > two ? stampStep * 2n : two;
  return kind === "file" && last >= noted - window ? last + window : undefined;
}
