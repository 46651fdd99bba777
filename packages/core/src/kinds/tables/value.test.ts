import fc from "fast-check";
import { expect, test } from "vitest";
import { runs } from "../../../../../test/reference/tables-kit.ts";
import { equalBytes, toHex } from "../../bytes/bytes.ts";
import { decodeWith } from "../../bytes/reader.ts";
import { encodeKey, keyCells, keyOf, readKey } from "./key.ts";
import { type Born, type Cell, InvalidText, RowReference, type Value } from "./types.ts";
import { decodeCell, encodeValue, foldCell, integerOf, readCell, sameCell } from "./value.ts";

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = fc.uint8Array({ maxLength: 40 });
const born = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((b) => b as Born);
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  int64,
  fc.integer().map(BigInt),
  fc.double(),
  fc.string({ unit: "binary" }),
  bytes,
  bytes.map((b) => new InvalidText(b)),
  born.map((b) => new RowReference(b)),
);

const read = (b: Uint8Array): Cell | null => decodeWith(b, readCell);

test("[TBL1] values come back as they were", () => {
  const same = (v: Value): void => expect(decodeCell(encodeValue(v))).toEqual(v);
  for (const v of [null, 0n, -1n, 63n, 64n, -64n, -65n, 2n ** 63n - 1n, -(2n ** 63n), -0, 1.5, 5e-324])
    same(v);
  for (const v of [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    "",
    "a\0b",
    "\ufeffbom",
    "e\u0301",
    "é",
  ])
    same(v);
  for (const v of [new Uint8Array(0), Uint8Array.of(0, 255), new InvalidText(Uint8Array.of(0xc3))]) same(v);
  expect(Object.is(decodeCell(encodeValue(-0)), -0)).toBe(true);
  expect(decodeCell(encodeValue(Number.NaN))).toBe(null);
  expect(encodeValue("é")).not.toEqual(encodeValue("e\u0301"));
  expect(() => encodeValue(2n ** 63n)).toThrow(RangeError);
  // Text is text, whatever one thinks of its bytes.
  expect(encodeValue(new InvalidText(Uint8Array.of(97)))).toEqual(encodeValue("a"));
  expect(sameCell(undefined, encodeValue(null))).toBe(true);
});

test("[TBL1, TBL2] every value has one encoding, and no other bytes are read", () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (v, at, byte) => {
      const cell = encodeValue(v);
      expect(read(cell)).toEqual(cell);
      if (typeof v === "bigint") expect(integerOf(cell)).toBe(v);
      const mutant = cell.slice();
      mutant[at % cell.length] = byte;
      const again = read(mutant);
      if (again !== null) expect(encodeValue(decodeCell(again))).toEqual(mutant);
    }),
    runs(2000),
  );
});

test("[TBL2] other spellings of a value are refused", () => {
  for (const hex of [
    "",
    "08",
    "05",
    "06",
    "01",
    "0180",
    "018000",
    "01ffffffffffffffffff02",
    "0300ff",
    "0305",
    "07",
  ])
    expect(read(Uint8Array.from(Buffer.from(hex, "hex"))), hex).toBe(null);
  const nan = Uint8Array.of(2, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
  expect(read(nan)).toBe(null);
  nan[2] = 0xf0;
  expect(read(nan)).not.toBe(null);
});

test("[TBL26] equal in SQLite's eyes is equal after folding", () => {
  const fold = (v: Value, by: "BINARY" | "NOCASE" | "RTRIM" = "BINARY"): string =>
    toHex(foldCell(encodeValue(v), by));
  expect(fold(1)).toBe(fold(1n));
  expect(fold(-0)).toBe(fold(0n));
  expect(fold(-(2 ** 63))).toBe(fold(-(2n ** 63n)));
  expect(fold(2 ** 63)).not.toBe(fold(2n ** 63n - 1n));
  expect(fold(1.5)).toBe(toHex(encodeValue(1.5)));
  expect(fold("AzÉ", "NOCASE")).toBe(fold("aZÉ", "NOCASE"));
  expect(fold("É", "NOCASE")).not.toBe(fold("é", "NOCASE"));
  expect(fold("a  ", "RTRIM")).toBe(fold("a", "RTRIM"));
  expect(fold("A")).not.toBe(fold("a"));
  expect(fold(Uint8Array.of(65), "NOCASE")).not.toBe(fold(Uint8Array.of(97), "NOCASE"));
});

test("[TBL2] keys are 1 to 8 values, none NULL, and none begins another", () => {
  expect(() => encodeKey([])).toThrow(RangeError);
  expect(() => keyOf(1n, null)).toThrow(RangeError);
  expect(() => keyOf(...Array<bigint>(9).fill(1n))).toThrow(RangeError);
  const nonNull = value.filter((v) => v !== null && !Number.isNaN(v));
  const key = fc.array(nonNull, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(key, key, (a, b) => {
      const [one, two] = [keyOf(...a), keyOf(...b)];
      expect(decodeWith(one, readKey)).toEqual(one);
      expect(keyCells(one)).toEqual(a.map(encodeValue));
      const begins = two.length > one.length && equalBytes(one, two.subarray(0, one.length));
      expect(begins).toBe(false);
    }),
    runs(300),
  );
  for (const hex of ["00", "0100", "0901010101010101010101", "02010203"])
    expect(decodeWith(Uint8Array.from(Buffer.from(hex, "hex")), readKey), hex).toBe(null);
});
