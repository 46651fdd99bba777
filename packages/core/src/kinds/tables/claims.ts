/**
 * Two indexes over the live and returned rows of the view: who claims a value of a UNIQUE set, in
 * the order in which claims hold, and who refers to a row. They make the constraint passes cost
 * what was touched; both can be made anew from the rows.
 */
import { concat, u64Key } from "../../bytes/bytes.ts";
import type { Suite } from "../../crypto/suite.ts";
import { joinKey, keyCells } from "./key.ts";
import { type Clock, compareClocks, type Row } from "./row.ts";
import { type ForeignKey, KEY_SET, keySet, mayMeet, type Schema, type UniqueSet } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import { cellsKey, endOf, local, NOTHING, valueKey } from "./spaces.ts";
import type { Cell, Collation, RowKey } from "./types.ts";
import { bornOf, foldCell, integerCell, isNull } from "./value.ts";

/** Bytes of a claim's rank: returned rows last, then the position at which the row came to claim. */
const RANK = 9;
/** Longer values stand in an index by their hash: an index key is not a place for a text of 256 KiB. */
const MAX_INLINE = 128;

export interface Claim {
  readonly set: UniqueSet;
  /** Everything that competes with it starts so in the index. */
  readonly group: Uint8Array;
  readonly entry: Uint8Array;
}

export interface Ref {
  readonly fk: ForeignKey;
  readonly entry: Uint8Array;
}

export interface Entries {
  readonly claims: readonly Claim[];
  readonly refs: readonly Ref[];
}

export const NO_ENTRIES: Entries = { claims: [], refs: [] };

/** The value of a column: from the key, where it is part of it. */
export function cellAt(schema: Schema, key: readonly Cell[], row: Row, column: number): Cell | undefined {
  const place = schema.keyPlace[column] as number;
  return place >= 0 && !schema.minted ? key[place] : row.cells[column]?.cell;
}

export function entriesOf(
  suite: Suite,
  table: Table,
  schema: Schema,
  key: RowKey,
  row: Row,
  returned: boolean,
): Entries {
  const own = keyCells(key);
  const claims: Claim[] = [];
  for (const set of schema.sets) {
    const value = foldAll(set.columns, set.collations, (column) => cellAt(schema, own, row, column));
    if (value !== undefined)
      claims.push(claimOf(suite, table, set, value, key, claimSeq(schema, set, row), returned));
  }
  if (schema.minted) {
    // Live rows hold their numbers in the order of the log; only a returned one may find it taken.
    if (returned && row.number !== undefined)
      claims.push(
        claimOf(suite, table, keySet(schema), integerCell(row.number), key, row.ins?.seq ?? 0, true),
      );
  } else if (mayMeet(schema, own)) {
    const set = keySet(schema);
    const value = foldAll(set.columns, set.collations, (column) => own[schema.keyPlace[column] as number]);
    if (value !== undefined)
      claims.push(claimOf(suite, table, set, value, key, claimSeq(schema, set, row), returned));
  }
  const refs = schema.foreignKeys.flatMap((fk) => {
    const cells = fk.columns.map((column) => cellAt(schema, own, row, column));
    return cells.some(isNull)
      ? []
      : [{ fk, entry: concat(refGroup(suite, table, fk, cells as Cell[]), key) }];
  });
  return { claims, refs };
}

function foldAll(
  columns: readonly number[],
  collations: readonly Collation[],
  cellOf: (column: number) => Cell | undefined,
): Uint8Array | undefined {
  const cells: Cell[] = [];
  for (const [i, column] of columns.entries()) {
    const cell = cellOf(column);
    if (cell === undefined || isNull(cell)) return undefined;
    cells.push(foldCell(cell, collations[i] as Collation));
  }
  return cellsKey(cells);
}

/**
 * TBL25: the position at which the row came to claim. A row that comes back after a deletion claims
 * from then on: whoever took the value in between had every right to.
 */
function claimSeq(schema: Schema, set: UniqueSet, row: Row): number {
  let seq = backSince(row);
  for (const column of set.columns) {
    const inKey = (schema.keyPlace[column] as number) >= 0;
    seq = Math.max(seq, (inKey ? row.ins : row.cells[column]?.clock)?.seq ?? 0);
  }
  return seq;
}

