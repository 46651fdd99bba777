/**
 * What a member wants done to the membership, as it waits in the outbox: the intention, not the frame.
 * The frame is made when it is sealed, from the state that this device has read by then, so that who
 * loses a race is asked anew and nothing is said twice. Rules MEM13, MEM14.
 */
import { concat, equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { deviceId, type PublicKeys, personId } from "../crypto/identity.ts";
import { ctx, hashContexts } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import type { VoidReason } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import { chainEnd } from "../vault/certificate.ts";
import { commitment, encodeEnvelopePack, type Recipient, sealBefore, sealEnvelope } from "../vault/epoch.ts";
import {
  encodeName,
  encodeNames,
  encodeSettings,
  type MembershipRecord,
  type RecipientKind,
  type Role,
  roles,
  type Settings,
} from "../vault/records.ts";
import {
  activeDevices,
  activePersons,
  adminDevices,
  devicesOf,
  isAdmin,
  judgeRecords,
  type Roster,
  type Act as Said,
} from "../vault/roster.ts";
import { getTrack } from "./judge.ts";

export type MemberAct =
  /** A new epoch, unless one came after epoch `after`. */
  | { readonly kind: "rotate"; readonly after: number }
  | { readonly kind: "revoke-device"; readonly device: number; readonly since: number }
  | { readonly kind: "remove-member"; readonly person: number }
  | { readonly kind: "set-role"; readonly person: number; readonly role: Role }
  | { readonly kind: "transfer"; readonly person: number }
  | { readonly kind: "rename"; readonly name: string }
  /** Another device of one's own person. */
  | {
      readonly kind: "admit-device";
      readonly device: PublicKeys;
      readonly joinSignature: Uint8Array;
      readonly name: string;
    }
  | {
      readonly kind: "add-member";
      readonly certificates: readonly Uint8Array[];
      readonly joinSignature: Uint8Array;
      readonly role: Role;
      readonly invite: Uint8Array;
      readonly name: string;
      readonly deviceName: string;
    }
  /** For somebody whose own envelope does not open. */
  | { readonly kind: "send-key"; readonly to: RecipientKind; readonly index: number }
  | {
      readonly kind: "invite";
      readonly id: Uint8Array;
      readonly secret: Uint8Array;
      readonly role: Role;
      readonly uses: number;
      readonly expires: number;
    }
  | { readonly kind: "cancel-invite"; readonly id: Uint8Array }
  /** The vault's settings but for what is said here stay as they are by then. */
  | { readonly kind: "set"; readonly maxFileSize: number };

const kinds = [
  "rotate",
  "revoke-device",
  "remove-member",
  "set-role",
  "transfer",
  "rename",
  "admit-device",
  "add-member",
  "send-key",
  "invite",
  "cancel-invite",
  "set",
] as const satisfies readonly MemberAct["kind"][];

export function encodeAct(act: MemberAct): Uint8Array {
  const w = new Writer(128).u8(kinds.indexOf(act.kind));
  switch (act.kind) {
    case "rotate":
      return w.v(act.after).done();
    case "revoke-device":
      return w.v(act.device).v(act.since).done();
    case "remove-member":
    case "transfer":
      return w.v(act.person).done();
    case "set-role":
      return w.v(act.person).u8(roles.indexOf(act.role)).done();
    case "rename":
      return w.fixed(encodeName(act.name)).done();
    case "admit-device":
      w.fixed(act.device.sign).fixed(act.device.box).fixed(act.joinSignature);
      return w.fixed(encodeName(act.name)).done();
    case "add-member":
      w.v(act.certificates.length);
      for (const certificate of act.certificates) w.bytes(certificate);
      w.fixed(act.joinSignature).u8(roles.indexOf(act.role)).fixed(act.invite);
      return w.fixed(encodeNames(act.name, act.deviceName)).done();
    case "send-key":
      return w
        .u8(act.to === "device" ? 0 : 1)
        .v(act.index)
        .done();
    case "invite":
      w.fixed(act.id).fixed(act.secret).u8(roles.indexOf(act.role));
      return w.v(act.uses).u48(act.expires).done();
    case "cancel-invite":
      return w.fixed(act.id).done();
    case "set":
      return w.v(act.maxFileSize).done();
  }
}

export function decodeAct(bytes: Uint8Array): MemberAct | null {
  return decodeWith<MemberAct>(bytes, (r) => {
    const kind = kinds[r.u8()];
    if (kind === undefined) throw new Malformed("act");
    const role = (): Role => roles[r.u8()] ?? "viewer";
    switch (kind) {
      case "rotate":
        return { kind, after: r.v() };
      case "revoke-device":
        return { kind, device: r.v(), since: r.v() };
      case "remove-member":
      case "transfer":
        return { kind, person: r.v() };
      case "set-role":
        return { kind, person: r.v(), role: role() };
      case "rename":
        return { kind, name: r.str(limits.name) };
      case "admit-device":
        return { kind, device: keys(r), joinSignature: r.fixed(64), name: r.str(limits.name) };
      case "add-member": {
        const certificates: Uint8Array[] = [];
        for (let n = r.v(limits.certificateChain); n > 0; n--) certificates.push(r.bytes(limits.genesis));
        const joinSignature = r.fixed(64);
        const given = role();
        const invite = r.fixed(16);
        const [name, deviceName] = [r.str(limits.name), r.str(limits.name)];
        return { kind, certificates, joinSignature, role: given, invite, name, deviceName };
      }
      case "send-key":
        return { kind, to: r.u8() === 0 ? "device" : "person", index: r.v() };
      case "invite": {
        const [id, secret] = [r.fixed(16), r.fixed(16)];
        return { kind, id, secret, role: role(), uses: r.v(), expires: r.u48() };
      }
      case "cancel-invite":
        return { kind, id: r.fixed(16) };
      case "set":
        return { kind, maxFileSize: r.v() };
    }
  });
}

const keys = (r: Reader): PublicKeys => ({ sign: r.fixed(32), box: r.fixed(32) });

export interface MakeDeps {
  readonly suite: Suite;
  readonly vault: Uint8Array;
  readonly roster: Roster;
  /** As this device has learned them. */
  readonly settings: Settings | undefined;
  /** Of the newest epoch. */
  readonly key: Uint8Array;
  /** Who speaks, and where: the place after what this device has read. */
  readonly said: Omit<Said, "epoch">;
}

export type Made =
  | {
      readonly kind: "frame";
      readonly records: readonly {
        readonly record: MembershipRecord;
        readonly hidden: Uint8Array | undefined;
      }[];
      /** The newest epoch after the frame. */
      readonly epoch: { readonly n: number; readonly key: Uint8Array };
      /** Set where the frame begins it: its envelopes, to be stored before the frame. */
      readonly begins:
        | { readonly commit: Uint8Array; readonly pack: ReturnType<typeof encodeEnvelopePack> }
        | undefined;
    }
  /** Somebody did it already. */
  | { readonly kind: "done" }
  | { readonly kind: "void"; readonly reason: VoidReason };

/** The frame's records as things stand now. */
export function makeRecords(deps: MakeDeps, tx: Tx, act: MemberAct): Made {
  const { roster, key, suite, vault } = deps;
  const { epoch } = roster;
  if (epoch === undefined || (act.kind === "set" && deps.settings === undefined))
    return { kind: "void", reason: "epoch-stale" };
  if (isDone(deps, act)) return { kind: "done" };
  const first = firstRecord(deps, tx, act);
  const said: readonly Saying[] = first === undefined ? [] : [first];
  const before = judgeRecords(
    suite,
    vault,
    roster,
    said.map((r) => r.record),
    { ...deps.said, epoch: epoch.n },
  );
  if (typeof before === "string") return { kind: "void", reason: before };
  const stays = before.devices[deps.said.device]?.removedAt === undefined;
  const me = before.persons[roster.devices[deps.said.device]?.person ?? -1];
  // Who goes, or may not, leaves the new key to those who stay (MEM13).
  const rotates =
    act.kind === "rotate" || (before.rotationDue && stays && me !== undefined && isAdmin(me.role));
  if (!rotates) return { kind: "frame", records: said, epoch: { n: epoch.n, key }, begins: undefined };

  const n = epoch.n + 1;
  const fresh = suite.random(32);
  const commit = commitment(suite, fresh, vault, n);
  const to: Recipient[] = [
    ...activeDevices(before).map(({ id, box }) => ({ kind: "device" as const, id, box })),
    ...activePersons(before).map(({ id, box }) => ({ kind: "person" as const, id, box })),
  ];
  const pack = encodeEnvelopePack(
    suite,
    to.map((one) => sealEnvelope(suite, fresh, vault, n, one)),
  );
  const record: MembershipRecord = {
    type: "epoch",
    n,
    commit,
    before: sealBefore(suite, fresh, vault, n, key),
    envelopes: to.length,
    list: pack.id,
  };
  const records = [...said, { record, hidden: undefined }];
  const after = judgeRecords(
    suite,
    vault,
    roster,
    records.map((r) => r.record),
    { ...deps.said, epoch: n },
  );
  if (typeof after === "string") return { kind: "void", reason: after };
  return { kind: "frame", records, epoch: { n, key: fresh }, begins: { commit, pack } };
}

function isDone({ suite, roster, settings }: MakeDeps, act: MemberAct): boolean {
  switch (act.kind) {
    case "rotate":
      return (roster.epoch?.n ?? 0) > act.after;
    case "revoke-device":
      return roster.devices[act.device]?.removedAt !== undefined;
    case "remove-member":
      return roster.persons[act.person]?.removedAt !== undefined;
    case "set-role": {
      const person = roster.persons[act.person];
      return person?.removedAt === undefined && person?.role === act.role;
    }
    case "transfer":
      return roster.persons[act.person]?.role === "owner";
    case "admit-device": {
      const id = deviceId(suite, act.device.sign, act.device.box);
      return activeDevices(roster).some((d) => equalBytes(d.id, id));
    }
    case "add-member": {
      const keysOf = chainEnd(suite, act.certificates)?.device;
      const id = keysOf === undefined ? undefined : deviceId(suite, keysOf.sign, keysOf.box);
      return id !== undefined && activeDevices(roster).some((d) => equalBytes(d.id, id));
    }
    case "cancel-invite":
      return !roster.invites.some((i) => equalBytes(i.id, act.id));
    case "set":
      return settings?.maxFileSize === act.maxFileSize;
    case "rename":
    case "send-key":
    case "invite":
      return false;
  }
}

interface Saying {
  readonly record: MembershipRecord;
  readonly hidden: Uint8Array | undefined;
}

function firstRecord(deps: MakeDeps, tx: Tx, act: MemberAct): Saying | undefined {
  const { suite, vault, roster, key } = deps;
  const n = roster.epoch?.n ?? 0;
  const plain = (record: MembershipRecord, hidden?: Uint8Array): Saying => ({ record, hidden });
  const seal = (kind: RecipientKind, id: Uint8Array, box: Uint8Array): Uint8Array =>
    sealEnvelope(suite, key, vault, n, { kind, id, box });
  const cutoff = (device: number): number => getTrack(tx, device).seq;
  switch (act.kind) {
    case "rotate":
      return undefined;
    case "revoke-device": {
      const { device, since } = act;
      return plain({ type: "device-revoke", device, since, cutoff: cutoff(device) });
    }
    case "remove-member": {
      const cutoffs = devicesOf(roster, act.person).map((d) => cutoff(d.index));
      return plain({ type: "member-remove", person: act.person, cutoffs });
    }
    case "set-role":
      return plain({ type: "role", person: act.person, role: act.role });
    case "transfer":
      return plain({ type: "owner-transfer", person: act.person });
    case "rename":
      return plain({ type: "rename" }, encodeName(act.name));
    case "admit-device": {
      const { device, joinSignature } = act;
      const envelope = seal("device", deviceId(suite, device.sign, device.box), device.box);
      return plain({ type: "device-admit", device, joinSignature, envelope }, encodeName(act.name));
    }
    case "add-member": {
      const { certificates, joinSignature, role, invite } = act;
      const added = chainEnd(suite, certificates);
      const none = new Uint8Array(112);
      const deviceEnvelope =
        added === null
          ? none
          : seal("device", deviceId(suite, added.device.sign, added.device.box), added.device.box);
      const personEnvelope =
        added === null
          ? none
          : seal("person", personId(suite, added.person.sign, added.person.box), added.person.box);
      return plain(
        {
          type: "member-add",
          certificates,
          joinSignature,
          role,
          invite,
          deviceEnvelope,
          personEnvelope,
        },
        encodeNames(act.name, act.deviceName),
      );
    }
    case "send-key": {
      const to = (act.to === "device" ? roster.devices : roster.persons)[act.index];
      const envelope = to === undefined ? new Uint8Array(112) : seal(act.to, to.id, to.box);
      return plain({ type: "envelope", n, to: act.to, index: act.index, envelope });
    }
    case "invite": {
      const { id, role, uses, expires } = act;
      const secrets = adminDevices(roster).map((d) =>
        suite.sealTo(d.box, concat(inviteContext(suite, vault, id, d.id), act.secret)),
      );
      return plain({ type: "invite", id, role, uses, expires, secrets });
    }
    case "cancel-invite":
      return plain({ type: "invite-cancel", id: act.id });
    case "set": {
      const { maxFileSize } = act;
      return plain({ type: "settings" }, encodeSettings({ ...(deps.settings as Settings), maxFileSize }));
    }
  }
}

/** What stands before an invite's secret in its sealed box: for which vault, invite and device. */
export function inviteContext(
  suite: Suite,
  vault: Uint8Array,
  id: Uint8Array,
  device: Uint8Array,
): Uint8Array {
  return suite.sha256(concat(ctx(hashContexts.inviteSecret), vault, id, device));
}
