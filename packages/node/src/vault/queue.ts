/** Edits without a verdict, and those the log did not take, each with its cause. */
import { framesOf, type OutRun, runs } from "@tidelock/core/engine/outbox";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface QueueItem {
  readonly id: number;
  /** When it was made. */
  readonly time: string;
  readonly frames: number;
  readonly state: "unsent" | "sent" | "rejected";
  /** Why the log did not take it. */
  readonly reason?: string;
}

export function queueList(session: Session): readonly QueueItem[] {
  return session.replica.read((tx) =>
    runs(tx).map((run) => ({
      id: run.id,
      time: new Date(run.at).toISOString(),
      frames: run.frames,
      state: stateOf(run, () => [...framesOf(tx, run.id)].some((frame) => frame.deviceSeq !== 0)),
      ...optional("reason", run.parked ?? run.failed),
    })),
  );
}

function stateOf(run: OutRun, sealed: () => boolean): QueueItem["state"] {
  if (run.parked !== undefined) return "rejected";
  return sealed() ? "sent" : "unsent";
}
