/**
 * Records of membership frames: a public part anyone can check without a key, and a private part
 * under the epoch key. Bytes: docs/format.md, "Membership". Rules MEM1..MEM4, MEM8. What they do:
 * `roster.ts`.
 */
import { concat, encodeUtf8, toHex } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { PublicKeys } from "../crypto/identity.ts";
import { ctx, signatureContexts } from "../crypto/labels.ts";
import { TidelockError } from "../errors.ts";
import { ENVELOPE, EPOCH_BEFORE } from "./epoch.ts";

export const recordTypes = {
  memberAdd: 1,
  role: 2,
  memberRemove: 3,
  deviceAdd: 4,
  deviceRevoke: 5,
  epoch: 6,
  envelope: 7,
  invite: 9,
  inviteCancel: 10,
  ownerTransfer: 11,
  rules: 12,
  suite: 13,
  settings: 15,
  rename: 17,
} as const;

/** From the most to the least: each may do what the next one may. */
export const roles = ["owner", "admin", "editor", "viewer"] as const;
export type Role = (typeof roles)[number];

/** A person or a device: by its index in the vault, which is never given again. */
export type RecipientKind = "device" | "person";

export type MembershipRecord =
  /** Somebody who is in takes a person in, with the first device. */
  | {
      readonly type: "member-add";
      /** From the one that the person issued to the device's own: each issued by the device of the one before. */
      readonly certificates: readonly Uint8Array[];
      readonly joinSignature: Uint8Array;
      readonly role: Role;
      /** Zeros without an invite. */
      readonly invite: Uint8Array;
      readonly deviceEnvelope: Uint8Array;
      readonly personEnvelope: Uint8Array;
    }
  | { readonly type: "role"; readonly person: number; readonly role: Role }
  /** `cutoffs`: per active device of the person, in index order, the last device seq that the author saw. */
  | { readonly type: "member-remove"; readonly person: number; readonly cutoffs: readonly number[] }
  /** A device of a person in the vault admits itself by the recovery phrase. */
  | {
      readonly type: "device-add";
      readonly certificate: Uint8Array;
      readonly joinSignature: Uint8Array;
      /** The newest epoch's key, sealed to the new device. */
      readonly envelope: Uint8Array;
      /** By the person's recovery key, over vault, device keys and anchor. */
      readonly recoverSignature: Uint8Array;
    }
  /** A device admits another one of the same person. The join signature proves that the keys are the new device's own. */
  | {
      readonly type: "device-admit";
      readonly device: PublicKeys;
      readonly joinSignature: Uint8Array;
      readonly envelope: Uint8Array;
    }
  /** `since`: from this seq on the device may have been in other hands; what it admitted after falls with it. */
  | {
      readonly type: "device-revoke";
      readonly device: number;
      readonly since: number;
      readonly cutoff: number;
    }
  | {
      readonly type: "epoch";
      readonly n: number;
      readonly commit: Uint8Array;
      /** The key of the epoch before under the new one: nonce ‖ sealed. None for epoch 1. */
      readonly before?: Uint8Array | undefined;
      readonly envelopes: number;
      readonly list: Uint8Array;
    }
  /** The newest epoch's key for somebody who is entitled to it and could not open his own envelope. */
  | {
      readonly type: "envelope";
      readonly n: number;
      readonly to: RecipientKind;
      readonly index: number;
      readonly envelope: Uint8Array;
    }
  | {
      readonly type: "invite";
      readonly id: Uint8Array;
      readonly role: Role;
      readonly uses: number;
      /** Log time, ms. */
      readonly expires: number;
      /** The secret, sealed to each device of the owner and the admins, in index order. */
      readonly secrets: readonly Uint8Array[];
    }
  | { readonly type: "invite-cancel"; readonly id: Uint8Array }
  | { readonly type: "owner-transfer"; readonly person: number }
  /** From here on a reducer follows these rules: who does not know them stops, and never guesses. */
  | { readonly type: "rules"; readonly section: number; readonly version: number }
  /** From the next epoch on objects are of this suite. */
  | { readonly type: "suite"; readonly suite: number }
  /** All of it is private. */
  | { readonly type: "settings" }
  /** The author's own device gets a name; the name is private. */
  | { readonly type: "rename" };

