import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import {
  decodePlaintext,
  decodeSections,
  encodePlaintext,
  encodeSections,
  paddedLength,
} from "./plaintext.ts";

const suite = await createPortableSuite();
const malformed = { kind: "void", reason: "malformed" };
const text = (length: number): Uint8Array => new Uint8Array(length).fill(0x61);

/** Padded by hand, so that what stands inside may be anything. */
function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array(paddedLength(bytes.length) - bytes.length));
}

const deflated = (raw: Uint8Array, claimed: number = raw.length): Uint8Array =>
  padded(new Writer(64).u8(1).v(claimed).bytes(suite.deflate(raw)).done());

describe("padding", () => {
  test("[FRM4] is Padmé from 64 bytes on: at most an eighth longer, and few lengths", () => {
    expect([0, 1, 63, 64].map(paddedLength)).toEqual([64, 64, 64, 64]);
    expect([65, 100, 200, 1000, 1025, 10_000, 1_000_000].map(paddedLength)).toEqual([
      72, 104, 208, 1024, 1088, 10_240, 1_015_808,
    ]);
    fc.assert(
      fc.property(fc.nat(1 << 24), (n) => {
        const length = paddedLength(n);
        expect(length).toBeGreaterThanOrEqual(n);
        expect(length).toBeLessThanOrEqual(Math.max(64, n * 1.125));
        expect(paddedLength(length)).toBe(length);
        expect(paddedLength(n + 1)).toBeGreaterThanOrEqual(length);
      }),
      { numRuns: 2_000 },
    );
    const lengths = new Set(Array.from({ length: 1 << 16 }, (_, n) => paddedLength(n)));
    expect(lengths.size).toBeLessThan(150);
  });

  test("[FRM4] another padding, a byte of it that is not zero, or a byte too many voids", () => {
    const plain = encodePlaintext(suite, text(100), true);
    expect(decodePlaintext(suite, plain)).toEqual({ kind: "ok", changes: text(100) });
    for (let at = 102; at < plain.length; at++) {
      const mutant = plain.slice();
      mutant[at] = 1;
      expect(decodePlaintext(suite, mutant)).toEqual(malformed);
    }
    for (const length of [0, 1, 64, 101, plain.length - 1])
      expect(decodePlaintext(suite, plain.slice(0, length))).toEqual(malformed);
    expect(decodePlaintext(suite, concat(plain, new Uint8Array(1)))).toEqual(malformed);
    expect(decodePlaintext(suite, concat(plain, new Uint8Array(8)))).toEqual(malformed);
  });
});

describe("codec", () => {
  test("[FRM4] every text is read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.boolean(), fc.nat(40), (bytes, stored, times) => {
        const changes = concat(...Array.from({ length: times }, () => bytes));
        const plain = encodePlaintext(suite, changes, stored);
        expect(plain.length).toBe(paddedLength(plain.length));
        expect(decodePlaintext(suite, plain)).toEqual({ kind: "ok", changes });
      }),
    );
  });

  test("[FRM5] stored below 512 B, where deflate does not shorten, and whole where `compress: off` says so", () => {
    const codec = (changes: Uint8Array, stored = false): number | undefined =>
      encodePlaintext(suite, changes, stored)[0];
    expect(codec(text(511))).toBe(0);
    expect(codec(text(512))).toBe(1);
    expect(codec(text(5000), true)).toBe(0);
    expect(codec(suite.random(5000))).toBe(0);
    // A secret beside what a stranger wrote: the length says nothing of how alike they are.
    const secret = text(600);
    const lengths = [secret, suite.random(600)].map(
      (guess) => encodePlaintext(suite, concat(secret, guess), true).length,
    );
    expect(lengths[0]).toBe(lengths[1]);
  });

  test("[FRM5] a reader takes either codec, whatever a writer should have chosen", () => {
    expect(decodePlaintext(suite, deflated(text(10)))).toEqual({ kind: "ok", changes: text(10) });
    expect(decodePlaintext(suite, encodePlaintext(suite, text(9000), true))).toMatchObject({ kind: "ok" });
  });

  test("[FRM4] R9: a bomb is refused before it is inflated, a false length after no more than it says", () => {
    const bomb = suite.deflate(new Uint8Array(40 << 20));
    const huge = (claimed: number): Uint8Array => padded(new Writer(64).u8(1).v(claimed).bytes(bomb).done());
    const outputs: number[] = [];
    const watched = {
      ...suite,
      inflate: (raw: Uint8Array, length: number) => {
        outputs.push(length);
        return suite.inflate(raw, length);
      },
    };
    for (const claimed of [limits.inflated + 1, 2 ** 31, Number.MAX_SAFE_INTEGER])
      expect(decodePlaintext(watched, huge(claimed))).toEqual({ kind: "void", reason: "limit" });
    expect(outputs).toEqual([]);
    for (const claimed of [0, 1, limits.inflated])
      expect(decodePlaintext(watched, huge(claimed))).toEqual(malformed);
    expect(Math.max(...outputs)).toBe(limits.inflated);
    const most = decodePlaintext(suite, deflated(new Uint8Array(limits.inflated)));
    expect(most.kind === "ok" && most.changes.length).toBe(limits.inflated);
    for (const claimed of [99, 101])
      expect(decodePlaintext(suite, deflated(text(100), claimed))).toEqual(malformed);
  });

  test("[FRM4] a codec or a length that does not exist voids", () => {
    const plain = encodePlaintext(suite, text(20), true);
    for (const codec of [2, 3, 255])
      expect(decodePlaintext(suite, Uint8Array.of(codec, ...plain.slice(1)))).toEqual(malformed);
    expect(
      decodePlaintext(
        suite,
        padded(
          new Writer(9)
            .u8(0)
            .v(2 ** 40)
            .done(),
        ),
      ),
    ).toEqual(malformed);
    expect(decodePlaintext(suite, padded(Uint8Array.of(0, 0x80, 0x00)))).toEqual(malformed);
    expect(decodePlaintext(suite, padded(Uint8Array.of(1, 5, 3, 0xff, 0xff, 0xff)))).toEqual(malformed);
  });
});

describe("sections", () => {
  test("[FRM4] are read back, ascending, each once, at least one", () => {
    const some = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 60 })),
      {
        minLength: 1,
        maxLength: 8,
        selector: ([id]) => id,
      },
    );
    fc.assert(
      fc.property(some, (entries) => {
        const sections = new Map(entries);
        const sorted = new Map([...entries].sort(([a], [b]) => a - b));
        const bytes = encodeSections(sections);
        expect([...(decodeSections(bytes) ?? [])]).toEqual([...sorted]);
      }),
    );
    expect(decodeSections(new Uint8Array(0))).toBeNull();
    expect(decodeSections(Uint8Array.of(2, 0, 1, 0))).toBeNull();
    expect(decodeSections(Uint8Array.of(1, 0, 1, 0))).toBeNull();
    expect(decodeSections(Uint8Array.of(0, 0))).toBeNull();
    expect(decodeSections(Uint8Array.of(1))).toBeNull();
    expect(decodeSections(Uint8Array.of(1, 5, 0))).toBeNull();
    expect(decodeSections(Uint8Array.of(1, 0, 2, 0))).not.toBeNull();
  });

  test("[FRM4] what is read has one spelling", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const sections = decodeSections(bytes);
        if (sections !== null) expect(encodeSections(sections)).toEqual(bytes);
      }),
      { numRuns: 3_000 },
    );
  });
});
