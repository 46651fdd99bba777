/**
 * The state of a row and how two states merge. Merging is a join (the greater of each part), so
 * truth and unconfirmed changes can be put together per row, in any grouping, at any time.
 */

import type { Seq } from "../../bytes/brand.ts";
import { compareBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { CLOCK_LEAD, hlcAt, hlcCount, hlcMs } from "./hlc.ts";
import type { Cell, Hlc, RowKey } from "./types.ts";
import { readCell } from "./value.ts";

/** What a clock counts as in the log. In two numbers, because bigints are slow in the hot path. */
export interface Clock {
  readonly ms: number;
  readonly count: number;
  /** Breaks ties. `PENDING` + run id for what is not confirmed. */
  readonly seq: Seq;
}

/** Above every seq: an unconfirmed change counts as later than what is confirmed. */
export const PENDING: Seq = 2 ** 52;

export interface CellState {
  readonly clock: Clock;
  readonly cell: Cell;
}

export interface Move {
  readonly clock: Clock;
  readonly to: RowKey;
}

export interface RowState {
  readonly ins: Clock | undefined;
  readonly del: Clock | undefined;
  readonly move: Move | undefined;
  /** By column index; key columns of rows that are not minted stand in the key alone. */
  readonly cells: readonly (CellState | undefined)[];
}

/** A stored row: its state and, if minted, the number the log gave it. */
export interface Row extends RowState {
  readonly number: bigint | undefined;
}

/** TBL8. */
export function compareClocks(a: Clock, b: Clock): number {
  if (a.ms !== b.ms) return a.ms - b.ms;
  if (a.count !== b.count) return a.count - b.count;
  // A found row has clock 0: among those, what was found first stays.
  return a.ms === 0 && a.count === 0 ? b.seq - a.seq : a.seq - b.seq;
}

export function laterClock(a: Clock | undefined, b: Clock | undefined): Clock | undefined {
  if (a === undefined) return b;
  return b === undefined || compareClocks(a, b) >= 0 ? a : b;
}

/** TBL7: what `hlc` counts as in a run with log time `time` (ms; Infinity before it has one). */
export function effective(hlc: Hlc, time: number, seq: Seq): Clock {
  const ms = hlcMs(hlc);
  if (ms > time + CLOCK_LEAD) return { ms: time + CLOCK_LEAD, count: 0xffff, seq };
  return { ms, count: hlcCount(hlc), seq };
}

/** The clock right after one, at another position. */
export function past(clock: Clock, seq: Seq): Clock {
  return clock.count < 0xffff
    ? { ms: clock.ms, count: clock.count + 1, seq }
    : { ms: clock.ms + 1, count: 0, seq };
}

export function hlcOf(clock: Clock | undefined): Hlc {
  return clock === undefined ? 0n : hlcAt(clock.ms, clock.count);
}

/** Which of two cells stays. Equal clocks come only from one run that says two things: any fixed rule will do. */
export function compareCells(a: CellState, b: CellState): number {
  return compareClocks(a.clock, b.clock) || compareBytes(a.cell, b.cell);
}

export function joinRows(a: RowState, b: RowState): RowState {
  const cells: (CellState | undefined)[] = a.cells.slice();
  for (let i = 0; i < b.cells.length; i++) {
    const theirs = b.cells[i];
    const ours = cells[i];
    if (theirs !== undefined && (ours === undefined || compareCells(theirs, ours) > 0)) cells[i] = theirs;
  }
  return {
    ins: laterClock(a.ins, b.ins),
    del: laterClock(a.del, b.del),
    move: joinMoves(a.move, b.move),
    cells,
  };
}

function joinMoves(a: Move | undefined, b: Move | undefined): Move | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (compareClocks(a.clock, b.clock) || compareBytes(a.to, b.to)) >= 0 ? a : b;
}

/** TBL11. */
export function isAlive(row: RowState): boolean {
  const { ins, del, move } = row;
  if (ins === undefined || (move !== undefined && compareClocks(ins, move.clock) <= 0)) return false;
  if (del === undefined || compareClocks(ins, del) > 0) return true;
  return row.cells.some((c) => c !== undefined && compareClocks(c.clock, del) > 0);
}

