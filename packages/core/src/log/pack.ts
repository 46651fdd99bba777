/**
 * Packs: the one object that content is stored in. Many chunks share one, so that many small files
 * are few requests; random bytes at its head make its name one that never comes again (CNT4).
 * Docs: docs/format.md, "Pack".
 */
import type { Sealed } from "../bytes/brand.ts";
import { toHex } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Malformed, type Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";
import { type Suite, sizes } from "../crypto/suite.ts";
import { type ChunkRecord, isChunkRecord, type SealedChunk } from "./chunk.ts";
import { FORMAT } from "./frame.ts";
import { paddedLength } from "./plaintext.ts";

const KIND = 4;
/** Where the first chunk of a pack begins. */
export const PACK_HEAD = 20;
/** A pack is closed when its chunks reach this. */
export const packLimits: { readonly bytes: number; readonly chunks: number } = {
  bytes: 8 << 20,
  chunks: 2048,
};

const codecs = ["stored", "deflate"] as const;

/** What the log says of a pack. */
export interface Stored {
  /** SHA-256 of the pack. */
  readonly pack: Uint8Array;
  readonly size: number;
  /** In the order in which they lie in it. */
  readonly chunks: readonly ChunkRecord[];
}

export interface Pack {
  readonly stored: Stored;
  readonly bytes: Sealed;
}

export class PackBuilder {
  readonly #suite: Suite;
  #chunks: SealedChunk[] = [];
  readonly #ids = new Set<string>();
  #bytes = 0;

  constructor(suite: Suite) {
    this.#suite = suite;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Answers whether the pack is full. One that is in it already is left out. */
  add(chunk: SealedChunk): boolean {
    const id = toHex(chunk.record.id);
    if (!this.#ids.has(id)) {
      this.#ids.add(id);
      this.#chunks.push(chunk);
      this.#bytes += chunk.bytes.length;
    }
    return this.#bytes >= packLimits.bytes || this.#chunks.length >= packLimits.chunks;
  }

  /** The builder is empty again. */
  done(): Pack {
    const suite = this.#suite;
    const length = paddedLength(PACK_HEAD + this.#bytes);
    // Not through a writer, which would copy all of it once more.
    const bytes = new Uint8Array(length) as Sealed;
    bytes.set([FORMAT, suite.id, KIND, 0]);
    bytes.set(suite.random(16), PACK_HEAD - 16);
    let at = PACK_HEAD;
    for (const chunk of this.#chunks) {
      bytes.set(chunk.bytes, at);
      at += chunk.bytes.length;
    }
    bytes.set(suite.random(length - at), at);
    const chunks = this.#chunks.map(({ record }) => record);
    this.#chunks = [];
    this.#ids.clear();
    this.#bytes = 0;
    return { stored: { pack: suite.sha256(bytes), size: bytes.length, chunks }, bytes };
  }
}

/** The same chunks under another name: only the random bytes at its head are others. */
export function renamedPack(
  suite: Suite,
  pack: Uint8Array,
): { readonly id: Uint8Array; readonly bytes: Sealed } {
  const bytes = pack.slice();
  bytes.set(suite.random(16), PACK_HEAD - 16);
  return { id: suite.sha256(bytes), bytes: bytes as Sealed };
}

export function writeStored(w: Writer, { pack, size, chunks }: Stored): void {
  w.fixed(pack).v(size).v(chunks.length);
  for (const chunk of chunks) writeChunkOf(w.fixed(chunk.id), chunk);
}

/** What is said of a chunk beside its address. */
export function writeChunkOf(w: Writer, { key, plain, length, codec }: ChunkRecord): void {
  w.fixed(key).v(plain).v(length).u8(codecs.indexOf(codec));
}

export function readChunkOf(r: Reader, id: Uint8Array): ChunkRecord {
  const key = r.fixed(sizes.key).slice();
  const [plain, length, codec] = [r.v(), r.v(), codecs[r.u8()]];
  if (codec === undefined) throw new Malformed("unknown codec");
  return { id, key, plain, length, codec };
}

/** Refuses what cannot be a pack: lengths that do not lie in it, or a size that is not theirs. */
export function readStored(r: Reader): Stored {
  const pack = r.fixed(sizes.digest).slice();
  const size = r.v(limits.blob);
  const count = r.v(packLimits.chunks);
  if (count === 0) throw new Malformed("an empty pack");
  let end = PACK_HEAD;
  const chunks = Array.from({ length: count }, (): ChunkRecord => {
    const record = readChunkOf(r, r.fixed(sizes.digest).slice());
    if (!isChunkRecord(record)) throw new Malformed("no chunk has these lengths");
    end += record.length;
    return record;
  });
  if (size !== paddedLength(end)) throw new Malformed("a pack of another size than its chunks");
  return { pack, size, chunks };
}

/** Where each chunk begins: running sums, so the log need not say it. */
export function offsetsOf({ chunks }: Stored): readonly number[] {
  let at = PACK_HEAD;
  return chunks.map(({ length }) => {
    at += length;
    return at - length;
  });
}
