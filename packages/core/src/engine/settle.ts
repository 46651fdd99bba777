/**
 * What a verdict on an own frame does to the outbox. A run ends when its last frame was applied;
 * a void one is sent again where the cause is mended, else it is parked: it stays in its author's
 * list with its reason, and nothing is dropped. Rules ENG4..ENG6, ENG10.
 */
import { equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import type { Frame } from "../log/frame.ts";
import type { Kind } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import type { Verdict } from "./api.ts";
import type { EntryVerdict } from "./apply.ts";
import type { Entry } from "./entries.ts";
import { dropRun, getFrame, getOwn, getRun, putOwn, putRun } from "./outbox.ts";
import { nextSealed, SEQS, sealedAt, unseal } from "./seal.ts";

/** Void for a reason that a new seal mends. */
const mended: ReadonlySet<string> = new Set(["epoch-stale", "device-seq", "run", "content", "member-race"]);

export interface SettleDeps {
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly decide: (run: number, verdict: Verdict) => void;
}

/** Validly signed by this device, and not what this replica has sealed: another copy of it is at work. */
export function isForeign(tx: Tx, entry: Entry, frame: Frame): boolean {
  if (frame.deviceSeq <= getOwn(tx).settled) return false;
  const at = sealedAt(tx, frame.deviceSeq);
  return at === undefined || !equalBytes(at.id, entry.id);
}

/** For an own frame that is not foreign. */
export function concludeOwn(deps: SettleDeps, tx: Tx, verdict: EntryVerdict): void {
  const { frame, entry } = verdict;
  const own = getOwn(tx);
  // Placed twice: the copy is void `replay`, and the first had the verdict.
  if (frame === undefined || frame.deviceSeq <= own.settled) return;
  // Earlier numbers are used up now: what was sealed under them can no longer be placed (ENG10).
  for (const [key] of tx.scan(SEQS, u64Key(own.settled + 1), u64Key(frame.deviceSeq)))
    settle(deps, tx, readU64Key(key), { seq: entry.seq, reason: "device-seq", applied: false });
  settle(deps, tx, frame.deviceSeq, { ...verdict, seq: entry.seq });
  putOwn(tx, { ...own, settled: frame.deviceSeq });
}

interface Outcome extends Pick<EntryVerdict, "reason" | "applied"> {
  readonly seq: number;
}

function settle(deps: SettleDeps, tx: Tx, deviceSeq: number, outcome: Outcome): void {
  const at = sealedAt(tx, deviceSeq);
  if (at === undefined) return;
  tx.delete(SEQS, u64Key(deviceSeq));
  const run = getRun(tx, at.run);
  if (run === undefined) return;
  // Sealed anew since under another number (ENG15): then only that it was accepted says something of the run.
  if (outcome.reason !== undefined && getFrame(tx, at.run, at.index)?.deviceSeq !== deviceSeq) return;
  const failed = run.failed ?? outcome.reason;
  if (failed === undefined) {
    if (!outcome.applied) putRun(tx, { ...run, judged: run.judged + 1 });
    else {
      release(deps, tx, run.id);
      dropRun(tx, run.id);
      deps.decide(run.id, { kind: "accepted", seq: outcome.seq });
    }
    return;
  }
  // The rest of the run is under way and will be void too: wait for it before sealing anew.
  if (nextSealed(tx, deviceSeq) === run.id) {
    putRun(tx, { ...run, failed });
    return;
  }
  const whole = unseal(tx, run.id);
  if (whole && mended.has(failed)) {
    putRun(tx, { ...run, judged: 0, failed: undefined });
  } else {
    release(deps, tx, run.id);
    putRun(tx, { ...run, judged: 0, failed: undefined, parked: failed });
    deps.decide(run.id, { kind: "void", seq: outcome.seq, reason: failed });
  }
}

function release(deps: SettleDeps, tx: Tx, run: number): void {
  for (const kind of deps.kinds.values()) kind.release(tx, run);
}
