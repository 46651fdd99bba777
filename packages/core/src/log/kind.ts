/**
 * The one interface through which the engine meets everything that has meaning: tables,
 * files, membership and housekeeping. If a kind seems to need a special branch in the
 * engine, this interface wants changing.
 */
import type { Seq } from "../bytes/brand.ts";
import type { Tx } from "./tx.ts";

/** Where a run stands in the log. The same on every device. */
export interface Position {
  /** The run's position: the seq of its last frame. */
  readonly seq: Seq;
  /** Log time there (ms): what clamps and retention use. Rule LOG5. */
  readonly time: number;
  /** Index of the author's device in the vault. */
  readonly device: number;
  /** Whether this device wrote it. Only presentation may depend on it, never state. */
  readonly own: boolean;
}

/** What a kind may know of the frame that carries its section, where a verdict depends on it. */
export interface Carrier {
  readonly seq: Seq;
  readonly device: number;
  readonly deviceSeq: number;
  readonly epoch: number;
  readonly anchor: Uint8Array;
  /** When it was placed, ms. */
  readonly received: number;
  /** The author's clock, seconds. */
  readonly sealedAt: number;
  /** M of the entry before this one. */
  readonly membersBefore: Uint8Array;
  /** Opens what the frame seals under the epoch key; null where that key is not here. */
  readonly open: (publicPart: Uint8Array, sealed: Uint8Array) => Uint8Array | null;
}

export interface Decoded<D> {
  /** How many changes the section holds; a frame holds at most 256. */
  readonly changes: number;
  readonly value: D;
}

export interface Kind<D = unknown> {
  /** The section id in a frame's plaintext: 1 housekeeping, 2 tables, 3 files. */
  readonly section: number;
  readonly name: string;
  /** The replica spaces it owns; `digested` ones are confirmed state, equal on all devices. */
  readonly spaces: readonly Space[];
  /** Strict and canonical; null voids the whole run as `malformed`. */
  decode(section: Uint8Array): Decoded<D> | null;
  /** Why a frame with this section is void in this state (a lost race, a missing chunk); undefined = it is not. */
  judge?(tx: Tx, section: D, carrier: Carrier): VoidReason | undefined;
  /** Keeps what only holders of the key can read: names, settings. Never decides anything. */
  learn?(tx: Tx, section: D, carrier: Carrier): void;
  /**
   * Reduces one whole run: its sections of this kind, in frame order. Deterministic, total:
   * every change has an outcome in every state, nothing throws for what the log says.
   */
  apply(tx: Tx, sections: readonly D[], at: Position): void;
  /**
   * What of a section names content that the log has nowhere, encoded; undefined: nothing. `waits`: nor does a run of
   * this device that has no verdict yet bring it.
   */
  lacking?(tx: Tx, section: D, waits: boolean): Uint8Array | undefined;
  /** Shows an unconfirmed local run above the confirmed state. `id` names it in the outbox. */
  hold(tx: Tx, id: number, sections: readonly D[]): void;
  /** Takes run `id` out of the overlay: it has its verdict, or was dropped. */
  release(tx: Tx, id: number): void;
  /** Runs once before a transaction with `apply`, `hold` or `release` commits. */
  settle(tx: Tx): void;
  /**
   * The log is about to be replayed from its first entry: every space that is not `kept` will be emptied.
   * What only those tell and must outlive them goes into kept ones now; memory that outlives a
   * transaction forgets what followed from the log.
   */
  reset?(tx: Tx): void;
  /** The replay is done and what waits is held again, in the same transaction of the store. */
  replayed?(tx: Tx): void;
}

/** Why an entry has no effect. Public codes: docs/spec/log.md. */
export type VoidReason =
  | "malformed"
  | "suite"
  | "unsigned-device"
  | "signature"
  | "removed"
  | "role"
  | "anchor"
  | "member-race"
  | "limit"
  | "envelope-set"
  | "possession"
  | "join"
  | "invite"
  | "replay"
  | "op-reused"
  | "device-seq"
  | "epoch-stale"
  | "sealed-wrong"
  | "run"
  | "content";

export interface Space {
  readonly name: string;
  /** Confirmed state: part of the state digest. Local and derived spaces are not. */
  readonly digested: boolean;
  /** This device's own: neither the log nor what waits says it, so a replay must not empty it. */
  readonly kept?: boolean;
}
