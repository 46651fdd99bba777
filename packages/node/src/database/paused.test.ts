import { copyFileSync, rmSync } from "node:fs";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { afterEach, describe, expect, test } from "vitest";
import { detachForce } from "./detach.ts";
import { retire } from "./memory.ts";
import { allRecords, records } from "./registry.ts";
import { audit } from "./testing/audit.ts";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

/** Two devices that show the same rows of this schema. */
async function pair(sql: string): Promise<{ readonly w: World; readonly a: Device; readonly b: Device }> {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices: 2, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
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

describe("attaching again", () => {
  const schema =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); CREATE TABLE n(id TEXT PRIMARY KEY, v); CREATE TABLE c(id TEXT PRIMARY KEY, t REFERENCES t(id))";

  test("[ATT30] a row edited between a detach and the next attach is the same row: never a second one, and the edit is kept", async () => {
    const { w, a, b } = await pair(
      `${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2),(3,'three',3); INSERT INTO c VALUES('x',1)`,
    );
    for (const force of [false, true]) {
      if (force) {
        await detachForce(a.path, a.deps);
        a.attachment?.close();
        a.engine.write((tx) => {
          for (const r of records(tx)) retire(tx, a.kind, r);
        });
      } else await a.attachment?.detach();
      a.attachment = undefined;
      const open = (): number => a.engine.read((tx) => a.kind.conflicts(tx, { open: true })).length;
      const before = open();
      a.app(`UPDATE t SET v='edited ${force}' WHERE id=1; INSERT INTO t VALUES(${force ? 9 : 7},'new',7)`);
      b.app("UPDATE t SET w=20 WHERE id=2; UPDATE t SET v='b' WHERE id=1");
      await w.settle();
      await a.attach();
      await w.settle();
      expect(a.rows("SELECT count(*) FROM t")).toEqual([[force ? 5n : 4n]]);
      expect(a.rows("SELECT v FROM t WHERE id=1")).toEqual([["b"]]);
      expect(a.rows("SELECT w FROM t WHERE id=2")).toEqual([[20n]]);
      expect(a.rows("SELECT t FROM c")).toEqual([[1n]]);
      expect(open()).toBe(before + 1);
      expect(b.dump()).toBe(a.dump());
    }
    expect(audit(a)).toEqual([]);
  });

  test("[ATT30] what others did meanwhile to rows nobody touched here is no conflict, deletions included", async () => {
    const { w, a, b } = await pair(
      `${schema}; ${"INSERT INTO t(v, w) VALUES('r', 0);".repeat(5)} INSERT INTO n VALUES('a','x'),('b','x'),('c','x')`,
    );
    b.app("UPDATE t SET w=1 WHERE id=5; UPDATE n SET v='y' WHERE id='c'");
    await w.settle();
    await a.attachment?.detach();
    a.attachment = undefined;
    b.app("UPDATE t SET v='b' WHERE id IN (1,2,5); DELETE FROM t WHERE id=3; DELETE FROM n WHERE id='a'");
    b.app("UPDATE n SET v='b' WHERE id IN ('b','c')");
    a.app(
      "UPDATE t SET w=9 WHERE id IN (2,4); DELETE FROM n WHERE id='b'; ALTER TABLE t ADD COLUMN x DEFAULT 1",
    );
    await w.settle();
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT id, v, w FROM t ORDER BY id")).toEqual([
      [1n, "b", 0n],
      [2n, "b", 0n],
      [4n, "r", 0n],
      [5n, "b", 1n],
    ]);
    expect(a.rows("SELECT * FROM n ORDER BY id")).toEqual([
      ["b", "b"],
      ["c", "b"],
    ]);
    const open = a.engine.read((tx) => a.kind.conflicts(tx, { open: true }));
    expect(open.map((c) => [c.table, c.reason, c.columns])).toEqual([
      ["t", "first-attach", ["w"]],
      ["t", "first-attach", ["w"]],
    ]);
    expect(b.rows("SELECT * FROM t ORDER BY id")).toEqual(a.rows("SELECT id, v, w FROM t ORDER BY id"));
    expect(audit(a)).toEqual([]);
  });

  test("[ATT30] a column added between a detach and the next attach comes with its values, and no row twice", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2)`);
    await a.attachment?.detach();
    a.app("ALTER TABLE t ADD COLUMN more DEFAULT 'd'; UPDATE t SET more='m' WHERE id=2");
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT id, v, more FROM t")).toEqual([
      [1n, "one", "d"],
      [2n, "two", "m"],
    ]);
    expect(b.rows("SELECT count(*) FROM t")).toEqual([[2n]]);
    b.app("ALTER TABLE t ADD COLUMN more");
    await b.attachment?.mend();
    await w.settle();
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT30] another file at the same path is not taken for the one that was there: its rows are rows of their own", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1)`);
    await a.attachment?.detach();
    rmSync(a.path);
    a.app(`${schema}; INSERT INTO t VALUES(1,'another','row')`);
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT * FROM t ORDER BY id")).toEqual([
      [1n, "one", 1n],
      [2n, "another", "row"],
    ]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT30] a copy made while it was attached is known by its marks", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2)`);
    a.app("PRAGMA wal_checkpoint(TRUNCATE)");
    const copy = w.folder.file("copy.db");
    copyFileSync(a.path, copy);
    a.app("UPDATE t SET v='later' WHERE id=2");
    await w.settle();
    await a.attachment?.detach();
    rmSync(a.path);
    copyFileSync(copy, a.path);
    a.app("UPDATE t SET v='on the copy' WHERE id=1");
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT id, v FROM t ORDER BY id")).toEqual([
      [1n, "one"],
      [2n, "later"],
    ]);
    expect(a.engine.read((tx) => a.kind.conflicts(tx, { open: true })).length).toBeGreaterThan(0);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT30] a refused attach forgets nothing, and only the last eight files are remembered", async () => {
    const { w, a } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1)`);
    await a.attachment?.detach();
    a.app("CREATE TABLE nokey(x)");
    expect(await code(() => a.attach())).toBe("table-no-key");
    a.app("DROP TABLE nokey; UPDATE t SET v='edited'");
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT v FROM t")).toEqual([["one"]]);
    await a.attachment?.detach();
    for (let i = 0; i < 10; i++) {
      rmSync(a.path);
      a.app(schema);
      await a.attach();
      await a.attachment?.pump();
      await a.attachment?.detach();
    }
    expect(a.engine.read((tx) => allRecords(tx)).length).toBeLessThanOrEqual(8);
  });
});

describe("a paused file", () => {
  const schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); CREATE TABLE n(id TEXT PRIMARY KEY, v)";

  test("[ATT31] attached again it goes on with its tables as they are: edits made meanwhile are edits, and nothing doubles", async () => {
    const { w, a, b } = await pair(
      `${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2),(3,'three',3); INSERT INTO n VALUES('a','x')`,
    );
    a.app(`ALTER TABLE t ADD COLUMN more DEFAULT 7; ALTER TABLE t DROP COLUMN w; UPDATE t SET v='edited' WHERE id=1;
      INSERT INTO t(v) VALUES('new'); DELETE FROM t WHERE id=3; UPDATE n SET v='y'`);
    b.app("UPDATE t SET v='b' WHERE id=2; UPDATE t SET w='kept' WHERE id=1");
    await w.settle();
    expect(a.attachment?.state).toBe("paused");
    await a.attachment?.mend();
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    expect(a.rows("SELECT id, v, more FROM t ORDER BY id")).toEqual([
      [1n, "edited", 7n],
      [2n, "b", 7n],
      [4n, "new", 7n],
    ]);
    expect(b.rows("SELECT id, v, w FROM t ORDER BY id")).toEqual([
      [1n, "edited", "kept"],
      [2n, "b", 2n],
      [4n, "new", null],
    ]);
    expect(b.rows("SELECT v FROM n")).toEqual([["y"]]);
    expect(a.engine.read((tx) => a.kind.conflicts(tx, { open: true }))).toEqual([]);
    expect(audit(a)).toEqual([]);
    await a.attachment?.mend();
    expect(a.attachment?.state).toBe("live");
  });

  test("[ATT31] a renamed column is a new one with its values, and the old one's stay in the vault", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1)`);
    a.app("ALTER TABLE t RENAME COLUMN v TO title");
    await w.settle();
    expect(a.attachment?.state).toBe("paused");
    await a.attachment?.mend();
    await w.settle();
    b.app("ALTER TABLE t ADD COLUMN title");
    await b.attachment?.mend();
    await w.settle();
    expect(b.rows("SELECT id, v, title FROM t")).toEqual([[1n, "one", "one"]]);
  });

  test("[ATT31] a column that others filled before this file had it: theirs stay, the file's are kept, and nobody's NULL or default is an edit", async () => {
    const { w, a, b } = await pair(`${schema}; ${"INSERT INTO t(v) VALUES('r');".repeat(4)}`);
    a.app("ALTER TABLE t ADD COLUMN c; UPDATE t SET c='a' WHERE id<=3");
    await w.settle();
    await a.attachment?.mend();
    await w.settle();
    // Also where nobody was there to see the change.
    b.restart();
    b.app(
      "ALTER TABLE t ADD COLUMN c DEFAULT 'd'; UPDATE t SET c='b' WHERE id IN (2,4); UPDATE t SET c=NULL WHERE id=3",
    );
    await b.attach();
    await w.settle();
    expect(b.attachment?.state).toBe("paused");
    await b.attachment?.mend();
    await w.settle();
    expect(b.rows("SELECT c FROM t ORDER BY id")).toEqual([["a"], ["a"], ["a"], ["b"]]);
    expect(b.dump()).toBe(a.dump());
    const open = a.engine.read((tx) => a.kind.conflicts(tx, { open: true }));
    expect(open.map((c) => [c.reason, c.columns])).toEqual([["first-attach", ["c"]]]);
    expect(audit(b)).toEqual([]);
  });

  test("[ATT31, ATT14] stopped on the way it is paused as before, and the next try does all of it", async () => {
    const stops = ["flush-read", "flush-noted", "flush-written", "flush-committed", "flush-adopted"] as const;
    for (const point of stops) {
      for (const skip of [0, 1]) {
        const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2)`);
        a.app(
          "ALTER TABLE t ADD COLUMN c DEFAULT 5; UPDATE t SET v='edit' WHERE id=1; DELETE FROM t WHERE id=2",
        );
        await w.settle();
        a.stopAt = { point, skip };
        const stopped = await code(async () => a.attachment?.mend());
        if (skip === 0) expect(stopped).not.toBe("nothing thrown");
        a.restart();
        await a.attach();
        if (a.attachment?.state === "paused") await a.attachment?.mend();
        await w.settle();
        expect(a.rows("SELECT * FROM t")).toEqual([[1n, "edit", 1n, 5n]]);
        expect(b.rows("SELECT * FROM t")).toEqual([[1n, "edit", 1n]]);
        expect(audit(a)).toEqual([]);
      }
    }
  });

  test("[ATT31] where the app dropped the triggers, what it wrote since is found; deletions pass the guard", async () => {
    const { w, a, b } = await pair(`${notes}; ${many(300)}`);
    const triggers = a.rows(
      "SELECT name FROM sqlite_schema WHERE type='trigger' AND name LIKE '\\_tl%' ESCAPE '\\'",
    );
    a.app((triggers as [string][]).map(([name]) => `DROP TRIGGER "${name}"`).join(";"));
    a.app(
      "UPDATE note SET text='unseen' WHERE n=1; DELETE FROM note WHERE n>100; INSERT INTO note VALUES('x','y',0)",
    );
    await w.settle();
    expect(a.attachment?.issues().map((i) => i.code)).toEqual(["schema-changed"]);
    await a.attachment?.mend();
    await w.settle();
    expect(a.attachment?.issues().map((i) => [i.code, i.count])).toEqual([["guard-deletion", 200]]);
    expect(b.rows("SELECT text FROM note WHERE n=1 OR n=0 ORDER BY n")).toEqual([["y"], ["unseen"]]);
    expect(b.rows("SELECT count(*) FROM note")).toEqual([[301n]]);
  });

  test("[ATT31] a table that was rebuilt the long way goes on", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2)`);
    a.app(`BEGIN; CREATE TABLE new(id INTEGER PRIMARY KEY, v NOT NULL, w, x CHECK(x > 0) DEFAULT 5);
      INSERT INTO new(id, v, w) SELECT * FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t; UPDATE t SET v='after' WHERE id=2; COMMIT`);
    await w.settle();
    expect(a.attachment?.state).toBe("paused");
    await a.attachment?.mend();
    await w.settle();
    expect(b.rows("SELECT * FROM t ORDER BY id")).toEqual([
      [1n, "one", 1n],
      [2n, "after", 2n],
    ]);
    a.app("UPDATE t SET v='captured' WHERE id=1");
    await w.settle();
    expect(b.rows("SELECT v FROM t WHERE id=1")).toEqual([["captured"]]);
  });

  test.for([
    ["DROP TABLE n", "not-found"],
    ["ALTER TABLE n RENAME TO m", "not-found"],
    ["DROP TABLE n; CREATE TABLE n(id TEXT, v, PRIMARY KEY(id, v))", "table-key-unsupported"],
    ["DROP TABLE n; CREATE TABLE n(id TEXT, v)", "table-no-key"],
  ])(
    "[ATT31, ATT32] a table that no longer fits (%s): attaching names it, detaching sends the rest and counts",
    async ([sql, refused]) => {
      const { w, a, b } = await pair(
        `${schema}; CREATE INDEX i ON t(w); INSERT INTO t VALUES(1,'one',1); INSERT INTO n VALUES('a','x'),('b','x')`,
      );
      a.app("UPDATE t SET v='sent' WHERE id=1");
      a.app(`UPDATE n SET v='z'; UPDATE n SET v='not sent'; ${sql}; UPDATE t SET w=2`);
      await w.settle();
      expect(a.attachment?.state).toBe("paused");
      expect(await code(async () => a.attachment?.mend())).toBe(refused);
      expect(a.attachment?.state).toBe("paused");
      const left = await a.attachment?.detach();
      a.attachment = undefined;
      expect(left?.unfit.map((u) => [u.table, u.code])).toEqual([["n", refused]]);
      expect(left?.unsent).toBe(2);
      expect(a.rows("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tl%' ESCAPE '\\'")).toEqual([
        [0n],
      ]);
      expect(a.rows("SELECT name FROM sqlite_schema WHERE type='index' AND sql IS NOT NULL")).toEqual([
        ["i"],
      ]);
      a.engine.push();
      await w.settle();
      expect(b.rows("SELECT * FROM t")).toEqual([[1n, "sent", 2n]]);
      expect(b.rows("SELECT count(*) FROM n")).toEqual([[2n]]);
    },
  );

  test("[ATT32] capture taken out before: detached all the same, and said; attached again nothing doubles", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1),(2,'two',2)`);
    await detachForce(a.path, a.deps);
    a.app("UPDATE t SET v='unseen' WHERE id=1");
    await w.settle();
    expect(await a.attachment?.detach()).toMatchObject({ captured: false, unsent: 0 });
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT v FROM t")).toEqual([["one"], ["two"]]);
    expect(a.engine.read((tx) => a.kind.conflicts(tx, { open: true })).map((c) => c.reason)).toEqual([
      "first-attach",
    ]);
    // The same without a detach in between.
    await detachForce(a.path, a.deps);
    a.app("UPDATE t SET v='again' WHERE id=2");
    await w.settle();
    expect(a.attachment?.state).toBe("paused");
    await a.attachment?.mend();
    await w.settle();
    expect(a.attachment?.state).toBe("live");
    expect(a.rows("SELECT v FROM t")).toEqual([["one"], ["two"]]);
    expect(b.dump()).toBe(a.dump());
  });

  test("[ATT32] a file that is gone is not detached, nor forgotten", async () => {
    const { w, a, b } = await pair(`${schema}; INSERT INTO t VALUES(1,'one',1)`);
    const kept = w.folder.file("kept.db");
    a.app("PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET v='edit'");
    copyFileSync(a.path, kept);
    rmSync(a.path);
    await w.settle();
    expect(await code(async () => a.attachment?.detach())).toBe("not-found");
    copyFileSync(kept, a.path);
    await w.settle();
    expect(b.rows("SELECT v FROM t")).toEqual([["edit"]]);
    await a.attachment?.detach();
    expect(a.rows("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tl%' ESCAPE '\\'")).toEqual([[0n]]);
  });
});
