/**
 * How soon a killed server works again: from the start of the process to 200 at `/readyz`, by the
 * clock and by the processor, over a store that was filled and over an empty one.
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Suite } from "@tidelock/core/crypto/suite";
import { append, Clients, framesOf } from "./clients.ts";

export interface Restarts {
  /** Medians, ms: by the clock, and of all processors; the longest. */
  readonly ms: number;
  readonly cpu: number;
  readonly most: number;
}

export interface Restarted {
  readonly frames: number;
  readonly mib: number;
  /** Node.js alone, ms. */
  readonly node: number;
  readonly empty: Restarts;
  readonly filled: Restarts;
}

const ROUNDS = 7;
const VAULTS = 10;
/** Frames of one append. */
const BATCH = 256;

/** `program`: the command `tidelock`, as it ships. */
export async function restart(
  program: string,
  suite: Suite,
  root: string,
  frames: number,
): Promise<Restarted> {
  const node = timed(() => spawnSync(process.execPath, ["-e", ""]));
  const place = { program, home: join(root, "home"), port: await freePort() };
  const empty = await restarts(place, join(root, "empty"));
  const folder = join(root, "filled");
  const server = await start(place, folder);
  await fill(new Clients(suite, `http://127.0.0.1:${place.port}`), frames);
  await server.stop();
  const names = ["server.db", "server.db-wal"];
  const mib = names.reduce((sum, name) => sum + statSync(join(folder, name)).size / 2 ** 20, 0);
  return { frames, mib, node, empty, filled: await restarts(place, folder) };
}

interface Place {
  readonly program: string;
  readonly home: string;
  readonly port: number;
}

async function start(
  { program, home, port }: Place,
  folder: string,
): Promise<{ readonly ms: number; readonly cpu: number; stop(): Promise<void> }> {
  const began = performance.now();
  const run = ["--quiet", "--home", home, "server", "run", "--data", folder, "--registration", "open"];
  const more = ["--sign-ins", "60000", "--listen", `127.0.0.1:${port}`];
  const child = spawn(process.execPath, [program, ...run, ...more], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (;;) {
    if (child.exitCode !== null) throw new Error("the server ended before it was ready");
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.status === 200) break;
    await sleep(2);
  }
  const [ms, cpu] = [performance.now() - began, processorTime(child.pid as number)];
  return {
    ms,
    cpu,
    stop: () => {
      child.kill("SIGKILL");
      return gone;
    },
  };
}

/** Of all threads, ms: proc(5), `schedstat`. Not a number where the system does not tell. */
function processorTime(pid: number): number {
  try {
    const texts = readdirSync(`/proc/${pid}/task`).map((id) =>
      readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8"),
    );
    return texts.reduce((sum, text) => sum + Number(text.split(" ")[0]) / 1e6, 0);
  } catch {
    return Number.NaN;
  }
}

async function fill(clients: Clients, frames: number): Promise<void> {
  for (const client of await clients.founders(VAULTS)) {
    // The founder's first frame is there.
    for (let left = Math.ceil(frames / VAULTS) - 1; left > 0; left -= BATCH)
      await append(client, framesOf(client, Math.min(BATCH, left)));
    client.wire.close();
  }
}

async function restarts(place: Place, folder: string): Promise<Restarts> {
  const taken: { readonly ms: number; readonly cpu: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const server = await start(place, folder);
    taken.push(server);
    await server.stop();
  }
  const median = (of: (one: { readonly ms: number; readonly cpu: number }) => number): number =>
    taken.map(of).sort((a, b) => a - b)[ROUNDS >> 1] as number;
  return {
    ms: median(({ ms }) => ms),
    cpu: median(({ cpu }) => cpu),
    most: Math.max(...taken.map(({ ms }) => ms)),
  };
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
