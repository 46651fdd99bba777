/**
 * Notices that another program wrote the app's file: `PRAGMA data_version` moves with every
 * foreign commit and costs microseconds, so polling it is exact; the file watch only shortens the
 * wait. Rule ATT18.
 */
import { watch as watchPath } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock, Scheduler } from "@tidelock/core/ports";

const POLL = 100;
/** A burst of commits is one flush: wait for 6 ms of quiet, but never longer than 100 ms. */
const QUIET = 6;
const LONGEST = 100;

export interface WatchDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** Calls `changed` once for each burst of foreign commits, until the answer is called. */
export function watchFile(
  deps: WatchDeps,
  path: string,
  dataVersion: () => number | undefined,
  changed: () => void,
): () => void {
  let last = dataVersion();
  let since: number | undefined;
  let cancelPoll: () => void = () => undefined;
  let cancelQuiet: () => void = () => undefined;
  let stopped = false;

  const fire = (): void => {
    since = undefined;
    changed();
  };
  const look = (): void => {
    const now = dataVersion();
    if (now === undefined || now === last) return;
    last = now;
    since ??= deps.clock.mono();
    cancelQuiet();
    const left = since + LONGEST - deps.clock.mono();
    if (left <= 0) fire();
    else cancelQuiet = deps.scheduler.after(Math.min(QUIET, left), fire);
  };
  const poll = (): void => {
    if (stopped) return;
    look();
    cancelPoll = deps.scheduler.after(POLL, poll);
  };
  poll();
  const hint = hints(path, look);
  return () => {
    stopped = true;
    cancelPoll();
    cancelQuiet();
    hint();
  };
}

/** A watch of the folder, because a rollback journal or WAL comes and goes. Any failure: no hints. */
function hints(path: string, look: () => void): () => void {
  const name = basename(path);
  try {
    const watcher = watchPath(dirname(path), { persistent: false }, (_, file) => {
      if (file === null || file === name || file === `${name}-wal`) look();
    });
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => undefined; // hints are only hints: the poll sees the same
  }
}
