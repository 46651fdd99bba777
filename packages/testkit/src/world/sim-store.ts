import type { ReplicaStore } from "@tidelock/core/ports";
import type { Disk, DiskImage } from "./parts.ts";
import type { Stream } from "./random.ts";
import { SimCrash } from "./world.ts";

export interface StoreHooks {
  /** May throw: a crash, or `disk-full`. */
  readonly before: () => void;
  /** All is written, nothing committed yet. May throw. */
  readonly commit: () => void;
  /** Durable. May throw a crash. */
  readonly after: () => void;
}

/** A device's replica while the device lives: it can fail or end at each transaction. */
export class SimStore implements ReplicaStore {
  #inner: ReplicaStore;
  #depth = 0;
  #onCommit: (() => void)[] = [];
  readonly #disk: Disk;
  #unfill: (() => void) | undefined;
  readonly #watched: ReadonlySet<string>;
  /** Whether a watched space was written since somebody last set this to false. */
  touched = false;
  readonly #hooks: StoreHooks;

  constructor(disk: Disk, watched: readonly string[], hooks: StoreHooks) {
    this.#watched = new Set(watched);
    this.#disk = disk;
    this.#inner = disk.store;
    this.#hooks = hooks;
  }

  /** Every later call throws; what is durable is returned. */
  kill(power: Stream | undefined): DiskImage {
    this.#inner = dead;
    this.#onCommit = [];
    return this.#disk.end(power);
  }

  image(): DiskImage {
    return this.#disk.image();
  }

  /** The disk is full for the transaction that begins; false where only the caller can play that. */
  fill(): boolean {
    this.#unfill = this.#disk.fill?.();
    return this.#unfill !== undefined;
  }

  /** Runs `work` once the transaction under way is durable; never if it is not. */
  onCommit(work: () => void): void {
    this.#onCommit.push(work);
  }

  transaction<T>(work: () => T): T {
    const inner = this.#inner;
    if (this.#depth > 0) return inner.transaction(work);
    const hooks = this.#hooks;
    this.#depth++;
    let value: T;
    try {
      hooks.before();
      value = inner.transaction(() => {
        const result = work();
        hooks.commit();
        return result;
      });
    } catch (error) {
      this.#onCommit = [];
      throw error;
    } finally {
      this.#depth--;
      if (this.#inner === inner) this.#unfill?.();
      this.#unfill = undefined;
    }
    if (this.#onCommit.length > 0) {
      const told = this.#onCommit;
      this.#onCommit = [];
      for (const tell of told) tell();
    }
    hooks.after();
    return value;
  }

  get(space: string, key: Uint8Array): Uint8Array | undefined {
    return this.#inner.get(space, key);
  }

  put(space: string, key: Uint8Array, value: Uint8Array): void {
    if (!this.touched && this.#watched.has(space)) this.touched = true;
    this.#inner.put(space, key, value);
  }

  delete(space: string, key: Uint8Array): void {
    if (!this.touched && this.#watched.has(space)) this.touched = true;
    this.#inner.delete(space, key);
  }

  scan(
    space: string,
    from: Uint8Array,
    to: Uint8Array | undefined,
    limit?: number,
  ): [Uint8Array, Uint8Array][] {
    return this.#inner.scan(space, from, to, limit);
  }

  last(space: string, from: Uint8Array, to: Uint8Array | undefined): [Uint8Array, Uint8Array] | undefined {
    return this.#inner.last(space, from, to);
  }

  count(space: string): number {
    return this.#inner.count(space);
  }

  close(): void {}
}

const gone = (): never => {
  throw new SimCrash();
};

const dead: ReplicaStore = {
  transaction: gone,
  get: gone,
  put: gone,
  delete: gone,
  scan: gone,
  last: gone,
  count: gone,
  close: () => undefined,
};
