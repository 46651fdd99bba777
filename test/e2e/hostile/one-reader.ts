/** What the holder of a place can show to one device, while the others find the truth. */
import { concat } from "@tidelock/core/bytes/bytes";
import { encodePage, type PageEntry } from "@tidelock/core/log/page";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import { draws, seeds } from "@tidelock/testkit/suites/seeds";
import { expect } from "vitest";
import { type Attack, goesOn, halts, told, unchanged } from "./attack.ts";
import type { Scene } from "./scene.ts";

type Change = (log: MemoryVaultLog, at: number, s: Scene) => void;

export const entryAt = (log: MemoryVaultLog, at: number): PageEntry => {
  const object = log.at(at);
  if (object?.kind !== "page" || object.entries.length !== 1) throw new Error(`no entry of its own at ${at}`);
  return object.entries[0] as PageEntry;
};

/** Entry by entry, with the previous hash as this place keeps it. */
export function put(log: MemoryVaultLog, at: number, ...entries: readonly PageEntry[]): void {
  log.put(at, encodePage({ first: at, prev: null, entries }));
}

/** The object at a number, an entry each. */
function split(log: MemoryVaultLog, first: number): void {
  const object = log.at(first);
  if (object?.kind === "page") for (const [i, entry] of object.entries.entries()) put(log, first + i, entry);
}

export const flipped = (bytes: Uint8Array, at: number, bit = 1): Uint8Array =>
  bytes.with(at, (bytes[at] as number) ^ bit) as Uint8Array;

/** The newest entry, of b, is shown to a otherwise; then b signs past it; then a finds the truth. */
function tail(
  change: Change,
  expected: { readonly first: string; readonly next: string },
  written = 1,
): Attack["run"] {
  return async (s) => {
    const before = s.head;
    for (let i = 0; i < written; i++) await s.says(s.b, s.fresh());
    const log = await s.show((l) => change(l, before + 1, s), s.a);
    const first = await unchanged(s, s.a, async () => told(await s.sync(s.a)));
    expect(first).toBe(expected.first);
    const at = await s.says(s.b, s.fresh());
    const honest = entryAt(await s.place.found(), at);
    await s.show((l) => put(l, l.head() + 1, honest), s.a, log);
    const next = await unchanged(s, s.a, async () => told(await s.sync(s.a)));
    expect(next).toBe(expected.next);
    await goesOn(s);
    return first === next ? first : `${first}, then ${next}`;
  };
}

const altered =
  (alter: (frame: Uint8Array) => Uint8Array): Change =>
  (log, at) => {
    const entry = entryAt(log, at);
    put(log, at, { ...entry, frame: alter(entry.frame) });
  };

const waitsThenFork = { first: "waits", next: "fork" };

