/** The engine a host holds: one replica of one vault, and the sync that drives it. */

import type { Remote } from "../ports.ts";
import type { Engine } from "./api.ts";
import { considerate } from "./considerate.ts";
import { failureFacts } from "./failure.ts";
import type { Replica } from "./replica.ts";
import type { Facts } from "./status.ts";
import { createSync, type Sync, type SyncEnv } from "./sync.ts";

/** What attachments add to the facts: counts the engine cannot know. */
export interface HostFacts {
  readonly openConflicts: number;
  readonly withheldDeletions: number;
  readonly pausedDatabases: number;
  readonly pausedFolders: number;
  readonly unprojected: number;
  /** Whether this machine has a way to the remote at all, as far as the system knows. */
  readonly network: boolean;
}

export interface EngineOptions {
  readonly env: SyncEnv;
  readonly replica: Replica;
  /** Absent for a vault that lives on this device only. */
  readonly remote: Remote | undefined;
  readonly hostFacts?: () => HostFacts;
}

/** How long a stop waits for the answer to a request under way. */
const LAST_ANSWER = 1_500;
const nothing: HostFacts = {
  openConflicts: 0,
  withheldDeletions: 0,
  pausedDatabases: 0,
  pausedFolders: 0,
  unprojected: 0,
  network: true,
};

export interface RunningEngine extends Engine {
  readonly replica: Replica;
  readonly sync: Sync | undefined;
  /** For whoever reads content beside the sync: what the remote asked one of them to wait for holds for both. */
  readonly remote: Remote | undefined;
}

export function createEngine(options: EngineOptions): RunningEngine {
  const { env, replica } = options;
  const turns = options.remote === undefined ? undefined : considerate(options.remote, env.clock);
  const sync = turns === undefined ? undefined : createSync(env, replica, turns);
  let stopped = false;

  return {
    replica,
    sync,
    remote: turns?.remote,
    vault: replica.vault,
    get device() {
      return replica.read((tx) => replica.ownDevice(tx));
    },
    read: (work) => replica.read(work),
    write: (work) => replica.write(work),
    submit: (tx, run) => {
      const id = replica.submit(tx, run);
      // After the commit: what is sent must be durable here first.
      env.scheduler.after(0, () => sync?.dispatch("edit"));
      return id;
    },
    verdict: (run) => replica.verdict(run),
    onChange: (listener) => replica.onChange(listener),
    start: () => {
      if (!stopped) sync?.dispatch("start");
    },
    syncNow: async () => {
      if (stopped) return { kind: "stopped", code: "cancelled", why: "sync was stopped" };
      return sync?.syncNow() ?? { kind: "live", head: replica.cursor().applied };
    },
    pause: () => sync?.dispatch("pause"),
    resume: () => sync?.dispatch("resume"),
    facts: () => factsOf(replica, sync, options.hostFacts?.() ?? nothing),
    stop: async () => {
      stopped = true;
      sync?.dispatch("stop");
      // What was sent deserves its answer, but no remote may hold a stop up.
      if (sync !== undefined) {
        let cancel = (): void => undefined;
        const late = new Promise<void>((resolve) => {
          cancel = env.scheduler.after(LAST_ANSWER, resolve);
        });
        await Promise.race([sync.ended(), late]);
        // What still waits keeps a process alive.
        cancel();
      }
      turns?.remote.close();
      replica.ring.wipe();
    },
  };
}

function factsOf(replica: Replica, sync: Sync | undefined, host: HostFacts): Facts {
  const s = sync?.facts();
  const cursor = replica.cursor();
  const failure = failureFacts(s?.failure);
  return {
    hasRemote: sync !== undefined,
    keysReadable: true,
    halt: s?.halt,
    diskFull: s?.diskFull ?? false,
    removed: replica.read((tx) => replica.ownStanding(tx)) === "removed",
    ...failure,
    denied: failure.denied ?? (s?.unpaid === true ? "payment" : undefined),
    // An interface that is up proves nothing; a request that went through does.
    network: failure.remoteReachable || host.network,
    paused: s?.state === "paused",
    stalled: s?.stalled ?? false,
    quarantined: replica.quarantined(),
    openConflicts: host.openConflicts,
    withheldDeletions: host.withheldDeletions,
    pausedDatabases: host.pausedDatabases,
    pausedFolders: host.pausedFolders,
    transition:
      s?.state === "reading" || s?.state === "applying" || s?.state === "sending" ? "syncing" : undefined,
    pending: replica.waiting().pending,
    behind: Math.max(0, Math.max(cursor.read, replica.shownHead()) - cursor.applied),
    unprojected: host.unprojected,
    keyArrived: s?.stuck?.why !== "key-missing",
    fresh: s?.fresh ?? true,
  };
}
