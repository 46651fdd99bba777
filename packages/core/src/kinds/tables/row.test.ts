import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { coreCell, coreKey, runs } from "../../../../../test/reference/tables-kit.ts";
import { fromHex, toHex } from "../../bytes/bytes.ts";
import { hlcAt, nextHlc } from "./hlc.ts";
import {
  aliveBytes,
  type Clock,
  compareClocks,
  decodeRow,
  effective,
  encodeRow,
  isAlive,
  joinRows,
  knownBytes,
  newestClock,
  PENDING,
  past,
  type RowState,
} from "./row.ts";
import { encodeValue } from "./value.ts";

const clock: fc.Arbitrary<Clock> = fc.record({
  ms: fc.constantFrom(0, 1, 2, 2 ** 47),
  count: fc.constantFrom(0, 0, 1, 0xffff),
  seq: fc.constantFrom(1, 2, 3, PENDING + 1),
});
const cell = fc.record({ clock, cell: fc.constantFrom(1n, 2n, 3n, null).map(encodeValue) });
const maybe = <T>(a: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(a, { nil: undefined });
const state: fc.Arbitrary<RowState> = fc.record({
  ins: maybe(clock),
  del: maybe(clock),
  move: maybe(fc.record({ clock, to: fc.constantFrom(["i1"], ["i2"]).map(coreKey) })),
  cells: fc.array(maybe(cell), { maxLength: 4 }),
});
const something = state.filter(
  (s) => s.ins !== undefined || s.del !== undefined || s.cells.some((c) => c !== undefined),
);

/** Two states hold the same if they do so part by part; trailing columns nobody wrote do not count. */
const plain = (s: RowState): unknown => {
  const cells = s.cells.slice();
  while (cells.length > 0 && cells.at(-1) === undefined) cells.pop();
  return { ins: s.ins, del: s.del, move: s.move, cells };
};

test("[TBL6] an edit is past the row its author saw, and no further than its own time else", () => {
  expect(nextHlc(1000, 0n)).toBe(hlcAt(1000, 0));
  expect(nextHlc(1000, hlcAt(2000, 7))).toBe(hlcAt(2000, 8));
  expect(nextHlc(1000, hlcAt(999, 0xffff))).toBe(hlcAt(1000, 0));
  expect(nextHlc(1000, hlcAt(1000, 0xffff))).toBe(hlcAt(1001, 0));
  expect(nextHlc(-5, 0n)).toBe(1n);
  expect(nextHlc(Number.NaN, 0n)).toBe(1n);
  expect(nextHlc(1e300, 0n)).toBe(hlcAt(2 ** 48 - 1, 0));
  expect(nextHlc(0, 2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
});

test("[TBL7] a clock counts as at most log time and a minute", () => {
  const at = (ms: number, count = 3): Clock => effective(hlcAt(ms, count), 1000, 9);
  expect(at(61_000)).toEqual({ ms: 61_000, count: 3, seq: 9 });
  expect(at(61_001, 0)).toEqual({ ms: 61_000, count: 0xffff, seq: 9 });
  expect(effective(hlcAt(2 ** 48 - 1, 5), Number.POSITIVE_INFINITY, 9).ms).toBe(2 ** 48 - 1);
  // So a clock however far ahead is beaten by an edit that saw it, once both are clamped alike.
  const ahead = effective(hlcAt(2 ** 47, 0), 1000, 9);
  const edit = effective(nextHlc(1000, hlcAt(ahead.ms, ahead.count)), 1000, 10);
  expect(compareClocks(edit, ahead)).toBeGreaterThan(0);
});

test("[TBL8] equal clocks are ordered by seq, unconfirmed ones last, clocks of 0 the other way", () => {
  const c = (ms: number, seq: number): Clock => ({ ms, count: 0, seq });
  expect(compareClocks(c(5, 2), c(5, 1))).toBeGreaterThan(0);
  expect(compareClocks(c(5, PENDING), c(5, 9e9))).toBeGreaterThan(0);
  expect(compareClocks(c(0, 2), c(0, 1))).toBeLessThan(0);
  expect(compareClocks({ ms: 5, count: 1, seq: 1 }, c(5, 9))).toBeGreaterThan(0);
  expect(past({ ms: 5, count: 0xffff, seq: 1 }, 2)).toEqual(c(6, 2));
  fc.assert(
    fc.property(clock, clock, clock, (a, b, d) => {
      expect(Math.sign(compareClocks(a, b)) + Math.sign(compareClocks(b, a))).toBe(0);
      if (compareClocks(a, b) <= 0 && compareClocks(b, d) <= 0)
        expect(compareClocks(a, d)).toBeLessThanOrEqual(0);
    }),
    runs(500),
  );
});

test("[TBL10] merging is commutative, associative and idempotent", () => {
  fc.assert(
    fc.property(state, state, state, (a, b, c) => {
      expect(plain(joinRows(a, b))).toEqual(plain(joinRows(b, a)));
      expect(plain(joinRows(joinRows(a, b), c))).toEqual(plain(joinRows(a, joinRows(b, c))));
      expect(plain(joinRows(a, a))).toEqual(plain(a));
      expect(plain(joinRows(joinRows(a, b), b))).toEqual(plain(joinRows(a, b)));
    }),
    runs(1000),
  );
});

test("[TBL11] alive is inserted, not moved away since, and touched after the deletion", () => {
  const c = (ms: number): Clock => ({ ms, count: 0, seq: 1 });
  const row = (over: Partial<RowState>): RowState => ({
    ins: undefined,
    del: undefined,
    move: undefined,
    cells: [],
    ...over,
  });
  const edit = (ms: number): RowState["cells"] => [undefined, { clock: c(ms), cell: encodeValue(1n) }];
  const to = coreKey(["i2"]);
  expect(isAlive(row({ ins: c(1) }))).toBe(true);
  expect(isAlive(row({ cells: edit(5) }))).toBe(false);
  expect(isAlive(row({ ins: c(1), del: c(2) }))).toBe(false);
  expect(isAlive(row({ ins: c(2), del: c(2) }))).toBe(false);
  expect(isAlive(row({ ins: c(3), del: c(2) }))).toBe(true);
  expect(isAlive(row({ ins: c(1), del: c(2), cells: edit(3) }))).toBe(true);
  expect(isAlive(row({ ins: c(1), del: c(2), cells: edit(3), move: { clock: c(2), to } }))).toBe(false);
  expect(isAlive(row({ ins: c(3), del: c(2), move: { clock: c(2), to } }))).toBe(true);
});

test("[TBL10, TBL11] a state is stored and read back, in the same bytes", () => {
  const number = maybe(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  fc.assert(
    fc.property(something, number, (s, n) => {
      const bytes = encodeRow({ ...s, number: n }).slice();
      const back = decodeRow(bytes);
      expect(plain(back)).toEqual(plain(s));
      expect(back.number).toBe(n);
      expect(encodeRow(back)).toEqual(bytes);
      expect(aliveBytes(bytes)).toBe(isAlive(s));
      expect(knownBytes(bytes)).toBe(s.ins !== undefined);
      for (const c of s.cells)
        if (c !== undefined)
          expect(compareClocks(newestClock(s) as Clock, c.clock)).toBeGreaterThanOrEqual(0);
    }),
    runs(500),
  );
  expect(() =>
    encodeRow({ ins: undefined, del: undefined, move: undefined, cells: [], number: undefined }),
  ).toThrow(RangeError);
});

interface PlainRow {
  readonly name: string;
  readonly ins?: Clock;
  readonly del?: Clock;
  readonly move?: { readonly clock: Clock; readonly to: string[] };
  readonly number?: string;
  /** Null: never written. Without a clock: that of the insert, else of the deletion. */
  readonly cells: readonly ({ readonly value: string; readonly clock?: Clock } | null)[];
  readonly bytes: string;
}

test("[TBL10] golden bytes: row states", () => {
  const url = new URL("../../../../../vectors/tidelock/tables.json", import.meta.url);
  const { rows } = JSON.parse(readFileSync(url, "utf8")) as { rows: PlainRow[] };
  expect(rows.length).toBeGreaterThan(5);
  for (const { name, ins, del, move, number, cells, bytes } of rows) {
    const row = {
      ins,
      del,
      move: move === undefined ? undefined : { clock: move.clock, to: coreKey(move.to) },
      number: number === undefined ? undefined : BigInt(number),
      cells: cells.map((c) =>
        c === null ? undefined : { clock: (c.clock ?? ins ?? del) as Clock, cell: coreCell(c.value) },
      ),
    };
    expect(toHex(encodeRow(row)), name).toBe(bytes);
    expect(plain(decodeRow(fromHex(bytes) as Uint8Array)), name).toEqual(plain(row));
  }
});