export interface MembershipBody {
  /** M of the entry before: compare-and-swap, so no record can be left out. */
  readonly prev: Uint8Array;
  readonly records: readonly MembershipRecord[];
  /** Everything before the private part: what its seal is bound to. */
  readonly publicPart: Uint8Array;
  readonly sealedPrivate: Uint8Array;
}

const RECORDS_MAX = 64;
/** Indices and epochs are keys of 32 bits in the replica. */
const INDEX_MAX = 2 ** 32 - 1;
const INVITE_ID = 16;
const INVITE_USES = 64;
/** A sealed box of a context hash and the 16 bytes of the secret. */
const INVITE_SECRET = 96;
export const NO_INVITE: Uint8Array = new Uint8Array(INVITE_ID);

function readRole(r: Reader): Role {
  const role = roles[r.u8()];
  if (role === undefined) throw new Malformed("role");
  return role;
}

export function encodePublicPart(prev: Uint8Array, records: readonly MembershipRecord[]): Uint8Array {
  const w = new Writer(1024).fixed(prev).v(records.length);
  for (const record of records) {
    const { type, bytes } = encodeRecord(record);
    w.u8(type).bytes(bytes);
  }
  return w.done();
}

/** The whole body; `sealedPrivate` is empty when no record has a private part. */
export function encodeBody(publicPart: Uint8Array, sealedPrivate: Uint8Array): Uint8Array {
  return new Writer(publicPart.length + sealedPrivate.length + 8)
    .fixed(publicPart)
    .bytes(sealedPrivate)
    .done();
}

function encodeRecord(record: MembershipRecord): { type: number; bytes: Uint8Array } {
  const w = new Writer(512);
  switch (record.type) {
    case "member-add":
      w.v(record.certificates.length);
      for (const certificate of record.certificates) w.bytes(certificate);
      w.fixed(record.joinSignature).u8(roles.indexOf(record.role)).fixed(record.invite);
      w.fixed(record.deviceEnvelope).fixed(record.personEnvelope);
      return { type: recordTypes.memberAdd, bytes: w.done() };
    case "role":
      return { type: recordTypes.role, bytes: w.v(record.person).u8(roles.indexOf(record.role)).done() };
    case "member-remove":
      w.v(record.person).v(record.cutoffs.length);
      for (const cutoff of record.cutoffs) w.v(cutoff);
      return { type: recordTypes.memberRemove, bytes: w.done() };
    case "device-add":
      w.bytes(record.certificate).fixed(record.joinSignature).fixed(record.envelope);
      w.fixed(record.recoverSignature);
      return { type: recordTypes.deviceAdd, bytes: w.done() };
    case "device-admit":
      // The same type as above: no certificate says that a device signs the frame.
      w.v(0).fixed(record.device.sign).fixed(record.device.box);
      w.fixed(record.joinSignature).fixed(record.envelope);
      return { type: recordTypes.deviceAdd, bytes: w.done() };
    case "device-revoke":
      w.v(record.device).v(record.since).v(record.cutoff);
      return { type: recordTypes.deviceRevoke, bytes: w.done() };
    case "epoch":
      w.v(record.n).fixed(record.commit);
      if (record.before !== undefined) w.fixed(record.before);
      w.v(record.envelopes).fixed(record.list);
      return { type: recordTypes.epoch, bytes: w.done() };
    case "envelope":
      w.v(record.n)
        .u8(record.to === "device" ? 0 : 1)
        .v(record.index)
        .fixed(record.envelope);
      return { type: recordTypes.envelope, bytes: w.done() };
    case "invite":
      w.fixed(record.id).u8(roles.indexOf(record.role)).v(record.uses).u48(record.expires);
      w.v(record.secrets.length);
      for (const secret of record.secrets) w.fixed(secret);
      return { type: recordTypes.invite, bytes: w.done() };
    case "invite-cancel":
      return { type: recordTypes.inviteCancel, bytes: w.fixed(record.id).done() };
    case "owner-transfer":
      return { type: recordTypes.ownerTransfer, bytes: w.v(record.person).done() };
    case "rules":
      return { type: recordTypes.rules, bytes: w.u8(record.section).v(record.version).done() };
    case "suite":
      return { type: recordTypes.suite, bytes: w.u8(record.suite).done() };
    case "settings":
      return { type: recordTypes.settings, bytes: w.done() };
    case "rename":
      return { type: recordTypes.rename, bytes: w.done() };
  }
}

