/**
 * The transcript property: an honest history is mutated at frame boundaries and at random bytes, as
 * whoever holds the storage can, and shown to a reader. Nothing forged is applied, nothing crashes,
 * and whoever holds the same prefix holds the same state. `TIDELOCK_RUNS=n` for n times as many.
 */
import { expect, test } from "vitest";
import { draws, seeds } from "../../../testkit/src/suites/seeds.ts";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { concat, toHex } from "../bytes/bytes.ts";
import { endOf, objectAt, type PageEntry } from "../log/page.ts";
import type { LogObject } from "../ports.ts";
import { beginReplica, type Replica } from "./replica.ts";

const LATER = 5;

interface History {
  readonly kit: Kit;
  readonly device: Device;
  readonly key: Uint8Array;
  readonly entries: readonly PageEntry[];
  /** Chain hash and digest at every seq, by the hash. */
  readonly digestByHash: ReadonlyMap<string, bigint>;
  readonly notes: readonly string[];
  readonly devices: ReadonlySet<string>;
  readonly foreign: readonly Uint8Array[];
}

async function honestHistory(seed: number): Promise<History> {
  const kit = fastKit(seed);
  const draw = draws(seed);
  const devices = [await kit.found("a"), await kit.join("b"), await kit.join("c")];
  for (let i = 0; i < 8; i++) {
    const device = devices[Math.floor(draw() * 3)] as Device;
    const frames = 1 + Math.floor(draw() * 3);
    kit.write(device, ...Array.from({ length: frames }, (_, n) => `${device.name}:${i}.${n}/${frames}`));
    if (draw() < 0.7) await kit.sync(device);
  }
  await kit.converge(...devices);
  // Entries that no mutation reaches, each anchored at the one before: enough for what mutations add.
  for (let i = 0; i < LATER; i++) {
    kit.write(devices[i % 3] as Device, `${(devices[i % 3] as Device).name}:later${i}.0/1`);
    await kit.converge(...devices);
  }
  const [device] = devices as [Device];
  const other = fastKit(seed + 1_000_000);
  const stranger = await other.found();
  other.write(stranger, "foreign");
  await other.sync(stranger);
  const history = {
    kit,
    device,
    key: device.replica.read((tx) => device.replica.ring.epochKey(tx, 1)) as Uint8Array,
    entries: kit.entries as readonly PageEntry[],
    digestByHash: new Map<string, bigint>(),
    notes: kit.notes(device),
    devices: members(device.replica),
    foreign: other.entries.map((e) => e.frame as Uint8Array),
  };
  const reader = newReader(history);
  const page = { objects: [pageOf(history.kit, 1, history.entries)], head: history.entries.length };
  reader.replica.ingest(0, page);
  const note = (): void => void history.digestByHash.set(hashAt(reader.replica), reader.replica.digest());
  note();
  while (reader.replica.apply(1, undefined).applied > 0) note();
  expect(history.digestByHash.size).toBe(history.entries.length + 1);
  expect(reader.replica.digest()).toBe(device.replica.digest());
  return history;
}

const members = (replica: Replica): ReadonlySet<string> =>
  new Set(replica.read((tx) => replica.membership.devices(tx)).map((d) => toHex(d.id)));

/** Somebody of the vault with an empty replica: the key is here, nothing is applied. */
function newReader({ kit, device, key }: Pick<History, "kit" | "device" | "key">): Device {
  const reader = kit.open("reader", device.replica.genesis);
  reader.replica.write((tx) => {
    beginReplica(reader.replica, tx, true);
    reader.replica.ring.put(tx, 1, key);
  });
  return reader;
}

function pageOf(
  kit: Kit,
  first: number,
  entries: readonly PageEntry[],
  prev: Uint8Array | null = null,
): LogObject {
  return { kind: "page", first, prev, entries, hash: kit.suite.random(32) };
}

