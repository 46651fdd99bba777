import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Decl, Run } from "../../../../../test/reference/tables.ts";
import {
  fastSuite,
  plainCell,
  plainKey,
  plainRow,
  Replica,
  runs,
} from "../../../../../test/reference/tables-kit.ts";
import { declare, saying, schema } from "../../../../../test/reference/tables-world.ts";
import { toHex } from "../../bytes/bytes.ts";
import type { Tx } from "../../log/tx.ts";
import { entriesOf } from "./claims.ts";
import { decodeProjection } from "./projection.ts";
import { decodeRow, isAlive } from "./row.ts";
import { Session } from "./session.ts";
import { confirmed, local } from "./spaces.ts";
import { type Born, type RowKey, RowReference, type ShownRow } from "./types.ts";
import { decodeCell } from "./value.ts";
import { stored } from "./view.ts";

const change: fc.Arbitrary<Change> = saying
  .filter((s) => !(s.op === "set" && Object.keys(s.cells).length === 0))
  .map(
    (s): Change => ({ ...s, ...(s.op === "move" && schema[s.table]?.minted === true ? { to: s.key } : {}) }),
  );
const story = fc.record({
  truth: fc.array(fc.array(change, { minLength: 1, maxLength: 4, size: "max" }), {
    minLength: 1,
    maxLength: 20,
    size: "max",
  }),
  pending: fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
  shown: fc.nat(30),
});

/** Tells a replica a story: confirmed runs, then unconfirmed ones, with a file that shows some of it. */
function tell(truth: readonly Change[][], pending: readonly Change[][], shown: number): Replica {
  const world = new Replica();
  world.apply(declared);
  world.tx((tx) => {
    for (const table of Object.keys(schema)) if (table !== "job") world.kind.track(tx, table);
  });
  truth.forEach((changes, i) => {
    world.apply(run(i + 2, i % 3, changes));
    if (i === truth.length - 3) show(world, shown);
  });
  holdAll(world, truth, pending);
  return world;
}

const declared: Run = { seq: 1, time: 1e6, device: 9, seen: 0, changes: declare };
const run = (seq: number, device: number, changes: readonly Change[]): Run => ({
  seq,
  time: 1e6,
  device,
  seen: Math.max(0, seq - 2),
  changes: changes.map((c, i) => ({ ...c, ms: seq * 10 + i }) as Change),
});

function holdAll(world: Replica, truth: readonly Change[][], pending: readonly Change[][]): void {
  for (const [i, changes] of pending.entries()) world.hold(i + 1, run(truth.length + i + 2, 0, changes));
}

/** As the engine does it. */
function replay(world: Replica, truth: readonly Change[][], pending: readonly Change[][]): void {
  world.store.transaction(() => {
    world.tx((tx) => world.kind.reset?.(tx));
    for (const { name } of world.kind.spaces.filter((s) => s.kept !== true))
      for (const [key] of world.store.scan(name, new Uint8Array(0), undefined)) world.store.delete(name, key);
    world.digest = 0n;
    world.apply(declared);
    for (const [i, changes] of truth.entries()) world.apply(run(i + 2, i % 3, changes));
    holdAll(world, truth, pending);
    world.tx((tx) => world.kind.replayed?.(tx));
  });
}

function show(world: Replica, limit: number): void {
  world.tx((tx) => {
    for (const { table, key } of world.kind.dirty(tx, limit))
      world.kind.setShown(tx, table, key, world.kind.view(tx, table, key));
  });
}

/** A row as it stands in the file: references as the numbers of the rows they mean, if those are there. */
function literal(
  row: ShownRow,
  table: string,
  numberOf: (parent: string, born: Born) => bigint | undefined,
): readonly (readonly [string, bigint | undefined])[] {
  const decl = schema[table] as Decl;
  return (row.cells ?? []).map((cell, i) => {
    const value = decodeCell(cell);
    const name = decl.columns[i]?.name ?? "";
    const parent = decl.fks.find((fk) => fk.columns.includes(name))?.parent;
    const numbered = value instanceof RowReference && parent !== undefined;
    return [plainCell(cell), numbered ? numberOf(parent, value.born) : undefined];
  });
}

/** Derived by scanning every row, by itself. */
function scanned(tx: Tx): { claim: string[]; ref: string[] } {
  const session = new Session(tx, fastSuite, new Map());
  const [claim, ref]: [string[], string[]] = [[], []];
  for (const table of session.tables()) {
    const view = table.view;
    if (view === undefined) continue;
    for (const [key, bytes] of stored(session, table, undefined, 1e6)) {
      const row = decodeRow(bytes);
      const { returned } = decodeProjection(session.projection(table, key));
      if (!isAlive(row) && !returned) continue;
      const entries = entriesOf(fastSuite, table, view, key, row, returned);
      for (const c of entries.claims) claim.push(toHex(c.entry));
      for (const r of entries.refs) ref.push(toHex(r.entry));
    }
  }
  return { claim: claim.sort(), ref: ref.sort() };
}

const derived = [
  local.claim,
  local.ref,
  local.proj,
  local.kid,
  local.open,
  local.over,
  local.dirty,
  local.snum,
  local.pend,
  local.pkey,
  local.pnote,
];

