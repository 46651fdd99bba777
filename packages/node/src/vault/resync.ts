/** `resync`: what this device holds is made anew from the log, by a person who no longer trusts it. */
import { failureCode } from "@tidelock/core/engine/failure";
import { type Refusal, type Resynced, resync } from "@tidelock/core/engine/resync";
import { TidelockError } from "@tidelock/core/errors";
import type { Remote } from "@tidelock/core/ports";
import { copiedError } from "./copied.ts";
import { pausedError } from "./pause.ts";
import type { Session, SyncReport } from "./session.ts";
import { answered } from "./stalls.ts";
import { STALL } from "./watchdog.ts";

/** Unflushed edits go into the outbox first, and what waits there stays. Ends with a sync. */
export async function resyncSession(session: Session, timeoutMs: number | undefined): Promise<SyncReport> {
  const { engine, replica, suite, remote, attachments } = session;
  if (session.copied) throw copiedError();
  const pause = session.paused();
  if (pause !== undefined) throw pausedError(pause);
  await attachments.settle();
  engine.pause();
  try {
    // A call that hangs is no reason to wait: what it answers later is dropped.
    if (engine.sync !== undefined) await answered(engine.sync.ended(), STALL);
    const done = await resync(replica, suite, remote === undefined ? undefined : readerOf(remote));
    if (done.kind !== "done") throw refused(done);
  } finally {
    engine.resume();
  }
  return session.sync({ wait: true, timeoutMs });
}

function readerOf(remote: Remote): Pick<Remote, "read"> {
  return {
    read: async (after, want) =>
      (await answered(remote.read(after, want), STALL)) ?? {
        kind: "unreachable",
        why: "the remote does not answer a read",
      },
  };
}

function refused(result: Exclude<Resynced, { kind: "done" }>): TidelockError {
  const next = "tidelock verify; nothing was changed";
  if (result.kind === "halt") return new TidelockError(result.code, { why: whyRefused[result.code], next });
  const why = "why" in result ? result.why : "the remote is busy";
  return new TidelockError(failureCode(result), {
    why,
    next: "try again once it answers; nothing was changed",
  });
}

const whyRefused: Readonly<Record<Refusal, string>> = {
  fork: "the remote shows another history than the one that was applied here",
  rollback: "the remote shows less of the log than was applied here",
  "chain-broken": "the remote's log has a gap",
  "replica-damaged": "the log does not replay here to where it was applied",
};
