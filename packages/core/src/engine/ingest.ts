/**
 * Takes pages of a remote into the replica's raw log. Checks number, previous hash and, for
 * entries read before, equality. Judges nothing. Rules LOG2, LOG6.
 */
import { equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import type { Link } from "../log/chain.ts";
import { parseFrame, verifyFrame } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import type { LogObject, Page } from "../ports.ts";
import type { Membership } from "../vault/membership.ts";
import { addEntry, type Cursor, dropEntriesAfter, getCursor, getEntry, linkAt, putCursor, sameEntry } from "./entries.ts";

export type HaltCode =
  | "fork"
  | "rollback"
  | "chain-broken"
  | "op-reused"
  | "replica-damaged"
  /** An accepted record announced rules this program does not know (D3). */
  | "update-needed";

export interface IngestDeps {
  readonly suite: Suite;
  readonly vault: Uint8Array;
  readonly membership: Membership;
}

export type Ingested =
  /** How many entries were new. */
  { readonly kind: "ok"; readonly fresh: number } | { readonly kind: "halt"; readonly code: HaltCode };

interface Raw {
  readonly object: number;
  readonly time: number;
  readonly id: Uint8Array;
  readonly frame: Uint8Array | undefined;
}

/** Inside one transaction. `after` is what was asked for: an object's end. */
export function ingest(deps: IngestDeps, tx: Tx, after: number, page: Page, seenHead: number): Ingested {
  const halt = (code: HaltCode): Ingested => ({ kind: "halt", code });
  // The remote showed more before: to this device, or in an answer to its own append.
  if (page.head < Math.max(after, seenHead)) return halt("rollback");
  if (page.objects.length === 0) return page.head > after ? halt("chain-broken") : { kind: "ok", fresh: 0 };

  let cursor = getCursor(tx);
  let before = linkAt(tx, deps.vault, after) as Link;
  let seq = after;
  let fresh = 0;
  for (const object of page.objects) {
    // After a page that counts as one void entry, what follows may stand at other numbers: asked for anew.
    if (object.first !== seq + 1) break;
    const strange = object.kind === "page" && object.prev !== null && !equalBytes(object.prev, before.hash);
    if (strange && holdsFork(deps, tx, object, cursor.read)) return halt("fork");
    for (const raw of entriesOf(deps.suite, object, strange)) {
      seq++;
      const known = seq <= cursor.read ? getEntry(tx, seq) : undefined;
      if (known !== undefined && sameEntry(known, raw)) {
        before = known.link;
        continue;
      }
      // What was applied cannot change; what only waits gives way to what the remote now shows.
      if (known !== undefined && seq <= cursor.applied) return halt("fork");
      if (known !== undefined) dropEntriesAfter(tx, seq);
      before = addEntry(tx, deps.suite, before, seq, raw).link;
      cursor = { ...cursor, read: seq };
      fresh++;
    }
  }
  putCursor(tx, cursor);
  return { kind: "ok", fresh };
}

function entriesOf(suite: Suite, object: LogObject, strange: boolean): readonly Raw[] {
  if (object.kind === "garbage" || strange)
    return [{ object: object.first, time: 0, id: object.hash, frame: undefined }];
  return object.entries.map(({ time, frame }) => ({
    object: object.first,
    time,
    id: suite.sha256(frame),
    frame,
  }));
}

/** A valid signature of a device of the vault over another history, inside an object that does not join ours. */
function holdsFork(deps: IngestDeps, tx: Tx, object: LogObject & { kind: "page" }, read: number): boolean {
  return object.entries.some((entry) => {
    const frame = parseFrame(entry.frame);
    if (frame === null) return false;
    const author = deps.membership.device(tx, frame.device);
    if (author === undefined || !verifyFrame(deps.suite, deps.vault, frame, author.sign)) return false;
    const ours: Link | undefined =
      frame.anchorSeq <= read ? linkAt(tx, deps.vault, frame.anchorSeq) : undefined;
    return ours !== undefined && !equalBytes(ours.hash, frame.anchor);
  });
}

/** Where to read from so that what waits unapplied is fetched again: the end of the object before it. */
export function rereadFrom(tx: Tx, cursor: Cursor): number {
  const waiting = getEntry(tx, cursor.applied + 1);
  return waiting === undefined ? cursor.applied : waiting.object - 1;
}
