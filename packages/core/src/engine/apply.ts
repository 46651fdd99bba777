/**
 * Replays raw entries: judges each, reduces whole runs through their kinds, and moves the cursor
 * in the same transaction. Rules ENG1, ENG2, LOG7.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { isMembership, nextLogTime } from "../log/chain.ts";
import { type Frame, frameFlags, frameKinds, parseFrame } from "../log/frame.ts";
import type { Kind, VoidReason } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import { type Entry, entriesAfter, getCursor, getEntry, linkAt, putCursor } from "./entries.ts";
import type { HaltCode } from "./ingest.ts";
import {
  type Author,
  getTrack,
  guarded,
  type JudgeDeps,
  judge,
  putTrack,
  reopenFrame,
  type Section,
  signerOf,
  vouches,
} from "./judge.ts";
import type { OutRun } from "./outbox.ts";
import type { EnginePoint } from "./points.ts";
import { putVerdict } from "./verdicts.ts";

/** Open runs: per device the seqs of the frames held. Confirmed state. */
export const OPEN_RUNS = "e.run";
const RUN_LIFETIME = 30 * 86_400_000;

export interface ApplyDeps extends JudgeDeps {
  /**
   * Told of every entry's verdict, inside the transaction: the outbox acts on its own frames. Answers the own run that
   * is done with it.
   */
  readonly onVerdict: (tx: Tx, verdict: EntryVerdict) => OutRun | undefined;
  /** Told of an own run that was applied, with what was in it. */
  readonly onApplied: (tx: Tx, run: OutRun, sections: readonly Section[]) => void;
  /**
   * Why this entry must not be applied at all: asked before anything of it is written. `frame` is
   * one that a device of the vault has signed.
   */
  readonly refuses: (tx: Tx, entry: Entry, frame: Frame | undefined) => HaltCode | undefined;
  readonly ownDevice: (tx: Tx) => number | undefined;
  readonly attested: Attested;
  readonly point: (name: EnginePoint) => void;
}

/** How far signatures behind waiting entries were looked at, so that none is looked at twice. In memory only. */
export interface Attested {
  /** Somebody known has signed that he holds our history up to here. */
  upTo: number;
  /** Entries up to here were looked at. */
  seen: number;
  /** Somebody known has signed another history than ours. */
  fork: boolean;
}

export const unattested: Attested = { upTo: 0, seen: 0, fork: false };

export interface EntryVerdict {
  readonly entry: Entry;
  /** Undefined where no device of the vault has signed it: garbage, a stranger, an admission. */
  readonly frame: Frame | undefined;
  readonly reason: VoidReason | undefined;
  /** The run ends here and was applied. */
  readonly applied: boolean;
  /** Frames of a run that fell with this entry: their seqs. */
  readonly fallen: readonly number[];
}

export type Applied =
  | { readonly kind: "ok"; readonly applied: number; readonly more: boolean }
  /** Nobody known signed the next entry; `seq` is where it stands. */
  | { readonly kind: "waiting"; readonly seq: number; readonly applied: number }
  | { readonly kind: "key-missing"; readonly epoch: number; readonly applied: number }
  | { readonly kind: "halt"; readonly code: HaltCode; readonly seq: number; readonly applied: number };

/**
 * Applies entries inside one transaction until about `budget` changes are done. Unsigned entries up
 * to `pass` may be passed now, because this device waited and will attest.
 */
