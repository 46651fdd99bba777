/** What the system says of a process that does not answer. */
import { readFileSync } from "node:fs";
import { TidelockError } from "@tidelock/core/errors";
import type { Owner } from "../home/lock.ts";

/** Nothing that is due may be silent for longer, ms. */
export const SILENCE = 30_000;

/** `owner`: who has the home, as it said itself. */
export function silentError(owner: Owner | undefined, afterMs: number): TidelockError {
  const who = owner === undefined ? "the daemon" : `the daemon (process ${owner.pid})`;
  const state = owner === undefined ? undefined : stateOf(owner.pid);
  return new TidelockError("stalled", {
    why: `${who} has not answered for ${afterMs / 1000} s${state === undefined ? "" : `: ${whyByState[state]}`}`,
    next:
      state === "stopped"
        ? `kill -CONT ${owner?.pid}, or tidelock daemon stop --force; nothing is lost`
        : "tidelock daemon stop --force, then start it again; nothing is lost",
    retryable: true,
    ...(owner === undefined
      ? {}
      : { details: { pid: owner.pid, ...(state === undefined ? {} : { state }) } }),
  });
}

type State = "stopped" | "waiting" | "busy" | "gone";

const whyByState: Readonly<Record<State, string>> = {
  stopped: "it was stopped",
  waiting: "it waits for a disk that does not answer",
  busy: "it is busy, or waits for a file that does not answer",
  gone: "it has just ended",
};

/** Linux tells it of every process; elsewhere nothing is said rather than something guessed. */
function stateOf(pid: number): State | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const letter = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    if (letter === "T" || letter === "t") return "stopped";
    return letter === "D" ? "waiting" : "busy";
  } catch {
    return "gone";
  }
}