export const oneReader: readonly Attack[] = [
  {
    ids: "L1, H01",
    what: "a byte of a frame is altered",
    run: async (s) => {
      let outcome = "";
      for (const seed of seeds(3)) {
        const draw = draws(seed);
        const change = altered((f) => flipped(f, Math.floor(draw() * f.length), 1 << Math.floor(draw() * 8)));
        outcome = await tail(change, waitsThenFork)(s);
      }
      return outcome;
    },
  },
  {
    ids: "H06",
    what: "a frame is cut short, and another made longer",
    run: async (s) => {
      await tail(
        altered((f) => f.slice(0, -1)),
        waitsThenFork,
      )(s);
      return tail(
        altered((f) => concat(f, new Uint8Array(1))),
        waitsThenFork,
      )(s);
    },
  },
  {
    ids: "K7, H33, H34",
    what: "format, suite or kind is another one",
    run: async (s) => {
      for (const [at, to] of [
        [0, 0],
        [1, 2],
        [2, 3],
      ] as const)
        await tail(
          altered((f) => f.with(at, to) as Uint8Array),
          waitsThenFork,
        )(s);
      return tail(
        altered((f) => f.with(2, 2) as Uint8Array),
        waitsThenFork,
      )(s);
    },
  },
  {
    ids: "L2, H02",
    what: "a number is left out",
    run: async (s) => {
      const before = s.head;
      for (let i = 0; i < 2; i++) await s.says(s.b, s.fresh());
      await s.show((l) => l.drop(before + 1), s.a);
      const outcome = await halts(s, s.a, "chain-broken");
      await goesOn(s);
      return outcome;
    },
  },
  {
    ids: "L2, H02",
    what: "a frame is left out, and the gap closed",
    run: async (s) => {
      const before = s.head;
      // Two frames anchored alike, and two that are anchored past them.
      for (const batch of [1, 3]) {
        await s.seal(s.b, 2);
        await s.sync(s.b);
        expect(s.b.replica.cursor().applied).toBe(before + batch + 1);
      }
      await s.show((l) => {
        for (const batch of [1, 3]) split(l, before + batch);
        for (const at of [1, 2, 3]) put(l, before + at, entryAt(l, before + at + 1));
        l.drop(before + 4);
      }, s.a);
      const rows = s.rows(s.a);
      const outcome = told(await s.sync(s.a));
      expect(outcome).toBe("fork");
      expect(s.rows(s.a)).toEqual(rows);
      expect(s.kit.verdicts(s.a).slice(before)).toEqual(["device-seq", "anchor", undefined]);
      await goesOn(s);
      return `void, then ${outcome}`;
    },
  },
  {
    ids: "L3, H04",
    what: "two frames change places",
    run: async (s) => {
      const before = s.head;
      // Neither is anchored past the other.
      for (const device of [s.b, s.c]) await s.seal(device, 1);
      for (const device of [s.b, s.c, s.b]) await s.sync(device);
      await s.says(s.b, s.fresh());
      const log = await s.show((l) => {
        const [one, two] = [entryAt(l, before + 1), entryAt(l, before + 2)];
        put(l, before + 1, two);
        put(l, before + 2, one);
        l.drop(before + 3);
      }, s.a);
      expect(told(await s.sync(s.a))).toBe("live");
      const truth = await s.place.found();
      await s.show((l) => put(l, before + 3, entryAt(truth, before + 3)), s.a, log);
      const outcome = await halts(s, s.a, "fork");
      await goesOn(s);
      return `${outcome}, then rebuilt`;
    },
  },
  {
    ids: "H03, L5, H10",
    what: "a frame of another vault is put in",
    run: async (s) => {
      const foreign = await s.foreignFrame();
      return tail(
        (log, at) => {
          const entry = entryAt(log, at);
          put(log, at, { ...entry, frame: foreign });
          put(log, at + 1, entry);
        },
        { first: "waits", next: "fork" },
      )(s);
    },
  },
  {
    ids: "L4, H05, H12",
    what: "frames again under new numbers, its own among them",
    run: async (s) => {
      const before = s.head;
      const rows = s.rows(s.a);
      await s.show((l) => {
        for (const n of l.numbers()) split(l, n);
        for (let n = 3; n <= before; n++) put(l, before + n - 2, entryAt(l, n));
      }, s.a);
      expect(told(await s.sync(s.a))).toBe("live");
      const verdicts = s.kit.verdicts(s.a).slice(before);
      expect(new Set(verdicts.filter((one) => one !== "member-race"))).toEqual(new Set(["replay"]));
      expect(s.rows(s.a)).toEqual(rows);
      // The truth is shorter until others have signed more of it.
      while (s.b.replica.cursor().applied <= s.head) await s.says(s.b, s.fresh());
      await goesOn(s);
      return "void, then rebuilt";
    },
  },
  {
    ids: "L6, H07",
    what: "the log goes back, a little and to its beginning",
    shows: "M-41",
    run: async (s) => {
      const { head } = s;
      for (const to of [head - 1, 2, 0]) {
        await s.place.show(undefined);
        await s.show((l) => l.rollBack(to), s.a);
        await halts(s, s.a, "rollback");
      }
      await goesOn(s);
      return "rollback";
    },
  },
  {
    ids: "L9, H08",
    what: "nothing new is shown any more",
    run: async (s) => {
      const log = await s.place.found();
      await s.place.show(log, s.a);
      await s.says(s.b, s.fresh());
      const outcome = await unchanged(s, s.a, async () => told(await s.sync(s.a)));
      expect(outcome).toBe("live");
      await goesOn(s);
      return "not noticed, as promised";
    },
  },
  {
    ids: "L7, H09",
    what: "two devices on two histories, until one frame crosses over",
    run: async (s) => {
      const other = await s.place.found();
      await s.place.show(other, s.a);
      await s.says(s.a, s.fresh());
      const before = s.head;
      for (let i = 0; i < 2; i++) await s.says(s.b, s.fresh());
      const theirs = entryAt(await s.place.found(), before + 1);
      await s.show((l) => put(l, before + 1, theirs), s.a, await s.place.found(s.a));
      const outcome = await halts(s, s.a, "fork");
      await goesOn(s);
      return outcome;
    },
  },
  {
    ids: "L12",
    what: "two histories are shown in turn",
    run: async (s) => {
      const other = await s.place.found();
      await s.place.show(other, s.a);
      await s.says(s.a, s.fresh());
      for (let i = 0; i < 2; i++) await s.says(s.b, s.fresh());
      await s.place.show(undefined);
      expect(told(await s.sync(s.a))).toBe("live");
      let outcome = "";
      for (let i = 0; i < 2; i++) {
        await s.place.show(other, s.a);
        outcome = await halts(s, s.a, "rollback");
        await s.place.show(undefined);
        expect(told(await s.sync(s.a))).toBe("live");
      }
      await goesOn(s);
      return `rebuilt, then ${outcome}`;
    },
  },
  {
    ids: "L13, H13",
    what: "the newest entry has another receive time, years off",
    run: async (s) => {
      let outcome = "";
      for (const time of [5, 4_294_967_295_000]) {
        const before = s.head;
        await s.says(s.b, s.fresh());
        const log = await s.show((l) => put(l, before + 1, { ...entryAt(l, before + 1), time }), s.a);
        expect(told(await s.sync(s.a))).toBe("live");
        await s.says(s.b, s.fresh());
        const truth = await s.place.found();
        await s.show((l) => put(l, before + 2, entryAt(truth, before + 2)), s.a, log);
        outcome = await halts(s, s.a, "fork");
        await goesOn(s);
      }
      return `${outcome}, then rebuilt`;
    },
  },
  {
    ids: "L13",
    what: "the newest entry is hidden, and what is written in its place confirmed",
    run: async (s) => {
      const before = s.head;
      await s.says(s.b, s.fresh());
      await s.show((l) => l.drop(before + 1), s.a);
      expect(await s.says(s.a, s.fresh())).toBe(before + 1);
      await s.says(s.b, s.fresh());
      await goesOn(s);
      return "rebuilt";
    },
  },
];