function backSince(row: Row): number {
  const { del, ins } = row;
  if (del === undefined) return 0;
  let seq = Number.POSITIVE_INFINITY;
  const look = (clock: Clock | undefined): void => {
    if (clock !== undefined && compareClocks(clock, del) > 0) seq = Math.min(seq, clock.seq);
  };
  look(ins);
  for (const state of row.cells) look(state?.clock);
  return seq === Number.POSITIVE_INFINITY ? 0 : seq;
}

function claimOf(
  suite: Suite,
  table: Table,
  set: UniqueSet,
  value: Uint8Array,
  key: RowKey,
  seq: number,
  returned: boolean,
): Claim {
  const group = valueKey(table.lid, set.index, bounded(suite, value));
  return { set, group, entry: concat(group, Uint8Array.of(returned ? 1 : 0), u64Key(seq), key) };
}

/** Cells start with their tag, below 8: what starts with 0xff is a hash. */
function bounded(suite: Suite, value: Uint8Array): Uint8Array {
  return value.length <= MAX_INLINE ? value : concat(Uint8Array.of(0xff), suite.hash(value, 32));
}

function refGroup(suite: Suite, table: Table, fk: ForeignKey, cells: readonly Cell[]): Uint8Array {
  return valueKey(table.lid, fk.index, bounded(suite, cellsKey(cells)));
}

/** The keys of the rows that claim one value, the one that holds first. */
export function claimantsOf(session: Session, group: Uint8Array, limit?: number): RowKey[] {
  const found = session.tx.scan(local.claim, group, endOf(group), limit);
  return found.map(([entry]) => entry.subarray(group.length + RANK) as RowKey);
}

export function holderOf(session: Session, group: Uint8Array): RowKey | undefined {
  return claimantsOf(session, group, 1)[0];
}

/** The group of returned rows of a minted table that were known by this number. */
export function numberGroup(table: Table, number: bigint): Uint8Array {
  return valueKey(table.lid, KEY_SET, integerCell(number));
}

export function anyReturnedNumber(session: Session, table: Table): boolean {
  const prefix = valueKey(table.lid, KEY_SET, NOTHING).subarray(0, 4);
  return session.tx.last(local.claim, prefix, endOf(prefix)) !== undefined;
}

/** The row a foreign key's cells name; undefined where they cannot name one we know of. */
export function parentKey(
  session: Session,
  fk: ForeignKey,
  cells: readonly Cell[],
): { table: Table; key: RowKey } | undefined {
  const table = session.table(fk.parent);
  const schema = table?.view;
  if (table === undefined || schema === undefined) return undefined;
  const { key, columns } = schema.declaration;
  if (key.length !== cells.length) return undefined;
  const ordered: Cell[] = [];
  for (const column of key) {
    const cell = cells[fk.parentColumns.indexOf(columns[column]?.name ?? "")];
    if (cell === undefined) return undefined;
    ordered.push(cell);
  }
  // A plain number names no row of a table whose numbers move.
  if (schema.minted && bornOf(ordered[0]) === undefined) return undefined;
  return { table, key: joinKey(ordered) };
}

/** The keys of live and returned rows that refer to a row by one foreign key. */
export function children(
  session: Session,
  parent: Table,
  key: RowKey,
  kid: { readonly table: Table; readonly index: number },
  limit?: number,
): RowKey[] {
  const fk = kid.table.view?.foreignKeys[kid.index];
  const schema = parent.view;
  if (fk === undefined || schema === undefined || fk.columns.length !== schema.declaration.key.length)
    return [];
  const own = keyCells(key);
  const cells: Cell[] = [];
  for (const name of fk.parentColumns) {
    const cell = own[schema.keyPlace[schema.columnByName.get(name) ?? -1] ?? -1];
    if (cell === undefined) return [];
    cells.push(cell);
  }
  const group = refGroup(session.suite, kid.table, fk, cells);
  return session.tx
    .scan(local.ref, group, endOf(group), limit)
    .map(([at]) => at.subarray(group.length) as RowKey);
}
