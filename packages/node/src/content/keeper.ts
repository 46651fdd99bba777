/** Keeps what is pinned on this machine while a session is at work: what others change is fetched. */

import { TidelockError } from "@tidelock/core/errors";
import type { Log, Scheduler } from "@tidelock/core/ports";
import type { Session } from "../vault/session.ts";
import { fetchPinned } from "./presence.ts";

/** After a change, ms: many come together. */
const REST = 500;
/** After a failure, and at the latest, ms. */
const AGAIN = 30_000;

export function keepPinned(session: Session, scheduler: Scheduler, log: Log): () => void {
  let waiting: (() => void) | undefined;
  let busy = false;
  let stopped = false;

  /** The first of many changes says when: they must not put it off for ever. */
  const later = (ms: number): void => {
    if (!stopped) waiting ??= scheduler.after(ms, run);
  };
  function run(): void {
    waiting = undefined;
    if (busy || session.paused() !== undefined) {
      later(AGAIN);
      return;
    }
    busy = true;
    void tryPinned(session, log).then((done) => {
      busy = false;
      if (!done) later(AGAIN);
    });
  }

  const unwatch = session.engine.onChange(() => later(REST));
  later(REST);
  return () => {
    stopped = true;
    waiting?.();
    unwatch();
  };
}

/** Whether all that is pinned is here; what keeps it away is told to the log. */
export async function tryPinned(session: Session, log: Log): Promise<boolean> {
  try {
    await fetchPinned(session);
    return true;
  } catch (error) {
    log.event("pinned.missing", { code: error instanceof TidelockError ? error.code : "internal" });
    return false;
  }
}
