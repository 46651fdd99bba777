/** `daemon`: run in front, stop, begin anew, and ask whether one runs. */
import { existsSync } from "node:fs";
import { TidelockError } from "@tidelock/core/errors";
import { type DaemonClient, NoDaemon } from "@tidelock/node/daemon/client";
import { daemonClient } from "@tidelock/node/daemon/connect";
import type { DaemonInfo } from "@tidelock/node/daemon/server";
import type { Context } from "../context.ts";
import { untilStopped } from "../until-stopped.ts";
import { version } from "../version.ts";

const ENDING = 30_000;

export async function run(ctx: Context): Promise<undefined> {
  const { runDaemon } = await import("@tidelock/node/daemon/run");
  const { paths, keys, vault } = ctx.connect("daemon");
  const ready = (info: DaemonInfo): void => {
    ctx.out.data("Daemon", { running: true, ...info }, () => [
      `Tidelock keeps ${paths.root} in sync (process ${info.pid}).`,
    ]);
    ctx.out.note("Ctrl-C stops it; nothing is lost.");
  };
  await untilStopped((signal) => runDaemon({ paths, keys, vault, version, ready }, signal));
}

export async function stop(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const force = options["force"] === true;
  let pid: number | undefined;
  try {
    pid = (await asked(ctx, (client) => client.stop()))?.pid;
    // Nobody listens: none runs, or one that hangs before it listens.
    pid ??= await silentOwner(ctx, force);
  } catch (error) {
    const silent = error instanceof TidelockError && error.code === "stalled";
    if (!silent || !force) throw error;
    pid = await silentOwner(ctx, force);
  }
  if (pid !== undefined) await ended(ctx);
  ctx.out.data("Daemon", { running: false }, () => [
    pid === undefined ? "no daemon runs here" : `stopped process ${pid}`,
  ]);
}

export async function restart(ctx: Context): Promise<undefined> {
  const before = await asked(ctx, (client) => client.restart());
  if (before === undefined)
    throw new TidelockError("not-found", { why: "no daemon runs here", next: "tidelock daemon run" });
  const info = await untilOther(ctx, before);
  ctx.out.data("Daemon", { running: true, ...info }, () => [`process ${info.pid} has begun anew`]);
}

export async function status(ctx: Context): Promise<undefined> {
  const info = await asked(ctx, (client) => client.info());
  const { enabledHere } = await import("./autostart.ts");
  const enabled = enabledHere(ctx);
  const value = { running: info !== undefined, ...info, ...(enabled === undefined ? {} : { enabled }) };
  ctx.out.data("Daemon", value, () => [
    info === undefined
      ? "no daemon runs here"
      : `process ${info.pid}, since ${info.since}, ${info.calls} calls under way`,
    ...(enabled === true ? ["it starts when you log in"] : []),
  ]);
}

/** Undefined where no daemon listens. */
async function asked<T>(ctx: Context, ask: (client: DaemonClient) => Promise<T>): Promise<T | undefined> {
  const client = daemonClient(ctx.paths, { waitMs: ctx.timeoutMs });
  if (client === undefined) return undefined;
  try {
    return await ask(client);
  } catch (error) {
    if (error instanceof NoDaemon) return undefined;
    throw error;
  }
}

/** A daemon that has the home and does not answer. Killing it is safe at any moment: nothing that was committed is lost. */
async function silentOwner(ctx: Context, force: boolean): Promise<number | undefined> {
  const { inUse, readOwner, tryLock } = await import("@tidelock/node/home/lock");
  if (!existsSync(ctx.paths.lock)) return undefined;
  const owner = readOwner(ctx.paths);
  const lock = tryLock(ctx.paths, { pid: process.pid, what: "daemon stop", since: Date.now() });
  lock?.release();
  // What the file says counts only while its writer has the home: the number may be another's by now.
  if (lock !== undefined || owner?.what !== "daemon") return undefined;
  if (!force) {
    const { why, details } = inUse(ctx.paths);
    throw new TidelockError("in-use", {
      why: `${why}, and does not answer yet`,
      next: "try again in a moment; tidelock daemon stop --force",
      retryable: true,
      details,
    });
  }
  process.kill(owner.pid, "SIGKILL");
  return owner.pid;
}

async function untilOther(ctx: Context, before: DaemonInfo): Promise<DaemonInfo> {
  const { setTimeout: sleep } = await import("node:timers/promises");
  const until = performance.now() + (ctx.timeoutMs ?? ENDING);
  for (;;) {
    const now = await asked(ctx, (client) => client.info());
    if (now !== undefined && now.since !== before.since) return now;
    if (performance.now() >= until)
      throw new TidelockError("timeout", {
        why: "the daemon is still beginning anew",
        next: "tidelock daemon status",
      });
    await sleep(25);
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
