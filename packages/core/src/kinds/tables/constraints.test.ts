import fc from "fast-check";
import { expect, test } from "vitest";
import { type Change, type Run, reduceTables } from "../../../../../test/reference/tables.ts";
import { plainTable, Replica, runs, Told } from "../../../../../test/reference/tables-kit.ts";
import { declare, keys, schema, values } from "../../../../../test/reference/tables-world.ts";

type Action = "no action" | "restrict" | "set null" | "set default" | "cascade";

function family(action: Action, notNull = false): Told {
  const world = new Told();
  const fks = [{ columns: ["up"], parent: "p", parentColumns: ["id"], onDelete: action }];
  const columns = [
    { name: "id", notNull: true },
    { name: "up", notNull },
  ];
  world.say(0, [plainTable("p", ["x"]), plainTable("c", [], { columns, fks })]);
  world.say(0, [insert("p", "1", { x: "t1" }), insert("c", "1", { up: "i1" })]);
  return world;
}
const insert = (table: string, id: string, cells: Record<string, string>, ms = 100): Change => ({
  op: "insert",
  table,
  key: [`i${id}`],
  ms,
  cells,
});
const remove = (table: string, id: string, ms = 500): Change => ({
  op: "delete",
  table,
  key: [`i${id}`],
  ms,
});
const set = (table: string, id: string, cells: Record<string, string>, ms = 600): Change => ({
  op: "set",
  table,
  key: [`i${id}`],
  ms,
  cells,
});

test("[TBL24] a parent that a live row holds on to comes back, and goes when nothing holds it", () => {
  for (const action of ["no action", "restrict"] as const) {
    const world = family(action);
    world.say(1, [remove("p", "1")]);
    expect(world.row("p", "i1")).toEqual({ id: "i1", x: "t1" });
    expect(world.row("c", "i1")).toEqual({ id: "i1", up: "i1" });
    world.say(1, [remove("c", "1")]);
    expect(world.row("p", "i1")).toBe(undefined);
    world.say(2, [insert("c", "2", { up: "i1" }, 900)]);
    expect(world.row("p", "i1")).toEqual({ id: "i1", x: "t1" });
    // An edit of a row that came back makes it live: now it stays by itself.
    world.say(2, [set("p", "1", { x: "t2" }), set("c", "2", { up: "n" }, 1000)]);
    expect(world.row("p", "i1")).toEqual({ id: "i1", x: "t2" });
  }
});

test("[TBL24] returns climb, and rows cannot hold each other up in a circle", () => {
  const world = new Told();
  const tree = plainTable("t", ["up"], {
    fks: [{ columns: ["up"], parent: "t", parentColumns: ["id"], onDelete: "restrict" }],
  });
  world.say(0, [tree]);
  world.say(0, [
    insert("t", "1", { up: "i1" }),
    insert("t", "2", { up: "i3" }),
    insert("t", "3", { up: "i2" }),
    insert("t", "4", { up: "i3" }),
  ]);
  world.say(0, [remove("t", "1"), remove("t", "2"), remove("t", "3")]);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i2", "i3", "i4"]);
  world.say(0, [remove("t", "4")]);
  expect(world.shown()["t"]).toEqual({});
  // All of them long gone: one new row brings back what it hangs on, and what that hangs on.
  world.say(0, [
    insert("t", "7", { up: "n" }),
    insert("t", "8", { up: "i7" }),
    remove("t", "8"),
    remove("t", "7"),
  ]);
  world.say(0, [insert("t", "9", { up: "i8" })]);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i7", "i8", "i9"]);
});

test("[TBL27] what a reference becomes when its parent is deleted", () => {
  const gone = (action: Action, notNull: boolean): Record<string, string> | undefined => {
    const world = family(action, notNull);
    world.say(1, [remove("p", "1")], 2);
    return world.row("c", "i1");
  };
  expect(gone("cascade", false)).toBe(undefined);
  expect(gone("cascade", true)).toBe(undefined);
  expect(gone("set null", false)).toEqual({ id: "i1", up: "n" });
  expect(gone("set default", false)).toEqual({ id: "i1", up: "n" });
  expect(gone("set null", true)).toBe(undefined);
});

