/**
 * A vault on several devices without keys, network or clock: one shared log of decoded runs, and
 * per device an `Engine` over the real tables kind. Confirms when told to.
 */
import { u64Key } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Engine, LocalRun, Verdict } from "@tidelock/core/engine/api";
import { getCursor, META, putCursor } from "@tidelock/core/engine/entries";
import type { TablesKind } from "@tidelock/core/kinds/tables/tables";
import type { TablesSection } from "@tidelock/core/kinds/tables/types";
import { digestedSpaces, Tx } from "@tidelock/core/log/tx";
import type { ReplicaStore } from "@tidelock/core/ports";

interface LogEntry {
  readonly device: number;
  readonly run: number;
  readonly time: number;
  readonly frames: readonly Uint8Array[];
}

/** The log all devices share. */
export class SharedLog {
  readonly entries: LogEntry[] = [];
  /** Log time, ms: the clamp of clocks. */
  time: number;
  constructor(time: number) {
    this.time = time;
  }
}

const OUT = "h.out";
export const harnessSpaces: readonly string[] = [OUT, META];

/** One device's engine. Its state is in the store alone, so a new one over the same store is a restart. */
export class HarnessEngine implements Engine {
  readonly vault: Uint8Array;
  readonly device: number;
  readonly #log: SharedLog;
  readonly #store: ReplicaStore;
  readonly #suite: Suite;
  readonly #kind: TablesKind;
  readonly #digested: ReadonlyMap<string, Uint8Array>;
  readonly #listeners = new Set<() => void>();
  #digest = 0n;

  constructor(
    log: SharedLog,
    vault: Uint8Array,
    device: number,
    store: ReplicaStore,
    suite: Suite,
    kind: TablesKind,
  ) {
    this.vault = vault;
    this.device = device;
    this.#log = log;
    this.#store = store;
    this.#suite = suite;
    this.#kind = kind;
    this.#digested = digestedSpaces(kind.spaces);
  }

  read<T>(work: (tx: Tx) => T): T {
    return work(new Tx(this.#store, this.#suite, this.#digested, this.#digest));
  }

  write<T>(work: (tx: Tx) => T): T {
    const result = this.#store.transaction(() => {
      const tx = new Tx(this.#store, this.#suite, this.#digested, this.#digest);
      const value = work(tx);
      this.#kind.settle(tx);
      return { value, digest: tx.digest };
    });
    this.#digest = result.digest;
    for (const listener of this.#listeners) listener();
    return result.value;
  }

  submit(tx: Tx, run: LocalRun): number {
    const last = tx.last(OUT, u64Key(0), undefined);
    const id =
      Math.max(last === undefined ? 0 : new Reader(last[0]).u64(), this.#log.entries.length * 1000) + 1;
    const frames = run.frames.map((f) => f.sections.get(2) ?? new Uint8Array(0));
    const w = new Writer(1024).v(frames.length);
    for (const frame of frames) w.bytes(frame);
    tx.put(OUT, u64Key(id), w.done());
    this.#kind.hold(tx, id, this.#decode(frames));
    return id;
  }

  #decode(frames: readonly Uint8Array[]): TablesSection[] {
    return frames.map((frame) => {
      const decoded = this.#kind.decode(frame);
      if (decoded === null) throw new Error("a run that does not decode");
      return decoded.value;
    });
  }

  /** Places what waits in the log. It leaves the outbox when this device reads it back. */
  push(): void {
    const placed = new Set(this.#log.entries.filter((e) => e.device === this.device).map((e) => e.run));
    for (const [key, bytes] of this.#store.scan(OUT, u64Key(0), undefined)) {
      const run = new Reader(key).u64();
      if (placed.has(run)) continue;
      const r = new Reader(bytes);
      const frames = Array.from({ length: r.v() }, () => r.bytes(Number.MAX_SAFE_INTEGER).slice());
      this.#log.entries.push({ device: this.device, run, time: this.#log.time, frames });
    }
  }

  /** Applies what the log has beyond this device's cursor, one run a transaction. */
  pull(): void {
    let seq = 0;
    for (const entry of this.#log.entries) {
      seq += entry.frames.length;
      if (seq <= this.applied()) continue;
      const own = entry.device === this.device;
      this.write((tx) => {
        if (own) {
          this.#kind.release(tx, entry.run);
          tx.delete(OUT, u64Key(entry.run));
        }
        this.#kind.apply(tx, this.#decode(entry.frames), {
          seq,
          time: entry.time,
          device: entry.device,
          own,
        });
        putCursor(tx, { read: seq, applied: seq, time: entry.time });
      });
    }
  }

  applied(): number {
    return this.read((tx) => getCursor(tx).applied);
  }

  pending(): number {
    return this.#store.count(OUT);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  verdict(): Promise<Verdict> {
    throw new Error("the harness has no verdicts");
  }
  facts(): never {
    throw new Error("the harness has no facts");
  }
  start(): void {}
  pause(): void {}
  resume(): void {}
  syncNow(): Promise<{ readonly kind: "live"; readonly head: number }> {
    this.push();
    this.pull();
    return Promise.resolve({ kind: "live", head: this.applied() });
  }
  stop(): Promise<void> {
    return Promise.resolve();
  }
}
