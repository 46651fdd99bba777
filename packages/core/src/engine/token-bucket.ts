/** So many bytes a second, evenly: who wants some waits for his turn, in the order of asking. Rule ENG30. */
import type { Clock, Scheduler } from "../ports.ts";

/** What may leave at once after a rest, s: a limit holds within 5 % over ten of them. */
const BURST = 0.5;
/** Of whoever asks for a piece. */
const LEAST = 1 << 10;
const MOST = 1 << 20;

export interface BucketDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Bytes a second; undefined: as fast as it goes. Asked each time, so that it may change. */
  readonly limit: () => number | undefined;
}

interface Wish {
  readonly bytes: number;
  readonly give: () => void;
}

export class TokenBucket {
  readonly #deps: BucketDeps;
  readonly #waiting: Wish[] = [];
  #tokens = Number.POSITIVE_INFINITY;
  #at: number;
  #cancel: (() => void) | undefined;

  constructor(deps: BucketDeps) {
    this.#deps = deps;
    this.#at = deps.clock.mono();
  }

  /** Bytes of a piece that keeps an even pace; undefined where nothing limits it. */
  piece(): number | undefined {
    const limit = this.#deps.limit();
    return limit === undefined ? undefined : Math.min(MOST, Math.max(LEAST, Math.floor((limit * BURST) / 4)));
  }

  take(bytes: number): Promise<void> {
    if (bytes <= 0 || (this.#deps.limit() === undefined && this.#waiting.length === 0))
      return Promise.resolve();
    return new Promise((give) => {
      this.#waiting.push({ bytes, give });
      this.#serve();
    });
  }

  /** What was taken and not used. */
  giveBack(bytes: number): void {
    this.#tokens += bytes;
    this.#serve();
  }

  /** The limit is another one. */
  changed(): void {
    this.#serve();
  }

  #serve(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const limit = this.#deps.limit();
    const most = limit === undefined ? Number.POSITIVE_INFINITY : limit * BURST;
    const now = this.#deps.clock.mono();
    if (limit !== undefined) this.#tokens += ((now - this.#at) / 1000) * limit;
    this.#tokens = Math.min(most, limit === undefined ? most : this.#tokens);
    this.#at = now;
    for (let wish = this.#waiting[0]; wish !== undefined; wish = this.#waiting[0]) {
      // A piece above what may leave at once goes when all of that is there, and leaves a debt.
      const missing = Math.min(wish.bytes, most) - this.#tokens;
      if (missing > 0) {
        const ms = Math.max(1, Math.ceil((missing / (limit ?? 1)) * 1000));
        this.#cancel = this.#deps.scheduler.after(ms, () => this.#serve());
        return;
      }
      this.#waiting.shift();
      this.#tokens -= wish.bytes;
      wish.give();
    }
  }
}
