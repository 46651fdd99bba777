/** Inviting another person: the link, who has answered it, and letting them in. Rules INV1 to INV4. */
import { equalBytes, fingerprint } from "@tidelock/core/bytes/bytes";
import { failureCode } from "@tidelock/core/engine/failure";
import { type KnownInvite, knownInvites } from "@tidelock/core/engine/invites";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure } from "@tidelock/core/ports";
import { encodeInvite, INVITE_SECRET, inviteKeys, openGuest, sealWelcome } from "@tidelock/core/vault/invite";
import type { Role } from "@tidelock/core/vault/records";
import { createScheduler, type OwnScheduler } from "../env.ts";
import { act } from "./devices.ts";
import { needRole } from "./members.ts";
import { isServer } from "./remote.ts";
import { cancelMeeting, type HostOptions, meetingAt, reserveMeeting } from "./server.ts";
import type { Session } from "./session.ts";

export interface InviteView {
  /** How people name it. */
  readonly id: string;
  readonly role: Role;
  /** RFC 3339. */
  readonly expires: string;
  /** Whether this device can let in whoever answers it. */
  readonly known: boolean;
}

export interface Invited extends InviteView {
  /** A secret: whoever has it can come in, once. */
  readonly code: string;
}

export interface Admitted {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

const DAY = 86_400_000;
/** What a server keeps a meeting point for. */
const LONGEST = 7 * DAY;

export async function createInvite(
  session: Session,
  given: string,
  lifeMs: number = LONGEST,
): Promise<Invited> {
  const role = needRole(session, given);
  if (!(lifeMs >= 60_000 && lifeMs <= LONGEST))
    throw new TidelockError("usage", { why: "an invite lasts a minute to seven days", next: "--ttl 7d" });
  const { suite, replica, clock } = session;
  const { vault } = replica;
  return asHost(session, async (host) => {
    const secret = suite.random(INVITE_SECRET);
    const { id, meeting } = inviteKeys(suite, vault, secret);
    const expires = clock.now() + lifeMs;
    must(await reserveMeeting(meeting, lifeMs, host));
    const outcome = await act(session, { kind: "invite", id, secret, role, uses: 1, expires });
    // Nobody could be let in by what the log does not hold.
    if (outcome !== "accepted")
      throw new TidelockError("unreachable", {
        why: "the invite waits until the vault's remote can be reached",
        next: "tidelock sync --wait, then invite again",
      });
    const { seq, hash } = replica.head();
    const link = { vault, head: { seq, hash }, inviter: replica.ownId, secret, remote: host.url };
    const code = encodeInvite(suite, link);
    suite.wipe(secret);
    return { ...viewOf(id, role, expires, true), code };
  });
}

export function inviteList(session: Session): readonly InviteView[] {
  const { replica, suite } = session;
  return replica.read((tx) => {
    const known = knownInvites(suite, replica, tx, session.inviteKeys);
    return replica.membership.roster(tx).invites.map(({ id, role, expires }) =>
      viewOf(
        id,
        role,
        expires,
        known.some((one) => equalBytes(one.invite.id, id)),
      ),
    );
  });
}

export async function revokeInvite(session: Session, wanted: string): Promise<InviteView> {
  const { replica, suite } = session;
  const { invites, known } = replica.read((tx) => ({
    invites: replica.membership.roster(tx).invites,
    known: knownInvites(suite, replica, tx, session.inviteKeys),
  }));
  const [one, other] = invites.filter(({ id }) => wanted !== "" && fingerprint(id).startsWith(wanted));
  if (one === undefined || other !== undefined)
    throw new TidelockError("not-found", { why: "no open invite is called so", next: "tidelock invite ls" });
  needRole(session, one.role);
  await act(session, { kind: "cancel-invite", id: one.id });
  const mine = known.find(({ invite }) => equalBytes(invite.id, one.id));
  // What the log says counts; the meeting point ends with its time in any case.
  if (mine !== undefined) await callOff(session, mine).catch(() => undefined);
  return viewOf(one.id, one.role, one.expires, mine !== undefined);
}

/** Lets in everybody who has answered an invite that this device knows. */
export async function answerInvites(session: Session): Promise<readonly Admitted[]> {
  const { replica, suite, clock, info } = session;
  if (info.remote === undefined || !isServer(info.remote) || session.copied) return [];
  const now = clock.now();
  const open = replica
    .read((tx) => knownInvites(suite, replica, tx, session.inviteKeys))
    .filter(({ invite }) => invite.expires > now);
  const admitted: Admitted[] = [];
  for (const one of open) {
    const done = await answerOne(session, info.remote, one);
    if (done !== undefined) admitted.push(done);
  }
  return admitted;
}

async function answerOne(session: Session, url: string, known: KnownInvite): Promise<Admitted | undefined> {
  const { suite, replica } = session;
  const { invite, keys } = known;
  const scheduler = createScheduler();
  const meeting = meetingAt(url, keys.meeting, scheduler);
  try {
    const found = await meeting.get(1, 0);
    if (found.kind === "gone") return undefined;
    const message = must(found);
    if (message === undefined) return undefined;
    const opened = openGuest(suite, keys, replica.vault, message);
    // Dead after one wrong proof: somebody knows the place and not the secret, or the other way round.
    if (opened === null) {
      await act(session, { kind: "cancel-invite", id: invite.id });
      await callOff(session, known);
      return undefined;
    }
    const { certificates, joinSignature, name, deviceName } = opened.guest;
    const { id, role } = invite;
    const wish = {
      kind: "add-member",
      certificates,
      joinSignature,
      role,
      invite: id,
      name,
      deviceName,
    } as const;
    const outcome = await act(session, wish).catch((error: unknown) => {
      if (error instanceof TidelockError && error.code === "rejected") return "refused" as const;
      throw error;
    });
    // Kept here, and welcomed once the log has taken it: the next round finds it done.
    if (outcome === "waits") return undefined;
    const { seq, hash } = replica.head();
    const welcome =
      outcome === "refused"
        ? ({ kind: "refused" } as const)
        : ({ kind: "admitted", head: { seq, hash } } as const);
    // Used: another device of an admin was faster. Gone: the guest finds himself in the log.
    const told = await meeting.put(2, sealWelcome(suite, keys, message, welcome));
    if (told.kind !== "used" && told.kind !== "gone") must(told);
    return outcome === "refused" ? undefined : { id: fingerprint(id), name, role };
  } finally {
    meeting.close();
    scheduler.close();
  }
}

function callOff(session: Session, { keys }: KnownInvite): Promise<unknown> {
  return asHost(session, (host) => cancelMeeting(keys.meeting, host));
}

async function asHost<T>(session: Session, work: (host: HostOptions) => Promise<T>): Promise<T> {
  const { suite, clock, identity, info } = session;
  const url = info.remote;
  if (url === undefined || !isServer(url))
    throw new TidelockError("unsupported-on-remote", {
      why: "people are invited over a server, and this vault is kept in a folder or here alone",
      next: "found a vault on a server: tidelock init --remote URL",
    });
  if (identity === undefined)
    throw new TidelockError("key-missing", { why: "this home has no certificate to sign in with" });
  const scheduler: OwnScheduler = createScheduler();
  try {
    return await work({ url, suite, clock, identity, scheduler, fetch });
  } finally {
    scheduler.close();
  }
}

function viewOf(id: Uint8Array, role: Role, expires: number, known: boolean): InviteView {
  return { id: fingerprint(id), role, expires: new Date(expires).toISOString(), known };
}

function must<T>(result: { readonly kind: "ok"; readonly value: T } | Failure): T {
  if (result.kind === "ok") return result.value;
  throw new TidelockError(failureCode(result), { why: "why" in result ? result.why : "the server is busy" });
}