export function applyEntries(deps: ApplyDeps, tx: Tx, budget: number, pass: number | undefined): Applied {
  let cursor = getCursor(tx);
  let left = budget;
  let applied = 0;
  let stopped = stopCode(deps, tx);
  while (left > 0) {
    const batch = entriesAfter(tx, cursor.applied, 16);
    if (batch.length === 0) break;
    for (const entry of batch) {
      if (left <= 0) break;
      if (stopped !== undefined) return finish({ kind: "halt", code: stopped });
      const step = applyOne(deps, tx, entry, cursor.time, pass);
      if (step.kind !== "ok") return finish(step);
      cursor = { ...cursor, applied: entry.seq, time: step.time };
      applied++;
      left -= step.cost;
      if (isMembership(entry.frame)) stopped = stopCode(deps, tx);
    }
  }
  // Also at the head: nothing is sent under rules this program does not know, or by who is out.
  return finish(stopped === undefined ? { kind: "ok" } : { kind: "halt", code: stopped });

  function finish(end: Stop | { readonly kind: "ok" }): Applied {
    deps.point("apply.between-kinds-and-cursor");
    if (applied > 0) putCursor(tx, cursor);
    if (end.kind === "ok") return { kind: "ok", applied, more: cursor.applied < cursor.read };
    if (end.kind === "waiting") return { kind: "waiting", seq: cursor.applied + 1, applied };
    if (end.kind === "key-missing") return { ...end, applied };
    return { kind: "halt", code: end.code, seq: cursor.applied + 1, applied };
  }
}

/** Why nothing more may be applied after what the log has said so far. */
export function stopCode(deps: Pick<ApplyDeps, "membership" | "ownDevice">, tx: Tx): HaltCode | undefined {
  if (deps.membership.updateNeeded(tx)) return "update-needed";
  const own = deps.ownDevice(tx);
  const gone = own !== undefined && deps.membership.device(tx, own)?.removedAt !== undefined;
  return gone ? "device-removed" : undefined;
}

type Stop =
  | { readonly kind: "waiting" }
  | { readonly kind: "key-missing"; readonly epoch: number }
  | { readonly kind: "halt"; readonly code: HaltCode };

function applyOne(
  deps: ApplyDeps,
  tx: Tx,
  entry: Entry,
  before: number,
  pass: number | undefined,
): Stop | { readonly kind: "ok"; readonly time: number; readonly cost: number } {
  const judged = judge(deps, tx, entry);
  if (judged.kind === "halt") return judged;
  if (judged.kind === "wait-key") return { kind: "key-missing", epoch: judged.epoch };
  if (judged.kind === "unsigned") {
    if (entry.seq > (pass ?? 0) && !isAttested(deps, tx, entry.seq)) return { kind: "waiting" };
    // Altered for us alone: seen before anything of it is applied.
    if (deps.attested.fork) return { kind: "halt", code: "fork" };
    const code = deps.refuses(tx, entry, undefined);
    if (code !== undefined) return { kind: "halt", code };
    const verdict = { entry, frame: undefined, reason: judged.reason, applied: false, fallen: [] };
    conclude(deps, tx, verdict, before);
    return { kind: "ok", time: before, cost: 1 };
  }

  const { frame, author } = judged;
  const signed = author === "device" ? frame : undefined;
  const code = deps.refuses(tx, entry, signed);
  if (code !== undefined) return { kind: "halt", code };
  const fresh = frame.deviceSeq > getTrack(tx, frame.device).seq;
  useUpDeviceSeq(tx, entry, frame, judged.kind === "ok", author);
  if (judged.kind === "void") {
    // A copy of an old frame is none of the run's: whoever repeats one must not be able to fell it.
    const fallen = frame.kind === frameKinds.data && fresh ? fall(tx, frame.device) : [];
    conclude(deps, tx, { entry, frame: signed, reason: judged.reason, applied: false, fallen }, before);
    return { kind: "ok", time: before, cost: 1 };
  }
  const accepted = nextLogTime(before, entry.time, frame.sealedAt);
  deps.point("apply.before-kinds");
  const run = joinRun(deps, tx, entry, frame, judged, accepted);
  const time = run.verdict.reason === undefined ? accepted : before;
  const done = conclude(deps, tx, { entry, frame: signed, ...run.verdict }, time);
  if (run.sections.length > 0 && !deps.quarantined.has(entry.seq)) {
    reduce(entry.seq, tx, run.sections, {
      seq: entry.seq,
      time,
      device: frame.device,
      own: frame.device === deps.ownDevice(tx),
    });
    if (done !== undefined) deps.onApplied(tx, done, run.sections);
    for (const { kind, decoded } of judged.sections) kind.learn?.(tx, decoded.value, judged.carrier);
    // Whom we know may have changed: who signs past a waiting entry is looked for anew.
    if (frame.kind === frameKinds.membership) {
      deps.attested.seen = 0;
      fallUnauthorised(deps, tx, time);
    }
  }
  const cost = run.sections.reduce((sum, s) => sum + s.decoded.changes, 1);
  return { kind: "ok", time, cost };
}

