/** The people of a vault: who they are, what they may do, and changing that. */
import { getEntry } from "@tidelock/core/engine/entries";
import { TidelockError } from "@tidelock/core/errors";
import type { Tx } from "@tidelock/core/log/tx";
import { type Role, roles } from "@tidelock/core/vault/records";
import { isAdmin } from "@tidelock/core/vault/roster";
import { act } from "./devices.ts";
import type { Outcome } from "./outcome.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface MemberView {
  readonly member: number;
  /** Empty for the founder, and where the vault's key is not here. */
  readonly name: string;
  readonly role: Role;
  /** The person this device belongs to. */
  readonly own: boolean;
  /** How many devices of theirs are in the vault. */
  readonly devices: number;
  /** When they were taken out, RFC 3339. */
  readonly removed?: string;
}

export interface MemberActed {
  readonly member: number;
  readonly name: string;
  readonly state: Outcome;
}

export function memberList({ replica }: Session): readonly MemberView[] {
  return replica.read((tx) => {
    const { membership } = replica;
    const devices = membership.devices(tx);
    const own = ownPerson(tx, replica);
    return membership.persons(tx).map(({ index, role, removedAt }) => ({
      member: index,
      name: membership.personName(tx, index) ?? "",
      role,
      own: index === own,
      devices: devices.filter((one) => one.person === index && one.removedAt === undefined).length,
      ...optional("removed", removedAt === undefined ? undefined : timeOf(tx, removedAt)),
    }));
  });
}

/** Whom a person means, by number or name. Throws where that is nobody, or several. */
export function memberNamed(session: Session, wanted: string): MemberView {
  const active = memberList(session).filter((one) => one.removed === undefined);
  const byNumber = /^\d{1,9}$/.test(wanted) ? active.filter((one) => one.member === Number(wanted)) : [];
  const found = byNumber.length > 0 ? byNumber : active.filter((one) => one.name === wanted);
  const [one, other] = found;
  if (one === undefined)
    throw new TidelockError("not-found", {
      why: "no member of this vault is called so",
      next: "tidelock member ls",
    });
  if (other !== undefined)
    throw new TidelockError("usage", {
      why: `${found.length} members are called so`,
      next: "name one by the number: tidelock member ls",
    });
  return one;
}

export async function setRole(session: Session, wanted: string, given: string): Promise<MemberActed> {
  const role = roleOf(given);
  const target = memberNamed(session, wanted);
  needPower(session, target, role);
  const state = await act(session, { kind: "set-role", person: target.member, role });
  return { member: target.member, name: target.name, state };
}

/** A role that this device's person may give. */
export function needRole(session: Session, given: string): Role {
  const role = roleOf(given);
  const me = own(session);
  if (me === undefined || !isAdmin(me.role) || !isBelow(me.role, role))
    throw new TidelockError("no-access", {
      why: `${me === undefined ? "who is not in the vault" : article(me.role)} does not make ${article(role)}`,
    });
  return role;
}

function roleOf(given: string): Role {
  const role = roles.find((one) => one === given);
  if (role === undefined || role === "owner")
    throw new TidelockError("usage", {
      why: "this is no role that can be given",
      next: "admin, editor or viewer; another owner by tidelock member transfer",
    });
  return role;
}

/** All their devices go, and what is written from there on is sealed to those who stay. */
export async function removeMember(session: Session, wanted: string): Promise<MemberActed> {
  const target = memberNamed(session, wanted);
  if (target.role === "owner")
    throw new TidelockError("no-access", {
      why: "nobody removes the owner",
      next: "tidelock member transfer first, as the owner",
    });
  if (!target.own) needPower(session, target);
  const state = await act(session, { kind: "remove-member", person: target.member });
  return { member: target.member, name: target.name, state };
}

/** Makes somebody else the owner; whoever was it becomes an admin. */
export async function transferVault(session: Session, wanted: string): Promise<MemberActed> {
  const target = memberNamed(session, wanted);
  if (own(session)?.role !== "owner")
    throw new TidelockError("no-access", { why: "only the owner makes another owner" });
  const state = await act(session, { kind: "transfer", person: target.member });
  return { member: target.member, name: target.name, state };
}

/**
 * Said before it is sent, in words: the log would take it from nobody else (MEM9). Who loses a race is
 * told by the log's verdict.
 */
function needPower(session: Session, target: MemberView, role?: Role): void {
  const me = own(session);
  if (me === undefined || !isAdmin(me.role))
    throw new TidelockError("no-access", { why: "only the owner and admins change who is in the vault" });
  if (!isBelow(me.role, target.role))
    throw new TidelockError("no-access", {
      why: `${article(me.role)} does not change ${article(target.role)}`,
    });
  if (role !== undefined && !isBelow(me.role, role))
    throw new TidelockError("no-access", { why: `${article(me.role)} does not make ${article(role)}` });
}

export function needAdmin(session: Session): void {
  const me = own(session);
  if (me === undefined || !isAdmin(me.role))
    throw new TidelockError("no-access", { why: "only the owner and admins change the vault's settings" });
}

const isBelow = (above: Role, below: Role): boolean => roles.indexOf(above) < roles.indexOf(below);
const article = (role: Role): string => (role === "viewer" ? "a viewer" : `an ${role}`);
const own = (session: Session): MemberView | undefined => memberList(session).find((one) => one.own);

function ownPerson(tx: Tx, replica: Session["replica"]): number | undefined {
  const device = replica.ownDevice(tx);
  return device === undefined ? undefined : replica.membership.device(tx, device)?.person;
}

function timeOf(tx: Tx, seq: number): string | undefined {
  const entry = getEntry(tx, seq);
  return entry === undefined ? undefined : new Date(entry.time).toISOString();
}
