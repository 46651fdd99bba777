/**
 * Records of membership frames: a public part anyone can check without a key, and a private part
 * under the epoch key. Bytes: docs/format.md, "Membership". Rules MEM1..MEM4.
 */
import { concat, encodeUtf8 } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { PublicKeys } from "../crypto/identity.ts";
import { ctx, signatureContexts } from "../crypto/labels.ts";
import { TidelockError } from "../errors.ts";
import { ENVELOPE } from "./epoch.ts";

export const recordTypes = {
  deviceAdd: 4,
  epoch: 6,
  rules: 12,
  suite: 13,
  settings: 15,
  rename: 17,
} as const;

export type MembershipRecord =
  /** A device of a person admits itself by the recovery phrase. */
  | {
      readonly type: "device-add";
      readonly certificate: Uint8Array;
      readonly joinSignature: Uint8Array;
      /** The newest epoch's key, sealed to the new device. */
      readonly envelope: Uint8Array;
      /** By the person's recovery key, over vault, device keys and anchor. */
      readonly recoverSignature: Uint8Array;
    }
  | {
      readonly type: "epoch";
      readonly n: number;
      readonly commit: Uint8Array;
      readonly envelopes: number;
      readonly list: Uint8Array;
    }
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
    case "device-add":
      w.bytes(record.certificate)
        .fixed(record.joinSignature)
        .fixed(record.envelope)
        .fixed(record.recoverSignature);
      return { type: recordTypes.deviceAdd, bytes: w.done() };
    case "epoch":
      w.v(record.n).fixed(record.commit).v(record.envelopes).fixed(record.list);
      return { type: recordTypes.epoch, bytes: w.done() };
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
      // Judging looks at the state before the frame, so no record may change what another one is judged by.
      const what = record.type === "rules" ? `rules ${record.section}` : record.type;
      if (said.has(what)) throw new Malformed("said twice");
      said.add(what);
      records.push(record);
    }
    const publicPart = r.slice(0);
    return { prev, records, publicPart, sealedPrivate: r.bytes(limits.membershipFrame) };
  });
}

function parseRecord(type: number, bytes: Uint8Array): MembershipRecord | null {
  return decodeWith<MembershipRecord>(bytes, (r) => {
    switch (type) {
      case recordTypes.deviceAdd:
        return {
          type: "device-add",
          certificate: r.bytes(limits.genesis),
          joinSignature: r.fixed(64),
          envelope: r.fixed(ENVELOPE),
          recoverSignature: r.fixed(64),
        };
      case recordTypes.epoch: {
        const n = r.v();
        // Epoch 1 seals no key before it; later epochs come with removal.
        if (n !== 1) throw new Malformed("epoch");
        return {
          type: "epoch",
          n,
          commit: r.fixed(32),
          envelopes: r.v(limits.devicesPlusPersons),
          list: r.fixed(32),
        };
      }
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
export function joinBytes(vault: Uint8Array, person: PublicKeys, device: PublicKeys): Uint8Array {
  const noInvite = new Uint8Array(16);
  return concat(
    ctx(signatureContexts.join),
    vault,
    noInvite,
    person.sign,
    person.box,
    device.sign,
    device.box,
  );
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