/** A validly signed frame uses up its device seq once placed, whatever its verdict (LOG9). */
function useUpDeviceSeq(tx: Tx, entry: Entry, frame: Frame, accepted: boolean, author: Author): void {
  // A void admission must not use up the numbers of whoever has or gets that index.
  if (!accepted && author === "admission") return;
  const track = getTrack(tx, frame.device);
  if (frame.deviceSeq <= track.seq && !(accepted && frame.kind === frameKinds.membership)) return;
  const newer = frame.deviceSeq > track.seq;
  putTrack(tx, frame.device, {
    seq: newer ? frame.deviceSeq : track.seq,
    id: newer ? entry.id : track.id,
    anchorSeq: accepted ? Math.max(track.anchorSeq, frame.anchorSeq) : track.anchorSeq,
  });
}

function reduce(seq: number, tx: Tx, sections: readonly Section[], at: Parameters<Kind["apply"]>[2]): void {
  const byKind = new Map<Kind, unknown[]>();
  for (const { kind, decoded } of sections) {
    const values = byKind.get(kind);
    if (values === undefined) byKind.set(kind, [decoded.value]);
    else values.push(decoded.value);
  }
  // Where content lies is said in a run before what relies on it, in whichever of its frames.
  const inOrder = [...byKind].sort(([a], [b]) => a.section - b.section);
  guarded(seq, () => {
    for (const [kind, values] of inOrder) kind.apply(tx, values, at);
  });
}

interface OpenRun {
  readonly since: number;
  /** Of its changes so far, after inflate. */
  readonly bytes: number;
  readonly seqs: readonly number[];
}

const runKey = (device: number): Uint8Array => new Writer(4).u32(device).done();

function getOpenRun(tx: Tx, device: number): OpenRun | undefined {
  const bytes = tx.get(OPEN_RUNS, runKey(device));
  if (bytes === undefined) return undefined;
  const r = new Reader(bytes);
  const [since, size] = [r.u48(), r.v()];
  const seqs: number[] = [];
  for (let n = r.v(); n > 0; n--) seqs.push(r.v());
  return { since, bytes: size, seqs };
}

function putOpenRun(tx: Tx, device: number, run: OpenRun): void {
  const w = new Writer(24 + run.seqs.length * 4).u48(run.since).v(run.bytes).v(run.seqs.length);
  for (const seq of run.seqs) w.v(seq);
  tx.put(OPEN_RUNS, runKey(device), w.done());
}

/** An open run of a device falls whole; the seqs of its frames. */
function fall(tx: Tx, device: number): readonly number[] {
  const open = getOpenRun(tx, device);
  if (open === undefined) return [];
  tx.delete(OPEN_RUNS, runKey(device));
  return open.seqs;
}

/** What a device left open when it lost the right to write must not end by a later role (LOG10). */
function fallUnauthorised(deps: ApplyDeps, tx: Tx, time: number): void {
  for (const [key] of tx.scan(OPEN_RUNS, new Uint8Array(0), undefined)) {
    const index = new Reader(key).u32();
    const device = deps.membership.device(tx, index);
    if (device !== undefined && deps.membership.standing(tx, device) === "writer") continue;
    for (const seq of fall(tx, index)) putVerdict(tx, seq, { time, reason: "run" });
  }
}

