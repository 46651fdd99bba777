/**
 * Reads content back: from the log where it is small, else piece by piece out of packs (CNT8, CNT9).
 * What is held is one span of a pack and one piece, whatever the content's size.
 */
import { concat, equalBytes, toHex } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { openChunk } from "../log/chunk.ts";
import type { Content } from "../log/content.ts";
import { cutSizes } from "../log/cut.ts";
import { type Location, locate, locateHeld } from "../log/locations.ts";
import { packLimits } from "../log/pack.ts";
import type { Tx } from "../log/tx.ts";
import type { Failure, Remote } from "../ports.ts";

export interface FetchDeps {
  readonly suite: Suite;
  readonly vault: Uint8Array;
  readonly read: <T>(work: (tx: Tx) => T) => T;
  /** What waits here to be sent: a pack by its name. */
  readonly spooled: (pack: Uint8Array) => Uint8Array | undefined;
  readonly remote: Pick<Remote, "getBlob"> | undefined;
  readonly cache?: PieceCache | undefined;
}

/** Pieces that were read before, by their address, as they were before they were sealed. */
export interface PieceCache {
  /** What is kept of it; or what `fetch` gives, which is asked once for all that ask meanwhile, and then kept. */
  once(address: Uint8Array, fetch: () => Promise<Opened>): Promise<Opened>;
}

/** Nowhere in one piece, or not what was named. */
interface Damaged {
  readonly kind: "damaged";
}
const damaged: Damaged = { kind: "damaged" };

export type Taken = { readonly kind: "ok" } | Damaged | Failure;

/** Is given the bytes in order; what it answers is waited for. */
export type Take = (bytes: Uint8Array) => void | Promise<void>;

const ADDRESS = 32;

/** All of it, piece by piece. Whether it is what was named is known at the end: until then it counts for nothing. */
export async function streamContent(deps: FetchDeps, content: Content, take: Take): Promise<Taken> {
  const { size, hash } = content;
  const sum = deps.suite.sha256Stream();
  let length = 0;
  const taken = await readContent(deps, content, { from: 0, to: size }, (bytes) => {
    length += bytes.length;
    sum.update(bytes);
    return take(bytes);
  });
  if (taken.kind !== "ok") return taken;
  return length === size && equalBytes(sum.digest(), hash) ? taken : damaged;
}

