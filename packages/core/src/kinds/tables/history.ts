/**
 * What each change did to a row, from the reducer's own truth: the values it replaced, with their
 * clocks, and the ones that lost. Keyed by row, so a row's history is one range. Rule TBL32.
 *
 * The first version of a row is not written down: what later changes replaced leads back to it,
 * and a load of new rows costs nothing here.
 */
import { u64Key } from "../../bytes/bytes.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Tx } from "../../log/tx.ts";
import type { RowVersion } from "./api.ts";
import { type CellState, type Clock, decodeRow, hlcOf, type Row, readClock, writeClock } from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import { confirmed, endOf, local, placeKey, tableKey } from "./spaces.ts";
import type { Cell, RowKey } from "./types.ts";
import { readCell } from "./value.ts";

const ops = ["insert", "set", "delete", "move", "found"] as const;
export type HistoryOp = (typeof ops)[number];

export interface HistoryCell {
  readonly column: number;
  readonly before: CellState | undefined;
  readonly after: Cell;
  readonly won: boolean;
}

export interface HistoryEntry {
  readonly op: HistoryOp;
  readonly clock: Clock;
  readonly cells: readonly HistoryCell[];
}

export function writeHistory(
  tx: Tx,
  id: number,
  key: RowKey,
  place: { readonly seq: number; readonly i: number },
  entry: HistoryEntry,
): void {
  const writer = writeClock(new Writer(64).u8(ops.indexOf(entry.op)), entry.clock).v(entry.cells.length);
  for (const { column, before, after, won } of entry.cells) {
    writer.v(column).u8((before === undefined ? 0 : 1) | (won ? 2 : 0));
    if (before !== undefined) writeClock(writer, before.clock).fixed(before.cell);
    writer.fixed(after);
  }
  tx.put(local.hist, tableKey(id, key, placeKey(place.seq, place.i)), writer.done());
}

function readEntry(bytes: Uint8Array): HistoryEntry {
  const reader = new Reader(bytes);
  const op = ops[reader.u8()] as HistoryOp;
  const clock = readClock(reader);
  const cells: HistoryCell[] = [];
  for (let n = reader.v(); n > 0; n--) {
    const column = reader.v();
    const has = reader.u8();
    const before = has & 1 ? { clock: readClock(reader), cell: readCell(reader) } : undefined;
    cells.push({ column, before, after: readCell(reader), won: (has & 2) !== 0 });
  }
  return { op, clock, cells };
}

export function rowHistory(session: Session, table: Table, key: RowKey): RowVersion[] {
  const { id, truth } = table;
  if (id === undefined || truth === undefined) return [];
  const prefix = tableKey(id, key);
  const entries = session.tx.scan(local.hist, prefix, endOf(prefix)).map(([, bytes]) => readEntry(bytes));
  return [...firstVersions(session, table, key, entries), ...entries].map((entry) =>
    version(session, truth, entry),
  );
}

/** What is left of the row once every recorded change is taken back, by position. */
function firstVersions(
  session: Session,
  table: Table,
  key: RowKey,
  entries: readonly HistoryEntry[],
): HistoryEntry[] {
  const bytes = session.tx.get(confirmed.row, tableKey(table.id as number, key));
  if (bytes === undefined) return [];
  const row = decodeRow(bytes);
  const cells = row.cells.slice();
  for (const entry of entries.toReversed())
    for (const cell of entry.cells) if (cell.won) cells[cell.column] = cell.before;
  const bySeq = new Map<number, { clock: Clock; cells: HistoryCell[] }>();
  cells.forEach((state, column) => {
    if (state === undefined) return;
    const { clock, cell } = state;
    const first = bySeq.get(clock.seq) ?? { clock, cells: [] };
    first.cells.push({ column, before: undefined, after: cell, won: true });
    bySeq.set(clock.seq, first);
  });
  return [...bySeq.values()]
    .sort((a, b) => a.clock.seq - b.clock.seq)
    .map((first, i) => ({ op: firstOp(row, first.clock, i), ...first }));
}

/** Cells that came from under another key, or to a row never inserted, stand beside the insert. */
function firstOp(row: Row, clock: Clock, i: number): HistoryOp {
  if (hlcOf(clock) === 0n) return "found";
  return i === 0 && row.ins !== undefined ? "insert" : "set";
}

function version(session: Session, schema: Schema, entry: HistoryEntry): RowVersion {
  const { device, time } = runAt(session.tx, entry.clock.seq);
  return {
    seq: entry.clock.seq,
    time,
    device,
    op: entry.op,
    hlc: hlcOf(entry.clock),
    cells: entry.cells.map(({ column, before, after, won }) => ({
      column: schema.declaration.columns[column]?.name ?? "",
      before: before?.cell,
      after,
      won,
    })),
  };
}

/** Device and log time of the run at `seq`. */
export function runAt(tx: Tx, seq: number): { readonly device: number; readonly time: number } {
  const bytes = tx.get(confirmed.run, u64Key(seq));
  if (bytes === undefined) return { device: 0, time: 0 };
  const reader = new Reader(bytes);
  return { device: reader.v(), time: reader.u48() };
}

export function putRun(tx: Tx, seq: number, device: number, time: number): void {
  tx.put(confirmed.run, u64Key(seq), new Writer(16).v(device).u48(time).done());
}
