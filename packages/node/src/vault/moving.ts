/** Files whose content is on its way, as a person watches it: how much of each has moved, and how long the rest may take. */
import type { Clock } from "@tidelock/core/ports";

export interface TransferItem {
  readonly id: string;
  /** Its path. */
  readonly name: string;
  readonly direction: "up" | "down";
  /** Plain ones, as the file has them. */
  readonly bytes: number;
  readonly total: number;
  readonly state: "waiting" | "sending" | "receiving";
}

export interface TransferSums {
  readonly bytes: number;
  readonly total: number;
  /** Absent while nothing has moved lately. */
  readonly bytesPerSecond?: number;
  readonly remainingMs?: number;
}

export interface TransferList {
  readonly items: readonly TransferItem[];
  readonly up: TransferSums;
  readonly down: TransferSums;
}

export interface Move {
  moved(bytes: number): void;
  /** It begins anew. */
  again(): void;
  end(): void;
}

interface Kept extends Omit<TransferItem, "state" | "bytes"> {
  bytes: number;
  /** Of those, how many have not left this device. */
  readonly behind: () => number;
}

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

/** What the pace is taken from, ms, and how finely. */
const WINDOW = 10_000;
const STEP = 250;

export class Moving {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  readonly #moved = { up: 0, down: 0 };
  readonly #samples: Record<TransferItem["direction"], Sample[]> = { up: [], down: [] };
  #next = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Before its first byte. `behind`: bytes that were cut and wait here. */
  begin(item: Pick<TransferItem, "name" | "direction" | "total">, behind: () => number = () => 0): Move {
    const kept: Kept = { ...item, id: String(this.#next++), bytes: 0, behind };
    this.#kept.set(kept.id, kept);
    return {
      moved: (bytes) => {
        kept.bytes = Math.min(kept.total, kept.bytes + bytes);
        this.#note(kept.direction, bytes);
      },
      again: () => {
        kept.bytes = 0;
      },
      end: () => void this.#kept.delete(kept.id),
    };
  }

  list(): TransferList {
    const items = [...this.#kept.values()].map(({ behind, ...kept }): TransferItem => {
      const bytes = Math.max(0, kept.bytes - behind());
      const state = kept.bytes === 0 ? "waiting" : kept.direction === "up" ? "sending" : "receiving";
      return { ...kept, bytes, state };
    });
    return { items, up: this.#sums("up", items), down: this.#sums("down", items) };
  }

  #note(way: TransferItem["direction"], bytes: number): void {
    const [samples, now] = [this.#samples[way], this.#clock.mono()];
    this.#moved[way] += bytes;
    if (now - (samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < STEP) return;
    samples.push({ at: now, bytes: this.#moved[way] });
    while ((samples[0]?.at ?? now) < now - WINDOW) samples.shift();
  }

  #sums(way: TransferItem["direction"], items: readonly TransferItem[]): TransferSums {
    const mine = items.filter(({ direction }) => direction === way);
    const bytes = mine.reduce((sum, one) => sum + one.bytes, 0);
    const total = mine.reduce((sum, one) => sum + one.total, 0);
    const now = this.#clock.mono();
    const first = this.#samples[way].find(({ at }) => at >= now - WINDOW);
    if (first === undefined || mine.length === 0 || now <= first.at || this.#moved[way] <= first.bytes)
      return { bytes, total };
    const pace = ((this.#moved[way] - first.bytes) * 1000) / (now - first.at);
    return {
      bytes,
      total,
      bytesPerSecond: Math.round(pace),
      remainingMs: Math.round(((total - bytes) * 1000) / pace),
    };
  }
}
