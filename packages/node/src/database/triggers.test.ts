import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { inspect } from "./inspect.ts";
import type { Db } from "./sqlite.ts";
import { temporaryFolder, writers } from "./testing/writers.ts";
import { captureTriggers, foreignSchema, install, isInstalled, readMeta, uninstall } from "./triggers.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

const meta = {
  layout: 1,
  attachment: new Uint8Array(16).fill(1),
  vault: new Uint8Array(32).fill(2),
  token: new Uint8Array(16).fill(3),
  projected: 0,
};

/** A file with this schema and content, attached as far as triggers go. */
function attached(sql: string): { readonly path: string; readonly db: Db } {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const path = folder.file("app.db");
  const db = new Database(path);
  cleanups.push(() => db.close());
  db.defaultSafeIntegers(true);
  db.pragma("foreign_keys = OFF");
  db.exec(sql);
  const tables = inspect(db).tables.map((table, i) => ({ number: i + 1, table }));
  db.transaction(() => install(db, tables, meta))();
  return { path, db };
}

type Entry = readonly [tbl: bigint, ...key: unknown[]];

function logged(db: Db): Entry[] {
  const width = (db.pragma("table_info(_tl_out)") as unknown[]).length - 3;
  const keys = Array.from({ length: width }, (_, i) => `k${i + 1}`);
  const rows = db.prepare(`SELECT tbl,${keys.join()} FROM _tl_out ORDER BY seq`).raw().all() as Entry[];
  db.exec("DELETE FROM _tl_out");
  return rows;
}

test("[ATT6] the triggers of a table are plain SQL of a fixed shape", () => {
  const { db } = attached('CREATE TABLE "to""do"(id TEXT PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, v)');
  const [table] = inspect(db).tables;
  if (table === undefined) throw new Error("no table");
  const t = "CAST((julianday('now')-2440587.5)*86400000.0+0.5 AS INTEGER)";
  const g = "(SELECT cap FROM _tl_flag) IS NOT 0";
  expect(captureTriggers({ number: 3, table })).toEqual([
    `CREATE TRIGGER "_tl_3_i" AFTER INSERT ON "to""do" WHEN ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) VALUES(3,${t},NEW."id"); END`,
    `CREATE TRIGGER "_tl_3_u" AFTER UPDATE ON "to""do" WHEN ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) VALUES(3,${t},NEW."id"); END`,
    `CREATE TRIGGER "_tl_3_k" AFTER UPDATE OF "id" ON "to""do" WHEN (OLD."id" IS NOT NEW."id" COLLATE BINARY OR typeof(OLD."id")<>typeof(NEW."id")) AND ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) VALUES(-3,${t},OLD."id"); END`,
    `CREATE TRIGGER "_tl_3_d" AFTER DELETE ON "to""do" WHEN ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) VALUES(3,${t},OLD."id"); END`,
    `CREATE TRIGGER "_tl_3_p1i" BEFORE INSERT ON "to""do" WHEN ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) SELECT 3,${t},"id" FROM "to""do" WHERE "email" = NEW."email" COLLATE NOCASE; END`,
    `CREATE TRIGGER "_tl_3_p1u" BEFORE UPDATE OF "email" ON "to""do" WHEN (OLD."email" IS NOT NEW."email" COLLATE BINARY) AND ${g} BEGIN INSERT INTO _tl_out(tbl,t,k1) SELECT 3,${t},"id" FROM "to""do" WHERE "email" = NEW."email" COLLATE NOCASE AND NOT ("id" IS OLD."id"); END`,
  ]);
  expect(isInstalled(db, [{ number: 1, table }])).toBe(true);
  expect(readMeta(db, "app.db")).toEqual(meta);
});

