/**
 * One vault with several devices, scripted: virtual time, the memory remote as a storage that anyone may
 * rewrite, and a kind that keeps a plain list, so that a test can say what was applied in which order.
 */
import type { Sealed } from "@tidelock/core/bytes/brand";
import { concat, decodeUtf8, encodeUtf8, toHex, u64Key } from "@tidelock/core/bytes/bytes";
import { Writer } from "@tidelock/core/bytes/writer";
import {
  deviceId,
  deviceKeys,
  drawDeviceSeeds,
  personKeys,
  type SecretKeys,
} from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { createEngine } from "@tidelock/core/engine/engine";
import { getEntry, linkAt } from "@tidelock/core/engine/entries";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import type { HaltCode } from "@tidelock/core/engine/ingest";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { getFrame, putFrame, runs } from "@tidelock/core/engine/outbox";
import type { EnginePoint } from "@tidelock/core/engine/points";
import { createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import { SEQS, sealedAt } from "@tidelock/core/engine/seal";
import { getVerdict } from "@tidelock/core/engine/verdicts";
import type { Link } from "@tidelock/core/log/chain";
import { type FrameHeader, frameKinds, sealFrame } from "@tidelock/core/log/frame";
import type { Kind, VoidReason } from "@tidelock/core/log/kind";
import { encodePage } from "@tidelock/core/log/page";
import { encodePlaintext, encodeSections } from "@tidelock/core/log/plaintext";
import type { Tx } from "@tidelock/core/log/tx";
import type { Remote, Scheduler } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import { sealEnvelope } from "@tidelock/core/vault/epoch";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { sealMembership } from "@tidelock/core/vault/membership-frame";
import { encodeName, joinBytes, type MembershipRecord, recoverBytes } from "@tidelock/core/vault/records";
import { MapReplicaStore } from "./map-store.ts";
import { createMemoryRemote, MemoryVaultLog, type RemoteHooks } from "./memory-remote.ts";
import { createFastSuite } from "./world/fast-suite.ts";

/** What the kind below makes of a note that begins with one of these. */
export const traps = {
  /** No section at all. */
  malformed: "!malformed",
  /** Its decoder throws. */
  decode: "!decode",
  /** Void for a reason of the kind's own up to the seq that follows. */
  content: "!content:",
  judge: "!judge",
  /** Its reducer throws. */
  apply: "!apply",
} as const;

const NOTES = "x.note";
const HELD = "x.held";
const SECTION = 2;

/** Keeps each note of the log in order; a section is one note. */
export function notesKind(): Kind<string> {
  const fault = (note: string, trap: keyof typeof traps): void => {
    if (note.startsWith(traps[trap])) throw new RangeError(`planted: ${trap}`);
  };
  return {
    section: SECTION,
    name: "notes",
    spaces: [
      { name: NOTES, digested: true },
      { name: HELD, digested: false },
    ],
    decode: (section) => {
      const note = decodeUtf8(section);
      if (note === undefined || note.startsWith(traps.malformed)) return null;
      fault(note, "decode");
      return { changes: note.startsWith("*") ? Number(note.slice(1)) : 1, value: note };
    },
    judge: (_tx, note, { seq }): VoidReason | undefined => {
      fault(note, "judge");
      const upTo = note.startsWith(traps.content) ? Number(note.slice(traps.content.length)) : 0;
      return seq <= upTo ? "content" : undefined;
    },
    apply: (tx, notes, at) => {
      for (const [i, note] of notes.entries()) {
        tx.put(NOTES, new Writer(16).u64(at.seq).u32(i).done(), encodeUtf8(note));
        fault(note, "apply");
      }
    },
    hold: (tx, id, notes) => tx.put(HELD, u64Key(id), encodeUtf8(notes.join("\n"))),
    release: (tx, id) => tx.delete(HELD, u64Key(id)),
    settle: () => undefined,
  };
}

interface Due {
  readonly at: number;
  readonly order: number;
  readonly work: () => void;
}

/** Time that moves only when a test says so, or to the next thing due. */
export class Time implements Scheduler {
  #due: Due[] = [];
  #order = 0;
  readonly #outside = new Set<Promise<unknown>>();
  mono = 0;
  /** Wall clock less `mono`. */
  offset = 1_700_000_000_000;

  after(ms: number, work: () => void): () => void {
    const one = { at: this.mono + Math.max(0, ms), order: this.#order++, work };
    this.#due.push(one);
    return () => {
      this.#due = this.#due.filter((d) => d !== one);
    };
  }

  now(): number {
    return this.mono + this.offset;
  }

  /** Time stands still until this has an outcome: what a real disk or socket is asked for. */
  async outside<T>(work: Promise<T>): Promise<T> {
    this.#outside.add(work);
    try {
      return await work;
    } finally {
      this.#outside.delete(work);
    }
  }

  /** Runs what comes due within `ms`, and what that leads to. */
  async run(ms: number): Promise<void> {
    const end = this.mono + ms;
    for (;;) {
      await this.#settled();
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#take(next);
    }
    this.mono = end;
  }

  /** Moves time from one thing due to the next until `promise` has an outcome. */
  async until<T>(promise: Promise<T>, steps = 20_000): Promise<T> {
    let open = true;
    const close = (): void => {
      open = false;
    };
    promise.then(close, close);
    for (let i = 0; open; i++) {
      await this.#settled();
      if (!open) break;
      const next = this.#next();
      if (i > steps || next === undefined) throw new Error(`no outcome after ${this.mono} ms, ${i} steps`);
      this.#take(next);
    }
    return promise;
  }

  async #settled(): Promise<void> {
    for (;;) {
      await settled();
      if (this.#outside.size === 0) return;
      await Promise.allSettled(this.#outside);
    }
  }

  #next(): Due | undefined {
    let first: Due | undefined;
    for (const one of this.#due)
      if (first === undefined || one.at < first.at || (one.at === first.at && one.order < first.order))
        first = one;
    return first;
  }

  #take(next: Due): void {
    this.#due = this.#due.filter((d) => d !== next);
    this.mono = Math.max(this.mono, next.at);
    next.work();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Assigned at any time: hooks of the memory remote, and whole methods in its place. */
export interface Faults {
  hooks?: RemoteHooks;
  replaced?: (honest: Remote) => Partial<Remote>;
  /** It says that its hints come. */
  awake?: boolean;
}

export interface Device {
  readonly name: string;
  readonly keys: SecretKeys;
  readonly localKey: Uint8Array;
  /** Whose device it is. */
  readonly person: SecretKeys;
  readonly store: MapReplicaStore;
  readonly kinds: readonly Kind[];
  readonly replica: Replica;
  readonly engine: ReturnType<typeof createEngine>;
  /** Changes what this device's remote does and answers. */
  readonly faults: Faults;
}

/** What a halt, a void entry or a refused join must leave as it was. */
export interface Held {
  readonly digest: string;
  readonly notes: readonly string[];
  readonly waiting: { readonly pending: number; readonly parked: number };
}

export interface Judgement {
  readonly halt: HaltCode | undefined;
  /** Some entry was passed only because it had waited. */
  readonly waits: boolean;
  readonly reasons: readonly (string | undefined)[];
  readonly digest: bigint;
}

interface Said {
  readonly record: MembershipRecord;
  readonly hidden?: Uint8Array;
}

export interface AdmissionOver {
  readonly person?: SecretKeys;
  readonly signer?: SecretKeys;
  readonly index?: number;
  readonly deviceSeq?: number;
  readonly prev?: Uint8Array;
  readonly anchorSeq?: number;
  readonly link?: Link;
  readonly record?: Partial<Extract<MembershipRecord, { type: "device-add" }>>;
  readonly before?: readonly Said[];
  readonly after?: readonly Said[];
}

export interface KitOptions {
  readonly suite: Suite;
  readonly point?: (name: EnginePoint) => void;
  /** In place of the notes: kinds of one device, and what a note is to them. */
  readonly kinds?: () => readonly Kind[];
  readonly sections?: (note: string) => ReadonlyMap<number, Uint8Array>;
  /** Of whoever stands on the replica beside the kinds. */
  readonly spaces?: readonly string[];
  /** What a device calls in place of the memory remote. */
  readonly door?: (who: Who) => Partial<Remote>;
}

export interface Who {
  readonly name: string;
  readonly vault: Uint8Array;
  readonly keys: SecretKeys;
  readonly person: SecretKeys;
}

export class Kit {
  readonly suite: Suite;
  readonly time: Time = new Time();
  readonly person: SecretKeys;
  readonly log: MemoryVaultLog;
  /** Names and fields of every event. */
  readonly events: [string, object | undefined][] = [];
  readonly #options: KitOptions;

  constructor(options: KitOptions) {
    this.#options = options;
    this.suite = options.suite;
    this.person = personKeys(this.suite, this.suite.random(32));
    this.log = this.#newLog();
  }

  #newLog(): MemoryVaultLog {
    return new MemoryVaultLog({ now: () => this.time.now(), sha256: (bytes) => this.suite.sha256(bytes) });
  }

  /** The same storage, to be served to somebody else from now on. */
  copyLog(log: MemoryVaultLog = this.log): MemoryVaultLog {
    const copy = this.#newLog();
    for (const number of log.numbers()) copy.put(number, log.bytesAt(number) as Uint8Array);
    for (const [id, bytes] of log.blobs) copy.blobs.set(id, bytes);
    copy.genesis = log.genesis;
    return copy;
  }

  /** A device's door to a storage. Hints are lost: a test says who reads when. */
  remote(log: MemoryVaultLog = this.log, faults: Faults = {}): Remote {
    const honest = createMemoryRemote(log, {
      before: (call) => faults.hooks?.before?.(call),
      after: (call) => faults.hooks?.after?.(call),
      hint: (deliver) => faults.hooks?.hint?.(deliver),
    });
    const replaced = <K extends keyof Remote>(name: K): Remote[K] =>
      faults.replaced?.(honest)[name] ?? honest[name];
    return {
      ...honest,
      create: (genesis) => replaced("create")(genesis),
      read: (after, want) => replaced("read")(after, want),
      append: (frames, seen) => replaced("append")(frames, seen),
      putBlob: (id, bytes) => replaced("putBlob")(id, bytes),
      getBlob: (id, part) => replaced("getBlob")(id, part),
      listBlobs: (after) => replaced("listBlobs")(after),
      deleteBlobs: (ids, condemnedAt) => replaced("deleteBlobs")(ids, condemnedAt),
      awake: () => faults.awake === true,
    };
  }

  get clock(): { now: () => number; mono: () => number } {
    return { now: () => this.time.now(), mono: () => this.time.mono };
  }

  get kinds(): readonly Kind[] {
    return this.#options.kinds?.() ?? [notesKind() as Kind];
  }

  newKeys(): SecretKeys {
    return deviceKeys(this.suite, drawDeviceSeeds(this.suite));
  }

  get spaces(): readonly string[] {
    return [...replicaSpaces(this.kinds), ...(this.#options.spaces ?? [])];
  }

  /** Bytes of a note that no compressor makes shorter. */
  noise(size: number): Uint8Array {
    return this.suite.random(size).map((b) => 0x40 | (b & 0x3f));
  }

  /** A device over a store, as a host makes it at each start. */
  open(
    name: string,
    genesis: Genesis,
    keys: SecretKeys = this.newKeys(),
    over: {
      store?: MapReplicaStore;
      localKey?: Uint8Array;
      log?: MemoryVaultLog;
      person?: SecretKeys;
    } = {},
  ): Device {
    const { suite, clock, kinds } = this;
    const store = over.store ?? new MapReplicaStore(this.spaces);
    const localKey = over.localKey ?? suite.random(32);
    const person = over.person ?? this.person;
    const door = this.#options.door?.({ name, vault: genesis.vault, keys, person });
    const faults: Faults = door === undefined ? {} : { replaced: () => door };
    const point = this.#options.point ?? ((): void => undefined);
    const events = { event: (event: string, fields?: object) => void this.events.push([event, fields]) };
    const replica = createReplica({ suite, clock, point }, { store, genesis, keys, localKey, kinds });
    const env = { suite, clock, scheduler: this.time, log: events, point };
    const engine = createEngine({ env, replica, remote: this.remote(over.log, faults) });
    return { name, keys, localKey, person, store, kinds, replica, engine, faults };
  }

  /** The same device after a kill: nothing in memory is kept. */
  restart(device: Device, log: MemoryVaultLog = this.log): Device {
    device.engine.sync?.dispatch("stop");
    return this.clone(device, log);
  }

  /** A copy of a device's home: both are at work from now on. */
  clone(device: Device, log: MemoryVaultLog = this.log): Device {
    const { name, replica, keys, localKey, person } = device;
    const store = MapReplicaStore.fromImage(device.store.image());
    return this.open(name, replica.genesis, keys, { store, localKey, log, person });
  }

  /** The first device, synced. */
  async found(name = "first"): Promise<Device> {
    const device = this.foundOffline(name);
    await this.sync(device);
    return device;
  }

  foundOffline(name = "first"): Device {
    const keys = this.newKeys();
    const device = this.open(name, makeGenesis(this.suite, this.clock, this.person, keys), keys);
    foundVault(this.suite, this.clock, device.replica, { vault: "home", device: name });
    return device;
  }

  /** One more device of the person, admitted. */
  async join(name: string, log: MemoryVaultLog = this.log): Promise<Device> {
    const genesis = await this.time.until(findVault(this.suite, this.remote(log), this.person));
    const device = this.open(name, genesis, this.newKeys(), { log });
    await this.time.until(this.admit(device, log));
    return device;
  }

  admit(device: Device, log: MemoryVaultLog = this.log): Promise<void> {
    const { suite, clock, person, time } = this;
    const remote = this.remote(log, device.faults);
    return joinVault(suite, clock, device.replica, remote, person, device.name, time);
  }

  /** One run of these notes, a frame each. */
  write(device: Device, ...notes: readonly string[]): number {
    return device.engine.write((tx) =>
      device.engine.submit(tx, { frames: notes.map((note) => ({ sections: this.sections(note) })) }),
    );
  }

  sections(note: string): ReadonlyMap<number, Uint8Array> {
    return this.#options.sections?.(note) ?? new Map([[SECTION, encodeUtf8(note)]]);
  }

  sync(device: Device): Promise<Awaited<ReturnType<Device["engine"]["syncNow"]>>> {
    return this.time.until(device.engine.syncNow());
  }

  /** All devices see what all have written, given that nothing stands in the way. */
  async converge(...devices: readonly Device[]): Promise<void> {
    for (let i = 0; i < 2; i++) for (const device of devices) await this.sync(device);
  }

  notes(device: Device): readonly string[] {
    return device.replica.read((tx) =>
      tx.scan(NOTES, new Uint8Array(0), undefined).map(([, note]) => decodeUtf8(note) ?? "?"),
    );
  }

  /** What is shown above the confirmed notes. */
  heldNotes(device: Device): readonly string[] {
    return device.replica.read((tx) =>
      tx.scan(HELD, new Uint8Array(0), undefined).map(([, note]) => decodeUtf8(note) ?? "?"),
    );
  }

  held(device: Device): Held {
    const { replica } = device;
    return { digest: replica.digest().toString(16), notes: this.notes(device), waiting: replica.waiting() };
  }

  /** Reasons per seq: "" accepted, undefined not judged. */
  verdicts(device: Device): readonly (string | undefined)[] {
    const { read } = device.replica.cursor();
    return device.replica.read((tx) => Array.from({ length: read }, (_, i) => getVerdict(tx, i + 1)?.reason));
  }

  parked(device: Device): readonly (string | undefined)[] {
    return device.replica.read((tx) => runs(tx).flatMap((r) => (r.parked === undefined ? [] : [r.parked])));
  }

  link(device: Device, seq: number): Link {
    return device.replica.read((tx) => linkAt(tx, device.replica.vault, seq)) as Link;
  }

  frameAt(device: Device, seq: number): Uint8Array {
    return device.replica.read((tx) => getEntry(tx, seq)?.frame) as Uint8Array;
  }

  /** The newest epoch that a device has applied. */
  epochOf(device: Device): number {
    return device.replica.read((tx) => device.replica.membership.newestEpoch(tx)?.n ?? 1);
  }

  /** A data frame in a device's name, made by whoever has its keys; right where nothing else is said. */
  frame(
    device: Device,
    over: Partial<FrameHeader> & {
      readonly note?: string;
      readonly plain?: Uint8Array;
      readonly key?: Uint8Array;
    },
  ): Sealed {
    const { suite } = this;
    const { replica, keys } = device;
    const { note, plain, key, ...header } = over;
    const index = header.device ?? device.engine.device ?? 0;
    const seq = header.anchorSeq ?? replica.cursor().applied;
    const epoch = header.epoch ?? this.epochOf(device);
    const frameKey =
      key ?? replica.read((tx) => replica.ring.frameKey(tx, epoch, replica.ownId, device.engine.device ?? 0));
    return sealFrame(
      suite,
      replica.vault,
      {
        suite: suite.id,
        kind: frameKinds.data,
        flags: 0,
        epoch,
        device: index,
        deviceSeq: 1 + device.replica.settled(),
        anchorSeq: seq,
        anchor: this.link(device, Math.min(seq, replica.cursor().read)).hash,
        sealedAt: Math.floor(this.time.now() / 1000),
        nonce: suite.random(24),
        ...header,
      },
      plain ?? encodePlaintext(suite, encodeSections(this.sections(note ?? "forged")), false),
      frameKey ?? suite.random(32),
      keys.signSecret,
    );
  }

  /** Puts other bytes in the place of a sealed frame in the outbox: what a fault of the program would have made. */
  replaceSealed(device: Device, deviceSeq: number, bytes: Sealed): void {
    device.engine.write((tx) => {
      const at = sealedAt(tx, deviceSeq);
      const frame = at === undefined ? undefined : getFrame(tx, at.run, at.index);
      if (at === undefined || frame === undefined) throw new Error(`nothing sealed as ${deviceSeq}`);
      putFrame(tx, { ...frame, sealed: bytes });
      tx.put(
        SEQS,
        u64Key(deviceSeq),
        new Writer(48).v(at.run).v(at.index).fixed(this.suite.sha256(bytes)).done(),
      );
    });
  }

  /** A membership frame of a device, at the head it has read. */
  membership(
    device: Device,
    records: readonly { readonly record: MembershipRecord; readonly hidden?: Uint8Array }[],
    over: {
      readonly deviceSeq?: number;
      readonly index?: number;
      readonly prev?: Uint8Array;
      readonly anchorSeq?: number;
      readonly epoch?: number;
      readonly link?: Link;
    } = {},
  ): Sealed {
    const { replica, keys } = device;
    const seq = over.anchorSeq ?? replica.cursor().read;
    const link = over.link ?? this.link(device, seq);
    const n = over.epoch ?? this.epochOf(device);
    const key = replica.read((tx) => replica.ring.epochKey(tx, n)) ?? this.suite.random(32);
    return sealMembership(this.suite, replica.vault, {
      author: {
        keys,
        id: replica.ownId,
        index: over.index ?? device.engine.device ?? 0,
        deviceSeq: over.deviceSeq ?? 1 + replica.settled(),
      },
      at: { seq, link: { ...link, members: over.prev ?? link.members }, now: this.time.now() },
      epoch: { n, key },
      records: records.map(({ record, hidden }) => ({ record, hidden })),
    });
  }

  /** A device's own admission, made by whoever has the phrase and has read what `reader` has. */
  admission(reader: Device, keys: SecretKeys, over: AdmissionOver = {}): Sealed {
    const { suite } = this;
    const { replica } = reader;
    const seq = over.anchorSeq ?? replica.cursor().read;
    const link = over.link ?? this.link(reader, seq);
    const person = over.person ?? this.person;
    const id = deviceId(suite, keys.sign, keys.box);
    const n = this.epochOf(reader);
    const key = replica.read((tx) => replica.ring.epochKey(tx, n)) ?? suite.random(32);
    const record: MembershipRecord = {
      type: "device-add",
      certificate: issueCertificate(suite, person, keys, this.time.now()).bytes,
      joinSignature: suite.sign(joinBytes(replica.vault, person, keys), keys.signSecret),
      envelope: sealEnvelope(suite, key, replica.vault, n, { kind: "device", id, box: keys.box }),
      recoverSignature: suite.sign(recoverBytes(replica.vault, keys, link.hash), person.signSecret),
      ...over.record,
    };
    const admitted: Said = { record, hidden: encodeName("joined") };
    return sealMembership(suite, replica.vault, {
      author: {
        keys: over.signer ?? keys,
        id,
        index: over.index ?? replica.read((tx) => replica.membership.devices(tx)).length,
        deviceSeq: over.deviceSeq ?? 1,
      },
      at: { seq, link: { ...link, members: over.prev ?? link.members }, now: this.time.now() },
      epoch: { n, key },
      records: [...(over.before ?? []), admitted, ...(over.after ?? [])].map((r) => ({
        record: r.record,
        hidden: r.hidden,
      })),
    });
  }

  /** What a device makes of frames placed after what it has read, without touching the device itself. */
  judged(device: Device, ...frames: readonly Uint8Array[]): Judgement {
    const { replica } = this.clone(device);
    const { read } = replica.cursor();
    const entries = frames.map((frame) => ({ time: this.time.now(), frame }));
    const hash = this.suite.random(32);
    const object = { kind: "page" as const, first: read + 1, prev: null, entries, hash };
    const ingested = replica.ingest(read, { objects: [object], head: read + frames.length });
    if (ingested.kind === "halt")
      return { halt: ingested.code, waits: false, reasons: [], digest: replica.digest() };
    const waits = replica.apply(1e9, undefined).kind === "waiting";
    const applied = replica.apply(1e9, Number.MAX_SAFE_INTEGER);
    const reasons = frames.map((_, i) => replica.read((tx) => getVerdict(tx, read + 1 + i)?.reason));
    const halt = applied.kind === "halt" ? applied.code : undefined;
    return { halt, waits, reasons, digest: replica.digest() };
  }

  pageBytes(
    first: number,
    prev: Uint8Array | null,
    frames: readonly Uint8Array[],
    time?: number,
  ): Uint8Array {
    const entries = frames.map((frame) => ({ time: time ?? this.time.now(), frame }));
    return encodePage({ first, prev, entries });
  }

  /** Puts a page at the next number, as whoever has read to the head may. */
  place(device: Device, ...frames: readonly Uint8Array[]): number {
    const { read } = device.replica.cursor();
    if (!this.log.place(read + 1, this.link(device, read).hash, frames)) throw new Error("not at the head");
    return read + 1;
  }

  /** Every entry as an honest reader finds it. */
  get entries(): readonly Placed[] {
    const entries: Placed[] = [];
    for (const number of this.log.numbers()) {
      const object = this.log.at(number);
      if (object?.kind !== "page") entries.push({ seq: number, time: 0, frame: undefined });
      else for (const [i, entry] of object.entries.entries()) entries.push({ ...entry, seq: number + i });
    }
    return entries;
  }
}

interface Placed {
  readonly seq: number;
  readonly time: number;
  readonly frame: Uint8Array | undefined;
}

/** Seeded and fast: simulated histories, never an attacker who signs. */
export function fastKit(seed: number, options: Omit<KitOptions, "suite"> = {}): Kit {
  let state = (Math.imul(seed, 0x9e3779b1) + 1) | 0;
  const random = (n: number): Uint8Array =>
    Uint8Array.from({ length: n }, () => {
      state = (Math.imul(state, 0x915f77f5) + 1) | 0;
      return state >>> 24;
    });
  return new Kit({ ...options, suite: createFastSuite(random) });
}

export function readTx<T>(device: Device, work: (tx: Tx) => T): T {
  return device.replica.read(work);
}

export function hex(...parts: readonly Uint8Array[]): string {
  return toHex(concat(...parts));
}
