import { expect, test } from "vitest";
import type { Change } from "../../../../../test/reference/tables.ts";
import { born, plainTable, Told } from "../../../../../test/reference/tables-kit.ts";
import { declare } from "../../../../../test/reference/tables-world.ts";

/** A device that says things which wait. */
class Waiting extends Told {
  id = 0;

  hold1(changes: readonly Change[]): number {
    this.hold(++this.id, { seq: 0, time: 0, device: 1, seen: this.seq, changes: [...changes] });
    return this.id;
  }

  drop(id: number): void {
    this.tx((tx) => this.kind.release(tx, id));
  }
}

const person = (b: string, id: number, op: "insert" | "found" | "move" = "insert", ms = 100): Change => ({
  op,
  table: "person",
  key: [`@${b}`],
  ms,
  cells: { id: `i${id}`, mail: "n", name: "tAda" },
});
const note = (id: string, owner: string): Change => ({
  op: "insert",
  table: "note",
  key: [`i${id}`],
  ms: 100,
  cells: { owner, text: "n", place: "ta" },
});

test("[TBL28] an alias that was only waiting goes with its run", () => {
  const world = new Waiting();
  world.say(0, declare);
  world.say(2, [person("a1", 1)]);
  const id = world.hold1([person("a9", 1, "found")]);
  world.hold1([note("1", "@a9")]);
  expect(world.tx((tx) => world.kind.resolve(tx, born("a9")))).toEqual(born("a1"));
  expect(world.row("note", "i1")?.["owner"]).toBe("@a1");
  world.drop(id);
  expect(world.tx((tx) => world.kind.resolve(tx, born("a9")))).toEqual(born("a9"));
  expect(world.row("note", "i1")?.["owner"]).toBe("@a9");
});

test("[TBL28] a twin that is edited is no twin any more", () => {
  const world = new Waiting();
  world.say(0, declare);
  world.say(2, [person("a1", 1)]);
  world.hold1([person("a9", 1, "found")]);
  expect(Object.keys(world.shown()["person"] ?? {})).toEqual(["@a1"]);
  world.say(2, [{ op: "set", table: "person", key: ["@a1"], ms: 200, cells: { name: "tEve" } }]);
  expect(world.shown()["person"]).toMatchObject({ "@a1": { id: "i1" }, "@a9": { id: "i2" } });
  world.say(2, [{ op: "set", table: "person", key: ["@a1"], ms: 300, cells: { name: "tAda" } }]);
  expect(Object.keys(world.shown()["person"] ?? {})).toEqual(["@a1"]);
});

test("[TBL28] what waits follows an alias that the log makes", () => {
  const world = new Waiting();
  world.say(0, declare);
  world.say(2, [person("a1", 1)]);
  world.hold1([note("1", "@a9"), { op: "insert", table: "does", key: ["@a9", "@b1"], ms: 1, cells: {} }]);
  world.say(3, [person("a9", 1, "found")], 2);
  expect(world.row("note", "i1")?.["owner"]).toBe("@a1");
  expect(Object.keys(world.shown()["does"] ?? {})).toEqual(["@a1,@b1"]);
});

test("[TBL28] numbers taken and given up again under way are seen", () => {
  const world = new Waiting();
  world.say(0, declare);
  const early: Change = { ...person("a1", 4, "move"), ms: 150 } as Change;
  world.hold1([early]);
  world.hold1([person("a4", 4), person("a1", 1, "insert", 200)]);
  expect(world.shown()["person"]).toMatchObject({ "@a1": { id: "i1" }, "@a4": { id: "i4" } });
  // Now the first of them finds its row, takes 4, and leaves it again: 4 came second.
  world.say(2, [person("a1", 1, "found")], 1);
  expect(world.shown()["person"]).toMatchObject({ "@a1": { id: "i1" }, "@a4": { id: "i5" } });
});

test("[TBL19, TBL28] numbers from the top down, here and in the log", () => {
  const world = new Waiting();
  const top = 2n ** 63n - 1n;
  const at = (b: string): Change =>
    ({ ...person(b, 0), cells: { id: `i${top}`, mail: "n", name: "n" } }) as Change;
  world.say(0, declare);
  world.say(2, [at("a1"), at("a2")]);
  world.hold1([at("a3"), at("a4")]);
  const ids = (): unknown =>
    Object.entries(world.shown()["person"] ?? {}).map(([key, row]) => [
      key,
      top - BigInt(row["id"]?.slice(1) ?? 0),
    ]);
  expect(ids()).toEqual([
    ["@a1", 0n],
    ["@a2", 1n],
    ["@a3", 2n],
    ["@a4", 3n],
  ]);
  world.say(2, [at("a5")]);
  expect(ids()).toEqual([
    ["@a1", 0n],
    ["@a2", 1n],
    ["@a3", 3n],
    ["@a4", 4n],
    ["@a5", 2n],
  ]);
});

