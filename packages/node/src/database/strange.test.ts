import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { audit } from "./testing/audit.ts";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(): { readonly w: World; readonly a: Device; readonly b: Device } {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices: 2, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  const [a, b] = w.devices as [Device, Device];
  return { w, a, b };
}

/** `a` has this; `b` has it too, or what `other` says. */
async function pair(sql: string, other?: string): Promise<ReturnType<typeof world>> {
  const all = world();
  const { w, a, b } = all;
  a.app(sql);
  if (other !== undefined) b.app(other);
  await a.attach();
  await w.settle();
  await b.attach();
  await w.settle();
  return all;
}

async function code(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "nothing thrown";
}

describe("an app that goes on as ever", () => {
  test("[ATT7, ATT14] VACUUM, another journal mode, analysis and integrity checks change nothing", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE t(id TEXT PRIMARY KEY, v); CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES('a',1),('b',2),('c',3); INSERT INTO n VALUES(5,1),(9,2)",
    );
    for (const [i, sql] of [
      "DELETE FROM t WHERE id='a'; VACUUM",
      "PRAGMA journal_mode=WAL; UPDATE t SET v=10 WHERE id='b'",
      "VACUUM; UPDATE n SET v='x' WHERE id=9",
      "INSERT INTO n(v) VALUES('y'); PRAGMA wal_checkpoint(TRUNCATE)",
      "ANALYZE; REINDEX; PRAGMA optimize; PRAGMA incremental_vacuum; PRAGMA auto_vacuum=FULL; VACUUM; INSERT INTO t VALUES('d',4)",
    ].entries()) {
      a.app(sql);
      b.app(`UPDATE t SET v='from b ${i}' WHERE id='c'`);
      await w.settle();
      expect(a.attachment?.state, sql).toBe("live");
      expect(a.rows("SELECT v FROM t WHERE id='c'"), sql).toEqual([[`from b ${i}`]]);
      expect(b.dump(), sql).toBe(a.dump());
      expect([...audit(a), ...audit(b)]).toEqual([]);
    }
  });

  test("[ATT7] views with INSTEAD OF triggers, and triggers that write other attached tables, with recursive triggers on", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE t(id TEXT PRIMARY KEY, v UNIQUE); CREATE TABLE log(id INTEGER PRIMARY KEY, t TEXT, v);
      CREATE TABLE sum(id TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO sum VALUES('all',0);
      CREATE VIEW tv AS SELECT id, v FROM t;
      CREATE TRIGGER tvi INSTEAD OF INSERT ON tv BEGIN INSERT INTO t VALUES(NEW.id, NEW.v); END;
      CREATE TRIGGER tvd INSTEAD OF DELETE ON tv BEGIN DELETE FROM t WHERE id=OLD.id; END;
      CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT INTO log(t,v) VALUES(NEW.id, NEW.v); UPDATE sum SET n=n+1; END;
      CREATE TRIGGER td AFTER DELETE ON t BEGIN INSERT INTO log(t,v) VALUES(OLD.id, 'gone'); UPDATE sum SET n=n-1; END`);
    a.app(
      "PRAGMA recursive_triggers=ON; INSERT INTO tv VALUES('a',1),('b',2); REPLACE INTO t VALUES('c',2); DELETE FROM tv WHERE id='a'",
    );
    await w.settle();
    expect(a.rows("SELECT id, v FROM t")).toEqual([["c", 2n]]);
    expect(a.rows("SELECT n FROM sum")).toEqual([[1n]]);
    expect(b.dump()).toBe(a.dump());
    a.app("REPLACE INTO t VALUES('d',2)");
    b.app("UPDATE log SET v='seen' WHERE id=1");
    await w.settle();
    expect(a.rows("SELECT id FROM t")).toEqual([["d"]]);
    expect(b.dump()).toBe(a.dump());
    expect([...audit(a), ...audit(b)]).toEqual([]);
  });

  test("[ATT7] a program that has both files open as one database writes to either", async () => {
    const schema =
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE, w); CREATE TABLE u(id TEXT PRIMARY KEY, v)";
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',0)`);
    a.app(`ATTACH '${b.path}' AS other; UPDATE other.t SET w='through a'; INSERT INTO other.u VALUES('x','there');
      INSERT INTO main.u SELECT 'y', v FROM other.t; REPLACE INTO other.t VALUES(5,'one',1)`);
    await w.settle();
    expect(a.rows("SELECT * FROM u ORDER BY id")).toEqual([
      ["x", "there"],
      ["y", "one"],
    ]);
    expect(a.rows("SELECT id, v, w FROM t")).toEqual([[5n, "one", 1n]]);
    expect(b.dump()).toBe(a.dump());
    expect([...audit(a), ...audit(b)]).toEqual([]);
  });

  test("[ATT29, ATT32] a detach of a file that stays locked gives up after one patience, and all is as before", async () => {
    const { w, a, b } = await pair("PRAGMA journal_mode=WAL; CREATE TABLE t(id TEXT PRIMARY KEY, v)");
    const app = new Database(a.path);
    app.exec("INSERT INTO t VALUES('a',1); BEGIN IMMEDIATE; INSERT INTO t VALUES('b',2)");
    const from = w.time.mono();
    expect(await code(async () => a.attachment?.detach())).toBe("database-busy");
    expect(w.time.mono() - from).toBeLessThan(12_000);
    app.exec("COMMIT");
    app.close();
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    expect(b.rows("SELECT id FROM t ORDER BY id")).toEqual([["a"], ["b"]]);
    await a.attachment?.detach();
    expect(a.rows("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tl%' ESCAPE '\\'")).toEqual([[0n]]);
  });

  test("[ATT12, ATT2] names of any kind: keywords, quotes, spaces, other letters, other cases on other devices", async () => {
    const { w, a, b } = await pair(
      `CREATE TABLE "select"("from" TEXT PRIMARY KEY, "where ""it"" is", [group] INTEGER, \`näme\` TEXT UNIQUE);
       CREATE TABLE 'it''s'("a b" INTEGER PRIMARY KEY, "order" REFERENCES "select"("from"));
       CREATE TABLE Upper(Id INTEGER PRIMARY KEY, Value)`,
      `CREATE TABLE "SELECT"("FROM" TEXT PRIMARY KEY, "WHERE ""IT"" IS", [GROUP] INTEGER, \`nÄme\`, \`näme\` TEXT UNIQUE);
       CREATE TABLE uPPER(VALUE, ID INTEGER PRIMARY KEY)`,
    );
    a.app(`INSERT INTO "select" VALUES('k','w',1,'x'),('l','w',2,'y'); INSERT INTO "it's" VALUES(1,'k');
      UPDATE OR REPLACE "select" SET näme='y' WHERE "from"='k'; INSERT INTO Upper VALUES(3,'a')`);
    b.app(`INSERT INTO "Select"("From", näme) VALUES('m','z'); INSERT INTO UPPER VALUES('b',3)`);
    await w.settle();
    expect(b.rows('SELECT "from", "group", näme FROM "select" ORDER BY 1')).toEqual([
      ["k", 1n, "y"],
      ["m", null, "z"],
    ]);
    expect(a.rows('SELECT "from", "group", näme FROM "select" ORDER BY 1')).toEqual(
      b.rows('SELECT "from", "group", näme FROM "select" ORDER BY 1'),
    );
    expect(a.rows("SELECT * FROM upper ORDER BY id").length).toBe(2);
    expect(b.rows("SELECT id, value FROM upper ORDER BY id")).toEqual(
      a.rows("SELECT * FROM upper ORDER BY id"),
    );
  });

  test("[ATT25] keys that come and go: NULL, the empty text, the longest and one byte more", async () => {
    const { w, a, b } = await pair("CREATE TABLE t(id TEXT PRIMARY KEY, v)");
    const longest = "k".repeat(1000);
    a.app(
      `INSERT INTO t VALUES('','empty'),(NULL,'null'),('${longest}','long'),('${"x".repeat(3000)}','too long'),(x'','blob')`,
    );
    await w.settle();
    expect(b.rows("SELECT v FROM t ORDER BY v")).toEqual([["blob"], ["empty"], ["long"]]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["null-key", "row-too-large"]);
    a.app(
      "UPDATE t SET id='now' WHERE id IS NULL; UPDATE t SET id=NULL WHERE v='empty'; UPDATE t SET id='short' WHERE v='too long'",
    );
    await w.settle();
    expect(b.rows("SELECT id, v FROM t WHERE v<>'long' ORDER BY v")).toEqual([
      [new Uint8Array(0), "blob"].map((v) => (v instanceof Uint8Array ? Buffer.from(v) : v)),
      ["now", "null"],
      ["short", "too long"],
    ]);
    expect(a.rows("SELECT count(*) FROM t")).toEqual([[5n]]);
    a.app("DELETE FROM t");
    await w.settle();
    expect(b.rows("SELECT count(*) FROM t")).toEqual([[0n]]);
    expect(a.attachment?.issues()).toEqual([]);
  });

  test("[ATT7, ATT12] STRICT, WITHOUT ROWID and generated columns, both ways", async () => {
    const { w, a, b } = await pair(
      `
      CREATE TABLE s(id INTEGER PRIMARY KEY, a ANY, t TEXT, i INT, r REAL, b BLOB) STRICT;
      CREATE TABLE g(x INTEGER NOT NULL, y TEXT COLLATE NOCASE, z AS (x*2) STORED, u AS (y||x) UNIQUE, PRIMARY KEY(y DESC, x)) WITHOUT ROWID`,
      `CREATE TABLE s(id INTEGER PRIMARY KEY, a ANY, t TEXT, i INT, r REAL, b BLOB) STRICT;
      CREATE TABLE g(x INTEGER NOT NULL, y TEXT COLLATE NOCASE, z AS (x*2) STORED, u AS (y||x) UNIQUE, PRIMARY KEY(y DESC, x)) WITHOUT ROWID`,
    );
    a.app(`INSERT INTO s VALUES(1,'1','2',3,4,x'05'),(2,1,NULL,NULL,-0.0,NULL),(3,1.5,'',9007199254740993,9e999,x'');
      INSERT INTO g(x,y) VALUES(1,'a'),(2,'B')`);
    b.app("INSERT INTO g(x,y) VALUES(3,'c')");
    await w.settle();
    b.app("UPDATE s SET a='01' WHERE id=2; UPDATE g SET y='A' WHERE y='a'; UPDATE g SET x=9 WHERE x=3");
    await w.settle();
    expect(b.dump()).toBe(a.dump());
    expect(a.rows("SELECT x, y, z FROM g ORDER BY x")).toEqual([
      [1n, "A", 2n],
      [2n, "B", 4n],
      [9n, "c", 18n],
    ]);
    expect(a.rows("SELECT typeof(a), a, quote(r) FROM s WHERE id=2")).toEqual([["text", "01", "0.0"]]);
    expect([...audit(a), ...audit(b)]).toEqual([]);
  });
});

