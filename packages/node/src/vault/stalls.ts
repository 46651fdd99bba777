/** What a stall waits for, in words a person can act on. */

import type { Engine } from "@tidelock/core/engine/api";
import type { Replica } from "@tidelock/core/engine/replica";
import type { Sync, SyncFacts } from "@tidelock/core/engine/sync";
import type { SyncState } from "@tidelock/core/engine/sync-table";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, Scheduler } from "@tidelock/core/ports";
import type { Matter } from "./issues.ts";
import { createWatchdog, STALL } from "./watchdog.ts";

/** How often a call under way is looked at, ms. */
const LOOK = 2000;
/** A request to a server ends after a minute by itself; a slow line may need it for one page. */
const OWN_PATIENCE = 75_000;

export function remoteStall(facts: SyncFacts | undefined, clock: Clock): readonly Matter[] {
  if (facts?.stalled !== true) return [];
  const { stuck } = facts;
  if (stuck !== undefined) {
    const since = Math.floor((clock.mono() - stuck.since) / 1000);
    return [{ code: "stalled", why: `${whyStuck[stuck.why]} (for ${since} s)`, next: nextStuck[stuck.why] }];
  }
  // What failed says so itself, and is tried again.
  if (facts.failure !== undefined || facts.halt !== undefined || facts.diskFull) return [];
  return [stallOf(facts.state)];
}

function stallOf(state: SyncState): Matter {
  return { code: "stalled", why: `${whyByState[state]} (for more than ${STALL / 1000} s)`, next: look };
}

export function databaseStall(count: number): readonly Matter[] {
  if (count === 0) return [];
  const what = count === 1 ? "a database" : `${count} databases`;
  return [
    {
      code: "stalled",
      count,
      why: `${what} cannot be read or written: another program holds it locked`,
      next: "close its transaction, or end that program; tidelock db ls",
    },
  ];
}

export function folderStall(count: number): readonly Matter[] {
  if (count === 0) return [];
  const what = count === 1 ? "a synced folder" : `${count} synced folders`;
  return [
    { code: "stalled", count, why: `${what} cannot be brought in step`, next: "tidelock drive folders" },
  ];
}

export interface Moving {
  readonly engine: Engine & { readonly sync: Sync | undefined };
  readonly replica: Replica;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Who gives up by itself, and says so: only then is silence no news. */
  readonly givesUp: boolean;
  /** Bytes of content that have gone to the remote or come from it. */
  readonly moved: () => number;
}

/** Rejects after 30 s without a step: a call to the remote that never comes back is told of, not waited for. */
export function unlessStalled<T>(of: Moving, work: Promise<T>): Promise<T> {
  const dog = createWatchdog(() => of.clock.mono(), of.givesUp ? OWN_PATIENCE : STALL);
  let before = "";
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const state = of.engine.sync?.facts().state ?? "idle";
      const { read, applied } = of.replica.cursor();
      const now = `${state} ${read} ${applied} ${of.replica.waiting().pending} ${of.moved()}`;
      if (now !== before) dog.moved("sync");
      before = now;
      if (dog.stalled("sync", true)) {
        const { why, next } = stallOf(state);
        reject(new TidelockError("stalled", { why, next, retryable: true }));
      } else cancel = of.scheduler.after(LOOK, look);
    };
    let cancel = (): void => undefined;
    look();
    void work.then(resolve, reject).finally(() => cancel());
  });
}

/** What a person who looks is made to wait for one answer of a remote, ms. */
const ANSWER = 10_000;

/** The answer, or undefined where none comes: of calls that nobody else watches. */
export async function answered<T>(work: Promise<T>, ms: number = ANSWER): Promise<T | undefined> {
  let cancel: () => void = () => undefined;
  const late = new Promise<undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    cancel = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}

const look = "look whether the remote answers; then tidelock daemon restart";

const whyByState: Readonly<Record<SyncState, string>> = {
  stopped: "sync was stopped",
  idle: "sync rests",
  reading: "the remote does not answer a read",
  applying: "entries that were read cannot be applied",
  sending: "the remote does not answer a write",
  waiting: "the remote was tried again and again",
  paused: "sync is paused",
};

const whyStuck: Readonly<Record<NonNullable<SyncFacts["stuck"]>["why"], string>> = {
  unsigned: "the log goes on with an entry that nobody known has signed",
  "key-missing": "the vault's newest key has not come to this device",
};

const nextStuck: Readonly<Record<NonNullable<SyncFacts["stuck"]>["why"], string>> = {
  unsigned: "tidelock log; it is passed by itself once it counts as void",
  "key-missing": "let another device of this vault sync",
};
