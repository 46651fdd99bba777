import { deviceKeys, drawDeviceSeeds, personKeys } from "@tidelock/core/crypto/identity";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import { createTablesKind } from "@tidelock/core/kinds/tables/tables";
import type { Kind } from "@tidelock/core/log/kind";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { loadSuite } from "../crypto/load-suite.ts";
import { createClock, createScheduler } from "../env.ts";
import { openFolderRemote } from "../remote-folder/open.ts";
import { openSqlStore } from "../store/sql-store.ts";
import { type AttachDeps, attachDatabase, type DatabaseAttachment } from "./attachment.ts";
import { attachmentSpaces } from "./registry.ts";
import { temporaryFolder } from "./testing/writers.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

test("[P2] [ATT20, ATT28] through the real engine, store and a folder: rows of one file come to another, and edits back", async () => {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const { suite } = await loadSuite();
  const clock = createClock();
  const scheduler = createScheduler();
  cleanups.push(() => scheduler.close());
  const log = { event: () => undefined };
  const env = { suite, clock, scheduler, log, point: () => undefined };
  const deps: AttachDeps = { clock, scheduler, log, random: (n) => suite.random(n) };
  const person = personKeys(suite, suite.random(32));
  const keys = deviceKeys(suite, drawDeviceSeeds(suite));
  const device = (
    name: string,
    genesis: ReturnType<typeof makeGenesis>,
    own = deviceKeys(suite, drawDeviceSeeds(suite)),
  ) => {
    const tables = createTablesKind(suite);
    const kinds = [tables as Kind];
    const spaces = [...replicaSpaces(kinds), ...attachmentSpaces.map((s) => s.name)];
    const store = openSqlStore(folder.file(`${name}.replica`), { spaces });
    cleanups.push(() => store.close());
    return {
      tables,
      replica: createReplica(env, { store, genesis, keys: own, localKey: suite.random(32), kinds }),
    };
  };
  const engine = (replica: Replica, remote: Awaited<ReturnType<typeof openFolderRemote>>) => {
    const made = createEngine({ env, replica, remote });
    cleanups.push(() => void made.stop());
    return made;
  };
  const app = <T>(name: string, work: (db: Database.Database) => T): T => {
    const db = new Database(folder.file(name));
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const rows = (name: string): unknown =>
    app(name, (db) => db.prepare("SELECT * FROM c JOIN p ON p.id = c.p ORDER BY c.id").raw().all());
  const remote = folder.file("remote");

  const a = device("a", makeGenesis(suite, clock, person, keys), keys);
  foundVault(suite, clock, a.replica, { vault: "test", device: "a" });
  const engineA = engine(a.replica, await openFolderRemote(remote));
  app("a.db", (db) =>
    db.exec(`CREATE TABLE p(id INTEGER PRIMARY KEY, name UNIQUE); CREATE TABLE c(id TEXT PRIMARY KEY, p REFERENCES p, n);
      INSERT INTO p VALUES(1,'one'),(2,'two'); INSERT INTO c VALUES('x',1,1),('y',2,2.5)`),
  );
  const open = async (e: typeof engineA, d: typeof a, name: string): Promise<DatabaseAttachment> => {
    const attachment = await attachDatabase(e, d.tables, folder.file(name), { watch: false }, deps);
    cleanups.push(() => attachment.close());
    return attachment;
  };
  const atA = await open(engineA, a, "a.db");
  expect((await engineA.syncNow()).kind).toBe("live");

  const remoteB = await openFolderRemote(remote);
  const b = device("b", await findVault(suite, remoteB, person));
  await joinVault(suite, clock, b.replica, remoteB, person, "b");
  const engineB = engine(b.replica, remoteB);
  await engineB.syncNow();
  const atB = await open(engineB, b, "b.db");
  await atB.pump();
  expect(rows("b.db")).toEqual(rows("a.db"));

  app("b.db", (db) =>
    db.exec("INSERT INTO p VALUES(3,'of b'); UPDATE c SET n='b' WHERE id='x'; INSERT INTO c VALUES('z',3,0)"),
  );
  app("a.db", (db) =>
    db.exec("INSERT INTO p VALUES(3,'of a'); INSERT INTO c VALUES('w',3,0); DELETE FROM c WHERE id='y'"),
  );
  for (let round = 0; round < 3; round++) {
    for (const [e, at] of [
      [engineA, atA],
      [engineB, atB],
    ] as const) {
      const pumped = await at.pump();
      await e.syncNow();
      for (const run of pumped.runs)
        expect((await e.verdict(run).catch(() => ({ kind: "accepted" }))).kind).toBe("accepted");
      await at.pump();
    }
  }
  expect(rows("b.db")).toEqual(rows("a.db"));
  expect(rows("a.db")).toEqual([
    ["w", 3, 0, 3, "of a"],
    ["x", 1, "b", 1, "one"],
    ["z", 4, 0, 4, "of b"],
  ]);
  expect(a.replica.digest()).toBe(b.replica.digest());
  expect([atA.counts(), atB.counts()]).toEqual([
    { unprojected: 0, withheld: 0 },
    { unprojected: 0, withheld: 0 },
  ]);
});
