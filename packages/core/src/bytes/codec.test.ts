import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  afterPrefix,
  compareBytes,
  concat,
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  fromHex,
  readU64Key,
  toHex,
  u64Key,
} from "./bytes.ts";
import { decodeWith, Malformed, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

const of = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
const small = fc.uint8Array({ maxLength: 12 });
const uint = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.nat(55).map((bits) => Math.min(2 ** bits, Number.MAX_SAFE_INTEGER)),
);

describe("writer and reader", () => {
  test("every value is read back, and nothing is left", () => {
    const value = fc.oneof(
      fc.record({ kind: fc.constant("u8" as const), value: fc.nat(0xff) }),
      fc.record({ kind: fc.constant("u32" as const), value: fc.nat(0xffff_ffff) }),
      fc.record({ kind: fc.constant("u48" as const), value: fc.nat(2 ** 48 - 1) }),
      fc.record({ kind: fc.constant("u64" as const), value: uint }),
      fc.record({ kind: fc.constant("v" as const), value: uint }),
    );
    fc.assert(
      fc.property(fc.array(value), fc.nat(20), (values, capacity) => {
        const w = new Writer(capacity);
        for (const one of values) w[one.kind](one.value);
        const r = new Reader(w.done());
        expect(values.map((one) => r[one.kind]())).toEqual(values.map((one) => one.value));
        r.end();
      }),
    );
  });

  test("signed integers of 64 bits are read back, in one spelling", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
        const bytes = new Writer().z(n).done();
        const r = new Reader(bytes);
        expect(r.z()).toBe(n);
        r.end();
      }),
    );
    for (const n of [0n, -1n, 1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n)])
      expect(new Reader(new Writer().z(n).done()).z()).toBe(n);
    expect(toHex(new Writer().z(-1n).done())).toBe("01");
    expect(new Writer().z(-(2n ** 63n)).length).toBe(10);
  });

  test("an integer has one spelling: whatever is read is what would be written", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 11 }), (bytes) => {
        for (const kind of ["v", "z"] as const) {
          const value = decodeWith<number | bigint>(bytes, (r) => r[kind]());
          if (value === null) continue;
          const again = typeof value === "bigint" ? new Writer().z(value) : new Writer().v(value);
          expect(again.done()).toEqual(bytes);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test("longer spellings, overlong and overgreat integers are refused", () => {
    const max = of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
    expect(new Reader(max).v()).toBe(Number.MAX_SAFE_INTEGER);
    const wrong: [string, Uint8Array][] = [
      ["zero in two bytes", of(0x80, 0x00)],
      ["one in two bytes", of(0x81, 0x00)],
      ["2^53", of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)],
      ["2^56 - 1", of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)],
      ["nine bytes", of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)],
      ["ends early", of(0x80)],
      ["nothing", of()],
      ["without an end", new Uint8Array(1000).fill(0xff)],
    ];
    for (const [what, bytes] of wrong) expect(() => new Reader(bytes).v(), what).toThrow(Malformed);
    expect(() => new Reader(of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02)).z()).toThrow(
      Malformed,
    );
    expect(() => new Reader(new Uint8Array(1000).fill(0xff)).z()).toThrow(Malformed);
    expect(() => new Reader(of(0x80, 0x00)).z()).toThrow(Malformed);
    expect(() => new Reader(of(5)).v(4)).toThrow(Malformed);
    expect(() => new Reader(of(0x80, 0x01)).v(127)).toThrow(Malformed);
    expect(() => new Reader(of(0, 0x20, 0, 0, 0, 0, 0, 0)).u64()).toThrow(Malformed);
    expect(new Reader(of(0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)).u64()).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("a writer takes no integer that has no spelling", () => {
    for (const n of [-1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, -0.5])
      expect(() => new Writer().v(n), String(n)).toThrow(RangeError);
  });

  test("a length beyond the input or the bound is refused before anything is made of it", () => {
    expect(() => new Reader(of(5, 1, 2)).bytes(100)).toThrow(Malformed);
    expect(() => new Reader(of(3, 1, 2, 3)).bytes(2)).toThrow(Malformed);
    expect(() => new Reader(new Writer().v(2 ** 52).done()).bytes(Number.MAX_SAFE_INTEGER)).toThrow(
      Malformed,
    );
    expect(() => new Reader(of(1)).fixed(2)).toThrow(Malformed);
    expect(new Reader(of(1, 2)).fixed(0)).toEqual(of());
    expect(new Reader(of(2, 7, 8)).bytes(2)).toEqual(of(7, 8));
  });

  test("text is NFC UTF-8 and nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const read = new Reader(new Writer().str(text).done()).str(10_000);
        expect(read).toBe(text.normalize("NFC"));
      }),
      { numRuns: 40 },
    );
    const wrong = [
      of(0xff),
      of(0xc0, 0x80),
      of(0xed, 0xa0, 0x80),
      of(0xf5, 0x80, 0x80, 0x80),
      encodeUtf8("e\u0301"),
    ];
    for (const bytes of wrong)
      expect(() => new Reader(new Writer().bytes(bytes).done()).str(99)).toThrow(Malformed);
    // A byte order mark is a character like others.
    expect(new Reader(new Writer().str("\ufeffa").done()).str(9)).toBe("\ufeffa");
  });

  test("what is left over makes the whole malformed, and a decoder's own faults are not hidden", () => {
    expect(decodeWith(of(1, 2), (r) => r.u8())).toBeNull();
    expect(decodeWith(of(1), (r) => r.u8())).toBe(1);
    const fault = (): never => {
      throw new TypeError("a fault");
    };
    expect(() => decodeWith(of(1), fault)).toThrow(TypeError);
  });

  test("a writer used again starts empty, and what it gave out stays as it was", () => {
    const w = new Writer(4);
    const first = w.u32(1).done();
    w.reset().u32(2).u32(3);
    expect(first).toEqual(of(0, 0, 0, 1));
    expect(w.view()).toEqual(of(0, 0, 0, 2, 0, 0, 0, 3));
    expect(w.length).toBe(8);
  });

  test("a reader of a part of a buffer sees that part alone", () => {
    const r = new Reader(of(9, 1, 2, 9).subarray(1, 3));
    expect([r.left, r.u8(), r.at, r.slice(0), r.left]).toEqual([2, 1, 1, of(1), 1]);
    r.u8();
    expect(() => r.u8()).toThrow(Malformed);
  });
});