/** Null for anything unknown under rules version 1: void, never a stop. */
export function parseBody(body: Uint8Array): MembershipBody | null {
  return decodeWith(body, (r) => {
    const prev = r.fixed(32);
    const count = r.v(RECORDS_MAX);
    if (count === 0) throw new Malformed("no record");
    const records: MembershipRecord[] = [];
    const said = new Set<string>();
    for (let i = 0; i < count; i++) {
      const type = r.u8();
      const record = parseRecord(type, r.bytes(limits.membershipFrame));
      if (record === null) throw new Malformed("record");
      const what = subject(record);
      if (said.has(what)) throw new Malformed("said twice");
      said.add(what);
      records.push(record);
    }
    const publicPart = r.slice(0);
    return { prev, records, publicPart, sealedPrivate: r.bytes(limits.membershipFrame) };
  });
}

/** What a record speaks about: a frame says one thing about it. */
function subject(record: MembershipRecord): string {
  switch (record.type) {
    case "rules":
      return `rules ${record.section}`;
    case "role":
    case "member-remove":
      return `${record.type} ${record.person}`;
    case "device-revoke":
      return `${record.type} ${record.device}`;
    case "envelope":
      return `${record.type} ${record.to} ${record.index}`;
    case "invite":
    case "invite-cancel":
      return `${record.type} ${toHex(record.id)}`;
    case "device-add":
    case "device-admit":
      return "device-add";
    case "member-add":
    case "epoch":
    case "owner-transfer":
    case "suite":
    case "settings":
    case "rename":
      return record.type;
  }
}

function parseRecord(type: number, bytes: Uint8Array): MembershipRecord | null {
  return decodeWith<MembershipRecord>(bytes, (r) => {
    switch (type) {
      case recordTypes.memberAdd: {
        const count = r.v(limits.certificateChain);
        if (count === 0) throw new Malformed("no certificate");
        const certificates: Uint8Array[] = [];
        for (let i = 0; i < count; i++) certificates.push(r.bytes(limits.genesis));
        return {
          type: "member-add",
          certificates,
          joinSignature: r.fixed(64),
          role: readRole(r),
          invite: r.fixed(INVITE_ID),
          deviceEnvelope: r.fixed(ENVELOPE),
          personEnvelope: r.fixed(ENVELOPE),
        };
      }
      case recordTypes.role:
        return { type: "role", person: r.v(INDEX_MAX), role: readRole(r) };
      case recordTypes.memberRemove: {
        const person = r.v(INDEX_MAX);
        const cutoffs: number[] = [];
        for (let n = r.v(limits.devicesPerPerson); n > 0; n--) cutoffs.push(r.v());
        return { type: "member-remove", person, cutoffs };
      }
      case recordTypes.deviceAdd: {
        const certificate = r.bytes(limits.genesis);
        if (certificate.length === 0) {
          const device = { sign: r.fixed(32), box: r.fixed(32) };
          return { type: "device-admit", device, joinSignature: r.fixed(64), envelope: r.fixed(ENVELOPE) };
        }
        return {
          type: "device-add",
          certificate,
          joinSignature: r.fixed(64),
          envelope: r.fixed(ENVELOPE),
          recoverSignature: r.fixed(64),
        };
      }
      case recordTypes.deviceRevoke:
        return { type: "device-revoke", device: r.v(INDEX_MAX), since: r.v(), cutoff: r.v() };
      case recordTypes.epoch: {
        const n = r.v(INDEX_MAX);
        if (n === 0) throw new Malformed("epoch");
        return {
          type: "epoch",
          n,
          commit: r.fixed(32),
          before: n === 1 ? undefined : r.fixed(EPOCH_BEFORE),
          envelopes: r.v(limits.devicesPlusPersons),
          list: r.fixed(32),
        };
      }
      case recordTypes.envelope: {
        const n = r.v(INDEX_MAX);
        const kind = r.u8();
        if (kind > 1) throw new Malformed("recipient");
        const to = kind === 0 ? "device" : "person";
        return { type: "envelope", n, to, index: r.v(INDEX_MAX), envelope: r.fixed(ENVELOPE) };
      }
      case recordTypes.invite: {
        const id = r.fixed(INVITE_ID);
        const role = readRole(r);
        const uses = r.v(INVITE_USES);
        if (uses === 0) throw new Malformed("uses");
        const expires = r.u48();
        const secrets: Uint8Array[] = [];
        for (let n = r.v(limits.devicesPlusPersons); n > 0; n--) secrets.push(r.fixed(INVITE_SECRET));
        return { type: "invite", id, role, uses, expires, secrets };
      }
      case recordTypes.inviteCancel:
        return { type: "invite-cancel", id: r.fixed(INVITE_ID) };
      case recordTypes.ownerTransfer:
        return { type: "owner-transfer", person: r.v(INDEX_MAX) };
      case recordTypes.rules:
        return { type: "rules", section: r.u8(), version: r.v() };
      case recordTypes.suite:
        return { type: "suite", suite: r.u8() };
      case recordTypes.settings:
        return { type: "settings" };
      case recordTypes.rename:
        return { type: "rename" };
      default:
        throw new Malformed("unknown record");
    }
  });
}

