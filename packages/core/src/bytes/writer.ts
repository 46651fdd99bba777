import { EMPTY, encodeUtf8 } from "./bytes.ts";

/** Buffers of writers that are done: most encodings are short, and a fresh buffer costs more than they do. */
const spare: Uint8Array[] = [];
const SPARE_SIZE = 1024;
const SPARES = 4;

/**
 * Appends canonical bytes. Integers are big-endian, `v` is the minimal unsigned LEB128 up to
 * 2^53 - 1, `z` the zigzag form of a signed 64-bit integer. See docs/format.md, "Notation".
 */
export class Writer {
  #buffer: Uint8Array = EMPTY;
  readonly #capacity: number;
  #length = 0;

  /** `capacity` is the first allocation, made when the first byte is written. */
  constructor(capacity = 256) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  #room(n: number): number {
    const at = this.#length;
    const need = at + n;
    if (need > this.#buffer.length) this.#grow(at, need);
    this.#length = need;
    return at;
  }

  #grow(at: number, need: number): void {
    const size = Math.max(need, this.#buffer.length * 2, this.#capacity);
    const grown = size <= SPARE_SIZE ? (spare.pop() ?? new Uint8Array(SPARE_SIZE)) : new Uint8Array(size);
    if (at > 0) grown.set(this.#buffer.subarray(0, at));
    this.#buffer = grown;
  }

  u8(n: number): this {
    const at = this.#room(1);
    this.#buffer[at] = n;
    return this;
  }

  u32(n: number): this {
    const at = this.#room(4);
    this.#put(at, n, 4);
    return this;
  }

  u48(n: number): this {
    const at = this.#room(6);
    this.#put(at, n, 6);
    return this;
  }

  u64(n: number): this {
    const at = this.#room(8);
    this.#put(at, n, 8);
    return this;
  }

  #put(at: number, n: number, size: number): void {
    let rest = n;
    for (let i = size - 1; i >= 0; i--) {
      this.#buffer[at + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  }

  /** Minimal LEB128 of an integer 0 .. 2^53 - 1. */
  v(n: number): this {
    if (!(n >= 0 && n <= Number.MAX_SAFE_INTEGER)) throw new RangeError("varint out of range");
    let rest = n;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  /** Zigzag LEB128 of a signed 64-bit integer. */
  z(n: bigint): this {
    let rest = BigInt.asUintN(64, (n << 1n) ^ (n >> 63n));
    if (rest <= 0xffff_ffffn) return this.v(Number(rest));
    while (rest >= 0x80n) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.u8(Number(rest));
  }

  /** Exactly these bytes, no length. */
  fixed(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** `v` length and the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.v(bytes.length).fixed(bytes);
  }

  /** `v` length and NFC UTF-8. */
  str(text: string): this {
    return this.bytes(encodeUtf8(text.normalize("NFC")));
  }

  /** A copy of what was written; the writer is empty again. */
  done(): Uint8Array {
    const out = this.#buffer.slice(0, this.#length);
    if (this.#buffer.length === SPARE_SIZE && spare.length < SPARES) {
      spare.push(this.#buffer);
      this.#buffer = EMPTY;
    }
    this.#length = 0;
    return out;
  }

  /** What was written, without a copy: valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Starts over in the same buffer, for code that encodes many small things. */
  reset(): this {
    this.#length = 0;
    return this;
  }
}
