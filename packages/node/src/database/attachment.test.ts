import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { detachForce } from "./detach.ts";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(devices: number, vault = 1): World {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices, vault, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  return w;
}

/** Two devices that show the same rows of this schema. */
async function pair(sql: string): Promise<{ readonly w: World; readonly a: Device; readonly b: Device }> {
  const w = world(2);
  const [a, b] = w.devices as [Device, Device];
  a.app(sql);
  await a.attach();
  await w.settle();
  await b.attach();
  await w.settle();
  return { w, a, b };
}

async function code(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "nothing thrown";
}

const notes = "CREATE TABLE note(id TEXT PRIMARY KEY, text, n)";
const many = (n: number): string =>
  `WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM i WHERE i<${n}) INSERT INTO note SELECT printf('%05d',i), 'text '||i, i FROM i`;

describe("attaching", () => {
  test("[ATT20] rows of one file come to the other, later edits too", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('a','x',1),('b',NULL,2.0)`);
    expect(b.rows("SELECT * FROM note ORDER BY id")).toEqual(a.rows("SELECT * FROM note ORDER BY id"));
    b.app("UPDATE note SET text='from b' WHERE id='a'; DELETE FROM note WHERE id='b'");
    a.app("INSERT INTO note VALUES('c','from a',3)");
    await w.settle();
    expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
      ["a", "from b", 1n],
      ["c", "from a", 3n],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT20] of two files with different rows neither loses one; the vault's cells stay and the file's are in the journal", async () => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    const schema = "CREATE TABLE t(id TEXT PRIMARY KEY, v); CREATE TABLE m(id INTEGER PRIMARY KEY, v)";
    a.app(
      `${schema}; INSERT INTO t VALUES('both','a'),('a','a'),('same','s'); INSERT INTO m VALUES(1,'same'),(2,'a')`,
    );
    b.app(
      `${schema}; INSERT INTO t VALUES('both','b'),('b','b'),('same','s'); INSERT INTO m VALUES(1,'same'),(2,'b')`,
    );
    await a.attach();
    await w.settle();
    await b.attach();
    await w.settle();
    expect(b.dump()).toBe(a.dump());
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      ["a", "a"],
      ["b", "b"],
      ["both", "a"],
      ["same", "s"],
    ]);
    expect(a.rows("SELECT * FROM m ORDER BY id")).toEqual([
      [1n, "same"],
      [2n, "a"],
      [3n, "b"],
    ]);
    const open = a.engine.read((tx) => a.kind.conflicts(tx, { open: true }));
    expect(open.map((c) => [c.table, c.reason])).toContainEqual(["t", "first-attach"]);
  });

  test("[ATT20, ATT28] rows that turn out to be one, under keys of references too, leave nothing to write", async () => {
    const w = world(2);
    const schema = `CREATE TABLE p(id INTEGER PRIMARY KEY, v); CREATE TABLE q(id INTEGER PRIMARY KEY, v);
      CREATE TABLE l(p INTEGER REFERENCES p, q INTEGER REFERENCES q, n, PRIMARY KEY(p, q));
      INSERT INTO p VALUES(1,'a'); INSERT INTO q VALUES(1,'b'); INSERT INTO l VALUES(1,1,'l')`;
    for (const d of w.devices) {
      d.app(schema);
      await d.attach();
      d.engine.push();
    }
    await w.settle();
    const [a, b] = w.devices as [Device, Device];
    expect(w.devices.map((d) => d.attachment?.counts().unprojected)).toEqual([0, 0]);
    b.app("UPDATE l SET n='b'");
    await w.settle();
    expect(a.rows("SELECT * FROM l")).toEqual([[1n, 1n, "b"]]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT5] an empty or missing file gets the vault's tables: columns and keys, nothing else", async () => {
    const { a, b } = await pair(`
      CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, e TEXT NOT NULL DEFAULT 'x' UNIQUE COLLATE NOCASE CHECK(e <> ''));
      CREATE TABLE q(a NVARCHAR(20), "b ""c" INTEGER REFERENCES p ON DELETE CASCADE, PRIMARY KEY(a COLLATE RTRIM, "b ""c")) WITHOUT ROWID;
      CREATE TABLE n(id INTEGER PRIMARY KEY, v) WITHOUT ROWID;
      CREATE TRIGGER t AFTER INSERT ON p BEGIN SELECT 1; END;
      INSERT INTO p VALUES(1,'e'); INSERT INTO q VALUES('a',1); INSERT INTO n VALUES('text',1)`);
    expect(
      b.rows(
        "SELECT sql FROM sqlite_schema WHERE type='table' AND name NOT LIKE '\\_tl%' ESCAPE '\\' ORDER BY name",
      ),
    ).toEqual([
      ['CREATE TABLE "n"("id" INTEGER NOT NULL, "v", PRIMARY KEY("id")) WITHOUT ROWID'],
      ['CREATE TABLE "p"("id" INTEGER PRIMARY KEY, "e" TEXT NOT NULL, UNIQUE("e" COLLATE NOCASE))'],
      [
        'CREATE TABLE "q"("a" NVARCHAR(20) NOT NULL, "b ""c" INTEGER NOT NULL, PRIMARY KEY("a" COLLATE RTRIM, "b ""c"), FOREIGN KEY("b ""c") REFERENCES "p"("id") ON DELETE CASCADE)',
      ],
    ]);
    expect(b.rows("SELECT * FROM q")).toEqual([["a", 1n]]);
    expect(b.rows("SELECT * FROM n")).toEqual([["text", 1n]]);
    expect(a.attachment?.tables.map((t) => [t.name, t.minted])).toEqual([
      ["n", false],
      ["p", true],
      ["q", false],
    ]);
  });

  test("[ATT5] a file that is made has a write-ahead log; an existing one keeps its journal", async () => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app(notes);
    await a.attach();
    await w.settle();
    await b.attach();
    expect(a.rows("PRAGMA journal_mode")).toEqual([["delete"]]);
    expect(b.rows("PRAGMA journal_mode")).toEqual([["wal"]]);
  });

  test("[ATT5] a declared type that says more than a type is left out", async () => {
    const { b } = await pair(
      'CREATE TABLE t(id TEXT PRIMARY KEY, a "INT DEFAULT 5", b DOUBLE PRECISION, c "x CHECK(0)", d DECIMAL(10,2))',
    );
    expect(b.rows("SELECT sql FROM sqlite_schema WHERE name='t'")).toEqual([
      ['CREATE TABLE "t"("id" TEXT, "a", "b" DOUBLE PRECISION, "c", "d" DECIMAL(10,2), PRIMARY KEY("id"))'],
    ]);
  });

  test("[ATT1] files and tables that cannot be attached are refused by name and left as they were", async () => {
    const w = world(1);
    const [a] = w.devices as [Device];
    a.app("CREATE TABLE nokey(a); CREATE TABLE ok(id TEXT PRIMARY KEY)");
    expect(await code(() => a.attach())).toBe("table-no-key");
    expect(await code(() => a.attach({ tables: ["gone"] }))).toBe("not-found");
    expect(a.rows("SELECT name FROM sqlite_schema")).toEqual(
      [["nokey"], ["sqlite_autoindex_ok_1"], ["ok"]].sort(),
    );
    await a.attach({ tables: ["OK"] });
    expect(a.attachment?.tables.map((t) => t.name)).toEqual(["ok"]);
    expect(a.attachment?.skipped).toEqual([{ name: "nokey", why: "not chosen" }]);
  });

  test("[ATT1] not a database, damaged, locked, read-only", async () => {
    const w = world(4);
    const [a, b, c, d] = w.devices as [Device, Device, Device, Device];
    writeFileSync(a.path, "this is a text and longer than a header ".repeat(20));
    expect(await code(() => a.attach())).toBe("not-sqlite");
    b.app(`${notes}; PRAGMA journal_mode=WAL`);
    const db = new Database(b.path);
    db.exec("BEGIN IMMEDIATE; INSERT INTO note VALUES(1,2,3)");
    expect(await code(() => b.attach())).toBe("database-busy");
    db.exec("COMMIT");
    db.close();
    await b.attach();
    c.app(notes);
    // A write version above ours: SQLite opens the file for reading only (file format, 1.3.3).
    const bytes = Buffer.from(new Database(c.path).serialize());
    bytes[18] = 9;
    writeFileSync(c.path, bytes);
    expect(await code(() => c.attach())).toBe("read-only");
    expect(await code(() => d.attach())).toBe("not-found");
  });

  test("[ATT4] a file belongs to one attachment of one vault", async () => {
    const w = world(2);
    const other = world(1, 2);
    const [a, b] = w.devices as [Device, Device];
    const [x] = other.devices as [Device];
    a.app(`${notes}; INSERT INTO note VALUES('1',2,3)`);
    await a.attach();
    a.attachment?.close();
    copyFileSync(a.path, x.path);
    expect(await code(() => x.attach())).toBe("attached-elsewhere");
    copyFileSync(a.path, b.path);
    expect(await code(() => b.attach())).toBe("attached-elsewhere");
    const schema = a.rows("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_tl%' ESCAPE '\\'");
    await detachForce(x.path, x.deps);
    expect(x.rows("SELECT name FROM sqlite_schema")).toEqual(schema);
    await x.attach();
    expect(x.attachment?.state).toBe("live");
    // A copy beside the original is not the original; moved, it is.
    const copy = w.folder.file("copy.db");
    copyFileSync(a.path, copy);
    const { attachDatabase } = await import("./attachment.ts");
    const open = () => attachDatabase(a.engine, a.kind, copy, { watch: false }, a.deps);
    expect(await code(open)).toBe("attached-elsewhere");
    rmSync(a.path);
    const moved = await open();
    expect(moved.state).toBe("live");
    moved.close();
  });
});

describe("flushing", () => {
  test("[ATT25] rows with NULL in their key stay here and are counted", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE t(a TEXT, b, v, PRIMARY KEY(a, b)); INSERT INTO t VALUES(NULL,1,1),('x',1,1)",
    );
    a.app("INSERT INTO t VALUES('y',NULL,2),('z',1,1); UPDATE t SET v=5");
    await w.settle();
    expect(b.rows("SELECT * FROM t ORDER BY a")).toEqual([
      ["x", 1n, 5n],
      ["z", 1n, 5n],
    ]);
    expect(a.attachment?.issues().map((i) => [i.code, i.table, i.count])).toEqual([["null-key", "t", 2]]);
    a.app("UPDATE t SET a='now', b=9 WHERE a IS NULL");
    await w.settle();
    expect(b.rows("SELECT a FROM t ORDER BY a")).toEqual([["now"], ["x"], ["z"]]);
    a.app("UPDATE t SET a=NULL WHERE a='z'");
    await w.settle();
    expect(b.rows("SELECT a FROM t ORDER BY a")).toEqual([["now"], ["x"]]);
  });

  test("[ATT25] a row over the limit is not sent and not written over until it fits", async () => {
    const { w, a, b } = await pair(
      `${notes}; CREATE TABLE m(id INTEGER PRIMARY KEY, v); INSERT INTO note VALUES('1','small',1)`,
    );
    a.app(
      "UPDATE note SET text=printf('%.*c', 300000, 'x'); INSERT INTO m VALUES(5, zeroblob(300000)); INSERT INTO m VALUES(6,'fits')",
    );
    await w.settle();
    b.app("UPDATE note SET n='b'");
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["row-too-large", "row-too-large"]);
    expect(a.rows("SELECT length(text), n FROM note")).toEqual([[300000n, 1n]]);
    expect(b.rows("SELECT text, n FROM note")).toEqual([["small", "b"]]);
    a.app("UPDATE note SET text='smaller'; UPDATE m SET v='m' WHERE id=5");
    await w.settle();
    expect(a.attachment?.issues()).toEqual([]);
    expect(b.rows("SELECT text, n FROM note")).toEqual([["smaller", "b"]]);
    expect(b.rows("SELECT * FROM m ORDER BY id")).toEqual([
      [5n, "m"],
      [6n, "fits"],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT19] a mass deletion waits for a person; everything else goes on both ways", async () => {
    const { w, a, b } = await pair(`${notes}; ${many(1000)}`);
    a.app("DELETE FROM note WHERE n <= 150; UPDATE note SET text='edit' WHERE n=500");
    await w.settle();
    // 15 % is below the share, though more than 100.
    expect(b.rows("SELECT count(*) FROM note")).toEqual([[850n]]);
    a.app("DELETE FROM note; INSERT INTO note VALUES('new','n',0)");
    b.app("UPDATE note SET text='b' WHERE n=600; INSERT INTO note VALUES('from b','n',0)");
    await w.settle();
    expect(b.rows("SELECT count(*) FROM note")).toEqual([[852n]]);
    expect(a.rows("SELECT id FROM note ORDER BY id")).toEqual([["from b"], ["new"]]);
    expect(a.attachment?.issues().map((i) => [i.id, i.count])).toEqual([["guard-deletion:note", 850]]);
    expect(a.attachment?.counts().withheld).toBe(850);
    // Rows that return are no longer withheld; the rest still is.
    a.app("INSERT INTO note VALUES('00700','back',700)");
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.count)).toEqual([849]);
    expect(b.rows("SELECT text FROM note WHERE id='00700'")).toEqual([["back"]]);
    await a.attachment?.approve("guard-deletion:note");
    await w.settle();
    expect(a.attachment?.issues()).toEqual([]);
    expect(b.attachment?.issues()).toEqual([]);
    expect(b.dump()).toBe(a.dump());
    // Row 600 was edited elsewhere after the deletion was made: the later word stands.
    expect(a.rows("SELECT id FROM note ORDER BY id")).toEqual([["00600"], ["00700"], ["from b"], ["new"]]);
  });

  test("[ATT19] withheld deletions can be undone: the rows are written again", async () => {
    const { w, a, b } = await pair(
      `CREATE TABLE m(id INTEGER PRIMARY KEY, v); WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM i WHERE i<500) INSERT INTO m SELECT i, 'v'||i FROM i`,
    );
    const before = a.dump();
    a.app("DELETE FROM m");
    await w.settle();
    expect(b.rows("SELECT count(*) FROM m")).toEqual([[500n]]);
    expect(await code(async () => a.attachment?.undo("guard-deletion:other"))).toBe("not-found");
    await a.attachment?.undo("guard-deletion:m");
    expect(a.dump()).toBe(before);
    await w.settle();
    expect(a.attachment?.issues()).toEqual([]);
    expect(b.dump()).toBe(before);
  });

  test("[ATT13] rows that vanish unseen are found by counting", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE t(id TEXT PRIMARY KEY, v, w, g AS (w) STORED, UNIQUE(g)); CREATE UNIQUE INDEX i ON t(lower(v));
      INSERT INTO t(id,v,w) VALUES('1','a',1),('2','b',2),('3','c',3),('4','d',4)`);
    a.app("PRAGMA recursive_triggers=OFF; REPLACE INTO t(id,v,w) VALUES('9','A',9)");
    await w.settle();
    a.app("PRAGMA recursive_triggers=OFF; REPLACE INTO t(id,v,w) VALUES('8','x',2)");
    await w.settle();
    a.app(
      "PRAGMA recursive_triggers=OFF; REPLACE INTO t(rowid,id,v,w) SELECT rowid,'7','y',7 FROM t WHERE id='3'",
    );
    await w.settle();
    expect(a.rows("SELECT id FROM t ORDER BY id")).toEqual([["4"], ["7"], ["8"], ["9"]]);
    expect(b.dump().replace(/.*sqlite_stat.*/g, "")).toBe(a.dump().replaceAll(/\|[^|\n]*$/gm, (m) => m));
  });

  test("[ATT11] setting a value to what it was says nothing, and a deleted row comes back with its own cells only", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
    const from = w.log.entries.length;
    a.app(
      "UPDATE note SET text='x'; UPDATE note SET text='t'; INSERT INTO note VALUES('2',1,1); DELETE FROM note WHERE id='2'",
    );
    await w.settle();
    expect(w.log.entries.length).toBe(from);
    a.app("DELETE FROM note");
    await w.settle();
    a.app("INSERT INTO note(id,n) VALUES('1',2)");
    await w.settle();
    expect(b.rows("SELECT * FROM note")).toEqual([["1", null, 2n]]);
  });
});

