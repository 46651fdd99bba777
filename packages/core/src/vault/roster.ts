/**
 * Who is in a vault and what each may do, as plain values: what a membership frame makes of the
 * state before it, or why it is void. Pure and total; storing is `membership.ts`. Rules MEM5..MEM17.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { deviceId, type PublicKeys, personId } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import { nextLogTime } from "../log/chain.ts";
import type { VoidReason } from "../log/kind.ts";
import { chainEnd, isIssuedByPerson, parseCertificate } from "./certificate.ts";
import { joinBytes, type MembershipRecord, NO_INVITE, type Role, recoverBytes, roles } from "./records.ts";

export interface Device extends PublicKeys {
  readonly index: number;
  readonly id: Uint8Array;
  /** Index of its person. */
  readonly person: number;
  /** The device that admitted it; none for the founder's, and for one that the phrase admitted. */
  readonly admittedBy: number | undefined;
  readonly admittedAt: number;
  readonly removedAt: number | undefined;
  /** Of a removed one: the last device seq that whoever removed it had seen. */
  readonly cutoff: number;
}

export interface Person extends PublicKeys {
  readonly index: number;
  readonly id: Uint8Array;
  readonly role: Role;
  readonly removedAt: number | undefined;
  /** Membership times of the last accepted membership frames of this person. */
  readonly recent: readonly number[];
}

export interface Epoch {
  readonly n: number;
  readonly commit: Uint8Array;
  /** The pack that holds its envelopes. */
  readonly list: Uint8Array;
  /** The key of the epoch before, sealed under this one's. */
  readonly before: Uint8Array | undefined;
  readonly seq: number;
}

export interface Invite {
  readonly id: Uint8Array;
  readonly role: Role;
  /** Uses left. */
  readonly uses: number;
  readonly expires: number;
  /** Devices that have the secret: those of the owner and the admins when it was made. */
  readonly knownTo: readonly number[];
}

export interface Roster {
  readonly devices: readonly Device[];
  readonly persons: readonly Person[];
  readonly epoch: Epoch | undefined;
  readonly invites: readonly Invite[];
  /** Announced beyond version 1: by section, and the suite under `SUITE_RULE`. */
  readonly rules: ReadonlyMap<number, number>;
  /** Log time over the accepted membership frames alone. */
  readonly time: number;
  /** Somebody left, and the newest epoch's key is still his too. */
  readonly rotationDue: boolean;
}

/** The frame that says something: who, where, when. */
export interface Act {
  readonly device: number;
  readonly deviceSeq: number;
  readonly seq: number;
  readonly epoch: number;
  readonly anchor: Uint8Array;
  readonly received: number;
  readonly sealedAt: number;
}

/** The rules this program knows, for every section. */
export const RULES_VERSION = 1;
export const SUITE_RULE = 255;
const HOUR = 3_600_000;
/** Of a person who is neither owner nor admin, within an hour of log time. */
const FRAMES_PER_HOUR = 8;
const OPEN_INVITES = 256;

const rank = (role: Role): number => roles.indexOf(role);
export const isAdmin = (role: Role): boolean => rank(role) <= rank("admin");
export const mayWriteData = (role: Role): boolean => rank(role) <= rank("editor");

export const activeDevices = (r: Pick<Roster, "devices">): readonly Device[] =>
  r.devices.filter((d) => d.removedAt === undefined);
export const activePersons = (r: Pick<Roster, "persons">): readonly Person[] =>
  r.persons.filter((p) => p.removedAt === undefined);
export const devicesOf = (r: Pick<Roster, "devices">, person: number): readonly Device[] =>
  activeDevices(r).filter((d) => d.person === person);
/** Whom an invite's secret is sealed to. */
export const adminDevices = (r: Pick<Roster, "devices" | "persons">): readonly Device[] =>
  activeDevices(r).filter((d) => isAdmin((r.persons[d.person] as Person).role));

export function founderRoster(suite: Suite, owner: PublicKeys, device: PublicKeys): Roster {
  return {
    devices: [
      {
        index: 0,
        id: deviceId(suite, device.sign, device.box),
        sign: device.sign,
        box: device.box,
        person: 0,
        admittedBy: undefined,
        admittedAt: 0,
        removedAt: undefined,
        cutoff: 0,
      },
    ],
    persons: [
      {
        index: 0,
        id: personId(suite, owner.sign, owner.box),
        sign: owner.sign,
        box: owner.box,
        role: "owner",
        removedAt: undefined,
        recent: [],
      },
    ],
    epoch: undefined,
    invites: [],
    rules: new Map(),
    time: 0,
    rotationDue: false,
  };
}

