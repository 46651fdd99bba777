/**
 * Turns waiting edits into sealed frames. One batch is out at a time: nothing new is sealed while
 * an earlier send is without its verdict or in doubt, so a retry is always the same bytes.
 */

import type { Sealed } from "../bytes/brand.ts";
import { readU64Key, u64Key } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { SecretKeys } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import type { Link } from "../log/chain.ts";
import { frameFlags, frameKinds, sealFrame } from "../log/frame.ts";
import type { Kind } from "../log/kind.ts";
import { encodePlaintext } from "../log/plaintext.ts";
import type { Tx } from "../log/tx.ts";
import type { Clock } from "../ports.ts";
import type { Membership } from "../vault/membership.ts";
import { sealMembership } from "../vault/membership-frame.ts";
import { decodeAct, makeRecords } from "./acts.ts";
import type { Verdict } from "./api.ts";
import { getCursor, linkAt } from "./entries.ts";
import { getTrack } from "./judge.ts";
import type { KeyRing } from "./key-ring.ts";
import { mendLost } from "./lost-content.ts";
import {
  dropRun,
  eachFrame,
  frames,
  getFrame,
  getOwn,
  getRun,
  type OutFrame,
  type OutRun,
  putFrame,
  putOwn,
  putRun,
} from "./outbox.ts";
import type { Spool } from "./spool.ts";

/** Own device seqs that are sealed and without a verdict: where their frame lies, and its hash. */
export const SEQS = "o.seq";
/** A batch stays well below the append's cap. */
const BATCH_BYTES = 3 << 20;

export interface SealDeps {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly vault: Uint8Array;
  readonly ring: KeyRing;
  readonly keys: SecretKeys;
  readonly membership: Membership;
  readonly ownDevice: (tx: Tx) => number | undefined;
  readonly ownId: Uint8Array;
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly decide: (run: number, verdict: Verdict) => void;
  /** Keeps what must be stored before the frame that names it. */
  readonly spool: Spool;
}

export interface SealedFrame {
  readonly deviceSeq: number;
  readonly frame: Sealed;
}

/** Where the frame of an own device seq lies in the outbox. */
export function sealedAt(
  tx: Tx,
  deviceSeq: number,
): { readonly run: number; readonly index: number; readonly id: Uint8Array } | undefined {
  const bytes = tx.get(SEQS, u64Key(deviceSeq));
  if (bytes === undefined) return undefined;
  const r = new Reader(bytes);
  return { run: r.v(), index: r.v(), id: r.fixed(32) };
}

/** The same bytes while any sealed frame is neither placed nor judged; else newly sealed ones. */
export function nextBatch(deps: SealDeps, tx: Tx, placed: ReadonlySet<number>): readonly SealedFrame[] {
  const out: SealedFrame[] = [];
  let bytes = 0;
  let inFlight = 0;
  for (const [key, value] of tx.scan(SEQS, u64Key(0), undefined)) {
    const deviceSeq = readU64Key(key);
    if (placed.has(deviceSeq)) {
      inFlight++;
      continue;
    }
    const r = new Reader(value);
    const [run, index] = [r.v(), r.v()];
    const frame = getFrame(tx, run, index);
    // Only known as ours, and to be sent no more: its run is done or was sealed anew (ENG15).
    if (frame?.deviceSeq !== deviceSeq && (frame !== undefined || getRun(tx, run) === undefined)) continue;
    inFlight++;
    const sealed = frame?.sealed;
    if (sealed === undefined)
      throw new TidelockError("replica-damaged", { why: "a sealed frame is not here" });
    if (out.length === limits.framesPerAppend || (out.length > 0 && bytes + sealed.length > BATCH_BYTES))
      break;
    out.push({ deviceSeq, frame: sealed });
    bytes += sealed.length;
  }
  return inFlight > 0 ? out : sealNew(deps, tx);
}

function sealNew(deps: SealDeps, tx: Tx): readonly SealedFrame[] {
  const device = deps.ownDevice(tx);
  const epoch = deps.membership.newestEpoch(tx);
  const known = device === undefined ? undefined : deps.membership.device(tx, device);
  if (device === undefined || known === undefined || epoch === undefined) return [];
  const standing = deps.membership.standing(tx, known);
  // Kept as they are: a device that comes back under new keys takes them along.
  if (standing === "removed") return [];
  const key = deps.ring.frameKey(tx, epoch.n, deps.ownId, device);
  if (key === undefined) return [];
  const { applied } = getCursor(tx);
  mendLost({ ...deps, park: (lost, run, reason) => park(deps, lost, run, applied, reason) }, tx);
  const anchor = (linkAt(tx, deps.vault, applied) as Link).hash;
  const own = getOwn(tx);
  let deviceSeq = Math.max(own.sealed, own.settled, getTrack(tx, device).seq);
  const out: SealedFrame[] = [];
  let bytes = 0;
  for (const f of waitingFrames(tx)) {
    const run = getRun(tx, f.run);
    if (run === undefined || run.parked !== undefined) continue;
    if (out.length === limits.framesPerAppend) break;
    if (f.act === true) {
      // Alone: what comes after it is sealed under the state it makes.
      if (out.length > 0) break;
      const frame = sealAct(deps, tx, f, device, deviceSeq + 1);
      if (frame === undefined) continue;
      deviceSeq++;
      place(f, deviceSeq, frame);
      break;
    }
    if (standing === "reader") {
      park(deps, tx, run, applied, "role");
      continue;
    }
    const plain = encodePlaintext(deps.suite, f.changes, f.stored);
    if (out.length > 0 && bytes + plain.length > BATCH_BYTES) break;
    deviceSeq++;
    const more = f.index < run.frames - 1 ? frameFlags.more : 0;
    const continues = f.index > 0 ? frameFlags.continues : 0;
    const header = {
      suite: deps.suite.id,
      kind: frameKinds.data,
      flags: more | continues,
      epoch: epoch.n,
      device,
      deviceSeq,
      anchorSeq: applied,
      anchor,
      sealedAt: Math.max(0, Math.floor(deps.clock.now() / 1000)),
      nonce: deps.suite.random(24),
    };
    const frame = sealFrame(deps.suite, deps.vault, header, plain, key, deps.keys.signSecret);
    place(f, deviceSeq, frame);
  }
  if (out.length > 0) putOwn(tx, { ...own, sealed: deviceSeq });
  return out;

  function place(f: OutFrame, seq: number, frame: Sealed): void {
    putFrame(tx, { ...f, deviceSeq: seq, sealed: frame });
    tx.put(SEQS, u64Key(seq), new Writer(48).v(f.run).v(f.index).fixed(deps.suite.sha256(frame)).done());
    out.push({ deviceSeq: seq, frame });
    bytes += frame.length;
  }
}

