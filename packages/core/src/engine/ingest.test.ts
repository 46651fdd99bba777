import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { toHex } from "../bytes/bytes.ts";
import type { LogObject, Page } from "../ports.ts";
import { dropEntriesAfter, entriesAfter, getEntry } from "./entries.ts";

interface Placed {
  readonly time: number;
  readonly frame: Uint8Array;
}

async function history(seed: number): Promise<{ kit: Kit; a: Device; entries: readonly Placed[] }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  for (let i = 0; i < 6; i++) {
    kit.write(a, `${i}`, `${i}'`);
    await kit.sync(a);
  }
  return { kit, a, entries: kit.entries as readonly Placed[] };
}

function reader(kit: Kit, a: Device): Device {
  const b = kit.open("reader", a.replica.genesis);
  b.replica.write((tx) => b.replica.membership.begin(tx, a.replica.genesis));
  return b;
}

const page = (
  kit: Kit,
  first: number,
  entries: readonly Placed[],
  prev: Uint8Array | null = null,
): LogObject => ({
  kind: "page",
  first,
  prev,
  entries,
  hash: kit.suite.random(32),
});

/** The log as it rests, but for the numbers of the objects it came in. */
const chainOf = (device: Device): readonly string[] =>
  device.replica.read((tx) => entriesAfter(tx, 0, 1000)).map((e) => toHex(e.link.hash));

describe("ingest", () => {
  test("[LOG1, LOG2] entries are the same in whatever pages they come, once or twice, and in however many reads", async () => {
    const { kit, a, entries } = await history(1);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 20, maxLength: 20 }),
        fc.array(fc.nat(3), { minLength: 20, maxLength: 20 }),
        fc.boolean(),
        (sizes, overlaps, withPrev) => {
          const b = reader(kit, a);
          const objects: LogObject[] = [];
          for (let at = 0, i = 0; at < entries.length; i++) {
            const part = entries.slice(at, at + (sizes[i % sizes.length] as number));
            objects.push(page(kit, at + 1, part, withPrev ? kit.link(a, at).hash : null));
            at += part.length;
          }
          for (let turn = 0; b.replica.cursor().read < entries.length; turn++) {
            const overlap = overlaps[turn % overlaps.length] as number;
            const next = objects.findIndex((o) => o.first > b.replica.cursor().read);
            const from = Math.max(0, next - overlap);
            const after = (objects[from] as LogObject).first - 1;
            const got = b.replica.ingest(after, {
              objects: objects.slice(from, next + 1),
              head: entries.length,
            });
            expect(got).toMatchObject({ kind: "ok", replaced: false });
          }
          expect(chainOf(b)).toEqual(chainOf(a));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("[LOG2] an entry that was applied cannot change; one that waits gives way with all behind it", async () => {
    const { kit, a, entries } = await history(2);
    const b = reader(kit, a);
    const whole: Page = { objects: [page(kit, 1, entries)], head: entries.length };
    b.replica.ingest(0, whole);
    // Without the key only the founding entry is applied.
    expect(b.replica.apply(4096, undefined)).toMatchObject({ kind: "key-missing" });
    expect(b.replica.cursor()).toMatchObject({ read: entries.length, applied: 1 });
    const other = (n: number): readonly Placed[] =>
      entries.map((e, i) => (i === n ? { ...e, time: e.time + 1 } : e));
    expect(b.replica.ingest(0, { objects: [page(kit, 1, other(0))], head: entries.length })).toEqual({
      kind: "halt",
      code: "fork",
    });
    expect(b.replica.cursor()).toMatchObject({ read: entries.length, applied: 1 });
    const shorter = other(3).slice(0, 5);
    const got = b.replica.ingest(0, { objects: [page(kit, 1, shorter)], head: entries.length });
    expect(got).toEqual({ kind: "ok", fresh: 2, replaced: true });
    expect(b.replica.cursor()).toMatchObject({ read: 5, applied: 1 });
    expect(b.replica.read((tx) => entriesAfter(tx, 0, 1000)).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5]);
    b.replica.ingest(0, whole);
    expect(chainOf(b)).toEqual(chainOf(a));
  });

  test("[LOG6] what does not follow is not taken: a gap in front, one in the middle, and what lies behind", async () => {
    const { kit, a, entries } = await history(3);
    const b = reader(kit, a);
    const head = entries.length;
    const at = (first: number, count: number): LogObject =>
      page(kit, first, entries.slice(first - 1, first - 1 + count));
    expect(b.replica.ingest(0, { objects: [at(2, 1)], head })).toEqual({
      kind: "halt",
      code: "chain-broken",
    });
    expect(b.replica.ingest(0, { objects: [], head })).toEqual({ kind: "halt", code: "chain-broken" });
    expect(b.replica.ingest(0, { objects: [at(1, 2), at(4, 2)], head })).toMatchObject({
      kind: "ok",
      fresh: 2,
    });
    expect(b.replica.ingest(2, { objects: [at(4, 2)], head })).toEqual({
      kind: "halt",
      code: "chain-broken",
    });
    expect(b.replica.ingest(2, { objects: [at(1, 2), at(2, 1), at(3, 9)], head })).toMatchObject({
      fresh: 9,
    });
    expect(b.replica.ingest(11, { objects: [], head: 11 })).toMatchObject({ kind: "ok", fresh: 0 });
    expect(chainOf(b)).toEqual(chainOf(a).slice(0, 11));
  });

  test("[LOG2] what waits is asked for again from the beginning of its object", async () => {
    const { kit, a, entries } = await history(4);
    const b = reader(kit, a);
    b.replica.ingest(0, {
      objects: [page(kit, 1, entries.slice(0, 1)), page(kit, 2, entries.slice(1, 9))],
      head: 9,
    });
    b.replica.apply(4096, undefined);
    expect(b.replica.rereadFrom()).toBe(1);
    expect(a.replica.rereadFrom()).toBe(entries.length);
  });

  test("[LOG4] garbage is kept by its hash alone, and counts as one entry", async () => {
    const { kit, a } = await history(5);
    const b = reader(kit, a);
    const hash = kit.suite.random(32);
    b.replica.ingest(0, { objects: [{ kind: "garbage", first: 1, hash }], head: 1 });
    const entry = b.replica.read((tx) => getEntry(tx, 1));
    expect(entry).toMatchObject({ seq: 1, time: 0, id: hash, frame: undefined });
  });

  test("[ENG12] a long tail is dropped a few entries at a time", async () => {
    const { kit, a, entries } = await history(6);
    const b = reader(kit, a);
    b.replica.ingest(0, { objects: [page(kit, 1, entries)], head: entries.length });
    const asked: (number | undefined)[] = [];
    b.replica.write((tx) => {
      const scan = tx.scan.bind(tx);
      tx.scan = (space, from, to, limit) => {
        asked.push(limit);
        return scan(space, from, to, limit);
      };
      dropEntriesAfter(tx, 2);
    });
    expect(asked.every((limit) => limit !== undefined && limit <= 16)).toBe(true);
    expect(chainOf(b)).toEqual(chainOf(a).slice(0, 2));
  });
});