describe.each(writers)("written by $name", ({ run, absent }) => {
  if (absent !== undefined) console.warn(`SKIPPED LOUDLY: ${absent}`);
  const pragmas = ["recursive_triggers", "foreign_keys", "trusted_schema"].flatMap((name) => [
    `PRAGMA ${name}=ON;`,
    `PRAGMA ${name}=OFF;`,
  ]);

  describe.each(pragmas)("%s", (pragma) => {
    test.skipIf(absent !== undefined)("[ATT7] logs the key of every row a statement touches", () => {
      const { path, db } = attached(`
        CREATE TABLE a(id TEXT PRIMARY KEY, n, u TEXT UNIQUE COLLATE NOCASE);
        INSERT INTO a VALUES('1',1,'x'),('2',2,'y'),('3',3,'z')`);
      const after = (sql: string): unknown[] => {
        run(path, `${pragma}\n${sql}`);
        return logged(db).map(([tbl, ...key]) => [Number(tbl), ...key]);
      };
      expect(after("INSERT INTO a VALUES('4',4,NULL);")).toEqual([[1, "4"]]);
      expect(after("UPDATE a SET n=n+1 WHERE id<'3';")).toEqual([
        [1, "1"],
        [1, "2"],
      ]);
      expect(after("INSERT INTO a VALUES('4',5,NULL) ON CONFLICT(id) DO UPDATE SET n=9;")).toEqual([
        [1, "4"],
      ]);
      // Evicted through the UNIQUE column, without regard to case, whatever recursive_triggers says.
      expect(after("REPLACE INTO a VALUES('9',5,'Y');")).toContainEqual([1, "2"]);
      expect(after("UPDATE OR REPLACE a SET u='X' WHERE id='9';")).toEqual(
        expect.arrayContaining([
          [1, "1"],
          [1, "9"],
        ]),
      );
      expect(after("REPLACE INTO a VALUES('9',6,'X');")).toContainEqual([1, "9"]);
      // An old key stands directly before its new one.
      expect(after("UPDATE a SET id=id||'a' WHERE id IN ('3','4');")).toEqual([
        [-1, "3"],
        [1, "3a"],
        [-1, "4"],
        [1, "4a"],
      ]);
      expect(after("DELETE FROM a;").length).toBe(3);
      expect(db.prepare("SELECT count(*) FROM a").pluck().get()).toBe(0n);
    });
  });

  test.skipIf(absent !== undefined)("[ATT7] logs cascades, row numbers and changes of type", () => {
    const { path, db } = attached(`
      CREATE TABLE p(id INTEGER PRIMARY KEY, v);
      CREATE TABLE q(k, w, PRIMARY KEY(k, w)) WITHOUT ROWID;
      CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
      INSERT INTO p VALUES(1,1),(2,2); INSERT INTO c VALUES('a',1),('b',2); INSERT INTO q VALUES(1,'x')`);
    const after = (sql: string): string[] => {
      run(path, `PRAGMA foreign_keys=ON;\n${sql}`);
      return logged(db)
        .map(([tbl, ...key]) => `${tbl}:${key.map((k) => (k === null ? "" : `${typeof k}${k}`)).join("/")}`)
        .sort();
    };
    // c is table 1, p table 2, q table 3
    expect(after("UPDATE p SET rowid=9 WHERE id=1;")).toEqual(["-2:bigint1/", "1:stringa/", "2:bigint9/"]);
    expect(after("DELETE FROM p WHERE id=2;")).toEqual(["1:stringb/", "2:bigint2/"]);
    expect(after("UPDATE q SET k=1.0;")).toEqual(["-3:bigint1/stringx", "3:number1/stringx"]);
    expect(after("UPDATE q SET w='X';")).toEqual(["-3:number1/stringx", "3:number1/stringX"]);
    expect(after("INSERT INTO p VALUES(9223372036854775807,1),(-9223372036854775808,2);")).toEqual([
      "2:bigint-9223372036854775808/",
      "2:bigint9223372036854775807/",
    ]);
    expect(after("INSERT INTO q VALUES(9e999,x'00ff');")).toEqual(["3:numberInfinity/object\u0000\ufffd"]);
    expect(after("INSERT INTO q VALUES(CAST(x'ff' AS TEXT),'\u{1f600}');")).toEqual([
      "3:string\ufffd/string\u{1f600}",
    ]);
  });

  test.skipIf(absent !== undefined)(
    "[ATT7] a key or unique value changes under whatever name it is set",
    () => {
      const { path, db } = attached(`
      CREATE TABLE a(id TEXT PRIMARY KEY, "U u" TEXT UNIQUE, n);
      CREATE TABLE b(k TEXT PRIMARY KEY REFERENCES a ON UPDATE CASCADE, n);
      CREATE TABLE i(id INTEGER PRIMARY KEY, u, UNIQUE(id, u));
      INSERT INTO a VALUES('1','x',1),('2','y',2); INSERT INTO b VALUES('1',1); INSERT INTO i VALUES(1,'x')`);
      const after = (sql: string): string[] => {
        run(path, `PRAGMA foreign_keys=ON;\n${sql}`);
        return logged(db).map(([tbl, key]) => `${tbl}:${String(key)}`);
      };
      const both = expect.arrayContaining(["-1:1", "1:9", "-2:1", "2:9"]);
      expect(after("UPDATE a SET ID='9' WHERE n=1;")).toEqual(both);
      expect(after("UPDATE a SET (n,[id])=(3,'8') WHERE n=1;")).toEqual(
        expect.arrayContaining(["-1:9", "1:8", "-2:9", "2:8"]),
      );
      expect(after("UPDATE a SET id='8' WHERE id='8';")).toEqual(["1:8"]);
      expect(after("INSERT INTO a VALUES('8',1,1) ON CONFLICT(id) DO UPDATE SET id='7';")).toEqual(
        expect.arrayContaining(["-1:8", "1:7"]),
      );
      expect(after("UPDATE OR REPLACE a SET [u U]='y', n=5 WHERE id='7';")).toEqual(
        expect.arrayContaining(["1:2", "1:7"]),
      );
      for (const name of ["rowid", "_rowid_", "OID", "id"]) {
        const now = Number(db.prepare("SELECT id FROM i").pluck().get());
        expect(after(`UPDATE i SET ${name}=${now + 1};`)).toEqual([`-3:${now}`, `3:${now + 1}`]);
      }
      db.exec("ALTER TABLE a RENAME COLUMN id TO key");
      expect(after("UPDATE a SET key='6', n=7;")).toEqual(expect.arrayContaining(["-1:7", "1:6"]));
    },
  );

  test.skipIf(absent !== undefined)("[ATT9] what SQLite tells a writer stays the same", () => {
    const { path, db } = attached("CREATE TABLE a(id INTEGER PRIMARY KEY, v UNIQUE); CREATE TABLE told(x)");
    const tell = "INSERT INTO told SELECT last_insert_rowid() || ' ' || changes();";
    run(path, `INSERT INTO a(v) VALUES('x'),('y'); ${tell} UPDATE a SET v = v || 1; ${tell}`);
    expect(db.prepare("SELECT x FROM told").pluck().all()).toEqual(["2 2", "1 2"]);
  });
});

