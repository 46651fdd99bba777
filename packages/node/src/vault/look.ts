/** The facts of a vault that nothing syncs at the moment: one look at the remote, and nothing changed. */
import { getReach } from "@tidelock/core/engine/entries";
import type { Facts } from "@tidelock/core/engine/status";
import type { Session } from "./session.ts";
import { answered } from "./stalls.ts";

export async function look(session: Session): Promise<Facts> {
  // Whether a database is fit shows only when it is opened.
  await session.attachments.resume();
  const facts = session.facts();
  const { remote, replica } = session;
  // Paused, nobody asks the remote.
  if (facts.halt !== undefined || facts.paused || remote === undefined) return facts;
  const { read, applied } = replica.cursor();
  const page = await answered(remote.read(read, { frames: 1, bytes: 1 }));
  const pending = facts.pending + session.attachments.unread();
  if (page === undefined) return { ...facts, pending, stalled: true };
  if (page.kind !== "ok") {
    const reached = page.kind === "denied" || page.kind === "quota" || page.kind === "corrupt";
    return reached
      ? {
          ...facts,
          pending,
          failed:
            page.kind === "denied" ? "remote-denied" : page.kind === "quota" ? "quota" : "remote-corrupt",
        }
      : { ...facts, pending, remoteReachable: false };
  }
  const { head, objects } = page.value;
  // As a sync would halt: a state is never reported better than it is.
  if (head < applied) return { ...facts, pending, halt: "rollback" };
  const known = Math.max(read, replica.read(getReach));
  if (head > known && objects.length === 0) return { ...facts, pending, halt: "chain-broken" };
  return { ...facts, pending, behind: head - applied, fresh: true };
}
