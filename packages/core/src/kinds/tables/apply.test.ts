import { expect, test } from "vitest";
import type { Change } from "../../../../../test/reference/tables.ts";
import { coreKey, plainTable, sectionOf, Told } from "../../../../../test/reference/tables-kit.ts";
import { hlcAt } from "./hlc.ts";

const MIN = 60_000;

/** Table `t` with texts `a` and `b`; row 1 holds "x" and "y", written at clock 100 by device 0. */
function told(): Told {
  const world = new Told();
  world.say(0, [plainTable("t", ["a", "b"])]);
  world.say(0, [insert("1", 100, { a: "tx", b: "ty" })]);
  return world;
}
const insert = (id: string, ms: number, cells: Record<string, string>): Change => ({
  op: "insert",
  table: "t",
  key: [`i${id}`],
  ms,
  cells,
});
const set = (id: string, ms: number, cells: Record<string, string>): Change => ({
  op: "set",
  table: "t",
  key: [`i${id}`],
  ms,
  cells,
});
const remove = (id: string, ms: number): Change => ({ op: "delete", table: "t", key: [`i${id}`], ms });
const move = (from: string, to: string, ms: number, cells: Record<string, string>): Change => ({
  op: "move",
  table: "t",
  key: [`i${from}`],
  to: [`i${to}`],
  ms,
  cells,
});
const found = (id: string, cells: Record<string, string>): Change => ({
  op: "found",
  table: "t",
  key: [`i${id}`],
  cells,
});

test("[TBL4] the first declaration makes the table; later ones may add columns at the end", () => {
  const world = told();
  world.say(1, [plainTable("t", ["a", "b", "c"])]);
  world.say(1, [set("1", 200, { c: "tz" })]);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tx", b: "ty", c: "tz" });
  world.say(2, [plainTable("t", ["b", "a"]), plainTable("t", ["a", "b"])]);
  expect(world.noops()).toEqual(["5.0 t declaration", "5.1 t declaration"]);
  expect(world.tx((tx) => world.kind.declaration(tx, "t"))?.columns.map((c) => c.name)).toEqual([
    "id",
    "a",
    "b",
    "c",
  ]);
  // The declaration that stands, once more, is no offence.
  world.say(2, [plainTable("t", ["a", "b", "c"])]);
  expect(world.noops()).toHaveLength(2);
  expect(world.tx((tx) => world.kind.declarations(tx)).map((d) => d.name)).toEqual(["t"]);
});

test("[TBL5] what means nothing here changes nothing and is listed", () => {
  const world = told();
  world.say(0, [plainTable("m", ["a"], { minted: true })]);
  const before = world.shown();
  const huge = `t${"x".repeat(1100)}`;
  const cases: [Change, string][] = [
    [{ op: "set", table: "nowhere", key: ["i1"], ms: 1, cells: { a: "n" } }, "nowhere unknown-table"],
    [set("1", 200, { z: "n" }), "t unknown-column"],
    [{ op: "delete", table: "t", key: ["i1", "i2"], ms: 200 }, "t key"],
    [{ op: "delete", table: "m", key: ["i1"], ms: 200 }, "m key"],
    [{ op: "delete", table: "m", key: ["ta"], ms: 200 }, "m key"],
    [{ op: "delete", table: "t", key: [huge], ms: 200 }, "t key"],
    [set("1", 200, { id: "i2" }), "t key"],
    [{ op: "move", table: "t", key: ["i1"], to: ["i2", "i3"], ms: 200, cells: {} }, "t key"],
    [move("1", "2", 200, { id: "i1" }), "t key"],
    [{ op: "move", table: "m", key: ["@1"], to: ["@2"], ms: 200, cells: {} }, "m key"],
    [{ op: "insert", table: "m", key: ["@1"], ms: 200, cells: { id: "tx" } }, "m number"],
    [set("1", 200, { a: `t${"x".repeat(256 << 10)}` }), "t too-large"],
  ];
  const at = world.say(
    1,
    cases.map(([change]) => change),
  );
  expect(world.shown()).toEqual(before);
  expect(world.noops()).toEqual(cases.map(([, why], i) => `${at}.${i} ${why}`));
  // The next change of the same run still counts.
  world.say(1, [set("1", 300, { z: "n" }), set("1", 300, { a: "tnext" })]);
  expect(world.row("t", "i1")?.["a"]).toBe("tnext");
  // Saying the key again, rightly, is fine; saying nothing else is saying nothing.
  world.say(1, [set("1", 400, { id: "i1" }), move("1", "1", 400, {})]);
  expect(world.row("t", "i1")?.["a"]).toBe("tnext");
});

