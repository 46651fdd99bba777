/** The open invites that this device can answer: those whose secret was sealed to it. Rule INV3. */
import { equalBytes, toHex } from "../bytes/bytes.ts";
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

/** Keys by invite id in hexadecimal; undefined for one whose secret is not for this device. */
export type InviteMemory = Map<string, InviteKeys | undefined>;

/** Reads the log back once for each invite: to look again costs nothing. */
export function knownInvites(
  suite: Suite,
  replica: Replica,
  tx: Tx,
  memory: InviteMemory,
): readonly KnownInvite[] {
  const { invites } = replica.membership.roster(tx);
  const fresh = invites.filter(({ id }) => !memory.has(toHex(id)));
  if (fresh.length > 0) readBack(suite, replica, tx, fresh, memory);
  return invites.flatMap((invite) => {
    const keys = memory.get(toHex(invite.id));
    return keys === undefined ? [] : [{ invite, keys }];
  });
}

function readBack(
  suite: Suite,
  replica: Replica,
  tx: Tx,
  fresh: readonly Invite[],
  memory: InviteMemory,
): void {
  const own = replica.ownDevice(tx) ?? -1;
  const wanted = new Map(
    fresh.filter(({ knownTo }) => knownTo.includes(own)).map((one) => [toHex(one.id), one]),
  );
  for (const { id } of fresh) memory.set(toHex(id), undefined);
  for (let seq = getCursor(tx).applied + 1; wanted.size > 0; ) {
    const entry = entryBefore(tx, seq);
    if (entry === undefined) return;
    seq = entry.seq;
    const frame = isMembership(entry.frame) ? parseFrame(entry.frame as Uint8Array) : null;
    for (const record of (frame === null ? null : parseBody(frame.body))?.records ?? []) {
      const id = record.type === "invite" ? toHex(record.id) : "";
      const invite = wanted.get(id);
      if (invite === undefined || record.type !== "invite") continue;
      const keys = keysIn(suite, replica, record.id, record.secrets[invite.knownTo.indexOf(own)]);
      // Of a frame that was void another one may hold it.
      if (keys === undefined) continue;
      memory.set(id, keys);
      wanted.delete(id);
    }
  }
}

function keysIn(
  suite: Suite,
  { vault, keys, ownId }: Replica,
  id: Uint8Array,
  sealed: Uint8Array | undefined,
): InviteKeys | undefined {
  const pair = { publicKey: keys.box, secretKey: keys.boxSecret };
  const plain = sealed === undefined ? null : suite.openSealed(pair, sealed);
  if (plain === null || plain.length !== 32 + INVITE_SECRET) return undefined;
  if (!equalBytes(plain.subarray(0, 32), inviteContext(suite, vault, id, ownId))) return undefined;
  const made = inviteKeys(suite, vault, plain.subarray(32));
  // Another program's, which meets elsewhere.
  return equalBytes(made.id, id) ? made : undefined;
}
