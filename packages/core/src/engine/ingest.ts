/**
 * Takes pages of a remote into the replica's raw log. Checks number, previous hash and, for
 * entries read before, equality. Judges nothing. Rules LOG2, LOG4, LOG6.
 */
import { equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import type { Link } from "../log/chain.ts";
import { type Frame, parseFrame } from "../log/frame.ts";
import { endOf } from "../log/page.ts";
import type { Tx } from "../log/tx.ts";
import type { LogObject, Page } from "../ports.ts";
import {
  addEntry,
  type Cursor,
  dropEntriesAfter,
  entriesAfter,
  getCursor,
  getEntry,
  getReach,
  linkAt,
  putCursor,
  putReach,
  sameEntry,
} from "./entries.ts";
import { type SignerDeps, signerOf, vouches } from "./judge.ts";

export type HaltCode =
  | "fork"
  | "rollback"
  | "chain-broken"
  | "op-reused"
  | "replica-damaged"
  /** This device was taken out: it applies nothing that came after, and sends nothing (MEM20). */
  | "device-removed"
  /** An accepted record announced rules this program does not know (D3). */
  | "update-needed";

export type Ingested =
  | {
      readonly kind: "ok";
      /** How many entries were new, also in the place of ones that only waited. */
      readonly fresh: number;
      /** Entries that were read before gave way. */
      readonly replaced: boolean;
    }
  | { readonly kind: "halt"; readonly code: HaltCode };

/** What an object says of one entry, before it is chained. */
export interface Raw {
  readonly object: number;
  readonly time: number;
  readonly id: Uint8Array;
  readonly frame: Uint8Array | undefined;
}

/** Inside one transaction. `after` is what was asked for; `promised` the newest seq an append was answered. */
export function ingest(deps: SignerDeps, tx: Tx, after: number, page: Page, promised: number): Ingested {
  let cursor = getCursor(tx);
  let replaced = false;
  // What joined before it stays, also where what follows is refused.
  const halt = (code: HaltCode): Ingested => {
    putCursor(tx, cursor);
    return { kind: "halt", code };
  };
  const giveWay = (seq: number): void => {
    dropEntriesAfter(tx, seq);
    cursor = { ...cursor, read: seq };
    replaced = true;
  };

  if (page.head < Math.max(promised, cursor.applied)) return halt("rollback");
  if (page.head < cursor.read) {
    // Garbage that only waited may go as it came; what somebody has signed may not.
    if (holdsSigned(deps, tx, page.head)) return halt("rollback");
    giveWay(page.head);
  }
  let seq = Math.min(after, cursor.read);
  let before = linkAt(tx, deps.vault, seq) as Link;
  let fresh = 0;
  for (const object of page.objects) {
    // Inside one that was taken: ignored.
    if (object.first <= seq) continue;
    if (object.first > seq + 1) break;
    const strange = isStrange(object, before);
    if (strange && object.kind === "page") {
      if (holdsFork(deps, tx, object, cursor.read)) return halt("fork");
      putReach(tx, Math.max(getReach(tx), endOf(object)));
    }
    for (const raw of rawEntries(deps.suite, object, strange)) {
      seq++;
      const known = seq <= cursor.read ? getEntry(tx, seq) : undefined;
      if (known !== undefined && sameEntry(known, raw)) {
        before = known.link;
        continue;
      }
      // What was applied cannot change; what only waits gives way to what the remote now shows.
      if (known !== undefined) {
        if (seq <= cursor.applied) return halt("fork");
        giveWay(seq - 1);
      }
      before = addEntry(tx, deps.suite, before, seq, raw).link;
      cursor = { ...cursor, read: seq };
      fresh++;
    }
  }
  putCursor(tx, cursor);
  // Nothing stands where the next entry should, and the remote has shown a later one.
  const gap = seq === after && page.head > Math.max(after, getReach(tx));
  return gap ? halt("chain-broken") : { kind: "ok", fresh, replaced };
}

/** Whether anything after `seq` was signed by somebody we know, over our history. */
function holdsSigned(deps: SignerDeps, tx: Tx, seq: number): boolean {
  for (let from = seq; ; ) {
    const batch = entriesAfter(tx, from, 16);
    for (const { frame: bytes } of batch) {
      const frame = bytes === undefined ? null : parseFrame(bytes);
      if (frame === null || !isAnchored(deps, tx, frame)) continue;
      if (signerOf(deps, tx, frame).kind === "known") return true;
    }
    const last = batch.at(-1);
    if (last === undefined) return false;
    from = last.seq;
  }
}

function isAnchored(deps: SignerDeps, tx: Tx, frame: Frame): boolean {
  const ours = linkAt(tx, deps.vault, frame.anchorSeq);
  return ours !== undefined && equalBytes(ours.hash, frame.anchor);
}

/** A page that was written for another history than the one before it (LOG4). */
export function isStrange(object: LogObject, before: Link): boolean {
  return object.kind === "page" && object.prev !== null && !equalBytes(object.prev, before.hash);
}

export function rawEntries(suite: Suite, object: LogObject, strange: boolean): readonly Raw[] {
  if (object.kind === "garbage" || strange)
    return [{ object: object.first, time: 0, id: object.hash, frame: undefined }];
  return object.entries.map(({ time, frame }) => ({
    object: object.first,
    time,
    id: suite.sha256(frame),
    frame,
  }));
}

/** A signature of somebody we know over another history, inside an object that does not join ours. */
function holdsFork(deps: SignerDeps, tx: Tx, object: LogObject & { kind: "page" }, read: number): boolean {
  return object.entries.some((entry) => {
    const frame = parseFrame(entry.frame);
    if (frame === null || frame.anchorSeq > read) return false;
    const ours = linkAt(tx, deps.vault, frame.anchorSeq);
    if (ours === undefined || equalBytes(ours.hash, frame.anchor)) return false;
    return vouches(signerOf(deps, tx, frame));
  });
}

/** Where to read from so that what waits unapplied is fetched again: the end of the object before it. */
export function rereadFrom(tx: Tx, cursor: Cursor): number {
  const waiting = getEntry(tx, cursor.applied + 1);
  return waiting === undefined ? cursor.applied : waiting.object - 1;
}