test("[TBL5] more tables than a vault takes are listed, and the rest goes on", () => {
  const world = new Told();
  const tables = Array.from({ length: 1001 }, (_, i) => plainTable(`t${i}`, []));
  world.say(0, tables);
  expect(world.noops()).toEqual(["1.1000 t1000 too-many-tables"]);
  world.say(0, [
    { op: "insert", table: "t999", key: ["i1"], ms: 1, cells: {} },
    { op: "insert", table: "t1000", key: ["i1"], ms: 1, cells: {} },
  ]);
  expect(world.row("t999", "i1")).toEqual({ id: "i1" });
  expect(world.noops()).toHaveLength(2);
});

test("[TBL7] a clock a day ahead wins for a minute, not for a day", () => {
  const world = told();
  const day = 86_400_000;
  world.say(1, [set("1", world.time + day, { a: "tfuture" })], 2);
  // Unseen, and within a minute of log time: the clock ahead still counts as later.
  world.say(2, [set("1", world.time + MIN, { a: "tsoon" })], 2);
  expect(world.row("t", "i1")?.["a"]).toBe("tfuture");
  world.time += 2 * MIN;
  world.say(2, [set("1", world.time, { a: "tnow" })], 2);
  expect(world.row("t", "i1")?.["a"]).toBe("tnow");
});

test("[TBL6, TBL7, TBL8] an edit made after seeing a value wins at once, whatever the clocks", () => {
  const world = told();
  world.say(1, [set("1", world.time + 86_400_000, { a: "tfuture" })]);
  const { clock } = world.tx((tx) => world.kind.view(tx, "t", coreKey(["i1"])));
  expect(clock).toBe(hlcAt(world.time + MIN, 0xffff));
  // Past the row it saw, and clamped to the same: the seq decides.
  world.say(2, [set("1", world.time + MIN + 1, { a: "tseen" })]);
  expect(world.row("t", "i1")?.["a"]).toBe("tseen");
});

test("[TBL8] ties are broken by seq", () => {
  const world = told();
  world.say(1, [set("1", 500, { a: "tzz" })], 2);
  world.say(2, [set("1", 500, { a: "taa" })], 2);
  expect(world.row("t", "i1")?.["a"]).toBe("taa");
});

test("[TBL6] a three-day-old offline edit does not beat yesterday's", () => {
  const world = told();
  const day = 86_400_000;
  world.time = 10 * day;
  world.say(1, [set("1", 9 * day, { a: "tyesterday" })]);
  world.say(2, [set("1", 7 * day, { a: "toffline" })], 2);
  expect(world.row("t", "i1")?.["a"]).toBe("tyesterday");
});

test("[TBL9] found rows lose to every cell that is there, and come back over a deletion", () => {
  const world = told();
  world.say(1, [found("1", { a: "tfile", b: "ty" }), found("2", { a: "tnew", b: "n" })], 0);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tx", b: "ty" });
  expect(world.row("t", "i2")).toEqual({ id: "i2", a: "tnew", b: "n" });
  // Of two found ones the first holds.
  world.say(2, [found("2", { a: "tother", b: "n" })], 0);
  expect(world.row("t", "i2")?.["a"]).toBe("tnew");
  world.say(0, [remove("1", 900)]);
  world.say(1, [found("1", { a: "tagain", b: "n" })]);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tagain", b: "n" });
});

test("[TBL13] edits of different columns both stay, of one column the later clock", () => {
  const world = told();
  world.say(1, [set("1", 300, { a: "t1" })], 2);
  world.say(2, [set("1", 200, { a: "t2", b: "t2" })], 2);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "t1", b: "t2" });
});

test("[TBL14] a deletion and an edit: the later clock decides, in either order", () => {
  for (const [first, second] of [
    [0, 1],
    [1, 0],
  ]) {
    const late = told();
    const changes = [remove("1", 200), set("1", 300, { a: "tedit" })];
    late.say(1, [changes[first as number] as Change], 2);
    late.say(2, [changes[second as number] as Change], 2);
    // The row is whole again: also the column nobody wrote.
    expect(late.row("t", "i1")).toEqual({ id: "i1", a: "tedit", b: "ty" });

    const early = told();
    const others = [remove("1", 300), set("1", 200, { a: "tedit" })];
    early.say(1, [others[first as number] as Change], 2);
    early.say(2, [others[second as number] as Change], 2);
    expect(early.row("t", "i1")).toBe(undefined);
  }
});

