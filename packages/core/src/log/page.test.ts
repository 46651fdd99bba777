import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, encodeUtf8, equalBytes, toHex } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import {
  checkAppend,
  encodePage,
  endOf,
  holdsFrames,
  LAST_SEQ,
  type LogPage,
  objectAt,
  parsePage,
} from "./page.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());
const prev = new Uint8Array(32).fill(7);
const page = (over: Partial<LogPage> = {}): LogPage => ({
  first: 5,
  prev,
  entries: [
    { time: 1000, frame: encodeUtf8("one") },
    { time: 990, frame: encodeUtf8("two") },
  ],
  ...over,
});

test("[REM1] a log page has these bytes", () => {
  const head = `544c5031010502e807${"07".repeat(32)}`;
  expect(toHex(encodePage(page()))).toBe(`${head}00036f6e65130374776f`);
  expect(toHex(encodePage(page({ prev: null }))).slice(0, 18)).toBe("544c5031000502e807");
});

test("[REM1] every page is read back as it was written", () => {
  const time = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 48 - 1 }));
  const entry = fc.record({ time, frame: fc.uint8Array({ minLength: 1, maxLength: 40 }) });
  const any = fc.record({
    first: fc.integer({ min: 1, max: LAST_SEQ - 300 }),
    prev: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 })),
    entries: fc.array(entry, { minLength: 1, maxLength: 9 }),
  });
  fc.assert(
    fc.property(any, (p) => {
      expect(parsePage(encodePage(p))).toEqual(p);
    }),
  );
});

test("[REM1] what is read is the one spelling of its page", () => {
  const valid = encodePage(page());
  const mutant = fc.record({
    at: fc.nat(valid.length - 1),
    byte: fc.nat(255),
    cut: fc.nat(3),
    add: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(mutant, { minLength: 1, maxLength: 4 }), (mutants) => {
      let bytes: Uint8Array = valid.slice();
      for (const { at, byte, cut, add } of mutants) {
        bytes[Math.min(at, bytes.length - 1)] = byte;
        bytes = concat(
          bytes.slice(0, cut === 0 ? bytes.length : Math.max(1, at)),
          new Uint8Array(add === 2 ? 1 : 0),
        );
      }
      const read = parsePage(bytes);
      if (read !== null) expect(equalBytes(encodePage(read), bytes)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("[REM2] a page over any of its bounds is refused before anything is allocated for it", () => {
  const start = (first: number, count: number, time = 0): Writer =>
    new Writer().fixed(encodeUtf8("TLP1")).u8(0).v(first).v(count).v(time);
  const refused: Record<string, Uint8Array> = {
    empty: new Uint8Array(0),
    "another version": concat(encodeUtf8("TLP2"), encodePage(page()).subarray(4)),
    "an unknown flag": new Writer()
      .fixed(encodeUtf8("TLP1"))
      .u8(2)
      .v(1)
      .v(1)
      .v(0)
      .z(0n)
      .bytes(Uint8Array.of(1))
      .done(),
    "no entry": start(1, 0).done(),
    "number 0": start(0, 1).z(0n).bytes(Uint8Array.of(1)).done(),
    "beyond twelve digits": start(LAST_SEQ, 2)
      .z(0n)
      .bytes(Uint8Array.of(1))
      .z(0n)
      .bytes(Uint8Array.of(1))
      .done(),
    "257 entries": start(1, 257).fixed(new Uint8Array(600)).done(),
    "an empty frame": start(1, 1).z(0n).bytes(new Uint8Array(0)).done(),
    "a frame over 1 MiB": start(1, 1)
      .z(0n)
      .bytes(new Uint8Array(limits.frame + 1))
      .done(),
    "a time over 48 bits": start(1, 1, 2 ** 48)
      .z(0n)
      .bytes(Uint8Array.of(1))
      .done(),
    "a time below 0": start(1, 2, 5).z(0n).bytes(Uint8Array.of(1)).z(-6n).bytes(Uint8Array.of(1)).done(),
    "a first step": start(1, 1, 5).z(1n).bytes(Uint8Array.of(1)).done(),
    "a length beyond the end": start(1, 1).z(0n).v(9).u8(1).done(),
    "bytes after the end": concat(encodePage(page()), Uint8Array.of(0)),
    "over its size": new Uint8Array(limits.pageBytes + 1),
  };
  for (const [what, bytes] of Object.entries(refused)) expect(parsePage(bytes), what).toBeNull();
  expect(
    parsePage(
      start(LAST_SEQ, 1, 2 ** 48 - 1)
        .z(0n)
        .bytes(Uint8Array.of(1))
        .done(),
    ),
  ).not.toBeNull();
});

test("[REM2] the largest append fits in a page", () => {
  const frame = new Uint8Array(limits.appendBytes / 256);
  const entries = Array.from({ length: 256 }, (_, i) => ({ time: i % 2 === 0 ? 0 : 2 ** 48 - 1, frame }));
  checkAppend(
    entries.map((e) => e.frame),
    { seq: LAST_SEQ - 256, hash: prev },
  );
  expect(parsePage(encodePage({ first: LAST_SEQ - 255, prev, entries }))?.entries.length).toBe(256);
});

test("[REM2] a wrong append or page of our own throws", () => {
  const frame = Uint8Array.of(1);
  const seen = { seq: 0, hash: prev };
  expect(() => checkAppend([], seen)).toThrow(RangeError);
  expect(() => checkAppend(Array(257).fill(frame), seen)).toThrow(RangeError);
  expect(() => checkAppend([new Uint8Array(0)], seen)).toThrow(RangeError);
  expect(() => checkAppend([new Uint8Array(limits.frame + 1)], seen)).toThrow(RangeError);
  expect(() => checkAppend(Array(5).fill(new Uint8Array(limits.frame)), seen)).toThrow(RangeError);
  expect(() => checkAppend([frame], { seq: 0, hash: frame })).toThrow(RangeError);
  expect(() => checkAppend([frame], { seq: -1, hash: prev })).toThrow(RangeError);
  expect(() => encodePage(page({ entries: [{ time: -1, frame }] }))).toThrow(RangeError);
  expect(() =>
    encodePage(
      page({
        entries: [
          { time: 0, frame },
          { time: 2 ** 48, frame },
        ],
      }),
    ),
  ).toThrow(RangeError);
});

test("[REM3] what does not belong at a number is garbage that takes this number, known by its first 5 MiB", () => {
  const bytes = encodePage(page());
  expect(objectAt(5, bytes, sha256)).toEqual({ kind: "page", ...page(), hash: sha256(bytes) });
  expect(objectAt(6, bytes, sha256)).toEqual({ kind: "garbage", first: 6, hash: sha256(bytes) });
  const long = new Uint8Array(limits.garbageHashed + 9).fill(3);
  expect(objectAt(6, long, sha256).hash).toEqual(sha256(long.subarray(0, limits.garbageHashed)));
  expect(endOf(objectAt(5, bytes, sha256))).toBe(6);
  expect(endOf(objectAt(9, long, sha256))).toBe(9);
});

test("a writer knows its own frames", () => {
  const object = objectAt(5, encodePage(page()), sha256);
  const [one, two] = page().entries.map((e) => e.frame) as [Uint8Array, Uint8Array];
  expect(holdsFrames(object, [one, two])).toBe(true);
  for (const other of [[one], [two, one], [one, two, two]]) expect(holdsFrames(object, other)).toBe(false);
  expect(holdsFrames(objectAt(1, one, sha256), [one])).toBe(false);
});