/** The bytes from `from` up to `to`: each piece that they lie in is checked by its address. */
export async function readContent(
  deps: FetchDeps,
  content: Content,
  range: Range,
  take: Take,
): Promise<Taken> {
  const opened = await openContent(deps, content);
  return opened.kind === "ok" ? opened.reader.read(range, take) : opened;
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface ContentReader {
  /** As `readContent`; what is known of the pieces is asked for once. */
  read(range: Range, take: Take): Promise<Taken>;
  /** Addresses of its pieces, in order. */
  readonly addresses: readonly Uint8Array[];
  /** Where each piece lies in it, by its address in hexadecimal: from the beginning on, as far as that is known. */
  places(): ReadonlyMap<string, PiecePlace>;
}

export interface PiecePlace {
  readonly offset: number;
  readonly length: number;
}

/** A list of pieces that is content itself is read first. */
export async function openContent(
  deps: FetchDeps,
  { body, size }: Content,
): Promise<{ readonly kind: "ok"; readonly reader: ContentReader } | Damaged | Failure> {
  if (body.kind === "inline") return { kind: "ok", reader: inlineReader(body.bytes) };
  if (body.kind === "chunks") return { kind: "ok", reader: new PieceReader(deps, body.addresses, size) };
  const lists: Uint8Array[] = [];
  const most = ADDRESS * (Math.floor(size / cutSizes.least) + 1);
  const list = new PieceReader(deps, body.addresses, most);
  const read = await list.read({ from: 0, to: most }, (bytes) => void lists.push(bytes));
  if (read.kind !== "ok") return read;
  const all = concat(...lists);
  if (all.length % ADDRESS !== 0) return damaged;
  const at = (i: number): Uint8Array => all.subarray(i * ADDRESS, (i + 1) * ADDRESS);
  const addresses = Array.from({ length: all.length / ADDRESS }, (_, i) => at(i));
  return { kind: "ok", reader: new PieceReader(deps, addresses, size) };
}

function inlineReader(bytes: Uint8Array): ContentReader {
  return {
    addresses: [],
    places: () => new Map(),
    async read({ from, to }, take) {
      await take(bytes.subarray(from, to));
      return { kind: "ok" };
    },
  };
}

interface Piece {
  readonly address: Uint8Array;
  /** Where it is said to lie: what the log says first, then what waits here. */
  readonly places: readonly Location[];
  /** Plain bytes, where all that speak of it say the same. */
  readonly length: number | undefined;
}

class PieceReader implements ContentReader {
  readonly addresses: readonly Uint8Array[];
  readonly #deps: FetchDeps;
  /** What all pieces may have together. */
  readonly #size: number;
  #pieces: readonly Piece[] | undefined;

  constructor(deps: FetchDeps, addresses: readonly Uint8Array[], size: number) {
    this.#deps = deps;
    this.addresses = addresses;
    this.#size = size;
  }

  #known(): readonly Piece[] {
    this.#pieces ??= this.#deps.read((tx) => this.addresses.map((address) => pieceAt(tx, address)));
    return this.#pieces;
  }

  places(): ReadonlyMap<string, PiecePlace> {
    const places = new Map<string, PiecePlace>();
    let offset = 0;
    for (const { address, length } of this.#known()) {
      if (length === undefined) break;
      places.set(toHex(address), { offset, length });
      offset += length;
    }
    return places;
  }

  async read({ from, to }: Range, take: Take): Promise<Taken> {
    const pieces = this.#known();
    const { cache } = this.#deps;
    const spans = new Spans(this.#deps);
    let at = 0;
    for (const [i, piece] of pieces.entries()) {
      // Where all is wanted, a piece too many is one that does not belong there.
      if (at >= to && to < this.#size) break;
      if (piece.length !== undefined && at + piece.length <= from) {
        at += piece.length;
        continue;
      }
      // Those that lie next to it in its pack come with it, as far as they are wanted.
      const ahead = to - at;
      const open = (): Promise<Opened> => spans.open(piece, pieces, i, ahead);
      const got = await (cache === undefined ? open() : cache.once(piece.address, open));
      if (got.kind !== "ok") {
        // What is known of its places may be out of date.
        this.#pieces = undefined;
        return got;
      }
      const { plain } = got;
      const end = at + plain.length;
      if (end > this.#size) return damaged;
      if (end > from) await take(plain.subarray(Math.max(0, from - at), Math.min(plain.length, to - at)));
      at = end;
    }
    return { kind: "ok" };
  }
}

function pieceAt(tx: Tx, address: Uint8Array): Piece {
  const places = [...locate(tx, address), ...locateHeld(tx, address)];
  const length = places[0]?.record.plain;
  const agreed = places.every(({ record }) => record.plain === length);
  return { address, places, length: agreed ? length : undefined };
}

/** A piece that was read and checked, or why not. */
export type Opened = { readonly kind: "ok"; readonly plain: Uint8Array } | Damaged | Failure;

/** Parts of packs, each asked for once for all neighbours in it. */
class Spans {
  readonly #deps: FetchDeps;
  /** The last that was read. */
  #last: { readonly pack: string; readonly offset: number; readonly bytes: Uint8Array } | undefined;

  constructor(deps: FetchDeps) {
    this.#deps = deps;
  }

  /** From whichever of its places has it whole. `ahead`: plain bytes that are wanted from here on. */
  async open(piece: Piece, pieces: readonly Piece[], index: number, ahead: number): Promise<Opened> {
    const { suite, vault } = this.#deps;
    let failure: Failure | undefined;
    for (const place of piece.places) {
      const { record } = place;
      // What does not open is read once more, alone: a transfer may have damaged it.
      for (const length of [spanFrom(place, pieces, index, ahead), record.length]) {
        const part = await this.#part(place, length);
        if (part.kind !== "ok") failure = part;
        if (part.kind !== "ok" || part.value === undefined) break;
        const opened = openChunk(suite, vault, record, part.value.subarray(0, record.length));
        if (opened.kind === "ok") return opened;
        this.#last = undefined;
      }
    }
    return failure ?? damaged;
  }

  /** Bytes of a pack from a place on, at least those of the place where it has them. */
  async #part(
    { pack, offset, record }: Location,
    length: number,
  ): Promise<{ kind: "ok"; value: Uint8Array | undefined } | Failure> {
    const { spooled, remote } = this.#deps;
    const name = toHex(pack);
    const last = this.#last;
    if (
      last?.pack === name &&
      last.offset <= offset &&
      offset + record.length <= last.offset + last.bytes.length
    )
      return { kind: "ok", value: last.bytes.subarray(offset - last.offset) };
    const here = spooled(pack);
    if (here !== undefined) {
      this.#last = { pack: name, offset: 0, bytes: here };
      return { kind: "ok", value: here.subarray(offset) };
    }
    if (remote === undefined) return { kind: "ok", value: undefined };
    const got = await remote.getBlob(pack, { offset, length });
    if (got.kind === "ok" && got.value !== undefined) this.#last = { pack: name, offset, bytes: got.value };
    return got;
  }
}

/** Bytes from a place to the end of the wanted pieces that follow each other in its pack. */
function spanFrom(place: Location, pieces: readonly Piece[], index: number, ahead: number): number {
  const { pack, offset, record } = place;
  let [end, plain] = [offset + record.length, record.plain];
  for (let i = index + 1; i < pieces.length && plain < ahead && end - offset < packLimits.bytes; i++) {
    const next = (pieces[i] as Piece).places.find(
      (other) => other.offset === end && equalBytes(other.pack, pack),
    );
    if (next === undefined) break;
    end += next.record.length;
    plain += next.record.plain;
  }
  return end - offset;
}