/** Why a self-admission is not the word of a person of this vault, wherever it stands. */
export function admissionFault(
  suite: Suite,
  vault: Uint8Array,
  persons: readonly Person[],
  record: Extract<MembershipRecord, { type: "device-add" }>,
  anchor: Uint8Array,
): VoidReason | undefined {
  const certificate = parseCertificate(suite, record.certificate);
  if (certificate === null || !isIssuedByPerson(suite, certificate)) return "possession";
  const person = persons.find((p) => sameKeys(p, certificate.person));
  if (person === undefined) return "role";
  if (person.removedAt !== undefined) return "removed";
  const joined = joinBytes(vault, certificate.person, certificate.device);
  if (!suite.verify(record.joinSignature, joined, certificate.device.sign)) return "join";
  const recovered = recoverBytes(vault, certificate.device, anchor);
  return suite.verify(record.recoverSignature, recovered, person.sign) ? undefined : "join";
}

/** The state after a frame with these records, or why the frame is void. */
export function judgeRecords(
  suite: Suite,
  vault: Uint8Array,
  before: Roster,
  records: readonly MembershipRecord[],
  act: Act,
): Roster | VoidReason {
  const draft = new Draft(suite, vault, before, act);
  for (const [i, record] of records.entries()) {
    const reason = draft.say(record, i === 0);
    if (reason !== undefined) return reason;
  }
  return draft.end();
}

class Draft {
  readonly #suite: Suite;
  readonly #vault: Uint8Array;
  readonly #act: Act;
  readonly #time: number;
  /** Of whoever speaks, before the frame; of a self-admission only once it was made. */
  #speaks: number;
  #limited: boolean;
  #devices: Device[];
  #persons: Person[];
  #epoch: Epoch | undefined;
  #invites: readonly Invite[];
  readonly #rules: Map<number, number>;
  #rotationDue: boolean;

  constructor(suite: Suite, vault: Uint8Array, before: Roster, act: Act) {
    this.#suite = suite;
    this.#vault = vault;
    this.#act = act;
    this.#devices = [...before.devices];
    this.#persons = [...before.persons];
    this.#epoch = before.epoch;
    this.#invites = before.invites;
    this.#rules = new Map(before.rules);
    this.#rotationDue = before.rotationDue;
    this.#time = nextLogTime(before.time, act.received, act.sealedAt);
    this.#speaks = before.devices[act.device]?.person ?? -1;
    this.#limited = !isAdmin(before.persons[this.#speaks]?.role ?? "viewer");
  }

