import { expect, test } from "vitest";
import { concat } from "./bytes.ts";
import { Gatherer } from "./gatherer.ts";

const piece = (n: number, of: number): Uint8Array => new Uint8Array(n).fill(of);

test("pieces come out as one, whatever their sizes, and none is written into", () => {
  for (const sizes of [[], [0], [5], [0, 5], [1, 1, 1, 1, 1, 1], [3, 0, 90, 7], [100]]) {
    const pieces = sizes.map(piece);
    const before = pieces.map((one) => one.slice());
    const all = new Gatherer(100);
    for (const one of pieces) expect(all.add(one)).toBe(true);
    expect([all.size, all.done()]).toEqual([sizes.reduce((a, b) => a + b, 0), concat(...before)]);
    expect(pieces).toEqual(before);
  }
});

test("what would be too much is not taken, and what is there stays", () => {
  const all = new Gatherer(10);
  expect(all.add(piece(11, 1))).toBe(false);
  expect(all.add(piece(6, 1))).toBe(true);
  expect(all.add(piece(5, 2))).toBe(false);
  expect(all.add(piece(4, 3))).toBe(true);
  expect(all.done()).toEqual(concat(piece(6, 1), piece(4, 3)));
});
