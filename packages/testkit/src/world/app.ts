/** What runs on a simulated device: the data kind under test, and the edits an app makes through it. */
import type { RunFrame } from "@tidelock/core/engine/api";
import type { Kind } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import type { Stream } from "./random.ts";

/** Everything a user wrote starts with these bytes in the clear; no remote may ever hold them. */
export const CANARY: Uint8Array = Uint8Array.of(0xca, 0x4a, 0x12, 0x9e, 0xd7, 0x31, 0x58, 0x6b);

export interface Edit {
  readonly frames: readonly RunFrame[];
  /** What the kind's own words for the edit have wrong, if anything. */
  readonly wrong?: string | undefined;
  /** Whether this device's view shows the edit, asked right after it was committed. */
  readonly shown: (tx: Tx) => boolean;
}

export interface Moment {
  readonly random: Stream;
  /** The device's wall clock. */
  readonly now: number;
  /** Never given to another edit of the history. */
  readonly marker: number;
}

/** What an edit does: one frame of a few changes, or several frames that must show together. */
export type EditKind = "small" | "run" | "big";

/** One replica's kind and the app on it. */
export interface App {
  readonly kind: Kind;
  /** Undefined where there is nothing to do. */
  edit(tx: Tx, what: EditKind, moment: Moment): Edit | undefined;
  /** All that the view shows, for comparing two devices. */
  state(tx: Tx): string;
  /** How this state differs from what a reference makes of the log; undefined where there is none. */
  compare?(tx: Tx, runs: readonly AppliedRun[]): string | undefined;
  /** What half of a run shows, if any: the view must hold all of it or none. */
  halfShown(tx: Tx): string | undefined;
}

/** A run as the log applied it. */
export interface AppliedRun {
  readonly seq: number;
  /** Log time there, ms. */
  readonly time: number;
  readonly device: number;
  /** Per frame its sections by id. */
  readonly frames: readonly ReadonlyMap<number, Uint8Array>[];
}