test("[ATT14] an edit made while a flush is under way goes with the next one", async () => {
  const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
  for (const at of ["flush-read", "flush-noted", "flush-committed", "flush-adopted"]) {
    let done = false;
    a.onPoint = (point) => {
      if (point !== at || done) return;
      done = true;
      a.app(`UPDATE note SET text='${at}'; INSERT INTO note VALUES('${at}','new',1)`);
    };
    a.app(`UPDATE note SET text='before', n='${at}'`);
    await a.attachment?.flush();
    expect(done).toBe(true);
    a.onPoint = undefined;
    await w.settle();
    expect(a.rows("SELECT DISTINCT text FROM note WHERE n<>1")).toEqual([[at]]);
    expect(b.dump()).toBe(a.dump());
  }
});

test("[ATT14] a file that carries another token when a flush would end is read anew", async () => {
  const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
  const token = (a.rows("SELECT hex(value) FROM _tl_meta WHERE name='token'")[0] as string[])[0] as string;
  a.app("UPDATE note SET text='a'");
  await a.attachment?.flush();
  a.app("UPDATE note SET text='b'");
  a.onPoint = (point) => {
    if (point === "flush-noted") a.app(`UPDATE _tl_meta SET value=x'${token}' WHERE name='token'`);
  };
  const from = a.engine.pending();
  expect((await a.attachment?.flush())?.kind).toBe("moved");
  expect(a.engine.pending()).toBe(from);
  a.onPoint = undefined;
  await w.settle();
  expect(a.events).toContain("database.went-back");
  expect(b.dump()).toBe(a.dump());
});

