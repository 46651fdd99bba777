/**
 * Rows through the engine alone (no attached file): one device writes N rows of about 120 B in
 * one go and sends them to a folder on this disk; a second device joins cold. Beside it, in the
 * same run, the floor: the same rows inserted into a bare SQLite table at synchronous=FULL.
 *
 *   node --conditions=@tidelock/source --import tsx bench/engine.ts [rows]
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deviceKeys, drawDeviceSeeds, personKeys } from "@tidelock/core/crypto/identity";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { createReplica, replicaSpaces } from "@tidelock/core/engine/replica";
import { packRun } from "@tidelock/core/kinds/tables/codec";
import { hlcAt } from "@tidelock/core/kinds/tables/hlc";
import { keyOf } from "@tidelock/core/kinds/tables/key";
import { createTablesKind } from "@tidelock/core/kinds/tables/tables";
import type { TableChange } from "@tidelock/core/kinds/tables/types";
import { encodeValue } from "@tidelock/core/kinds/tables/value";
import type { Kind } from "@tidelock/core/log/kind";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { createClock, createScheduler } from "@tidelock/node/env";
import { openFolderRemote } from "@tidelock/node/remote-folder/open";
import { openSqlStore } from "@tidelock/node/store/sql-store";
import Database from "better-sqlite3";

const ROWS = Number(process.argv[2] ?? 10_000);
const RUN = 5_000;
const { suite } = await loadSuite();
const clock = createClock();
const env = {
  suite,
  clock,
  scheduler: createScheduler(),
  log: { event: () => undefined },
  point: () => undefined,
};
const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const text = (n: number): string => Array.from(suite.random(n), (b) => letters[b % 36]).join("");
const rows = Array.from({ length: ROWS }, (_, i) => ({
  id: `${String(i).padStart(8, "0")}${text(8)}`,
  a: text(30),
  b: text(30),
  c: text(20),
  n: BigInt(i * 7919),
  r: Math.sqrt(i),
}));

function floor(): number {
  const db = new Database(join(root, "floor.db"));
  db.pragma("journal_mode=WAL");
  db.pragma("synchronous=FULL");
  db.exec("CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, n INTEGER, r REAL) WITHOUT ROWID");
  const insert = db.prepare("INSERT INTO t VALUES(?,?,?,?,?,?)");
  const start = performance.now();
  for (let i = 0; i < ROWS; i += RUN) {
    db.transaction(() => {
      for (const row of rows.slice(i, i + RUN)) insert.run(row.id, row.a, row.b, row.c, row.n, row.r);
    })();
  }
  const took = performance.now() - start;
  db.close();
  return took;
}

function device(
  name: string,
  genesis: ReturnType<typeof makeGenesis>,
  keys = deviceKeys(suite, drawDeviceSeeds(suite)),
) {
  const tables = createTablesKind(suite);
  const kinds = [tables as Kind];
  const store = openSqlStore(join(root, `${name}.replica`), { spaces: replicaSpaces(kinds) });
  return { tables, replica: createReplica(env, { store, genesis, keys, localKey: suite.random(32), kinds }) };
}

const size = (directory: string): number =>
  readdirSync(directory, { withFileTypes: true }).reduce(
    (sum, e) =>
      sum + (e.isDirectory() ? size(join(directory, e.name)) : statSync(join(directory, e.name)).size),
    0,
  );

/** Wall and processor time so far: on a busy machine only the second says what the work costs. */
const lap = (): readonly [wall: number, cpu: number] => {
  const { user, system } = process.cpuUsage();
  return [performance.now(), (user + system) / 1000];
};
const since = ([wall, cpu]: readonly [number, number]): string => {
  const [w, c] = lap();
  return `${(w - wall).toFixed(0)} ms (processor ${(c - cpu).toFixed(0)} ms)`;
};
const ms = (n: number): string => `${n.toFixed(0)} ms`;
const floorMs = floor();
const person = personKeys(suite, suite.random(32));
const keys = deviceKeys(suite, drawDeviceSeeds(suite));
const folder = join(root, "remote");
const a = device("a", makeGenesis(suite, clock, person, keys), keys);
foundVault(suite, clock, a.replica, { vault: "bench", device: "a" });
const remoteA = await openFolderRemote(folder);
const engineA = createEngine({ env, replica: a.replica, remote: remoteA });
console.log(await engineA.syncNow());

const declaration: TableChange = {
  op: "schema",
  declaration: {
    name: "t",
    columns: ["id", "a", "b", "c", "n", "r"].map((name) => ({ name, type: "", notNull: false })),
    key: [0],
    keyCollations: ["BINARY"],
    minted: false,
    unique: [],
    foreignKeys: [],
    compressOff: false,
  },
};
const submit = (changes: readonly TableChange[]): void => {
  const frames = packRun(changes, { seen: a.replica.cursor().applied, approved: false });
  engineA.write((tx) =>
    engineA.submit(tx, { frames: frames.map((f) => ({ sections: new Map([[2, f.section]]) })) }),
  );
};
submit([declaration]);
if (process.env["SCHEMA_FIRST"] !== undefined) await engineA.syncNow();
const start = lap();
for (let i = 0; i < ROWS; i += RUN) {
  const changes: TableChange[] = rows.slice(i, i + RUN).map((row) => ({
    op: "insert",
    table: "t",
    key: keyOf(row.id),
    hlc: hlcAt(clock.now(), 0),
    cells: (["id", "a", "b", "c", "n", "r"] as const).map((c) => [c, encodeValue(row[c])] as const),
  }));
  submit(changes);
}
const local = since(start);
console.log(await engineA.syncNow());
const out = since(start);

const before = lap();
const remoteB = await openFolderRemote(folder);
const b = device("b", await findVault(suite, remoteB, person));
await joinVault(suite, clock, b.replica, remoteB, person, "b");
const joined = since(before);
await engineA.syncNow();
if (a.replica.digest() !== b.replica.digest()) throw new Error("digests differ");

console.log(`${suite.name}, ${ROWS} rows in runs of ${RUN}`);
console.log(`bare SQLite floor        ${ms(floorMs)}`);
console.log(`durable in the outbox    ${local}`);
console.log(`sent and confirmed       ${out}`);
console.log(`cold join                ${joined}`);
console.log(`on the wire              ${(size(join(folder, "log")) / ROWS).toFixed(1)} B per row`);
console.log(
  `replica of the joiner    ${(statSync(join(root, "b.replica")).size / ROWS).toFixed(0)} B per row`,
);
console.log(`peak memory              ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
await engineA.stop();
rmSync(root, { recursive: true });
process.exit(0);
