/** Two homes with a daemon and a folder each, and a server between them: as people run them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { daemonClient } from "@tidelock/node/daemon/connect";
import type { VaultService } from "@tidelock/node/daemon/service";
import { homePaths } from "@tidelock/node/home/paths";
import { type Cli, createCli, type Running } from "../../test/e2e/cli.ts";
import { founded, joined } from "../../test/e2e/homes.ts";
import { Program } from "../server/process.ts";
import type { Counts, Pair, Started } from "./pair.ts";

interface Device {
  readonly folder: string;
  readonly pid: () => number;
  readonly service: () => VaultService;
  start(): Promise<Started>;
  stop(): Promise<unknown>;
}

const LOOK = 5;

/** `server`: the script of server.ts. */
export async function startTidelock(server: string): Promise<Pair> {
  const cli = await createCli();
  const program = new Program(server, [join(cli.folder, "server")]);
  const { url, pid } = await program.told<{ url: string; pid: number }>();
  const first = await founded(cli, "a", url);
  await joined(cli, "b", url, first.words);
  const [a, b] = [await device(cli, "a"), await device(cli, "b")];
  return {
    name: "Tidelock",
    left: a.folder,
    right: b.folder,
    get pids() {
      return [a.pid(), b.pid(), pid];
    },
    settled: async () => {
      const [one, other] = [await a.service().status(), await b.service().status()];
      return one.code === "live" && other.code === "live" && one.fingerprint === other.fingerprint;
    },
    counts: () => program.ask<Counts>("counts"),
    pass: async () => void (await a.service().scanFolder({ path: a.folder })),
    startAgain: async () => {
      await a.stop();
      return a.start();
    },
    stop: async () => {
      await a.stop();
      await b.stop();
      await program.stop();
      await cli.remove();
    },
  };
}

async function device(cli: Cli, name: string): Promise<Device> {
  const [home, folder] = [join(cli.folder, name), join(cli.folder, `${name}-folder`)];
  const paths = await homePaths({ home });
  let running: Running | undefined;
  const service = (): VaultService => {
    const client = daemonClient(paths);
    if (client === undefined) throw new Error(`the daemon of ${name} does not listen`);
    return client.service;
  };
  const start = async (): Promise<Started> => {
    const began = performance.now();
    running = await cli.daemon(home);
    const answers = performance.now() - began;
    while ((await service().status()).code !== "live") await sleep(LOOK);
    return { answers, live: performance.now() - began };
  };
  mkdirSync(folder);
  await start();
  await service().addFolder({ path: folder });
  return {
    folder,
    service,
    start,
    pid: () => running?.pid ?? 0,
    stop: async () => running?.stop(),
  };
}
