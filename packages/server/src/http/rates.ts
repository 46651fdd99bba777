/**
 * Token buckets in memory, one a caller and name: soft limits, forgotten by a restart. What must
 * not be guessed is bounded in the store.
 */
import type { Clock } from "@tidelock/core/ports";
import { Problem } from "../problem.ts";
import type { RateName } from "./route.ts";

export interface Rate {
  /** Per minute, and how many at once. */
  readonly perMinute: number;
  readonly burst: number;
  /** Whose: a device's, or an address's where nobody has signed in. */
  readonly of: "device" | "address" | "vault";
}

export const rates: Readonly<Record<RateName, Rate>> = {
  challenge: { perMinute: 30, burst: 30, of: "address" },
  "sign-in": { perMinute: 30, burst: 30, of: "address" },
  append: { perMinute: 12_000, burst: 1_000, of: "device" },
  write: { perMinute: 6_000, burst: 600, of: "device" },
  // Beside their own: a vault's many devices together must leave room for those of others.
  vault: { perMinute: 60_000, burst: 10_000, of: "vault" },
  read: { perMinute: 12_000, burst: 1_000, of: "device" },
  reserve: { perMinute: 20 / 60, burst: 20, of: "device" },
  operator: { perMinute: 6_000, burst: 600, of: "address" },
  slot: { perMinute: 20 / 60, burst: 20, of: "address" },
};

interface Bucket {
  left: number;
  at: number;
}

const MOST_CALLERS = 100_000;

export class Rates {
  readonly #clock: Clock;
  readonly #rates: Readonly<Record<RateName, Rate>>;
  /** The longest unused first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, changed: Partial<Record<RateName, Rate>> = {}) {
    this.#clock = clock;
    this.#rates = { ...rates, ...changed };
  }

  of(name: RateName): Rate["of"] {
    return this.#rates[name].of;
  }

  /** Throws `too-many` with the time after which one more is fine. */
  take(name: RateName, caller: string): void {
    const { perMinute, burst } = this.#rates[name];
    const now = this.#clock.mono();
    const key = `${name} ${caller}`;
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) * perMinute) / 60_000);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MOST_CALLERS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    if (bucket.left < 1)
      throw new Problem(
        "too-many",
        "the limit of this call is used up",
        ((1 - bucket.left) * 60_000) / perMinute,
      );
    bucket.left -= 1;
  }
}
