/**
 * Who is in a vault, judged from signed records at their log position by every device alike.
 * Rules MEM1..MEM6. Roles other than owner, and removal, come with the server; until then a
 * vault holds one person with up to 32 devices.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { deviceId, type PublicKeys, personId } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import type { Carrier, Kind, Position, Space, VoidReason } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import { type Certificate, isIssuedByPerson, parseCertificate } from "./certificate.ts";
import type { Genesis } from "./genesis.ts";
import {
  joinBytes,
  type MembershipBody,
  type MembershipRecord,
  parseBody,
  parseName,
  parsePrivateParts,
  parseSettings,
  recoverBytes,
  type Settings,
} from "./records.ts";

export interface Device extends PublicKeys {
  readonly index: number;
  readonly id: Uint8Array;
}

export interface Person extends PublicKeys {
  readonly id: Uint8Array;
}

export interface Epoch {
  readonly n: number;
  readonly commit: Uint8Array;
  /** The pack that holds its envelopes. */
  readonly list: Uint8Array;
}

const DEVICES = "v.device";
const PERSONS = "v.person";
const EPOCHS = "v.epoch";
/** Rules versions by section, and the suite: only what was announced beyond version 1. */
const RULES = "v.rules";
/** Names and settings: readable only with the key, so not part of the confirmed state. */
const LEARNED = "v.learned";
const OWNER = 0;
/** The rules this program knows, for every section. */
const RULES_VERSION = 1;
const SUITE_RULE = 255;
const SETTINGS_KEY = new Uint8Array([1]);

export const membershipSpaces: readonly Space[] = [
  { name: DEVICES, digested: true },
  { name: PERSONS, digested: true },
  { name: EPOCHS, digested: true },
  { name: RULES, digested: true },
  { name: LEARNED, digested: false },
];

type Admission = Extract<MembershipRecord, { type: "device-add" }>;

const indexKey = (n: number): Uint8Array => new Writer(4).u32(n).done();
const nameKey = (device: number): Uint8Array => new Writer(5).u8(2).u32(device).done();

export interface Membership extends Kind<MembershipBody> {
  /** Enters what genesis says: the owner and his first device. */
  begin(tx: Tx, genesis: Genesis): void;
  device(tx: Tx, index: number): Device | undefined;
  devices(tx: Tx): readonly Device[];
  owner(tx: Tx): Person;
  newestEpoch(tx: Tx): Epoch | undefined;
  deviceName(tx: Tx, index: number): string | undefined;
  settings(tx: Tx): Settings | undefined;
  /** Whether an accepted record announced rules or a suite that this program does not know. */
  updateNeeded(tx: Tx): boolean;
  /** The key that a device's own admission brings: its frame is judged under it. */
  admissionKey(body: Uint8Array): Uint8Array | undefined;
  /** Why an admission is not the owner's word, wherever it stands: asked before it can claim anything. */
  admissionFault(tx: Tx, body: Uint8Array, anchor: Uint8Array): VoidReason | undefined;
}

