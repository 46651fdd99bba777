/**
 * Own edits whose content the log has nowhere: what they bring was given up before they were heard. They are not lost:
 * what had no effect waits again in its place, and its packs are made anew from what is still here. Rules CNT15, CNT16.
 */
import { concat, equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { HOUSEKEEPING } from "../log/housekeeping.ts";
import type { Kind } from "../log/kind.ts";
import { givenUpHere, noteLoss, takeLoss } from "../log/locations.ts";
import { renamedPack } from "../log/pack.ts";
import { decodeSections, encodeSections } from "../log/plaintext.ts";
import type { Tx } from "../log/tx.ts";
import { decodeAll, type Section } from "./judge.ts";
import { dropRun, eachFrame, type OutRun, putFrame, putRun, runs } from "./outbox.ts";
import { holdRun } from "./rebuild.ts";
import type { Spool } from "./spool.ts";

/** After an own run was applied and has left the outbox. Answers whether part of it waits again. */
export function sendAgain(
  kinds: ReadonlyMap<number, Kind>,
  tx: Tx,
  run: OutRun,
  sections: readonly Section[],
): boolean {
  const left = sections.flatMap(({ kind, decoded }) => {
    const part = kind.lacking?.(tx, decoded.value, false);
    return part === undefined ? [] : [encodeSections(new Map([[kind.section, part]]))];
  });
  if (left.length === 0) return false;
  putRun(tx, { ...run, frames: left.length, judged: 0, failed: undefined, parked: undefined });
  for (const [index, changes] of left.entries())
    putFrame(tx, { run: run.id, index, changes, stored: false, deviceSeq: 0, sealed: undefined });
  holdRun(kinds, tx, run.id);
  noteLoss(tx);
  return true;
}

export interface LostDeps {
  readonly suite: Suite;
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly spool: Spool;
  readonly park: (tx: Tx, run: OutRun, reason: "content") => void;
}

/** Before anything is sealed, with nothing under way: what cannot count is not sent. */
export function mendLost(deps: LostDeps, tx: Tx): void {
  if (!takeLoss(tx)) return;
  for (const { pack } of givenUpHere(tx)) repack(deps, tx, pack);
  for (const run of runs(tx)) {
    if (run.parked !== undefined || !lacks(deps, tx, run.id)) continue;
    deps.park(tx, run, "content");
    // Of packs that are gone nobody needs to know more: what names them says it.
    if (isRecordsAlone(tx, run.id)) dropRun(tx, run.id);
  }
}

/** The same chunks under a name that nobody has given up: it stands for the old one in all that waits. */
function repack({ suite, kinds, spool }: LostDeps, tx: Tx, pack: Uint8Array): void {
  const bytes = spool.get(tx, pack);
  if (bytes === undefined) return;
  const again = renamedPack(suite, bytes);
  spool.put(tx, again.id, again.bytes);
  spool.drop(tx, pack);
  for (const { id, parked } of runs(tx)) {
    if (parked !== undefined) continue;
    let isChanged = false;
    for (const frame of eachFrame(tx, id)) {
      const changes = replaced(frame.changes, pack, again.id);
      if (changes === undefined) continue;
      putFrame(tx, { ...frame, changes });
      isChanged = true;
    }
    if (isChanged) holdRun(kinds, tx, id);
  }
}

/** A pack's name is a hash that no other bytes are: wherever it stands, it is meant. */
function replaced(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array | undefined {
  let out: Uint8Array | undefined;
  for (let at = bytes.indexOf(from[0] as number); at >= 0; at = bytes.indexOf(from[0] as number, at + 1)) {
    if (!equalBytes(bytes.subarray(at, at + from.length), from)) continue;
    out ??= concat(bytes);
    out.set(to, at);
  }
  return out;
}

function isRecordsAlone(tx: Tx, run: number): boolean {
  for (const { changes, act } of eachFrame(tx, run)) {
    const sections = act === true ? null : decodeSections(changes);
    if (sections === null || [...sections.keys()].some((one) => one !== HOUSEKEEPING)) return false;
  }
  return true;
}

function lacks({ kinds }: LostDeps, tx: Tx, run: number): boolean {
  for (const { changes, act } of eachFrame(tx, run)) {
    if (changes.length === 0 || act === true) continue;
    const sections = decodeAll(kinds, changes);
    if (typeof sections === "string") continue;
    if (sections.some(({ kind, decoded }) => kind.lacking?.(tx, decoded.value, true) !== undefined))
      return true;
  }
  return false;
}