describe("files that declare otherwise", () => {
  test("[ATT28, ATT12] a column of another type on one device stores a value otherwise, and never sends that back", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE t(id TEXT PRIMARY KEY, x TEXT, y, z REAL, k INTEGER)",
      "CREATE TABLE t(id TEXT PRIMARY KEY, x INTEGER, y, z TEXT, k BLOB)",
    );
    a.app("INSERT INTO t VALUES('r','007','a',1,5)");
    await w.settle();
    // b holds 7 for '007'. Its own edit of another column is that edit alone.
    a.app("UPDATE t SET x='008'");
    b.app("UPDATE t SET y='b'");
    await w.settle();
    expect(a.rows("SELECT x, y, z, k FROM t")).toEqual([["008", "b", 1, 5n]]);
    expect(b.rows("SELECT x, y FROM t")).toEqual([[8n, "b"]]);
    expect([...audit(a), ...audit(b)]).toEqual([]);
    // What is typed on b is an edit like any other.
    b.app("UPDATE t SET x=9");
    await w.settle();
    expect(a.rows("SELECT x FROM t")).toEqual([["9"]]);
    b.app("DELETE FROM t");
    await w.settle();
    expect(a.rows("SELECT count(*) FROM t")).toEqual([[0n]]);
    expect(b.attachment?.issues()).toEqual([]);
  });

  test("[ATT28, ATT17] a column that takes no NULL shows its default for rows that never had one, and sends it never", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'old')",
    );
    a.app(`ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 0; ALTER TABLE t ADD COLUMN s TEXT NOT NULL DEFAULT 7;
      ALTER TABLE t ADD COLUMN e TEXT NOT NULL DEFAULT ''`);
    await w.settle();
    await a.attachment?.mend();
    await w.settle();
    b.app("INSERT INTO t VALUES(2,'from b'); UPDATE t SET v='new' WHERE id=1");
    await w.settle();
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      [1n, "new", 0n, "7", ""],
      [2n, "from b", 0n, "7", ""],
    ]);
    expect(a.attachment?.issues()).toEqual([]);
    a.app("UPDATE t SET v='of a' WHERE id=2; UPDATE t SET n=5 WHERE id=1");
    await w.settle();
    const written = a.engine.read((tx) =>
      a.kind
        .scanView(tx, "t", undefined, 9)
        .flatMap(({ key }) => a.kind.history(tx, "t", key).flatMap((h) => h.cells.map((c) => c.column))),
    );
    expect(written.filter((column) => ["n", "s", "e"].includes(column))).toEqual(["n"]);
    b.app("ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 0; UPDATE t SET n=1 WHERE id=2");
    await w.settle();
    await b.attachment?.mend();
    await w.settle();
    expect(b.rows("SELECT * FROM t ORDER BY id")).toEqual([
      [1n, "new", 5n],
      [2n, "of a", 1n],
    ]);
    expect(a.rows("SELECT id, n FROM t ORDER BY id")).toEqual([
      [1n, 5n],
      [2n, 1n],
    ]);
    expect([...audit(a), ...audit(b)]).toEqual([]);
  });

  test("[ATT1, ATT17] a key of another type is refused, one of no type holds what it can", async () => {
    const { w, a, b } = world();
    a.app("CREATE TABLE t(id TEXT PRIMARY KEY, v); INSERT INTO t VALUES('007','x')");
    b.app("CREATE TABLE t(id INT PRIMARY KEY, v)");
    await a.attach();
    await w.settle();
    expect(await code(() => b.attach())).toBe("table-key-unsupported");
    b.app("DROP TABLE t; CREATE TABLE t(id PRIMARY KEY, v)");
    await b.attach();
    b.app("INSERT INTO t VALUES(7,'a number'),('8','a text')");
    await w.settle();
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      ["007", "x"],
      ["8", "a text"],
    ]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["row-refused"]);
    expect(b.rows("SELECT count(*) FROM t")).toEqual([[3n]]);
  });

  test("[ATT1] names that cannot travel are refused, and nothing is left behind", async () => {
    for (const sql of [
      `CREATE TABLE "${"n".repeat(300)}"(id TEXT PRIMARY KEY)`,
      `CREATE TABLE t(id TEXT PRIMARY KEY, "${"c".repeat(300)}")`,
      // Two names for SQLite, one for everybody who normalises.
      `CREATE TABLE t(id TEXT PRIMARY KEY, "\u00e9", "e\u0301")`,
      `CREATE TABLE "\u00e9"(id TEXT PRIMARY KEY); CREATE TABLE "e\u0301"(id TEXT PRIMARY KEY)`,
    ]) {
      const { a } = world();
      a.app(sql);
      expect(await code(() => a.attach()), sql.slice(0, 40)).toBe("bad-name");
      expect(a.rows("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tl%' ESCAPE '\\'")).toEqual([
        [0n],
      ]);
    }
  });
});

