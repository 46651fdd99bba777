import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { inspect } from "./inspect.ts";
import { referredTable } from "./plan.ts";
import type { Db } from "./sqlite.ts";

function open(sql: string): Db {
  const db = new Database(":memory:");
  db.defaultSafeIntegers(true);
  db.pragma("foreign_keys = OFF");
  db.exec(sql);
  return db;
}

function table(sql: string, name = "t") {
  const found = inspect(open(sql)).tables.find((t) => t.declaration.name === name);
  if (found === undefined) throw new Error(`no table ${name}`);
  return found;
}

describe("keys", () => {
  test.each([
    ["CREATE TABLE t(id INTEGER PRIMARY KEY, v)", true],
    ["CREATE TABLE t(v, id integer, CONSTRAINT pk PRIMARY KEY ([id]))", true],
    ["CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)", true],
    ["CREATE TABLE t(id INTEGER, PRIMARY KEY(id DESC))", true],
    ["CREATE TABLE t(id INTEGER PRIMARY KEY DESC)", false],
    ["CREATE TABLE t(id INT PRIMARY KEY)", false],
    ["CREATE TABLE t(id INTEGER PRIMARY KEY) WITHOUT ROWID", false],
    ["CREATE TABLE t(id TEXT PRIMARY KEY)", false],
    ["CREATE TABLE t(a INTEGER, b INTEGER, PRIMARY KEY(a, b))", false],
  ])("[ATT3] only a row number is a number to be given: %s", (sql, minted) => {
    expect(table(sql).declaration.minted).toBe(minted);
  });

  test("[ATT3] keys: natural takes a row number as an identity of its own", () => {
    const db = open("CREATE TABLE T(id INTEGER PRIMARY KEY)");
    expect(inspect(db, { natural: ["t"] }).tables[0]?.declaration.minted).toBe(false);
  });

  test("[ATT3] a row number that is a foreign key is its parent's number", () => {
    const sql = `CREATE TABLE p(id INTEGER PRIMARY KEY);
      CREATE TABLE t(id INTEGER PRIMARY KEY REFERENCES p);
      CREATE TABLE u(a TEXT PRIMARY KEY, t INTEGER REFERENCES t(id), p REFERENCES p)`;
    expect(table(sql).declaration.minted).toBe(false);
    const declared = inspect(open(sql)).tables.map((t) => t.declaration);
    const refers = (name: string) => {
      const { declaration } = table(sql, name);
      return declaration.columns.map((_, i) => referredTable(declared, declaration, i));
    };
    expect(refers("t")).toEqual(["p"]);
    expect(refers("u")).toEqual([undefined, "p", "p"]);
    expect(refers("p")).toEqual([undefined]);
    // The vault's word goes over the file's.
    expect(
      inspect(open(sql), { minted: ["t"] }).tables.find((t) => t.declaration.name === "t")?.declaration
        .minted,
    ).toBe(true);
  });

  test("[ATT3] key columns come in key order with their collations", () => {
    const t = table(
      "CREATE TABLE t(a, b TEXT COLLATE nocase, c COLLATE RTRIM, PRIMARY KEY(c, b)) WITHOUT ROWID",
    );
    expect(t.declaration.key).toEqual([2, 1]);
    expect(t.declaration.keyCollations).toEqual(["RTRIM", "NOCASE"]);
    expect(t.declaration.columns.map((c) => c.notNull)).toEqual([false, true, true]);
  });
});

test("[ATT2] unique constraints, foreign keys and types are as the file declares them", () => {
  const sql = `CREATE TABLE p(id TEXT PRIMARY KEY, x, y, UNIQUE(x, y));
    CREATE TABLE t(id TEXT PRIMARY KEY, "e mail" VARCHAR(9) NOT NULL UNIQUE COLLATE NOCASE, x, y,
      g AS (x) STORED, r REFERENCES P ON DELETE set null, s REFERENCES gone,
      FOREIGN KEY(y, x) REFERENCES p(y, x) ON DELETE CASCADE);
    CREATE UNIQUE INDEX i ON t(x)`;
  const t = table(sql);
  expect(t.declaration.columns).toEqual([
    { name: "id", type: "TEXT", notNull: false },
    { name: "e mail", type: "VARCHAR(9)", notNull: true },
    { name: "x", type: "", notNull: false },
    { name: "y", type: "", notNull: false },
    { name: "r", type: "", notNull: false },
    { name: "s", type: "", notNull: false },
  ]);
  expect(t.declaration.unique).toEqual([{ columns: [1], collations: ["NOCASE"] }]);
  expect(t.declaration.foreignKeys).toEqual([
    { columns: [3, 2], parent: "p", parentColumns: ["y", "x"], onDelete: "cascade" },
    { columns: [4], parent: "p", parentColumns: ["id"], onDelete: "set null" },
  ]);
});

