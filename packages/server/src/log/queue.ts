/**
 * The way of every append: one queue a vault, one commit at a time. While a commit is under way
 * arrivals wait; then all vaults that have something are planned and committed together, so a flush
 * is shared by all of them. Rules SRV5 to SRV8.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Clock } from "@tidelock/core/ports";
import { Problem } from "../problem.ts";
import type { LogStore, StateQuery, VaultState, VaultWrite } from "../store.ts";
import { type Appended, type AppendRequest, needsRoster, type PlanRules, planAppends } from "./plan.ts";
import { Rosters } from "./rosters.ts";

export interface QueueOptions extends PlanRules {
  readonly store: LogStore;
  readonly clock: Clock;
  /** After entries are durable. */
  readonly placed: (write: VaultWrite) => void;
  /** What waits is refused beyond this many bytes. */
  readonly waitingBytes?: number;
}

interface Waiting {
  readonly request: AppendRequest;
  readonly bytes: number;
  readonly since: number;
  readonly resolve: (answer: Appended) => void;
  readonly reject: (error: unknown) => void;
}

interface VaultQueue {
  readonly vault: Uint8Array;
  readonly waiting: Waiting[];
}

const WAITING_BYTES = 256 << 20;
/** Bytes of one vault in one commit: what one append may have at least. */
const BATCH_BYTES = 2 * limits.appendBytes;
/** How often a vault is planned anew when another process was faster: each means that one of them has moved on. */
const TRIES = 20;

export class AppendQueue {
  readonly #options: QueueOptions;
  readonly #rosters: Rosters;
  /** By the hex of their ids, in the order in which they began to wait. */
  readonly #queues = new Map<string, VaultQueue>();
  /** Without an answer, in the order of their arrival: those that are being committed too. */
  readonly #open = new Set<Waiting>();
  #bytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#rosters = new Rosters(options.suite, options.store);
  }

  /** How long the oldest append without an answer has waited, ms: what overload is judged by. */
  delay(): number {
    const oldest = this.#open.values().next().value;
    return oldest === undefined ? 0 : this.#options.clock.mono() - oldest.since;
  }

  /** Rejects with `Problem` where nothing was placed, with anything else where that is not known. */
  append(vault: Uint8Array, request: AppendRequest): Promise<Appended> {
    const bytes = request.frames.reduce((sum, one) => sum + one.bytes.length, 0);
    if (this.#closed) return Promise.reject(new Problem("busy", "the server is stopping", 1_000));
    if (this.#bytes + bytes > (this.#options.waitingBytes ?? WAITING_BYTES))
      return Promise.reject(new Problem("busy", "too much waits to be written", 1_000));
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      const key = toHex(vault);
      const queue = this.#queues.get(key) ?? { vault, waiting: [] };
      const one = { request, bytes, since: this.#options.clock.mono(), resolve, reject };
      queue.waiting.push(one);
      this.#open.add(one);
      this.#queues.set(key, queue);
      this.#running ??= this.#run();
    });
  }

  /** Takes nothing more; resolves when all that was taken has its answer. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in this turn of the loop goes into the first batch too.
    await Promise.resolve();
    while (this.#queues.size > 0) {
      const batches = [...this.#queues].map(([key, queue]) => this.#take(key, queue));
      await Promise.all(batches.map(({ vault, batch }) => this.#commit(vault, batch)));
    }
    this.#running = undefined;
  }

  #take(key: string, queue: VaultQueue): { vault: Uint8Array; batch: Waiting[] } {
    let [frames, bytes, n] = [0, 0, 0];
    for (const one of queue.waiting) {
      frames += one.request.frames.length;
      bytes += one.bytes;
      if (n > 0 && (frames > limits.framesPerAppend || bytes > BATCH_BYTES)) break;
      n++;
    }
    const batch = queue.waiting.splice(0, n);
    if (queue.waiting.length === 0) this.#queues.delete(key);
    return { vault: queue.vault, batch };
  }

  async #commit(vault: Uint8Array, batch: readonly Waiting[]): Promise<void> {
    try {
      const answers = await this.#place(vault, batch);
      for (const [i, one] of batch.entries()) one.resolve(answers[i] as Appended);
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      for (const one of batch) {
        this.#bytes -= one.bytes;
        this.#open.delete(one);
      }
    }
  }

  async #place(vault: Uint8Array, batch: readonly Waiting[]): Promise<readonly Appended[]> {
    const { store, clock, placed } = this.#options;
    const requests = batch.map((one) => one.request);
    for (let tries = 0; tries < TRIES; tries++) {
      const state = await this.#load(vault, requests);
      if (state === undefined)
        return requests.map(() => ({ kind: "refused", code: "not-found", why: "no such vault" }));
      const roster = requests.some(needsRoster) ? await this.#rosters.at(state.row) : undefined;
      const {
        write,
        answers,
        roster: after,
      } = planAppends(this.#options, state, roster, requests, clock.now());
      if (write === undefined) return answers;
      const [taken] = await store.commit([write]);
      if (taken !== true) continue;
      if (after !== undefined) this.#rosters.keep(vault, write.head, after);
      placed(write);
      return answers;
    }
    throw new Problem("busy", "other processes write to this vault all the time", 1_000);
  }

  /** What the plan looks at. A frame with a number used before is compared with what stands there. */
  async #load(vault: Uint8Array, requests: readonly AppendRequest[]): Promise<VaultState | undefined> {
    const { store } = this.#options;
    const query: StateQuery = {
      vault,
      devices: eachOnce(requests.map((one) => one.sender.device)),
      persons: eachOnce(requests.map((one) => one.sender.person)),
      placed: [],
    };
    const state = await store.state(query);
    if (state === undefined) return undefined;
    const lastByDevice = new Map(state.devices.map((one) => [toHex(one.device), one.lastSeq]));
    const placed = requests.flatMap(({ sender, frames }) => {
      const last = lastByDevice.get(toHex(sender.device)) ?? 0;
      return frames
        .filter(({ frame }) => frame.deviceSeq <= last)
        .map(({ frame }) => ({ device: sender.device, deviceSeq: frame.deviceSeq }));
    });
    return placed.length === 0 ? state : store.state({ ...query, placed });
  }
}

/** Of a vault that many devices of one person write to, most of a batch is the same few rows. */
function eachOnce(ids: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...new Map(ids.map((id) => [toHex(id), id])).values()];
}