test("[TBL27] hiding goes down, comes up again, and holds in no circle", () => {
  const world = new Told();
  const tree = plainTable("t", ["up", "code"], {
    unique: [{ columns: ["code"], collations: ["BINARY"] }],
    columns: [
      { name: "id", notNull: true },
      { name: "up", notNull: false },
      { name: "code", notNull: true },
    ],
    fks: [{ columns: ["up"], parent: "t", parentColumns: ["id"], onDelete: "cascade" }],
  });
  world.say(0, [tree]);
  world.say(0, [insert("t", "9", { up: "n", code: "tsame" })]);
  // 1 and 2 refer to each other; 3 hangs below. 1 loses its code to 9, so all three are hidden.
  world.say(1, [
    insert("t", "1", { up: "i2", code: "tsame" }),
    insert("t", "2", { up: "i1", code: "tb" }),
    insert("t", "3", { up: "i2", code: "tc" }),
  ]);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i9"]);
  world.say(1, [remove("t", "9")]);
  expect(Object.keys(world.shown()["t"] ?? {})).toEqual(["i1", "i2", "i3"]);
  world.say(1, [remove("t", "2")]);
  expect(world.shown()["t"]).toEqual({});
});

test("[TBL27] a reference to a row never known is left alone", () => {
  const world = family("cascade", true);
  world.say(1, [insert("c", "5", { up: "i77" })]);
  expect(world.row("c", "i5")).toEqual({ id: "i5", up: "i77" });
  // Once known, it counts.
  world.say(1, [insert("p", "77", { x: "n" })]);
  world.say(1, [remove("p", "77")]);
  expect(world.row("c", "i5")).toBe(undefined);
  // Also where the row comes deleted.
  world.say(1, [insert("c", "6", { up: "i78" })]);
  world.say(1, [insert("p", "78", { x: "n" }), remove("p", "78")]);
  expect(world.row("c", "i6")).toBe(undefined);
});

test("[TBL25] the first in the log holds a unique value; others show NULL or are hidden", () => {
  const world = new Told();
  world.say(0, [
    plainTable("u", ["mail", "code"], {
      columns: [
        { name: "id", notNull: true },
        { name: "mail", notNull: false },
        { name: "code", notNull: true },
      ],
      unique: [
        { columns: ["mail"], collations: ["NOCASE"] },
        { columns: ["code"], collations: ["BINARY"] },
      ],
    }),
  ]);
  world.say(1, [insert("u", "1", { mail: "ta@x", code: "t1" }, 900)], 1);
  world.say(2, [insert("u", "2", { mail: "tA@X", code: "t2" }, 100)], 1);
  expect(world.row("u", "i2")).toEqual({ id: "i2", mail: "n", code: "t2" });
  world.say(3, [insert("u", "3", { mail: "n", code: "t1" })], 1);
  expect(world.row("u", "i3")).toBe(undefined);
  // NULLs never clash, and a loser's claim stands once the holder lets go.
  world.say(3, [insert("u", "4", { mail: "n", code: "t4" })]);
  expect(world.row("u", "i4")?.["mail"]).toBe("n");
  world.say(1, [set("u", "1", { mail: "tnew", code: "tnew" }, 1000)]);
  expect(world.row("u", "i2")?.["mail"]).toBe("tA@X");
  expect(world.row("u", "i3")).toEqual({ id: "i3", mail: "n", code: "t1" });
});

