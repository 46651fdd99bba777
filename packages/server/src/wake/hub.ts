/**
 * Who is told that a vault has something new. A hint holds no data and may be lost: reading is by
 * HTTP. The first hint of a quiet vault leaves at once; while more comes, one per interval, the
 * newest seq only. Many sockets are told in slices, so that nothing else waits for them.
 * Rules SRV60 to SRV65.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Clock, Scheduler } from "@tidelock/core/ports";

export interface Hint {
  readonly vault: Uint8Array;
  readonly seq: number;
  /** The message, written once for all who are told. */
  readonly text: string;
}

/** One connection as the hub sees it. */
export interface Listener {
  readonly wake: (hint: Hint) => void;
  readonly gone: (vault: Uint8Array) => void;
  /** What the connection's session says. */
  readonly device: string;
  readonly person: string;
}

interface Topic {
  readonly vault: Uint8Array;
  readonly listeners: Set<Listener>;
  /** Newest seq that was not told yet. */
  due: number | undefined;
  /** A timer or a slice is under way. */
  busy: boolean;
}

const INTERVAL = 20;
const CROWD = { size: 1000, interval: 50 };
const SLICE = 500;

export class WakeHub {
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  /** By the vault's hex. */
  readonly #topics = new Map<string, Topic>();
  /** How to end a device's connections, by the device. */
  readonly #connections = new Map<string, Set<() => void>>();

  constructor(clock: Clock, scheduler: Scheduler) {
    this.#clock = clock;
    this.#scheduler = scheduler;
  }

  /** The answer ends it. */
  subscribe(vault: Uint8Array, listener: Listener): () => void {
    const key = toHex(vault);
    const topic = this.#topics.get(key) ?? { vault, listeners: new Set(), due: undefined, busy: false };
    this.#topics.set(key, topic);
    topic.listeners.add(listener);
    return () => {
      topic.listeners.delete(listener);
      if (topic.listeners.size === 0 && this.#topics.get(key) === topic) this.#topics.delete(key);
    };
  }

  /** After entries are durable. */
  placed(vault: Uint8Array, seq: number): void {
    const topic = this.#topics.get(toHex(vault));
    if (topic === undefined) return;
    topic.due = Math.max(topic.due ?? 0, seq);
    if (!topic.busy) this.#tell(topic);
  }

  /** A device, or all devices of a person, that may no longer know of the vault. */
  removed(vault: Uint8Array, who: string): void {
    for (const listener of this.#topics.get(toHex(vault))?.listeners ?? [])
      if (listener.device === who || listener.person === who) listener.gone(vault);
  }

  /** A connection of a device, whatever it listens to. The answer forgets it. */
  connected(device: string, end: () => void): () => void {
    const all = this.#connections.get(device) ?? new Set();
    this.#connections.set(device, all);
    all.add(end);
    return () => {
      all.delete(end);
      if (all.size === 0 && this.#connections.get(device) === all) this.#connections.delete(device);
    };
  }

  /** How many connections a device has. */
  connectionsOf(device: string): number {
    return this.#connections.get(device)?.size ?? 0;
  }

  /** Ends the connections of a device: who may come back is judged anew. */
  disconnect(device: string): void {
    for (const end of this.#connections.get(device) ?? []) end();
  }

  /** The same for every device that listens to the vault. */
  disconnectVault(vault: Uint8Array): void {
    const devices = new Set([...(this.#topics.get(toHex(vault))?.listeners ?? [])].map((one) => one.device));
    for (const device of devices) this.disconnect(device);
  }

  size(): number {
    let count = 0;
    for (const { listeners } of this.#topics.values()) count += listeners.size;
    return count;
  }

  #tell(topic: Topic): void {
    const seq = topic.due;
    if (seq === undefined) {
      topic.busy = false;
      return;
    }
    topic.due = undefined;
    topic.busy = true;
    const started = this.#clock.mono();
    const { vault } = topic;
    const hint = { vault, seq, text: JSON.stringify({ t: "wake", v: toBase64Url(vault), seq }) };
    this.#slice(topic, [...topic.listeners], 0, hint, () => {
      const interval = topic.listeners.size > CROWD.size ? CROWD.interval : INTERVAL;
      const left = Math.max(0, interval - (this.#clock.mono() - started));
      this.#scheduler.after(left, () => this.#tell(topic));
    });
  }

  #slice(topic: Topic, all: readonly Listener[], from: number, hint: Hint, done: () => void): void {
    const to = Math.min(all.length, from + SLICE);
    for (let i = from; i < to; i++) {
      const listener = all[i] as Listener;
      if (topic.listeners.has(listener)) listener.wake(hint);
    }
    if (to === all.length) done();
    else this.#scheduler.after(0, () => this.#slice(topic, all, to, hint, done));
  }
}
