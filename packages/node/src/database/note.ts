/**
 * What one flush or slice means to the replica, written there durably before the app's file says
 * that it happened. If the file carries the note's token, the note is adopted; if it still carries
 * the one before, the note is dropped and nothing happened. Rule ATT14.
 */

import type { Seq } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { Engine, LocalRun, RunFrame } from "@tidelock/core/engine/api";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { Born, Cell, Hlc, RowKey } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { text } from "./lens.ts";
import type { Numbers } from "./numbers.ts";
import type { Aside, Registry } from "./registry.ts";
import { encodeToken, parseToken, type Token } from "./token.ts";

/** One thing that became true of the file. `table` is the number there. */
export type Effect =
  /** The file shows this row so; undefined cells: it shows no such row. */
  | {
      readonly kind: "shown";
      readonly table: number;
      readonly key: RowKey;
      readonly clock: Hlc;
      readonly cells: readonly Cell[] | undefined;
      /** Whether it showed one before, where whoever says this knows. */
      readonly was?: boolean;
    }
  | {
      readonly kind: "number";
      readonly table: number;
      readonly born: Born;
      readonly number: bigint | undefined;
    }
  | {
      readonly kind: "hold";
      readonly table: number;
      readonly key: RowKey;
      readonly time: number;
      readonly seen: Seq;
    }
  | { readonly kind: "release"; readonly table: number; readonly key: RowKey }
  | { readonly kind: "aside"; readonly table: number; readonly key: RowKey; readonly aside: Aside }
  | { readonly kind: "retake"; readonly table: number; readonly key: RowKey }
  | { readonly kind: "kept"; readonly table: number; readonly key: RowKey; readonly cells: readonly Cell[] }
  | { readonly kind: "stray"; readonly table: number; readonly number: bigint; readonly there: boolean };

export interface Note {
  /** What the file carries once the note holds. */
  readonly token: Token;
  /** `PRAGMA schema_version` after it. */
  readonly schema: number;
  readonly runs: readonly LocalRun[];
  readonly effects: readonly Effect[];
}

/** Effects per stored part: a part is read and written whole. */
const PART = 1024;

export function encodeNote(note: Note): readonly Uint8Array[] {
  const head = new Writer(64).u8(1).fixed(encodeToken(note.token)).v(note.schema).v(note.runs.length);
  const frames: Uint8Array[] = [];
  for (const run of note.runs) {
    head.v(run.frames.length);
    for (const frame of run.frames) frames.push(encodeFrame(frame));
  }
  const parts: Uint8Array[] = [];
  for (let i = 0; i < note.effects.length; i += PART) {
    const batch = note.effects.slice(i, i + PART);
    const w = new Writer(batch.length * 64).v(batch.length);
    for (const effect of batch) encodeEffect(w, effect);
    parts.push(w.done());
  }
  return [head.v(parts.length).done(), ...frames, ...parts];
}

export function decodeNote(stored: readonly Uint8Array[]): Note | undefined {
  const [first, ...rest] = stored;
  if (first === undefined) return undefined;
  const r = new Reader(first);
  if (r.u8() !== 1) throw new RangeError("a note of another version");
  const token = parseToken(r.fixed(16)) as Token;
  const schema = r.v();
  let at = 0;
  const runs: LocalRun[] = [];
  for (let n = r.v(); n > 0; n--) {
    const frames: RunFrame[] = [];
    for (let f = r.v(); f > 0; f--) frames.push(decodeFrame(rest[at++] as Uint8Array));
    runs.push({ frames });
  }
  const effects: Effect[] = [];
  for (let p = r.v(); p > 0; p--) {
    const part = new Reader(rest[at++] as Uint8Array);
    for (let n = part.v(); n > 0; n--) effects.push(decodeEffect(part));
  }
  return { token, schema, runs, effects };
}

export interface Adopter {
  readonly engine: Engine;
  readonly tables: TablesView;
  readonly registry: Registry;
  readonly numbers: Numbers;
  /** The vault's name of a table of the file. */
  readonly nameOf: (table: number) => string | undefined;
  /** Whether to note which token covered which key: not for the scan of a first attach, before which nothing is. */
  readonly covers: boolean;
}

/** Makes a note true, in one replica transaction with its disappearance. Returns the runs' ids. */
export function adopt(tx: Tx, a: Adopter, note: Note): readonly number[] {
  const ids = note.runs.map((run) => a.engine.submit(tx, run));
  const { registry, numbers } = a;
  const gen = note.token.counter;
  const rows = new Map<number, number>();
  const showed = shownBefore(tx, a, note.effects);
  const cover = (table: number, key: RowKey): void => {
    if (a.covers) registry.putGen(tx, table, key, gen);
  };
  for (const e of note.effects) {
    const name = a.nameOf(e.table);
    if (name === undefined) continue;
    switch (e.kind) {
      case "shown": {
        const step = (e.cells !== undefined ? 1 : 0) - (showed(e) ? 1 : 0);
        a.tables.setShown(tx, name, e.key, { clock: e.clock, cells: e.cells });
        rows.set(e.table, (rows.get(e.table) ?? registry.rows(tx, e.table)) + step);
        cover(e.table, e.key);
        break;
      }
      case "number":
        numbers.put(tx, e.table, e.born, e.number, gen);
        break;
      case "hold":
        registry.putHeld(tx, e.table, e.key, { time: e.time, seen: e.seen });
        cover(e.table, e.key);
        break;
      case "release":
        registry.dropHeld(tx, e.table, e.key);
        break;
      case "aside":
        registry.putAside(tx, e.table, e.key, e.aside);
        cover(e.table, e.key);
        break;
      case "retake":
        registry.dropAside(tx, e.table, e.key);
        break;
      case "kept":
        registry.putKept(tx, e);
        break;
      case "stray":
        registry.putStray(tx, e.table, e.number, e.there);
        break;
    }
  }
  for (const [table, count] of rows) registry.putRows(tx, table, count);
  registry.putPosition(tx, { token: note.token, schema: note.schema });
  registry.dropNote(tx);
  return ids;
}

