/**
 * A chunk of content, sealed: the key follows from a secret of the vault and the exact bytes that
 * are encrypted, so equal content in one vault and epoch is one chunk, and two compressors that
 * disagree cost a copy, never a key used twice (CNT2). Docs: docs/format.md, "Chunk".
 */
import { concat, equalBytes } from "../bytes/bytes.ts";
import { ctx, kdfLabels } from "../crypto/labels.ts";
import { MAX_INFLATE_RATIO, type Suite, sizes } from "../crypto/suite.ts";
import { cutSizes } from "./cut.ts";
import { FORMAT } from "./frame.ts";

const KIND = 13;
const HEAD = 4;
/** What sealing adds to a chunk's body. */
export const CHUNK_OVERHEAD: number = HEAD + sizes.tag;
/** This much is compressed first: what it does not make smaller is stored as it is. */
const PROBE = 64 << 10;
const WORTH = 0.95;
/** Fewer bytes say nothing of how often each comes. */
const NOISE_LEAST = 1024;

export type Codec = "stored" | "deflate";

/** What a reader needs of a chunk, and what the log says of it. */
export interface ChunkRecord {
  /** SHA-256 of the sealed chunk: its address. */
  readonly id: Uint8Array;
  readonly key: Uint8Array;
  /** Bytes before compression, and sealed. */
  readonly plain: number;
  readonly length: number;
  readonly codec: Codec;
}

export interface SealedChunk {
  readonly record: ChunkRecord;
  readonly bytes: Uint8Array;
}

/** What chunks of one vault and epoch are sealed under. */
export interface ChunkSecret {
  readonly vault: Uint8Array;
  readonly content: Uint8Array;
}

export function sealChunk(
  suite: Suite,
  { vault, content }: ChunkSecret,
  plain: Uint8Array,
  compress: boolean,
): SealedChunk {
  if (plain.length > cutSizes.most) throw new RangeError("a chunk above its size");
  const { codec, body } = compress ? packed(suite, plain) : { codec: "stored" as const, body: plain };
  const key = suite.kdf(content, kdfLabels.chunk, concat(vault, suite.sha256(body)), sizes.key);
  const head = headOf(suite);
  const { aead, nonce } = aeadOf(suite, vault, key);
  const bytes = concat(head, suite.aeadSeal(aead, nonce, aadOf(vault, head), body));
  const record = { id: suite.sha256(bytes), key, plain: plain.length, length: bytes.length, codec };
  return { record, bytes };
}

export type OpenedChunk =
  | { readonly kind: "ok"; readonly plain: Uint8Array }
  | { readonly kind: "damaged"; readonly why: "blob-length" | "blob-hash" | "chunk-open" };

/** Nothing of a chunk is read before its bytes are known to be those that were named (CNT3). */
export function openChunk(
  suite: Suite,
  vault: Uint8Array,
  record: ChunkRecord,
  bytes: Uint8Array,
): OpenedChunk {
  if (bytes.length !== record.length || record.length < CHUNK_OVERHEAD || record.plain > cutSizes.most)
    return { kind: "damaged", why: "blob-length" };
  if (!equalBytes(suite.sha256(bytes), record.id)) return { kind: "damaged", why: "blob-hash" };
  const closed = { kind: "damaged", why: "chunk-open" } as const;
  const head = bytes.subarray(0, HEAD);
  if (!equalBytes(head, headOf(suite))) return closed;
  const { aead, nonce } = aeadOf(suite, vault, record.key);
  const body = suite.aeadOpen(aead, nonce, aadOf(vault, head), bytes.subarray(HEAD));
  if (body === null) return closed;
  const plain = record.codec === "stored" ? body : suite.inflate(body, record.plain);
  return plain?.length === record.plain ? { kind: "ok", plain } : closed;
}

/** Whether a record can be that of a chunk: bounded before anything is fetched or allocated for it. */
export function isChunkRecord({ plain, length, codec }: ChunkRecord): boolean {
  if (plain < 1 || plain > cutSizes.most || length <= CHUNK_OVERHEAD) return false;
  const body = length - CHUNK_OVERHEAD;
  return codec === "stored" ? body === plain : body < plain && plain <= body * MAX_INFLATE_RATIO;
}

function packed(suite: Suite, plain: Uint8Array): { readonly codec: Codec; readonly body: Uint8Array } {
  const stored = { codec: "stored", body: plain } as const;
  const probe = plain.subarray(0, PROBE);
  if (isNoise(probe)) return stored;
  if (plain.length > PROBE && suite.deflate(probe).length > PROBE * WORTH) return stored;
  const body = suite.deflate(plain);
  return body.length > plain.length * WORTH ? stored : { codec: "deflate", body };
}

/**
 * Whether each byte is there about as often as by chance (Pearson's chi-squared, 255 degrees of freedom: 255 ± 23).
 * Such are pictures, archives and what is encrypted, and a look costs a twentieth of a try. What repeats itself, or
 * is more even than chance, is not noise.
 */
function isNoise(bytes: Uint8Array): boolean {
  if (bytes.length < NOISE_LEAST) return false;
  const counts = new Uint32Array(256);
  for (let i = 0; i < bytes.length; i++) (counts[bytes[i] as number] as number)++;
  let squares = 0;
  for (const count of counts) squares += count * count;
  const chi = (squares * 256) / bytes.length - bytes.length;
  return chi > 150 && chi < 380;
}

function headOf(suite: Suite): Uint8Array {
  return Uint8Array.of(FORMAT, suite.id, KIND, 0);
}

function aadOf(vault: Uint8Array, head: Uint8Array): Uint8Array {
  return concat(ctx(kdfLabels.chunk), vault, head);
}

function aeadOf(
  suite: Suite,
  vault: Uint8Array,
  key: Uint8Array,
): { readonly aead: Uint8Array; readonly nonce: Uint8Array } {
  const both = suite.kdf(key, kdfLabels.chunkAead, vault, sizes.key + sizes.nonce);
  return { aead: both.subarray(0, sizes.key), nonce: both.subarray(sizes.key) };
}
