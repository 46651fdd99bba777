/**
 * The embedded server under load: durable appends of single frames from 32 clients on vaults of
 * their own and on one hot vault, frames in batches of 100, hints to 1, 1,000 and 10,000 listeners,
 * idle sockets, and the start of a killed server over 100,000 frames. Server, listeners and clients
 * are processes of their own. Beside it in the same run, the floors: bare SQLite at
 * synchronous=FULL, `node:http` with such a commit, and `ws` alone. Medians of the rounds.
 *
 *   npm run bench:server -- [--seconds 4] [--rounds 3] [--sockets 10000] [--frames 100000]
 *     [--only appends,wake,restart]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { bundle } from "../test/e2e/bundle.ts";
import { Clients } from "./server/clients.ts";
import { appendLoad, type Load, requestLoad, sqliteFloor } from "./server/load.ts";
import { Host } from "./server/process.ts";
import { restart } from "./server/restart.ts";
import { type Row, table } from "./server/table.ts";
import { type Woken, wakeBare, wakeTidelock } from "./server/wake.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    sockets: { type: "string", default: "10000" },
    frames: { type: "string", default: "100000" },
    only: { type: "string", default: "appends,wake,restart" },
  },
});
const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
const parts = values.only.split(",");

const CLIENTS = 32;
const BATCH = 100;
/** Descriptors that a process needs beside its sockets. */
const SPARE = 500;

const { suite } = await loadSuite();
const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
const programs = await bundle({ host: "bench/server/host.ts", crowd: "bench/server/crowd.ts" });
const scripts = { host: programs.script("host"), crowd: programs.script("crowd") };
const say = (text: string): void => console.error(`  ${new Date().toISOString().slice(11, 19)}  ${text}`);

async function appends(): Promise<readonly Row[]> {
  say(`appends: ${CLIENTS} clients sign in`);
  const bare = await Host.start(scripts.host, "floor", join(root, "floor"));
  const host = await Host.start(scripts.host, "server", join(root, "server"));
  const [atBare, clients] = [new Clients(suite, bare.url), new Clients(suite, host.url)];
  const wires = await Promise.all(Array.from({ length: CLIENTS }, () => atBare.wire()));
  const [many, hot] = [await clients.founders(CLIENTS), await clients.hot(CLIENTS)];
  const taken = { bare: [], many: [], hot: [], batches: [] } as Record<string, Load[]>;
  const sqlite: number[] = [];
  // So that each is measured as compiled as it becomes.
  await requestLoad(bare, wires, 1);
  await appendLoad(host, many, 1, 2);
  for (let round = 0; round < rounds; round++) {
    say(`appends, round ${round + 1} of ${rounds}`);
    sqlite.push(sqliteFloor(join(root, `floor-${round}.db`), 1));
    taken["bare"]?.push(await requestLoad(bare, wires, seconds));
    taken["many"]?.push(await appendLoad(host, many, 1, seconds));
    taken["hot"]?.push(await appendLoad(host, hot, 1, seconds));
    taken["batches"]?.push(await appendLoad(host, many, BATCH, seconds));
  }
  const { rss } = await host.used();
  await bare.stop();
  await host.stop();
  const row = (what: string, name: string, asked?: string): Row => ({
    what,
    ...figures(medianOf(taken[name] ?? [])),
    ...(asked === undefined ? {} : { asked }),
  });
  return [
    { what: "floor: SQLite, a commit a row", figure: `${middle(sqlite).toFixed(0)}/s` },
    row("floor: node:http, and SQLite once a turn", "bare"),
    row(`${CLIENTS} clients, a frame each, ${CLIENTS} vaults`, "many", "4,000/s"),
    row(`${CLIENTS} clients, a frame each, one vault`, "hot", "4,000/s"),
    row(`${CLIENTS} clients, ${BATCH} frames each`, "batches", "25,000/s"),
    { what: "memory after that", figure: megabytes(rss) },
  ];
}

