import type { Sealed } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import {
  checkAppend,
  encodePage,
  endOf,
  holdsFrames,
  MOST_STRAYS,
  objectAt,
  type PageEntry,
} from "@tidelock/core/log/page";
import type {
  AppendResult,
  BlobList,
  Failure,
  LogObject,
  Page,
  Remote,
  RemoteCaps,
  Result,
} from "@tidelock/core/ports";
import { BlobShelf } from "./blob-shelf.ts";

export type RemoteCallName =
  | "create"
  | "genesis"
  | "read"
  | "append"
  | "putBlob"
  | "getBlob"
  | "listBlobs"
  | "deleteBlobs";

export interface RemoteCall {
  readonly op: RemoteCallName;
  /** The number an append goes to, the one a read starts after, or where blobs were given up. */
  readonly seq?: number;
}

/** What a world does to one device's calls. A promise that never settles is a request without an answer. */
export interface RemoteHooks {
  /** Answered instead, with nothing done. `unknown` is for `append` alone; elsewhere it is `unreachable`. */
  readonly before?: (call: RemoteCall) => Refused | Promise<Refused>;
  /** `lost`: it was done, and the answer did not come back. */
  readonly after?: (call: RemoteCall) => Lost | Promise<Lost>;
  /** Brings a hint to the device, now, later or never. */
  readonly hint?: (deliver: () => void) => void;
}

export type Refused = Failure | { readonly kind: "unknown" } | undefined;
export type Lost = "lost" | undefined;

export interface VaultLogOptions {
  /** The place's own clock: receive times. */
  readonly now: () => number;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

/**
 * The place that several devices' memory remotes share: one vault's log and blobs, durable at
 * once. Attacks change it directly, as somebody with the credentials of the storage would.
 */
export class MemoryVaultLog {
  readonly #now: () => number;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly #objects = new Map<number, LogObject>();
  #head: number | undefined = 0;
  genesis: Uint8Array | undefined;
  readonly shelf: BlobShelf = new BlobShelf();
  readonly hints: Set<() => void> = new Set();

  constructor(options: VaultLogOptions) {
    this.#now = options.now;
    this.sha256 = options.sha256;
  }

  /** By the lower-case hex of their ids. */
  get blobs(): Map<string, Uint8Array> {
    return this.shelf.bytes;
  }

  now(): number {
    return this.#now();
  }

  at(number: number): LogObject | undefined {
    return this.#objects.get(number);
  }

