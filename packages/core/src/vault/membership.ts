/**
 * Who is in a vault, judged from signed records at their log position by every device alike: the kind
 * that keeps the roster (`roster.ts`) and what only holders of the key can read. Rules MEM1..MEM17.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { Writer } from "../bytes/writer.ts";
import { deviceId, personId } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import type { Carrier, Kind, Position, Space, VoidReason } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import { chainEnd, parseCertificate } from "./certificate.ts";
import type { Genesis } from "./genesis.ts";
import {
  type MembershipBody,
  type MembershipRecord,
  parseBody,
  parseName,
  parseNames,
  parsePrivateParts,
  parseSettings,
  type Settings,
} from "./records.ts";
import {
  type Act,
  admissionFault,
  type Device,
  type Epoch,
  founderRoster,
  judgeRecords,
  mayWriteData,
  type Person,
  type Roster,
} from "./roster.ts";
import {
  getDevice,
  getDevices,
  getEpoch,
  getNewestEpoch,
  getPerson,
  getPersons,
  hasRules,
  isRotationDue,
  readRoster,
  rosterSpaces,
  writeRoster,
} from "./roster-store.ts";

export type { Device, Epoch, Person, Roster } from "./roster.ts";

/** Names and settings: readable only with the key, so not part of the confirmed state. */
const LEARNED = "v.learned";
const SETTINGS_KEY = new Uint8Array([1]);
const nameKey = (device: number): Uint8Array => new Writer(5).u8(2).u32(device).done();
const personNameKey = (person: number): Uint8Array => new Writer(5).u8(3).u32(person).done();

export const membershipSpaces: readonly Space[] = [...rosterSpaces, { name: LEARNED, digested: false }];

/** What the signature of a device is worth at this place in the log. */
export type Standing =
  /** Owner, admin or editor: may write, vouch for entries and show a fork. */
  "writer" | "reader" | "removed";

export interface Membership extends Kind<MembershipBody> {
  /** Enters what genesis says: the owner and his first device. */
  begin(tx: Tx, genesis: Genesis): void;
  /** By its index, also one that was removed. */
  device(tx: Tx, index: number): Device | undefined;
  /** All that ever were in, in index order. */
  devices(tx: Tx): readonly Device[];
  person(tx: Tx, index: number): Person | undefined;
  persons(tx: Tx): readonly Person[];
  roster(tx: Tx): Roster;
  standing(tx: Tx, device: Device): Standing;
  epoch(tx: Tx, n: number): Epoch | undefined;
  newestEpoch(tx: Tx): Epoch | undefined;
  /** Somebody left and can still read: an owner's or admin's device makes a new epoch. */
  rotationDue(tx: Tx): boolean;
  deviceName(tx: Tx, index: number): string | undefined;
  personName(tx: Tx, index: number): string | undefined;
  settings(tx: Tx): Settings | undefined;
  /** Whether an accepted record announced rules or a suite that this program does not know. */
  updateNeeded(tx: Tx): boolean;
  /** The key that a device's own admission brings: its frame is judged under it. */
  admissionKey(body: Uint8Array): Uint8Array | undefined;
  /** Whether an admission is the word of a person of the vault, wherever it stands: asked before it can claim anything. */
  admission(tx: Tx, body: Uint8Array, anchor: Uint8Array): Standing | { readonly fault: VoidReason };
}