test("[ATT8] the guard keeps silent while it is 0 and an emptied guard table still captures", () => {
  const { db } = attached("CREATE TABLE a(id TEXT PRIMARY KEY)");
  db.exec("UPDATE _tl_flag SET cap=0; INSERT INTO a VALUES('1')");
  expect(logged(db)).toEqual([]);
  db.exec("DELETE FROM _tl_flag; INSERT INTO a VALUES('2')");
  expect(logged(db)).toEqual([[1n, "2"]]);
});

test("[ATT7] the time of a statement is its wall clock in milliseconds", () => {
  const { db } = attached("CREATE TABLE a(id TEXT PRIMARY KEY)");
  const before = Date.now();
  db.exec("INSERT INTO a VALUES('1')");
  const t = Number(db.prepare("SELECT t FROM _tl_out").pluck().get());
  expect(t).toBeGreaterThanOrEqual(before - 1);
  expect(t).toBeLessThanOrEqual(Date.now() + 1);
});

const nasty = `
  CREATE TABLE [plain] ( id integer primary key , "we ""ird"  text  /* keep */ , 'quoted' blob );
  CREATE TABLE wr(a TEXT COLLATE NOCASE, b, c, PRIMARY KEY(b, a)) WITHOUT ROWID;
  CREATE TABLE st(id INTEGER PRIMARY KEY, v ANY, w TEXT UNIQUE) STRICT;
  CREATE TABLE gen(id TEXT PRIMARY KEY, x INT, y AS (x+1) STORED, z AS (x*2), UNIQUE(z));
  CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
  CREATE UNIQUE INDEX part ON plain("we ""ird") WHERE id > 5;
  CREATE INDEX expr ON plain(lower('x' || id));
  CREATE VIRTUAL TABLE fts USING fts5("we ""ird", content=plain, content_rowid=id);
  CREATE TRIGGER zz AFTER INSERT ON plain BEGIN INSERT INTO fts(rowid, "we ""ird") VALUES(new.id, new."we ""ird"); END;
  CREATE TRIGGER "aa _tl_" AFTER UPDATE ON plain BEGIN UPDATE plain SET quoted = 1 WHERE id = new.id; END;
  CREATE VIEW v AS SELECT * FROM plain;
  CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO plain VALUES(new.id, 1, 2); END;
  INSERT INTO au(v) VALUES(1);`;

test("[ATT10] detaching leaves the text and order of every other object of the schema as it was", () => {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const db = new Database(folder.file("app.db"));
  cleanups.push(() => db.close());
  db.defaultSafeIntegers(true);
  db.exec(nasty);
  const text = (): unknown => db.prepare("SELECT type,name,tbl_name,sql FROM sqlite_schema").all();
  const before = text();
  const tables = inspect(db).tables.map((table, i) => ({ number: i + 1, table }));
  expect(tables.map((t) => t.table.declaration.name)).toEqual(["au", "gen", "plain", "st", "wr"]);
  const foreign = foreignSchema(db);
  db.transaction(() => install(db, tables.slice(0, 2), meta))();
  db.transaction(() => install(db, tables, meta))(); // widened: one more key column
  expect(foreignSchema(db)).toBe(foreign);
  db.exec("INSERT INTO wr VALUES('a',1,2)");
  expect(logged(db)).toEqual([[5n, 1n, "a"]]);
  db.transaction(() => uninstall(db))();
  expect(text()).toEqual(before);
});

test("[ATT6] attaching blocks none of the app's own migrations", () => {
  const { db } = attached(`
    CREATE TABLE a(id TEXT PRIMARY KEY, x, y, z); CREATE UNIQUE INDEX ax ON a(x); CREATE INDEX ay ON a(y)`);
  db.exec("DROP INDEX ax; ALTER TABLE a DROP COLUMN x; DROP INDEX ay; ALTER TABLE a DROP COLUMN y");
  db.exec(
    "ALTER TABLE a ADD COLUMN n DEFAULT 5; ALTER TABLE a RENAME COLUMN z TO zz; INSERT INTO a VALUES('1',1,2)",
  );
  expect(logged(db)).toEqual([[1n, "1"]]);
});
