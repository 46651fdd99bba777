/**
 * Own frames that had their verdict in a part of the history that is about to be replaced wait for
 * it again. Those that the other history may hold are sent as the same bytes, so that none counts
 * twice; a run with a frame anchored in what is given up is sealed anew whole. Rule ENG15.
 */
import type { Sealed } from "../bytes/brand.ts";
import { equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import { Writer } from "../bytes/writer.ts";
import { TidelockError } from "../errors.ts";
import { type Frame, frameFlags, frameKinds, openFrame, parseFrame } from "../log/frame.ts";
import { decodePlaintext } from "../log/plaintext.ts";
import type { Tx } from "../log/tx.ts";
import { type Entry, entriesAfter, entryBefore, getCursor } from "./entries.ts";
import { type JudgeDeps, signerOf } from "./judge.ts";
import { frames, getFrame, getOwn, getRun, type OutFrame, putFrame, putOwn, putRun, runs } from "./outbox.ts";
import { SEQS, sealedAt, unseal } from "./seal.ts";
import { getVerdict } from "./verdicts.ts";

export interface TakeBackDeps extends JudgeDeps {
  readonly own: number;
  readonly ownId: Uint8Array;
}

interface Mine {
  readonly entry: Entry;
  readonly frame: Frame;
  readonly accepted: boolean;
}

/** No run has this id: a number that was used, with nothing to send under it. */
const NO_RUN = 0;

/** Answers the ids of the runs that were done and wait again. `from`: the first entry that goes. */
export function takeBack(deps: TakeBackDeps, tx: Tx, from: number): readonly number[] {
  const settled = settledBefore(deps, tx, from);
  const mine = ownEntries(deps, tx, from, settled);
  const own = getOwn(tx);
  if (mine.length > 0) putOwn(tx, { ...own, settled: Math.min(own.settled, settled) });
  const sealed = new Map([...outbox(tx)].map(({ run, index, deviceSeq }) => [deviceSeq, { run, index }]));
  const done = doneRuns(deps, tx, mine, from, sealed);
  const ids = freeIds(tx, done.length);
  for (const [i, run] of done.entries()) restore(deps, tx, ids[i] as number, run, from);
  for (const { entry, frame } of mine) {
    // Anchored in what gives way: it can stand nowhere else.
    if (frame.anchorSeq >= from || sealedAt(tx, frame.deviceSeq) !== undefined) continue;
    const at = sealed.get(frame.deviceSeq) ?? sealedAgain(deps, tx, frame) ?? { run: NO_RUN, index: 0 };
    const run = getRun(tx, at.run);
    if (run?.failed !== undefined) putRun(tx, { ...run, failed: undefined });
    remember(tx, frame.deviceSeq, at.run, at.index, entry.id);
  }
  sealAnew(tx, from);
  return ids;
}

interface Place {
  readonly run: number;
  readonly index: number;
}

function remember(tx: Tx, deviceSeq: number, run: number, index: number, id: Uint8Array): void {
  tx.put(SEQS, u64Key(deviceSeq), new Writer(48).v(run).v(index).fixed(id).done());
}

/** The last number of this device that was used up before `from`. */
function settledBefore(deps: TakeBackDeps, tx: Tx, from: number): number {
  let settled = 0;
  for (let seq = from; ; ) {
    const entry = entryBefore(tx, seq);
    if (entry === undefined) return settled;
    seq = entry.seq;
    const frame = ownFrame(deps, tx, entry);
    if (frame === undefined) continue;
    settled = Math.max(settled, frame.deviceSeq);
    // Behind it stand lower numbers only; copies and membership may have any.
    if (frame.kind === frameKinds.data && getVerdict(tx, seq)?.reason === "") return settled;
  }
}

function ownEntries(deps: TakeBackDeps, tx: Tx, from: number, settled: number): readonly Mine[] {
  const { applied } = getCursor(tx);
  const mine = new Map<number, Mine>();
  for (let after = from - 1; after < applied; ) {
    for (const entry of entriesAfter(tx, after, 16)) {
      after = entry.seq;
      if (after > applied) break;
      const frame = ownFrame(deps, tx, entry);
      if (frame === undefined || frame.deviceSeq <= settled || mine.has(frame.deviceSeq)) continue;
      mine.set(frame.deviceSeq, { entry, frame, accepted: getVerdict(tx, after)?.reason === "" });
    }
  }
  return [...mine.values()].sort((a, b) => a.frame.deviceSeq - b.frame.deviceSeq);
}

function ownFrame(deps: TakeBackDeps, tx: Tx, entry: Entry): Frame | undefined {
  const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
  if (frame === null || frame.device !== deps.own) return undefined;
  const signer = signerOf(deps, tx, frame);
  return signer.kind === "known" && signer.author === "device" ? frame : undefined;
}

/** Runs that were applied, and so left the outbox: all frames of each, also those that stay in the log. */
function doneRuns(
  deps: TakeBackDeps,
  tx: Tx,
  mine: readonly Mine[],
  from: number,
  sealed: ReadonlyMap<number, Place>,
): readonly (readonly Mine[])[] {
  const done: (readonly Mine[])[] = [];
  let run: Mine[] = [];
  for (const one of mine) {
    if (!one.accepted || one.frame.kind !== frameKinds.data || sealed.has(one.frame.deviceSeq)) continue;
    const { flags } = one.frame;
    if ((flags & frameFlags.continues) === 0) run = [];
    else if (run.length === 0) run = beginning(deps, tx, from);
    run.push(one);
    if ((flags & frameFlags.more) === 0) done.push(run);
  }
  return done;
}

/** The frames of an own run that was open at `from`. */
function beginning(deps: TakeBackDeps, tx: Tx, from: number): Mine[] {
  const found: Mine[] = [];
  for (let seq = from; ; ) {
    const entry = entryBefore(tx, seq);
    if (entry === undefined) return found;
    seq = entry.seq;
    const frame = ownFrame(deps, tx, entry);
    if (frame === undefined || getVerdict(tx, seq)?.reason !== "") continue;
    found.unshift({ entry, frame, accepted: true });
    if ((frame.flags & frameFlags.continues) === 0) return found;
  }
}

/** Ids of runs that are done come back below those that wait, so that the order of edits stays. */
function freeIds(tx: Tx, count: number): readonly number[] {
  const all = runs(tx);
  const taken = new Set(all.map((run) => run.id));
  const own = getOwn(tx);
  let id = all.find((run) => run.parked === undefined)?.id ?? own.nextRun;
  const ids: number[] = [];
  while (ids.length < count && --id > NO_RUN) if (!taken.has(id)) ids.unshift(id);
  // Its edits were made by an earlier replica: they have no ids here.
  for (let next = own.nextRun; ids.length < count; next++) {
    ids.push(next);
    putOwn(tx, { ...getOwn(tx), nextRun: next + 1 });
  }
  return ids;
}

function restore(deps: TakeBackDeps, tx: Tx, id: number, run: readonly Mine[], from: number): void {
  for (const [index, { entry, frame }] of run.entries()) {
    const opened = open(deps, tx, frame);
    if (opened === undefined)
      throw new TidelockError("replica-damaged", { why: "a frame of this device does not open again" });
    const { deviceSeq } = frame;
    putFrame(tx, { run: id, index, ...opened, deviceSeq, sealed: entry.frame as Sealed });
    if (entry.seq >= from) remember(tx, frame.deviceSeq, id, index, entry.id);
  }
  const at = (run[0] as Mine).frame.sealedAt * 1000;
  putRun(tx, { id, frames: run.length, at, parked: undefined, failed: undefined, judged: 0 });
}

function open(
  deps: TakeBackDeps,
  tx: Tx,
  frame: Frame,
): { readonly changes: Uint8Array; readonly stored: boolean } | undefined {
  const key = deps.keys.frameKey(tx, frame.epoch, deps.ownId, deps.own);
  const plain = key === undefined ? null : openFrame(deps.suite, deps.vault, frame, key);
  const text = plain === null ? undefined : decodePlaintext(deps.suite, plain);
  if (plain === null || text?.kind !== "ok") return undefined;
  return { changes: text.changes, stored: plain[0] === 0 };
}

/**
 * No frame may claim a history that nobody has. Such frames have the newest numbers, as anchors never
 * go back; nobody will see them, so their numbers are given again and leave no gap.
 */
function sealAnew(tx: Tx, from: number): void {
  const anew = new Set<number>();
  let sealed = getOwn(tx).settled;
  for (const [key] of tx.scan(SEQS, u64Key(0), undefined)) {
    const deviceSeq = readU64Key(key);
    const at = sealedAt(tx, deviceSeq) as Place;
    const bytes = getFrame(tx, at.run, at.index)?.sealed;
    const frame = bytes === undefined ? null : parseFrame(bytes);
    if (frame?.deviceSeq !== deviceSeq || frame.anchorSeq < from) {
      sealed = deviceSeq;
      continue;
    }
    anew.add(at.run);
    tx.delete(SEQS, key);
  }
  putOwn(tx, { ...getOwn(tx), sealed });
  for (const id of anew) {
    const run = getRun(tx, id);
    if (run === undefined) continue;
    // Made whole for one place in the log, as membership is: its author makes it again.
    const parked = unseal(tx, id) ? undefined : "anchor";
    putRun(tx, { ...run, failed: undefined, parked: run.parked ?? parked });
  }
}

/** Where the changes of a frame that was void lie, under a later number or none. */
function sealedAgain(deps: TakeBackDeps, tx: Tx, frame: Frame): Place | undefined {
  const opened = frame.kind === frameKinds.data ? open(deps, tx, frame) : undefined;
  if (opened === undefined) return undefined;
  for (const f of outbox(tx)) if (equalBytes(f.changes, opened.changes)) return f;
  return undefined;
}

/** Every frame in the outbox, a few in memory at a time. */
function* outbox(tx: Tx): Generator<OutFrame> {
  for (let from = { run: 0, index: 0 }; ; ) {
    const batch = frames(tx, from, 16);
    yield* batch;
    const last = batch.at(-1);
    if (last === undefined || batch.length < 16) return;
    from = { run: last.run, index: last.index + 1 };
  }
}