test("[TBL25] hidden rows claim too, and who comes back from a deletion claims anew", () => {
  const world = new Told();
  world.say(0, [
    plainTable("u", ["a", "b"], {
      columns: ["id", "a", "b"].map((name) => ({ name, notNull: true })),
      unique: [
        { columns: ["a"], collations: ["BINARY"] },
        { columns: ["b"], collations: ["BINARY"] },
      ],
    }),
  ]);
  world.say(1, [insert("u", "1", { a: "tx", b: "t1" })]);
  world.say(1, [insert("u", "2", { a: "tx", b: "t2" })]);
  world.say(1, [insert("u", "3", { a: "t3", b: "t2" })]);
  // 2 is hidden by 1; still it holds b against 3.
  expect(Object.keys(world.shown()["u"] ?? {})).toEqual(["i1"]);
  world.say(1, [remove("u", "1")]);
  world.say(1, [insert("u", "4", { a: "t4", b: "t1" }, 700)]);
  world.say(2, [set("u", "1", { a: "t9" }, 800)], 2);
  // 1 is back, but 4 took its b while it was gone.
  expect(Object.keys(world.shown()["u"] ?? {})).toEqual(["i2", "i4"]);
});

test("[TBL25] a row that others brought back yields a value to who took it", () => {
  const world = family("restrict");
  const unique = plainTable("q", ["name"], { unique: [{ columns: ["name"], collations: ["BINARY"] }] });
  const child = plainTable("d", ["up"], {
    fks: [{ columns: ["up"], parent: "q", parentColumns: ["id"], onDelete: "restrict" }],
  });
  world.say(0, [unique, child]);
  world.say(0, [insert("q", "1", { name: "tx" }), insert("d", "1", { up: "i1" })]);
  world.say(1, [remove("q", "1")]);
  world.say(1, [insert("q", "2", { name: "tx" }, 900)]);
  expect(world.shown()["q"]).toEqual({ i1: { id: "i1", name: "n" }, i2: { id: "i2", name: "tx" } });
});

test("[TBL26] keys that SQLite holds equal: the first in the log is shown", () => {
  const world = new Told();
  world.say(0, [plainTable("k", ["x"], { collations: ["NOCASE"] }), plainTable("b", ["x"])]);
  const row = (table: string, key: string): Change => ({
    op: "insert",
    table,
    key: [key],
    ms: 100,
    cells: { x: "n" },
  });
  world.say(1, [row("k", "tAbc"), row("b", "r1"), row("b", "tA")], 1);
  world.say(2, [row("k", "taBC"), row("b", "i1"), row("b", "ta")], 1);
  expect(Object.keys(world.shown()["k"] ?? {})).toEqual(["tAbc"]);
  expect(Object.keys(world.shown()["b"] ?? {}).sort()).toEqual(["r1", "tA", "ta"]);
  world.say(1, [
    { op: "delete", table: "k", key: ["tAbc"], ms: 500 },
    { op: "delete", table: "b", key: ["r1"], ms: 500 },
  ]);
  expect(Object.keys(world.shown()["k"] ?? {})).toEqual(["taBC"]);
  expect(Object.keys(world.shown()["b"] ?? {}).sort()).toEqual(["i1", "tA", "ta"]);
});

test("[TBL26] a row that returns to a number taken since is hidden, with what hangs on it", () => {
  const world = new Told();
  const child = plainTable("c", ["who"], {
    columns: [
      { name: "id", notNull: true },
      { name: "who", notNull: true },
    ],
    fks: [{ columns: ["who"], parent: "m", parentColumns: ["id"], onDelete: "no action" }],
  });
  const mint = (b: string, id: string, ms: number): Change => ({
    op: "insert",
    table: "m",
    key: [`@${b}`],
    ms,
    cells: { id, x: "n" },
  });
  world.say(0, [plainTable("m", ["x"], { minted: true }), child]);
  world.say(1, [mint("a", "i1", 100)]);
  world.say(1, [{ op: "delete", table: "m", key: ["@a"], ms: 200 }]);
  world.say(1, [mint("b", "i1", 300)]);
  world.say(2, [insert("c", "1", { who: "@a" })], 2);
  expect(world.shown()).toEqual({ m: { "@b": { id: "i1", x: "n" } }, c: {} });
  expect(world.tx((tx) => world.kind.bornOf(tx, "m", 1n))).toEqual(
    world.tx((tx) => world.kind.bornOf(tx, "m", 1n)),
  );
  world.say(1, [{ op: "delete", table: "m", key: ["@b"], ms: 400 }]);
  expect(world.shown()).toEqual({ m: { "@a": { id: "i1", x: "n" } }, c: { i1: { id: "i1", who: "@a" } } });
  expect(world.tx((tx) => world.kind.numberOf(tx, "m", world.kind.bornOf(tx, "m", 1n) as never))).toBe(1n);
});