test("[ENG14, TBL31] replayed with another end, a device is like one that never saw the first, and knows what its files show", () => {
  fc.assert(
    fc.property(story, fc.nat(), fc.nat(8), (ours, order, tail) => {
      const world = tell(ours.truth, ours.pending, ours.shown);
      const from = Math.max(0, ours.truth.length - tail);
      const end = ours.truth.slice(from);
      const other = [...ours.truth.slice(0, from), ...rotated(end, order)];
      const fresh = tell(other, ours.pending, 0);
      const keys = [world, fresh].flatMap((w) =>
        [...w.store.scan(confirmed.row, new Uint8Array(0), undefined)].map(
          ([at]) => at.subarray(2) as RowKey,
        ),
      );
      const places = Object.keys(schema).flatMap((t) => (t === "job" ? [] : keys.map((key) => ({ t, key }))));
      const inFile = world.tx((tx) =>
        places.map(({ t, key }) =>
          literal(world.kind.shown(tx, t, key), t, (parent, b) => world.kind.shownNumberOf(tx, parent, b)),
        ),
      );
      const aliases = (): number => world.store.count(confirmed.alias) + world.store.count(local.valias);
      const had = aliases();
      replay(world, other, ours.pending);
      expect(world.digest).toBe(fresh.digest);
      expect(world.shown()).toEqual(fresh.shown());
      expect(world.dump(true)).toEqual(fresh.dump(true));
      const [ourDump, theirDump] = [world.dump(false), fresh.dump(false)];
      for (const space of [...derived, local.hist])
        if (space !== local.dirty && space !== local.snum)
          expect(ourDump[space], space).toEqual(theirDump[space]);
      // An alias known only to one side moves what is shown to another key.
      if (had + aliases() > 0) return;
      world.tx((tx) => {
        const dirty = new Set(world.kind.dirty(tx, 1e6).map(({ table, key }) => `${table} ${plainKey(key)}`));
        expect(world.kind.dirtyCount(tx)).toBe(dirty.size);
        for (const [i, { t, key }] of places.entries()) {
          if (dirty.has(`${t} ${plainKey(key)}`)) continue;
          const was = inFile[i] ?? [];
          const view = literal(world.kind.view(tx, t, key), t, (parent, b) =>
            world.kind.numberOf(tx, parent, b),
          );
          expect(view.map(([cell]) => cell)).toEqual(was.map(([cell]) => cell));
          for (const [j, [, number]] of view.entries()) {
            const shown = was[j]?.[1];
            if (number !== undefined && shown !== undefined)
              expect(number, `${t} ${plainKey(key)}`).toBe(shown);
          }
        }
      });
    }),
    runs(40),
  );
});

/** Another order of the same. */
function rotated<T>(list: readonly T[], by: number): T[] {
  const left = [...list];
  const out: T[] = [];
  for (let n = by; left.length > 0; n = Math.floor(n / 3) + 7) out.push(...left.splice(n % left.length, 1));
  return out;
}

test("[TBL36] the claim and reference indexes equal a full scan", () => {
  fc.assert(
    fc.property(story, ({ truth, pending, shown }) => {
      const world = tell(truth, pending, shown);
      const keys = (space: string): string[] =>
        world.store.scan(space, new Uint8Array(0), undefined).map(([key]) => toHex(key));
      world.tx((tx) => {
        expect({ claim: keys(local.claim), ref: keys(local.ref) }).toEqual(scanned(tx));
      });
    }),
    runs(80),
  );
});

test("[TBL36] what is derived is the same when made anew", () => {
  fc.assert(
    fc.property(story, ({ truth, pending, shown }) => {
      const world = tell(truth, pending, shown);
      const before = world.dump(false);
      const seen = world.shown();
      world.tx((tx) => world.kind.rebuildDerived(tx));
      const after = world.dump(false);
      for (const space of derived) expect(after[space], space).toEqual(before[space]);
      expect(world.shown()).toEqual(seen);
    }),
    runs(50),
  );
});

test("[TBL36, TBL31] confirmed state from elsewhere takes the place of one's own; what the file shows stays known", () => {
  fc.assert(
    fc.property(story, story, (ours, theirs) => {
      const world = tell(ours.truth, ours.pending, ours.shown);
      const other = tell(theirs.truth, [], 0);
      const keys = [world, other].flatMap((w) =>
        w.store.scan(confirmed.row, new Uint8Array(0), undefined).map(([at]) => at.subarray(2) as RowKey),
      );
      const shown = (): string[] =>
        world.tx((tx) =>
          keys.flatMap((key) =>
            Object.keys(schema).map((t) => `${t} ${plainKey(key)} ${plainRow(world.kind.shown(tx, t, key))}`),
          ),
        );
      world.tx((tx) => world.kind.keepShown(tx));
      const before = shown();
      const aliases = (): number => world.store.count(confirmed.alias) + world.store.count(local.valias);
      const had = aliases();
      world.tx((tx) => {
        for (const space of Object.values(confirmed)) {
          for (const [key] of tx.scan(space, new Uint8Array(0), undefined)) tx.delete(space, key);
          for (const [key, value] of other.store.scan(space, new Uint8Array(0), undefined))
            tx.put(space, key, value);
        }
        world.kind.rebuildDerived(tx);
      });
      expect(world.digest).toBe(other.digest);
      if (ours.pending.length === 0) expect(world.shown()).toEqual(other.shown());
      // An alias known only to one side moves what is shown to another key.
      if (had + aliases() === 0) expect(shown()).toEqual(before);
      world.tx((tx) => {
        for (const { table, key } of world.kind.dirty(tx, 1e6))
          world.kind.setShown(tx, table, key, world.kind.view(tx, table, key));
        expect(world.kind.dirtyCount(tx)).toBe(0);
        expect(scanned(tx).claim).toHaveLength(world.store.count(local.claim));
      });
    }),
    runs(50),
  );
});
