/**
 * The law of one change: what it does to the rows it names, in truth or in the overlay. Total: a
 * change that means nothing here is noted and changes nothing (TBL5).
 */
import { equalBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import type { Ground, Loaded } from "./ground.ts";
import type { HistoryCell, HistoryOp } from "./history.ts";
import type { NoopReason } from "./journal.ts";
import { bornKey, bornOfKey, keyCells } from "./key.ts";
import { type Author, findTwin, resolveCell, resolveKey, settleNumber } from "./minted.ts";
import {
  type CellState,
  type Clock,
  compareCells,
  compareClocks,
  effective,
  isAlive,
  joinRows,
  past,
  type Row,
  type RowState,
} from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Table } from "./session.ts";
import type { Born, Cell, RowKey, TableChange } from "./types.ts";
import { sameCell, tags } from "./value.ts";

/** Where a run stands, and what its author had seen. */
export interface At extends Author {
  /** Log time, ms; Infinity while it has none. */
  readonly time: number;
}

export type DataChange = Exclude<TableChange, { readonly op: "schema" }>;

/** What a change did to one row, for history and journal. Only truth keeps them. */
export interface Effect {
  readonly table: Table;
  readonly key: RowKey;
  readonly op: HistoryOp;
  readonly clock: Clock;
  readonly before: Row | undefined;
  readonly after: Row;
  readonly cells: readonly HistoryCell[];
  /** The other row's holder of the number it asked for. */
  readonly lostNumber: { readonly born: Born; readonly asked: Cell } | undefined;
}

export interface Recorder {
  effect(effect: Effect): void;
  /** Cells of a row under its old key that its move to `key` left behind. */
  leftBehind(table: Table, key: RowKey, clock: Clock, cells: readonly HistoryCell[]): void;
  noop(table: string, reason: NoopReason): void;
}

const EMPTY_STATE: RowState = { ins: undefined, del: undefined, move: undefined, cells: [] };
/** A chain of moves is followed this far: a cycle of them must end somewhere. */
const MAX_MOVES = 8;

export function reduceChange(ground: Ground, change: DataChange, at: At, out: Recorder | undefined): void {
  const table = ground.session.table(change.table);
  const schema = table === undefined ? undefined : ground.schema(table);
  if (table === undefined || schema === undefined) {
    out?.noop(change.table, "unknown-table");
    return;
  }
  const read = readChange(ground, table, schema, change);
  if (typeof read === "string") {
    out?.noop(change.table, read);
    return;
  }
  const { key, to, cells } = read;
  const context: Context = { ground, table, schema, at, out };
  switch (change.op) {
    case "set":
      edit(context, key, cells, effective(change.hlc, at.time, at.seq));
      break;
    case "insert":
      insert(context, key, cells, effective(change.hlc, at.time, at.seq), "insert");
      break;
    case "found":
      found(context, key, cells);
      break;
    case "delete":
      merge(context, key, { ...EMPTY_STATE, del: effective(change.hlc, at.time, at.seq) }, "delete");
      break;
    case "move": {
      const clock = effective(change.hlc, at.time, at.seq);
      if (to === undefined || equalBytes(to, key)) edit(context, key, cells, clock, "move");
      else move(context, key, to, cells, clock);
      break;
    }
  }
}

interface Context {
  readonly ground: Ground;
  readonly table: Table;
  readonly schema: Schema;
  readonly at: At;
  readonly out: Recorder | undefined;
}

type Cells = readonly (Cell | undefined)[];

interface ReadChange {
  readonly key: RowKey;
  readonly to: RowKey | undefined;
  /** By column. */
  readonly cells: Cells;
}

/** Puts a change in terms of the table's columns, aliases followed; or says why it cannot be. */
function readChange(
  ground: Ground,
  table: Table,
  schema: Schema,
  change: DataChange,
): ReadChange | NoopReason {
  if (!fitsKey(schema, change.key)) return "key";
  let size = change.key.length;
  let to: RowKey | undefined;
  if (change.op === "move") {
    to = change.to;
    if (!fitsKey(schema, to)) return "key";
    if (schema.minted && !equalBytes(to, change.key)) return "key";
    size += to.length;
  }
  const key = ground.session.aliases ? resolveKey(ground, change.key) : change.key;
  if (key !== change.key) ground.session.renamed.push({ table, from: change.key, to: key });
  if (to !== undefined && ground.session.aliases) to = resolveKey(ground, to);
  if (change.op === "delete") return { key, to, cells: [] };
  const cells: (Cell | undefined)[] = [];
  const target = to ?? key;
  for (const named of change.cells) {
    const column = schema.columnByName.get(named[0]);
    if (column === undefined) return "unknown-column";
    const cell = ground.session.aliases ? resolveCell(ground, named[1]) : named[1];
    size += cell.length + 1;
    const place = schema.keyPlace[column] as number;
    if (place >= 0 && !schema.minted) {
      if (!equalBytes(keyCells(target)[place] as Cell, cell)) return "key";
      continue;
    }
    if (place >= 0 && cell[0] !== tags.integer && cell[0] !== tags.null) return "number";
    while (cells.length < column) cells.push(undefined);
    cells[column] = cell;
  }
  return size > limits.row ? "too-large" : { key, to, cells };
}

