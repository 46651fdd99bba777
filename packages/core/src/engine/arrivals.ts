/**
 * What a removed device wrote between what its remover had seen and the removal: it stays valid, since
 * nothing in the log is taken back, and whoever removed the device should look at it (MEM10).
 */
import { parseFrame } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import type { Membership } from "../vault/membership.ts";
import { entriesAfter, getEntry } from "./entries.ts";
import { getVerdict } from "./verdicts.ts";

/** Seqs of accepted frames, in order. */
export function arrivedDuringRemoval(membership: Membership, tx: Tx, index: number): readonly number[] {
  const device = membership.device(tx, index);
  const { removedAt } = device ?? {};
  const removal = removedAt === undefined ? undefined : getEntry(tx, removedAt)?.frame;
  const frame = removal === undefined ? null : parseFrame(removal);
  if (device === undefined || removedAt === undefined || frame === null) return [];
  // What stands before the anchor of the removal had been seen.
  const seqs: number[] = [];
  for (let seq = frame.anchorSeq; seq < removedAt; )
    for (const entry of entriesAfter(tx, seq, 64)) {
      ({ seq } = entry);
      const other = entry.frame === undefined || seq >= removedAt ? null : parseFrame(entry.frame);
      if (other?.device !== index || other.deviceSeq <= device.cutoff) continue;
      if (getVerdict(tx, seq)?.reason === "") seqs.push(seq);
    }
  return seqs;
}
