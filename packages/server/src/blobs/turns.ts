/** One at a time for each blob: it must not be erased while it is put. */
import { toHex } from "@tidelock/core/bytes/bytes";

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs once what was begun before for the same has ended, however it did. */
  take<T>(name: Uint8Array, work: () => Promise<T>): Promise<T> {
    const key = toHex(name);
    const before = this.#last.get(key);
    const mine = before === undefined ? work() : before.then(work, work);
    this.#last.set(key, mine);
    const done = (): void => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
    mine.then(done, done);
    return mine;
  }
}