  /** Why this record has no place here; undefined where it took effect. */
  say(record: MembershipRecord, first: boolean): VoidReason | undefined {
    if (record.type === "device-add") return this.#admitSelf(record, first);
    const device = this.#devices[this.#act.device];
    const me = this.#persons[device?.person ?? -1];
    // Also after a record before this one in the same frame took him out.
    if (device === undefined || device.removedAt !== undefined || me === undefined) return "role";
    switch (record.type) {
      case "member-add":
        return this.#addMember(record, me);
      case "role":
        return this.#setRole(record, me);
      case "member-remove":
        return this.#removeMember(record, me);
      case "device-admit":
        return this.#admitDevice(record, device, me);
      case "device-revoke":
        return this.#revokeDevice(record, me);
      case "epoch":
        return this.#beginEpoch(record, me);
      case "envelope": {
        if (record.n !== this.#epoch?.n) return "epoch-stale";
        const to = (record.to === "device" ? this.#devices : this.#persons)[record.index];
        return to === undefined || to.removedAt !== undefined ? "envelope-set" : undefined;
      }
      case "invite":
        return this.#invite(record, me);
      case "invite-cancel": {
        if (!isAdmin(me.role)) return "role";
        const left = this.#invites.filter((i) => !equalBytes(i.id, record.id));
        if (left.length === this.#invites.length) return "invite";
        this.#invites = left;
        return undefined;
      }
      case "owner-transfer": {
        const to = this.#active(record.person);
        if (me.role !== "owner" || to === undefined || to.index === me.index) return "role";
        this.#put({ ...me, role: "admin" });
        this.#put({ ...to, role: "owner" });
        return undefined;
      }
      case "rules":
        if (!isAdmin(me.role)) return "role";
        // Versions only rise; one that is known already announces nothing.
        if (record.version <= (this.#rules.get(record.section) ?? RULES_VERSION)) return "malformed";
        this.#rules.set(record.section, record.version);
        return undefined;
      case "suite":
        if (me.role !== "owner") return "role";
        if (record.suite <= this.#suite.id) return "malformed";
        this.#rules.set(SUITE_RULE, record.suite);
        return undefined;
      case "settings":
        return isAdmin(me.role) ? undefined : "role";
      case "rename":
        return undefined;
    }
  }

  end(): Roster | VoidReason {
    // The private part is sealed under the newest epoch after the frame: nobody who left may read it.
    if (this.#act.epoch !== (this.#epoch?.n ?? 0)) return "epoch-stale";
    const speaker = this.#persons[this.#speaks] as Person;
    const recent = speaker.recent.filter((t) => t > this.#time - HOUR);
    if (this.#limited && recent.length >= FRAMES_PER_HOUR) return "limit";
    this.#put({ ...speaker, recent: [...recent, this.#time].slice(-FRAMES_PER_HOUR) });
    return {
      devices: this.#devices,
      persons: this.#persons,
      epoch: this.#epoch,
      invites: this.#invites,
      rules: this.#rules,
      time: this.#time,
      rotationDue: this.#rotationDue,
    };
  }

  #admitSelf(
    record: Extract<MembershipRecord, { type: "device-add" }>,
    first: boolean,
  ): VoidReason | undefined {
    const { device, deviceSeq, anchor } = this.#act;
    // A device admits itself: its record is the first of its own first frame.
    if (!first || device !== this.#devices.length || deviceSeq !== 1) return "member-race";
    const fault = admissionFault(this.#suite, this.#vault, this.#persons, record, anchor);
    if (fault !== undefined) return fault;
    const certificate = parseCertificate(this.#suite, record.certificate);
    const person = this.#persons.find((p) => certificate !== null && sameKeys(p, certificate.person));
    if (certificate === null || person === undefined) return "possession";
    this.#speaks = person.index;
    this.#limited = !isAdmin(person.role);
    return this.#addDevice(certificate.device, person.index, undefined);
  }

  #admitDevice(
    record: Extract<MembershipRecord, { type: "device-admit" }>,
    by: Device,
    me: Person,
  ): VoidReason | undefined {
    const suite = this.#suite;
    const { device } = record;
    if (!suite.validSignKey(device.sign) || !suite.validBoxKey(device.box)) return "possession";
    if (!suite.verify(record.joinSignature, joinBytes(this.#vault, me, device), device.sign)) return "join";
    return this.#addDevice(device, me.index, by.index);
  }

  #addDevice(keys: PublicKeys, person: number, by: number | undefined): VoidReason | undefined {
    if (devicesOf({ devices: this.#devices }, person).length >= limits.devicesPerPerson) return "limit";
    if (this.#recipients() >= limits.devicesPlusPersons) return "limit";
    const id = deviceId(this.#suite, keys.sign, keys.box);
    // Also one that was removed: its keys may be in other hands.
    if (this.#devices.some((d) => equalBytes(d.id, id))) return "member-race";
    this.#devices.push({
      index: this.#devices.length,
      id,
      sign: keys.sign,
      box: keys.box,
      person,
      admittedBy: by,
      admittedAt: this.#act.seq,
      removedAt: undefined,
      cutoff: 0,
    });
    return undefined;
  }

  #addMember(record: Extract<MembershipRecord, { type: "member-add" }>, me: Person): VoidReason | undefined {
    if (!this.#mayGive(me, record.role)) return "role";
    const certificate = chainEnd(this.#suite, record.certificates);
    if (certificate === null) return "possession";
    const { person: keys, device } = certificate;
    const joined = joinBytes(this.#vault, keys, device, record.invite);
    if (!this.#suite.verify(record.joinSignature, joined, device.sign)) return "join";
    if (!this.#useInvite(record.invite, record.role)) return "invite";
    if (this.#recipients() + 2 > limits.devicesPlusPersons) return "limit";
    const id = personId(this.#suite, keys.sign, keys.box);
    const known = this.#persons.find((p) => equalBytes(p.id, id));
    if (known !== undefined && known.removedAt === undefined) return "member-race";
    const index = known?.index ?? this.#persons.length;
    const { sign, box } = keys;
    // Who comes back keeps his index, and what he said within the hour.
    this.#persons[index] = {
      index,
      id,
      sign,
      box,
      role: record.role,
      removedAt: undefined,
      recent: known?.recent ?? [],
    };
    return this.#addDevice(device, index, undefined);
  }

  #useInvite(id: Uint8Array, role: Role): boolean {
    if (equalBytes(id, NO_INVITE)) return true;
    const invite = this.#invites.find((i) => equalBytes(i.id, id));
    if (invite === undefined || invite.role !== role || invite.expires < this.#time) return false;
    this.#invites = this.#invites.flatMap((i) => {
      if (i !== invite) return [i];
      return i.uses === 1 ? [] : [{ ...i, uses: i.uses - 1 }];
    });
    return true;
  }

  #invite(record: Extract<MembershipRecord, { type: "invite" }>, me: Person): VoidReason | undefined {
    if (!this.#mayGive(me, record.role)) return "role";
    if (equalBytes(record.id, NO_INVITE)) return "malformed";
    if (this.#invites.some((i) => equalBytes(i.id, record.id))) return "member-race";
    if (this.#invites.length >= OPEN_INVITES) return "limit";
    const knownTo = adminDevices({ devices: this.#devices, persons: this.#persons }).map((d) => d.index);
    if (record.secrets.length !== knownTo.length) return "envelope-set";
    const { id, role, uses, expires } = record;
    this.#invites = [...this.#invites, { id, role, uses, expires, knownTo }];
    return undefined;
  }

  #setRole(record: Extract<MembershipRecord, { type: "role" }>, me: Person): VoidReason | undefined {
    const target = this.#active(record.person);
    if (target === undefined || !this.#mayGive(me, record.role) || !this.#isAbove(me, target)) return "role";
    if (isAdmin(target.role) && !isAdmin(record.role))
      this.#cancelInvites(devicesOf({ devices: this.#devices }, target.index));
    this.#put({ ...target, role: record.role });
    return undefined;
  }

  #removeMember(
    record: Extract<MembershipRecord, { type: "member-remove" }>,
    me: Person,
  ): VoidReason | undefined {
    const target = this.#active(record.person);
    if (target === undefined || target.role === "owner") return "role";
    if (target.index !== me.index && !this.#isAbove(me, target)) return "role";
    const gone = devicesOf({ devices: this.#devices }, target.index);
    if (record.cutoffs.length !== gone.length) return "malformed";
    for (const [i, device] of gone.entries()) this.#drop(device, record.cutoffs[i] ?? 0);
    this.#put({ ...target, removedAt: this.#act.seq });
    this.#cancelInvites(gone);
    this.#rotationDue = true;
    return undefined;
  }

  #revokeDevice(
    record: Extract<MembershipRecord, { type: "device-revoke" }>,
    me: Person,
  ): VoidReason | undefined {
    const device = this.#devices[record.device];
    if (device === undefined || device.removedAt !== undefined) return "role";
    const holder = this.#persons[device.person] as Person;
    if (holder.index !== me.index && !this.#isAbove(me, holder)) return "role";
    const gone: Device[] = [device];
    // What a thief's device admitted is the thief's, and so is all that this one admitted.
    for (const one of gone)
      for (const d of activeDevices({ devices: this.#devices }))
        if (d.admittedBy === one.index && (one !== device || d.admittedAt > record.since)) gone.push(d);
    for (const one of gone) this.#drop(one, one === device ? record.cutoff : 0);
    this.#cancelInvites(gone);
    this.#rotationDue = true;
    return undefined;
  }

  #beginEpoch(record: Extract<MembershipRecord, { type: "epoch" }>, me: Person): VoidReason | undefined {
    if (!isAdmin(me.role)) return "role";
    if (record.n !== (this.#epoch?.n ?? 0) + 1) return "member-race";
    // Neither can somebody be left out quietly nor a stranger be let in.
    if (record.envelopes !== this.#recipients()) return "envelope-set";
    const { n, commit, list, before } = record;
    this.#epoch = { n, commit, list, before, seq: this.#act.seq };
    this.#rotationDue = false;
    return undefined;
  }

  /** Admins give what is below them; only the owner makes admins, and nobody a second owner. */
  #mayGive(me: Person, role: Role): boolean {
    return isAdmin(me.role) && rank(me.role) < rank(role);
  }

  #isAbove(me: Person, target: Person): boolean {
    return isAdmin(me.role) && rank(me.role) < rank(target.role);
  }

  #active(index: number): Person | undefined {
    const person = this.#persons[index];
    return person?.removedAt === undefined ? person : undefined;
  }

  #put(person: Person): void {
    this.#persons[person.index] = person;
  }

  #drop(device: Device, cutoff: number): void {
    this.#devices[device.index] = { ...device, removedAt: this.#act.seq, cutoff };
  }

  #cancelInvites(of: readonly Device[]): void {
    this.#invites = this.#invites.filter((i) => !of.some((d) => i.knownTo.includes(d.index)));
  }

  #recipients(): number {
    return (
      activeDevices({ devices: this.#devices }).length + activePersons({ persons: this.#persons }).length
    );
  }
}

const sameKeys = (a: PublicKeys, b: PublicKeys): boolean =>
  equalBytes(a.sign, b.sign) && equalBytes(a.box, b.box);
