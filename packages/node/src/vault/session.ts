/**
 * One open vault of one home in this process: replica, engine and attachments, and the loop that
 * keeps them in step. The SDK, the daemon and single commands all stand on it.
 */
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { deviceKeys, wipeKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { createEngine } from "@tidelock/core/engine/engine";
import type { HaltCode } from "@tidelock/core/engine/ingest";
import type { InviteMemory } from "@tidelock/core/engine/invites";
import { createReplica, type Replica, storedGenesis } from "@tidelock/core/engine/replica";
import type { Facts } from "@tidelock/core/engine/status";
import { createTransfers, type Rank, ranks } from "@tidelock/core/engine/transfers";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { Clock, Log, Remote, Scheduler } from "@tidelock/core/ports";
import type { ServerIdentity } from "@tidelock/remotes/session";
import { keepGivingBack } from "../content/give-back.ts";
import { keepPinned, tryPinned } from "../content/keeper.ts";
import { type ContentCache, createCache, roomFor } from "../content/piece-cache.ts";
import { keptPieces } from "../content/presence.ts";
import { loadSuite } from "../crypto/load-suite.ts";
import { createClock, createScheduler, type OwnScheduler } from "../env.ts";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import { readConfig, type VaultConfig } from "../home/config.ts";
import { type KeyOptions, loadSecrets } from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import type { SqlStore } from "../store/sql-store.ts";
import { type Attachments, createAttachments } from "./attachments.ts";
import { checkPlacement, copiedError, noteEnrolAnew } from "./copied.ts";
import { createFolders, type Folders } from "./folders.ts";
import { answerInvites } from "./invites.ts";
import { createIssueBook, type Issue, type Matter } from "./issues.ts";
import { orLate } from "./late-remote.ts";
import { createLimits, type RateLimits } from "./limits.ts";
import { noLog } from "./log-file.ts";
import { Moving } from "./moving.ts";
import { hasNetwork } from "./network.ts";
import { checkKeys } from "./own-keys.ts";
import { type Pause, pausedError, pauseOf, putPause } from "./pause.ts";
import { createKinds, type Kinds, matchesVault, openStore, placeOf } from "./place.ts";
import { isServer, openFolder, openRemote, placeName, refusingRemote } from "./remote.ts";
import { nearlyFull, noteRoom } from "./room.ts";
import { identityOf, type ServerAccess } from "./server.ts";

import { databaseStall, folderStall, remoteStall, unlessStalled } from "./stalls.ts";
import { halted, standing } from "./standing.ts";

export interface SessionOptions {
  readonly paths: HomePaths;
  readonly keys: KeyOptions;
  readonly log?: Log;
  /** A vault's id or the beginning of one: must be the home's. */
  readonly vault?: string | undefined;
}

export interface SyncReport {
  /** The last entry of the log that was applied. */
  readonly head: number;
  /** Own edits without a verdict. */
  readonly pendingUp: number;
  /** Rows that attached databases do not show yet, and changes that synced folders have before them. */
  readonly pendingDown: number;
  readonly rejected: number;
  /** Databases and folders that took no part: they wait for a person. */
  readonly paused: number;
}

export interface SyncWish {
  /** Until every own edit has its verdict and what was read stands in the attached databases and folders. */
  readonly wait?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Session {
  readonly paths: HomePaths;
  readonly info: VaultConfig;
  /** To its vault's server. */
  readonly identity: ServerIdentity | undefined;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly kinds: Kinds;
  readonly store: SqlStore;
  /** Of this vault in the home. */
  readonly folder: string;
  /** Content that was read. */
  readonly cache: ContentCache;
  readonly replica: Replica;
  readonly engine: ReturnType<typeof createEngine>;
  readonly remote: Remote | undefined;
  /** The same, for content that no reader waits for. */
  readonly behind: Remote | undefined;
  readonly scheduler: Scheduler;
  readonly limits: RateLimits;
  /** Files whose content is on its way. */
  readonly moving: Moving;
  readonly tables: TablesView;
  readonly attachments: Attachments;
  readonly folders: Folders;
  /** Of invites that this device can answer. */
  readonly inviteKeys: InviteMemory;
  /** This home is a copy: it reads, and sends nothing. */
  readonly copied: boolean;
  facts(): Facts;
  /** Also those that were dismissed. */
  /** `halt`: one that a look at the remote has shown, where nothing syncs. */
  issues(halt?: HaltCode): readonly Issue[];
  dismiss(code: string): void;
  /** From here on it syncs by itself, unless somebody paused it. */
  start(): void;
  /** Edits are captured and kept; nothing is sent or applied, also after the next start. */
  pause(until?: number): void;
  resume(): void;
  paused(): Pause | undefined;
  /** The vault's own name; empty until its key is here. */
  name(): string;
  deviceName(): string;
  sync(wish?: SyncWish): Promise<SyncReport>;
  close(): Promise<void>;
}

/** Between two rounds of waiting, ms, and how many of them a locked database may take. */
const REST = 20;
/** While a large file is on its way. */
const LONG_REST = 500;
const LOCKED_ROUNDS = 3;
/** How often the watchdog looks: often enough that 30 s stay about 30 s. */
const LOOK = 2000;
/** How often it is looked whether somebody has answered an invite, ms. */
const GREET = 5000;
/** Node.js takes a longer one for none at all. */
const LONGEST_TIMER = 0x7fffffff;

/** The home's lock must be held. Opens offline too. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { paths } = options;
  const info = vaultOf(paths, options.vault);
  const { suite } = await loadSuite();
  const place = placeOf(paths, info.id);
  const secrets = await loadSecrets(suite, place.keys, info.keys, options.keys);
  const keys = deviceKeys(suite, secrets.seeds);
  const kinds = createKinds(suite);
  const store = openStore(place, kinds);
  try {
    store.sweep();
    const genesis = storedGenesis(suite, store);
    if (genesis === undefined || toHex(genesis.vault) !== info.id)
      throw new TidelockError("replica-damaged", {
        why: "the replica is not of the vault that this home names",
      });
    checkKeys(suite, store, keys);
    const clock = createClock();
    const scheduler = createScheduler();
    const log = options.log ?? noLog;
    const env = { suite, clock, scheduler, log, point: () => undefined };
    const replica = createReplica(env, { store, genesis, keys, localKey: secrets.local, kinds: kinds.all });
    const copied = checkPlacement(store, paths, place) === "copied";
    const identity =
      info.remote !== undefined && isServer(info.remote)
        ? identityOf(suite, store, keys, secrets.local, info.remote)
        : undefined;
    const remote =
      info.remote === undefined || copied
        ? undefined
        : await orLate(usable(info.remote, genesis.vault, { ...env, identity }));
    const { folder } = place;
    const cache = createCache({
      folder: join(folder, "cache"),
      suite,
      most: roomFor(folder),
      now: clock.now,
      kept: () => keptPieces(session),
    });
    const open = { suite, clock, scheduler, log, kinds, store, folder, cache, replica };
    const parts = { paths, info, identity, copied, ...open };
    const session: Session = assemble(parts, remote, () => wipeKeys(suite, keys));
    return session;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** A remote that is no longer fit shows in the status; everything that is here stays readable. */
async function usable(
  remote: string,
  vault: Uint8Array,
  who: Omit<ServerAccess, "identity"> & { readonly identity: ServerAccess["identity"] | undefined },
): Promise<Remote> {
  const { identity } = who;
  try {
    if (!isServer(remote)) return await openFolder(remote);
    if (identity === undefined)
      return refusingRemote("this home has no certificate to sign in with: join the vault again");
    return await openRemote(remote, { vault, access: { ...who, identity } });
  } catch (error) {
    if (error instanceof TidelockError) return refusingRemote(error.why);
    throw error;
  }
}

/** The vault of a home. Throws `not-configured` where there is none. */
export function vaultOf(paths: HomePaths, named: string | undefined): VaultConfig {
  const { vaults } = readConfig(paths);
  const [info] = vaults;
  if (info === undefined) throw new TidelockError("not-configured", { why: `${paths.root} holds no vault` });
  if (named !== undefined && !matchesVault(info.id, named))
    throw new TidelockError("not-found", {
      why: "this home holds another vault than the one named",
      next: "tidelock status --json tells its id",
    });
  return info;
}

type Parts = Pick<
  Session,
  | "paths"
  | "info"
  | "identity"
  | "suite"
  | "clock"
  | "kinds"
  | "store"
  | "folder"
  | "cache"
  | "replica"
  | "copied"
> & {
  readonly scheduler: OwnScheduler;
  readonly log: Log;
};

function assemble(parts: Parts, place: Remote | undefined, wipe: () => void): Session {
  const { suite, clock, scheduler, log, replica, store, paths, info, copied } = parts;
  const { tables, files } = parts.kinds;
  const hostFacts = () => ({
    openConflicts: replica.read(
      (tx) => tables.conflicts(tx, { open: true }).length + files.conflicts(tx, { open: true }).length,
    ),
    ...factsOf(),
    network: hasNetwork(info.remote),
  });
  const env = { suite, clock, scheduler, log, point: () => undefined };
  const moving = new Moving(clock);
  const limits = createLimits(paths, () => transfers);
  const transfers = createTransfers({ clock, scheduler, limits: () => limits.at(clock) });
  const paced = place === undefined ? undefined : transfers.paced(place);
  const engine = createEngine({ env, replica, remote: paced, hostFacts });
  const queued = (rank: Rank): Remote | undefined =>
    engine.remote === undefined ? undefined : transfers.queued(engine.remote, rank);
  const remote = queued(ranks.reader);
  const behind = queued(ranks.folder);
  const attachments = createAttachments({ engine, tables, clock, scheduler, log, suite, enabled: !copied });

  const folders = createFolders({
    host: {
      engine,
      replica,
      files: parts.kinds.files,
      suite,
      remote: behind,
      clock,
      scheduler,
      log,
      fs: createNodeFolderFs(),
      deviceName: () => session.deviceName(),
      moving,
    },
    paths,
    remote: info.remote,
    enabled: !copied,
  });
  const book = createIssueBook(store, clock);
  const paused = (): Pause | undefined => pauseOf(store, clock.now());
  let started = false;
  let stalls = 0;
  let slow = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let cancelEnd: () => void = () => undefined;
  let stopKeeping: () => void = () => undefined;

  function factsOf(): ReturnType<Attachments["facts"]> & ReturnType<Folders["facts"]> {
    const [a, b] = [attachments.facts(), folders.facts()];
    return {
      ...a,
      ...b,
      withheldDeletions: a.withheldDeletions + b.withheldDeletions,
      unprojected: a.unprojected + b.unprojected,
    };
  }

  function facts(): Facts {
    const found = engine.facts();
    if (copied) return { ...found, hasRemote: true, halt: "op-reused" };
    if (found.halt === "op-reused") noteEnrolAnew(store);
    const stalled = found.stalled || stalledDatabases() > 0;
    return { ...found, stalled, paused: paused() !== undefined };
  }

  /** In the state that the home says: paused, or at work if this process was told to. */
  function follow(): void {
    cancelEnd();
    const pause = paused();
    if (pause?.until !== undefined)
      cancelEnd = scheduler.after(
        Math.min(LONGEST_TIMER, Math.max(0, pause.until - clock.now()) + 1),
        follow,
      );
    if (!started) return;
    if (pause !== undefined) engine.pause();
    else if (engine.sync?.facts().state === "paused") engine.resume();
    else engine.start();
  }

  function watch(): void {
    stalledDatabases();
    scheduler.after(LOOK, watch);
  }

  /** A look opens each file once more: not for every status that a program asks for. */
  function stalledDatabases(): number {
    const now = clock.mono();
    if (now - lookedAt < LOOK / 4) return stalls + slow;
    lookedAt = now;
    stalls = attachments.stalled();
    slow = folders.stalled();
    return stalls + slow;
  }

  function matters(halt: HaltCode | undefined = facts().halt): readonly Matter[] {
    stalledDatabases();
    const sync = engine.sync?.facts();
    const remoteWaits = paused() === undefined ? sync : undefined;
    if (sync?.used !== undefined) noteRoom(store, sync.used);
    return [
      ...standing(paths, info, replica.waiting().parked),
      ...halted(halt),
      ...attachments.issues(),
      ...folders.issues(),
      ...nearlyFull(store),
      ...remoteStall(remoteWaits, clock),
      ...databaseStall(stalls),
      ...folderStall(slow),
    ];
  }

  async function sync(wish: SyncWish): Promise<SyncReport> {
    if (copied) throw copiedError();
    const pause = paused();
    if (pause !== undefined) {
      await Promise.all([attachments.settle(), folders.settle(true)]);
      throw pausedError(pause);
    }
    let locked = 0;
    for (let round = 0; ; round++) {
      const quiet = await attachments.settle();
      await folders.settle(round === 0);
      const outcome = await unlessStalled(
        {
          engine,
          replica,
          clock,
          scheduler,
          givesUp: info.remote !== undefined && isServer(info.remote),
          moved: () => transfers.moved.up + transfers.moved.down,
        },
        engine.syncNow(),
      );
      // What was read stands in the databases and folders, also where nothing may be sent.
      await attachments.settle();
      await folders.settle(false);
      if (outcome.kind === "stopped") throw stopped(outcome);
      // Without a remote there is no verdict to wait for.
      if (wish.wait !== true || remote === undefined || wish.signal?.aborted === true) return report();
      if (replica.waiting().pending === 0 && attachments.due() + folders.due() === 0) {
        await tryPinned(session, log);
        return report();
      }
      locked = quiet ? 0 : locked + 1;
      if (locked > LOCKED_ROUNDS)
        throw new TidelockError("database-busy", {
          why: "an attached database stays locked by another program",
        });
      const rest = folders.held() > 0 ? LONG_REST : REST;
      await new Promise<void>((resolve) => void scheduler.after(rest, resolve));
    }
  }

  function report(): SyncReport {
    const { pending, parked } = replica.waiting();
    return {
      head: replica.cursor().applied,
      pendingUp: pending,
      pendingDown: factsOf().unprojected,
      rejected: parked,
      paused: factsOf().pausedDatabases + factsOf().pausedFolders,
    };
  }

  function stopped(outcome: { readonly code: string; readonly why: string }): TidelockError {
    facts();
    const code = outcome.code in errorKinds ? (outcome.code as ErrorCode) : "internal";
    const next = code === "unreachable" ? `check that ${placeName(info.remote)}; edits wait here` : undefined;
    return new TidelockError(code, { why: outcome.why, ...(next === undefined ? {} : { next }) });
  }

  /** Who has answered an invite is let in, also while nobody is at this machine. */
  function greet(): void {
    const due =
      paused() === undefined && replica.read((tx) => replica.membership.roster(tx).invites.length > 0);
    const done = due ? answerInvites(session).catch(() => []) : Promise.resolve([]);
    void done.then((admitted) => {
      if (admitted.length > 0) log.event("invite.admitted", { count: admitted.length });
      scheduler.after(GREET, greet);
    });
  }

  const session: Session = {
    ...parts,
    inviteKeys: new Map(),
    engine,
    remote,
    behind,
    limits,
    moving,
    tables,
    attachments,
    folders,
    facts,
    issues: (halt) => book.list(matters(halt)),
    dismiss: (code) => {
      book.list(matters());
      book.dismiss(code);
    },
    start: () => {
      started = true;
      follow();
      watch();
      greet();
      const ends = [keepPinned, keepGivingBack].map((keep) => keep(session, scheduler, log));
      stopKeeping = () => {
        for (const end of ends) end();
      };
    },
    pause: (until) => {
      putPause(store, { until });
      follow();
    },
    resume: () => {
      putPause(store, undefined);
      follow();
    },
    paused,
    name: () => replica.read((tx) => replica.membership.settings(tx)?.vaultName ?? ""),
    deviceName: () =>
      replica.read((tx) => {
        const device = replica.ownDevice(tx);
        return device === undefined ? "" : (replica.membership.deviceName(tx, device) ?? "");
      }),
    sync: (wish = {}) => within((signal) => sync({ ...wish, signal }), wish),
    close: async () => {
      stopKeeping();
      await folders.close();
      await attachments.close();
      await engine.stop();
      scheduler.close();
      for (const keys of session.inviteKeys.values()) if (keys !== undefined) suite.wipe(keys.key);
      wipe();
      store.close();
    },
  };
  return session;
}

/** A person's patience ends the waiting, not the work: nothing is lost by it. */
async function within<T>(work: (signal: AbortSignal) => Promise<T>, wish: SyncWish): Promise<T> {
  const end = new AbortController();
  const { timeoutMs, signal } = wish;
  const ended = new Promise<never>((_, reject) => {
    end.signal.addEventListener("abort", () => reject(end.signal.reason), { once: true });
  });
  const late = (): void =>
    end.abort(
      new TidelockError("timeout", {
        why: `not done within ${(timeoutMs ?? 0) / 1000} s`,
        next: "tidelock status",
      }),
    );
  const cancel = (): void =>
    end.abort(new TidelockError("cancelled", { why: "while syncing; edits wait here" }));
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await Promise.race([work(end.signal), ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}