export function createMembership(suite: Suite, vault: Uint8Array): Membership {
  const device = (tx: Tx, index: number): Device | undefined => {
    const bytes = tx.get(DEVICES, indexKey(index));
    return bytes === undefined ? undefined : parseDevice(index, bytes);
  };
  const devices = (tx: Tx): Device[] =>
    tx.scan(DEVICES, indexKey(0), undefined).map(([, bytes], index) => parseDevice(index, bytes));
  const owner = (tx: Tx): Person => {
    const r = new Reader(tx.get(PERSONS, indexKey(OWNER)) as Uint8Array);
    return { id: r.fixed(32), sign: r.fixed(32), box: r.fixed(32) };
  };
  const newestEpoch = (tx: Tx): Epoch | undefined => {
    const found = tx.last(EPOCHS, indexKey(0), undefined);
    if (found === undefined) return undefined;
    const r = new Reader(found[1]);
    return { n: new Reader(found[0]).u32(), commit: r.fixed(32), list: r.fixed(32) };
  };
  const addDevice = (tx: Tx, index: number, keys: PublicKeys): void => {
    const id = deviceId(suite, keys.sign, keys.box);
    tx.put(DEVICES, indexKey(index), new Writer(96).fixed(id).fixed(keys.sign).fixed(keys.box).done());
  };

  const announced = (tx: Tx, section: number): number => {
    const bytes = tx.get(RULES, new Uint8Array([section]));
    return bytes === undefined ? RULES_VERSION : new Reader(bytes).v();
  };

  function judgeAdmission(
    tx: Tx,
    record: Admission,
    first: boolean,
    carrier: Carrier,
  ): VoidReason | undefined {
    const known = devices(tx);
    // A device admits itself: its record is the first of its own first frame.
    if (!first || carrier.device !== known.length || carrier.deviceSeq !== 1) return "member-race";
    const fault = admissionFault(tx, record, carrier.anchor);
    if (fault !== undefined) return fault;
    if (known.length >= limits.devicesPerPerson) return "limit";
    const { device: keys } = parseCertificate(suite, record.certificate) as Certificate;
    const id = deviceId(suite, keys.sign, keys.box);
    return known.some((d) => equalBytes(d.id, id)) ? "member-race" : undefined;
  }

  function admissionFault(tx: Tx, record: Admission, anchor: Uint8Array): VoidReason | undefined {
    const certificate = parseCertificate(suite, record.certificate);
    if (certificate === null || !isIssuedByPerson(suite, certificate)) return "possession";
    const person = owner(tx);
    if (!equalBytes(certificate.person.sign, person.sign) || !equalBytes(certificate.person.box, person.box))
      return "role";
    const joined = joinBytes(vault, certificate.person, certificate.device);
    if (!suite.verify(record.joinSignature, joined, certificate.device.sign)) return "join";
    const recovered = recoverBytes(vault, certificate.device, anchor);
    return suite.verify(record.recoverSignature, recovered, person.sign) ? undefined : "join";
  }

  /** An admission is the first record of its frame. */
  function admissionOf(body: Uint8Array): Admission | undefined {
    const first = parseBody(body)?.records[0];
    return first?.type === "device-add" ? first : undefined;
  }

  function judge(tx: Tx, body: MembershipBody, carrier: Carrier): VoidReason | undefined {
    if (!equalBytes(body.prev, carrier.membersBefore)) return "member-race";
    for (const [i, record] of body.records.entries()) {
      switch (record.type) {
        case "device-add": {
          const reason = judgeAdmission(tx, record, i === 0, carrier);
          if (reason !== undefined) return reason;
          break;
        }
        case "epoch":
          if (newestEpoch(tx) !== undefined) return "member-race";
          if (record.envelopes !== devices(tx).length + 1) return "envelope-set";
          break;
        case "rules":
          // Versions only rise; one that is known already announces nothing.
          if (record.version <= announced(tx, record.section)) return "malformed";
          break;
        case "suite":
          if (record.suite <= suite.id) return "malformed";
          break;
        case "settings":
        case "rename":
          break;
      }
    }
    return undefined;
  }

  function apply(tx: Tx, bodies: readonly MembershipBody[], at: Position): void {
    for (const record of bodies.flatMap((body) => body.records)) {
      if (record.type === "device-add") {
        const certificate = parseCertificate(suite, record.certificate);
        if (certificate !== null) addDevice(tx, at.device, certificate.device);
      } else if (record.type === "epoch") {
        tx.put(EPOCHS, indexKey(record.n), new Writer(64).fixed(record.commit).fixed(record.list).done());
      } else if (record.type === "rules") {
        tx.put(RULES, new Uint8Array([record.section]), new Writer(8).v(record.version).done());
      } else if (record.type === "suite") {
        tx.put(RULES, new Uint8Array([SUITE_RULE]), new Writer(8).v(record.suite).done());
      }
    }
  }

  function learn(tx: Tx, body: MembershipBody, carrier: Carrier): void {
    const opened = carrier.open(body.publicPart, body.sealedPrivate);
    const parts = opened === null ? null : parsePrivateParts(opened);
    if (parts === null) return;
    for (const [i, record] of body.records.entries()) {
      const part = parts[i];
      if (part === undefined || part.length === 0) continue;
      if (record.type === "settings") {
        if (parseSettings(part) !== null) tx.put(LEARNED, SETTINGS_KEY, part);
      } else if ((record.type === "rename" || record.type === "device-add") && parseName(part) !== null) {
        tx.put(LEARNED, nameKey(carrier.device), part);
      }
    }
  }

  return {
    section: 0,
    name: "membership",
    spaces: membershipSpaces,
    decode: (body) => {
      const value = parseBody(body);
      return value === null ? null : { changes: value.records.length, value };
    },
    judge,
    learn,
    apply,
    hold: () => undefined,
    release: () => undefined,
    settle: () => undefined,
    begin: (tx, genesis) => {
      const id = personId(suite, genesis.owner.sign, genesis.owner.box);
      tx.put(
        PERSONS,
        indexKey(OWNER),
        new Writer(96).fixed(id).fixed(genesis.owner.sign).fixed(genesis.owner.box).done(),
      );
      addDevice(tx, 0, genesis.certificate.device);
    },
    device,
    devices,
    owner,
    newestEpoch,
    deviceName: (tx, index) => {
      const part = tx.get(LEARNED, nameKey(index));
      return part === undefined ? undefined : (parseName(part) ?? undefined);
    },
    settings: (tx) => {
      const part = tx.get(LEARNED, SETTINGS_KEY);
      return part === undefined ? undefined : (parseSettings(part) ?? undefined);
    },
    updateNeeded: (tx) => tx.scan(RULES, new Uint8Array(0), undefined, 1).length > 0,
    admissionKey: (body) => {
      const record = admissionOf(body);
      return record === undefined ? undefined : parseCertificate(suite, record.certificate)?.device.sign;
    },
    admissionFault: (tx, body, anchor) => {
      const record = admissionOf(body);
      return record === undefined ? "malformed" : admissionFault(tx, record, anchor);
    },
  };
}

function parseDevice(index: number, bytes: Uint8Array): Device {
  const r = new Reader(bytes);
  return { index, id: r.fixed(32), sign: r.fixed(32), box: r.fixed(32) };
}