/** The frame of an act as things stand; undefined where it need not or cannot be said any more. */
function sealAct(deps: SealDeps, tx: Tx, f: OutFrame, device: number, deviceSeq: number): Sealed | undefined {
  const { suite, vault, membership, ring } = deps;
  const { applied, time } = getCursor(tx);
  const run = getRun(tx, f.run) as OutRun;
  const act = decodeAct(f.changes);
  if (act === null) throw new TidelockError("replica-damaged", { why: "an act in the outbox is none" });
  const roster = membership.roster(tx);
  const key = ring.epochKey(tx, roster.epoch?.n ?? 0);
  if (key === undefined) return undefined;
  const link = linkAt(tx, vault, applied) as Link;
  const now = deps.clock.now();
  const sealedSeconds = Math.max(0, Math.floor(now / 1000));
  const said = {
    device,
    deviceSeq,
    seq: applied + 1,
    anchor: link.hash,
    received: Math.max(time, now),
    sealedAt: sealedSeconds,
  };
  const made = makeRecords({ suite, vault, roster, settings: membership.settings(tx), key, said }, tx, act);
  if (made.kind === "done") {
    dropRun(tx, run.id);
    deps.decide(run.id, { kind: "accepted", seq: applied });
    return undefined;
  }
  if (made.kind === "void") {
    park(deps, tx, run, applied, made.reason);
    return undefined;
  }
  if (made.begins !== undefined) {
    ring.offer(tx, made.begins.commit, made.epoch.key);
    deps.spool.put(tx, made.begins.pack.id, made.begins.pack.bytes);
  }
  return sealMembership(suite, vault, {
    author: { keys: deps.keys, id: deps.ownId, index: device, deviceSeq },
    at: { seq: applied, link, now },
    epoch: made.epoch,
    records: made.records,
  });
}

/** What the log would not take is not sent: its author's list has it, with the reason. */
function park(deps: SealDeps, tx: Tx, run: OutRun, seq: number, reason: string): void {
  for (const kind of deps.kinds.values()) kind.release(tx, run.id);
  putRun(tx, { ...run, judged: 0, failed: undefined, parked: reason });
  deps.decide(run.id, { kind: "void", seq, reason });
}

/** A frame may be large: so many are held at a time. */
const HELD = 16;

/** Unsealed frames of runs that are neither parked nor failed, in the order they were made. */
function* waitingFrames(tx: Tx): Generator<OutFrame> {
  let from = { run: 0, index: 0 };
  for (;;) {
    const page = frames(tx, from, HELD);
    for (const f of page) {
      from = { run: f.run, index: f.index + 1 };
      if (f.deviceSeq !== 0) continue;
      const run = getRun(tx, f.run);
      if (run !== undefined && run.parked === undefined && run.failed === undefined) yield f;
    }
    if (page.length < HELD) return;
  }
}

/** Whether a frame of this run is sealed and without a verdict, under whatever number. */
export function leadsTo(tx: Tx, run: number): boolean {
  return tx.scan(SEQS, u64Key(0), undefined).some(([, value]) => new Reader(value).v() === run);
}

/** The run of the next frame that is sealed and without a verdict: a run's frames have numbers in a row. */
export function nextSealed(tx: Tx, deviceSeq: number): number | undefined {
  const [next] = tx.scan(SEQS, u64Key(deviceSeq + 1), undefined, 1);
  return next === undefined ? undefined : new Reader(next[1]).v();
}

/**
 * Takes a run's frames back to unsealed, to be sealed anew under later numbers. False where one was
 * made whole: such a frame means one place in the log and is not made again.
 */
export function unseal(tx: Tx, run: number): boolean {
  let whole = true;
  for (const f of eachFrame(tx, run)) {
    if (f.changes.length === 0) whole = false;
    else putFrame(tx, { ...f, deviceSeq: 0, sealed: undefined });
  }
  return whole;
}
