/** The model of a remote: one vault's log and blobs, in order, durable at once. Networks come on top. */
import type { Suite } from "@tidelock/core/crypto/suite";
import { endOf, holdsFrames } from "@tidelock/core/log/page";
import type { AppendResult, LogObject, Page } from "@tidelock/core/ports";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { BlobShelf } from "../blob-shelf.ts";
import { ChainWalk } from "./chain.ts";

/** Everything that stands on a remote, as its holder sees it. */
export interface Shelf {
  readonly genesis: Uint8Array | undefined;
  /** The newest seq by the count of honest readers. */
  readonly head: number;
  readonly objects: readonly LogObject[];
  blobs(): Iterable<Uint8Array>;
  read(after: number, bytes: number): Page;
  /** Puts a page at the next number, as whoever holds the storage may. Each is absent where the world cannot do it to such a remote. */
  readonly place?: (prev: Uint8Array | null, frames: readonly Uint8Array[], time: number) => void;
  readonly placeGarbage?: (bytes: Uint8Array) => void;
  readonly rewrite?: (index: number, object: LogObject) => void;
  readonly truncate?: (objects: number) => void;
}

export class LogServer implements Shelf {
  readonly #suite: Suite;
  readonly #keepsPrev: boolean;
  readonly objects: LogObject[] = [];
  readonly shelf: BlobShelf = new BlobShelf();
  #walk: ChainWalk | undefined;
  #walked = 0;
  genesis: Uint8Array | undefined;
  /** Called when the log has grown. */
  onGrowth: () => void = () => undefined;

  constructor(suite: Suite, keepsPrev: boolean) {
    this.#suite = suite;
    this.#keepsPrev = keepsPrev;
  }

  get head(): number {
    const last = this.objects.at(-1);
    return last === undefined ? 0 : endOf(last);
  }

  create(genesis: Uint8Array): "created" | "exists" {
    this.genesis ??= genesis.slice();
    return same(this.genesis, genesis) ? "created" : "exists";
  }

  read(after: number, bytes: number): Page {
    const objects: LogObject[] = [];
    let left = bytes;
    for (let i = this.#firstAfter(after); i < this.objects.length && left > 0; i++) {
      const object = this.objects[i] as LogObject;
      objects.push(object);
      left -= sizeOf(object);
    }
    return { objects, head: this.head };
  }

  append(
    frames: readonly Uint8Array[],
    seen: { readonly seq: number; readonly hash: Uint8Array },
    time: number,
  ): AppendResult {
    const { head } = this;
    if (seen.seq === head) {
      this.place(this.#keepsPrev ? seen.hash : null, frames, time);
      // Who does not keep what its writers say knows the chain by itself, and says it.
      const hash = this.#keepsPrev ? undefined : this.#chainHash();
      return { kind: "committed", first: head + 1, ...(hash && { receipt: { time, hash } }) };
    }
    const there = this.objects[this.#firstAfter(seen.seq)];
    const mine = there !== undefined && there.first === seen.seq + 1 && holdsFrames(there, frames);
    return mine ? { kind: "committed", first: there.first } : { kind: "behind" };
  }

  blobs(): Iterable<Uint8Array> {
    return this.shelf.bytes.values();
  }

  /** When an entry was placed. */
  timeOf(seq: number): number | undefined {
    const object = this.objects[this.#firstAfter(seq) - 1];
    return object?.kind === "page" ? object.entries[seq - object.first]?.time : undefined;
  }

  rewrite = (index: number, object: LogObject): void => {
    this.objects[index] = object;
    this.#walk = undefined;
  };

  truncate = (objects: number): void => {
    this.objects.length -= objects;
    this.#walk = undefined;
  };

  place(prev: Uint8Array | null, frames: readonly Uint8Array[], time: number): void {
    const entries = frames.map((frame) => ({ time, frame: frame.slice() }));
    this.objects.push(new ModelPage(this.#suite, this.head + 1, prev?.slice() ?? null, entries));
    this.onGrowth();
  }

  /** Places the end of an append without its beginning; a single frame it places twice. */
  tear(frames: readonly Uint8Array[], prev: Uint8Array, time: number): void {
    const kept = frames.length === 1 ? [...frames, ...frames] : frames.slice(frames.length >> 1);
    this.place(this.#keepsPrev ? prev : null, kept, time);
  }

  placeGarbage(bytes: Uint8Array): void {
    this.objects.push({ kind: "garbage", first: this.head + 1, hash: this.#suite.sha256(bytes) });
    this.onGrowth();
  }

  /** The chain hash at the head. */
  #chainHash(): Uint8Array {
    if (this.#walk === undefined) {
      const genesis = parseGenesis(this.#suite, this.genesis as Uint8Array);
      this.#walk = new ChainWalk(this.#suite, (genesis as { vault: Uint8Array }).vault);
      this.#walked = 0;
    }
    for (; this.#walked < this.objects.length; this.#walked++)
      this.#walk.add(this.objects[this.#walked] as LogObject);
    return this.#walk.links.at(-1) as Uint8Array;
  }

  /** Index of the first object that begins after `seq`. */
  #firstAfter(seq: number): number {
    let low = 0;
    let high = this.objects.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.objects[middle] as LogObject).first <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

class ModelPage {
  readonly kind = "page";
  readonly #suite: Suite;
  #hash: Uint8Array | undefined;
  readonly first: number;
  readonly prev: Uint8Array | null;
  readonly entries: readonly { readonly time: number; readonly frame: Uint8Array }[];

  constructor(
    suite: Suite,
    first: number,
    prev: Uint8Array | null,
    entries: readonly { readonly time: number; readonly frame: Uint8Array }[],
  ) {
    this.#suite = suite;
    this.first = first;
    this.prev = prev;
    this.entries = entries;
  }

  /** Asked for only where a page does not join the reader's history. */
  get hash(): Uint8Array {
    this.#hash ??= this.#suite.sha256(
      Uint8Array.of(this.first, this.entries.length),
      this.prev ?? new Uint8Array(0),
      ...this.entries.map((e) => e.frame),
    );
    return this.#hash;
  }
}

function sizeOf(object: LogObject): number {
  return object.kind === "garbage" ? 64 : object.entries.reduce((sum, e) => sum + e.frame.length, 64);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
