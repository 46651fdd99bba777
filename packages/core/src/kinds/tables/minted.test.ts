import { expect, test } from "vitest";
import { type Change, type Run, reduceTables } from "../../../../../test/reference/tables.ts";
import {
  born,
  coreCell,
  coreKey,
  plainRow,
  plainTable,
  Replica,
  Told,
} from "../../../../../test/reference/tables-kit.ts";

const people = plainTable("p", ["name"], { minted: true });
const notes = plainTable("n", ["who"], {
  fks: [{ columns: ["who"], parent: "p", parentColumns: ["id"], onDelete: "cascade" }],
});
const insert = (b: string, id: number | undefined, ms = 100, name = `tname ${b}`): Change => ({
  op: "insert",
  table: "p",
  key: [`@${b}`],
  ms,
  cells: { ...(id === undefined ? {} : { id: `i${id}` }), name },
});
const found = (b: string, id: number, name: string): Change => ({
  op: "found",
  table: "p",
  key: [`@${b}`],
  cells: { id: `i${id}`, name },
});
const remove = (b: string, ms: number): Change => ({ op: "delete", table: "p", key: [`@${b}`], ms });
const renumber = (b: string, id: number, ms: number): Change => ({
  op: "move",
  table: "p",
  key: [`@${b}`],
  ms,
  cells: { id: `i${id}` },
});

function told(): Told {
  const world = new Told();
  world.say(0, [people, notes]);
  return world;
}
const numbers = (world: Replica): Record<string, string> =>
  Object.fromEntries(
    Object.entries(world.shown()["p"] ?? {}).map(([key, row]) => [key.slice(1), row["id"] ?? ""]),
  );

test("[TBL18, TBL19] the first insert in the log keeps its number, any other gets the next free one", () => {
  const world = told();
  world.say(1, [insert("a", 1, 500), insert("b", 2, 500)], 1);
  world.say(2, [insert("c", 1, 100), insert("d", 2, 100), insert("e", 7, 100)], 1);
  world.say(3, [insert("f", undefined)], 1);
  expect(numbers(world)).toEqual({ a: "i1", b: "i2", c: "i3", d: "i4", e: "i7", f: "i8" });
  // Numbers are never taken from gaps.
  world.say(3, [insert("9", 1)], 1);
  expect(numbers(world)["9"]).toBe("i9");
  world.tx((tx) => {
    expect(world.kind.bornOf(tx, "p", 3n)).toEqual(born("c"));
    expect(world.kind.numberOf(tx, "p", born("c"))).toBe(3n);
    expect(world.kind.bornOf(tx, "p", 5n)).toBe(undefined);
    expect(world.kind.numberOf(tx, "p", born("77"))).toBe(undefined);
  });
});

test("[TBL18] a deleted row holds its number against who had not seen the deletion", () => {
  const world = told();
  world.say(1, [insert("a", 1), insert("b", 2)]);
  const deleted = world.say(1, [remove("a", 200), remove("b", 200)]);
  world.say(2, [insert("c", 1, 300)], deleted - 1);
  world.say(3, [insert("d", 2, 300)], deleted);
  expect(numbers(world)).toEqual({ c: "i3", d: "i2" });
  // Alone, a device sees all it did: delete and insert of one number keeps it.
  world.say(3, [remove("d", 400)], deleted);
  world.say(3, [insert("e", 2, 500)], deleted);
  expect(numbers(world)["e"]).toBe("i2");
});

test("[TBL18] a row that asks for another number gives the old one up to who saw it", () => {
  const world = told();
  world.say(1, [insert("a", 1), insert("b", 2)]);
  const moved = world.say(1, [renumber("a", 9, 200)]);
  world.say(2, [insert("c", 1, 300)], moved - 1);
  world.say(2, [insert("d", 1, 300)], moved);
  world.say(2, [renumber("b", 9, 400)]);
  expect(numbers(world)).toEqual({ a: "i9", b: "i11", c: "i10", d: "i1" });
  // The older of two claims changes nothing.
  world.say(3, [renumber("a", 20, 150)], 1);
  expect(numbers(world)["a"]).toBe("i9");
});

test("[TBL20] a row that comes back finds its number, or asks for the next if it was taken", () => {
  const world = told();
  world.say(1, [insert("a", 1), insert("b", 2)]);
  world.say(1, [remove("a", 200), remove("b", 200)]);
  world.say(1, [insert("c", 2, 300)]);
  world.say(2, [{ op: "set", table: "p", key: ["@a"], ms: 400, cells: { name: "tback" } }], 2);
  world.say(2, [{ op: "set", table: "p", key: ["@b"], ms: 400, cells: { name: "tback" } }], 2);
  expect(numbers(world)).toEqual({ a: "i1", b: "i3", c: "i2" });
});

test("[TBL18] a row that comes deleted has a number to return with", () => {
  const world = told();
  world.say(1, [remove("a", 500)]);
  world.say(2, [insert("a", 4, 100)], 1);
  expect(numbers(world)).toEqual({});
  world.say(2, [{ op: "set", table: "p", key: ["@a"], ms: 600, cells: { name: "tx" } }]);
  expect(numbers(world)).toEqual({ a: "i4" });
});

test("[TBL19] past the top, numbers come from the top down", () => {
  const world = told();
  const top = 2n ** 63n - 1n;
  const at = (b: string, id: bigint): Change => ({
    op: "insert",
    table: "p",
    key: [`@${b}`],
    ms: 1,
    cells: { id: `i${id}`, name: "n" },
  });
  world.say(1, [at("a", top), at("b", top), at("c", top - 2n), at("d", top), at("e", top)], 1);
  expect(numbers(world)).toEqual({
    a: `i${top}`,
    b: `i${top - 1n}`,
    c: `i${top - 2n}`,
    d: `i${top - 3n}`,
    e: `i${top - 4n}`,
  });
});

