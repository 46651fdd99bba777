/** The facts of a vault that nothing syncs at the moment: one look at the remote, and nothing changed. */
import { getReach } from "@tidelock/core/engine/entries";
import { failureFacts } from "@tidelock/core/engine/failure";
import type { Facts } from "@tidelock/core/engine/status";
import { hasNetwork } from "./network.ts";
import { noteRoom } from "./room.ts";
import type { Session } from "./session.ts";
import { answered } from "./stalls.ts";

export async function look(session: Session): Promise<Facts> {
  // Whether a database is fit shows only when it is opened.
  await session.attachments.resume();
  const unsent = await session.folders.look();
  const before = session.facts();
  const { remote, replica } = session;
  // Paused, nobody asks the remote.
  if (before.halt !== undefined || before.paused || remote === undefined) return before;
  const { read, applied } = replica.cursor();
  const page = await answered(remote.read(read, { frames: 1, bytes: 1 }));
  // Taken now: what was in a file a moment ago may have come into the outbox meanwhile.
  const facts = session.facts();
  const pending = facts.pending + session.attachments.unread() + unsent;
  if (page === undefined) return { ...facts, pending, stalled: true };
  if (page.kind !== "ok") {
    const failure = failureFacts(page);
    return {
      ...facts,
      ...failure,
      pending,
      network: failure.remoteReachable || hasNetwork(session.info.remote),
    };
  }
  const { head, objects, unpaid, used } = page.value;
  noteRoom(session.store, used ?? 0);
  // As a sync would halt: a state is never reported better than it is.
  if (head < applied) return { ...facts, pending, halt: "rollback" };
  const known = Math.max(read, replica.read(getReach));
  if (head > known && objects.length === 0) return { ...facts, pending, halt: "chain-broken" };
  const denied = unpaid === true ? "payment" : undefined;
  return { ...facts, denied, pending, behind: head - applied, fresh: true };
}
