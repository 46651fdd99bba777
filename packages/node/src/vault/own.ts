/** Taking a home for this process, or saying who has it. */
import { setTimeout as sleep } from "node:timers/promises";
import { TidelockError } from "@tidelock/core/errors";
import { type HomeLock, inUse, type Owner, tryLock } from "../home/lock.ts";
import type { HomePaths } from "../home/paths.ts";

export interface OwnOptions {
  /** What this process does, for whoever has to wait for it. */
  readonly what: string;
  readonly socket?: string;
  /** How long another owner may take to end, ms. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const AGAIN = 25;

/** Waits a little, since most owners are commands that end at once; then `in-use`. */
export async function ownHome(paths: HomePaths, options: OwnOptions): Promise<HomeLock> {
  const owner: Owner = {
    pid: process.pid,
    what: options.what,
    since: Date.now(),
    ...(options.socket === undefined ? {} : { socket: options.socket }),
  };
  const until = performance.now() + (options.waitMs ?? 0);
  for (;;) {
    const lock = tryLock(paths, owner);
    if (lock !== undefined) return lock;
    if (options.signal?.aborted === true)
      throw new TidelockError("cancelled", { why: "while waiting for the home" });
    if (performance.now() >= until) throw inUse(paths);
    await sleep(AGAIN);
  }
}
