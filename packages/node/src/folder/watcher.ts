/**
 * Hints of the system about the folders of a tree, one watch a folder: a hint names the folder to
 * look at again, and a simulated disk can give the same. The scan stays the truth, because hints
 * get lost: an overflow of the kernel's queue is not even told.
 */
import type { Clock, Scheduler } from "@tidelock/core/ports";
import type { FolderFs } from "@tidelock/core/ports-fs";

export interface WatcherDeps {
  readonly fs: FolderFs;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly root: string;
  /** Something in this folder may have changed. */
  readonly hint: (folder: string) => void;
  /** Time for a look at everything. */
  readonly due: () => void;
}

/** Between two looks at everything: with hints, and without, ms. The second grows while nothing changes. */
const HEALTHY = 600_000;
const LIMITED = 60_000;

export class Watcher {
  readonly #deps: WatcherDeps;
  readonly #stopByFolder = new Map<string, () => void>();
  #limited = false;
  #pause = LIMITED;
  #cancel: () => void = () => undefined;
  #closed = false;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
    this.#again();
  }

  /** The system has no watches left, or does not watch here. */
  get limited(): boolean {
    return this.#limited;
  }

  enter(folder: string): void {
    if (this.#closed || this.#limited || this.#stopByFolder.has(folder)) return;
    const { fs, root, hint } = this.#deps;
    const path = folder === "" ? root : `${root}/${folder}`;
    const lost = (): void => {
      this.leave(folder);
      // A folder that goes takes its watch with it; the hint about its parent says so too.
      void fs.look(path).then(
        () => this.#limit(),
        () => undefined,
      );
    };
    this.#stopByFolder.set(
      folder,
      fs.hints(path, () => hint(folder), lost),
    );
  }

  leave(folder: string): void {
    this.#stopByFolder.get(folder)?.();
    this.#stopByFolder.delete(folder);
  }

  /** What a look at everything found, where hints alone should have told of it. */
  looked(found: boolean): void {
    this.#pause = found ? LIMITED : Math.min(HEALTHY, this.#pause * 2);
  }

  #limit(): void {
    if (this.#closed || this.#limited) return;
    this.#limited = true;
    this.#again();
  }

  #again(): void {
    this.#cancel();
    this.#cancel = this.#deps.scheduler.after(this.#limited ? this.#pause : HEALTHY, () => {
      if (this.#closed) return;
      this.#deps.due();
      this.#again();
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    for (const stop of this.#stopByFolder.values()) stop();
    this.#stopByFolder.clear();
  }
}
