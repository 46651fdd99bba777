import { copyFileSync } from "node:fs";
import { decodeSection } from "@tidelock/core/kinds/tables/codec";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { afterEach, describe, expect, test } from "vitest";
import { type DatabasePoint, databasePoints } from "./points.ts";
import { Crash, type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(devices: number): World {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  return w;
}

const schema = `
  CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT, u TEXT UNIQUE);
  CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p, n);
  CREATE TABLE l(p INTEGER REFERENCES p, c TEXT REFERENCES c, PRIMARY KEY(p, c)) WITHOUT ROWID;`;
const seed = `
  INSERT INTO p VALUES(1,'one','a'),(2,'two','b'),(3,'three','c'),(4,'four','d');
  INSERT INTO c VALUES('x',1,1),('y',2,2),('z',3,3),('w',4,4); INSERT INTO l VALUES(1,'x'),(2,'y'),(4,'w');`;
const editsOfA =
  "UPDATE p SET name='one of a' WHERE id=1; DELETE FROM l WHERE p=4; DELETE FROM c WHERE id='w'; INSERT INTO p VALUES(7,'seven','g'); INSERT INTO c VALUES('new',7,0)";
const editsOfB =
  "UPDATE p SET name='two of b' WHERE id=2; UPDATE p SET u='swap' WHERE id=3; UPDATE p SET u='c' WHERE id=2; UPDATE p SET u='b' WHERE id=3; DELETE FROM l WHERE p=2; INSERT INTO p VALUES(7,'other seven','h'); INSERT INTO c VALUES('of b',7,0); UPDATE c SET n='b' WHERE id='z'";

/** Two devices with the same rows; `a` has edits of its own in its file and `b`'s in its replica. */
async function prepared(): Promise<{ readonly w: World; readonly a: Device; readonly b: Device }> {
  const w = world(2);
  const [a, b] = w.devices as [Device, Device];
  a.app(schema + seed);
  await a.attach();
  await w.settle();
  await b.attach();
  await w.settle();
  b.app(editsOfB);
  await b.attachment?.pump();
  b.engine.push();
  b.engine.pull();
  a.engine.pull();
  a.app(editsOfA);
  return { w, a, b };
}

/** Operations a device put into the log beyond the first `from` entries, by table. */
function said(w: World, device: number, from: number): string[] {
  return w.log.entries
    .slice(from)
    .filter((e) => e.device === device)
    .flatMap((e) => e.frames)
    .flatMap((f) => decodeSection(f)?.changes ?? [])
    .map((c) => (c.op === "schema" ? "schema" : `${c.op} ${c.table}`))
    .sort();
}

/** Runs until the point throws; false if it was never reached that often. */
async function stopped(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (error instanceof Crash) return true;
    throw error;
  }
}

const of = (...prefixes: string[]): readonly DatabasePoint[] =>
  databasePoints.filter((p) => prefixes.some((prefix) => p.startsWith(prefix)));

