/**
 * What a person decides about an own edit: one that the log did not take goes out again, or one that
 * is not under way is given up. Each is one transaction. Rules ENG16, ENG17.
 */
import { TidelockError } from "../errors.ts";
import { HOUSEKEEPING, type HousekeepingRecord } from "../log/housekeeping.ts";
import type { Kind } from "../log/kind.ts";
import { noteLoss } from "../log/locations.ts";
import { decodeSections } from "../log/plaintext.ts";
import type { Tx } from "../log/tx.ts";
import type { Verdict } from "./api.ts";
import { getCursor } from "./entries.ts";
import { dropRun, eachFrame, getOwn, getRun, type OutRun, putFrame, putOwn, putRun } from "./outbox.ts";
import { holdRun } from "./rebuild.ts";
import { leadsTo } from "./seal.ts";
import type { Spool } from "./spool.ts";

export type RunState =
  | "unsent"
  /** Sealed, so it may stand in the log: only replay says what becomes of it. */
  | "sent"
  | "rejected";

export interface QueueDeps {
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly decide: (run: number, verdict: Verdict) => void;
  readonly spool: Spool;
}

export function stateOfRun(tx: Tx, run: OutRun): RunState {
  for (const f of eachFrame(tx, run.id)) if (f.deviceSeq !== 0) return "sent";
  // Sealed before, and its verdict is open again since an end of the history gave way (ENG15).
  if (leadsTo(tx, run.id)) return "sent";
  return run.parked === undefined ? "unsent" : "rejected";
}

/**
 * Queues what was refused as a new run behind all others, so that it comes between no frames of another one.
 * Answers the new id.
 */
export function retryRun(deps: QueueDeps, tx: Tx, id: number): number {
  const run = runOf(tx, id);
  if (stateOfRun(tx, run) !== "rejected")
    throw new TidelockError("usage", {
      why: "this edit was not refused: it waits, and goes by itself",
      next: "tidelock sync",
    });
  const { nextRun, ...numbers } = getOwn(tx);
  putOwn(tx, { ...numbers, nextRun: nextRun + 1 });
  for (const f of eachFrame(tx, id)) {
    if (f.changes.length === 0)
      throw new TidelockError("usage", {
        why: "this was made for one place in the log, and can only be made anew",
        next: "tidelock queue drop",
      });
    putFrame(tx, { ...f, run: nextRun, deviceSeq: 0, sealed: undefined });
  }
  putRun(tx, { ...run, id: nextRun, parked: undefined, failed: undefined, judged: 0 });
  dropRun(tx, id);
  holdRun(deps.kinds, tx, nextRun);
  // What it names may be gone since, or have been the reason.
  noteLoss(tx);
  return nextRun;
}

/** It is gone for good: whoever calls has kept what is in it. */
export function discardRun(deps: QueueDeps, tx: Tx, id: number): void {
  const run = runOf(tx, id);
  const state = stateOfRun(tx, run);
  if (state === "sent")
    throw new TidelockError("usage", {
      why: "this edit is under way, and may stand in the log already",
      next: "tidelock sync --wait, then tidelock queue ls",
    });
  if (state === "unsent") {
    for (const kind of deps.kinds.values()) kind.release(tx, id);
    deps.decide(id, { kind: "void", seq: getCursor(tx).applied, reason: "discarded" });
  }
  for (const pack of broughtBy(deps, tx, id)) deps.spool.drop(tx, pack);
  dropRun(tx, id);
}

/** Packs that are here for this run alone. */
function broughtBy({ kinds }: QueueDeps, tx: Tx, id: number): readonly Uint8Array[] {
  const housekeeping = kinds.get(HOUSEKEEPING);
  const packs: Uint8Array[] = [];
  for (const { changes, act } of eachFrame(tx, id)) {
    const section = act === true ? undefined : decodeSections(changes)?.get(HOUSEKEEPING);
    const records =
      section && (housekeeping?.decode(section)?.value as readonly HousekeepingRecord[] | undefined);
    for (const one of records ?? []) if (one.kind === "stored") packs.push(one.stored.pack);
  }
  return packs;
}

function runOf(tx: Tx, id: number): OutRun {
  const run = getRun(tx, id);
  if (run === undefined)
    throw new TidelockError("not-found", {
      why: "no edit of this number waits or was refused",
      next: "tidelock queue ls",
    });
  return run;
}