interface Joined {
  readonly verdict: Pick<EntryVerdict, "reason" | "applied" | "fallen">;
  /** What applies at this position: a whole run, or nothing yet. */
  readonly sections: readonly Section[];
}

/** Runs: a run applies at its last frame, or falls whole (LOG10). */
function joinRun(
  deps: ApplyDeps,
  tx: Tx,
  entry: Entry,
  frame: Frame,
  { sections, bytes: size }: { readonly sections: readonly Section[]; readonly bytes: number },
  time: number,
): Joined {
  if (frame.kind === frameKinds.membership)
    return { verdict: { reason: undefined, applied: true, fallen: [] }, sections };
  const continues = (frame.flags & frameFlags.continues) !== 0;
  const more = (frame.flags & frameFlags.more) !== 0;
  let open = getOpenRun(tx, frame.device);
  let fallen: readonly number[] = [];
  const bytes = (open?.bytes ?? 0) + size;
  if (
    open !== undefined &&
    (!continues ||
      time - open.since > RUN_LIFETIME ||
      open.seqs.length >= limits.framesPerRun ||
      bytes > limits.runBytes)
  ) {
    fallen = fall(tx, frame.device);
    open = undefined;
  }
  if (continues && open === undefined)
    return { verdict: { reason: "run", applied: false, fallen }, sections: [] };
  if (more) {
    const since = open?.since ?? time;
    const held = open === undefined ? size : bytes;
    putOpenRun(tx, frame.device, { since, bytes: held, seqs: [...(open?.seqs ?? []), entry.seq] });
    return { verdict: { reason: undefined, applied: false, fallen }, sections: [] };
  }
  const held = open?.seqs ?? [];
  if (open !== undefined) tx.delete(OPEN_RUNS, runKey(frame.device));
  const earlier = held.flatMap((seq) => reopen(deps, tx, seq));
  return { verdict: { reason: undefined, applied: true, fallen }, sections: [...earlier, ...sections] };
}

/** The sections of a frame that was accepted before, as part of an open run. */
function reopen(deps: ApplyDeps, tx: Tx, seq: number): readonly Section[] {
  if (deps.quarantined.has(seq)) return [];
  const entry = getEntry(tx, seq) as Entry;
  const frame = parseFrame(entry.frame as Uint8Array) as Frame;
  return reopenFrame(deps, tx, frame);
}

/** Keeps the verdict for people, and lets the outbox act on its own frames. */
function conclude(deps: ApplyDeps, tx: Tx, verdict: EntryVerdict, time: number): OutRun | undefined {
  putVerdict(tx, verdict.entry.seq, { time, reason: verdict.reason ?? "" });
  for (const seq of verdict.fallen) putVerdict(tx, seq, { time, reason: "run" });
  return deps.onVerdict(tx, verdict);
}

/**
 * Whether a later entry, signed by somebody we know, is anchored at or past `seq` in our history, or
 * in another one: then `fork` is set.
 */
function isAttested(deps: ApplyDeps, tx: Tx, seq: number): boolean {
  const { attested } = deps;
  while (attested.upTo < seq && !attested.fork) {
    const batch = entriesAfter(tx, Math.max(attested.seen, seq), 16);
    if (batch.length === 0) return false;
    for (const later of batch) {
      attested.seen = later.seq;
      const frame = later.frame === undefined ? null : parseFrame(later.frame);
      const ours =
        frame === null || frame.anchorSeq >= later.seq ? undefined : linkAt(tx, deps.vault, frame.anchorSeq);
      if (frame === null || ours === undefined) continue;
      const agrees = equalBytes(ours.hash, frame.anchor);
      if (agrees && frame.anchorSeq <= attested.upTo) continue;
      const signer = signerOf(deps, tx, frame);
      if (signer.kind === "nobody" || signer.standing === "removed") continue;
      if (agrees) attested.upTo = frame.anchorSeq;
      else if (vouches(signer)) attested.fork = true;
    }
  }
  return true;
}