test("[TBL15] inserting an existing key joins; inserting a deleted one starts anew", () => {
  const world = told();
  world.say(1, [insert("1", 50, { a: "told", b: "told" })], 0);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tx", b: "ty" });
  world.say(1, [insert("1", 150, { a: "tnewer", b: "n" })], 0);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tnewer", b: "n" });
  world.say(1, [remove("1", 200)]);
  world.say(1, [insert("1", 201, { a: "tagain", b: "n" })]);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tagain", b: "n" });
  // A new row older than the deletion stays deleted.
  world.say(1, [remove("1", 400)]);
  world.say(2, [insert("1", 300, { a: "tlate", b: "n" })], 2);
  expect(world.row("t", "i1")).toBe(undefined);
});

test("[TBL16] an edit later than a move goes along, in either order; an earlier one is left behind", () => {
  for (const later of [true, false]) {
    for (const moveFirst of [true, false]) {
      const world = told();
      const changes = [
        move("1", "2", 200, { a: "tx", b: "ty" }),
        set("1", later ? 300 : 150, { a: "tedit" }),
      ];
      if (!moveFirst) changes.reverse();
      world.say(1, [changes[0] as Change], 2);
      world.say(2, [changes[1] as Change], 2);
      expect(world.shown()["t"]).toEqual({ i2: { id: "i2", a: later ? "tedit" : "tx", b: "ty" } });
      const lost = moveFirst ? { reason: "delete", loser: "2:tedit" } : { reason: "edit", loser: "1:tedit" };
      if (!later) expect(world.conflicts()).toMatchObject([{ state: "settled", ...lost }]);
    }
  }
});

test("[TBL16] edits follow a chain of moves, and not into the row that took the old key since", () => {
  const world = told();
  world.say(1, [move("1", "2", 200, { a: "tx", b: "ty" })]);
  world.say(1, [move("2", "3", 210, { a: "tx", b: "ty" })]);
  world.say(1, [insert("1", 220, { a: "tnew", b: "tnew" })]);
  world.say(2, [set("2", 300, { a: "tfollowed" })], 3);
  world.say(2, [set("1", 310, { b: "tmine" })]);
  expect(world.shown()["t"]).toEqual({
    i1: { id: "i1", a: "tnew", b: "tmine" },
    i3: { id: "i3", a: "tfollowed", b: "ty" },
  });
  // Eight moves are followed, not nine.
  const hop = (n: number): Change => move(`${n}`, `${n + 1}`, 1000 + n, { a: `t${n}` });
  world.say(1, [insert("10", 900, { a: "t" })]);
  for (let n = 10; n < 18; n++) world.say(1, [hop(n)]);
  world.say(2, [set("10", 5000, { a: "tfar" })], 3);
  expect(world.row("t", "i18")?.["a"]).toBe("tfar");
  world.say(1, [hop(18)]);
  world.say(2, [set("10", 6000, { a: "tfarther" })], 3);
  expect(world.row("t", "i19")?.["a"]).toBe("tfar");
  // A circle of moves ends.
  world.say(1, [move("3", "4", 400, { a: "tx", b: "ty" })]);
  world.say(2, [move("4", "3", 400, { a: "tx", b: "ty" })], 2);
  world.say(3, [set("3", 500, { a: "tround" })], 2);
  expect(world.noops()).toEqual([]);
});

test("[TBL16] a row inserted anew after the move keeps its own cells", () => {
  const world = told();
  world.say(2, [remove("1", 150)]);
  world.say(2, [insert("1", 300, { a: "tnew", b: "tnew" })]);
  world.say(1, [move("1", "2", 200, { a: "tx", b: "ty" })], 2);
  expect(world.shown()["t"]).toEqual({
    i1: { id: "i1", a: "tnew", b: "tnew" },
    i2: { id: "i2", a: "tx", b: "ty" },
  });
});

test("[TBL17] an edit or deletion of an unknown row shows nothing, and is there when the row comes", () => {
  const world = told();
  world.say(1, [set("9", 300, { a: "tearly" }), remove("8", 300)]);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i1"]);
  world.say(2, [insert("9", 200, { a: "tlate", b: "tb" }), insert("8", 200, { a: "tlate", b: "tb" })]);
  expect(world.row("t", "i9")).toEqual({ id: "i9", a: "tearly", b: "tb" });
  expect(world.row("t", "i8")).toBe(undefined);
});

test("[TBL2] undecodable bytes are refused by the kind, and readable ones counted", () => {
  const { kind } = new Told();
  expect(kind.decode(Uint8Array.of(1, 2, 3))).toBe(null);
  expect(kind.section).toBe(2);
  expect(sectionOf({ seen: 0, changes: [remove("1", 1)] }).changes).toHaveLength(1);
});
