/**
 * What a host (SDK, daemon, command line, attachment) sees of the engine. One engine drives
 * one replica of one vault; nothing here waits for a network except `syncNow`.
 */
import type { Seq } from "../bytes/brand.ts";
import type { Tx } from "../log/tx.ts";
import type { Facts } from "./status.ts";

/** A local transaction on its way out: its frames apply together or not at all. */
export interface LocalRun {
  /** Per frame its encoded sections, by section id. At most 4,096 frames of at most 256 changes. */
  readonly frames: readonly RunFrame[];
}

export interface RunFrame {
  readonly sections: ReadonlyMap<number, Uint8Array>;
  /** Set for a table declared `compress: off`: the frame is stored whole. */
  readonly compressOff?: boolean;
}

export type Verdict =
  | { readonly kind: "accepted"; readonly seq: Seq }
  /** The log did not take it; it stays in the author's list with its cause. */
  | { readonly kind: "void"; readonly seq: Seq; readonly reason: string };

export interface Engine {
  readonly vault: Uint8Array;
  /** This device's index in the vault, once its admission was applied. */
  readonly device: number | undefined;

  /** Reads the replica: nothing in `work` may write. */
  read<T>(work: (tx: Tx) => T): T;
  /** One durable replica transaction; the kinds settle before it commits. */
  write<T>(work: (tx: Tx) => T): T;
  /** Inside `write`: queues a run, shows it above the confirmed state, and returns its id. */
  submit(tx: Tx, run: LocalRun): number;
  /** Resolves at the verdict of replay, not when a remote took the bytes. */
  verdict(run: number): Promise<Verdict>;

  /** Called after each transaction that changed what is shown or where the log stands. */
  onChange(listener: () => void): () => void;

  start(): void;
  /** Reads to the head and sends what waits, now; resolves when caught up and nothing waits, or with why not. */
  syncNow(): Promise<SyncOutcome>;
  pause(): void;
  resume(): void;
  facts(): Facts;
  /** Lets a running request end, then closes. Nothing durable is lost by not calling it. */
  stop(): Promise<void>;
}

export type SyncOutcome =
  | { readonly kind: "live"; readonly head: Seq }
  | { readonly kind: "stopped"; readonly why: string; readonly code: string };
