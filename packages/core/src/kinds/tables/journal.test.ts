import { expect, test } from "vitest";
import type { Change } from "../../../../../test/reference/tables.ts";
import { coreKey, plainCell, plainTable, Told } from "../../../../../test/reference/tables-kit.ts";

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

function told(): Told {
  const world = new Told();
  world.say(0, [plainTable("t", ["a", "b"])]);
  world.say(0, [insert("1", 100, { a: "tx", b: "ty" })]);
  return world;
}

const history = (world: Told, ...key: string[]): unknown[] =>
  world
    .tx((tx) => world.kind.history(tx, "t", coreKey(key)))
    .map((v) => [
      v.seq,
      v.device,
      v.op,
      v.cells
        .map(
          (c) =>
            `${c.column} ${c.before === undefined ? "-" : plainCell(c.before)}>${plainCell(c.after)}${c.won ? "" : " lost"}`,
        )
        .join(", "),
    ]);

test("[TBL33, TBL12] of two concurrent edits the loser is kept with the winner, in either order", () => {
  for (const [first, second] of [
    [200, 300],
    [300, 200],
  ]) {
    const world = told();
    world.say(1, [set("1", first as number, { a: "tone" })], 2);
    world.say(2, [set("1", second as number, { a: "ttwo", b: "tmine" })], 2);
    const [won, lost] = (first as number) < (second as number) ? ["2:ttwo", "1:tone"] : ["1:tone", "2:ttwo"];
    expect(world.conflicts()).toEqual([
      { reason: "edit", state: "settled", columns: "a", winner: won, loser: lost },
    ]);
  }
});

test("[TBL33, TBL12] what was seen, what is equal and what one device did is no conflict", () => {
  const world = told();
  world.say(1, [set("1", 200, { a: "tone" })], 2);
  world.say(2, [set("1", 300, { a: "ttwo" })], 3);
  world.say(3, [set("1", 400, { a: "ttwo" })], 2);
  world.say(3, [set("1", 500, { a: "tmore" })], 2);
  expect(world.conflicts()).toEqual([]);
});

test("[TBL33] a deletion and an edit that did not know of each other", () => {
  const outcome = (deleteMs: number, editMs: number, deleteFirst: boolean): unknown => {
    const world = told();
    const both: [number, Change][] = [
      [1, remove("1", deleteMs)],
      [2, set("1", editMs, { a: "tedit" })],
    ];
    if (!deleteFirst) both.reverse();
    for (const [device, change] of both) world.say(device, [change], 2);
    return world.conflicts();
  };
  const lostEdit = [
    { reason: "delete", state: "settled", columns: "a", winner: "1:deleted", loser: "2:tedit" },
  ];
  const lostDelete = [
    { reason: "delete", state: "settled", columns: "a", winner: "2:tedit", loser: "1:deleted" },
  ];
  expect(outcome(300, 200, true)).toEqual(lostEdit);
  expect(outcome(300, 200, false)).toEqual(lostEdit);
  expect(outcome(200, 300, true)).toEqual(lostDelete);
  expect(outcome(200, 300, false)).toEqual(lostDelete);
});

test("[TBL33] each author whose edits a deletion takes has an entry of his own; a seen edit has none", () => {
  const world = told();
  world.say(1, [set("1", 200, { a: "tone" })], 2);
  world.say(2, [set("1", 200, { b: "ttwo" })], 2);
  world.say(3, [remove("1", 900)], 3);
  expect(world.conflicts().map((c) => c.loser)).toEqual(["2:ttwo"]);
  // A new row in place of a deleted one takes nothing from anybody.
  world.say(1, [insert("1", 950, { a: "n", b: "n" })], 2);
  expect(world.conflicts()).toHaveLength(1);
});

test("[TBL34] what a first attach found and did not get is open until who saw it edits the row", () => {
  const world = told();
  world.say(1, [{ op: "found", table: "t", key: ["i1"], cells: { a: "tfile", b: "ty" } }], 0);
  const open = { reason: "first-attach", state: "open", columns: "a", winner: "0:tx", loser: "1:tfile" };
  expect(world.conflicts()).toEqual([open]);
  expect(world.tx((tx) => world.kind.conflicts(tx, { open: true }))).toHaveLength(1);
  world.say(2, [set("1", 300, { b: "tunaware" })], 2);
  expect(world.conflicts()).toEqual([open]);
  world.say(2, [set("1", 400, { b: "taware" })], 3);
  expect(world.conflicts()).toEqual([{ ...open, state: "settled" }]);
  expect(world.tx((tx) => world.kind.conflicts(tx, { open: true }))).toEqual([]);
});

test("[TBL34] a number that another row had is noted", () => {
  const world = new Told();
  world.say(0, [plainTable("m", ["x"], { minted: true })]);
  const mint = (b: string): Change => ({
    op: "insert",
    table: "m",
    key: [`@${b}`],
    ms: 1,
    cells: { id: "i1", x: "n" },
  });
  world.say(1, [mint("a")], 1);
  world.say(2, [mint("b")], 1);
  expect(world.conflicts()).toEqual([
    { reason: "number", state: "settled", columns: "id", winner: "1:i1", loser: "2:i1" },
  ]);
});

