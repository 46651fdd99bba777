/**
 * Own frames as a read would show them, from the answer to their append: a remote has no need to send back what
 * this device has sent. Rule ENG21.
 */
import { equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { nextLink } from "../log/chain.ts";
import type { Tx } from "../log/tx.ts";
import type { Page, Receipt } from "../ports.ts";
import { getCursor, linkAt } from "./entries.ts";
import { type SealedFrame, sealedAt } from "./seal.ts";

/** Undefined where the receipt says anything but that they follow what was applied here: then reading shows it. */
export function receivedPage(
  suite: Suite,
  tx: Tx,
  vault: Uint8Array,
  first: number,
  sent: readonly SealedFrame[],
  { time, hash }: Receipt,
): Page | undefined {
  const { read, applied } = getCursor(tx);
  if (first !== read + 1 || applied !== read || !isTime(time)) return undefined;
  let link = linkAt(tx, vault, read);
  for (const [i, { deviceSeq, frame }] of sent.entries()) {
    const id = sealedAt(tx, deviceSeq)?.id;
    if (link === undefined || id === undefined) return undefined;
    link = nextLink(suite, link, first + i, { time, id, frame });
  }
  // The remote has the same history, and nothing stands between our frames or behind them.
  if (link === undefined || !equalBytes(link.hash, hash)) return undefined;
  const entries = sent.map(({ frame }) => ({ time, frame }));
  // What a page without a previous hash counts as is never asked.
  return { objects: [{ kind: "page", first, prev: null, entries, hash }], head: read + sent.length };
}

function isTime(time: number): boolean {
  return Number.isInteger(time) && time >= 0 && time < 2 ** 48;
}