test("[TBL21, TBL22] a found row that equals a live one is that row, with all that names it", () => {
  const world = told();
  world.say(1, [insert("a", 1, 100, "tAda"), insert("b", 2, 100, "tBob")]);
  world.say(
    2,
    [
      found("c1", 1, "tAda"),
      found("c2", 2, "tother"),
      { op: "found", table: "n", key: ["ton c1"], cells: { who: "@c1" } },
      { op: "found", table: "n", key: ["ton c2"], cells: { who: "@c2" } },
    ],
    1,
  );
  expect(numbers(world)).toEqual({ a: "i1", b: "i2", c2: "i3" });
  expect(world.row("n", "ton c1")).toEqual({ id: "ton c1", who: "@a" });
  expect(world.row("n", "ton c2")).toEqual({ id: "ton c2", who: "@c2" });
  // Later changes may use either name.
  world.say(2, [{ op: "set", table: "p", key: ["@c1"], ms: 200, cells: { name: "tAda L" } }]);
  expect(world.row("p", "@a")?.["name"]).toBe("tAda L");
  world.tx((tx) => {
    expect(world.kind.resolve(tx, born("c1"))).toEqual(born("a"));
    expect(world.kind.resolve(tx, born("c2"))).toEqual(born("c2"));
    expect(world.kind.numberOf(tx, "p", born("c1"))).toBe(1n);
    expect(plainRow(world.kind.view(tx, "p", coreKey(["@c1"])))).toEqual(["i1", "tAda L"]);
    expect(world.kind.history(tx, "p", coreKey(["@c1"]))).toHaveLength(2);
  });
});

test("[TBL21] ordinary inserts are never twins, nor two rows of one scan, nor dead or known rows", () => {
  const world = told();
  world.say(1, [insert("a", 1, 100, "tAda")]);
  world.say(2, [insert("b", 1, 100, "tAda")], 1);
  world.say(2, [found("c", 5, "tx"), found("d", 5, "tx")], 1);
  expect(numbers(world)).toEqual({ a: "i1", b: "i2", c: "i5", d: "i6" });
  world.say(1, [remove("a", 900)]);
  world.say(2, [found("e", 1, "tAda")], 1);
  expect(numbers(world)["e"]).toBe("i7");
  world.say(3, [found("c", 5, "tx")], 1);
  expect(numbers(world)["c"]).toBe("i5");
});

test("[TBL22] references inside keys follow the alias too", () => {
  const world = told();
  world.say(0, [
    plainTable("does", [], {
      columns: [
        { name: "who", notNull: true },
        { name: "what", notNull: true },
      ],
      key: ["who", "what"],
      collations: ["BINARY", "BINARY"],
    }),
  ]);
  world.say(1, [
    insert("a", 1, 100, "tAda"),
    { op: "insert", table: "does", key: ["@a", "tcook"], ms: 100, cells: {} },
  ]);
  world.say(
    2,
    [found("c", 1, "tAda"), { op: "found", table: "does", key: ["@c", "tcook"], cells: { who: "@c" } }],
    1,
  );
  expect(Object.keys(world.shown()["does"] ?? {})).toEqual(["@a,tcook"]);
});

test("[TBL18, TBL19] five devices number a hundred rows each, offline, with children: one numbering", () => {
  const runs: Run[] = [{ seq: 1, time: 1e6, device: 9, seen: 0, changes: [people, notes] }];
  for (let d = 0; d < 5; d++) {
    const changes: Change[] = [];
    for (let i = 1; i <= 100; i++) {
      const b = `${d + 1}${String(i).padStart(3, "0")}`;
      changes.push(insert(b, i, 1000 + i), {
        op: "insert",
        table: "n",
        key: [`t${b}`],
        ms: 2000,
        cells: { who: `@${b}` },
      });
    }
    runs.push({ seq: d + 2, time: 1e6, device: d, seen: 1, changes });
  }
  const world = new Replica();
  for (const run of runs) world.apply(run);
  const shown = world.shown();
  expect(shown).toEqual(reduceTables(runs));
  const given = Object.values(numbers(world)).map((n) => Number(n.slice(1)));
  expect(given.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  for (const [key, row] of Object.entries(shown["n"] ?? {})) expect(row["who"]).toBe(`@${key.slice(1)}`);
});

test("[TBL29] an own insert that others outnumbered moves, and moves back with what was void", () => {
  const world = told();
  const pending = (id: number, changes: Change[]): void =>
    world.hold(id, { seq: 0, time: 0, device: 1, seen: world.seq, changes });
  pending(1, [insert("a", 1)]);
  pending(2, [{ op: "insert", table: "n", key: ["tx"], ms: 100, cells: { who: "@a" } }]);
  expect(numbers(world)).toEqual({ a: "i1" });
  world.say(2, [insert("b", 1)], 1);
  expect(numbers(world)).toEqual({ a: "i2", b: "i1" });
  expect(world.row("n", "tx")).toEqual({ id: "tx", who: "@a" });
  // Void, and sent again under a new id: references stay right.
  world.tx((tx) => world.kind.release(tx, 1));
  expect(numbers(world)).toEqual({ b: "i1" });
  pending(3, [insert("a", 1)]);
  expect(numbers(world)).toEqual({ a: "i2", b: "i1" });
  expect(world.row("n", "tx")).toEqual({ id: "tx", who: "@a" });
  expect(coreCell("@a")).toHaveLength(9);
});