type Shown = Extract<Effect, { readonly kind: "shown" }>;

/**
 * Whether the file showed a row before each of these, asked in their order. What nobody knows is looked up before
 * anything of the note is told. The first scan says each row once, and only those that were not shown.
 */
function shownBefore(tx: Tx, a: Adopter, effects: readonly Effect[]): (effect: Shown) => boolean {
  const slot = ({ table, key }: Shown): string => `${table}:${text(key)}`;
  const asked = new Map<string, boolean>();
  if (!a.covers) return () => false;
  for (const e of effects) {
    const name = e.kind === "shown" && e.was === undefined ? a.nameOf(e.table) : undefined;
    if (e.kind === "shown" && name !== undefined && !asked.has(slot(e)))
      asked.set(slot(e), a.tables.shown(tx, name, e.key).cells !== undefined);
  }
  if (asked.size === 0) return (e) => e.was === true;
  const known = new Map<string, boolean>();
  return (e) => {
    const at = slot(e);
    const was = known.get(at) ?? e.was ?? asked.get(at) === true;
    known.set(at, e.cells !== undefined);
    return was;
  };
}

function encodeFrame(frame: RunFrame): Uint8Array {
  const w = new Writer(256).u8(frame.compressOff === true ? 1 : 0).v(frame.sections.size);
  for (const [id, bytes] of frame.sections) w.u8(id).bytes(bytes);
  return w.done();
}

function decodeFrame(bytes: Uint8Array): RunFrame {
  const r = new Reader(bytes);
  const compressOff = r.u8() === 1;
  const sections = new Map<number, Uint8Array>();
  for (let n = r.v(); n > 0; n--) {
    const id = r.u8();
    sections.set(id, r.bytes(Number.MAX_SAFE_INTEGER).slice());
  }
  return compressOff ? { sections, compressOff } : { sections };
}

const kinds = ["shown", "number", "hold", "release", "aside", "retake", "kept", "stray"] as const;
/** In place of "shown", where it is known whether the file showed the row before. */
const known = { new: kinds.length, again: kinds.length + 1 } as const;
const reasons = ["row-refused", "row-too-large", "trigger-fights"] as const;

function encodeEffect(w: Writer, e: Effect): void {
  const was = e.kind === "shown" ? e.was : undefined;
  w.u8(was === undefined ? kinds.indexOf(e.kind) : was ? known.again : known.new).v(e.table);
  switch (e.kind) {
    case "shown":
      // An HLC has 64 bits without a sign.
      w.bytes(e.key).z(BigInt.asIntN(64, e.clock));
      encodeCells(w, e.cells);
      break;
    case "number":
      w.fixed(e.born).u8(e.number === undefined ? 0 : 1);
      if (e.number !== undefined) w.z(e.number);
      break;
    case "hold":
      w.bytes(e.key).u48(e.time).v(e.seen);
      break;
    case "release":
    case "retake":
      w.bytes(e.key);
      break;
    case "aside":
      w.bytes(e.key).u8(reasons.indexOf(e.aside.reason)).bytes(encodeUtf8(e.aside.text));
      w.z(BigInt.asIntN(64, e.aside.clock)).v(e.aside.seen);
      break;
    case "kept":
      w.bytes(e.key);
      encodeCells(w, e.cells);
      break;
    case "stray":
      w.z(e.number).u8(e.there ? 1 : 0);
      break;
  }
}

function decodeEffect(r: Reader): Effect {
  const code = r.u8();
  const told = code === known.new || code === known.again;
  const kind = told ? "shown" : kinds[code];
  const table = r.v();
  const bytes = (): Uint8Array => r.bytes(Number.MAX_SAFE_INTEGER).slice();
  const clock = (): Hlc => BigInt.asUintN(64, r.z());
  switch (kind) {
    case "shown":
      return {
        kind,
        table,
        key: bytes() as RowKey,
        clock: clock(),
        cells: decodeCells(r),
        ...(told ? { was: code === known.again } : {}),
      };
    case "number":
      return { kind, table, born: r.fixed(8).slice() as Born, number: r.u8() === 1 ? r.z() : undefined };
    case "hold":
      return { kind, table, key: bytes() as RowKey, time: r.u48(), seen: r.v() };
    case "release":
    case "retake":
      return { kind, table, key: bytes() as RowKey };
    case "aside": {
      const key = bytes() as RowKey;
      const reason = reasons[r.u8()] ?? "row-refused";
      const text = decodeUtf8(bytes()) ?? "";
      return { kind, table, key, aside: { reason, text, clock: clock(), seen: r.v() } };
    }
    case "kept":
      return { kind, table, key: bytes() as RowKey, cells: decodeCells(r) ?? [] };
    case "stray":
      return { kind, table, number: r.z(), there: r.u8() === 1 };
    case undefined:
      break;
  }
  throw new RangeError("a note of another version");
}

function encodeCells(w: Writer, cells: readonly Cell[] | undefined): void {
  w.v(cells === undefined ? 0 : cells.length + 1);
  for (const cell of cells ?? []) w.bytes(cell);
}

function decodeCells(r: Reader): readonly Cell[] | undefined {
  const count = r.v();
  if (count === 0) return undefined;
  return Array.from({ length: count - 1 }, () => r.bytes(Number.MAX_SAFE_INTEGER).slice() as Cell);
}