  /** In order. */
  numbers(): number[] {
    return [...this.#objects.keys()].sort((a, b) => a - b);
  }

  /** The object's bytes as a folder or bucket would store them. */
  bytesAt(number: number): Uint8Array | undefined {
    const object = this.#objects.get(number);
    if (object === undefined) return undefined;
    return object.kind === "page" ? encodePage(object) : (object as Garbage).bytes;
  }

  /** When an entry was placed. */
  timeOf(seq: number): number | undefined {
    for (let number = seq; number > Math.max(0, seq - limits.framesPerAppend); number--) {
      const object = this.#objects.get(number);
      if (object !== undefined)
        return object.kind === "page" ? object.entries[seq - number]?.time : undefined;
    }
    return undefined;
  }

  /** The end of the newest object, or of one before it that reaches further. */
  head(): number {
    this.#head ??= this.#findHead();
    return this.#head;
  }

  /** Puts a page where nothing stands; false where something does. */
  place(first: number, prev: Uint8Array, frames: readonly Uint8Array[]): boolean {
    if (this.#objects.has(first)) return false;
    const time = this.#now();
    const entries = frames.map((frame) => ({ time, frame: new Uint8Array(frame) }));
    this.#objects.set(first, new StoredPage(first, new Uint8Array(prev), entries, this.sha256));
    if (this.#head !== undefined) this.#head = Math.max(this.#head, first + frames.length - 1);
    for (const hint of this.hints) hint();
    return true;
  }

  /** Attack: any bytes at a number, over whatever stands there. */
  put(number: number, bytes: Uint8Array): void {
    const object = objectAt(number, bytes.subarray(0, limits.garbageHashed), this.sha256);
    const stored: LogObject | Garbage = object.kind === "page" ? object : { ...object, bytes };
    this.#objects.set(number, stored);
    this.#head = undefined;
  }

  /** Attack: the object is gone. */
  drop(number: number): void {
    this.#objects.delete(number);
    this.#head = undefined;
  }

  /** Attack: the objects exchange their numbers. */
  swap(a: number, b: number): void {
    const [atA, atB] = [this.bytesAt(a), this.bytesAt(b)];
    if (atA === undefined || atB === undefined) throw new RangeError("nothing to swap");
    this.put(a, atB);
    this.put(b, atA);
  }

  /** Attack: the entries of a page are replaced. */
  alter(number: number, change: (entries: readonly PageEntry[]) => readonly PageEntry[]): void {
    const object = this.#objects.get(number);
    if (object?.kind !== "page") throw new RangeError("no page to alter");
    this.put(number, encodePage({ ...object, prev: object.prev, entries: change(object.entries) }));
  }

  /** Attack, or a restored backup: everything after `seq` is gone. */
  rollBack(seq: number): void {
    for (const [number, object] of this.#objects) if (endOf(object) > seq) this.#objects.delete(number);
    this.#head = undefined;
  }

  #findHead(): number {
    let newest = 0;
    for (const number of this.#objects.keys()) newest = Math.max(newest, number);
    let head = 0;
    for (let number = newest; number > newest - limits.framesPerAppend; number--) {
      const object = this.#objects.get(number);
      if (object !== undefined) head = Math.max(head, endOf(object));
    }
    return head;
  }
}

type Garbage = LogObject & { readonly kind: "garbage"; readonly bytes: Uint8Array };

/** Hashed only when somebody asks: most pages are taken as they are. */
class StoredPage {
  readonly kind = "page";
  readonly first: number;
  readonly prev: Uint8Array;
  readonly entries: readonly PageEntry[];
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;
  #hash: Uint8Array | undefined;

  constructor(
    first: number,
    prev: Uint8Array,
    entries: readonly PageEntry[],
    sha256: (bytes: Uint8Array) => Uint8Array,
  ) {
    this.first = first;
    this.prev = prev;
    this.entries = entries;
    this.#sha256 = sha256;
  }

  get hash(): Uint8Array {
    this.#hash ??= this.#sha256(encodePage(this));
    return this.#hash;
  }
}

const caps: RemoteCaps = { wake: true, deletes: true, accounts: false, links: false };

/** One device's remote on `log`: the model that every real remote is held against. */
export function createMemoryRemote(log: MemoryVaultLog, hooks: RemoteHooks = {}): Remote {
  const closing = new Set<() => void>();

  async function call<R>(
    what: RemoteCall,
    work: () => R,
  ): Promise<R | Failure | { readonly kind: "unknown" }> {
    const asked = hooks.before?.(what);
    const refused = asked instanceof Promise ? await asked : asked;
    if (refused !== undefined) return refused;
    const result = work();
    const answered = hooks.after?.(what);
    const lost = answered instanceof Promise ? await answered : answered;
    return lost === "lost" ? { kind: "unknown" } : result;
  }

  return {
    caps,

    async create(genesis: Sealed): Promise<Result<"created"> | { readonly kind: "exists" }> {
      checkSize(genesis, limits.genesis);
      return certain(
        await call<Result<"created"> | { readonly kind: "exists" }>({ op: "create" }, () => {
          log.genesis ??= new Uint8Array(genesis);
          return equalBytes(log.genesis, genesis) ? { kind: "ok", value: "created" } : { kind: "exists" };
        }),
      );
    },

    async genesis(): Promise<Result<Uint8Array | undefined>> {
      return certain(
        await call<Result<Uint8Array | undefined>>({ op: "genesis" }, () => ({
          kind: "ok",
          value: log.genesis,
        })),
      );
    },

    async read(after, want): Promise<Result<Page>> {
      return certain(
        await call<Result<Page>>({ op: "read", seq: after }, () => ({
          kind: "ok",
          value: pageOf(log, after, want),
        })),
      );
    },

    async append(frames, seen): Promise<AppendResult> {
      checkAppend(frames, seen);
      const first = seen.seq + 1;
      return call<AppendResult>({ op: "append", seq: first }, () => {
        if (log.place(first, seen.hash, frames)) return { kind: "committed", first };
        const found = log.at(first);
        return found !== undefined && holdsFrames(found, frames)
          ? { kind: "committed", first }
          : { kind: "behind" };
      });
    },

    async putBlob(id, bytes): Promise<Result<"stored">> {
      checkSize(bytes, limits.blob);
      if (!equalBytes(log.sha256(bytes), id)) throw new RangeError("a blob under another hash");
      return certain(
        await call<Result<"stored">>({ op: "putBlob" }, () => {
          log.shelf.put(id, bytes, log.now());
          return { kind: "ok", value: "stored" };
        }),
      );
    },

    async getBlob(id, part): Promise<Result<Uint8Array | undefined>> {
      if (id.length !== 32) throw new RangeError("a blob's name has 32 bytes");
      return certain(
        await call<Result<Uint8Array | undefined>>({ op: "getBlob" }, () => ({
          kind: "ok",
          value: log.shelf.get(id, part),
        })),
      );
    },

    async listBlobs(after): Promise<Result<BlobList>> {
      return certain(
        await call<Result<BlobList>>({ op: "listBlobs" }, () => ({
          kind: "ok",
          value: log.shelf.list(after, log.now()),
        })),
      );
    },

    async deleteBlobs(ids, condemnedAt): Promise<Result<readonly Uint8Array[]>> {
      if (ids.length > limits.blobsPerCall) throw new RangeError("more blobs than one call takes");
      return certain(
        await call<Result<readonly Uint8Array[]>>({ op: "deleteBlobs", seq: condemnedAt }, () => ({
          kind: "ok",
          value: log.shelf.delete(ids, log.now(), log.timeOf(condemnedAt)),
        })),
      );
    },

    wake(hint): () => void {
      const listener = (): void => {
        const seq = log.head();
        const deliver = (): void => hint(seq);
        if (hooks.hint === undefined) deliver();
        else hooks.hint(deliver);
      };
      const stop = (): void => {
        log.hints.delete(listener);
        closing.delete(stop);
      };
      log.hints.add(listener);
      closing.add(stop);
      return stop;
    },

    close(): void {
      for (const stop of closing) stop();
    },
  };
}

function pageOf(
  log: MemoryVaultLog,
  after: number,
  want: { readonly frames: number; readonly bytes: number },
): Page {
  const objects: LogObject[] = [];
  let [frames, bytes] = [0, 0];
  for (let number = after + 1; objects.length === 0 || (frames < want.frames && bytes < want.bytes); ) {
    const object = log.at(number);
    if (object === undefined) break;
    objects.push(object);
    if (object.kind === "page") for (const entry of object.entries) bytes += entry.frame.length;
    number = endOf(object) + 1;
    frames = number - after - 1;
  }
  const head = log.head();
  return { objects, head: objects.length === 0 && head > after ? headBelow(log, after, head) : head };
}

/** A few objects above a gap that are no pages are no part of the log until it gets there (REM13). */
function headBelow(log: MemoryVaultLog, after: number, head: number): number {
  const numbers = log.numbers();
  const above = numbers.filter((number) => number > after);
  if (above.length > MOST_STRAYS || above.some((number) => log.at(number)?.kind === "page")) return head;
  const below = numbers
    .filter((number) => number <= after)
    .map((number) => endOf(log.at(number) as LogObject));
  return Math.max(0, ...below);
}

/** Only an append has outcomes that matter: elsewhere the same call settles it. */
function certain<R>(result: R | Failure | { readonly kind: "unknown" }): R | Failure {
  const lost = (result as { readonly kind?: string }).kind === "unknown";
  return lost ? { kind: "unreachable", why: "no answer" } : (result as R | Failure);
}

function checkSize(bytes: Uint8Array, max: number): void {
  if (bytes.length === 0 || bytes.length > max) throw new RangeError("bytes outside their size");
}
