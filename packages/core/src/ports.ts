/**
 * What the core asks of the world. A host gives these real disks, clocks and networks; the
 * simulated world gives them seeded ones. Nothing below this file does I/O or reads a clock.
 */
import type { Sealed, Seq } from "./bytes/brand.ts";

export interface Clock {
  /** Wall clock, ms since 1970. May jump. */
  now(): number;
  /** Monotonic ms from an arbitrary origin. Never goes back; stands still in suspend. */
  mono(): number;
}

export interface Scheduler {
  /** Runs `work` once after `ms`; the answer cancels it. `work` never throws. */
  after(ms: number, work: () => void): () => void;
}

/** A value that may stand in a log: a number, a code of ours, a shortened id. Never user text. */
export type Loggable = number | boolean | `${string}`;

export interface Log {
  /** One event, e.g. `pull.applied {from, to, ms}`. Names and contents stay out. */
  event(name: string, fields?: Readonly<Record<string, Loggable>>): void;
}

/**
 * The engine's only door to its replica: named, ordered maps of bytes to bytes.
 *
 * Keys sort lexicographically. `transaction` is atomic and durable when it returns
 * (`synchronous=FULL`); a nested call joins the outer one; a throw undoes all of it.
 * Values handed out are never changed afterwards by the store; callers do not change them.
 */
export interface ReplicaStore {
  transaction<T>(work: () => T): T;
  get(space: string, key: Uint8Array): Uint8Array | undefined;
  put(space: string, key: Uint8Array, value: Uint8Array): void;
  delete(space: string, key: Uint8Array): void;
  /** Entries with `from` <= key < `to` in ascending order, at most `limit` of them. */
  scan(
    space: string,
    from: Uint8Array,
    to: Uint8Array | undefined,
    limit?: number,
  ): [Uint8Array, Uint8Array][];
  /** The greatest entry with key < `to` (or of all), and at or above `from`. */
  last(space: string, from: Uint8Array, to: Uint8Array | undefined): [Uint8Array, Uint8Array] | undefined;
  /** Number of entries; may cost a scan, so not for hot paths. */
  count(space: string): number;
  close(): void;
}

/** What stands at one number of a vault's log, as a remote hands it out. */
export type LogObject =
  | {
      readonly kind: "page";
      /** The number it stands at: the seq of its first frame. */
      readonly first: Seq;
      /** The chain hash before `first` as the writer saw it; null where the remote does not keep it. */
      readonly prev: Uint8Array | null;
      readonly entries: readonly { readonly time: number; readonly frame: Uint8Array }[];
      /** SHA-256 of the whole object: what it counts as if `prev` turns out not to be ours. */
      readonly hash: Uint8Array;
    }
  /** Not a page: known by the SHA-256 of its first 5 MiB, it takes one seq. */
  | { readonly kind: "garbage"; readonly first: Seq; readonly hash: Uint8Array };

export interface Page {
  /** Contiguous, in order, starting at `after` + 1. Empty when nothing is there. */
  readonly objects: readonly LogObject[];
  /** The newest seq the remote shows now; below `after` = rolled back, above with no objects = gap. */
  readonly head: Seq;
  /** Nothing more is taken from this person until somebody pays for it; reading goes on. */
  readonly unpaid?: true;
  /** Percent of the room that is used, where little is left: what comes after it will be refused. */
  readonly used?: number;
}

/** Why a server will not have somebody, as it says itself. */
export type DenialCause =
  /** It does not know who is asking. */
  | "login"
  /** Of the person, at this server: a new registration token opens it again. */
  | "account-closed"
  /** By its person, for good. */
  | "signed-out"
  /** By the log. */
  | "device-removed"
  /** Whoever runs the server says who connects to this vault. */
  | "not-in-group"
  | "vault-deleted"
  /** It wants to be paid first. */
  | "payment";

/** Why a remote did not do it. Nothing was placed, and the same call may be made again. */
export type Failure =
  /** `retryAfter` in ms. */
  | { readonly kind: "busy"; readonly retryAfter: number }
  | { readonly kind: "unreachable"; readonly why: string }
  /** `cause`: where a server said which of these it is. */
  | { readonly kind: "denied"; readonly why: string; readonly cause?: DenialCause }
  | { readonly kind: "quota"; readonly why: string }
  | { readonly kind: "corrupt"; readonly why: string };

export type Result<T> = { readonly kind: "ok"; readonly value: T } | Failure;

