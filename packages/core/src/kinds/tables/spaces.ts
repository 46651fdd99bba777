/**
 * The replica spaces of the tables kind and their keys. Confirmed spaces are keyed by the table's
 * number in the log, local ones by a number this device gave the name (`lid`), because a table may
 * be tracked, or edited, before the log knows it. Numbers are u16, positions u64, big-endian.
 */
import { concat, encodeUtf8 } from "../../bytes/bytes.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Space } from "../../log/kind.ts";
import type { Born, Cell, RowKey } from "./types.ts";

/** Confirmed state: a function of the log alone. */
export const confirmed = {
  /** id → declaration. */
  decl: "t.decl",
  /** name → id. */
  name: "t.name",
  /** id, key → row state. */
  row: "t.row",
  /** id, number → who holds it. */
  num: "t.num",
  /** id → highest number given. */
  high: "t.high",
  /** born → the born it stands for. */
  alias: "t.alias",
  /** seq of a run → its device and log time. */
  run: "t.run",
  /** seq, i → conflict. */
  journal: "t.journal",
  /** seq, i → a change without effect. */
  noop: "t.noop",
} as const;

/** This device's own, or derived from what is confirmed. */
export const local = {
  /** id, key, seq, i → what a change did to the row. Not in a checkpoint's digest: fetched on demand. */
  hist: "t.hist",
  /** id, key, seq, i → empty: journal entries still open. */
  open: "t.open",
  /** name → lid, and its reverse. */
  lid: "t.lid",
  lname: "t.lname",
  /** name of a parent table, child lid, foreign key → empty. */
  kid: "t.kid",
  /** run id, frame → unconfirmed section. */
  pend: "t.pend",
  /** lid, key, run id, frame and i → whether it needs more than this row to be judged. Without the first of a row, which `over` has. */
  pkey: "t.pkey",
  /** run id, frame and i → the rows of a change that does. */
  pnote: "t.pnote",
  /** lid, key → the first unconfirmed change of a row and its state with all of them. lid alone → declaration with them. */
  over: "t.over",
  /** The same for numbers, aliases, and per lid the highest number and how many rows did not get theirs. */
  vnum: "t.vnum",
  valias: "t.valias",
  vmeta: "t.vmeta",
  /** lid, set, value, rank, key → empty: live and returned rows by UNIQUE value. */
  claim: "t.claim",
  /** lid, foreign key, value, key → empty: live and returned rows by what they refer to. */
  ref: "t.ref",
  /** lid, key → what the constraints make of the row, where they make something of it. */
  proj: "t.proj",
  /** lid → empty. */
  track: "t.track",
  /** lid, key → what the file shows, where that is not the view. */
  dirty: "t.dirty",
  /** lid, number → key: numbers that the file still shows for dirty rows. */
  snum: "t.snum",
  meta: "t.meta",
} as const;

/** Local and said by nobody else: the tables this device numbered, and what its files show. */
const kept: ReadonlySet<string> = new Set([
  local.lid,
  local.lname,
  local.track,
  local.dirty,
  local.snum,
  local.meta,
]);

export const spaces: readonly Space[] = [
  ...Object.values(confirmed).map((name) => ({ name, digested: true })),
  ...Object.values(local).map((name) => ({ name, digested: false, kept: kept.has(name) })),
];

/** What `meta` holds. */
export const metaKeys: Readonly<Record<"dirty" | "self" | "kept" | "suspended", Uint8Array>> = {
  dirty: encodeUtf8("dirty"),
  self: encodeUtf8("self"),
  kept: encodeUtf8("kept"),
  suspended: encodeUtf8("suspended"),
};

export const NOTHING: Uint8Array = new Uint8Array(0);

export function tableKey(id: number, ...rest: readonly Uint8Array[]): Uint8Array {
  let length = 2;
  for (const part of rest) length += part.length;
  const out = new Uint8Array(length);
  out[0] = id >> 8;
  out[1] = id & 0xff;
  let at = 2;
  for (const part of rest) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function readU16(bytes: Uint8Array, at = 0): number {
  return (bytes[at] as number) * 256 + (bytes[at + 1] as number);
}

/** The range of all keys under a table. */
export function tableRange(id: number): readonly [Uint8Array, Uint8Array | undefined] {
  return [tableKey(id), id === 0xffff ? undefined : tableKey(id + 1)];
}

/** The row key behind the two bytes of a table. */
export function rowOf(key: Uint8Array): RowKey {
  return key.subarray(2) as RowKey;
}

/** Eight bytes that sort like the 64-bit integer. */
export function numberKey(n: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigInt64(0, n);
  out[0] = (out[0] as number) ^ 0x80;
  return out;
}

/** Position and place in the run. */
export function placeKey(seq: number, i: number): Uint8Array {
  return new Writer(12).u64(seq).u32(i).done();
}

/** Prefix of everything under one value of a UNIQUE set or foreign key. */
export function valueKey(lid: number, set: number, value: Uint8Array): Uint8Array {
  return new Writer(value.length + 8)
    .u8(lid >> 8)
    .u8(lid & 0xff)
    .u8(set >> 8)
    .u8(set & 0xff)
    .bytes(value)
    .done();
}

/** The least key above everything that starts with `prefix`, which is never all 0xff here. */
export function endOf(prefix: Uint8Array): Uint8Array {
  let end = prefix.length;
  while (prefix[end - 1] === 0xff) end--;
  const out = prefix.slice(0, end);
  out[end - 1] = (out[end - 1] as number) + 1;
  return out;
}

export function cellsKey(cells: readonly Cell[]): Uint8Array {
  return cells.length === 1 ? (cells[0] as Cell) : concat(...cells);
}

/** A map key for bytes. */
export function textOf(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

export function bornText(born: Born): string {
  return textOf(born);
}
