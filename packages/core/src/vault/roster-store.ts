/** The roster in the replica, a row each: docs/format.md, "Replica". Rows that did not change are not written. */
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Space } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import { EPOCH_BEFORE } from "./epoch.ts";
import { roles } from "./records.ts";
import type { Device, Epoch, Invite, Person, Roster } from "./roster.ts";

const DEVICES = "v.device";
const PERSONS = "v.person";
const EPOCHS = "v.epoch";
const INVITES = "v.invite";
/** Rules versions by section, and the suite: only what was announced beyond version 1. */
const RULES = "v.rules";
/** Membership time, and whether a rotation is due. */
const STATE = "v.state";

export const rosterSpaces: readonly Space[] = [DEVICES, PERSONS, EPOCHS, INVITES, RULES, STATE].map(
  (name) => ({ name, digested: true }),
);

const FIRST = new Uint8Array(0);
const ONLY = new Uint8Array([1]);

export const indexKey = (n: number): Uint8Array => new Writer(4).u32(n).done();

export function getDevice(tx: Tx, index: number): Device | undefined {
  const bytes = tx.get(DEVICES, indexKey(index));
  return bytes === undefined ? undefined : parseDevice(index, bytes);
}

export function getDevices(tx: Tx): readonly Device[] {
  return tx.scan(DEVICES, FIRST, undefined).map(([, bytes], index) => parseDevice(index, bytes));
}

export function getPerson(tx: Tx, index: number): Person | undefined {
  const bytes = tx.get(PERSONS, indexKey(index));
  return bytes === undefined ? undefined : parsePerson(index, bytes);
}

export function getPersons(tx: Tx): readonly Person[] {
  return tx.scan(PERSONS, FIRST, undefined).map(([, bytes], index) => parsePerson(index, bytes));
}

export function getEpoch(tx: Tx, n: number): Epoch | undefined {
  const bytes = tx.get(EPOCHS, indexKey(n));
  return bytes === undefined ? undefined : parseEpoch(n, bytes);
}

export function getNewestEpoch(tx: Tx): Epoch | undefined {
  const found = tx.last(EPOCHS, FIRST, undefined);
  return found === undefined ? undefined : parseEpoch(new Reader(found[0]).u32(), found[1]);
}

export function hasRules(tx: Tx): boolean {
  return tx.scan(RULES, FIRST, undefined, 1).length > 0;
}

export function isRotationDue(tx: Tx): boolean {
  return readState(tx).rotationDue;
}

export function readRoster(tx: Tx): Roster {
  return {
    devices: getDevices(tx),
    persons: getPersons(tx),
    epoch: getNewestEpoch(tx),
    invites: tx.scan(INVITES, FIRST, undefined).map(([id, bytes]) => parseInvite(id, bytes)),
    rules: new Map(
      tx.scan(RULES, FIRST, undefined).map(([key, bytes]) => [key[0] as number, new Reader(bytes).v()]),
    ),
    ...readState(tx),
  };
}

/** `before` is what the store holds. */
export function writeRoster(tx: Tx, before: Roster | undefined, after: Roster): void {
  for (const d of after.devices)
    if (d !== before?.devices[d.index]) tx.put(DEVICES, indexKey(d.index), encodeDevice(d));
  for (const p of after.persons)
    if (p !== before?.persons[p.index]) tx.put(PERSONS, indexKey(p.index), encodePerson(p));
  const { epoch } = after;
  if (epoch !== undefined && epoch !== before?.epoch) tx.put(EPOCHS, indexKey(epoch.n), encodeEpoch(epoch));
  for (const invite of before?.invites ?? [])
    if (!after.invites.includes(invite)) tx.delete(INVITES, invite.id);
  for (const invite of after.invites)
    if (!before?.invites.includes(invite)) tx.put(INVITES, invite.id, encodeInvite(invite));
  for (const [section, version] of after.rules)
    if (before?.rules.get(section) !== version)
      tx.put(RULES, new Uint8Array([section]), new Writer(8).v(version).done());
  if (before?.time !== after.time || before.rotationDue !== after.rotationDue)
    tx.put(
      STATE,
      ONLY,
      new Writer(7)
        .u48(after.time)
        .u8(after.rotationDue ? 1 : 0)
        .done(),
    );
}

function readState(tx: Tx): Pick<Roster, "time" | "rotationDue"> {
  const bytes = tx.get(STATE, ONLY);
  if (bytes === undefined) return { time: 0, rotationDue: false };
  const r = new Reader(bytes);
  return { time: r.u48(), rotationDue: r.u8() === 1 };
}

/** Optional numbers are kept one higher, 0 for none. */
const some = (n: number | undefined): number => (n === undefined ? 0 : n + 1);
const optional = (n: number): number | undefined => (n === 0 ? undefined : n - 1);

function encodeDevice(d: Device): Uint8Array {
  return new Writer(128)
    .fixed(d.id)
    .fixed(d.sign)
    .fixed(d.box)
    .v(d.person)
    .v(some(d.admittedBy))
    .v(d.admittedAt)
    .v(some(d.removedAt))
    .v(d.cutoff)
    .done();
}

function parseDevice(index: number, bytes: Uint8Array): Device {
  const r = new Reader(bytes);
  return {
    index,
    id: r.fixed(32),
    sign: r.fixed(32),
    box: r.fixed(32),
    person: r.v(),
    admittedBy: optional(r.v()),
    admittedAt: r.v(),
    removedAt: optional(r.v()),
    cutoff: r.v(),
  };
}

function encodePerson(p: Person): Uint8Array {
  const w = new Writer(160).fixed(p.id).fixed(p.sign).fixed(p.box);
  w.u8(roles.indexOf(p.role)).v(some(p.removedAt)).v(p.recent.length);
  for (const time of p.recent) w.u48(time);
  return w.done();
}

function parsePerson(index: number, bytes: Uint8Array): Person {
  const r = new Reader(bytes);
  const keys = { id: r.fixed(32), sign: r.fixed(32), box: r.fixed(32) };
  const role = roles[r.u8()] ?? "viewer";
  const removedAt = optional(r.v());
  const recent: number[] = [];
  for (let n = r.v(); n > 0; n--) recent.push(r.u48());
  return { index, ...keys, role, removedAt, recent };
}

function encodeEpoch(e: Epoch): Uint8Array {
  const w = new Writer(160).fixed(e.commit).fixed(e.list).v(e.seq);
  if (e.before !== undefined) w.fixed(e.before);
  return w.done();
}

function parseEpoch(n: number, bytes: Uint8Array): Epoch {
  const r = new Reader(bytes);
  const [commit, list, seq] = [r.fixed(32), r.fixed(32), r.v()];
  return { n, commit, list, seq, before: r.left === 0 ? undefined : r.fixed(EPOCH_BEFORE) };
}

function encodeInvite(i: Invite): Uint8Array {
  const w = new Writer(64).u8(roles.indexOf(i.role)).v(i.uses).u48(i.expires).v(i.knownTo.length);
  for (const device of i.knownTo) w.v(device);
  return w.done();
}

function parseInvite(id: Uint8Array, bytes: Uint8Array): Invite {
  const r = new Reader(bytes);
  const role = roles[r.u8()] ?? "viewer";
  const [uses, expires] = [r.v(), r.u48()];
  const knownTo: number[] = [];
  for (let n = r.v(); n > 0; n--) knownTo.push(r.v());
  return { id, role, uses, expires, knownTo };
}
