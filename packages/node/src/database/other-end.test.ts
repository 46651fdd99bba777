/** An attached file while the log under it becomes another one: two copies of a folder, one of which goes. */
import { cpSync, rmSync } from "node:fs";
import { deviceKeys, drawDeviceSeeds, personKeys } from "@tidelock/core/crypto/identity";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import type { EnginePoint } from "@tidelock/core/engine/points";
import { createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import { createTablesKind } from "@tidelock/core/kinds/tables/tables";
import type { Kind } from "@tidelock/core/log/kind";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { loadSuite } from "../crypto/load-suite.ts";
import { createClock, createScheduler } from "../env.ts";
import { openFolderRemote } from "../remote-folder/open.ts";
import { openSqlStore } from "../store/sql-store.ts";
import { type AttachDeps, attachDatabase } from "./attachment.ts";
import { attachmentSpaces } from "./registry.ts";
import { temporaryFolder } from "./testing/writers.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

test("[ENG14, ENG15] L13: a file under which the end of the log changes keeps every edit, read or not, and shows no half", async () => {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const { suite } = await loadSuite();
  const [clock, scheduler] = [createClock(), createScheduler()];
  cleanups.push(() => scheduler.close());
  const log = { event: () => undefined };
  const deps: AttachDeps = { clock, scheduler, log, random: (n) => suite.random(n) };
  const person = personKeys(suite, suite.random(32));
  const seen: unknown[] = [];
  const point = (name: EnginePoint): void => {
    if (name.startsWith("rebuild.")) seen.push(name, rows("b.db"));
  };
  const newKeys = (): ReturnType<typeof deviceKeys> => deviceKeys(suite, drawDeviceSeeds(suite));
  const env = { suite, clock, scheduler, log, point };
  const device = (name: string, genesis: ReturnType<typeof makeGenesis>, keys = newKeys()) => {
    const tables = createTablesKind(suite);
    const kinds = [tables as Kind];
    const spaces = [...replicaSpaces(kinds), ...attachmentSpaces.map((s) => s.name)];
    const store = openSqlStore(folder.file(`${name}.replica`), { spaces });
    cleanups.push(() => store.close());
    const made = { store, genesis, keys, localKey: suite.random(32), kinds };
    return { tables, replica: createReplica(env, made) };
  };
  const app = <T>(name: string, work: (db: Database.Database) => T): T => {
    const db = new Database(folder.file(name));
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  function rows(name: string): unknown {
    return app(name, (db) =>
      db.prepare("SELECT c.id, n, p.id, name FROM c JOIN p ON p.id = c.p ORDER BY c.id").raw().all(),
    );
  }
  const remote = folder.file("remote");
  const attach = async (
    name: string,
    { tables, replica }: { tables: ReturnType<typeof createTablesKind>; replica: Replica },
  ) => {
    const engine = createEngine({ env, replica, remote: await openFolderRemote(remote) });
    cleanups.push(() => void engine.stop());
    await engine.syncNow();
    const attachment = await attachDatabase(engine, tables, folder.file(name), { watch: false }, deps);
    cleanups.push(() => attachment.close());
    const work = async (sql?: string): Promise<void> => {
      if (sql !== undefined) app(name, (db) => db.exec(sql));
      await attachment.pump();
      expect(await engine.syncNow()).toMatchObject({ kind: "live" });
      await attachment.pump();
    };
    await work();
    return { engine, attachment, work };
  };

  const keys = newKeys();
  const founder = device("a", makeGenesis(suite, clock, person, keys), keys);
  foundVault(suite, clock, founder.replica, { vault: "test", device: "a" });
  app("a.db", (db) =>
    db.exec(`CREATE TABLE p(id INTEGER PRIMARY KEY, name UNIQUE); CREATE TABLE c(id TEXT PRIMARY KEY, p REFERENCES p, n);
      INSERT INTO p VALUES(1,'one'),(2,'two'); INSERT INTO c VALUES('x',1,1),('y',2,2.5)`),
  );
  const a = await attach("a.db", founder);
  const joining = await openFolderRemote(remote);
  const other = device("b", await findVault(suite, joining, person));
  await joinVault(suite, clock, other.replica, joining, person, "b");
  const b = await attach("b.db", other);
  await a.work();
  expect(rows("b.db")).toEqual(rows("a.db"));

  const copy = folder.file("copy");
  cpSync(remote, copy, { recursive: true });
  // What b writes, and has confirmed, is in one copy of the folder alone.
  await b.work(
    `INSERT INTO p VALUES(3,'of b'); INSERT INTO c VALUES('z',3,0); UPDATE c SET n='b' WHERE id='y'`,
  );
  // A folder that is watched tells of every step of what follows: b looks when all of it is done.
  b.engine.pause();
  rmSync(remote, { recursive: true });
  cpSync(copy, remote, { recursive: true });
  await a.work(`INSERT INTO p VALUES(3,'of a'); INSERT INTO c VALUES('w',3,0)`);
  for (let i = 0; i < 4; i++) await a.work(`UPDATE c SET n=${i} WHERE id='x'`);
  app("b.db", (db) => db.exec(`UPDATE c SET n='unread' WHERE id='z'; INSERT INTO c VALUES('v',3,'unread')`));
  const before = rows("b.db");

  b.engine.resume();
  expect(await b.engine.syncNow()).toMatchObject({ kind: "live" });
  expect(seen).toEqual(["rebuild.before-commit", before, "rebuild.after-commit", before]);
  for (let round = 0; round < 2; round++) {
    await b.work();
    await a.work();
  }
  expect(rows("a.db")).toEqual([
    ["v", "unread", 4, "of b"],
    ["w", 0, 3, "of a"],
    ["x", 3, 1, "one"],
    ["y", "b", 2, "two"],
    ["z", "unread", 4, "of b"],
  ]);
  expect(rows("b.db")).toEqual(rows("a.db"));
  expect(founder.replica.digest()).toBe(other.replica.digest());
  expect(b.attachment.counts()).toEqual({ unprojected: 0, withheld: 0 });
  expect(other.replica.read((tx) => other.tables.conflicts(tx, { open: true }))).toEqual([]);
});