function hashAt(replica: Replica): string {
  const { applied } = replica.cursor();
  return toHex(
    replica.read((tx) => (applied === 0 ? replica.vault : tx.get("e.log", seqKey(applied)))) as Uint8Array,
  );

  // The entry as it rests: its own bytes hold h, so equal rows are equal chains.
  function seqKey(seq: number): Uint8Array {
    const key = new Uint8Array(8);
    new DataView(key.buffer).setUint32(4, seq);
    return key;
  }
}

type Mutation = (entries: PageEntry[], at: number, draw: () => number, h: History) => void;

const entryAt = (entries: readonly PageEntry[], at: number): PageEntry => entries[at] as PageEntry;
const changed = (e: PageEntry, frame: Uint8Array): PageEntry => ({ ...e, frame });

const mutations: Readonly<Record<string, Mutation>> = {
  drop: (entries, at) => void entries.splice(at, 1),
  "say twice": (entries, at) => void entries.splice(at, 0, entryAt(entries, at)),
  "say again later": (entries, at) => void entries.push(entryAt(entries, at)),
  swap: (entries, at) => {
    if (at > 0) entries.splice(at - 1, 2, entryAt(entries, at), entryAt(entries, at - 1));
  },
  "move to the front": (entries, at) => void entries.unshift(...entries.splice(at, 1)),
  cut: (entries, at) => void entries.splice(at),
  foreign: (entries, at, draw, h) => {
    const frame = h.foreign[Math.floor(draw() * h.foreign.length)] as Uint8Array;
    entries.splice(at, 0, { time: 5, frame });
  },
  retime: (entries, at, draw) => {
    const times = [0, 5, 2 ** 47, 2 ** 48 - 1, entryAt(entries, at).time + 1];
    entries[at] = { ...entryAt(entries, at), time: times[Math.floor(draw() * times.length)] as number };
  },
  "flip a bit": (entries, at, draw) => {
    const e = entryAt(entries, at);
    const frame = e.frame.slice();
    const i = Math.floor(draw() * frame.length);
    frame[i] = (frame[i] as number) ^ (1 << Math.floor(draw() * 8));
    entries[at] = changed(e, frame);
  },
  "change the header": (entries, at, draw) => {
    const e = entryAt(entries, at);
    const frame = e.frame.slice();
    for (let n = 0; n < 3; n++) frame[Math.floor(draw() * 12)] = Math.floor(draw() * 256);
    entries[at] = changed(e, frame);
  },
  "cut the frame": (entries, at, draw) => {
    const e = entryAt(entries, at);
    entries[at] = changed(e, e.frame.slice(0, Math.max(1, Math.floor(draw() * e.frame.length))));
  },
  splice: (entries, at, draw) => {
    const other = entryAt(entries, Math.floor(draw() * entries.length));
    const e = entryAt(entries, at);
    const where = Math.floor(draw() * Math.min(e.frame.length, other.frame.length));
    entries[at] = changed(e, concat(e.frame.slice(0, where), other.frame.slice(where)));
  },
  noise: (entries, at, draw, h) =>
    void entries.splice(at, 0, { time: 1, frame: h.kit.suite.random(1 + Math.floor(draw() * 200)) }),
};
const names = Object.keys(mutations);

/** Pages as a storage would hold them: cut anywhere, some with another hash before them, some no pages at all. */
function pages(h: History, entries: readonly PageEntry[], draw: () => number): LogObject[] {
  const objects: LogObject[] = [];
  for (let at = 0; at < entries.length; ) {
    const count = 1 + Math.floor(draw() * 4);
    const part = entries.slice(at, at + count);
    const first = at + 1;
    const form = draw();
    if (form < 0.03) objects.push({ kind: "garbage", first, hash: h.kit.suite.random(32) });
    else if (form < 0.06) objects.push(pageOf(h.kit, first, part, h.kit.suite.random(32)));
    else if (form < 0.3) {
      const bytes = h.kit.pageBytes(
        first,
        null,
        part.map((e) => e.frame),
        part[0]?.time,
      );
      objects.push(objectAt(first, bytes, (b) => h.kit.suite.sha256(b)));
    } else objects.push(pageOf(h.kit, first, part));
    at += count;
  }
  return objects;
}

