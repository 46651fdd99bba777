/**
 * Where chunks lie, as the log says: which packs a remote was given, which were given up, and what
 * content relies on. Every kind that holds content asks here, and says what it holds (CNT5, CNT6).
 */
import { concat, equalBytes, u64Key } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { sizes } from "../crypto/suite.ts";
import type { ChunkRecord } from "./chunk.ts";
import type { Content } from "./content.ts";
import type { Space } from "./kind.ts";
import { offsetsOf, readChunkOf, readStored, type Stored, writeChunkOf, writeStored } from "./pack.ts";
import type { Tx } from "./tx.ts";

const names = {
  /** pack → seq of its newest record, and what it holds. */
  pack: "c.pack",
  /** address, pack → where the chunk lies in it, and what is said of it there. */
  at: "c.at",
  /** pack → seq: given up. */
  gone: "c.gone",
  /** address → how many contents name it. */
  use: "c.use",
  /** pack → how many manifests rely on it. */
  need: "c.need",
} as const;

/** The same of runs that have no verdict yet: their packs wait here, or are on the remote already. */
const held = {
  /** run, pack → what it holds. */
  pack: "c.held",
  /** address, pack → the same of a chunk. */
  at: "c.heldat",
} as const;

export const locationSpaces: readonly Space[] = [
  ...Object.values(names).map((name) => ({ name, digested: true })),
  ...Object.values(held).map((name) => ({ name, digested: false })),
];

export interface Location {
  readonly pack: Uint8Array;
  readonly offset: number;
  readonly record: ChunkRecord;
}

/** False where the record has no effect: the pack was given up, or is known to hold something else. */
export function addPack(tx: Tx, stored: Stored, seq: number): boolean {
  const { pack } = stored;
  if (tx.get(names.gone, pack) !== undefined) return false;
  const bytes = encoded(stored);
  const known = tx.get(names.pack, pack);
  if (known !== undefined && !equalBytes(known.subarray(8), bytes)) return false;
  tx.put(names.pack, pack, concat(new Writer(8).u64(seq).done(), bytes));
  if (known !== undefined) return true;
  putPlaces(tx, names.at, stored);
  return true;
}

/** Each with all that a reader needs: a pack's whole record is long, and its chunks are asked for one by one. */
function putPlaces(tx: Tx, space: string, stored: Stored): void {
  const offsets = offsetsOf(stored);
  for (const [i, chunk] of stored.chunks.entries()) {
    const w = new Writer(64).v(offsets[i] as number);
    writeChunkOf(w, chunk);
    tx.put(space, concat(chunk.id, stored.pack), w.done());
  }
}

function readPlace([key, value]: readonly [Uint8Array, Uint8Array]): Location {
  const r = new Reader(value);
  const offset = r.v();
  return {
    pack: key.slice(sizes.digest),
    offset,
    record: readChunkOf(r, key.slice(0, sizes.digest)),
  };
}

/** Answers which of them are gone now: not those that something relies on, nor unknown ones. */
export function giveUpPacks(tx: Tx, packs: readonly Uint8Array[], seq: number): readonly Uint8Array[] {
  return packs.filter((pack) => {
    const known = packOf(tx, pack);
    if (known === undefined || isNeeded(tx, known)) return false;
    for (const { id } of known.chunks) tx.delete(names.at, concat(id, pack));
    tx.delete(names.pack, pack);
    tx.put(names.gone, pack, new Writer(8).u64(seq).done());
    return true;
  });
}

export function packOf(tx: Tx, pack: Uint8Array): Stored | undefined {
  const bytes = tx.get(names.pack, pack);
  return bytes === undefined ? undefined : readStored(new Reader(concat(bytes.subarray(8))));
}

/** A pack that holds a chunk: asked of every chunk that is about to be packed, so nothing of the pack is read. */
export function packWith(tx: Tx, address: Uint8Array): Uint8Array | undefined {
  return placesOf(tx, address, 1)[0]?.[0].slice(sizes.digest);
}

/** Where a chunk lies, in the order of the packs' names. */
export function locate(tx: Tx, address: Uint8Array): readonly Location[] {
  return placesOf(tx, address).map(readPlace);
}

/** Notes what a run of this device brings, so that it can be read before the log has it. */
export function holdPack(tx: Tx, run: number, stored: Stored): void {
  tx.put(held.pack, concat(u64Key(run), stored.pack), encoded(stored));
  putPlaces(tx, held.at, stored);
}

export function releasePacks(tx: Tx, run: number): void {
  for (const [key, bytes] of tx.scan(held.pack, u64Key(run), u64Key(run + 1))) {
    for (const { id } of readStored(new Reader(bytes)).chunks)
      tx.delete(held.at, concat(id, key.subarray(8)));
    tx.delete(held.pack, key);
  }
}

/** Where runs without a verdict have put a chunk. */
export function locateHeld(tx: Tx, address: Uint8Array): readonly Location[] {
  return placesOf(tx, address, undefined, held.at).map(readPlace);
}

/** Whether all that a content names is on the remote, as far as the log says. */
export function isStored(tx: Tx, { body }: Content): boolean {
  if (body.kind === "inline") return true;
  if (body.addresses.some((address) => placesOf(tx, address, 1).length === 0)) return false;
  return body.kind === "chunks" || body.packs.every((pack) => tx.get(names.pack, pack) !== undefined);
}

/** From now on something holds this content, or holds it no more. */
export function relyOn(tx: Tx, { body }: Content, step: 1 | -1): void {
  if (body.kind === "inline") return;
  for (const address of body.addresses) count(tx, names.use, address, step);
  if (body.kind === "manifest") for (const pack of body.packs) count(tx, names.need, pack, step);
}

/** A manifest relies on it, or it is the only place of a chunk that a content names. */
function isNeeded(tx: Tx, { pack, chunks }: Stored): boolean {
  if (tx.get(names.need, pack) !== undefined) return true;
  return chunks.some(({ id }) => tx.get(names.use, id) !== undefined && placesOf(tx, id, 2).length === 1);
}

function placesOf(
  tx: Tx,
  address: Uint8Array,
  limit?: number,
  space: string = names.at,
): [Uint8Array, Uint8Array][] {
  const end = new Uint8Array(2 * sizes.digest).fill(0xff);
  end.set(address);
  // No pack's name is all ones: it is a hash.
  return tx.scan(space, address, end, limit);
}

function count(tx: Tx, space: string, key: Uint8Array, step: number): void {
  const bytes = tx.get(space, key);
  const n = (bytes === undefined ? 0 : new Reader(bytes).v()) + step;
  if (n < 0) throw new RangeError("content that nothing held is given up");
  if (n === 0) tx.delete(space, key);
  else tx.put(space, key, new Writer(8).v(n).done());
}

function encoded(stored: Stored): Uint8Array {
  const w = new Writer(64 + 80 * stored.chunks.length);
  writeStored(w, stored);
  return w.done();
}