test("[TBL28] a number that came through somebody else counts before those that wait", () => {
  const world = new Waiting();
  world.say(0, declare);
  world.hold1([person("a2", 1), person("a1", 1)]);
  world.hold1([person("a4", 3)]);
  expect(world.shown()["person"]).toMatchObject({ "@a1": { id: "i2" }, "@a4": { id: "i3" } });
  world.say(2, [person("a4", 3)], 1);
  expect(world.shown()["person"]).toMatchObject({ "@a1": { id: "i4" }, "@a4": { id: "i3" } });
});

test("[TBL28] an edit that waits follows its row to where the log moved it", () => {
  const world = new Waiting();
  world.say(0, [plainTable("t", ["a"])]);
  world.say(2, [{ op: "insert", table: "t", key: ["i1"], ms: 100, cells: { a: "tx" } }]);
  const id = world.hold1([{ op: "set", table: "t", key: ["i1"], ms: 300, cells: { a: "tmine" } }]);
  world.say(2, [{ op: "move", table: "t", key: ["i1"], to: ["i2"], ms: 200, cells: { a: "tx" } }]);
  expect(world.shown()["t"]).toEqual({ i2: { id: "i2", a: "tmine" } });
  world.say(2, [{ op: "set", table: "t", key: ["i2"], ms: 400, cells: { a: "ttheirs" } }]);
  // Not confirmed counts as later than what is, only at equal clocks.
  expect(world.row("t", "i2")?.["a"]).toBe("ttheirs");
  world.drop(id);
  expect(world.row("t", "i2")?.["a"]).toBe("ttheirs");
  expect(world.store.count("t.over")).toBe(0);
});

test("[TBL28] a declaration that waits is there, and goes with its run", () => {
  const world = new Waiting();
  const id = world.hold1([
    plainTable("t", ["a"]),
    { op: "insert", table: "t", key: ["i1"], ms: 1, cells: { a: "tx" } },
  ]);
  const more = world.hold1([plainTable("t", ["a", "b"])]);
  const wrong = world.hold1([plainTable("t", ["z"])]);
  const late = world.hold1([{ op: "set", table: "t", key: ["i1"], ms: 2, cells: { b: "ty" } }]);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tx", b: "ty" });
  world.drop(wrong);
  world.drop(more);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "tx" });
  world.drop(id);
  // What names no table waits, and shows nothing.
  expect(world.shown()).toEqual({});
  world.say(2, [
    plainTable("t", ["a", "b"]),
    { op: "insert", table: "t", key: ["i1"], ms: 1, cells: { a: "n", b: "n" } },
  ]);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "n", b: "ty" });
  world.drop(late);
  expect(world.row("t", "i1")).toEqual({ id: "i1", a: "n", b: "n" });
});

test("[TBL28] changes of a wrong shape wait too, and do no harm", () => {
  const world = new Waiting();
  world.say(0, [plainTable("t", ["a"])]);
  const key = [`t${"x".repeat(2000)}`];
  const id = world.hold1([
    { op: "insert", table: "t", key, ms: 1, cells: { a: "n" } },
    { op: "insert", table: "t", key: ["i1", "i2"], ms: 1, cells: { a: "n" } },
    { op: "set", table: "t", key: ["i1"], ms: 1, cells: { nope: "n" } },
    { op: "delete", table: "nowhere", key: ["i1"], ms: 1 },
  ]);
  expect(world.shown()).toEqual({ t: {} });
  // Told once more under the same id: the first is replaced.
  world.hold(id, {
    seq: 0,
    time: 0,
    device: 1,
    seen: 1,
    changes: [{ op: "insert", table: "t", key: ["i7"], ms: 1, cells: { a: "ta" } }],
  });
  expect(world.shown()).toEqual({ t: { i7: { id: "i7", a: "ta" } } });
  world.drop(id);
  world.drop(99);
  expect(
    world.store.count("t.pend") +
      world.store.count("t.pkey") +
      world.store.count("t.pnote") +
      world.store.count("t.over"),
  ).toBe(0);
});

test("[TBL28] a question in the middle of a transaction is answered as after it", () => {
  const world = new Waiting();
  world.say(0, declare);
  world.tx((tx) => {
    world.applyIn(tx, { seq: 2, time: 1e6, device: 2, seen: 1, changes: [person("a1", 1)] });
    world.kind.hold(tx, 1, [{ seen: 1, approved: false, changes: [] }]);
    expect(world.kind.numberOf(tx, "person", born("a1"))).toBe(1n);
    world.applyIn(tx, {
      seq: 3,
      time: 1e6,
      device: 2,
      seen: 1,
      changes: [{ op: "delete", table: "person", key: ["@a1"], ms: 500 }],
    });
    expect(world.kind.numberOf(tx, "person", born("a1"))).toBe(undefined);
    expect(world.kind.scanView(tx, "person", undefined, 5)).toEqual([]);
    expect(world.kind.scanView(tx, "nowhere", undefined, 5)).toEqual([]);
    expect(world.kind.declaration(tx, "nowhere")).toBe(undefined);
    expect(world.kind.numberOf(tx, "note", born("a1"))).toBe(undefined);
    expect(world.kind.bornOf(tx, "note", 1n)).toBe(undefined);
    expect(world.kind.shownBornOf(tx, "note", 1n)).toBe(undefined);
  });
});