test("[ATT15] an edit made before another's was shown is concurrent with it, one made after it is not", async () => {
  const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
  const conflicts = (): number => a.engine.read((tx) => a.kind.conflicts(tx, { open: false })).length;
  const before = conflicts();
  b.app("UPDATE note SET text='b'");
  await b.attachment?.pump();
  b.engine.push();
  a.engine.pull();
  a.app("UPDATE note SET text='a, not having seen b'");
  await a.attachment?.flush();
  await w.settle();
  expect(conflicts()).toBe(before + 1);
  b.app("UPDATE note SET text='b again'");
  await w.settle();
  a.app("UPDATE note SET text='a, having seen it'");
  await w.settle();
  expect(conflicts()).toBe(before + 1);
  expect(b.rows("SELECT text FROM note")).toEqual([["a, having seen it"]]);
});

test("[ATT8] what a projection writes is not captured", async () => {
  const { a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
  b.app("UPDATE note SET text='b'; INSERT INTO note VALUES('2','b',2)");
  await b.attachment?.pump();
  b.engine.push();
  a.engine.pull();
  await a.attachment?.project();
  expect(
    a.rows("SELECT (SELECT count(*) FROM note), (SELECT count(*) FROM _tl_out), cap FROM _tl_flag"),
  ).toEqual([[2n, 0n, 1n]]);
});

describe("projecting", () => {
  test("[ATT15] never writes over an edit that was not flushed", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1),('2','t',2)`);
    b.app("UPDATE note SET text='b', n='b'");
    await b.attachment?.pump();
    b.engine.push();
    a.engine.pull();
    // The app writes at each moment at which a slice could overwrite it, a few times over.
    let edits = 0;
    const overwritten: unknown[] = [];
    a.onPoint = (point) => {
      if (point === "slice-noted" && edits < 5) a.app(`UPDATE note SET text='a${++edits}' WHERE id='1'`);
      if (point !== "slice-committed") return;
      const [text] = a.rows("SELECT text FROM note WHERE id='1'")[0] as string[];
      if (text !== `a${edits}`) overwritten.push(text);
    };
    await a.attachment?.pump();
    a.onPoint = undefined;
    expect(edits).toBeGreaterThan(3);
    expect(overwritten).toEqual([]);
    expect(a.rows("SELECT text, n FROM note WHERE id='1'")).toEqual([[`a${edits}`, "b"]]);
    await w.settle();
    expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
      ["1", `a${edits}`, "b"],
      ["2", "b", "b"],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT29] waits outside the app's transaction and goes on after it", async () => {
    const { w, a, b } = await pair(`PRAGMA journal_mode=WAL; ${notes}; INSERT INTO note VALUES('1','t',1)`);
    b.app("UPDATE note SET text='b'");
    await b.attachment?.pump();
    b.engine.push();
    a.engine.pull();
    const db = new Database(a.path);
    db.exec("BEGIN IMMEDIATE; INSERT INTO note VALUES('2','in a transaction',2)");
    const pumped = a.attachment?.pump();
    let waits = 0;
    const wait = setInterval(() => {
      if (++waits === 3) {
        db.exec("COMMIT");
        clearInterval(wait);
      }
    }, 1);
    expect((await pumped)?.kind).toBe("quiet");
    db.exec("BEGIN IMMEDIATE; UPDATE note SET n=9 WHERE id='2'");
    b.app("UPDATE note SET text='again'");
    await b.attachment?.pump();
    b.engine.push();
    a.engine.pull();
    expect((await a.attachment?.pump())?.kind).toBe("busy");
    db.exec("COMMIT");
    db.close();
    await w.settle();
    expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
      ["1", "again", 1n],
      ["2", "in a transaction", 9n],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT29] a file locked whole, as with a rollback journal, is busy and not broken", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
    const db = new Database(a.path);
    db.exec("BEGIN EXCLUSIVE; UPDATE note SET text='a'");
    b.app("UPDATE note SET n='b'");
    await b.attachment?.pump();
    b.engine.push();
    a.engine.pull();
    expect((await a.attachment?.pump())?.kind).toBe("busy");
    expect(await code(async () => a.attachment?.flush())).toBe("database-busy");
    db.exec("COMMIT");
    db.close();
    await w.settle();
    expect(a.rows("SELECT * FROM note")).toEqual([["1", "a", "b"]]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT29] with a rollback journal a flush reads 5,000 entries at a time, with WAL all", async () => {
    for (const [mode, runs] of [
      ["DELETE", 2],
      ["WAL", 1],
    ] as const) {
      const w = world(1);
      const [a] = w.devices as [Device];
      a.app(`PRAGMA journal_mode=${mode}; ${notes}`);
      await a.attach();
      a.app(many(6000));
      const flushed = await a.attachment?.flush();
      expect([mode, flushed?.changes, flushed?.runs.length]).toEqual([mode, 6000, runs]);
    }
  });

  test("[ATT26] unique values that change places are written in one transaction", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE t(id TEXT PRIMARY KEY, u TEXT UNIQUE NOT NULL, v); CREATE TABLE m(id INTEGER PRIMARY KEY, u UNIQUE);
      INSERT INTO t VALUES('1','a',1),('2','b',2),('3','c',3); INSERT INTO m VALUES(1,'a'),(2,'b'),(3,'c')`);
    b.app(`UPDATE t SET u='x' WHERE id='1'; UPDATE t SET u='a' WHERE id='2'; UPDATE t SET u='b' WHERE id='3'; UPDATE t SET u='c' WHERE id='1';
      UPDATE m SET u=NULL WHERE id=1; UPDATE m SET u='a' WHERE id=2; UPDATE m SET u='b' WHERE id=1`);
    const rowids = a.rows("SELECT id, rowid FROM t ORDER BY id");
    await w.settle();
    expect(a.rows("SELECT id, u FROM t ORDER BY id")).toEqual([
      ["1", "c"],
      ["2", "a"],
      ["3", "b"],
    ]);
    expect(a.rows("SELECT id, u FROM m ORDER BY id")).toEqual([
      [1n, "b"],
      [2n, "a"],
      [3n, "c"],
    ]);
    expect(a.rows("SELECT id, rowid FROM t ORDER BY id")).toEqual(rowids);
    expect(a.attachment?.issues()).toEqual([]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT26] a conflict clause of the table's own evicts nothing", async () => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app("CREATE TABLE t(id TEXT PRIMARY KEY, u UNIQUE ON CONFLICT REPLACE)");
    b.app("CREATE TABLE t(id TEXT PRIMARY KEY, u); INSERT INTO t VALUES('1','a'),('2','b')");
    for (const d of [b, a]) {
      await d.attach();
      await w.settle();
    }
    b.app("UPDATE t SET u=CASE id WHEN '1' THEN 'b' ELSE 'a' END");
    await w.settle();
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      ["1", "b"],
      ["2", "a"],
    ]);
    b.app("INSERT INTO t VALUES('3','a')");
    await w.settle();
    expect(a.rows("SELECT id FROM t ORDER BY id")).toEqual([["1"], ["2"]]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["row-refused"]);
  });

  test("[ATT26] up to 2,000 rows are one transaction of the file, more are slices", async () => {
    const { w, a, b } = await pair(notes);
    const slices = (): number => a.reached.filter((p) => p === "slice-committed").length;
    b.app(many(2000));
    await w.settle();
    expect(slices()).toBe(1);
    b.app("DELETE FROM note WHERE n > 300; UPDATE note SET n=-n");
    await w.settle();
    await b.attachment?.approve("guard-deletion:note");
    a.reached.length = 0;
    b.app(many(4000).replace("printf('%05d',i)", "'x'||i"));
    await w.settle();
    expect(slices()).toBeGreaterThan(2);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT17] a row that this file does not take is set aside, shown, and tried again when it can be", async () => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app("CREATE TABLE t(id TEXT PRIMARY KEY, n CHECK(n < 10), u)");
    b.app("CREATE TABLE t(id TEXT PRIMARY KEY, n, u); INSERT INTO t VALUES('1',1,1),('2',2,2)");
    await a.attach();
    await w.settle();
    await b.attach();
    await w.settle();
    b.app("UPDATE t SET n=99 WHERE id='1'; UPDATE t SET n=5 WHERE id='2'; INSERT INTO t VALUES('3',50,3)");
    await w.settle();
    expect(a.rows("SELECT id, n FROM t ORDER BY id")).toEqual([
      ["1", 1n],
      ["2", 5n],
    ]);
    const issues = a.attachment?.issues() ?? [];
    expect(issues.map((i) => [i.code, i.table])).toEqual([
      ["row-refused", "t"],
      ["row-refused", "t"],
    ]);
    expect(issues[0]?.text).toContain("CHECK constraint failed");
    // An edit made here goes out on what is shown here.
    a.app("UPDATE t SET u='here' WHERE id='1'");
    await w.settle();
    expect(b.rows("SELECT n, u FROM t WHERE id='1'")).toEqual([[99n, "here"]]);
    b.app("UPDATE t SET n=7 WHERE id='1'");
    await w.settle();
    expect(a.rows("SELECT n, u FROM t WHERE id='1'")).toEqual([[7n, "here"]]);
    expect(a.attachment?.issues().length).toBe(1);
    b.app("DELETE FROM t WHERE id='3'");
    await w.settle();
    expect(a.attachment?.issues()).toEqual([]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT17] a unique value that only this file demands is refused, and taken once it is free", async () => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app("CREATE TABLE t(id TEXT PRIMARY KEY, u); CREATE UNIQUE INDEX i ON t(u)");
    b.app("CREATE TABLE t(id TEXT PRIMARY KEY, u); INSERT INTO t VALUES('1','x')");
    await a.attach();
    await w.settle();
    await b.attach();
    await w.settle();
    b.app("INSERT INTO t VALUES('2','x'),('3','y')");
    await w.settle();
    expect(a.rows("SELECT id FROM t ORDER BY id")).toEqual([["1"], ["3"]]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["row-refused"]);
    a.app("UPDATE t SET u='free' WHERE id='1'");
    await w.settle();
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      ["1", "free"],
      ["2", "x"],
      ["3", "y"],
    ]);
    expect(a.attachment?.issues()).toEqual([]);
  });

  test("[ATT21] a row whose number another device took gets another one, and what refers to it follows", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE p(id INTEGER PRIMARY KEY, name); CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p, n);
      CREATE TABLE x(p INTEGER PRIMARY KEY REFERENCES p, note); CREATE TABLE l(p INTEGER REFERENCES p, k, PRIMARY KEY(p, k));
      INSERT INTO p VALUES(1,'one')`);
    const rows = (d: Device, name: string) =>
      d.app(
        `INSERT INTO p VALUES(2,'${name} 2'),(3,'${name} 3'); INSERT INTO c VALUES('${name}',2,0); INSERT INTO x VALUES(2,'${name}'); INSERT INTO l VALUES(2,'${name}'),(3,'${name}')`,
      );
    rows(a, "a");
    rows(b, "b");
    await w.settle();
    expect(b.dump()).toBe(a.dump());
    expect(
      a.rows(
        "SELECT p.name, c.id, x.note, l.k FROM p JOIN c ON c.p=p.id JOIN x ON x.p=p.id JOIN l ON l.p=p.id ORDER BY 1",
      ),
    ).toEqual([
      ["a 2", "a", "a", "a"],
      ["b 2", "b", "b", "b"],
    ]);
    expect(a.rows("SELECT name FROM p ORDER BY id")).toEqual([["one"], ["a 2"], ["a 3"], ["b 2"], ["b 3"]]);
    // Later edits on either side name the same rows.
    b.app(
      "UPDATE c SET n=1 WHERE id='b'; UPDATE p SET name='bb' WHERE name='b 2'; DELETE FROM x WHERE note='a'",
    );
    await w.settle();
    expect(b.dump()).toBe(a.dump());
    expect(a.rows("SELECT p.name FROM c JOIN p ON p.id=c.p WHERE c.id='b'")).toEqual([["bb"]]);
  });

  test("[ATT21] files with and without foreign keys, or without the other table, agree on what a number means", async () => {
    const w = world(4);
    const [a, b, c, d] = w.devices as [Device, Device, Device, Device];
    a.app(`CREATE TABLE p(id INTEGER PRIMARY KEY, name); CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p, n);
      INSERT INTO p VALUES(1,'one'),(2,'two'); INSERT INTO c VALUES('x',1,0),('y',2,0),('n',NULL,0)`);
    b.app("CREATE TABLE p(id INTEGER PRIMARY KEY, name); CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER, n)");
    c.app("CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER, n)");
    for (const one of [a, b, c, d]) {
      await one.attach();
      await w.settle();
    }
    b.app("INSERT INTO p VALUES(3,'of b'); UPDATE c SET n='b' WHERE id='x'; INSERT INTO c VALUES('b',3,0)");
    a.app("INSERT INTO p VALUES(3,'of a'); INSERT INTO c VALUES('a',3,0)");
    await w.settle();
    c.app("UPDATE c SET n='c' WHERE id IN ('a','b','n'); INSERT INTO c VALUES('c',4,0)");
    await w.settle();
    for (const one of [b, d]) expect(one.dump()).toBe(a.dump());
    expect(c.rows("SELECT * FROM c ORDER BY id")).toEqual(a.rows("SELECT * FROM c ORDER BY id"));
    expect(a.rows("SELECT c.id, c.n, p.name FROM c JOIN p ON p.id=c.p ORDER BY c.id")).toEqual([
      ["a", "c", "of a"],
      ["b", "c", "of b"],
      ["c", 0n, "of b"],
      ["x", "b", "one"],
      ["y", 0n, "two"],
    ]);
  });

  test("[ATT21] a row that begins to refer to another just before that gets its number refers to it still", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE p(id INTEGER PRIMARY KEY, name); CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p);
      INSERT INTO p VALUES(6,'six')`);
    a.app("PRAGMA wal_checkpoint(TRUNCATE)");
    const copy = w.folder.file("copy");
    copyFileSync(a.path, copy);
    a.app("UPDATE p SET id=7");
    await w.settle();
    a.restart();
    copyFileSync(copy, a.path);
    // It is known by now that row 6 is to be 7, and the app does not know it yet.
    await a.attach();
    expect(a.rows("SELECT id FROM p")).toEqual([[6n]]);
    a.app("INSERT INTO c VALUES('x',6)");
    await w.settle();
    expect(a.rows("SELECT c.p, p.name FROM c JOIN p ON p.id=c.p")).toEqual([[7n, "six"]]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT22, ATT21] in an older copy the second image of a row goes, and what refers to it follows", async () => {
    const { w, a, b } = await pair(`
      CREATE TABLE p(id INTEGER PRIMARY KEY, name); CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p);
      INSERT INTO p VALUES(5,'five'),(12,'twelve')`);
    a.app("PRAGMA wal_checkpoint(TRUNCATE)");
    const copy = w.folder.file("copy");
    copyFileSync(a.path, copy);
    a.app("DELETE FROM p WHERE id=12");
    await w.settle();
    a.app("UPDATE p SET id=12 WHERE id=5");
    await w.settle();
    a.restart();
    copyFileSync(copy, a.path);
    await a.attach();
    a.app("INSERT INTO c VALUES('x',5)");
    await w.settle();
    expect(a.rows("SELECT * FROM p")).toEqual([[12n, "five"]]);
    expect(a.rows("SELECT * FROM c")).toEqual([["x", 12n]]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT21] a number deleted and inserted again on one device keeps it", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, name); INSERT INTO p VALUES(1,'one'),(2,'two')",
    );
    a.app("DELETE FROM p WHERE id=2");
    await w.settle();
    a.app("INSERT INTO p VALUES(2,'again')");
    await w.settle();
    expect(a.rows("SELECT * FROM p")).toEqual([
      [1n, "one"],
      [2n, "again"],
    ]);
    expect(b.dump()).toBe(a.dump());
  });
});

