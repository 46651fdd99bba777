import { decodeUtf8 } from "./bytes.ts";

/** Input that is not the one canonical encoding of anything. Never leaves a `decode`. */
export class Malformed extends Error {}

/**
 * Reads canonical bytes and refuses everything else: a longer spelling of an integer, a length
 * beyond the input, text that is not NFC UTF-8. Allocates nothing that the input does not hold.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Fails unless everything was read. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new Malformed("trailing bytes");
  }

  u8(): number {
    const b = this.#bytes[this.#at];
    if (b === undefined) throw new Malformed("ends early");
    this.#at++;
    return b;
  }

  u32(): number {
    return this.#uint(4);
  }

  u48(): number {
    return this.#uint(6);
  }

  /** Refuses what is above 2^53 - 1. */
  u64(): number {
    const n = this.#uint(8);
    if (n > Number.MAX_SAFE_INTEGER) throw new Malformed("integer out of range");
    return n;
  }

  #uint(size: number): number {
    let n = 0;
    for (let i = 0; i < size; i++) n = n * 256 + this.u8();
    return n;
  }

  v(max: number = Number.MAX_SAFE_INTEGER): number {
    let b = this.u8();
    if (b < 0x80) {
      if (b > max) throw new Malformed("integer out of range");
      return b;
    }
    let n = b & 0x7f;
    let scale = 0x80;
    for (;;) {
      b = this.u8();
      n += (b & 0x7f) * scale;
      if (n > max) throw new Malformed("integer out of range");
      if (b < 0x80) {
        if (b === 0) throw new Malformed("integer not minimal");
        return n;
      }
      scale *= 0x80;
      if (scale > 0x8_0000_0000_0000) throw new Malformed("integer too long");
    }
  }

  z(): bigint {
    let n = 0n;
    let shift = 0n;
    for (;;) {
      const b = this.u8();
      n |= BigInt(b & 0x7f) << shift;
      if (b < 0x80) {
        if (b === 0 && shift > 0n) throw new Malformed("integer not minimal");
        break;
      }
      shift += 7n;
      if (shift > 63n) throw new Malformed("integer too long");
    }
    if (n > 0xffff_ffff_ffff_ffffn) throw new Malformed("integer out of range");
    return (n >> 1n) ^ -(n & 1n);
  }

  /** A view of the next `n` bytes; copy it before keeping it beyond the input. */
  fixed(n: number): Uint8Array {
    if (n > this.left) throw new Malformed("ends early");
    const out = this.#bytes.subarray(this.#at, this.#at + n);
    this.#at += n;
    return out;
  }

  bytes(max: number): Uint8Array {
    return this.fixed(this.v(max));
  }

  str(max: number): string {
    const text = decodeUtf8(this.bytes(max));
    if (text === undefined || text.normalize("NFC") !== text) throw new Malformed("text not NFC UTF-8");
    return text;
  }

  /** The bytes between two positions that were read. */
  slice(from: number, to: number = this.#at): Uint8Array {
    return this.#bytes.subarray(from, to);
  }
}

/** Runs a decoder over the whole of `bytes`; null when they are not what it reads. */
export function decodeWith<T>(bytes: Uint8Array, decode: (reader: Reader) => T): T | null {
  try {
    const reader = new Reader(bytes);
    const value = decode(reader);
    reader.end();
    return value;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}