test("[TBL26] of several rows that return to one number, its last taker shows it", () => {
  const world = new Told();
  const job = (b: string): Change => ({
    op: "insert",
    table: "job",
    key: [`@${b}`],
    ms: 10,
    cells: { id: "i4", boss: "@b1", what: "n" },
  });
  const gone = (b: string): Change => ({ op: "delete", table: "job", key: [`@${b}`], ms: 20 });
  world.say(0, declare);
  const jobs = (): string[] => Object.keys(world.shown()["job"] ?? {});
  world.say(1, [job("b4")]);
  world.say(1, [gone("b4")]);
  world.say(1, [{ op: "insert", table: "does", key: ["@a1", "@b4"], ms: 10, cells: { since: "n" } }]);
  expect(jobs()).toEqual(["@b4"]);
  world.say(1, [job("b1")]);
  world.say(1, [gone("b1")]);
  expect(jobs()).toEqual(["@b1"]);
  world.say(1, [job("b3")]);
  expect(jobs()).toEqual(["@b3"]);
  expect(world.row("job", "@b3")?.["boss"]).toBe("n");
});

const whole = fc.tuple(fc.constantFrom(...Object.keys(schema)), fc.nat(3)).chain(([table, kind]) =>
  fc.record({
    table: fc.constant(table),
    key: keys[table] as fc.Arbitrary<string[]>,
    cells: fc.record(values[table] as Record<string, fc.Arbitrary<string>>),
    gone: fc.constant(kind === 0),
  }),
);

test("[TBL23] what is shown does not depend on how the rows came to be touched", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(whole, {
        minLength: 1,
        maxLength: 24,
        size: "max",
        selector: (r) => `${r.table} ${r.key}`,
      }),
      fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
      fc.integer({ min: 1, max: 9 }),
      (rows, shuffle, step) => {
        // The same truth: each row inserted, some deleted, each at its own position.
        const history: Run[] = rows.flatMap((row, i): Run[] => {
          const at = { time: 1e6, device: 1, seen: 0 };
          const made: Run = {
            ...at,
            seq: 2 * i + 2,
            changes: [{ op: "insert", table: row.table, key: row.key, ms: 10, cells: row.cells }],
          };
          const gone: Run = {
            ...at,
            seq: 2 * i + 3,
            changes: [{ op: "delete", table: row.table, key: row.key, ms: 20 }],
          };
          return row.gone ? [made, gone] : [made];
        });
        const declared: Run = { seq: 1, time: 1e6, device: 0, seen: 0, changes: declare };
        const ordered = new Replica();
        for (const run of [declared, ...history]) ordered.apply(run);
        // Numbers are given in the order of the log: only the constraints may not care for it.
        const mixed = new Replica();
        mixed.apply(declared);
        mixed.tx((tx) => {
          for (const run of history) mixed.applyIn(tx, run);
        });
        expect(mixed.shown()).toEqual(ordered.shown());
        expect(mixed.dump(false)).toEqual(ordered.dump(false));
        // Touched again in another order, in other groups: rewritten with what they hold.
        const again = history
          .map((run, i) => ({ run, by: shuffle[i % shuffle.length] as number }))
          .sort((a, b) => a.by - b.by);
        for (let i = 0; i < again.length; i += step)
          mixed.tx((tx) => {
            for (const { run } of again.slice(i, i + step)) mixed.applyIn(tx, run);
          });
        expect(mixed.shown()).toEqual(ordered.shown());
        expect(ordered.shown()).toEqual(reduceTables([declared, ...history]));
      },
    ),
    runs(80),
  );
});