test("[ATT14] our commits are durable before anything rests on them", async () => {
  const { openFile, loadDriver } = await import("./sqlite.ts");
  const { a } = await pair(notes);
  const db = openFile(loadDriver(), a.path);
  const pragma = (name: string): unknown => db.pragma(name, { simple: true });
  expect([
    pragma("synchronous"),
    pragma("foreign_keys"),
    pragma("recursive_triggers"),
    pragma("busy_timeout"),
  ]).toEqual([2n, 0n, 0n, 0n]);
  db.close();
});

describe("the app's own triggers", () => {
  const schema = `
    CREATE TABLE t(id INTEGER PRIMARY KEY, v, at); CREATE TABLE s(id TEXT PRIMARY KEY, n);
    CREATE TABLE log(x); CREATE VIRTUAL TABLE ft USING fts5(v);`;

  test("[ATT16] those that write synced tables rest while rows are projected, and converge", async () => {
    const sql = `${schema}
      CREATE TRIGGER first AFTER UPDATE ON t BEGIN SELECT 1; END;
      CREATE TRIGGER stamp AFTER UPDATE ON t BEGIN UPDATE t SET at = coalesce(at,0)+1 WHERE id=new.id; END;
      CREATE TRIGGER last AFTER UPDATE ON t BEGIN SELECT 2; END;`;
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    for (const d of [a, b]) d.app(sql);
    a.app("INSERT INTO t VALUES(1,'x',0)");
    for (const d of [a, b]) await d.attach({ tables: ["t", "s"] });
    await w.settle();
    const order = a.rows(
      "SELECT name, sql FROM sqlite_schema WHERE type='trigger' AND tbl_name='t' ORDER BY rowid",
    );
    a.app("UPDATE t SET v='a'");
    await w.settle();
    b.app("UPDATE t SET v='b'");
    await w.settle();
    expect(a.rows("SELECT v, at FROM t")).toEqual([["b", 2n]]);
    expect(b.rows("SELECT v, at FROM t")).toEqual([["b", 2n]]);
    expect(
      a.rows("SELECT name, sql FROM sqlite_schema WHERE type='trigger' AND tbl_name='t' ORDER BY rowid"),
    ).toEqual(order);
    expect(a.attachment?.state).toBe("live");
    a.app("UPDATE t SET v='still'");
    expect(a.rows("SELECT at FROM t")).toEqual([[3n]]);
  });

  test("[ATT16] those that write other tables fire: a search index stays right", async () => {
    const sql = `${schema}
      CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO ft(rowid, v) VALUES(new.id, new.v); END;
      CREATE TRIGGER u AFTER UPDATE ON t BEGIN UPDATE ft SET v=new.v WHERE rowid=new.id; END;
      CREATE TRIGGER d AFTER DELETE ON t BEGIN DELETE FROM ft WHERE rowid=old.id; END;`;
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    for (const d of [a, b]) d.app(sql);
    for (const d of [a, b]) await d.attach({ tables: ["t", "s"] });
    a.app("INSERT INTO t VALUES(1,'alpha',0),(2,'beta',0),(3,'gamma',0)");
    await w.settle();
    a.app("UPDATE t SET v='delta' WHERE id=2; DELETE FROM t WHERE id=3");
    await w.settle();
    expect(b.rows("SELECT rowid FROM ft WHERE ft MATCH 'delta OR alpha' ORDER BY 1")).toEqual([[1n], [2n]]);
    expect(b.rows("SELECT count(*) FROM ft")).toEqual([[2n]]);
  });

  test("[ATT16] those that write both fire, and what they did to synced rows is put right", async () => {
    const sql = `${schema}
      CREATE TRIGGER both AFTER INSERT ON t BEGIN
        INSERT INTO log VALUES(new.id); UPDATE s SET n=n+1 WHERE id='count'; INSERT OR IGNORE INTO s VALUES('made by '||new.id, 0); END;`;
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    for (const d of [a, b]) d.app(sql);
    a.app("INSERT INTO s VALUES('count',0)");
    for (const d of [a, b]) await d.attach({ tables: ["t", "s"] });
    await w.settle();
    a.app("INSERT INTO t VALUES(1,'x',0),(2,'y',0)");
    await w.settle();
    b.app("INSERT INTO t VALUES(3,'z',0)");
    await w.settle();
    expect(a.rows("SELECT * FROM s ORDER BY id")).toEqual([
      ["count", 3n],
      ["made by 1", 0n],
      ["made by 2", 0n],
      ["made by 3", 0n],
    ]);
    expect(b.rows("SELECT * FROM s ORDER BY id")).toEqual(a.rows("SELECT * FROM s ORDER BY id"));
    expect(b.rows("SELECT count(*) FROM log")).toEqual([[3n]]);
    expect(a.attachment?.issues()).toEqual([]);
  });

  test("[ATT16] one that never lets a value stand is named, and the app's word stays on this device", async () => {
    const sql = `${schema}
      CREATE TRIGGER fight AFTER UPDATE ON t BEGIN INSERT INTO log VALUES(1); UPDATE t SET at='mine' WHERE id=new.id AND at IS NOT 'mine'; END;`;
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app(sql);
    b.app(schema);
    b.app("INSERT INTO t VALUES(1,'x',0)");
    for (const d of [b, a]) {
      await d.attach({ tables: ["t", "s"] });
      await w.settle();
    }
    b.app("UPDATE t SET v='y', at='theirs'");
    await w.settle();
    expect(a.rows("SELECT v, at FROM t")).toEqual([["y", "mine"]]);
    expect(b.rows("SELECT v, at FROM t")).toEqual([["y", "theirs"]]);
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["trigger-fights"]);
  });

  test("[ATT17] one that raises, even with ROLLBACK, sets its row aside and no other", async () => {
    const sql = `${schema} CREATE TRIGGER no BEFORE INSERT ON t WHEN new.v='bad' BEGIN SELECT RAISE(ROLLBACK, 'not here'); END;
      CREATE TRIGGER ig BEFORE INSERT ON t WHEN new.v='ignored' BEGIN SELECT RAISE(IGNORE); END;`;
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app(sql);
    b.app(schema);
    for (const d of [b, a]) {
      await d.attach({ tables: ["t", "s"] });
      await w.settle();
    }
    b.app("INSERT INTO t VALUES(1,'good',0),(2,'bad',0),(3,'fine',0),(4,'ignored',0)");
    await w.settle();
    expect(a.rows("SELECT id FROM t ORDER BY id")).toEqual([[1n], [3n]]);
    expect(
      a.attachment
        ?.issues()
        .map((i) => i.text)
        .sort(),
    ).toEqual(["a trigger ignored the row", "not here"]);
    expect(a.rows("SELECT cap FROM _tl_flag")).toEqual([[1n]]);
  });
});

