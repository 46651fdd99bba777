/** What became of something that a person asked for: judged by the log, or kept until it can be. */
import type { Verdict } from "@tidelock/core/engine/api";
import { TidelockError } from "@tidelock/core/errors";
import type { Session } from "./session.ts";

/** `waits`: kept here, and sent when the remote can be reached. */
export type Outcome = "accepted" | "waits";

/** What keeps it here, and ends by itself or by a person's word. */
const waits: ReadonlySet<string> = new Set([
  "unreachable",
  "paused",
  "stalled",
  "timeout",
  "database-busy",
  "login",
  "upgrade",
]);

export function isWait(error: unknown): boolean {
  return error instanceof TidelockError && waits.has(error.code);
}

/** Sends the run, and answers what replay made of it. Throws `rejected` where the vault did not take it. */
export async function outcomeOf(session: Session, run: number): Promise<Outcome> {
  session.engine.sync?.dispatch("edit");
  let known: Verdict | undefined;
  const verdict = session.engine.verdict(run).then((told) => {
    known = told;
    return told;
  });
  try {
    await session.sync({ wait: true });
  } catch (error) {
    // Who takes himself out is out as soon as it is taken: that nothing more comes is no failure of it.
    if (known?.kind === "accepted") return "accepted";
    // It is durable and goes by itself; what does not verify must be said.
    if (isWait(error)) return "waits";
    throw error;
  }
  if (session.remote === undefined) return "waits";
  const judged = await verdict;
  if (judged.kind === "accepted") return "accepted";
  throw new TidelockError("rejected", {
    why: `the vault did not take it (${judged.reason})`,
    next: "tidelock queue ls",
  });
}
