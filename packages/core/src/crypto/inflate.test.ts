import { deflateRawSync, inflateRawSync } from "node:zlib";
import { deflateSync, inflateSync } from "fflate";
import { expect, test } from "vitest";
import { toHex } from "../bytes/bytes.ts";
import { inflateExact } from "./inflate.ts";

/** What zlib says, with everything that the rule asks for beyond it. */
function zlib(raw: Uint8Array, length: number): Uint8Array | null {
  try {
    const options = { maxOutputLength: length + 1, info: true };
    const { buffer, engine } = inflateRawSync(raw, options) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    return buffer.length === length && engine.bytesWritten === raw.length ? buffer : null;
  } catch {
    return null;
  }
}

test("[CRY8] mutated streams are taken and refused exactly as zlib does", () => {
  const next = generator(20_251);
  let taken = 0;
  let refused = 0;
  for (let i = 0; i < 5_000; i++) {
    const plain = sample(next);
    const raw = compressedBy(next, plain);
    mutate(next, raw);
    // The length that zlib finds, if it finds one: otherwise almost every mutation ends there.
    const length = lengthOf(raw) ?? plain.length;
    const [expected, actual] = [zlib(raw, length), inflateExact(raw, length)];
    if (expected === null) refused++;
    else taken++;
    const same = expected === null ? actual === null : actual !== null && toHex(actual) === toHex(expected);
    expect(same, `${toHex(raw)} to ${length}`).toBe(true);
  }
  expect(taken).toBeGreaterThan(800);
  expect(refused).toBeGreaterThan(800);
});

test("[CRY8] random dynamic blocks are taken and refused exactly as zlib does", () => {
  const next = generator(7);
  for (let i = 0; i < 5_000; i++) {
    const raw = Uint8Array.from({ length: 12 + (next() % 60) }, () => next());
    // A final dynamic block with few codes, so that many of them get past their header.
    raw[0] = 0b101 | ((next() % 4) << 3);
    raw[1] = (next() & 0b1110_0000) | (next() % 3);
    const length = lengthOf(raw) ?? 0;
    const [expected, actual] = [zlib(raw, length), inflateExact(raw, length)];
    expect(actual === null, `${toHex(raw)} to ${length}`).toBe(expected === null);
  }
});

test("[CRY8] large outputs of both compressors, through every window distance", () => {
  const next = generator(3);
  for (const size of [1, 255, 32_768, 32_769, 70_000, 300_000]) {
    const plain = new Uint8Array(size);
    for (let i = 0; i < size; i++)
      plain[i] = i > 40_000 && next() % 9 !== 0 ? (plain[i - 32_768] as number) : next() % 23;
    for (const raw of [deflateSync(plain), new Uint8Array(deflateRawSync(plain, { level: 9 }))]) {
      const out = inflateExact(raw, size);
      expect(out !== null && Buffer.compare(out, plain) === 0).toBe(true);
    }
  }
});

test("the lenient decoder this replaces takes what zlib refuses", () => {
  // Bytes after the end of the stream: were it ours, two builds would disagree about a frame.
  const raw = Uint8Array.of(0x03, 0x00, 0x2a);
  expect(inflateSync(raw).length).toBe(0);
  expect(zlib(raw, 0)).toBeNull();
  expect(inflateExact(raw, 0)).toBeNull();
});

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
}

function sample(next: () => number): Uint8Array {
  const letters = 1 + (next() % 90);
  const plain = new Uint8Array(next() % 400);
  for (let i = 0; i < plain.length; i++)
    plain[i] = i > 20 && next() % 3 === 0 ? (plain[i - 1 - (next() % 20)] as number) : next() % letters;
  return plain;
}

function compressedBy(next: () => number, plain: Uint8Array): Uint8Array {
  if (next() % 5 === 0) return deflateSync(plain);
  return new Uint8Array(deflateRawSync(plain, { level: 1 + (next() % 9), strategy: next() % 5 }));
}

/** Up to three bits, most of them near the start, where the codes stand. */
function mutate(next: () => number, raw: Uint8Array): void {
  for (let n = next() % 4; n > 0; n--) {
    const at = next() % (next() % 3 === 0 ? raw.length : Math.min(raw.length, 24));
    raw[at] = (raw[at] as number) ^ (1 << (next() % 8));
  }
}

function lengthOf(raw: Uint8Array): number | undefined {
  try {
    return inflateRawSync(raw, { maxOutputLength: 1 << 20 }).length;
  } catch {
    return undefined;
  }
}