function check(h: History, reader: Device, what: string): void {
  const notes = h.kit.notes(reader);
  expect(new Set(notes).size, `${what}: twice`).toBe(notes.length);
  const honest = new Map<string, number>(h.notes.map((note, i) => [note, i]));
  const newest = new Map<string, number>();
  for (const note of notes) {
    expect(honest.has(note), `${what}: forged ${note}`).toBe(true);
    const author = note.split(":")[0] as string;
    const place = honest.get(note) as number;
    expect(place, `${what}: ${author} out of order`).toBeGreaterThan(newest.get(author) ?? -1);
    newest.set(author, place);
    const [run, rest] = note.split(".") as [string, string];
    const frames = Number(rest.split("/")[1]);
    for (let n = 0; n < frames; n++)
      expect(notes, `${what}: half of ${run}`).toContain(`${run}.${n}/${frames}`);
  }
  for (const id of members(reader.replica)) expect(h.devices.has(id), `${what}: a stranger`).toBe(true);
  const expected = h.digestByHash.get(hashAt(reader.replica));
  if (expected !== undefined)
    expect(reader.replica.digest(), `${what}: same prefix, another state`).toBe(expected);
}

/** Shows the objects as a remote would, until the reader stops. */
function show(reader: Device, objects: readonly LogObject[], pass: number | undefined): string {
  const last = objects.at(-1);
  const head = last === undefined ? 0 : endOf(last);
  for (let turn = 0; turn < 50; turn++) {
    const after = reader.replica.rereadFrom();
    const from = objects.filter((o) => o.first > after);
    const ingested = reader.replica.ingest(after, { objects: from, head: Math.max(head, after) });
    const applied = reader.replica.apply(1e9, pass);
    if (applied.kind === "halt") return applied.code;
    if (ingested.kind === "halt") return ingested.code;
    if (applied.kind === "waiting") return "waiting";
    if (applied.kind === "key-missing") return "key-missing";
    if (ingested.fresh === 0) return "live";
  }
  throw new Error("no end");
}

const SEEDS = 80;
/** Seeds that share one honest history. */
const PER_HISTORY = 15;

test("[LOG11, LOG12, LOG13] no mutation of an honest history gets anything forged applied, or crashes a reader", async () => {
  const outcomes = new Map<string, number>();
  let history: History | undefined;
  for (const seed of seeds(SEEDS)) {
    const draw = draws(seed);
    if (history === undefined || seed % PER_HISTORY === 1) history = await honestHistory(seed);
    const entries = history.entries.slice(0, -LATER);
    const done: string[] = [];
    for (let n = 1 + Math.floor(draw() * 3); n > 0 && entries.length > 0; n--) {
      const name = names[Math.floor(draw() * names.length)] as string;
      (mutations[name] as Mutation)(entries, Math.floor(draw() * entries.length), draw, history);
      done.push(name);
    }
    const objects = pages(history, entries, draw);
    const truth = history.entries.map((entry, i) => pageOf((history as History).kit, i + 1, [entry]));
    for (const pass of [undefined, Number.MAX_SAFE_INTEGER]) {
      const reader = newReader(history);
      const what = `seed ${seed}, ${done.join(" + ")}, ${pass === undefined ? "waiting" : "passing"}`;
      const outcome = show(reader, objects, pass);
      check(history, reader, `${what}: ${outcome}`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // The truth afterwards: everything is as if nothing had been, or the reader holds a prefix of its own and says so.
      const again = show(reader, truth, pass);
      check(history, reader, `${what}: then ${again}`);
      if (again === "live") expect(reader.replica.digest(), what).toBe(history.device.replica.digest());
      else expect(again, what).toBe("fork");
    }
  }
  for (const outcome of ["live", "fork", "waiting"])
    expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
});
