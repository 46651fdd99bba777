/** The people of a vault, as a program has them. */
import { createInvite, type Invited, type InviteView, inviteList, revokeInvite } from "./invites.ts";
import {
  type MemberActed,
  type MemberView,
  memberList,
  removeMember,
  setRole,
  transferVault,
} from "./members.ts";
import type { Session } from "./session.ts";

export interface VaultMembers {
  list(): readonly MemberView[];
  /** By number or name; `admin`, `editor` or `viewer`. */
  setRole(wanted: string, role: string): Promise<MemberActed>;
  remove(wanted: string): Promise<MemberActed>;
  transfer(wanted: string): Promise<MemberActed>;
  invites(): readonly InviteView[];
  /** The answer holds a secret: whoever has the code can come in, once. This program lets him in while it is open. */
  invite(wish: { readonly role: string; readonly lifeMs?: number }): Promise<Invited>;
  revoke(id: string): Promise<InviteView>;
}

export function peopleOf(session: Session): VaultMembers {
  return {
    list: () => memberList(session),
    setRole: (wanted, role) => setRole(session, wanted, role),
    remove: (wanted) => removeMember(session, wanted),
    transfer: (wanted) => transferVault(session, wanted),
    invites: () => inviteList(session),
    invite: ({ role, lifeMs }) => createInvite(session, role, lifeMs),
    revoke: (id) => revokeInvite(session, id),
  };
}
