/**
 * Between a device and its remote: how many blobs are on their way at once, which goes first, how fast
 * their bytes move, and how many have. The log itself passes untouched. Rules ENG30, ENG31.
 */
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import type { BlobPart, Clock, Pace, Remote, Result, Scheduler } from "../ports.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Blobs on their way at once. */
const SLOTS = 6;
/** One slot is kept for what is no larger, or is waited for by a reader. */
const SMALL = 1 << 20;

/** The sooner the lower: what a reader waits for, what a folder or a pin wants, what is fetched ahead. */
export const ranks = { reader: 1, folder: 2, ahead: 3 } as const;
export type Rank = (typeof ranks)[keyof typeof ranks];

export type Way = "up" | "down";

/** Bytes a second, each way; what is absent is not limited. */
export type Limits = { readonly [W in Way]?: number | undefined };

export interface TransferDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly limits: () => Limits;
}

export interface Transfers {
  /** The same remote, whose blobs move as fast as the limits let them. */
  paced(remote: Remote): Remote;
  /** The same remote, whose blobs are asked for a few at a time: of all that are made so, the first by rank and size. */
  queued(remote: Remote, rank: Rank): Remote;
  /** The limits are others now. */
  changed(): void;
  /** Bytes that have moved since the start. */
  readonly moved: Readonly<Record<Way, number>>;
}

export function createTransfers(deps: TransferDeps): Transfers {
  const bucket = (way: Way): TokenBucket => new TokenBucket({ ...deps, limit: () => deps.limits()[way] });
  const buckets = { up: bucket("up"), down: bucket("down") };
  const lane = new Lane();
  const moved = { up: 0, down: 0 };

  async function put(remote: Remote, id: Uint8Array, bytes: Parameters<Remote["putBlob"]>[1], told?: Pace) {
    let asked = 0;
    const note = async (size: number): Promise<void> => {
      asked += size;
      moved.up += size;
      await told?.(size);
    };
    const pace: Pace = async (size) => {
      await buckets.up.take(size);
      await note(size);
    };
    const stored = await remote.putBlob(id, bytes, pace);
    const rest = bytes.length - asked;
    if (stored.kind === "ok" && rest > 0) {
      await note(rest);
      // It left in one piece: the next one waits until that is paid for.
      await buckets.up.take(rest);
      await buckets.up.take(1);
    }
    return stored;
  }

  async function get(
    remote: Remote,
    id: Uint8Array,
    part: BlobPart | undefined,
  ): Promise<Result<Uint8Array | undefined>> {
    const { down } = buckets;
    const piece = down.piece();
    if (piece === undefined) {
      const got = await remote.getBlob(id, part);
      if (got.kind === "ok") moved.down += got.value?.length ?? 0;
      return got;
    }
    const pieces: Uint8Array[] = [];
    const { offset, length: most } = part ?? { offset: 0, length: limits.blob };
    for (let at = 0; at < most; ) {
      const length = Math.min(piece, most - at);
      await down.take(length);
      const got = await remote.getBlob(id, { offset: offset + at, length });
      if (got.kind !== "ok" || got.value === undefined) return got;
      const { value } = got;
      down.giveBack(length - value.length);
      moved.down += value.length;
      pieces.push(value);
      at += value.length;
      if (value.length < length) break;
    }
    return { kind: "ok", value: concat(...pieces) };
  }

  return {
    moved,
    changed: () => {
      buckets.up.changed();
      buckets.down.changed();
    },
    paced: (remote) => ({
      ...passing(remote),
      putBlob: (id, bytes, told) => put(remote, id, bytes, told),
      getBlob: (id, part) => get(remote, id, part),
    }),
    queued: (remote, rank) => ({
      ...passing(remote),
      getBlob: (id, part) =>
        lane.run({ rank, size: part?.length ?? limits.blob }, () => remote.getBlob(id, part)),
    }),
  };
}

function passing(remote: Remote): Remote {
  const { wake, awake } = remote;
  return {
    caps: remote.caps,
    create: (genesis) => remote.create(genesis),
    genesis: () => remote.genesis(),
    read: (after, want) => remote.read(after, want),
    append: (frames, seen) => remote.append(frames, seen),
    putBlob: (id, bytes, pace) => remote.putBlob(id, bytes, pace),
    getBlob: (id, part) => remote.getBlob(id, part),
    listBlobs: (after) => remote.listBlobs(after),
    deleteBlobs: (ids, condemnedAt) => remote.deleteBlobs(ids, condemnedAt),
    ...(wake === undefined ? {} : { wake: wake.bind(remote) }),
    ...(awake === undefined ? {} : { awake: awake.bind(remote) }),
    close: () => remote.close(),
  };
}

interface Job {
  readonly rank: number;
  readonly size: number;
}

/** Small before large, and the newest first among equals: what was asked for last is what somebody looks at. */
class Lane {
  readonly #waiting: (Job & { readonly start: () => void })[] = [];
  #running = 0;
  #large = 0;

  async run<T>(job: Job, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ ...job, start });
      this.#fill();
    });
    try {
      return await work();
    } finally {
      this.#running--;
      if (isLarge(job)) this.#large--;
      this.#fill();
    }
  }

  #fill(): void {
    while (this.#running < SLOTS) {
      const full = this.#large >= SLOTS - 1;
      let best = -1;
      for (const [i, job] of this.#waiting.entries())
        if (!(full && isLarge(job)) && !isBefore(this.#waiting[best], job)) best = i;
      const [job] = best < 0 ? [] : this.#waiting.splice(best, 1);
      if (job === undefined) return;
      this.#running++;
      if (isLarge(job)) this.#large++;
      job.start();
    }
  }
}

function isLarge({ rank, size }: Job): boolean {
  return size > SMALL && rank > ranks.reader;
}

/** Whether `a` goes before `b`, which was asked for later. */
function isBefore(a: Job | undefined, b: Job): boolean {
  if (a === undefined) return false;
  return a.rank !== b.rank ? a.rank < b.rank : a.size < b.size;
}
