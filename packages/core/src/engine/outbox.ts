/**
 * Edits on their way out. A row leaves only when replay has judged its frame, not when a remote
 * took it. The sealed bytes stay until then: a retry is the same bytes. Rules ENG3..ENG6.
 */

import type { Sealed } from "../bytes/brand.ts";
import { encodeUtf8, readU64Key, u64Key } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Tx } from "../log/tx.ts";
import { META, pairKey } from "./entries.ts";

export const RUNS = "o.run";
export const FRAMES = "o.frame";
const OWN = encodeUtf8("own");
const STORED = 1;
const ACT = 2;
const QUEUE = encodeUtf8("queue");

export interface OutRun {
  readonly id: number;
  readonly frames: number;
  /** When it was submitted, wall clock ms. For people only. */
  readonly at: number;
  /** Parked: the log did not take it for this reason; it stays in its author's list. */
  readonly parked: string | undefined;
  /** A frame of it was void: sent again (or parked) once its other frames have their verdict. */
  readonly failed: string | undefined;
  /** Frames that had their verdict. */
  readonly judged: number;
}

export interface OutFrame {
  readonly run: number;
  readonly index: number;
  /** Encoded sections (`plaintext.ts`); empty for a frame that was made whole, such as membership. */
  readonly changes: Uint8Array;
  readonly stored: boolean;
  /** `changes` is an act on the membership (`acts.ts`), made a frame when it is sealed. */
  readonly act?: boolean;
  /** 0 while not sealed. */
  readonly deviceSeq: number;
  readonly sealed: Sealed | undefined;
}

/** This device's own numbering. */
export interface Own {
  readonly nextRun: number;
  /** The last device seq that was given to a frame. */
  readonly sealed: number;
  /** Own frames up to here had their verdict. */
  readonly settled: number;
}

export function getOwn(tx: Tx): Own {
  const bytes = tx.get(META, OWN);
  if (bytes === undefined) return { nextRun: 1, sealed: 0, settled: 0 };
  const r = new Reader(bytes);
  return { nextRun: r.v(), sealed: r.v(), settled: r.v() };
}

export function putOwn(tx: Tx, own: Own): void {
  tx.put(META, OWN, new Writer(24).v(own.nextRun).v(own.sealed).v(own.settled).done());
}

/** How many runs wait, and how many of them are parked: kept, because a status asks often and the outbox may be long. */
export function queued(tx: Tx): { readonly runs: number; readonly parked: number } {
  const bytes = tx.get(META, QUEUE);
  if (bytes !== undefined) {
    const r = new Reader(bytes);
    return { runs: r.v(), parked: r.v() };
  }
  const all = runs(tx);
  return { runs: all.length, parked: all.filter((r) => r.parked !== undefined).length };
}

function recount(tx: Tx, old: OutRun | undefined, now: OutRun | undefined): void {
  const parked = (run: OutRun | undefined): number => (run?.parked === undefined ? 0 : 1);
  const [more, stuck] = [(now ? 1 : 0) - (old ? 1 : 0), parked(now) - parked(old)];
  if (more === 0 && stuck === 0) return;
  const count = queued(tx);
  tx.put(
    META,
    QUEUE,
    new Writer(16)
      .v(count.runs + more)
      .v(count.parked + stuck)
      .done(),
  );
}

export function putRun(tx: Tx, run: OutRun): void {
  recount(tx, getRun(tx, run.id), run);
  const w = new Writer(64).v(run.frames).u48(run.at).v(run.judged);
  w.bytes(encodeUtf8(run.parked ?? "")).bytes(encodeUtf8(run.failed ?? ""));
  tx.put(RUNS, u64Key(run.id), w.done());
}

export function getRun(tx: Tx, id: number): OutRun | undefined {
  const bytes = tx.get(RUNS, u64Key(id));
  return bytes === undefined ? undefined : parseRun(id, bytes);
}

export function runs(tx: Tx): readonly OutRun[] {
  return tx.scan(RUNS, u64Key(0), undefined).map(([key, bytes]) => parseRun(readU64Key(key), bytes));
}

function parseRun(id: number, bytes: Uint8Array): OutRun {
  const r = new Reader(bytes);
  const [frames, at, judged] = [r.v(), r.u48(), r.v()];
  const parked = r.str(255);
  const failed = r.str(255);
  return {
    id,
    frames,
    at,
    judged,
    parked: parked === "" ? undefined : parked,
    failed: failed === "" ? undefined : failed,
  };
}

export function putFrame(tx: Tx, f: OutFrame): void {
  const w = new Writer(f.changes.length + (f.sealed?.length ?? 0) + 32);
  w.u8((f.stored ? STORED : 0) | (f.act === true ? ACT : 0))
    .v(f.deviceSeq)
    .bytes(f.changes);
  if (f.sealed !== undefined) w.fixed(f.sealed);
  tx.put(FRAMES, pairKey(f.run, f.index), w.done());
}

/** Frames in the order of their runs, from one run on. */
export function frames(
  tx: Tx,
  from: { readonly run: number; readonly index: number },
  limit: number,
): readonly OutFrame[] {
  return tx
    .scan(FRAMES, pairKey(from.run, from.index), undefined, limit)
    .map(([key, bytes]) => parseOutFrame(key, bytes));
}

export function framesOf(tx: Tx, run: number): readonly OutFrame[] {
  return [...eachFrame(tx, run)];
}

/** The frames of one run, a few in memory at a time. They may be changed while they are gone through. */
export function* eachFrame(tx: Tx, run: number): Generator<OutFrame> {
  for (let index = 0; ; ) {
    const batch = frames(tx, { run, index }, 16);
    for (const f of batch) {
      if (f.run !== run) return;
      yield f;
      index = f.index + 1;
    }
    if (batch.length < 16) return;
  }
}

export function getFrame(tx: Tx, run: number, index: number): OutFrame | undefined {
  const key = pairKey(run, index);
  const bytes = tx.get(FRAMES, key);
  return bytes === undefined ? undefined : parseOutFrame(key, bytes);
}

function parseOutFrame(key: Uint8Array, bytes: Uint8Array): OutFrame {
  const r = new Reader(bytes);
  const form = r.u8();
  const stored = (form & STORED) !== 0;
  const act = (form & ACT) !== 0;
  const deviceSeq = r.v();
  const changes = r.bytes(Number.MAX_SAFE_INTEGER);
  const sealed = r.left > 0 ? (r.fixed(r.left) as Sealed) : undefined;
  const k = new Reader(key);
  return { run: k.u64(), index: k.u32(), changes, stored, act, deviceSeq, sealed };
}

export function dropRun(tx: Tx, id: number): void {
  recount(tx, getRun(tx, id), undefined);
  for (const f of eachFrame(tx, id)) tx.delete(FRAMES, pairKey(f.run, f.index));
  tx.delete(RUNS, u64Key(id));
}
