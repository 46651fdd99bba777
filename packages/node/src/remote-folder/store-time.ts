import { toHex } from "@tidelock/core/bytes/bytes";
import type { Clock } from "@tidelock/core/ports";
import { ignoring } from "./errno.ts";
import type { Place } from "./place.ts";

/** How long a measured difference of the clocks is taken to hold. */
const FRESH = 600_000;
/** Below it, it is the coarseness of file times (FAT: two seconds), not a difference of clocks. */
const COARSEST_TIME = 2500;
const LATEST = 2 ** 48 - 1;

/**
 * The time by the clock of whatever stores the folder: this device's, corrected by how the time
 * of a file just written differs from it. Rule REM26.
 */
export class StoreTime {
  readonly #place: Place;
  readonly #clock: Clock;
  #offset = 0;
  #measured: { readonly now: number; readonly mono: number } | undefined;

  constructor(place: Place, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
  }

  async now(): Promise<number> {
    if (!this.#holds()) await this.#measure();
    return Math.min(Math.max(0, Math.round(this.#clock.now() + this.#offset)), LATEST);
  }

  #holds(): boolean {
    if (this.#measured === undefined) return false;
    const now = this.#clock.now() - this.#measured.now;
    const mono = this.#clock.mono() - this.#measured.mono;
    return mono < FRESH && Math.abs(now - mono) < COARSEST_TIME;
  }

  async #measure(): Promise<void> {
    const { fs, root, random } = this.#place;
    const path = `${root}/tmp/${toHex(random(16))}`;
    const before = this.#clock.now();
    try {
      await fs.writeFileNew(path, new Uint8Array(1));
      const { mtime } = await fs.stat(path);
      const difference = mtime - (before + this.#clock.now()) / 2;
      this.#offset = Math.abs(difference) < COARSEST_TIME ? 0 : difference;
      this.#measured = { now: this.#clock.now(), mono: this.#clock.mono() };
    } finally {
      await ignoring(fs.unlink(path));
    }
  }
}
