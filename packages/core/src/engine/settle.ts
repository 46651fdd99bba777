/**
 * What a verdict on an own frame does to the outbox. A run ends when its last frame was applied;
 * a void one is sent again where the cause is mended, else it is parked: it stays in its author's
 * list with its reason, and nothing is dropped. Rules ENG4..ENG6, ENG10.
 */
import { equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import type { Frame } from "../log/frame.ts";
import type { Kind } from "../log/kind.ts";
import { isGivenUp, packsHeldBy } from "../log/locations.ts";
import type { Tx } from "../log/tx.ts";
import type { Verdict } from "./api.ts";
import type { EntryVerdict } from "./apply.ts";
import type { Entry } from "./entries.ts";
import { dropRun, getFrame, getOwn, getRun, type OutRun, putOwn, putRun } from "./outbox.ts";
import { nextSealed, SEQS, sealedAt, unseal } from "./seal.ts";
import type { Spool } from "./spool.ts";

/** Void for a reason that a new seal mends. */
const mended: ReadonlySet<string> = new Set(["epoch-stale", "device-seq", "run", "content", "member-race"]);

export interface SettleDeps {
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly decide: (run: number, verdict: Verdict) => void;
  readonly spool: Spool;
}

/** Validly signed by this device, and not what this replica has sealed: another copy of it is at work. */
export function isForeign(tx: Tx, entry: Entry, frame: Frame): boolean {
  if (frame.deviceSeq <= getOwn(tx).settled) return false;
  const at = sealedAt(tx, frame.deviceSeq);
  return at === undefined || !equalBytes(at.id, entry.id);
}

/** For an own frame that is not foreign. Answers the run that was accepted with it. */
export function concludeOwn(deps: SettleDeps, tx: Tx, verdict: EntryVerdict): OutRun | undefined {
  const { frame, entry } = verdict;
  const own = getOwn(tx);
  // Placed twice: the copy is void `replay`, and the first had the verdict.
  if (frame === undefined || frame.deviceSeq <= own.settled) return undefined;
  // Earlier numbers are used up now: what was sealed under them can no longer be placed (ENG10).
  for (const [key] of tx.scan(SEQS, u64Key(own.settled + 1), u64Key(frame.deviceSeq)))
    settle(deps, tx, readU64Key(key), { seq: entry.seq, reason: "device-seq", applied: false });
  const done = settle(deps, tx, frame.deviceSeq, { ...verdict, seq: entry.seq });
  putOwn(tx, { ...own, settled: frame.deviceSeq });
  return done;
}

interface Outcome extends Pick<EntryVerdict, "reason" | "applied"> {
  readonly seq: number;
}

function settle(deps: SettleDeps, tx: Tx, deviceSeq: number, outcome: Outcome): OutRun | undefined {
  const at = sealedAt(tx, deviceSeq);
  if (at === undefined) return undefined;
  tx.delete(SEQS, u64Key(deviceSeq));
  const run = getRun(tx, at.run);
  if (run === undefined) return undefined;
  // Sealed anew since under another number (ENG15): then only that it was accepted says something of the run.
  if (outcome.reason !== undefined && getFrame(tx, at.run, at.index)?.deviceSeq !== deviceSeq)
    return undefined;
  const failed = run.failed ?? outcome.reason;
  if (failed === undefined) {
    if (!outcome.applied) {
      putRun(tx, { ...run, judged: run.judged + 1 });
      return undefined;
    }
    // What the log has given up meanwhile is packed again from here.
    for (const pack of packsHeldBy(tx, run.id)) if (!isGivenUp(tx, pack)) deps.spool.drop(tx, pack);
    release(deps, tx, run.id);
    dropRun(tx, run.id);
    deps.decide(run.id, { kind: "accepted", seq: outcome.seq });
    return run;
  }
  // The rest of the run is under way and will be void too: wait for it before sealing anew.
  if (nextSealed(tx, deviceSeq) === run.id) {
    putRun(tx, { ...run, failed });
    return undefined;
  }
  const whole = unseal(tx, run.id);
  if (whole && mended.has(failed)) {
    putRun(tx, { ...run, judged: 0, failed: undefined });
  } else {
    release(deps, tx, run.id);
    putRun(tx, { ...run, judged: 0, failed: undefined, parked: failed });
    deps.decide(run.id, { kind: "void", seq: outcome.seq, reason: failed });
  }
  return undefined;
}

function release(deps: SettleDeps, tx: Tx, run: number): void {
  for (const kind of deps.kinds.values()) kind.release(tx, run);
}
