import { decodeUtf8 } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Remote } from "@tidelock/core/ports";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import {
  ALL,
  append,
  type CreateRemote,
  chainAt,
  GENESIS,
  onVault,
  pageAfter,
  readAll,
  sealed,
} from "./fixture.ts";

/** The log's texts in order, whatever objects they came in. */
async function textsIn(remote: Remote, want = ALL): Promise<readonly (string | undefined)[]> {
  return (await readAll(remote, want)).flatMap((object) =>
    object.kind === "page" ? object.entries.map(({ frame }) => decodeUtf8(frame)) : ["garbage"],
  );
}

const countOf = (objects: Awaited<ReturnType<typeof pageAfter>>["objects"]): number =>
  objects.reduce((sum, one) => sum + (one.kind === "page" ? one.entries.length : 1), 0);

/** What a place that gives positions itself answers where others let writers choose a number. */
export const assignedCases: readonly ContractCase<CreateRemote>[] = [
  {
    title: "[REM4] of eight founders of one vault at once all are told that it is founded, and it is so once",
    run: async (create) => {
      const fixture = await create(1);
      const founder = await fixture.device();
      const results = await Promise.all(Array.from({ length: 8 }, () => founder.create(GENESIS)));
      expect(results).toEqual(Array(8).fill({ kind: "ok", value: "created" }));
      expect(await pageAfter(founder, 0)).toEqual({ objects: [], head: 0 });
      await fixture.dispose();
    },
  },
  {
    title:
      "[P4] [REM5] [REM28] entries stand where they were placed, dense and in order, the same for every device",
    run: onVault(async ({ device }, a, b) => {
      let seq = 0;
      const texts: string[] = [];
      for (const some of [["1"], ["2", "3", "4"], ["5"], ["6", "7"]]) {
        // What the writer has seen decides nothing.
        expect(await append(seq % 2 === 0 ? a : b, 0, ...some)).toMatchObject({
          kind: "committed",
          first: seq + 1,
        });
        seq += some.length;
        texts.push(...some);
        expect((await pageAfter(a, seq)).head).toBe(seq);
      }
      for (const remote of [a, b, await device()]) expect(await textsIn(remote)).toEqual(texts);
      expect(countOf((await pageAfter(b, 4)).objects)).toBe(3);
    }),
  },
  {
    title: "[REM6] the frames of an append are placed together, up to 256 and 4 MiB",
    run: onVault(async (_, a, b) => {
      const many = Array.from({ length: 256 }, (_one, i) => `frame ${i}`);
      expect(await append(a, 0, ...many)).toMatchObject({ kind: "committed", first: 1 });
      // A frame is its text and some hundred bytes.
      const large = "abc".split("").map((c) => c.repeat(limits.frame - 400));
      expect(await append(a, 256, ...large)).toMatchObject({ kind: "committed", first: 257 });
      const found = await textsIn(b);
      expect(found.slice(0, 256)).toEqual(many);
      expect(found.slice(256).map((text) => [text?.length, text?.[0]])).toEqual(
        large.map((text) => [text.length, text[0]]),
      );
    }),
  },
  {
    title:
      "[P1] [P3] [REM7] the same bytes again, a hundred times and from another handle, keep their one position",
    run: onVault(async ({ again }, a, b) => {
      await append(a, 0, "before");
      for (let i = 0; i < 50; i++)
        expect(await append(a, 1, "mine", "too")).toMatchObject({ kind: "committed", first: 2 });
      await append(b, 3, "between");
      await append(a, 4, "after");
      const handle = (await again?.(a)) ?? a;
      for (let i = 0; i < 50; i++)
        expect(await append(handle, 1, "mine", "too")).toMatchObject({ kind: "committed", first: 2 });
      expect(await textsIn(a)).toEqual(["before", "mine", "too", "between", "after"]);
    }),
  },
  {
    title: "[REM8] [REM28] nobody is behind for what others have written; who has to read first is told so",
    run: onVault(async (_, a, b) => {
      await append(a, 0, "one");
      expect(await append(b, 0, "two")).toMatchObject({ kind: "committed", first: 2 });
      // Part of it stands there: what the others are, reading shows.
      expect(await append(a, 2, "one", "three")).toEqual({ kind: "behind" });
      expect(await append(a, 2, "three")).toMatchObject({ kind: "committed", first: 3 });
      expect(await textsIn(b)).toEqual(["one", "two", "three"]);
    }),
  },
  {
    title: "[REM29] a receipt is given where nothing stands behind the frames, and says what a read does",
    run: onVault(async (_, a, b) => {
      const times: number[] = [];
      for (const some of [["1"], ["2", "3", "4"], ["5"]]) {
        const result = await append(a, times.length, ...some);
        if (result.kind !== "committed" || result.receipt === undefined) throw new Error("no receipt");
        expect(result.receipt.hash).toHaveLength(32);
        for (const _one of some) times.push(result.receipt.time);
        expect(await append(a, 0, ...some)).toEqual(result);
      }
      const read = (await readAll(b)).flatMap((object) => (object.kind === "page" ? object.entries : []));
      expect(read.map(({ time }) => time)).toEqual(times);
      await append(b, 5, "6");
      expect(await append(a, 4, "5")).toEqual({ kind: "committed", first: 5 });
    }),
  },
  {
    title:
      "[P3] [REM9] an append that fails at any point is settled by the same bytes, also behind those that overtook it",
    run: onVault(async ({ failNextAppend }, a, b) => {
      for (const [i, at] of (["send", "commit", "reply"] as const).entries()) {
        failNextAppend(at);
        expect((await append(a, 2 * i, `mine ${at}`)).kind).toBe("unknown");
        await append(b, 2 * i, `theirs ${at}`);
        expect((await append(a, 2 * i, `mine ${at}`)).kind).toBe("committed");
      }
      const texts = await textsIn(b);
      expect(texts).toHaveLength(6);
      expect(new Set(texts).size).toBe(6);
      expect(texts.slice(0, 2)).toEqual(["theirs send", "mine send"]);
    }),
  },
  {
    title:
      "[REM11] a read gives at least one entry and about as much as was asked for, and says how far the log goes",
    run: onVault(async ({ device }, a) => {
      for (let seq = 0; seq < 40; seq += 2)
        await append(a, seq, `frame ${seq} ${"x".repeat(500)}`, `frame ${seq + 1}`);
      for (const remote of [a, await device()]) {
        expect(countOf((await pageAfter(remote, 0, { frames: 1, bytes: 1 })).objects)).toBe(1);
        expect(countOf((await pageAfter(remote, 0, { frames: 6, bytes: 1 << 20 })).objects)).toBe(6);
        const some = countOf((await pageAfter(remote, 10, { frames: 999, bytes: 3000 })).objects);
        expect([some > 3, some < 12]).toEqual([true, true]);
        for (const bytes of [1, 2000, 9000])
          expect((await pageAfter(remote, 4, { frames: 999, bytes })).head).toBe(40);
        expect(await textsIn(remote, { frames: 3, bytes: 4000 })).toHaveLength(40);
      }
    }),
  },
  {
    title: "[P10] [REM13] a log that went back and one with a gap show it, to old and new devices",
    run: onVault(async ({ tamper, device }, a, b) => {
      for (let seq = 0; seq < 5; seq++) await append(a, seq, `frame ${seq}`);
      await readAll(b);
      await tamper.drop(3);
      for (const remote of [a, b, await device()])
        expect(await pageAfter(remote, 2)).toEqual({ objects: [], head: 5 });
      expect(countOf((await pageAfter(await device(), 0)).objects)).toBe(2);
      await tamper.drop(4);
      await tamper.drop(5);
      for (const remote of [a, b, await device()])
        for (const after of [5, 3, 2])
          expect(await pageAfter(remote, after)).toEqual({ objects: [], head: 2 });
    }),
  },
  {
    title: "[P4] [REM10] [REM28] of eight writers at once each gets a position of its own, in sixty rounds",
    timeout: 60_000,
    run: onVault(async ({ device }, a) => {
      const writers = await Promise.all(Array.from({ length: 8 }, () => device()));
      const placed: string[] = [];
      for (let round = 0; round < 60; round++) {
        const results = await Promise.all(writers.map((one, i) => append(one, 0, `${round} by ${i}`)));
        for (const [i, result] of results.entries()) {
          if (result.kind !== "committed") throw new Error(`${round} by ${i}: ${result.kind}`);
          expect(placed[result.first - 1]).toBeUndefined();
          placed[result.first - 1] = `${round} by ${i}`;
        }
      }
      expect(placed).toHaveLength(480);
      expect(await textsIn(a)).toEqual(placed);
    }),
  },
  {
    title: "[REM5] [REM11] a long log is read whole, in whatever portions, while it grows",
    run: onVault(async ({ device }, a) => {
      for (let seq = 0; seq < 60; seq += 20)
        await append(a, seq, ...Array.from({ length: 20 }, (_, i) => `frame ${seq + i}`));
      const b = await device();
      let [after, grown] = [0, 60];
      while (after < grown) {
        const page = await pageAfter(b, after, { frames: 17, bytes: 900 });
        for (const object of page.objects) {
          if (object.kind !== "page") throw new Error("garbage");
          for (const { frame } of object.entries) expect(decodeUtf8(frame)).toBe(`frame ${after++}`);
        }
        expect(page.head).toBeGreaterThanOrEqual(Math.max(60, after));
        if (grown < 70) await append(a, grown, `frame ${grown++}`);
      }
      expect(await pageAfter(b, after)).toEqual({ objects: [], head: 70 });
    }),
  },
  {
    title: "[REM2] what no append may be is a fault of the caller, and places nothing",
    run: onVault(async (_, a) => {
      await expect(a.append([], { seq: 0, hash: chainAt(0) })).rejects.toBeInstanceOf(RangeError);
      await expect(
        a.append(Array(257).fill(sealed("x")), { seq: 0, hash: chainAt(0) }),
      ).rejects.toBeInstanceOf(RangeError);
      expect(await pageAfter(a, 0)).toEqual({ objects: [], head: 0 });
    }),
  },
];
