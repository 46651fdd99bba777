/**
 * What a verdict on an own frame does to the outbox. A run ends when its last frame was applied;
 * a void one is sent again where the cause is mended, else it is parked: it stays in its author's
 * list with its reason, and nothing is dropped. Rules ENG4..ENG6.
 */
import { equalBytes, u64Key } from "../bytes/bytes.ts";
import type { Frame } from "../log/frame.ts";
import type { Kind } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import type { Verdict } from "./api.ts";
import type { EntryVerdict } from "./apply.ts";
import type { Entry } from "./entries.ts";
import { dropRun, framesOf, getOwn, getRun, putOwn, putRun } from "./outbox.ts";
import { SEQS, sealedAt, unseal } from "./seal.ts";

/** Void for a reason that a new seal mends. */
const mended: ReadonlySet<string> = new Set(["epoch-stale", "device-seq", "run", "content"]);

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
  const at = sealedAt(tx, frame.deviceSeq);
  if (at === undefined) return;
  tx.delete(SEQS, u64Key(frame.deviceSeq));
  putOwn(tx, { ...own, settled: frame.deviceSeq });
  const run = getRun(tx, at.run);
  if (run === undefined) return;
  const failed = run.failed ?? verdict.reason;
  if (failed === undefined) {
    if (!verdict.applied) putRun(tx, { ...run, judged: run.judged + 1 });
    else {
      release(deps, tx, run.id);
      dropRun(tx, run.id);
      deps.decide(run.id, { kind: "accepted", seq: entry.seq });
    }
    return;
  }
  const list = framesOf(tx, run.id);
  if (list.some((f) => f.deviceSeq > frame.deviceSeq)) {
    // The rest of the run is under way and will be void too: wait for it before sealing anew.
    putRun(tx, { ...run, failed });
  } else if (mended.has(failed)) {
    unseal(tx, list);
    putRun(tx, { ...run, judged: 0, failed: undefined });
  } else {
    unseal(tx, list);
    release(deps, tx, run.id);
    putRun(tx, { ...run, judged: 0, failed: undefined, parked: failed });
    deps.decide(run.id, { kind: "void", seq: entry.seq, reason: failed });
  }
}

function release(deps: SettleDeps, tx: Tx, run: number): void {
  for (const kind of deps.kinds.values()) kind.release(tx, run);
}
