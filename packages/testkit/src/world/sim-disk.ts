import type { FileStat, Fs } from "@tidelock/core/ports-fs";
import { type Cut, DiskImage, errno } from "./sim-image.ts";

export type DiskCallName = Exclude<keyof Fs, "watch">;

export interface DiskCall {
  /** `hint` is the delivery of a watcher's hint: only `schedule` sees it. */
  readonly op: DiskCallName | "hint";
  readonly path: string;
  /** The new name, of `link` and `rename`. */
  readonly to?: string;
}

/** What a world does to the calls of one mount. Without hooks each call is done at once. */
export interface DiskHooks {
  /** The errno name with which a call fails before it did anything; a failing write or sync leaves its traces. */
  readonly before?: (call: DiskCall) => string | undefined;
  /** The errno name with which a call fails that was done. */
  readonly after?: (call: DiskCall) => string | undefined;
  /** Runs `step` when it is its turn: first the effect, then the answer. Dropping it is a call that never ends. */
  readonly schedule?: (step: () => void, call: DiskCall) => void;
}

export interface DiskOptions {
  readonly now: () => number;
  /** False for a file system without hard links, as exFAT: `link` fails with `EPERM`. */
  readonly links?: boolean;
  /** Bytes of contents it has room for; beyond them `ENOSPC`. */
  readonly capacity?: number;
}

/** One process's view of the disk. */
export interface SimMount extends Fs {
  /** The process dies: its calls take no effect from now on and never settle. The page cache stays. */
  kill(): void;
}

/**
 * A disk with a page cache, for code that must survive power cuts. A file is a durable image and
 * unsynced writes in sectors of 512 bytes, a directory durable entries and unsynced changes; what
 * a cut leaves of the unsynced is drawn. Several mounts are several processes on one machine.
 */
export class SimDisk {
  readonly #image: DiskImage;
  #mounts: Mount[] = [];

  constructor(options: DiskOptions) {
    const { now, links = true, capacity = Number.POSITIVE_INFINITY } = options;
    this.#image = new DiskImage({ now, links, capacity });
  }

  mount(hooks: DiskHooks = {}): SimMount {
    const mount = new Mount(this.#image, hooks);
    this.#mounts.push(mount);
    return mount;
  }

  /** Power goes and comes back. All mounts are dead; mount again. */
  powerCut(random: () => number, cut?: Cut): void {
    for (const mount of this.#mounts) mount.kill();
    this.#mounts = [];
    const cuts: readonly Cut[] = ["lose-all", "prefix", "subset", "torn"];
    this.#image.powerCut(random, cut ?? (cuts[Math.floor(random() * cuts.length)] as Cut));
  }

  /** Every change fails with `EROFS`. */
  set readOnly(value: boolean) {
    this.#image.readOnly = value;
  }
}

class Mount implements SimMount {
  readonly #image: DiskImage;
  readonly #hooks: DiskHooks;
  #dead = false;

  constructor(image: DiskImage, hooks: DiskHooks) {
    this.#image = image;
    this.#hooks = hooks;
  }

  kill(): void {
    this.#dead = true;
  }

  readFile(path: string, max: number, at?: number): Promise<Uint8Array> {
    return this.#call({ op: "readFile", path }, () => this.#image.readFile(path, max, at));
  }

  writeFileNew(path: string, bytes: Uint8Array): Promise<void> {
    return this.#call(
      { op: "writeFileNew", path },
      () => this.#image.writeFileNew(path, bytes),
      // A write that fails has often begun.
      () => this.#image.writeFileNew(path, bytes.subarray(0, bytes.length >> 1)),
    );
  }

  syncFile(path: string): Promise<void> {
    return this.#call(
      { op: "syncFile", path },
      () => this.#image.syncFile(path),
      () => this.#image.failSyncFile(path),
    );
  }

  link(from: string, to: string): Promise<void> {
    return this.#call({ op: "link", path: from, to }, () => this.#image.link(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#call({ op: "unlink", path }, () => this.#image.unlink(path));
  }

  mkdir(path: string): Promise<void> {
    return this.#call({ op: "mkdir", path }, () => this.#image.mkdir(path));
  }

  rmdir(path: string): Promise<void> {
    return this.#call({ op: "rmdir", path }, () => this.#image.rmdir(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call({ op: "rename", path: from, to }, () => this.#image.rename(from, to));
  }

  readdir(path: string): Promise<readonly string[]> {
    return this.#call({ op: "readdir", path }, () => this.#image.readdir(path));
  }

  stat(path: string): Promise<FileStat> {
    return this.#call({ op: "stat", path }, () => this.#image.stat(path));
  }

  syncDir(path: string): Promise<void> {
    return this.#call(
      { op: "syncDir", path },
      () => this.#image.syncDir(path),
      () => this.#image.failSyncDir(path),
    );
  }

  watch(path: string, hint: () => void): () => void {
    const deliver = (): void => {
      if (!this.#dead) hint();
    };
    const { schedule } = this.#hooks;
    try {
      return this.#image.watch(path, () =>
        schedule === undefined
          ? void Promise.resolve().then(deliver)
          : schedule(deliver, { op: "hint", path }),
      );
    } catch {
      return () => {};
    }
  }

  #call<T>(call: DiskCall, effect: () => T, spoil?: () => void): Promise<T> {
    if (this.#dead) return new Promise(() => {});
    const { schedule } = this.#hooks;
    if (schedule === undefined) {
      try {
        const value = this.#now(call, effect, spoil);
        return this.#dead ? new Promise(() => {}) : Promise.resolve(value);
      } catch (error) {
        return this.#dead ? new Promise(() => {}) : Promise.reject(error as Error);
      }
    }
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void): void => schedule(() => this.#dead || settle(), call);
      schedule(() => {
        if (this.#dead) return;
        try {
          const value = this.#now(call, effect, spoil);
          answer(() => resolve(value));
        } catch (error) {
          answer(() => reject(error as Error));
        }
      }, call);
    });
  }

  /** A hook may kill this process or cut the power: then nothing more is done, and nothing answered. */
  #now<T>(call: DiskCall, effect: () => T, spoil: (() => void) | undefined): T {
    const before = this.#hooks.before?.(call);
    if (this.#dead) throw errno("EIO", call.path);
    if (before !== undefined) {
      spoil?.();
      throw errno(before, call.path);
    }
    const value = effect();
    const after = this.#hooks.after?.(call);
    if (after !== undefined) throw errno(after, call.path);
    return value;
  }
}