test("[ATT31] a single trigger that is gone is made again with its neighbours: an old key stands before its new one", async () => {
  const { w, a, b } = await pair(
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'a'),(2,'b'),(3,'c')",
  );
  const keys = (): string[] =>
    b.engine.read((tx) => b.kind.scanView(tx, "t", undefined, 9).map(({ key }) => String(key)));
  const before = keys();
  a.app('DROP TRIGGER "_tl_1_u"');
  await w.settle();
  await a.attachment?.mend();
  b.app("UPDATE t SET v=v||' of b'");
  await w.settle();
  a.app("UPDATE t SET id=id+10");
  await w.settle();
  expect(b.rows("SELECT * FROM t ORDER BY id")).toEqual([
    [11n, "a of b"],
    [12n, "b of b"],
    [13n, "c of b"],
  ]);
  // The rows are the same ones, each under its new number.
  expect(keys()).toEqual(before);
});

test.for([1, 3])(
  "[ATT27] a table made anew between two steps is a changed schema, not deleted rows (tried %i times)",
  async (times) => {
    const { w, a, b } = await pair(
      "CREATE TABLE t(id TEXT PRIMARY KEY, v); INSERT INTO t VALUES('a',1),('b',2)",
    );
    let seen = 0;
    a.onPoint = (point) => {
      if (point !== "slice-noted" || ++seen > times) return;
      a.app("UPDATE t SET v=v+1 WHERE id='a'");
      if (seen === times) a.app("DROP TABLE t; CREATE TABLE t(id TEXT PRIMARY KEY, v)");
    };
    b.app("UPDATE t SET v='from b' WHERE id='b'");
    await w.settle();
    expect(seen).toBeGreaterThanOrEqual(times);
    expect(b.rows("SELECT id FROM t ORDER BY id")).toEqual([["a"], ["b"]]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["schema-changed"]);
  },
);

test("[ATT27] a table made anew between two parts of a long flush is a changed schema too", async () => {
  const rows = "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM i WHERE i<6000)";
  const { a } = world();
  a.app(
    `PRAGMA journal_mode=DELETE; CREATE TABLE t(id INTEGER, v, PRIMARY KEY(id)) WITHOUT ROWID; ${rows} INSERT INTO t SELECT i, 'v' FROM i`,
  );
  await a.attach();
  a.app("UPDATE t SET v='w'");
  let parts = 0;
  a.onPoint = (point) => {
    if (point === "flush-adopted" && ++parts === 1)
      a.app("DROP TABLE t; CREATE TABLE t(id INTEGER, v, PRIMARY KEY(id)) WITHOUT ROWID");
  };
  await a.attachment?.pump();
  expect(parts).toBe(1);
  expect(a.attachment?.issues().map((i) => i.code)).toEqual(["schema-changed"]);
  expect(a.engine.read((tx) => a.kind.scanView(tx, "t", undefined, 9999).length)).toBe(6000);
});