describe("bytes", () => {
  test("compare as SQLite sorts keys, and a number's key sorts like the number", () => {
    fc.assert(
      fc.property(small, small, (a, b) => {
        const [x, y] = [toHex(a), toHex(b)];
        expect(Math.sign(compareBytes(a, b))).toBe(x === y ? 0 : x < y ? -1 : 1);
        expect(equalBytes(a, b)).toBe(x === y);
      }),
    );
    fc.assert(
      fc.property(uint, uint, (a, b) => {
        expect(Math.sign(compareBytes(u64Key(a), u64Key(b)))).toBe(Math.sign(a - b));
        expect(readU64Key(u64Key(a))).toBe(a);
        expect(readU64Key(concat(of(1), u64Key(a)), 1)).toBe(a);
      }),
    );
  });

  test("the key after a prefix is above everything that begins with it, and below all else above it", () => {
    fc.assert(
      fc.property(small, small, small, (prefix, rest, other) => {
        const end = afterPrefix(prefix);
        if (end === undefined) {
          expect(prefix.every((b) => b === 0xff)).toBe(true);
          return;
        }
        expect(compareBytes(concat(prefix, rest), end)).toBeLessThan(0);
        const begins = equalBytes(other.slice(0, prefix.length), prefix);
        if (!begins && compareBytes(other, prefix) > 0)
          expect(compareBytes(other, end)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });

  test("hexadecimal is read back, and nothing else is read", () => {
    fc.assert(
      fc.property(small, (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    expect(fromHex("ABcd")).toEqual(of(0xab, 0xcd));
    for (const wrong of ["a", "0x00", "zz", " 00", "00 ", "\u0660\u0660"])
      expect(fromHex(wrong)).toBeUndefined();
    expect(decodeUtf8(of(0xff))).toBeUndefined();
  });
});