function fitsKey(schema: Schema, key: RowKey): boolean {
  if (key[0] !== schema.declaration.key.length || key.length > limits.key) return false;
  return !schema.minted || bornOfKey(key) !== undefined;
}

/** A set, or a move of a minted row: another claim on a number. */
function edit(context: Context, key: RowKey, cells: Cells, clock: Clock, op: HistoryOp = "set"): void {
  if (!cells.some((cell) => cell !== undefined)) return;
  const target = context.schema.minted ? key : route(context, key, clock);
  merge(context, target, { ...EMPTY_STATE, cells: cells.map((cell) => stateOf(cell, clock)) }, op);
}

function insert(context: Context, key: RowKey, cells: Cells, clock: Clock, op: HistoryOp): void {
  const state = { ...EMPTY_STATE, ins: clock, cells: cells.map((cell) => stateOf(cell, clock)) };
  merge(context, key, state, op);
}

function stateOf(cell: Cell | undefined, clock: Clock): CellState | undefined {
  return cell === undefined ? undefined : { clock, cell };
}

/** TBL9. */
function found(context: Context, key: RowKey, cells: Cells): void {
  const { ground, table, schema, at } = context;
  const { row } = ground.load(table, key);
  if (row === undefined && schema.minted) {
    const twin = findTwin(ground, table, cells, at.seq);
    if (twin !== undefined) {
      ground.setAlias(bornOfKey(key) as Born, twin);
      ground.session.renamed.push({ table, from: key, to: bornKey(twin) });
      return;
    }
  }
  const deleted = row?.del !== undefined && !isAlive(row) ? row.del : undefined;
  const clock = deleted === undefined ? { ms: 0, count: 0, seq: at.seq } : past(deleted, at.seq);
  insert(context, key, cells, clock, "found");
}

/** TBL16: where an edit of a row that has moved on belongs. */
function route(context: Context, key: RowKey, clock: Clock): RowKey {
  let target = key;
  for (let n = 0; n < MAX_MOVES; n++) {
    const row = context.ground.load(context.table, target).row;
    if (row?.move === undefined || compareClocks(clock, row.move.clock) <= 0) break;
    if (insertedSince(row, row.move.clock)) break;
    target = row.move.to.slice() as RowKey;
  }
  return target;
}

function insertedSince(row: RowState, clock: Clock): boolean {
  return row.ins !== undefined && compareClocks(row.ins, clock) > 0;
}

/** TBL16. */
function move(context: Context, from: RowKey, to: RowKey, cells: Cells, clock: Clock): void {
  const { ground, table, out } = context;
  const old = ground.load(table, from);
  const kept: (CellState | undefined)[] = [];
  const later: (CellState | undefined)[] = [];
  const left: HistoryCell[] = [];
  const isNew = old.row !== undefined && insertedSince(old.row, clock);
  old.row?.cells.forEach((state, column) => {
    if (state === undefined) return;
    if (!isNew && compareClocks(state.clock, clock) > 0) {
      later[column] = state;
      return;
    }
    kept[column] = state;
    const after = cells[column];
    if (!isNew && after !== undefined && !sameCell(after, state.cell))
      left.push({ column, before: state, after, won: true });
  });
  const gone = joinRows(old.row === undefined ? EMPTY_STATE : { ...old.row, cells: kept }, {
    ...EMPTY_STATE,
    del: clock,
    move: { clock, to },
  });
  put(context, from, old, gone, "move", clock, []);
  insert(context, to, cells, clock, "move");
  if (left.length > 0) out?.leftBehind(table, to, clock, left);
  later.forEach((state, column) => {
    if (state === undefined) return;
    const one: CellState[] = [];
    one[column] = state;
    merge(context, route(context, to, state.clock), { ...EMPTY_STATE, cells: one }, "move");
  });
}

/** Joins what a change says into the row. */
function merge(context: Context, key: RowKey, said: RowState, op: HistoryOp): void {
  const { ground, table, out } = context;
  const old = ground.load(table, key);
  const clock = said.ins ?? said.del ?? (said.cells.find((c) => c !== undefined) as CellState).clock;
  if (old.row === undefined) {
    put(context, key, old, said, op, clock, []);
    return;
  }
  const cells: HistoryCell[] = [];
  if (out !== undefined) {
    const row = old.row;
    said.cells.forEach((state, column) => {
      if (state === undefined) return;
      const before = row.cells[column];
      cells.push({
        column,
        before,
        after: state.cell,
        won: before === undefined || compareCells(state, before) > 0,
      });
    });
  }
  put(context, key, old, joinRows(old.row, said), op, clock, cells);
}

function put(
  context: Context,
  key: RowKey,
  old: Loaded,
  state: RowState,
  op: HistoryOp,
  clock: Clock,
  cells: readonly HistoryCell[],
): void {
  const { ground, table, schema, at, out } = context;
  let row: Row = { ...state, number: undefined };
  let lostNumber: Effect["lostNumber"];
  if (schema.minted) {
    const settled = settleNumber(ground, table, bornOfKey(key) as Born, old.row, row, at);
    row = settled.row;
    const asked = state.cells[schema.declaration.key[0] as number]?.cell;
    if (settled.lostTo !== undefined && asked !== undefined)
      lostNumber = { born: settled.lostTo.born, asked };
  }
  ground.store(table, key, old, row);
  out?.effect({ table, key, op, clock, before: old.row, after: row, cells, lostNumber });
}
