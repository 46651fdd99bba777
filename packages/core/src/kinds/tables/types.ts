/**
 * The words of the tables kind: what a change is, what a table declares, what a row shows.
 * Values travel and rest as canonical bytes (`value.ts`), so equality is byte equality.
 */
import type { Brand, Seq } from "../../bytes/brand.ts";

/** One value in canonical bytes: tag and payload. Docs: format.md, "Values". */
export type Cell = Brand<Uint8Array, "Cell">;

/** A row's key in canonical bytes: count, then its cells. A minted row's key is its one `born` reference. */
export type RowKey = Brand<Uint8Array, "RowKey">;

/** Identity of a row whose table numbers its rows: 8 random bytes, drawn once, never changed. */
export type Born = Brand<Uint8Array, "Born">;

/** Hybrid logical clock: 48 bits ms, 16 bits counter. */
export type Hlc = bigint;

/** A value as programs see it. `Born` wrapped, because plain bytes are a BLOB. */
export type Value = null | bigint | number | string | InvalidText | Uint8Array | RowReference;

/** TEXT whose bytes are not UTF-8: kept verbatim. */
export class InvalidText {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** A foreign key to a row of a minted table: stays right when that row gets another number. */
export class RowReference {
  readonly born: Born;
  constructor(born: Born) {
    this.born = born;
  }
}

export type Collation = "BINARY" | "NOCASE" | "RTRIM";
export type ForeignKeyAction = "no action" | "restrict" | "set null" | "set default" | "cascade";

export interface ColumnDeclaration {
  readonly name: string;
  /** The declared type as written, e.g. `NVARCHAR(160)`; empty when none. */
  readonly type: string;
  readonly notNull: boolean;
}

export interface UniqueDeclaration {
  /** Indexes into `columns`. */
  readonly columns: readonly number[];
  readonly collations: readonly Collation[];
}

export interface ForeignKeyDeclaration {
  readonly columns: readonly number[];
  readonly parent: string;
  /** Column names in the parent, resolved when the SQL leaves them out. */
  readonly parentColumns: readonly string[];
  readonly onDelete: ForeignKeyAction;
}

/** What the vault knows of a table: the newest declaration in the log is the vault's. */
export interface TableDeclaration {
  readonly name: string;
  readonly columns: readonly ColumnDeclaration[];
  /** Indexes into `columns`, in key order. */
  readonly key: readonly number[];
  /** Collation of each key column. */
  readonly keyCollations: readonly Collation[];
  /** `INTEGER PRIMARY KEY`: the number is presentation, identity is `born`. Then `key` has one column. */
  readonly minted: boolean;
  readonly unique: readonly UniqueDeclaration[];
  readonly foreignKeys: readonly ForeignKeyDeclaration[];
  /** Frames that hold a change of this table are stored whole, never compressed. */
  readonly compressOff: boolean;
}

/** Column name and value. A minted row carries its number as the cell of its key column. */
export type NamedCell = readonly [column: string, cell: Cell];

export type TableChange =
  | {
      readonly op: "set";
      readonly table: string;
      readonly key: RowKey;
      readonly hlc: Hlc;
      readonly cells: readonly NamedCell[];
    }
  /** All columns of a new row, or of a row returned after a delete. */
  | {
      readonly op: "insert";
      readonly table: string;
      readonly key: RowKey;
      readonly hlc: Hlc;
      readonly cells: readonly NamedCell[];
    }
  /** An insert by the scan of a first attach: it has no write time (hlc 0) and loses to any cell there. */
  | {
      readonly op: "found";
      readonly table: string;
      readonly key: RowKey;
      readonly cells: readonly NamedCell[];
    }
  | { readonly op: "delete"; readonly table: string; readonly key: RowKey; readonly hlc: Hlc }
  /** The key changed; `cells` are all cells of the row under its new key. */
  | {
      readonly op: "move";
      readonly table: string;
      readonly key: RowKey;
      readonly to: RowKey;
      readonly hlc: Hlc;
      readonly cells: readonly NamedCell[];
    }
  | { readonly op: "schema"; readonly declaration: TableDeclaration };

/** The tables section of one frame. */
export interface TablesSection {
  /** The highest confirmed seq that stood in what the author saw. Decides what is concurrent. */
  readonly seen: Seq;
  /** A person confirmed a mass delete in it. */
  readonly approved: boolean;
  readonly changes: readonly TableChange[];
}

/** A row as a table shows it: the view over confirmed and pending changes, or what a file holds. */
export interface ShownRow {
  /** The row's newest clock, of deletes too: an edit made after seeing it must be later. 0n when unknown. */
  readonly clock: Hlc;
  /** Undefined when the table shows no such row. By index of the declaration's columns; absent = NULL. */
  readonly cells: readonly Cell[] | undefined;
}

export interface Conflict {
  readonly id: string;
  readonly table: string;
  readonly key: RowKey;
  readonly columns: readonly string[];
  readonly reason: "edit" | "delete" | "unique" | "parent" | "number" | "first-attach";
  readonly state: "settled" | "open";
  /** Winner and loser: device index, hlc and, per column, the cell (undefined: the row was deleted). */
  readonly winner: ConflictSide;
  readonly loser: ConflictSide;
  /** Position at which it was judged. */
  readonly seq: Seq;
}

export interface ConflictSide {
  readonly device: number;
  readonly hlc: Hlc;
  readonly cells: readonly (Cell | undefined)[] | undefined;
}
