/**
 * Raw log entries as the remote handed them out, with the chain over them, and the two cursors:
 * what was read and what was applied. Raw entries back to genesis are kept: anchors, `log` and
 * `verify` read them.
 */
import { concat, EMPTY, encodeUtf8, equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Suite } from "../crypto/suite.ts";
import { genesisLink, type Link, nextLink } from "../log/chain.ts";
import type { Tx } from "../log/tx.ts";

export const LOG = "e.log";
export const META = "e.meta";
const CURSOR = encodeUtf8("cursor");
const REACH = encodeUtf8("reach");

export interface Entry {
  readonly seq: number;
  /** The number of the object it came in: where a re-read of it starts. */
  readonly object: number;
  readonly time: number;
  /** SHA-256 of the frame or of the garbage. */
  readonly id: Uint8Array;
  /** Undefined for garbage at a number. */
  readonly frame: Uint8Array | undefined;
  /** The chain up to and with this entry. */
  readonly link: Link;
}

export interface Cursor {
  readonly read: number;
  readonly applied: number;
  /** Log time at `applied`, ms. */
  readonly time: number;
}

const startCursor: Cursor = { read: 0, applied: 0, time: 0 };

export function getCursor(tx: Tx): Cursor {
  const bytes = tx.get(META, CURSOR);
  if (bytes === undefined) return startCursor;
  const r = new Reader(bytes);
  return { read: r.v(), applied: r.v(), time: r.u48() };
}

export function putCursor(tx: Tx, c: Cursor): void {
  tx.put(META, CURSOR, new Writer(24).v(c.read).v(c.applied).u48(c.time).done());
}

export function getEntry(tx: Tx, seq: number): Entry | undefined {
  const bytes = tx.get(LOG, u64Key(seq));
  return bytes === undefined ? undefined : parseEntry(seq, bytes);
}

export function entriesAfter(tx: Tx, seq: number, limit: number): readonly Entry[] {
  return tx
    .scan(LOG, u64Key(seq + 1), undefined, limit)
    .map(([key, bytes]) => parseEntry(readU64Key(key), bytes));
}

export function entryBefore(tx: Tx, seq: number): Entry | undefined {
  const found = tx.last(LOG, u64Key(0), u64Key(seq));
  return found === undefined ? undefined : parseEntry(readU64Key(found[0]), found[1]);
}

/** The chain at `seq`: genesis for 0, undefined where the entry is not here. */
export function linkAt(tx: Tx, vault: Uint8Array, seq: number): Link | undefined {
  return seq === 0 ? genesisLink(vault) : getEntry(tx, seq)?.link;
}

/** Chains and stores one entry after `before`. */
export function addEntry(
  tx: Tx,
  suite: Suite,
  before: Link,
  seq: number,
  raw: {
    readonly object: number;
    readonly time: number;
    readonly id: Uint8Array;
    readonly frame: Uint8Array | undefined;
  },
): Entry {
  const link = nextLink(suite, before, seq, raw);
  const w = new Writer(160 + (raw.frame?.length ?? 0));
  w.u8(raw.frame === undefined ? 1 : 0)
    .v(raw.object)
    .u48(raw.time)
    .fixed(raw.id)
    .fixed(link.hash)
    .fixed(link.members);
  tx.put(LOG, u64Key(seq), w.fixed(raw.frame ?? EMPTY).done());
  return { seq, ...raw, link };
}

export function dropEntriesAfter(tx: Tx, seq: number): void {
  for (;;) {
    const batch = tx.scan(LOG, u64Key(seq + 1), undefined, 16);
    for (const [key] of batch) tx.delete(LOG, key);
    if (batch.length < 16) return;
  }
}

export function dropReach(tx: Tx): void {
  tx.delete(META, REACH);
}

/** The newest number that a page without a place in our history says it reaches: no head below it is a gap. */
export function getReach(tx: Tx): number {
  const bytes = tx.get(META, REACH);
  return bytes === undefined ? 0 : new Reader(bytes).v();
}

export function putReach(tx: Tx, seq: number): void {
  tx.put(META, REACH, new Writer(8).v(seq).done());
}

function parseEntry(seq: number, bytes: Uint8Array): Entry {
  const r = new Reader(bytes);
  const garbage = r.u8() === 1;
  const object = r.v();
  const time = r.u48();
  const id = r.fixed(32);
  const link = { hash: r.fixed(32), members: r.fixed(32) };
  return { seq, object, time, id, frame: garbage ? undefined : r.fixed(r.left), link };
}

export function sameEntry(a: Entry, b: { readonly time: number; readonly id: Uint8Array }): boolean {
  return a.time === b.time && equalBytes(a.id, b.id);
}

/** A key of two numbers that sorts by the first, then the second. */
export function pairKey(a: number, b: number): Uint8Array {
  return concat(u64Key(a), new Writer(4).u32(b).done());
}
