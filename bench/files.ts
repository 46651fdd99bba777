/**
 * Files from one folder of the disk to another: device A with its daemon, the server on the loopback,
 * device B with its daemon, each a process of its own. Both folders are compared byte by byte after
 * each workload. Beside it in the same run: rsync, first in each round, as the floor, and Syncthing,
 * through a third node that keeps the folder encrypted and directly. docs/guide/benchmarks.md says
 * what is compared and what is not. Linux alone.
 *
 *   npm run bench:files -- [--rounds 1] [--scale 1] [--saves 40] [--idle 60] [--json]
 *     [--only many,pass,rename,large,byte,save,idle,start] [--no-peers]
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { bundle } from "../test/e2e/bundle.ts";
import type { Pair } from "./files/pair.ts";
import { Results, rowOf } from "./files/results.ts";
import { rsyncVersion, startRsync } from "./files/rsync.ts";
import { startSyncthing, syncthingVersion } from "./files/syncthing.ts";
import { startTidelock } from "./files/tidelock.ts";
import { apart, everyday, type Scene, type Workload } from "./files/workloads.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    scale: { type: "string", default: "1" },
    saves: { type: "string", default: "40" },
    idle: { type: "string", default: "60" },
    only: { type: "string", default: Object.keys({ ...everyday, ...apart }).join(",") },
    "no-peers": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const wanted = values.only.split(",");
for (const name of wanted)
  if (!(name in everyday || name in apart))
    throw new Error(`--only ${name}: ${Object.keys({ ...everyday, ...apart }).join(", ")}`);

const load = (): string => (loadavg()[0] as number).toFixed(1);
const say = (text: string): void =>
  console.error(`  ${new Date().toISOString().slice(11, 19)}  load ${load()}  ${text}`);

interface System {
  readonly name: string;
  readonly version: string;
  /** Left out of what stands apart: ten times as many files. */
  readonly short?: boolean;
  start(): Promise<Pair>;
}

const programs = await bundle({ server: "bench/files/server.ts" });

function systems(): readonly System[] {
  const all: System[] = [];
  const [rsync, syncthing] = [rsyncVersion(), syncthingVersion()];
  if (rsync === undefined) absent("rsync, the floor,");
  else all.push({ name: "rsync", version: rsync, start: async () => startRsync() });
  all.push({
    name: "Tidelock",
    version: "this checkout",
    start: () => startTidelock(programs.script("server")),
  });
  if (values["no-peers"]) return all;
  if (syncthing === undefined) absent("Syncthing, the peer,");
  else
    for (const kind of ["encrypted", "direct"] as const)
      all.push({
        name: `Syncthing, ${kind}`,
        version: syncthing,
        short: true,
        start: () => startSyncthing(kind),
      });
  return all;
}

function absent(what: string): void {
  console.error(
    `\n  ${what.toUpperCase()} IS NOT INSTALLED and is left out. On Debian: apt-get install rsync syncthing\n`,
  );
}

/** A system that fails is told of, and the others go on. */
async function run(system: System, list: Readonly<Record<string, Workload>>): Promise<void> {
  const names = Object.keys(list).filter((name) => wanted.includes(name));
  if (names.length === 0) return;
  const pair = await system.start();
  const scene: Scene = {
    pair,
    scale: Number(values.scale),
    saves: Number(values.saves),
    idleMs: Number(values.idle) * 1000,
    many: undefined,
  };
  try {
    for (const name of names) {
      say(`${system.name}: ${name}`);
      const lines = await (list[name] as Workload)(scene);
      results.add(system.name, lines);
      for (const line of lines) say(`${line.what}\n${rowOf(system.name, [line])}`);
    }
  } catch (error) {
    results.fault(`${system.name}: ${(error as Error).message}`);
    console.error(error);
  } finally {
    await pair.stop();
  }
}

const results = new Results();
const all = systems();
const before = load();
try {
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    for (const system of all) await run(system, everyday);
    for (const system of all) if (system.short !== true) await run(system, apart);
  }
} finally {
  programs.remove();
}
const versions = all.map(({ name, version }) => `${name} ${version}`).join("; ");
const machine = `Node.js ${process.version}, ${cpus().length} cores (${cpus()[0]?.model}), load ${before} before and ${load()} after`;
if (values.json)
  console.log(JSON.stringify({ versions, machine, rounds, scale: Number(values.scale), ...results.json() }));
else
  console.log(
    `${versions}.\n${machine}; medians of ${rounds} rounds, at scale ${values.scale}; times in brackets are those of the rounds.\n\n${results.text("rsync")}`,
  );
process.exit(0);
