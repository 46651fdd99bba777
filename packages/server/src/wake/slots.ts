/** Who waits for an object of a rendezvous, so that a code typed on one device is seen on the other at once. */
import type { Scheduler } from "@tidelock/core/ports";

export class SlotWaiters {
  readonly #scheduler: Scheduler;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Resolves when something was put there, or after `ms`: look again in either case. */
  wait(key: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const all = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, all);
      const end = (): void => {
        cancel();
        all.delete(end);
        if (all.size === 0 && this.#waiting.get(key) === all) this.#waiting.delete(key);
        resolve();
      };
      const cancel = this.#scheduler.after(ms, end);
      all.add(end);
    });
  }

  tell(key: string): void {
    for (const end of this.#waiting.get(key) ?? []) end();
  }

  close(): void {
    for (const key of this.#waiting.keys()) this.tell(key);
  }
}