/** The newest clock of anything in the row, deletion included. */
export function newestClock(row: RowState): Clock | undefined {
  let newest = laterClock(row.ins, row.del);
  for (const c of row.cells) if (c !== undefined) newest = laterClock(newest, c.clock);
  return newest;
}

// ALIVE follows from the rest; it is stored so that asking does not decode the cells.
const flags = { ins: 1, del: 2, move: 4, number: 8, alive: 16 } as const;

/** Whether stored bytes are those of a live row. */
export function aliveBytes(bytes: Uint8Array | undefined): boolean {
  return bytes !== undefined && ((bytes[0] as number) & flags.alive) !== 0;
}

/** Whether stored bytes are those of a row that was ever inserted. */
export function knownBytes(bytes: Uint8Array | undefined): boolean {
  return bytes !== undefined && ((bytes[0] as number) & flags.ins) !== 0;
}

export function encodeRow(row: Row, writer: Writer = new Writer()): Uint8Array {
  const base = baseClock(row);
  const at = writer
    .reset()
    .u8(
      (row.ins === undefined ? 0 : flags.ins) |
        (row.del === undefined ? 0 : flags.del) |
        (row.move === undefined ? 0 : flags.move) |
        (row.number === undefined ? 0 : flags.number) |
        (isAlive(row) ? flags.alive : 0),
    );
  writeClock(at, base);
  if (row.ins !== undefined && row.del !== undefined) writeClock(at, row.del);
  if (row.move !== undefined) {
    writeClock(at, row.move.clock);
    at.bytes(row.move.to);
  }
  if (row.number !== undefined) at.z(row.number);
  let count = 0;
  let later = 0;
  for (const c of row.cells) {
    if (c === undefined) continue;
    count++;
    if (!sameClock(c.clock, base)) later++;
  }
  at.v(count);
  for (let i = 0; count > 0; i++) {
    const c = row.cells[i];
    if (c === undefined) continue;
    at.v(i).fixed(c.cell);
    count--;
  }
  at.v(later);
  for (let i = 0; later > 0; i++) {
    const c = row.cells[i];
    if (c === undefined || sameClock(c.clock, base)) continue;
    writeClock(at.v(i), c.clock);
    later--;
  }
  return at.view();
}

/** Of bytes that `encodeRow` wrote. Its cells are views into them. */
export function decodeRow(bytes: Uint8Array): Row {
  const reader = new Reader(bytes);
  const has = reader.u8();
  const base = readClock(reader);
  const ins = has & flags.ins ? base : undefined;
  const del = has & flags.del ? (ins === undefined ? base : readClock(reader)) : undefined;
  const move =
    has & flags.move ? { clock: readClock(reader), to: reader.bytes(limits.row) as RowKey } : undefined;
  const number = has & flags.number ? reader.z() : undefined;
  const cells: (CellState | undefined)[] = [];
  for (let n = reader.v(); n > 0; n--) {
    const i = reader.v();
    while (cells.length < i) cells.push(undefined);
    cells.push({ clock: base, cell: readCell(reader) });
  }
  for (let n = reader.v(); n > 0; n--) {
    const i = reader.v();
    cells[i] = { clock: readClock(reader), cell: (cells[i] as CellState).cell };
  }
  return { ins, del, move, number, cells };
}

/** The clock most cells have: only the others' are written out. */
function baseClock(row: RowState): Clock {
  const base = row.ins ?? row.del ?? row.cells.find((c) => c !== undefined)?.clock;
  if (base === undefined) throw new RangeError("a row state without anything in it");
  return base;
}

function sameClock(a: Clock, b: Clock): boolean {
  return a === b || (a.ms === b.ms && a.count === b.count && a.seq === b.seq);
}

export function writeClock(writer: Writer, clock: Clock): Writer {
  return writer
    .u48(clock.ms)
    .u8(clock.count >> 8)
    .u8(clock.count & 0xff)
    .v(clock.seq);
}

export function readClock(reader: Reader): Clock {
  const ms = reader.u48();
  const count = reader.u8() * 256 + reader.u8();
  return { ms, count, seq: reader.v() };
}