async function wakes(): Promise<readonly Row[]> {
  const limit =
    Number(execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" })) || Number.POSITIVE_INFINITY;
  const most = Math.min(Number(values.sockets), limit - SPARE);
  if (most < Number(values.sockets))
    say(`a process may have ${limit} descriptors here: ${most} sockets instead of ${values.sockets}`);
  const counts = [...new Set([1, 1_000, most].map((count) => Math.min(count, most)))];
  say(`hints to ${counts.join(", ")} listeners: ws alone`);
  const bare = await wakeBare(scripts, suite, join(root, "bare"), counts);
  say("the same from the server");
  const ours = await wakeTidelock(scripts, suite, join(root, "wake"), counts);
  const asked = ["10 ms", "30 ms", "150 ms"];
  const lost = ({ lost: count }: Woken): string => (count === 0 ? "" : `, ${count} LOST`);
  const rows = ours.map((one, i): Row => {
    const floor = bare[i] as Woken;
    return {
      what: `append until its hint, ${one.listeners} listeners`,
      figure: `p99 ${one.p99.toFixed(1)} ms${lost(one)}`,
      more: `p50 ${one.p50.toFixed(1)} ms; ws alone p99 ${floor.p99.toFixed(1)} ms${lost(floor)}: ${(one.p99 / floor.p99).toFixed(1)} times`,
      asked: asked[i] as string,
    };
  });
  const [one, floor] = [ours.at(-1) as Woken, bare.at(-1) as Woken];
  return [
    ...rows,
    {
      what: `memory with ${one.listeners} idle sockets`,
      figure: megabytes(one.after),
      more: `${megabytes(one.before)} without; ws alone ${megabytes(floor.after)}, ${megabytes(floor.before)}`,
      asked: "200 MB",
    },
  ];
}

async function restarts(): Promise<readonly Row[]> {
  say(`restart over ${values.frames} frames`);
  const {
    frames,
    mib: size,
    node,
    empty,
    filled,
  } = await restart(programs.tidelock, suite, root, Number(values.frames));
  const text = ({ ms, most }: typeof empty): string => `${ms.toFixed(0)} ms, at most ${most.toFixed(0)}`;
  return [
    {
      what: "killed, until ready, empty",
      figure: text(empty),
      more: `${empty.cpu.toFixed(0)} ms of processor; Node.js alone ${node.toFixed(0)} ms`,
    },
    {
      what: `killed, until ready, ${frames} frames`,
      figure: text(filled),
      more: `${filled.cpu.toFixed(0)} ms of processor; ${size.toFixed(1)} MiB of database and journal`,
      asked: "1 s",
    },
  ];
}

function figures({ rate, p50, p99, serving, beside, clients }: Load): Pick<Row, "figure" | "more"> {
  const cost = `${serving.toFixed(0)} + ${beside.toFixed(0)}, clients ${clients.toFixed(0)}`;
  return {
    figure: `${rate.toFixed(0)}/s`,
    more: `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms; µs of processor each: ${cost}`,
  };
}

function medianOf(all: readonly Load[]): Load {
  const of = (name: keyof Load): number => middle(all.map((one) => one[name]));
  return {
    rate: of("rate"),
    p50: of("p50"),
    p99: of("p99"),
    serving: of("serving"),
    beside: of("beside"),
    clients: of("clients"),
  };
}

function middle(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[all.length >> 1] as number;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

const kinds: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  appends,
  wake: wakes,
  restart: restarts,
};
const before = loadavg()[0] as number;
const rows: Row[] = [];
try {
  for (const part of parts) {
    const work = kinds[part];
    if (work === undefined) throw new Error(`--only ${part}: ${Object.keys(kinds).join(", ")}`);
    rows.push(...(await work()));
  }
} finally {
  rmSync(root, { recursive: true, force: true });
  programs.remove();
}
console.log(
  `Tidelock's server. Node.js ${process.version}, ${cpus().length} cores (${cpus()[0]?.model}), load before ${before.toFixed(1)}; medians of ${rounds} rounds of ${seconds} s.\n`,
);
console.log(table(rows));
process.exit(0);
