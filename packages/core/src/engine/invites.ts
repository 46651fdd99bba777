/** The open invites that this device can answer: those whose secret was sealed to it. Rule INV3. */
import { equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { isMembership } from "../log/chain.ts";
import { parseFrame } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import { INVITE_SECRET, type InviteKeys, inviteKeys } from "../vault/invite.ts";
import { parseBody } from "../vault/records.ts";
import type { Invite } from "../vault/roster.ts";
import { inviteContext } from "./acts.ts";
import { entryBefore, getCursor } from "./entries.ts";
import type { Replica } from "./replica.ts";

export interface KnownInvite {
  readonly invite: Invite;
  readonly keys: InviteKeys;
}

/** Reads the log back to the oldest of them: they last a week. */
export function knownInvites(suite: Suite, replica: Replica, tx: Tx): readonly KnownInvite[] {
  const own = replica.ownDevice(tx);
  const { invites } = replica.membership.roster(tx);
  const wanted = invites.filter((one) => own !== undefined && one.knownTo.includes(own));
  const found: KnownInvite[] = [];
  for (let seq = getCursor(tx).applied + 1; found.length < wanted.length; ) {
    const entry = entryBefore(tx, seq);
    if (entry === undefined) break;
    seq = entry.seq;
    const frame = isMembership(entry.frame) ? parseFrame(entry.frame as Uint8Array) : null;
    for (const record of (frame === null ? null : parseBody(frame.body))?.records ?? []) {
      if (record.type !== "invite") continue;
      const invite = wanted.find((one) => equalBytes(one.id, record.id));
      const sealed = invite === undefined ? undefined : record.secrets[invite.knownTo.indexOf(own as number)];
      const keys = sealed === undefined ? undefined : keysIn(suite, replica, record.id, sealed);
      if (invite !== undefined && keys !== undefined) found.push({ invite, keys });
    }
  }
  return found;
}

function keysIn(
  suite: Suite,
  { vault, keys, ownId }: Replica,
  id: Uint8Array,
  sealed: Uint8Array,
): InviteKeys | undefined {
  const plain = suite.openSealed({ publicKey: keys.box, secretKey: keys.boxSecret }, sealed);
  if (plain === null || plain.length !== 32 + INVITE_SECRET) return undefined;
  if (!equalBytes(plain.subarray(0, 32), inviteContext(suite, vault, id, ownId))) return undefined;
  const made = inviteKeys(suite, vault, plain.subarray(32));
  // Another program's, which meets elsewhere.
  return equalBytes(made.id, id) ? made : undefined;
}
