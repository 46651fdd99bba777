/**
 * How soon a server works again: a store is filled with frames, the server is killed and started,
 * from the start of the process to 200 at `/readyz`. Beside it in the same run: the same server
 * with an empty folder, and Node.js alone.
 *
 *   node --conditions=@tidelock/source --import tsx bench/restart.ts [frames, 100000] [vaults, 10]
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { realClock, realScheduler } from "@tidelock/testkit/server-rig";
import { TestVault } from "@tidelock/testkit/vault-people";
import { bundle } from "../test/e2e/bundle.ts";

const ROUNDS = 7;
/** Of one append. */
const BATCH = 256;
/** A lone change of 40 B makes a frame of about this size. */
const TEXT = "x".repeat(64);
const PORT = 17_433;
const url = `http://127.0.0.1:${PORT}`;

const frames = Number(process.argv[2] ?? 100_000);
const vaults = Number(process.argv[3] ?? 10);
const { suite } = await loadSuite();
const programs = await bundle();
const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));

/** Resolves to what it took, ms; `stop` is SIGKILL. */
async function start(folder: string): Promise<{ readonly ms: number; stop(): Promise<void> }> {
  const began = performance.now();
  const args = [
    "--quiet",
    "--home",
    join(root, "home"),
    "server",
    "run",
    "--data",
    folder,
    "--registration",
    "open",
  ];
  const child = spawn(process.execPath, [programs.tidelock, ...args, "--listen", `127.0.0.1:${PORT}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (;;) {
    if (child.exitCode !== null) throw new Error("the server ended before it was ready");
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.status === 200) break;
    await sleep(2);
  }
  const ms = performance.now() - began;
  return {
    ms,
    stop: () => {
      child.kill("SIGKILL");
      return gone;
    },
  };
}

async function fill(each: number): Promise<void> {
  const vault = new TestVault(suite);
  const { person, keys, certificate } = vault.founder;
  const remote = createServerRemote({
    url,
    vault: vault.id,
    suite,
    clock: realClock,
    scheduler: realScheduler,
    fetch,
    identity: {
      person: person.keys,
      device: keys,
      signSecret: keys.signSecret,
      certificates: [certificate],
      registration: new Uint8Array(16),
    },
  });
  const founded = await remote.create(vault.genesis.bytes);
  if (founded.kind !== "ok") throw new Error(JSON.stringify(founded));
  for (let seq = 0; seq < each; ) {
    const some = Array.from({ length: Math.min(BATCH, each - seq) }, () => {
      seq++;
      return seq === 1 ? vault.first() : vault.data(vault.founder, 0, seq, TEXT);
    });
    const answer = await remote.append(some, { seq: 0, hash: new Uint8Array(32) });
    if (answer.kind !== "committed") throw new Error(JSON.stringify(answer));
  }
  const last = await remote.read(each - 1, { frames: 1, bytes: 1 });
  if (last.kind !== "ok" || last.value.head !== each) throw new Error("the log is not filled");
}

async function restarts(folder: string): Promise<string> {
  const taken: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const server = await start(folder);
    taken.push(server.ms);
    await server.stop();
  }
  taken.sort((x, y) => x - y);
  return `median ${Math.round(taken[ROUNDS >> 1] as number)} ms, max ${Math.round(taken[ROUNDS - 1] as number)} ms`;
}

const line = (what: string, figure: string): void => console.log(what.padEnd(40) + figure);
try {
  const began = performance.now();
  spawnSync(process.execPath, ["-e", ""]);
  line("node alone, once", `${Math.round(performance.now() - began)} ms`);
  line("an empty folder", await restarts(join(root, "empty")));
  const filled = join(root, "filled");
  const server = await start(filled);
  for (let i = 0; i < vaults; i++) await fill(Math.ceil(frames / vaults));
  await server.stop();
  const size = ["server.db", "server.db-wal"].map((name) => statSync(join(filled, name)).size / 2 ** 20);
  line("database and its journal, MiB", size.map((mib) => mib.toFixed(1)).join(", "));
  line(`${frames} frames in ${vaults} vaults`, await restarts(filled));
} finally {
  rmSync(root, { recursive: true, force: true });
  programs.remove();
}
