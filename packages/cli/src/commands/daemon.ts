/** `daemon`: run in front, stop, and ask whether one runs. */

import { TidelockError } from "@tidelock/core/errors";
import { createClient, NoDaemon } from "@tidelock/node/daemon/client";
import { daemonSocket } from "@tidelock/node/daemon/connect";
import type { Context } from "../context.ts";
import { version } from "../version.ts";

const ENDING = 30_000;

export async function run(ctx: Context): Promise<undefined> {
  const { runDaemon } = await import("@tidelock/node/daemon/run");
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    const { paths, keys, vault } = ctx.connect("daemon");
    await runDaemon(
      {
        paths,
        keys,
        vault,
        version,
        ready: (info) => {
          ctx.out.data("Daemon", { running: true, ...info }, () => [
            `Tidelock keeps ${paths.root} in sync (process ${info.pid}).`,
          ]);
          ctx.out.note("Ctrl-C stops it; nothing is lost.");
        },
      },
      end.signal,
    );
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

export async function stop(ctx: Context): Promise<undefined> {
  const socket = daemonSocket(ctx.paths);
  const client = socket === undefined ? undefined : createClient(socket);
  try {
    const info = await client?.stop();
    if (info !== undefined) await ended(ctx);
    ctx.out.data("Daemon", { running: false }, () => [
      info === undefined ? "no daemon runs here" : `stopped process ${info.pid}`,
    ]);
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    ctx.out.data("Daemon", { running: false }, () => ["no daemon runs here"]);
  }
}

export async function status(ctx: Context): Promise<undefined> {
  const socket = daemonSocket(ctx.paths);
  try {
    const info = socket === undefined ? undefined : await createClient(socket).info();
    ctx.out.data("Daemon", { running: info !== undefined, ...info }, () => [
      info === undefined ? "no daemon runs here" : `process ${info.pid}, since ${info.since}`,
    ]);
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    ctx.out.data("Daemon", { running: false }, () => ["no daemon runs here"]);
  }
}

/** Answers once the home is free again, so that the next command finds nobody. */
async function ended(ctx: Context): Promise<void> {
  const { tryLock } = await import("@tidelock/node/home/lock");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const until = performance.now() + (ctx.timeoutMs ?? ENDING);
  for (;;) {
    const lock = tryLock(ctx.paths, { pid: process.pid, what: "daemon stop", since: Date.now() });
    if (lock !== undefined) return lock.release();
    if (performance.now() >= until)
      throw new TidelockError("timeout", {
        why: "the daemon is still ending",
        next: "tidelock daemon status",
      });
    await sleep(25);
  }
}
