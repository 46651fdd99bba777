/**
 * Where chunks lie, as the log says: which packs a remote was given, which were given up, and what
 * content relies on. Every kind that holds content asks here, and says what it holds (CNT5, CNT6).
 */
import { concat, EMPTY, equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { sizes } from "../crypto/suite.ts";
import type { ChunkRecord } from "./chunk.ts";
import type { Content } from "./content.ts";
import type { Position, Space } from "./kind.ts";
import { offsetsOf, readChunkOf, readStored, type Stored, writeChunkOf, writeStored } from "./pack.ts";
import type { Tx } from "./tx.ts";

const names = {
  /** pack → log time and device of its newest record, and what it holds. */
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
  /** pack → run. */
  run: "c.heldrun",
  /** Empty key: something was given up since what waits here was looked at. */
  lost: "c.lost",
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

/** A pack stays so long after its newest record whether anything names it or not: what does is on its way. ms of log time. */
export const PACK_KEPT: number = 7 * 86_400_000;

/** What stands before the record of a pack. */
const HEAD = 12;

/** False where the record has no effect: the pack was given up, or is known to hold something else. */
export function addPack(
  tx: Tx,
  stored: Stored,
  { time, device }: Pick<Position, "time" | "device">,
): boolean {
  const { pack } = stored;
  if (isGivenUp(tx, pack)) return false;
  const bytes = encoded(stored);
  const known = tx.get(names.pack, pack);
  if (known !== undefined && !equalBytes(known.subarray(HEAD), bytes)) return false;
  tx.put(names.pack, pack, concat(new Writer(HEAD).u64(time).u32(device).done(), bytes));
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

/**
 * Those that nothing relies on and that no record was made of lately are gone; one that has no record at all is gone
 * before it comes. Answers which.
 */
export function giveUpPacks(
  tx: Tx,
  packs: readonly Uint8Array[],
  { seq, time }: Pick<Position, "seq" | "time">,
): readonly Uint8Array[] {
  return packs.filter((pack) => {
    const standing = standingOf(tx, pack);
    if (standing.kind === "needed" || standing.kind === "gone") return false;
    if (standing.kind === "idle") {
      if (time - standing.time < PACK_KEPT) return false;
      for (const { id } of (packOf(tx, pack) as Stored).chunks) tx.delete(names.at, concat(id, pack));
      tx.delete(names.pack, pack);
    }
    tx.put(names.gone, pack, new Writer(8).u64(seq).done());
    noteLoss(tx);
    return true;
  });
}

/** What waits here may name what is gone: it is looked at before it is sent. */
export function noteLoss(tx: Tx): void {
  tx.put(held.lost, EMPTY, EMPTY);
}

/** True once for all that was lost before. */
export function takeLoss(tx: Tx): boolean {
  if (tx.get(held.lost, EMPTY) === undefined) return false;
  tx.delete(held.lost, EMPTY);
  return true;
}

export type PackStanding =
  | { readonly kind: "unknown" }
  /** A manifest relies on it, or it is the only place of a chunk that a content names. */
  | { readonly kind: "needed" }
  /** Nothing does: since its newest record, as far as the log says. */
  | { readonly kind: "idle"; readonly time: number; readonly device: number }
  /** Given up at `seq`. */
  | { readonly kind: "gone"; readonly seq: number };

/** Costs a look at each of its chunks. */
export function standingOf(tx: Tx, pack: Uint8Array): PackStanding {
  const bytes = tx.get(names.pack, pack);
  if (bytes === undefined) {
    const gone = tx.get(names.gone, pack);
    return gone === undefined ? { kind: "unknown" } : { kind: "gone", seq: readU64Key(gone) };
  }
  const r = new Reader(concat(bytes));
  const [time, device] = [r.u64(), r.u32()];
  return isNeeded(tx, readStored(r)) ? { kind: "needed" } : { kind: "idle", time, device };
}

export function isGivenUp(tx: Tx, pack: Uint8Array): boolean {
  return tx.get(names.gone, pack) !== undefined;
}

export function packOf(tx: Tx, pack: Uint8Array): Stored | undefined {
  const bytes = tx.get(names.pack, pack);
  return bytes === undefined ? undefined : readStored(new Reader(concat(bytes.subarray(HEAD))));
}

/**
 * A pack that holds a chunk and will go on holding it: what nothing names may be given up while a change that names it
 * waits here. `own`: what this device itself recorded since then is left to it. Asked of every chunk that is about to
 * be packed, so little of the pack is read.
 */
export function packWith(
  tx: Tx,
  address: Uint8Array,
  own?: { readonly device: number; readonly since: number },
): Uint8Array | undefined {
  const pack = somewhere(tx, names.at, address);
  if (pack === undefined || tx.get(names.use, address) !== undefined) return pack;
  const packs = placesOf(tx, address).map(([key]) => key.slice(sizes.digest));
  return packs.find(
    (one) => tx.get(names.need, one) !== undefined || (own !== undefined && isFresh(tx, one, own)),
  );
}

function isFresh(
  tx: Tx,
  pack: Uint8Array,
  { device, since }: { readonly device: number; readonly since: number },
): boolean {
  const r = new Reader(tx.get(names.pack, pack) as Uint8Array);
  return r.u64() >= since && r.u32() === device;
}

/** Where a chunk lies, in the order of the packs' names. */
export function locate(tx: Tx, address: Uint8Array): readonly Location[] {
  return placesOf(tx, address).map(readPlace);
}

/** Notes what a run of this device brings, so that it can be read before the log has it. */
export function holdPack(tx: Tx, run: number, stored: Stored): void {
  tx.put(held.pack, concat(u64Key(run), stored.pack), encoded(stored));
  tx.put(held.run, stored.pack, u64Key(run));
  putPlaces(tx, held.at, stored);
}

export function releasePacks(tx: Tx, run: number): void {
  for (const [key, bytes] of tx.scan(held.pack, u64Key(run), u64Key(run + 1))) {
    for (const { id } of readStored(new Reader(bytes)).chunks)
      tx.delete(held.at, concat(id, key.subarray(8)));
    tx.delete(held.pack, key);
    // Another run may bring it now.
    const brings = tx.get(held.run, key.subarray(8));
    if (brings !== undefined && readU64Key(brings) === run) tx.delete(held.run, key.slice(8));
  }
}

/** Whether a run without a verdict brings this pack. */
export function isHeld(tx: Tx, pack: Uint8Array): boolean {
  return tx.get(held.run, pack) !== undefined;
}

/** As `packWith`, of runs without a verdict. */
export function heldPackWith(tx: Tx, address: Uint8Array): Uint8Array | undefined {
  return somewhere(tx, held.at, address);
}

/** Packs that a run without a verdict brings. */
export function packsHeldBy(tx: Tx, run: number): readonly Uint8Array[] {
  return tx.scan(held.pack, u64Key(run), u64Key(run + 1)).map(([key]) => key.slice(8));
}

/** Of those, the ones that the log has given up, each with its run. */
export function givenUpHere(tx: Tx): readonly { readonly pack: Uint8Array; readonly run: number }[] {
  return tx
    .scan(held.run, EMPTY, undefined)
    .map(([pack, run]) => ({ pack: pack.slice(), run: readU64Key(run) }))
    .filter(({ pack }) => isGivenUp(tx, pack));
}

/** As `isStored`, where what waits here counts too. */
export function isStoredOrHeld(tx: Tx, { body }: Content): boolean {
  if (body.kind === "inline") return true;
  // What waits in a pack that was given up comes nowhere.
  const isThere = (address: Uint8Array): boolean =>
    placesOf(tx, address, 1).length > 0 ||
    placesOf(tx, address, undefined, held.at).some(([key]) => !isGivenUp(tx, key.subarray(sizes.digest)));
  if (!body.addresses.every(isThere)) return false;
  return (
    body.kind === "chunks" ||
    body.packs.every(
      (pack) => tx.get(names.pack, pack) !== undefined || (isHeld(tx, pack) && !isGivenUp(tx, pack)),
    )
  );
}

/** Where runs without a verdict have put a chunk. */
export function locateHeld(tx: Tx, address: Uint8Array): readonly Location[] {
  // Mostly nowhere: asked of each piece that is read.
  if (heldPackWith(tx, address) === undefined) return [];
  return placesOf(tx, address, undefined, held.at).map(readPlace);
}

/** Whether all that a content names is on the remote, as far as the log says. */
export function isStored(tx: Tx, { body }: Content): boolean {
  if (body.kind === "inline") return true;
  if (body.addresses.some((address) => somewhere(tx, names.at, address) === undefined)) return false;
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

/** One pack that holds it: the store answers this sooner than a list, and it is asked for each chunk. */
function somewhere(tx: Tx, space: string, address: Uint8Array): Uint8Array | undefined {
  return tx.last(space, address, behind(address))?.[0].slice(sizes.digest);
}

/** No pack's name is all ones: it is a hash. */
function behind(address: Uint8Array): Uint8Array {
  const end = new Uint8Array(2 * sizes.digest).fill(0xff);
  end.set(address);
  return end;
}

function placesOf(
  tx: Tx,
  address: Uint8Array,
  limit?: number,
  space: string = names.at,
): [Uint8Array, Uint8Array][] {
  return tx.scan(space, address, behind(address), limit);
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