test("[TBL35] hidden and nulled rows are open conflicts as long as they are; what hangs on them is not listed", () => {
  const world = new Told();
  const columns = ["id", "code", "up"].map((name) => ({ name, notNull: name !== "up" }));
  world.say(0, [
    plainTable("t", [], {
      columns,
      unique: [{ columns: ["code"], collations: ["BINARY"] }],
      fks: [{ columns: ["up"], parent: "t", parentColumns: ["id"], onDelete: "cascade" }],
    }),
  ]);
  world.say(1, [insert("1", 10, { code: "tx", up: "n" })], 1);
  world.say(2, [insert("2", 20, { code: "tx", up: "n" }), insert("3", 20, { code: "tz", up: "i2" })], 1);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i1"]);
  expect(world.conflicts()).toEqual([
    { reason: "unique", state: "open", columns: "code", winner: "1:tx", loser: "2:tx" },
  ]);
  world.say(1, [remove("1", 30)]);
  expect(world.conflicts()).toEqual([]);
  world.say(1, [remove("2", 40)], 2);
  expect(world.conflicts().filter((c) => c.state === "open")).toEqual([
    { reason: "parent", state: "open", columns: "up", winner: "1:deleted", loser: "2:i2" },
  ]);
});

test("[TBL35] a row hidden because its number was taken names who took it; what waits counts too", () => {
  const world = new Told();
  const mint = (b: string, ms: number): Change => ({
    op: "insert",
    table: "m",
    key: [`@${b}`],
    ms,
    cells: { id: "i1", x: "n" },
  });
  const fks = [{ columns: ["who"], parent: "m", parentColumns: ["id"], onDelete: "no action" }];
  world.say(0, [plainTable("m", ["x"], { minted: true }), plainTable("c", ["who"], { fks })]);
  world.say(1, [mint("a", 100)]);
  world.say(1, [{ op: "delete", table: "m", key: ["@a"], ms: 200 }]);
  world.say(1, [{ op: "insert", table: "c", key: ["i1"], ms: 100, cells: { who: "@a" } }]);
  world.hold(1, { seq: 0, time: 0, device: 1, seen: 3, changes: [mint("b", 300)] });
  expect(world.row("c", "i1")).toEqual({ id: "i1", who: "n" });
  const open = { reason: "unique", state: "open", columns: "id", winner: "0:i1", loser: "1:i1" };
  // The child shows NULL because of it: that is no entry of its own.
  expect(world.conflicts()).toEqual([open]);
  const ids = world.tx((tx) => world.kind.conflicts(tx, { open: true })).map((c) => [c.id, c.seq]);
  expect(ids).toEqual([["unique.1.0107000000000000000a", 3]]);
  world.tx((tx) => world.kind.release(tx, 1));
  expect(world.conflicts()).toEqual([]);
});

test("[TBL32] history holds what each change replaced, and what lost", () => {
  const world = told();
  world.say(1, [set("1", 300, { a: "tone" })]);
  world.say(2, [set("1", 200, { a: "tlate", b: "ttwo" })], 2);
  world.say(1, [remove("1", 400)]);
  expect(history(world, "i1")).toEqual([
    [2, 0, "insert", "a ->tx, b ->ty"],
    [3, 1, "set", "a tx>tone"],
    [4, 2, "set", "a tone>tlate lost, b ty>ttwo"],
    [5, 1, "delete", ""],
  ]);
  world.say(1, [insert("1", 500, { a: "tnew", b: "n" })]);
  expect(history(world, "i1").at(-1)).toEqual([6, 1, "insert", "a tone>tnew, b ttwo>n"]);
});

test("[TBL32] a row found, moved, or edited before it came has a history too", () => {
  const world = told();
  world.say(1, [{ op: "found", table: "t", key: ["i5"], cells: { a: "tf", b: "n" } }]);
  expect(history(world, "i5")).toEqual([[3, 1, "found", "a ->tf, b ->n"]]);
  world.say(1, [{ op: "move", table: "t", key: ["i1"], to: ["i2"], ms: 500, cells: { a: "tx", b: "ty" } }]);
  expect(history(world, "i1").at(-1)).toEqual([4, 1, "move", ""]);
  expect(history(world, "i2")).toEqual([[4, 1, "insert", "a ->tx, b ->ty"]]);
  world.say(2, [set("1", 600, { a: "tfollows" })], 3);
  expect(history(world, "i2").at(-1)).toEqual([5, 2, "set", "a tx>tfollows"]);
  world.say(2, [set("7", 600, { a: "tearly" })]);
  expect(history(world, "i7")).toEqual([[6, 2, "set", "a ->tearly"]]);
  expect(history(world, "i99")).toEqual([]);
  expect(world.tx((tx) => world.kind.history(tx, "none", coreKey(["i1"])))).toEqual([]);
});
