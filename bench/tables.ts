/**
 * Rows of about 120 B end to end: one device writes them, another joins cold, then one field at a
 * time. Tidelock through its SDK with attached files, the bare SQLite floor, and Evolu, taking turns
 * in one run. Medians of the rounds; every round checks rows and values. docs/guide/benchmarks.md
 * says what is compared and what is not.
 *
 *   npm ci --prefix bench/peers/evolu      once, for the peer
 *   node --conditions=@tidelock/source --import tsx bench/tables.ts [--rows 10000] [--updates 60]
 *     [--rounds 5] [--remote folder|server] [--no-peer] [--json]
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { at, type Figures } from "./tables/figures.ts";
import { placeKinds } from "./tables/place.ts";
import { insertBare, makeRows } from "./tables/rows.ts";
import { runTidelock } from "./tables/tidelock.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "10000" },
    updates: { type: "string", default: "60" },
    rounds: { type: "string", default: "5" },
    remote: { type: "string", default: "folder" },
    "no-peer": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const [ROWS, UPDATES, ROUNDS] = [Number(values.rows), Number(values.updates), Number(values.rounds)];
const kind = values.remote;
const makePlace = placeKinds[kind];
if (makePlace === undefined)
  throw new Error(`--remote ${kind} is not known here: ${Object.keys(placeKinds).join(" or ")}`);

const peer = join(import.meta.dirname, "peers", "evolu");
const installed = existsSync(join(peer, "node_modules", "@evolu", "common"));
if (!installed && !values["no-peer"])
  console.error(
    "\n  EVOLU IS NOT INSTALLED and is left out. To measure it as well:\n\n    npm ci --prefix bench/peers/evolu\n",
  );

async function evolu(): Promise<Figures> {
  const run = promisify(execFile)(process.execPath, [join(peer, "run.mjs"), values.rows, values.updates]);
  return JSON.parse((await run).stdout) as Figures;
}

async function tidelock(): Promise<Figures> {
  const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
  const place = await (makePlace as NonNullable<typeof makePlace>)(root);
  try {
    return { name: `Tidelock (${kind})`, ...(await runTidelock(root, place, makeRows(ROWS), UPDATES)) };
  } finally {
    await place.close();
    rmSync(root, { recursive: true, force: true });
  }
}

function floor(): number {
  const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
  try {
    return insertBare(join(root, "bare.db"), makeRows(ROWS));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const ours: Figures[] = [];
const theirs: Figures[] = [];
const bare: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  bare.push(floor());
  ours.push(await tidelock());
  if (installed && !values["no-peer"]) theirs.push(await evolu());
  console.error(`round ${round} of ${ROUNDS}, load ${(loadavg()[0] as number).toFixed(1)}`);
}

type Pick = (f: Figures) => number | undefined;
const lines: readonly (readonly [what: string, unit: string, pick: Pick, floor?: readonly number[]])[] = [
  ["rows durable in the writer's file", "ms", (f) => f.stored, bare],
  ["rows durable on the other side", "ms", (f) => f.sent, bare],
  ["   processor time of that", "ms", (f) => f.cpu.sent],
  ["cold join until every row is seen", "ms", (f) => f.joined, bare],
  ["   processor time of that", "ms", (f) => f.cpu.joined],
  ["one field A to B, p50", "ms", (f) => f.update.p50],
  ["one field A to B, p95", "ms", (f) => f.update.p95],
  ["wire, bulk", "B a row", (f) => f.wire.up],
  ["wire, one field, its writer", "B", (f) => f.wire.update],
  ["wire, one field, all devices", "B", (f) => f.wire.updateAll],
  ["disk, server or folder", "B a row", (f) => f.disk.server],
  ["disk, joined device, app table included", "B a row", (f) => f.disk.client],
  ["largest memory, joined device", "MiB", (f) => f.peakMiB.client],
  ["largest memory, server", "MiB", (f) => f.peakMiB.server],
];
const median = (list: readonly Figures[], pick: Pick): number | undefined => {
  const known = list.map(pick).filter((v) => v !== undefined);
  return known.length === 0 ? undefined : at(known, 0.5);
};

if (values.json) console.log(JSON.stringify({ rows: ROWS, rounds: ROUNDS, bare, ours, theirs }));
else {
  const shown = (v: number | undefined, suffix = ""): string =>
    v === undefined ? "-" : `${v < 10 ? v.toFixed(1) : v.toFixed(0)}${suffix}`;
  const row = (cells: readonly string[]): string =>
    cells.map((c, i) => (i === 0 ? c.padEnd(42) : c.padStart(i === 1 ? 9 : 18))).join("");
  console.log(
    `${ROWS} rows, ${UPDATES} updates, medians of ${ROUNDS}; ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}\n`,
  );
  console.log(row(["", "", "bare SQLite", ours[0]?.name ?? "", theirs[0]?.name ?? "Evolu: absent", "ratio"]));
  for (const [what, unit, pick, low] of lines) {
    const [o, t] = [median(ours, pick), median(theirs, pick)];
    const ratio = o === undefined || t === undefined ? undefined : t / o;
    console.log(
      row([
        what,
        unit,
        shown(low && at(low, 0.5)),
        shown(o),
        shown(t),
        ratio === undefined ? "-" : `${ratio.toFixed(2)}x`,
      ]),
    );
  }
  console.log("\nratio: Evolu's figure over Tidelock's; above 1 Tidelock needs less");
}