test.each([
  ["CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE)", false, undefined],
  ["CREATE TABLE t(id TEXT PRIMARY KEY, v UNIQUE) WITHOUT ROWID", false, undefined],
  ["CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE UNIQUE INDEX i ON t(v) WHERE v > 0", true, undefined],
  ["CREATE TABLE t(id INTEGER PRIMARY KEY, v, g AS (v), UNIQUE(g))", true, undefined],
  ["CREATE TABLE t(id TEXT PRIMARY KEY, rowid)", true, "_rowid_"],
])("[ATT13] rows are counted where a REPLACE could evict one unseen: %s", (sql, blind, rowid) => {
  expect(table(sql).blind).toBe(blind);
  expect(table(sql).rowid).toBe(rowid);
});

test("[ATT1] what cannot be synced is refused by name and the rest is listed", () => {
  const db = open(`
    CREATE TABLE nokey(a); CREATE TABLE wide(a,b,c,d,e,f,g,h,i, PRIMARY KEY(a,b,c,d,e,f,g,h,i));
    CREATE TABLE ok(id TEXT PRIMARY KEY); CREATE VIEW w AS SELECT 1; CREATE VIRTUAL TABLE ft USING fts5(x);
    CREATE TABLE _tl_mine(id TEXT PRIMARY KEY); CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT)`);
  db.function("mine", { deterministic: true }, (x) => x);
  db.exec("CREATE TABLE fn(id TEXT PRIMARY KEY, v CHECK(mine(v) > 0))");
  const file = new Database(db.serialize());
  file.defaultSafeIntegers(true);
  const seen = inspect(file);
  expect(seen.tables.map((t) => t.declaration.name)).toEqual(["au", "ok"]);
  expect(seen.refused.map((r) => [r.table, r.code])).toEqual([
    ["fn", "table-needs-function"],
    ["nokey", "table-no-key"],
    ["wide", "table-key-unsupported"],
  ]);
  expect(seen.skipped.filter((s) => s.why !== "shadow")).toEqual([
    { name: "_tl_mine", why: "reserved" },
    { name: "ft", why: "virtual" },
    { name: "w", why: "view" },
  ]);
  expect(inspect(file, { tables: ["OK", "w"] }).refused).toEqual([
    { table: "w", code: "table-no-key", why: "it is a view" },
  ]);
  expect(inspect(file, { tables: ["nope"] }).refused.map((r) => r.code)).toEqual(["not-found"]);
  expect(inspect(file, { tables: ["OK"] }).skipped).toContainEqual({ name: "au", why: "not chosen" });
  expect(inspect(open("")).empty).toBe(true);
});

test("[ATT16] triggers of the app are sorted by what they write", () => {
  const t = table(`
    CREATE TABLE t(id INTEGER PRIMARY KEY, v, at); CREATE TABLE s(id INTEGER PRIMARY KEY, n);
    CREATE TABLE log(x); CREATE TABLE log2(x); CREATE VIRTUAL TABLE ft USING fts5(v);
    CREATE TRIGGER stamp AFTER UPDATE ON t BEGIN UPDATE t /* INTO log */ SET at = 'INSERT INTO log' WHERE id = new.id; END;
    CREATE TRIGGER search AFTER INSERT ON t BEGIN INSERT INTO ft(rowid, v) VALUES(new.id, new.v); END;
    CREATE TRIGGER count AFTER INSERT ON t BEGIN
      INSERT INTO "s" VALUES(1, 1) ON CONFLICT DO UPDATE SET n = n + 1; DELETE FROM [log]; END;
    CREATE TRIGGER deep AFTER DELETE ON t BEGIN REPLACE INTO log2 VALUES(1); END;
    CREATE TRIGGER deeper AFTER INSERT ON log2 BEGIN UPDATE OR IGNORE s SET n = 0; END;
    CREATE TRIGGER no BEFORE INSERT ON t WHEN new.v IS NULL BEGIN SELECT RAISE(ABORT, 'no'); END`);
  // Only `t` and `s` have keys; the rest is not synced.
  expect(t.triggers).toEqual([
    { name: "stamp", kind: "synced" },
    { name: "search", kind: "outside" },
    { name: "count", kind: "both" },
    { name: "deep", kind: "both" },
    { name: "no", kind: "outside" },
  ]);
});

const chinook = new URL("../../../../../shared/data/chinook.sqlite", import.meta.url);
if (!existsSync(chinook)) console.warn("SKIPPED LOUDLY: no Chinook database here");
test.skipIf(!existsSync(chinook))("[ATT3] Chinook reads without a flag", () => {
  const db = new Database(chinook.pathname, { readonly: true });
  db.defaultSafeIntegers(true);
  const seen = inspect(db);
  db.close();
  expect(seen.refused).toEqual([]);
  expect(seen.tables.map((t) => [t.declaration.name, t.declaration.minted])).toEqual([
    ["Album", true],
    ["Artist", true],
    ["Customer", true],
    ["Employee", true],
    ["Genre", true],
    ["Invoice", true],
    ["InvoiceLine", true],
    ["MediaType", true],
    ["Playlist", true],
    ["PlaylistTrack", false],
    ["Track", true],
  ]);
  const declared = seen.tables.map((t) => t.declaration);
  const link = declared.find((d) => d.name === "PlaylistTrack");
  expect(link?.columns.map((_, i) => referredTable(declared, link, i))).toEqual(["Playlist", "Track"]);
});
