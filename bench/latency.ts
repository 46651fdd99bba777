/**
 * One row through two daemons: another process writes it on A with the sqlite3 driver, and it is
 * waited for in B's file by a reader of its own. Also what a daemon costs while nothing happens.
 *
 *   node --conditions=@tidelock/source --import tsx bench/latency.ts [rows] [rows there before]
 */
import { execFile, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { createCli } from "../test/e2e/cli.ts";
import { founded, joined, makeDatabase } from "../test/e2e/homes.ts";

const ROUNDS = Number(process.argv[2] ?? 100);
const BEFORE = Number(process.argv[3] ?? 10_000);
const IDLE_MS = 10_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const percentile = (sorted: readonly number[], p: number): string =>
  `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] as number).toFixed(0)} ms`;

// Says on the clock of the machine when its commit began and ended.
const writer = `
  const Database = require(process.argv[1]);
  const db = new Database(process.argv[2], { timeout: 10000 });
  const began = Date.now();
  db.prepare("INSERT INTO t VALUES (?, ?)").run(process.argv[3], "written elsewhere");
  console.log(began, Date.now());
  db.close();
`;

/** Processor time of a process so far, ms: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
function processorMs(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined; // no such file system here: the figure is left out
  }
}

function residentMiB(pid: number): string {
  const kib = execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  return `${(Number(kib) / 1024).toFixed(0)} MiB`;
}

const cli = await createCli();
try {
  const remote = join(cli.folder, "remote");
  const a = await founded(cli, "a", remote);
  const b = await joined(cli, "b", remote, a.words);
  const [fileA, fileB] = [join(cli.folder, "a.db"), join(cli.folder, "b.db")];
  makeDatabase(
    fileA,
    `CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${BEFORE})
       INSERT INTO t SELECT 'before' || i, hex(randomblob(40)) FROM n;`,
  );
  await cli.json("Attachment", [...a.at, "db", "attach", fileA]);
  await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
  await cli.json("Attachment", [...b.at, "db", "attach", fileB]);
  const daemons = [await cli.daemon(a.home), await cli.daemon(b.home)];
  const reader = new Database(fileB, { timeout: 10_000 });
  const seen = reader.prepare("SELECT 1 FROM t WHERE id = ?");
  const until = async (id: string): Promise<number> => {
    while (seen.get(id) === undefined) await sleep(1);
    return Date.now();
  };
  await until(`before${BEFORE}`);
  const binding = join(import.meta.dirname, "../node_modules/better-sqlite3");
  const taken: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const id = `row${i}`;
    const wrote = promisify(execFile)(process.execPath, ["-e", writer, binding, fileA, id]);
    const arrived = await until(id);
    const [began] = (await wrote).stdout.split(" ").map(Number);
    taken.push(arrived - (began as number));
    await sleep(50);
  }
  taken.sort((x, y) => x - y);
  console.log(`${ROUNDS} rows, one at a time, ${BEFORE} there before`);
  console.log(`commit on A until read on B   p50 ${percentile(taken, 0.5)}, p95 ${percentile(taken, 0.95)}`);
  await sleep(2_000);
  const before = daemons.map((d) => processorMs(d.pid));
  await sleep(IDLE_MS);
  for (const [i, daemon] of daemons.entries()) {
    const [was, is] = [before[i], processorMs(daemon.pid)];
    const idle = was === undefined || is === undefined ? "?" : (((is - was) / IDLE_MS) * 100).toFixed(1);
    console.log(`idle daemon                   ${residentMiB(daemon.pid)}, ${idle} % of one processor`);
  }
  reader.close();
  for (const daemon of daemons) await daemon.stop();
} finally {
  await cli.remove();
}
