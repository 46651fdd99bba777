import { concat, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { encodePage } from "@tidelock/core/log/page";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import {
  ALL,
  append,
  type CreateRemote,
  chainAt,
  onVault,
  pageAfter,
  readAll,
  sealed,
  textsOf,
} from "./fixture.ts";

/** Positions, pages and what tampering looks like. */
export const logCases: readonly ContractCase<CreateRemote>[] = [
  {
    numbered: true,
    title: "[P4] [REM5] entries stand where they were placed, dense and in order, the same for every device",
    run: onVault(async ({ device }, a, b) => {
      expect(await pageAfter(a, 0)).toEqual({ objects: [], head: 0 });
      let seq = 0;
      for (const texts of [["1"], ["2", "3", "4"], ["5"], ["6", "7"]]) {
        expect(await append(seq % 2 === 0 ? a : b, seq, ...texts)).toEqual({
          kind: "committed",
          first: seq + 1,
        });
        seq += texts.length;
        expect((await pageAfter(a, seq)).head).toBe(seq);
      }
      const seen = await readAll(a);
      expect(seen.map((one) => one.first)).toEqual([1, 2, 5, 6]);
      expect(seen.map(textsOf)).toEqual([["1"], ["2", "3", "4"], ["5"], ["6", "7"]]);
      for (const remote of [b, await device()]) expect(await readAll(remote)).toEqual(seen);
      expect((await pageAfter(b, 4)).objects).toEqual(seen.slice(2));
    }),
  },
  {
    title: "[REM5] a page keeps the chain hash its writer saw, and one receive time for all readers",
    run: onVault(async (_, a, b) => {
      await append(a, 0, "1", "2");
      await append(a, 2, "3");
      const read = [(await pageAfter(a, 0)).objects, (await pageAfter(b, 0)).objects];
      expect(read[0]).toEqual(read[1]);
      for (const object of read[0] ?? []) {
        if (object.kind !== "page") throw new Error("not a page");
        if (object.prev !== null) expect(object.prev).toEqual(chainAt(object.first - 1));
        for (const { time } of object.entries)
          expect(Number.isInteger(time) && time >= 0 && time < 2 ** 48).toBe(true);
      }
    }),
  },
  {
    numbered: true,
    title: "[REM6] the frames of an append are placed together, up to 256 and 4 MiB",
    run: onVault(async (_, a, b) => {
      const many = Array.from({ length: 256 }, (_one, i) => `frame ${i}`);
      expect(await append(a, 0, ...many)).toMatchObject({ kind: "committed", first: 1 });
      const large = Array.from(
        { length: 4 },
        (_one, i) => new Uint8Array(limits.frame).fill(i + 1) as ReturnType<typeof sealed>,
      );
      expect(await a.append(large, { seq: 256, hash: chainAt(256) })).toEqual({
        kind: "committed",
        first: 257,
      });
      const objects = await readAll(b);
      expect(textsOf(objects[0])).toEqual(many);
      expect(
        objects[1]?.kind === "page" && objects[1].entries.map((e) => [e.frame.length, e.frame[0]]),
      ).toEqual([1, 2, 3, 4].map((n) => [limits.frame, n]));
      expect(objects.length).toBe(2);
    }),
  },
  {
    title: "[REM2] what no append may be is a fault of the caller, and places nothing",
    run: onVault(async (_, a) => {
      const seen = { seq: 0, hash: chainAt(0) };
      const wrong = [
        a.append([], seen),
        a.append(Array(257).fill(sealed("x")), seen),
        a.append([sealed("")], seen),
        a.append([sealed("x")], { seq: 0, hash: new Uint8Array(31) }),
        a.append([sealed("x")], { seq: 999_999_999_999, hash: chainAt(0) }),
        a.create(sealed("")),
        a.putBlob(new Uint8Array(32), sealed("not of this hash")),
      ];
      for (const one of await Promise.allSettled(wrong)) {
        expect(one.status === "rejected" ? one.reason : one).toBeInstanceOf(RangeError);
      }
      expect(await pageAfter(a, 0)).toEqual({ objects: [], head: 0 });
    }),
  },
  {
    numbered: true,
    title:
      "[P1] [P3] [REM7] the same bytes again, a hundred times and from another handle, keep their one position",
    run: onVault(async ({ device }, a) => {
      await append(a, 0, "before");
      for (let i = 0; i < 50; i++)
        expect(await append(a, 1, "mine", "too")).toMatchObject({ kind: "committed", first: 2 });
      await append(a, 3, "after");
      const again = await device();
      for (let i = 0; i < 50; i++)
        expect(await append(again, 1, "mine", "too")).toMatchObject({ kind: "committed", first: 2 });
      expect((await readAll(a)).map(textsOf)).toEqual([["before"], ["mine", "too"], ["after"]]);
    }),
  },
  {
    numbered: true,
    title: "[REM8] who did not see the newest entry is behind, and nothing of theirs is placed",
    run: onVault(async (_, a, b) => {
      await append(a, 0, "one");
      expect(await append(b, 0, "two")).toEqual({ kind: "behind" });
      // Part of what stands there is not what stands there.
      await append(a, 1, "x", "y");
      for (const texts of [["x"], ["x", "y", "z"], ["y", "x"]])
        expect(await append(b, 1, ...texts)).toEqual({ kind: "behind" });
      expect(await append(b, 3, "two")).toMatchObject({ kind: "committed", first: 4 });
      expect((await readAll(a)).map(textsOf)).toEqual([["one"], ["x", "y"], ["two"]]);
    }),
  },
  {
    numbered: true,
    title:
      "[REM11] a read gives at least one object and about as much as was asked for, and says how far the log goes",
    run: onVault(async ({ device }, a) => {
      for (let seq = 0; seq < 40; seq += 2)
        await append(a, seq, `frame ${seq} ${"x".repeat(500)}`, `frame ${seq + 1}`);
      for (const remote of [a, await device()]) {
        expect((await pageAfter(remote, 0, { frames: 1, bytes: 1 })).objects.length).toBe(1);
        expect((await pageAfter(remote, 0, { frames: 6, bytes: 1 << 20 })).objects.length).toBe(3);
        const some = await pageAfter(remote, 10, { frames: 999, bytes: 3000 });
        expect(some.objects.length).toBeGreaterThan(3);
        expect(some.objects.length).toBeLessThan(8);
        for (const bytes of [1, 2000, 9000]) {
          const page = await pageAfter(remote, 4, { frames: 999, bytes });
          expect([bytes, page.head]).toEqual([bytes, 40]);
        }
        expect((await readAll(remote, { frames: 3, bytes: 4000 })).length).toBe(20);
      }
      expect((await pageAfter(await device(), 0, { frames: 1, bytes: 1 })).head).toBe(40);
    }),
  },
  {
    numbered: true,
    title:
      "[P14] [REM3] garbage takes the number it stands at, the same for every device, and the log goes on behind it",
    run: onVault(async ({ tamper, sha256, device }, a, b) => {
      const page = (first: number): Uint8Array =>
        encodePage({ first, prev: chainAt(0), entries: [{ time: 1, frame: encodeUtf8("x") }] });
      const garbage: Uint8Array[] = [
        encodeUtf8("no page"),
        new Uint8Array(0),
        concat(page(4), Uint8Array.of(0)),
        page(9),
        page(6).slice(0, -1),
        new Uint8Array(limits.pageBytes + 1).fill(1),
        new Uint8Array(limits.garbageHashed + 1).fill(2),
      ];
      await append(a, 0, "one");
      for (const [i, bytes] of garbage.entries()) {
        await tamper.put(2 + 2 * i, bytes);
        expect(await append(a, 1 + 2 * i, "not here")).toEqual({ kind: "behind" });
        expect((await pageAfter(a, 1 + 2 * i)).head).toBe(2 + 2 * i);
        expect(await append(a, 2 + 2 * i, `after ${i}`)).toMatchObject({
          kind: "committed",
          first: 3 + 2 * i,
        });
      }
      const objects = await readAll(b);
      expect(objects.map(textsOf)).toEqual([
        ["one"],
        ...garbage.flatMap((_one, i) => [undefined, [`after ${i}`]]),
      ]);
      for (const [i, bytes] of garbage.entries()) {
        const hash = sha256(bytes.subarray(0, limits.garbageHashed));
        expect(objects[1 + 2 * i]).toMatchObject({ kind: "garbage", first: 2 + 2 * i, hash });
      }
      expect(await readAll(await device())).toEqual(objects);
    }),
  },
  {
    numbered: true,
    title: "[P14] [REM13] a few files far above the log that are no pages stop nobody; a page there is a gap",
    run: onVault(async ({ tamper, device }, a, b) => {
      for (let seq = 0; seq < 4; seq++) await append(a, seq, `frame ${seq}`);
      await readAll(b);
      await tamper.put(7, encodeUtf8("no page"));
      await tamper.put(900, encodeUtf8("none either"));
      for (const remote of [a, b, await device()])
        expect(await pageAfter(remote, 4)).toEqual({ objects: [], head: 4 });
      for (const seq of [4, 5]) {
        const first = seq + 1;
        expect(await append(b, seq, `frame ${seq}`)).toMatchObject({ kind: "committed", first });
        await pageAfter(a, seq);
      }
      // The log gets there: it takes its number.
      expect(await append(a, 6, "not here")).toEqual({ kind: "behind" });
      expect((await pageAfter(a, 6)).objects).toMatchObject([{ kind: "garbage", first: 7 }]);
      expect(await append(a, 7, "frame 7")).toMatchObject({ kind: "committed", first: 8 });
      for (const remote of [a, b, await device()])
        expect(await pageAfter(remote, 8)).toEqual({ objects: [], head: 8 });
      const page = encodePage({ first: 12, prev: null, entries: [{ time: 1, frame: encodeUtf8("x") }] });
      await tamper.put(12, page);
      expect(await pageAfter(await device(), 8)).toMatchObject({ objects: [] });
      expect((await pageAfter(await device(), 8)).head).toBeGreaterThan(8);
    }),
  },
  {
    numbered: true,
    title: "[P14] [REM3] an object inside an accepted page is passed over and hides nothing",
    run: onVault(async ({ tamper, device }, a, b) => {
      await append(a, 0, "1", "2", "3", "4");
      await pageAfter(b, 0);
      await tamper.put(
        3,
        encodePage({ first: 3, prev: null, entries: [{ time: 1, frame: encodeUtf8("x") }] }),
      );
      for (const remote of [a, b, await device()]) {
        expect((await readAll(remote)).map(textsOf)).toEqual([["1", "2", "3", "4"]]);
        expect(await pageAfter(remote, 4)).toEqual({ objects: [], head: 4 });
      }
      expect(await append(b, 4, "5")).toMatchObject({ kind: "committed", first: 5 });
    }),
  },
  {
    numbered: true,
    title: "[P10] [REM13] a log that went back and one with a gap show it, to old and new devices",
    run: onVault(async ({ tamper, device }, a, b) => {
      for (let seq = 0; seq < 5; seq++) await append(a, seq, `frame ${seq}`);
      await readAll(b);
      await tamper.drop(3);
      for (const remote of [a, b, await device()])
        expect(await pageAfter(remote, 2)).toEqual({ objects: [], head: 5 });
      const before = await pageAfter(await device(), 0, ALL);
      expect(before.objects.map((one) => one.first)).toEqual([1, 2]);
      await tamper.drop(4);
      await tamper.drop(5);
      for (const remote of [a, b, await device()]) {
        for (const after of [5, 3]) expect(await pageAfter(remote, after)).toEqual({ objects: [], head: 2 });
        expect(await pageAfter(remote, 2)).toEqual({ objects: [], head: 2 });
      }
    }),
  },
  {
    numbered: true,
    title: "[REM5] [REM11] a long log is read whole, in whatever portions, while it grows",
    run: onVault(async ({ device }, a) => {
      for (let seq = 0; seq < 60; seq++) await append(a, seq, `frame ${seq}`);
      const b = await device();
      let after = 0;
      let grown = 60;
      while (after < grown) {
        const page = await pageAfter(b, after, { frames: 17, bytes: 900 });
        for (const object of page.objects) {
          expect(textsOf(object)).toEqual([`frame ${after}`]);
          after++;
        }
        // How far it has grown meanwhile may show a moment later.
        expect(page.head).toBeGreaterThanOrEqual(Math.max(60, after));
        expect(page.head).toBeLessThanOrEqual(grown);
        if (grown < 70) await append(a, grown, `frame ${grown++}`);
      }
      expect(await pageAfter(b, after, ALL)).toEqual({ objects: [], head: 70 });
    }),
  },
];
