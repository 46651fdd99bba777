/**
 * What capture costs the app: rows of about 120 B inserted, then two of their columns updated,
 * 1,000 a transaction, WAL and synchronous=NORMAL, as an app would. Beside it, in the same run, the
 * same statements on the bare table, taking turns. Medians; the ratio is that of processor times,
 * which a busy machine changes least. The rows and the log are checked afterwards.
 *
 *   node --conditions=@tidelock/source --import tsx bench/capture.ts [rows] [rounds]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "@tidelock/node/database/inspect";
import { install } from "@tidelock/node/database/triggers";
import Database from "better-sqlite3";

const ROWS = Number(process.argv[2] ?? 20_000);
const EACH = 1000;
const ROUNDS = Number(process.argv[3] ?? 7);
const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
let state = 88172645;
const draw = (): number => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
};
const text = (n: number): string => Array.from({ length: n }, () => letters[draw() % 36]).join("");
const rows = Array.from({ length: ROWS }, (_, i) => [
  text(24),
  text(30),
  text(30),
  text(20),
  i * 7919,
  Math.sqrt(i),
]);

interface Spent {
  readonly wall: number;
  readonly cpu: number;
}

interface Times {
  readonly insert: Spent;
  readonly update: Spent;
}

function run(file: string, schema: string, capture: boolean): Times {
  const numbered = schema.includes("INTEGER PRIMARY KEY");
  const key = (i: number): unknown => (numbered ? i + 1 : (rows[i] as unknown[])[0]);
  const db = new Database(join(root, file));
  db.pragma("journal_mode=WAL");
  db.pragma("synchronous=NORMAL");
  db.exec(schema);
  if (capture) {
    const probe = new Database(join(root, file));
    probe.defaultSafeIntegers(true);
    const tables = inspect(probe).tables.map((table, i) => ({ number: i + 1, table }));
    const [attachment, vault, token] = [new Uint8Array(16), new Uint8Array(32), new Uint8Array(16)];
    probe.transaction(() => install(probe, tables, { layout: 1, attachment, vault, token, projected: 0 }))();
    probe.close();
  }
  const insert = db.prepare("INSERT INTO t VALUES(?,?,?,?,?,?)");
  const update = db.prepare("UPDATE t SET b = ?, n = ? WHERE id = ?");
  const timed = (work: (i: number) => void): Spent => {
    const start = performance.now();
    const cpu = process.cpuUsage();
    for (let i = 0; i < ROWS; i += EACH) {
      db.exec("BEGIN");
      for (let j = i; j < Math.min(ROWS, i + EACH); j++) work(j);
      db.exec("COMMIT");
    }
    const { user, system } = process.cpuUsage(cpu);
    return { wall: performance.now() - start, cpu: (user + system) / 1000 };
  };
  const times = {
    insert: timed((i) => insert.run(key(i), ...(rows[i] as unknown[]).slice(1))),
    update: timed((i) => update.run("other text of thirty letters..", i, key(i))),
  };
  const count = db.prepare("SELECT count(*) FROM t").pluck().get();
  const logged = capture ? db.prepare("SELECT count(*) FROM _tl_out").pluck().get() : 2 * ROWS;
  if (count !== ROWS || logged !== 2 * ROWS) throw new Error(`${count} rows, ${logged} entries`);
  db.close();
  return times;
}

const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] as number;

console.log(`${ROWS} rows, ${EACH} a transaction, medians of ${ROUNDS}`);
try {
  for (const [name, schema] of [
    ["INTEGER key", "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT, n INTEGER, r REAL)"],
    ["TEXT key", "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, n INTEGER, r REAL)"],
    [
      "TEXT key WITHOUT ROWID",
      "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, n INTEGER, r REAL) WITHOUT ROWID",
    ],
    [
      "TEXT key, one UNIQUE column",
      "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT UNIQUE, b TEXT, c TEXT, n INTEGER, r REAL)",
    ],
  ] as const) {
    const bare: Times[] = [];
    const captured: Times[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      bare.push(run(`${name} bare ${i}`, schema, false));
      captured.push(run(`${name} captured ${i}`, schema, true));
    }
    for (const what of ["insert", "update"] as const) {
      const of = (list: readonly Times[], which: keyof Spent): number =>
        median(list.map((t) => t[what][which]));
      const [b, c] = [of(bare, "cpu"), of(captured, "cpu")];
      console.log(
        `${`${name}, ${what}`.padEnd(36)} bare ${b.toFixed(0).padStart(4)} ms, captured ${c.toFixed(0).padStart(4)} ms, ${(c / b).toFixed(2)}x` +
          `   (wall ${of(bare, "wall").toFixed(0)} and ${of(captured, "wall").toFixed(0)} ms)`,
      );
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
