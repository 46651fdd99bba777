/**
 * Drives one replica against one remote by the table in `sync-table.ts`. All waiting, retrying
 * and polling is here, in one place; each retry names its bound and its delay. Rules ENG7..ENG9.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { Malformed } from "../bytes/reader.ts";
import type { Suite } from "../crypto/suite.ts";
import { type ErrorCode, TidelockError } from "../errors.ts";
import type { Tx } from "../log/tx.ts";
import type { Clock, Failure, Log, Scheduler } from "../ports.ts";
import type { SyncOutcome } from "./api.ts";
import type { Considerate } from "./considerate.ts";
import { linkAt } from "./entries.ts";
import { deviceOpener, holdsNewestKey, obtainKey } from "./epoch-keys.ts";
import { failureCode } from "./failure.ts";
import type { HaltCode } from "./ingest.ts";
import type { EnginePoint } from "./points.ts";
import { pull, UNSIGNED_WAIT } from "./pull.ts";
import type { Replica } from "./replica.ts";
import { type SyncEvent, type SyncState, syncTable } from "./sync-table.ts";

/** Changes per apply slice: one transaction, some tens of ms. */
const SLICE = 4096;
const RETRY = { base: 500, cap: 60_000 };
const POLL = { active: 2_000, activeFor: 30_000, factor: 1.5, cap: 30_000 };
/** Devices that sleep between hints must not come all at once: up to this share earlier. */
const POLL_SPREAD = 0.25;
const STALL = 30_000;

export interface SyncEnv {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly point: (name: EnginePoint) => void;
}

/** Something threw: a fault of this device or of a program, not an answer of the remote. */
export interface Fault {
  readonly kind: "fault";
  readonly why: string;
  readonly code: ErrorCode;
}

export interface Stuck {
  readonly why: "unsigned" | "key-missing";
  readonly since: number;
  /** Entries up to here were read by then, so all of them wait together. */
  readonly upTo: number;
}

/** Why nothing moves, for status. */
export interface SyncFacts {
  readonly state: SyncState;
  readonly halt: HaltCode | undefined;
  readonly failure: Failure | { readonly kind: "unknown" } | Fault | undefined;
  readonly diskFull: boolean;
  /** The remote gives, and takes nothing until somebody pays. */
  readonly unpaid: boolean;
  /** Percent of the remote's room, 0 while it says nothing of it; undefined until it was asked. */
  readonly used: number | undefined;
  /** An unsigned entry or a missing key holds the log up. */
  readonly stuck: Stuck | undefined;
  readonly stalled: boolean;
  readonly fresh: boolean;
  /** When what failed is tried again, wall clock ms; undefined where nothing has failed. */
  readonly nextTry: number | undefined;
  readonly lastSync: number | undefined;
  readonly lastUpload: number | undefined;
  readonly lastDownload: number | undefined;
}

export interface Sync {
  dispatch(event: SyncEvent): void;
  facts(): SyncFacts;
  syncNow(): Promise<SyncOutcome>;
  /** Resolves when no step is under way any more. */
  ended(): Promise<void>;
}