describe("what happens to the file", () => {
  test("[ATT23] another file in its place is merged as at first: nothing is wiped, nothing doubles", async () => {
    const { w, a, b } = await pair(
      `${notes}; CREATE TABLE m(id INTEGER PRIMARY KEY, v); INSERT INTO note VALUES('1','t',1),('2','u',2); INSERT INTO m VALUES(1,'x'),(2,'y')`,
    );
    const before = a.dump();
    a.attachment?.close();
    rmSync(a.path);
    await a.attach();
    expect(a.events).toContain("database.replaced");
    await w.settle();
    expect(a.dump()).toBe(before);
    a.attachment?.close();
    rmSync(a.path);
    a.app(
      `${notes}; CREATE TABLE m(id INTEGER PRIMARY KEY, v); INSERT INTO note VALUES('2','other',2),('3','v',3); INSERT INTO m VALUES(2,'y'),(3,'z')`,
    );
    await a.attach();
    await w.settle();
    expect(b.dump()).toBe(a.dump());
    expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
      ["1", "t", 1n],
      ["2", "u", 2n],
      ["3", "v", 3n],
    ]);
    expect(a.rows("SELECT * FROM m ORDER BY id")).toEqual([
      [1n, "x"],
      [2n, "y"],
      [3n, "z"],
    ]);
  });

  test("[ATT23] a copy with a token nobody knows keeps the rows its numbers stood for", async () => {
    const { w, a, b } = await pair(
      "CREATE TABLE m(id INTEGER PRIMARY KEY, v); INSERT INTO m VALUES(1,'x'),(2,'y'),(3,'z')",
    );
    a.attachment?.close();
    a.app(
      "UPDATE _tl_meta SET value=zeroblob(16) WHERE name='token'; UPDATE m SET v='edited' WHERE id=2; DELETE FROM m WHERE id=3",
    );
    await a.attach();
    await w.settle();
    expect(a.events).toContain("database.replaced");
    expect(a.rows("SELECT * FROM m ORDER BY id")).toEqual([
      [1n, "x"],
      [2n, "y"],
      [3n, "z"],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT27] a changed schema pauses both ways, capture goes on, and the old one lets it go on", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
    a.app("CREATE TABLE other(x); CREATE INDEX i ON note(n)");
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    a.app("ALTER TABLE note ADD COLUMN more; INSERT INTO note VALUES('2','u',2,3)");
    b.app("UPDATE note SET text='b'");
    await w.settle();
    expect(a.attachment?.state).toBe("paused");
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["schema-changed"]);
    expect(a.rows("SELECT text FROM note WHERE id='1'")).toEqual([["t"]]);
    expect(a.rows("SELECT count(*) FROM _tl_out")).toEqual([[1n]]);
    a.app("ALTER TABLE note DROP COLUMN more");
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
      ["1", "b", 1n],
      ["2", "u", 2n],
    ]);
    expect(b.rows("SELECT * FROM note ORDER BY id")).toEqual(a.rows("SELECT * FROM note ORDER BY id"));
    a.app("DROP TABLE note");
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["schema-changed"]);
    expect(b.rows("SELECT count(*) FROM note")).toEqual([[2n]]);
  });

  test("[ATT27] a file that is gone, or was detached by force, pauses and deletes nothing", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
    const kept = w.folder.file("kept.db");
    a.app("PRAGMA wal_checkpoint(TRUNCATE)");
    copyFileSync(a.path, kept);
    rmSync(a.path);
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["file-missing"]);
    copyFileSync(kept, a.path);
    b.app("UPDATE note SET n=2");
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    expect(a.rows("SELECT n FROM note")).toEqual([[2n]]);
    await detachForce(a.path, a.deps);
    a.app("DELETE FROM note");
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["detached"]);
    expect(b.rows("SELECT n FROM note")).toEqual([[2n]]);
  });

  test("[ATT10] detached, it is as if it had never been attached, and attaches again", async () => {
    const { w, a, b } = await pair(`${notes}; INSERT INTO note VALUES('1','t',1)`);
    a.app("INSERT INTO note VALUES('last','edit',1)");
    await a.attachment?.detach();
    expect(a.rows("SELECT name FROM sqlite_schema")).toEqual([["note"], ["sqlite_autoindex_note_1"]]);
    a.engine.push();
    b.engine.pull();
    await w.devices[1]?.attachment?.pump();
    expect(b.rows("SELECT id FROM note ORDER BY id")).toEqual([["1"], ["last"]]);
    b.app("INSERT INTO note VALUES('b','b',1)");
    await a.attach();
    await w.settle();
    expect(b.dump()).toBe(a.dump());
  });
});

test("[ATT18] an attachment that watches notices other programs and the vault by itself", async () => {
  const w = world(2);
  const [a, b] = w.devices as [Device, Device];
  a.app(`PRAGMA journal_mode=WAL; ${notes}; INSERT INTO note VALUES('1','t',1)`);
  await a.attach({ watch: true });
  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      const stop = a.attachment?.onChange(() => {
        if (a.engine.pending() === 0) return;
        stop?.();
        resolve();
      });
    });
  a.engine.push();
  a.engine.pull();
  const flushed = changed();
  a.app("INSERT INTO note VALUES('2','by another program',2)");
  await flushed;
  a.engine.push();
  b.engine.pull();
  await b.attach();
  await b.attachment?.pump();
  expect(b.rows("SELECT id FROM note ORDER BY id")).toEqual([["1"], ["2"]]);
  b.app("UPDATE note SET text='b' WHERE id='1'");
  await b.attachment?.pump();
  b.engine.push();
  const shown = new Promise<void>((resolve) => {
    a.onPoint = (point) => {
      if (point === "slice-adopted") resolve();
    };
  });
  a.engine.pull();
  await shown;
  expect(a.rows("SELECT text FROM note WHERE id='1'")).toEqual([["b"]]);
});
