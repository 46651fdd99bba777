/**
 * Who may do what, kept as the log says it: judged with the entry and changed in its transaction, so
 * that a word of the log binds the instant it has a position. This is hygiene: every device judges
 * the same entries by itself and believes no server. Rules SRV10 to SRV14.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { deviceId } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { type Frame, frameKinds } from "@tidelock/core/log/frame";
import type { VoidReason } from "@tidelock/core/log/kind";
import { parseCertificate } from "@tidelock/core/vault/certificate";
import { type MembershipRecord, parseBody } from "@tidelock/core/vault/records";
import type { Roster } from "@tidelock/core/vault/roster";
import type { AddressClass } from "../http/address-class.ts";
import type { ProblemCode } from "../problem.ts";
import type { AccessRow, AuditRow, DeviceRow, Level, MemberRow } from "../store.ts";
import { nextRoster, type Place } from "./rosters.ts";

const rank: Readonly<Record<Level, number>> = { viewer: 0, editor: 1, admin: 2, owner: 3 };

export function atLeast(level: Level, needed: Level): boolean {
  return rank[level] >= rank[needed];
}

export interface Sender {
  readonly device: Uint8Array;
  readonly person: Uint8Array;
  readonly address: AddressClass;
}

export interface Refusal {
  readonly code: ProblemCode;
  readonly why: string;
}

/** What a device may do in a vault. */
export type Standing =
  | {
      readonly kind: "active";
      readonly level: Level;
      readonly index: number;
      /** The seqs that admitted the device, and that gave its person this level. */
      readonly admitted: number;
      readonly since: number;
    }
  /** Its person is a member and nothing has admitted it yet: it may read, and send its own admission. */
  | { readonly kind: "joining"; readonly level: Level }
  /** By the entry at this seq. */
  | { readonly kind: "removed"; readonly at: number }
  /** As if there were no such vault. */
  | { readonly kind: "stranger" };

/** By the rows of the device and of its person, where there are such. */
export function standingOf(device: DeviceRow | undefined, member: MemberRow | undefined): Standing {
  if (device?.ended !== undefined) return { kind: "removed", at: device.ended };
  if (member === undefined || member.ended !== undefined)
    return device === undefined ? { kind: "stranger" } : { kind: "removed", at: member?.ended ?? 0 };
  if (device === undefined) return { kind: "joining", level: member.level };
  const { index, since: admitted } = device;
  return { kind: "active", level: member.level, index, admitted, since: member.since };
}

/** What an entry changes. */
export interface Effect {
  readonly roster: Roster;
  readonly members: readonly MemberRow[];
  readonly access: readonly AccessRow[];
  readonly audit: readonly AuditRow[];
}

/**
 * Void for every device, as its author learns by reading it: somebody was faster, or time has
 * passed since it was sealed. Refused, it would be sent again and again, with every edit behind it.
 * Any other void frame no honest device sends, and it is not placed at all.
 */
const races: ReadonlySet<VoidReason> = new Set(["member-race", "epoch-stale", "limit", "invite"]);

/** Why a data frame may not be placed for its sender. */
export function judgeData(standing: Standing, frame: Frame): Refusal | undefined {
  if (standing.kind === "joining") return notAdmitted;
  if (standing.kind !== "active") return { code: "device-removed", why: "the log has removed this device" };
  if (frame.device !== standing.index) return foreignIndex;
  if (atLeast(standing.level, "editor")) return undefined;
  // Sealed while its author could not know that he is a viewer now: he learns it by what the log makes of it.
  if (frame.anchorSeq >= standing.admitted && frame.anchorSeq < standing.since) return undefined;
  return { code: "no-access", why: "a viewer sends no changes" };
}

/** What a membership frame changes: null where it is placed and changes nothing. */
export function judgeMembership(
  suite: Suite,
  before: Roster,
  sender: Sender,
  standing: Standing,
  frame: Frame,
  place: Place,
): Effect | Refusal | null {
  const admission = admissionOf(suite, frame);
  if (standing.kind === "joining") {
    if (admission === undefined) return notAdmitted;
    if (!equalBytes(admission, sender.device)) return foreignIndex;
  } else if (standing.kind !== "active" || admission !== undefined || frame.device !== standing.index) {
    return foreignIndex;
  }
  const after = nextRoster(suite, before, frame, place);
  if (typeof after !== "string") return effectOf(before, after, sender, frame, place);
  // Who admits itself tries again under the same number: what would be void takes no place.
  const overtaken = after === "member-race" || after === "epoch-stale";
  if (standing.kind === "joining" && overtaken)
    return { code: "behind", why: "somebody else changed the members meanwhile" };
  if (standing.kind === "active" && races.has(after)) return null;
  return after === "role" || after === "removed"
    ? { code: "no-access", why: "this person may not say that in the vault" }
    : { code: "rejected", why: `every device would pass over it: ${after}` };
}

const notAdmitted: Refusal = {
  code: "no-access",
  why: "a device that was not admitted sends its admission, nothing else",
};
const foreignIndex: Refusal = { code: "rejected", why: "the frame is another device's" };

/** The id of the device that a frame admits by its own word. */
function admissionOf(suite: Suite, frame: Frame): Uint8Array | undefined {
  const first = frame.kind === frameKinds.membership ? parseBody(frame.body)?.records[0] : undefined;
  if (first?.type !== "device-add") return undefined;
  const keys = parseCertificate(suite, first.certificate)?.device;
  return keys === undefined ? undefined : deviceId(suite, keys.sign, keys.box);
}

function effectOf(before: Roster, after: Roster, sender: Sender, frame: Frame, place: Place): Effect {
  const members = after.persons
    .filter((person, i) => {
      const was = before.persons[i];
      return was?.role !== person.role || was.removedAt !== person.removedAt;
    })
    .map(({ id, role, removedAt }) => ({ person: id, level: role, since: place.seq, ended: removedAt }));
  const access = after.devices
    .filter((device, i) => before.devices[i]?.removedAt !== device.removedAt || i >= before.devices.length)
    .map((device) => accessRow(after, device.index));
  const records = parseBody(frame.body)?.records ?? [];
  const audit = records.map((record) => ({
    time: place.time,
    device: sender.device,
    action: record.type,
    object: objectOf(record, after),
    address: sender.address,
  }));
  return { roster: after, members, access, audit };
}

/** Whom or what a record is about: a device, a person, an invite. */
function objectOf(record: MembershipRecord, { devices, persons }: Roster): Uint8Array | undefined {
  switch (record.type) {
    case "member-add":
      return persons.at(-1)?.id;
    case "role":
    case "member-remove":
    case "owner-transfer":
      return persons[record.person]?.id;
    case "device-add":
    case "device-admit":
      return devices.at(-1)?.id;
    case "device-revoke":
      return devices[record.device]?.id;
    case "envelope":
      return (record.to === "device" ? devices : persons)[record.index]?.id;
    case "invite":
    case "invite-cancel":
      return record.id;
    case "epoch":
    case "rules":
    case "suite":
    case "settings":
    case "rename":
      return undefined;
  }
}

export function accessRow({ devices, persons }: Roster, index: number): AccessRow {
  const device = devices[index];
  const person = persons[device?.person ?? -1];
  if (device === undefined || person === undefined) throw new RangeError("no such device");
  const { id, sign, admittedAt, removedAt } = device;
  return { device: id, person: person.id, signKey: sign, index, since: admittedAt, ended: removedAt };
}