describe("[ATT14] stopped anywhere", () => {
  test("the whole of it without a stop, for comparison", async () => {
    const { w, a, b } = await prepared();
    const from = w.log.entries.length;
    await w.settle();
    expect(said(w, 1, from)).toEqual(["delete c", "delete l", "insert c", "insert p", "set p"]);
    expect(said(w, 2, from)).toEqual([]);
    expect(b.dump()).toBe(a.dump());
    expect(
      a.rows("SELECT c.id, p.name FROM c JOIN p ON p.id=c.p WHERE c.id IN ('new','of b') ORDER BY 1"),
    ).toEqual([
      ["new", "seven"],
      ["of b", "other seven"],
    ]);
  });

  describe.each(of("flush-", "slice-"))("at %s", (name) => {
    test.each([0, 1])(
      "[ATT14, ATT28] goes on with nothing lost, doubled or echoed (time %i)",
      async (skip) => {
        for (const foreign of [false, true]) {
          const { w, a, b } = await prepared();
          const from = w.log.entries.length;
          a.stopAt = { point: name, skip };
          const hit = await stopped(async () => a.attachment?.pump());
          if (skip === 0) expect(hit).toBe(true);
          a.stopAt = undefined;
          a.restart(MapReplicaStore.fromImage((a.store as MapReplicaStore).image()));
          if (foreign)
            a.app("UPDATE c SET n='meanwhile' WHERE id='y'; INSERT INTO c VALUES('meanwhile',2,0)");
          await a.attach();
          await w.settle();
          const own = ["delete c", "delete l", "insert c", "insert p", "set p"];
          expect(said(w, 1, from)).toEqual(foreign ? [...own, "insert c", "set c"].sort() : own);
          expect(said(w, 2, from)).toEqual([]);
          expect(b.dump()).toBe(a.dump());
          expect(a.rows("SELECT name FROM p WHERE id IN (1,2) ORDER BY id")).toEqual([
            ["one of a"],
            ["two of b"],
          ]);
          expect(
            a.rows(
              "SELECT count(*) FROM p UNION ALL SELECT count(*) FROM c UNION ALL SELECT count(*) FROM l",
            ),
          ).toEqual([[6n], [foreign ? 6n : 5n], [1n]]);
          expect(a.rows("SELECT count(*), (SELECT cap FROM _tl_flag) FROM _tl_out")).toEqual([[0n, 1n]]);
          w.end();
        }
      },
    );
  });

  test("[P2] [ATT14] an edit that the app's disk lost before the flush ended was never sent", async () => {
    const { w, a, b } = await prepared();
    await w.settle();
    const from = w.log.entries.length;
    const before = a.dump();
    a.app("PRAGMA wal_checkpoint(TRUNCATE)");
    const kept = w.folder.file("before");
    copyFileSync(a.path, kept);
    for (const name of ["flush-read", "flush-noted", "flush-begun", "flush-written"] as const) {
      a.app("UPDATE p SET name='lost' WHERE id=1; DELETE FROM l; INSERT INTO c VALUES('lost',1,1)");
      a.stopAt = { point: name, skip: 0 };
      expect(await stopped(async () => a.attachment?.pump())).toBe(true);
      a.restart(MapReplicaStore.fromImage((a.store as MapReplicaStore).image()));
      copyFileSync(kept, a.path);
      await a.attach();
      await w.settle();
      expect(w.log.entries.length).toBe(from);
      expect(a.dump()).toBe(before);
      expect(b.dump()).toBe(before);
    }
  });

  test.each(of("attach-", "flush-"))("[ATT20] at %s of a first attach", async (name) => {
    for (const skip of [0, 1, 2, 3]) {
      const w = world(2);
      const [a, b] = w.devices as [Device, Device];
      a.app(schema + seed);
      b.app(schema + seed);
      await a.attach();
      await w.settle();
      b.engine.pull();
      b.app("UPDATE p SET name='local' WHERE id=2; INSERT INTO c VALUES('only b',4,4)");
      b.stopAt = { point: name, skip };
      const hit = await stopped(() => b.attach());
      b.stopAt = undefined;
      b.restart(MapReplicaStore.fromImage((b.store as MapReplicaStore).image()));
      if (hit) b.app("UPDATE c SET n='meanwhile' WHERE id='y'");
      await b.attach();
      if (!hit) b.app("UPDATE c SET n='meanwhile' WHERE id='y'");
      await w.settle();
      expect(b.dump()).toBe(a.dump());
      // A different row under the same number is another row; the same natural key is the same row.
      expect(a.rows("SELECT count(*) FROM p")).toEqual([[5n]]);
      expect(a.rows("SELECT count(*) FROM c")).toEqual([[5n]]);
      w.end();
    }
  });

  test.each(of("detach-", "flush-"))("[ATT10] at %s of a detach", async (name) => {
    const w = world(1);
    const [a] = w.devices as [Device];
    a.app(schema + seed);
    const before = a.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema");
    await a.attach();
    await w.settle();
    a.app(editsOfA);
    a.stopAt = { point: name, skip: 0 };
    const hit = await stopped(async () => a.attachment?.detach());
    expect(hit).toBe(true);
    a.restart(MapReplicaStore.fromImage((a.store as MapReplicaStore).image()));
    const from = w.log.entries.length;
    if (a.rows("SELECT 1 FROM sqlite_schema WHERE name='_tl_meta'").length > 0) {
      await a.attach();
      await a.attachment?.detach();
    } else {
      // Attached anew: what the last one forgot to forget does no harm.
      await a.attach();
      await a.attachment?.detach();
    }
    a.engine.push();
    expect(a.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema")).toEqual(before);
    expect(said(w, 1, from).filter((s) => !s.startsWith("found")).length).toBeLessThanOrEqual(5);
  });
});

describe("[ATT22] the file went back", () => {
  /** Copies the file as it stands, with everything in it. */
  const backup = (w: World, d: Device, name: string): string => {
    const copy = w.folder.file(name);
    d.app("PRAGMA wal_checkpoint(TRUNCATE)");
    copyFileSync(d.path, copy);
    return copy;
  };

  test("an edit on the copy of a row deleted since is kept here until it has been looked at", async () => {
    const w = world(1);
    const [a] = w.devices as [Device];
    a.app(schema + seed);
    await a.attach();
    await w.settle();
    const copy = backup(w, a, "copy");
    a.app("DELETE FROM l WHERE p=4; DELETE FROM c WHERE id='w'");
    await w.settle();
    a.restart();
    copyFileSync(copy, a.path);
    a.app("UPDATE c SET n='edited' WHERE id='w'");
    await a.attach();
    await w.settle();
    expect(a.rows("SELECT count(*) FROM c")).toEqual([[3n]]);
    const issue = a.attachment?.issues()[0];
    expect([issue?.code, issue?.table]).toEqual(["went-back", "c"]);
    a.attachment?.dismiss(issue?.id ?? "");
    expect(a.attachment?.issues()).toEqual([]);
  });

  test.each([false, true])("to any earlier moment, with edits on top: %s", async (edited) => {
    const w = world(2);
    const [a, b] = w.devices as [Device, Device];
    a.app(schema + seed);
    await a.attach();
    await w.settle();
    await b.attach();
    await w.settle();
    const copies = [backup(w, a, "0")];
    const steps = [
      async () => {
        a.app(
          "UPDATE p SET name='first' WHERE id=1; INSERT INTO p VALUES(20,'twenty','t'); INSERT INTO c VALUES('t',20,1)",
        );
        await w.settle();
      },
      async () => {
        b.app(editsOfB);
        await w.settle();
      },
      async () => {
        a.app(
          "UPDATE p SET id=30 WHERE id=20; UPDATE c SET p=30 WHERE p=20; DELETE FROM c WHERE id='z'; DELETE FROM l WHERE p=1",
        );
        await w.settle();
      },
      async () => {
        b.app(
          "INSERT INTO p VALUES(20,'another twenty','v'); DELETE FROM p WHERE id=4; INSERT INTO c VALUES('b20',20,2)",
        );
        await w.settle();
      },
    ];
    for (const [i, step] of steps.entries()) {
      await step();
      copies.push(backup(w, a, String(i + 1)));
    }
    const wanted = a.dump();
    for (const copy of [...copies.entries()].map(([i]) => copies[copies.length - 1 - i] as string)) {
      const from = w.log.entries.length;
      a.restart();
      a.events.length = 0;
      copyFileSync(copy, a.path);
      if (edited) a.app(`UPDATE p SET name='on copy ${copies.indexOf(copy)}' WHERE id IN (1,20)`);
      await a.attach();
      await w.settle();
      expect(b.dump()).toBe(a.dump());
      if (!edited) {
        expect(said(w, 1, from)).toEqual([]);
        expect(a.dump()).toBe(wanted);
      } else if (copy !== copies.at(-1)) {
        // The newest copy was edited first; words on older ones lie in the journal.
        expect(a.rows("SELECT name FROM p WHERE id=1")).toEqual([["on copy 4"]]);
        const open = a.engine.read((tx) => a.kind.conflicts(tx, { open: true }));
        expect(open.some((c) => c.table === "p" && c.reason === "first-attach")).toBe(true);
      }
      // Row 4 came back: a row refers to it.
      expect(a.rows("SELECT count(*) FROM p")).toEqual([[7n]]);
      expect(a.events.filter((e) => e === "database.replaced")).toEqual([]);
      expect(a.events.filter((e) => e === "database.went-back").length).toBe(copy === copies.at(-1) ? 0 : 1);
      expect(a.attachment?.state).toBe("live");
    }
  });
});
