/**
 * What an attachment (or an SDK) may ask of the tables kind, beside the `Kind` interface
 * the engine uses. Everything is synchronous and works inside one engine transaction.
 *
 * Three rows are told apart. *Truth* is confirmed by the log. *View* is truth with pending
 * changes joined and the declared constraints projected: what every table should show. *Shown*
 * is what the attached file held when we last looked or wrote: it differs from the view only
 * for keys in `dirty`.
 */

import type { Seq } from "../../bytes/brand.ts";
import type { Tx } from "../../log/tx.ts";
import type { Born, Cell, Conflict, Hlc, RowKey, ShownRow, TableDeclaration } from "./types.ts";

export interface TablesView {
  declarations(tx: Tx): readonly TableDeclaration[];
  declaration(tx: Tx, table: string): TableDeclaration | undefined;

  view(tx: Tx, table: string, key: RowKey): ShownRow;
  /** The view's rows in key order, after `after`; live and visible ones only. */
  scanView(
    tx: Tx,
    table: string,
    after: RowKey | undefined,
    limit: number,
  ): readonly { key: RowKey; row: ShownRow }[];
  /** The number the view gives to a minted row, and back (live rows). */
  numberOf(tx: Tx, table: string, born: Born): bigint | undefined;
  bornOf(tx: Tx, table: string, number: bigint): Born | undefined;
  /** Follows twins: the identity that now stands for `born`. */
  resolve(tx: Tx, born: Born): Born;

  /** From now on keys of `table` are tracked against what a file shows; all its rows become dirty. */
  track(tx: Tx, table: string): void;
  untrack(tx: Tx, table: string): void;
  /** What the file shows for a key, as last told by `setShown` (or never: no row). */
  shown(tx: Tx, table: string, key: RowKey): ShownRow;
  /** The file now shows exactly this (after a flush read it, or a slice wrote it). */
  setShown(tx: Tx, table: string, key: RowKey, row: ShownRow): void;
  /**
   * The number the file shows for a minted row, and back: what an edit read from the file means.
   * `numberOf` and `bornOf` tell the view's, which the file may not show yet.
   */
  shownNumberOf(tx: Tx, table: string, born: Born): bigint | undefined;
  shownBornOf(tx: Tx, table: string, number: bigint): Born | undefined;
  /** Keys whose shown row differs from the view, parents before children where known; a batch. */
  dirty(tx: Tx, limit: number): readonly { table: string; key: RowKey }[];
  dirtyCount(tx: Tx): number;

  history(tx: Tx, table: string, key: RowKey): readonly RowVersion[];
  conflicts(tx: Tx, filter: { readonly open: boolean }): readonly Conflict[];
}

/** One step in a row's life, newest last: what a change did, what it replaced, what lost. */
export interface RowVersion {
  readonly seq: Seq;
  readonly time: number;
  readonly device: number;
  readonly op: "insert" | "set" | "delete" | "move" | "found";
  readonly hlc: Hlc;
  readonly cells: readonly {
    readonly column: string;
    readonly before: Cell | undefined;
    readonly after: Cell;
    /** False: the value lost against a later clock and is kept only here. */
    readonly won: boolean;
  }[];
}