/** Private parts in the order of their records; a record without one has an empty part. */
export function encodePrivateParts(parts: readonly Uint8Array[]): Uint8Array {
  const w = new Writer(256).v(parts.length);
  for (const part of parts) w.bytes(part);
  return w.done();
}

export function parsePrivateParts(bytes: Uint8Array): readonly Uint8Array[] | null {
  return decodeWith(bytes, (r) => {
    const count = r.v(RECORDS_MAX);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) parts.push(r.bytes(limits.membershipFrame));
    return parts;
  });
}

/** What a device signs to join: checkable from the person's side, so no vault can be slipped in. Rule VLT7. */
export function joinBytes(
  vault: Uint8Array,
  person: PublicKeys,
  device: PublicKeys,
  invite: Uint8Array = NO_INVITE,
): Uint8Array {
  return concat(ctx(signatureContexts.join), vault, invite, person.sign, person.box, device.sign, device.box);
}

/** What the recovery key signs when the phrase admits a device at an anchor. */
export function recoverBytes(vault: Uint8Array, device: PublicKeys, anchor: Uint8Array): Uint8Array {
  return concat(ctx(signatureContexts.recover), vault, device.sign, device.box, anchor);
}

/** What a device may be called: 1..255 bytes, no control characters. Null where the part is none. */
export function parseName(bytes: Uint8Array): string | null {
  return decodeWith(bytes, readName);
}

/** Throws `bad-name` for what `parseName` would not read back. */
export function encodeName(name: string): Uint8Array {
  return writeName(new Writer(64), name).done();
}

/** Names of a member who was added: the person's, the device's. Null where the part is none. */
export function parseNames(
  bytes: Uint8Array,
): { readonly person: Uint8Array; readonly device: Uint8Array } | null {
  return decodeWith(bytes, (r) => {
    const [person, device] = [readName(r), readName(r)];
    return { person: encodeName(person), device: encodeName(device) };
  });
}

export function encodeNames(person: string, device: string): Uint8Array {
  return writeName(writeName(new Writer(128), person), device).done();
}

function readName(r: Reader): string {
  const name = r.str(limits.name);
  if (!isName(name)) throw new Malformed("name");
  return name;
}

function writeName(w: Writer, name: string): Writer {
  const nfc = name.normalize("NFC");
  if (!isName(nfc) || encodeUtf8(nfc).length > limits.name)
    throw new TidelockError("bad-name", { why: "a name has 1 to 255 bytes and no control characters" });
  return w.str(nfc);
}

function isName(name: string): boolean {
  // Half a surrogate pair has no UTF-8 and would be read back as another character.
  return name !== "" && !/[\p{Cc}\u2028\u2029]/u.test(name) && !/\p{Cs}/u.test(name);
}

export interface Settings {
  readonly vaultName: string;
  readonly retentionDays: number;
  readonly maxFileSize: number;
  /** Outlives epochs, so content cut the same way stays the same. */
  readonly chunkerSeed: Uint8Array;
}

export function encodeSettings(s: Settings): Uint8Array {
  return writeName(new Writer(128), s.vaultName)
    .v(s.retentionDays)
    .v(s.maxFileSize)
    .fixed(s.chunkerSeed)
    .done();
}

export function parseSettings(bytes: Uint8Array): Settings | null {
  return decodeWith(bytes, (r) => ({
    vaultName: readName(r),
    retentionDays: r.v(),
    maxFileSize: r.v(),
    chunkerSeed: r.fixed(32),
  }));
}