export function createSync(env: SyncEnv, replica: Replica, { remote, urge }: Considerate): Sync {
  const { clock, scheduler } = env;
  let state: SyncState = "stopped";
  /** Answers of an earlier action are dropped: the state has moved on without them. */
  let turn = 0;
  let timer: (() => void) | undefined;
  let unwake: (() => void) | undefined;
  let attempts = 0;
  /** When the retry timer ends, and when a hint last cut one short: monotonic. */
  let retryAt = 0;
  let hintedAt = Number.NEGATIVE_INFINITY;
  let pollDelay = POLL.active;
  /** The newest seq that a hint has named since the last read began. */
  let hinted = 0;
  /** Up to where the log was read, as far as this needs to be known: no hint may ask the replica. */
  let readTo = 0;
  let lastActivity = clock.mono();
  let lastRead: number | undefined;
  let dueSince: number | undefined;
  let reads = 0;
  let running: Promise<unknown> = Promise.resolve();
  let more = false;
  /** An entry speaks of another history: the next read looks for it. */
  let forked = false;
  /** The head at which an append was last told to read first. */
  let behindAt: number | undefined;
  /** The membership hash up to which no envelope was for us. */
  let noKeyAt: Uint8Array | undefined;
  const placed = new Set<number>();
  let facts: Omit<SyncFacts, "state" | "stalled" | "fresh"> = {
    halt: undefined,
    failure: undefined,
    diskFull: false,
    unpaid: false,
    used: undefined,
    stuck: undefined,
    nextTry: undefined,
    lastSync: undefined,
    lastUpload: undefined,
    lastDownload: undefined,
  };
  let waiters: { readonly needRead: number; readonly resolve: (outcome: SyncOutcome) => void }[] = [];

  function dispatch(event: SyncEvent): void {
    const { to, act } = syncTable[state][event];
    const moved = to !== state || act !== "none";
    state = to;
    if (!moved) return;
    const sooner = act === "hasten" ? hastened() : undefined;
    // The timer that runs is left alone: what a remote asked for is not to be shortened by a fraction either.
    if (act === "hasten" && sooner === undefined) return;
    timer?.();
    timer = undefined;
    facts = { ...facts, nextTry: undefined };
    const mine = ++turn;
    // From here on something is due: a request without an answer must not look like rest.
    if (act === "read" || act === "apply" || act === "send") dueSince ??= clock.mono();
    /** False once the state has moved on, by a pause or a stop: an answer that comes then says nothing of now. */
    const current = (): boolean => mine === turn;
    const back = (e: SyncEvent): void => {
      if (current()) dispatch(e);
    };
    switch (act) {
      case "none":
        if (to === "stopped") {
          unwake?.();
          unwake = undefined;
        }
        break;
      case "read":
        hinted = 0;
        unwake ??= remote.wake?.(hintCame);
        run(() => readRemote(current), back);
        break;
      case "apply":
        // A turn of the event loop between slices, so that a host's own work is never held up.
        timer = scheduler.after(0, () => run(applySlice, back));
        break;
      case "send":
        run(() => send(current), back);
        break;
      case "arm-poll":
        timer = scheduler.after(hasNews() ? 0 : nextPoll(), () => back("due"));
        break;
      case "arm-retry":
        armRetry(retryDelay(), () => back("now"));
        break;
      case "hasten":
        armRetry(sooner ?? 0, () => back("now"));
        break;
    }
    tellWaiters();
  }

  /** One that comes while something else is under way is looked after once that is done. */
  function hintCame(seq: number = Number.POSITIVE_INFINITY): void {
    hinted = Math.max(hinted, seq);
    // After a failure any hint says that the remote is there again.
    if (state === "waiting" || hasNews()) dispatch("due");
  }

  /** What a hint names and is here already, such as our own frames, is no reason to read. */
  function hasNews(): boolean {
    return hinted > readTo;
  }

  function armRetry(ms: number, work: () => void): void {
    retryAt = clock.mono() + ms;
    facts = { ...facts, nextTry: clock.now() + ms };
    timer = scheduler.after(ms, work);
  }

  function run(step: () => Promise<SyncEvent>, back: (event: SyncEvent) => void): void {
    const done = step().then(back, (error: unknown) => {
      back(noteError(error));
    });
    running = Promise.allSettled([running, done]);
  }

  function noteError(error: unknown): SyncEvent {
    // What rests in the replica is read without a net: bytes that make no sense there are its damage.
    const own = error instanceof Malformed ? "replica-damaged" : "internal";
    const code = error instanceof TidelockError ? error.code : own;
    env.log.event("sync.error", { code });
    if (code === "disk-full") facts = { ...facts, diskFull: true };
    else if (code === "replica-damaged") facts = { ...facts, halt: "replica-damaged" };
    else facts = { ...facts, failure: { kind: "fault", why: code, code } };
    return "failed";
  }

  function noteFailure(failure: NonNullable<SyncFacts["failure"]>): SyncEvent {
    facts = { ...facts, failure };
    return "failed";
  }

  async function readRemote(current: () => boolean): Promise<SyncEvent> {
    reads++;
    if (replica.unfounded() !== undefined) return "read-nothing";
    if (forked) return lookAgain("fork", current);
    const pulled = await pull(replica, remote);
    if (pulled.kind === "halt") return lookAgain(pulled.code, current);
    if (pulled.kind !== "ok") return noteFailure(pulled);
    lastRead = clock.mono();
    readTo = replica.cursor().read;
    const { unpaid, used } = pulled;
    facts = { ...facts, failure: undefined, diskFull: false, unpaid, used };
    more = pulled.more;
    if (pulled.fresh === 0) return "read-nothing";
    noteActivity();
    return "read";
  }

  /** Another history than ours: what nobody else has signed of ours may have to give way (LOG18). */
  async function lookAgain(code: HaltCode, current: () => boolean): Promise<SyncEvent> {
    forked = false;
    const again = await replica.readAgain(remote);
    // Since then it may have gone over to the other history, or found that there is none.
    if (!current()) return "failed";
    if (again.kind === "other" && replica.rebuild(again.end)) {
      env.log.event("sync.rebuilt", { from: again.end.from, to: replica.cursor().applied });
      // What was taken was taken for the other history.
      placed.clear();
      lastRead = clock.mono();
      readTo = replica.cursor().read;
      noteActivity();
      facts = { ...facts, halt: undefined, failure: undefined };
      more = true;
      return "read";
    }
    if (again.kind === "other") env.log.event("sync.not-rebuilt", { from: again.end.from });
    env.log.event("sync.halt", { code });
    facts = { ...facts, halt: code };
    return again.kind === "other" || again.kind === "none" ? "failed" : noteFailure(again);
  }

  async function applySlice(): Promise<SyncEvent> {
    const applied = replica.apply(SLICE, passable());
    if (applied.applied > 0) {
      noteActivity();
      facts = { ...facts, lastDownload: clock.now() };
      const settled = replica.settled();
      for (const deviceSeq of placed) if (deviceSeq <= settled) placed.delete(deviceSeq);
    }
    switch (applied.kind) {
      case "halt":
        forked = applied.code === "fork";
        if (forked) return "read-more";
        env.log.event("sync.halt", { code: applied.code });
        facts = { ...facts, halt: applied.code };
        return "failed";
      case "key-missing":
        return (await openEpoch(true)) ?? "applied-some";
      case "waiting":
        // Who signs past it may stand further on.
        return more ? "read-more" : stick("unsigned");
      case "ok":
        facts = { ...facts, halt: undefined, stuck: undefined };
        if (applied.more) return "applied-some";
        if (more) return "read-more";
        // Under a key that is not here nothing can be sealed either.
        return (await openEpoch(false)) ?? "applied-all";
    }
  }

  /** A newer epoch's key comes in an envelope: in a list on the remote, or in the log. Undefined once it is here. */
  async function openEpoch(needed: boolean): Promise<SyncEvent | undefined> {
    // Who is not admitted yet has nothing to seal.
    const done = (tx: Tx): boolean =>
      holdsNewestKey(replica, tx) || (!needed && replica.ownDevice(tx) === undefined);
    if (replica.read(done)) return undefined;
    // What the log and the list hold was looked at: only another membership entry changes it.
    const members = replica.read((tx) => linkAt(tx, replica.vault, replica.cursor().read)?.members);
    if (noKeyAt !== undefined && members !== undefined && equalBytes(noKeyAt, members))
      return stick("key-missing");
    const obtained = await obtainKey(env.suite, replica, remote, [deviceOpener(env.suite, replica.keys)]);
    if (obtained.kind === "damaged") env.log.event("sync.envelopes-damaged", {});
    switch (obtained.kind) {
      case "here":
      case "no-epoch":
        return undefined;
      case "none":
        noKeyAt = members;
        return stick("key-missing");
      case "withheld":
      case "damaged":
        return stick("key-missing");
      case "busy":
      case "unreachable":
      case "denied":
      case "quota":
      case "corrupt":
        return noteFailure(obtained);
    }
  }

  /** What holds the log up is read again at each retry; only time or another device ends it. */
  function stick(why: "unsigned" | "key-missing"): SyncEvent {
    if (facts.stuck?.why !== why || facts.stuck.upTo <= replica.cursor().applied)
      facts = { ...facts, stuck: { why, since: clock.mono(), upTo: replica.cursor().read } };
    return "failed";
  }

  /** Up to where this device may pass unsigned entries: it has something to send and has waited. */
  function passable(): number | undefined {
    const { stuck } = facts;
    if (stuck?.why !== "unsigned" || clock.mono() - stuck.since < UNSIGNED_WAIT) return undefined;
    if (replica.waiting().pending === 0) return undefined;
    // What a viewer has to send is of the membership, and attests by itself.
    const attests = replica.read((tx) => replica.ownStanding(tx)) === "writer";
    if (attests && replica.attestDue() !== stuck.upTo) replica.setAttestDue(stuck.upTo);
    return stuck.upTo;
  }

  /** Nothing new is sealed once the state has moved on. */
  async function send(current: () => boolean): Promise<SyncEvent> {
    const genesis = replica.unfounded();
    if (genesis !== undefined) {
      const created = await remote.create(genesis);
      if (created.kind === "exists")
        throw new TidelockError("exists", { why: "another vault lives on this remote" });
      // An answer from before a pause: whoever was asked since may have said when to come again.
      if (!current()) return "failed";
      if (created.kind !== "ok") return noteFailure(created);
      env.point("found.after-genesis");
    }
    const unstored = await storeBlobs(current);
    if (unstored !== undefined) return unstored;
    env.point("found.after-blobs");
    if (genesis !== undefined) replica.markFounded();
    if (!current()) return "failed";

    replica.rotateIfDue();
    let batch = replica.nextBatch(placed);
    if (batch.length === 0) batch = attestation();
    if (batch.length === 0) return nothingToSend();
    // A frame that begins an epoch names its envelopes: they are there before it.
    const unnamed = await storeBlobs(current);
    if (unnamed !== undefined) return unnamed;
    const head = replica.head();
    env.point("append.before-send");
    const result = await remote.append(
      batch.map((f) => f.frame),
      head,
    );
    env.point("append.after-answer");
    if (result.kind === "behind") {
      // A second time at one head: the remote says others were faster and shows nothing of them.
      if (behindAt === head.seq) return noteFailure({ kind: "corrupt", why: "behind, and nothing to read" });
      behindAt = head.seq;
      return "behind";
    }
    if (result.kind !== "committed") return noteFailure(result);
    const code = replica.acknowledge(
      result.first,
      batch.map((f) => f.deviceSeq),
    );
    if (code !== undefined) {
      env.log.event("sync.halt", { code });
      facts = { ...facts, halt: code };
      return "failed";
    }
    for (const f of batch) placed.add(f.deviceSeq);
    attempts = 0;
    facts = { ...facts, failure: undefined, lastUpload: clock.now() };
    noteActivity();
    const { receipt } = result;
    if (!current() || receipt === undefined || !replica.receive(result.first, batch, receipt)) return "sent";
    // As good as a look: the log ended with them.
    lastRead = clock.mono();
    readTo = replica.cursor().read;
    more = false;
    return "received";
  }

  /** What waiting frames name. Undefined when all of it is stored. */
  async function storeBlobs(current: () => boolean): Promise<SyncEvent | undefined> {
    for (;;) {
      if (!current()) return "failed";
      const blob = replica.nextSpooled();
      if (blob === undefined) return undefined;
      const stored = await remote.putBlob(blob.id, blob.bytes, async () => noteActivity());
      if (stored.kind !== "ok") return current() ? noteFailure(stored) : "failed";
      replica.noteStored(blob.id);
    }
  }

  /** After passing an unsigned entry, others wait for a frame of ours that is anchored past it. */
  function attestation(): ReturnType<Replica["nextBatch"]> {
    const due = replica.attestDue();
    if (due === undefined) return [];
    const may = replica.read((tx) => replica.ownStanding(tx)) === "writer";
    replica.write((tx) => {
      // The role may be gone since.
      if (may) replica.attest(tx);
      replica.setAttestDue(undefined);
    });
    return replica.nextBatch(placed);
  }

  function nothingToSend(): SyncEvent {
    attempts = 0;
    dueSince = undefined;
    facts = { ...facts, failure: undefined, lastSync: clock.now() };
    return "nothing-to-send";
  }

  function noteActivity(): void {
    lastActivity = clock.mono();
    attempts = 0;
  }

  /** Full jitter, so that devices that failed together do not come back together. */
  function retryDelay(): number {
    const { failure } = facts;
    if (failure?.kind === "busy" && failure.retryAfter > 0) return Math.max(RETRY.base, failure.retryAfter);
    const ceiling = retryCeiling();
    attempts++;
    // What only time ends is looked at at a steady pace.
    if (facts.stuck !== undefined) return POLL.active;
    return 1 + Math.floor((jitter() * ceiling) | 0);
  }

  /**
   * How long is waited still once a hint has come; undefined: as long as before. Not at all, where the last hint that
   * did so is as long ago as a failure would wait by now: hints of a hostile remote can double the tries, no more.
   * What was asked for by the remote, and what it has no part in, is waited for in full.
   */
  function hastened(): number | undefined {
    const { failure } = facts;
    const own = failure === undefined || failure.kind === "busy" || failure.kind === "fault";
    if (own || facts.halt !== undefined || facts.stuck !== undefined || facts.diskFull) return undefined;
    const now = clock.mono();
    const free = Math.max(now, hintedAt + Math.max(POLL.active, retryCeiling()));
    if (free >= retryAt) return undefined;
    hintedAt = free;
    return free - now;
  }

  function retryCeiling(): number {
    return Math.min(RETRY.cap, RETRY.base * 2 ** Math.min(attempts, 12));
  }

  function jitter(): number {
    const [a, b] = env.suite.random(2);
    return (((a as number) << 8) | (b as number)) / 0x10000;
  }

  function nextPoll(): number {
    const quiet = clock.mono() - lastActivity > POLL.activeFor;
    if (remote.awake?.() === true) pollDelay = POLL.cap * (1 - jitter() * POLL_SPREAD);
    else pollDelay = quiet ? Math.min(POLL.cap, pollDelay * POLL.factor) : POLL.active;
    return pollDelay;
  }

  function tellWaiters(): void {
    if (waiters.length === 0) return;
    const outcome = outcomeNow();
    if (outcome === undefined) return;
    const ready = waiters.filter((w) => reads >= w.needRead || outcome.kind === "stopped");
    waiters = waiters.filter((w) => !ready.includes(w));
    for (const w of ready) w.resolve(outcome);
    if (waiters.length > 0 && state === "idle") scheduler.after(0, () => dispatch("now"));
  }

  function outcomeNow(): SyncOutcome | undefined {
    if (state === "idle") {
      if (replica.waiting().pending === 0) return { kind: "live", head: replica.cursor().applied };
      return { kind: "stopped", code: "key-missing", why: "this device is not admitted yet" };
    }
    if (state === "stopped") return { kind: "stopped", code: "cancelled", why: "sync was stopped" };
    if (state === "paused") return { kind: "stopped", code: "cancelled", why: "paused by you" };
    if (state !== "waiting") return undefined;
    if (facts.halt !== undefined)
      return { kind: "stopped", code: facts.halt, why: whyHalted[facts.halt] ?? "the log does not verify" };
    if (facts.diskFull) return { kind: "stopped", code: "disk-full", why: "the replica cannot grow" };
    if (facts.stuck !== undefined) return { kind: "stopped", code: "key-missing", why: facts.stuck.why };
    const { failure } = facts;
    const why = failure !== undefined && "why" in failure ? failure.why : "the remote did not answer";
    const code = failure?.kind === "fault" ? failure.code : failureCode(failure ?? { kind: "unknown" });
    return { kind: "stopped", code, why };
  }

  return {
    dispatch: (event) => {
      if (event === "now" || event === "resume") urge();
      dispatch(event);
    },
    ended: async () => {
      await running;
    },
    facts: () => {
      const working = state !== "idle" && state !== "stopped" && state !== "paused";
      const since =
        facts.stuck?.since ??
        (working && dueSince !== undefined ? Math.max(dueSince, lastActivity) : undefined);
      return {
        ...facts,
        state,
        stalled: since !== undefined && clock.mono() - since > STALL,
        fresh: lastRead !== undefined && clock.mono() - lastRead <= 2 * pollDelay + 1_000,
      };
    },
    syncNow: () =>
      new Promise((resolve) => {
        urge();
        waiters.push({ needRead: reads + 1, resolve });
        dispatch(state === "stopped" ? "start" : "now");
        tellWaiters();
      }),
  };
}

/** Where the log is sound, and stops this device all the same. */
const whyHalted: Readonly<Partial<Record<HaltCode, string>>> = {
  "device-removed": "an entry of the log has taken it out",
  "update-needed": "the log announces what this program does not know",
};