/** Where the log ended when an append was answered: with its last frame. What a read would show of its frames. */
export interface Receipt {
  /** The receive time of all of them, ms since 1970. */
  readonly time: number;
  /** The chain hash at the last of them. */
  readonly hash: Uint8Array;
}

export type AppendResult =
  /** Placed and durable, not yet judged: the outbox ends at replay's verdict. No `receipt`: reading shows the rest. */
  | { readonly kind: "committed"; readonly first: Seq; readonly receipt?: Receipt }
  /** Not placed: somebody else's object stands at that number. Read, apply, then the same bytes again. */
  | { readonly kind: "behind" }
  /** May be placed. Read; where they are not found, the same bytes again. Never re-seal before that. */
  | { readonly kind: "unknown" }
  | Failure;

export interface RemoteCaps {
  readonly wake: boolean;
  /** Blobs can be listed and deleted. */
  readonly deletes: boolean;
  readonly accounts: boolean;
  readonly links: boolean;
}

export interface BlobPart {
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
}

export interface BlobInfo {
  readonly id: Uint8Array;
  readonly size: number;
  /** By the place's clock, ms since 1970. */
  readonly storedAt: number;
}

export interface BlobList {
  /** The place's clock, ms since 1970. */
  readonly now: number;
  readonly blobs: readonly BlobInfo[];
}

/** Waited for before each so many bytes leave. */
export type Pace = (bytes: number) => Promise<void>;

/**
 * Where a vault's log and blobs live. Every method answers a value and throws only for a
 * programming error. No method retries by itself: retry is the engine's, in one place, so that
 * unknown outcomes stay visible. All bytes it takes are sealed or signed.
 */
export interface Remote {
  readonly caps: RemoteCaps;
  /**
   * Once per vault, put-if-absent, kept for ever. `exists` when other bytes are there; the same bytes are ok.
   * Throws `TidelockError` `remote-no-cas` where the place cannot order writes: nothing mends that.
   */
  create(genesis: Sealed): Promise<Result<"created"> | { readonly kind: "exists" }>;
  /** Undefined where no vault was founded; `unreachable` where that cannot be told from a lost volume (a folder). */
  genesis(): Promise<Result<Uint8Array | undefined>>;
  /**
   * The objects after `after`, whole and in order, about `bytes` of them (at least one).
   * `after` is always an object's end. Durable before it answers: a later power cut of the
   * remote cannot take back what was handed out.
   */
  read(after: Seq, want: { readonly frames: number; readonly bytes: number }): Promise<Result<Page>>;
  /**
   * Places 1..256 frames side by side, all or none, and answers `committed` only when they are on
   * stable storage. May be called again with the same bytes after any answer. Where writers choose
   * the number (a folder, a bucket) that is right after `seen`; a server gives the next one
   * itself, and is `behind` only where reading shows what must be seen first.
   */
  append(
    frames: readonly Sealed[],
    seen: { readonly seq: Seq; readonly hash: Uint8Array },
  ): Promise<AppendResult>;
  /**
   * Stores a blob under the SHA-256 of its bytes. Again with the same bytes: ok once they are durable. `pace` is for a
   * remote that sends piece by piece; what was not asked of it is counted afterwards.
   */
  putBlob(id: Uint8Array, bytes: Sealed, pace?: Pace): Promise<Result<"stored">>;
  /**
   * Undefined where absent. The reader checks what it gets. With `part`: the bytes of the blob from `offset` on,
   * `length` of them or those that there are.
   */
  getBlob(id: Uint8Array, part?: BlobPart): Promise<Result<Uint8Array | undefined>>;
  /** Blobs whose names come after `after`, in their order, at most `limits.blobsPerCall`; none: there are no more. */
  listBlobs(after: Uint8Array): Promise<Result<BlobList>>;
  /**
   * Removes blobs that the log gives up in the entry `condemnedAt`, at most `limits.blobsPerCall` of them. A place
   * cannot read that entry and looks only at times: what was stored, or given up, less than `limits.blobGrace` ago
   * stays. Answers those that stay. Again, and for a name that is not there: nothing happens.
   */
  deleteBlobs(ids: readonly Uint8Array[], condemnedAt: Seq): Promise<Result<readonly Uint8Array[]>>;
  /**
   * Calls `hint` when something may have come: with the newest seq there is then, where the place says it.
   * Hints may be lost, repeated or wrong.
   */
  wake?(hint: (seq?: Seq) => void): () => void;
  /** Whether hints come just now, as far as can be known: then a poll is for those that were lost. */
  awake?(): boolean;
  close(): void;
}