export function createMembership(suite: Suite, vault: Uint8Array): Membership {
  /** The roster after the frame that was judged last: applying it need not judge again. */
  let judged: { readonly body: MembershipBody; readonly before: Roster; readonly after: Roster } | undefined;

  function judge(tx: Tx, body: MembershipBody, carrier: Carrier): VoidReason | undefined {
    if (!equalBytes(body.prev, carrier.membersBefore)) return "member-race";
    const before = readRoster(tx);
    const after = judgeRecords(suite, vault, before, body.records, carrier satisfies Act);
    if (typeof after === "string") return after;
    judged = { body, before, after };
    return undefined;
  }

  function apply(tx: Tx, bodies: readonly MembershipBody[], _at: Position): void {
    for (const body of bodies) {
      if (judged?.body !== body) throw new RangeError("a membership frame is applied as it was judged");
      writeRoster(tx, judged.before, judged.after);
      judged = undefined;
    }
  }

  function learn(tx: Tx, body: MembershipBody, carrier: Carrier): void {
    const opened = carrier.open(body.publicPart, body.sealedPrivate);
    const parts = opened === null ? null : parsePrivateParts(opened);
    if (parts === null) return;
    for (const [i, record] of body.records.entries()) {
      const part = parts[i];
      if (part !== undefined && part.length > 0) learnPart(tx, record, part, carrier);
    }
  }

  function learnPart(tx: Tx, record: MembershipRecord, part: Uint8Array, carrier: Carrier): void {
    switch (record.type) {
      case "settings":
        if (parseSettings(part) !== null) tx.put(LEARNED, SETTINGS_KEY, part);
        break;
      case "rename":
      case "device-add":
        if (parseName(part) !== null) tx.put(LEARNED, nameKey(carrier.device), part);
        break;
      case "device-admit": {
        const id = deviceId(suite, record.device.sign, record.device.box);
        const device = getDevices(tx).find((d) => equalBytes(d.id, id));
        if (device !== undefined && parseName(part) !== null) tx.put(LEARNED, nameKey(device.index), part);
        break;
      }
      case "member-add": {
        const names = parseNames(part);
        const added = chainEnd(suite, record.certificates);
        if (names === null || added === null) break;
        const id = personId(suite, added.person.sign, added.person.box);
        const person = getPersons(tx).find((p) => equalBytes(p.id, id));
        const newId = deviceId(suite, added.device.sign, added.device.box);
        const device = getDevices(tx).find((d) => equalBytes(d.id, newId));
        if (person === undefined || device === undefined) break;
        tx.put(LEARNED, personNameKey(person.index), names.person);
        tx.put(LEARNED, nameKey(device.index), names.device);
        break;
      }
      case "role":
      case "member-remove":
      case "device-revoke":
      case "epoch":
      case "envelope":
      case "invite":
      case "invite-cancel":
      case "owner-transfer":
      case "rules":
      case "suite":
        break;
    }
  }

  /** An admission is the first record of its frame. */
  function admissionOf(body: Uint8Array): Extract<MembershipRecord, { type: "device-add" }> | undefined {
    const first = parseBody(body)?.records[0];
    return first?.type === "device-add" ? first : undefined;
  }

  const learnedName = (tx: Tx, key: Uint8Array): string | undefined => {
    const part = tx.get(LEARNED, key);
    return part === undefined ? undefined : (parseName(part) ?? undefined);
  };
  const standingOf = (person: Person | undefined): Standing =>
    person !== undefined && mayWriteData(person.role) ? "writer" : "reader";

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
    begin: (tx, genesis) =>
      writeRoster(tx, undefined, founderRoster(suite, genesis.owner, genesis.certificate.device)),
    device: getDevice,
    devices: getDevices,
    person: getPerson,
    persons: getPersons,
    roster: readRoster,
    standing: (tx, device) =>
      device.removedAt === undefined ? standingOf(getPerson(tx, device.person)) : "removed",
    epoch: getEpoch,
    newestEpoch: getNewestEpoch,
    rotationDue: isRotationDue,
    deviceName: (tx, index) => learnedName(tx, nameKey(index)),
    personName: (tx, index) => learnedName(tx, personNameKey(index)),
    settings: (tx) => {
      const part = tx.get(LEARNED, SETTINGS_KEY);
      return part === undefined ? undefined : (parseSettings(part) ?? undefined);
    },
    updateNeeded: hasRules,
    admissionKey: (body) => {
      const record = admissionOf(body);
      return record === undefined ? undefined : parseCertificate(suite, record.certificate)?.device.sign;
    },
    admission: (tx, body, anchor) => {
      const record = admissionOf(body);
      if (record === undefined) return { fault: "malformed" };
      const persons = getPersons(tx);
      const fault = admissionFault(suite, vault, persons, record, anchor);
      if (fault !== undefined) return { fault };
      const by = parseCertificate(suite, record.certificate)?.person;
      return standingOf(persons.find((p) => by !== undefined && equalBytes(p.sign, by.sign)));
    },
  };
}
