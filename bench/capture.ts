/**
 * What capture costs the app: rows of about 120 B inserted, then two of their columns updated,
 * 1,000 a transaction, WAL and synchronous=NORMAL, as an app would. Beside it, in the same run, the
 * same statements on the bare table. Medians of five; the rows and the log are checked afterwards.
 *
 *   node --conditions=@tidelock/source --import tsx bench/capture.ts [rows]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "@tidelock/node/database/inspect";
import { install } from "@tidelock/node/database/triggers";
import Database from "better-sqlite3";

const ROWS = Number(process.argv[2] ?? 20_000);
const EACH = 1000;
const TIMES = 5;
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

interface Times {
  readonly insert: number;
  readonly update: number;
}

function run(file: string, schema: string, capture: boolean): Times {
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
  const timed = (work: (i: number) => void): number => {
    const start = performance.now();
    for (let i = 0; i < ROWS; i += EACH) {
      db.exec("BEGIN");
      for (let j = i; j < Math.min(ROWS, i + EACH); j++) work(j);
      db.exec("COMMIT");
    }
    return performance.now() - start;
  };
  const times = {
    insert: timed((i) => insert.run(...(rows[i] as unknown[]))),
    update: timed((i) => update.run("other text of thirty letters..", i, (rows[i] as unknown[])[0])),
  };
  const count = db.prepare("SELECT count(*) FROM t").pluck().get();
  const logged = capture ? db.prepare("SELECT count(*) FROM _tl_out").pluck().get() : 2 * ROWS;
  if (count !== ROWS || logged !== 2 * ROWS) throw new Error(`${count} rows, ${logged} entries`);
  db.close();
  return times;
}

const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] as number;

try {
  for (const [name, schema] of [
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
    for (let i = 0; i < TIMES; i++) {
      bare.push(run(`${name} bare ${i}`, schema, false));
      captured.push(run(`${name} captured ${i}`, schema, true));
    }
    for (const what of ["insert", "update"] as const) {
      const [b, c] = [median(bare.map((t) => t[what])), median(captured.map((t) => t[what]))];
      console.log(
        `${name}, ${what}: bare ${b.toFixed(0)} ms, captured ${c.toFixed(0)} ms, ${(c / b).toFixed(2)}x (${ROWS} rows)`,
      );
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
