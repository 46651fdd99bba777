/**
 * One vault on one device, without a network: everything that is durable, and every change to it.
 * Synchronous. `sync.ts` moves bytes between it and a remote. Rules ENG1..ENG6.
 */

import type { Sealed } from "../bytes/brand.ts";
import { EMPTY, encodeUtf8, equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { SecretKeys } from "../crypto/identity.ts";
import { deviceId } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import type { Link } from "../log/chain.ts";
import { FRAME_OVERHEAD, type Frame } from "../log/frame.ts";
import { createHousekeeping } from "../log/housekeeping.ts";
import type { Kind, Space } from "../log/kind.ts";
import { locationSpaces } from "../log/locations.ts";
import { encodePlaintext, encodeSections, paddedLength } from "../log/plaintext.ts";
import { digestedSpaces, Tx } from "../log/tx.ts";
import type { Clock, Page, Receipt, Remote, ReplicaStore } from "../ports.ts";
import { type Genesis, parseGenesis } from "../vault/genesis.ts";
import { createMembership, type Membership, membershipSpaces, type Standing } from "../vault/membership.ts";
import { isAdmin } from "../vault/roster.ts";
import { encodeAct, type MemberAct } from "./acts.ts";
import type { LocalRun, RunFrame, Verdict } from "./api.ts";
import {
  type Applied,
  type ApplyDeps,
  type Attested,
  applyEntries,
  OPEN_RUNS,
  stopCode,
  unattested,
} from "./apply.ts";
import { type Cursor, type Entry, getCursor, getReach, LOG, linkAt, META } from "./entries.ts";
import { type HaltCode, type Ingested, ingest, rereadFrom } from "./ingest.ts";
import { decodeAll, getTrack, learnPrivate, Poison, type Section, TRACKS } from "./judge.ts";
import { createKeyRing, EPOCH_KEYS, type KeyRing, OFFERED_KEYS } from "./key-ring.ts";
import { sendAgain } from "./lost-content.ts";
import { FRAMES, getFrame, getOwn, putFrame, putOwn, putRun, queued, RUNS, runs } from "./outbox.ts";
import type { EnginePoint } from "./points.ts";
import { discardRun, retryRun } from "./queue.ts";
import { rebuild, Unfit } from "./rebuild.ts";
import { receivedPage } from "./receipt.ts";
import { type OtherEnd, type Reread, readAgain } from "./reread.ts";
import { nextBatch, SEQS, type SealDeps, type SealedFrame, sealedAt } from "./seal.ts";
import { concludeOwn, isForeign } from "./settle.ts";
import { SPOOL, Spool, type SpooledBlob } from "./spool.ts";
import { takeBack } from "./take-back.ts";
import { VERDICTS } from "./verdicts.ts";

/** Under another end of the history, or under the same one with all of it made anew, also what was set aside. */
export type Rebuilding = "other-end" | "anew";

/** Changes per step of a rebuild: bounds memory, not the transaction. */
const SLICE = 4096;
/** Verdicts that are remembered for whoever asks late. */
const RECENT = 1024;
/** Entries set aside because a reducer threw on them: seq → nothing. */
const QUARANTINE = "e.quarantine";
const GENESIS = encodeUtf8("genesis");
const DIGEST = encodeUtf8("digest");
const FOUNDED = encodeUtf8("founded");
const ATTEST = encodeUtf8("attest");

export const engineSpaces: readonly Space[] = [
  { name: TRACKS, digested: true },
  { name: OPEN_RUNS, digested: true },
  { name: VERDICTS, digested: false },
  ...[LOG, META, RUNS, FRAMES, SEQS, SPOOL, EPOCH_KEYS, OFFERED_KEYS, QUARANTINE].map((name) => ({
    name,
    digested: false,
    kept: true,
  })),
];

export interface ReplicaEnv {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly point: (name: EnginePoint) => void;
}

export interface ReplicaOptions {
  readonly store: ReplicaStore;
  readonly genesis: Genesis;
  readonly keys: SecretKeys;
  /** Seals what rests in the replica. */
  readonly localKey: Uint8Array;
  /** The data kinds: tables, files. */
  readonly kinds: readonly Kind[];
}

export interface Replica {
  readonly vault: Uint8Array;
  readonly genesis: Genesis;
  readonly keys: SecretKeys;
  readonly ownId: Uint8Array;
  readonly membership: Membership;
  readonly ring: KeyRing;
  ownDevice(tx: Tx): number | undefined;
  read<T>(work: (tx: Tx) => T): T;
  write<T>(work: (tx: Tx) => T): T;
  submit(tx: Tx, run: LocalRun): number;
  /** From now on an own frame with device seq 1 is this device's admission, however often it was sent. */
  expectAdmission(): void;
  /** Reads the private parts of a membership entry whose key came after it was applied. */
  learn(tx: Tx, entry: Entry): void;
  /** Queues a frame that was made whole: membership. */
  submitSealed(tx: Tx, frame: Sealed, deviceSeq: number): number;
  /** Queues an act on the membership: sent like an edit, and made a frame when it is sealed. */
  submitAct(tx: Tx, act: MemberAct): number;
  rotateIfDue(): void;
  ownStanding(tx: Tx): Standing | undefined;
  /** Puts an attesting frame into the outbox (LOG7). */
  attest(tx: Tx): number;
  /** Queues anew what the log did not take; answers the new run's id (ENG16). */
  retry(tx: Tx, run: number): number;
  /** Gives up an edit that is not under way (ENG17). */
  discard(tx: Tx, run: number): void;
  verdict(run: number): Promise<Verdict>;
  ingest(after: number, page: Page): Ingested;
  apply(budget: number, pass: number | undefined): Applied;
  /** Reads again what nobody else has signed, after a remote showed another history (LOG18). */
  readAgain(remote: Remote): Promise<Reread>;
  /** Replays everything under what was read so; false where that does not stand, and nothing was changed. */
  rebuild(end: OtherEnd, why?: Rebuilding): boolean;
  /** What to send next, sealed durably; `settled` says that no earlier send is in doubt. */
  nextBatch(placed: ReadonlySet<number>): readonly SealedFrame[];
  /**
   * A remote took these: where they must turn up (in memory; a restart reads them back anyway).
   * `fork` where something else is known to stand there.
   */
  acknowledge(first: number, deviceSeqs: readonly number[]): HaltCode | undefined;
  /** Takes these in as if a read had shown them (ENG21); false where only reading can. After `acknowledge`. */
  receive(first: number, sent: readonly SealedFrame[], receipt: Receipt): boolean;
  /** The newest seq the remote showed at the last read: its word, for status only. */
  shownHead(): number;
  cursor(): Cursor;
  head(): { readonly seq: number; readonly hash: Uint8Array };
  digest(): bigint;
  rereadFrom(): number;
  /** How many entries were set aside because a reducer failed on them. */
  quarantined(): number;
  /** Own runs without a verdict, and those parked. */
  waiting(): { readonly pending: number; readonly parked: number };
  /** Own frames up to this device seq had their verdict. */
  settled(): number;
  /** Genesis and blobs that the remote does not have yet. */
  unfounded(): Sealed | undefined;
  markFounded(): void;
  /** A blob that waits to be stored on the remote. */
  nextSpooled(): SpooledBlob | undefined;
  /** Bytes of all that do. */
  spooledBytes(): number;
  /** One that is here, whether the remote has it or not. */
  spooledBlob(id: Uint8Array): Uint8Array | undefined;
  spool(tx: Tx, id: Uint8Array, bytes: Sealed): void;
  /** The remote has it. */
  noteStored(id: Uint8Array): void;
  attestDue(): number | undefined;
  setAttestDue(seq: number | undefined): void;
  onChange(listener: () => void): () => void;
}

/** All that a replica with these kinds holds. */
export function spacesWith(kinds: readonly Kind[]): readonly Space[] {
  const own = [...engineSpaces, ...membershipSpaces, ...locationSpaces];
  return [...own, ...kinds.flatMap((k) => k.spaces)];
}

/** Every space a store must have for this engine with these kinds. */
export function replicaSpaces(kinds: readonly Kind[]): readonly string[] {
  return spacesWith(kinds).map((s) => s.name);
}

/** The genesis a store was made for, if any. */
export function storedGenesis(suite: Suite, store: ReplicaStore): Genesis | undefined {
  const bytes = store.get(META, GENESIS);
  if (bytes === undefined) return undefined;
  const genesis = parseGenesis(suite, bytes);
  if (genesis === null) throw new TidelockError("replica-damaged", { why: "its genesis does not verify" });
  return genesis;
}

export function createReplica(env: ReplicaEnv, options: ReplicaOptions): Replica {
  const { suite, point } = env;
  const { store, genesis, keys } = options;
  const { vault } = genesis;
  const ownId = deviceId(suite, keys.sign, keys.box);
  const membership = createMembership(suite, vault);
  const ring = createKeyRing(
    suite,
    vault,
    options.localKey,
    ownId,
    (tx, n) => membership.epoch(tx, n)?.commit,
  );
  const dataKinds = [createHousekeeping() as Kind, ...options.kinds];
  const kinds = new Map(dataKinds.map((k) => [k.section, k]));
  const all = [...dataKinds, membership as Kind];
  const spaces = spacesWith(options.kinds);
  const digested = digestedSpaces(spaces);
  const listeners = new Set<() => void>();
  const verdicts = new Map<number, ((verdict: Verdict) => void)[]>();
  const recent = new Map<number, Verdict>();
  const acknowledged = new Map<number, number>();
  const quarantined = new Set(store.scan(QUARANTINE, EMPTY, undefined).map(([key]) => readU64Key(key)));
  const attested: Attested = { ...unattested };
  const spool = new Spool();
  let own: number | undefined;
  let submitted = false;
  let promised = 0;
  let shown = 0;
  let current: Tx | undefined;
  let decided: { run: number; verdict: Verdict }[] = [];

  const getDigest = (): bigint => {
    const bytes = store.get(META, DIGEST);
    const view = bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset, 16);
    return view === undefined ? 0n : (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
  };
  const open = (): Tx => new Tx(store, suite, digested, getDigest);

  function write<T>(work: (tx: Tx) => T): T {
    const outer = current;
    // As part of the outer one: a throw undoes all of it, also where somebody catches it.
    if (outer !== undefined) return store.transaction(() => work(outer));
    return commit(() => step(work));
  }

  /** Settled by itself. A commit may hold several, one after another. */
  function step<T>(work: (tx: Tx) => T): T {
    const tx = open();
    current = tx;
    try {
      const result = work(tx);
      for (const kind of all) kind.settle(tx);
      if (tx.moved) putDigest(tx);
      return result;
    } finally {
      current = undefined;
    }
  }

  function commit<T>(work: () => T): T {
    decided = [];
    submitted = false;
    const value = transaction(work);
    if (submitted) point("submit.after-commit");
    for (const { run, verdict } of decided) {
      if (recent.size >= RECENT) recent.delete(recent.keys().next().value as number);
      recent.set(run, verdict);
      for (const resolve of verdicts.get(run) ?? []) resolve(verdict);
      verdicts.delete(run);
    }
    for (const listener of listeners) listener();
    return value;
  }

  /** What a failed transaction had filled memory with must go with it (ENG1). */
  function transaction<T>(work: () => T): T {
    try {
      return store.transaction(work);
    } catch (error) {
      own = undefined;
      ring.forget();
      Object.assign(attested, unattested);
      throw error;
    }
  }

  function putDigest(tx: Tx): void {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, tx.digest >> 64n);
    view.setBigUint64(8, BigInt.asUintN(64, tx.digest));
    tx.put(META, DIGEST, bytes);
  }

  const read = <T>(work: (tx: Tx) => T): T => work(current ?? open());

  /** Everything read is applied, and nothing that was said stops this device. */
  const atHead = (tx: Tx): boolean => {
    const { read: seq, applied } = getCursor(tx);
    return seq === applied && stopCode({ membership, ownDevice }, tx) === undefined;
  };
  const outboxEmpty = (tx: Tx): boolean => tx.last(FRAMES, EMPTY, undefined) === undefined;

  function ownDevice(tx: Tx): number | undefined {
    own ??= membership.devices(tx).find((d) => equalBytes(d.id, ownId))?.index;
    return own;
  }

  /** What this device may do in the vault now; undefined before its admission was applied. */
  function ownStanding(tx: Tx): Standing | undefined {
    const index = ownDevice(tx);
    const device = index === undefined ? undefined : membership.device(tx, index);
    return device === undefined ? undefined : membership.standing(tx, device);
  }

  function needMember(tx: Tx): void {
    if (ownStanding(tx) === "removed")
      throw new TidelockError("device-removed", { why: "what it says would be void" });
  }

  function needWriter(tx: Tx): void {
    if (ownStanding(tx) === "reader")
      throw new TidelockError("no-access", {
        why: "a viewer of this vault reads and does not write",
        next: "ask the vault's owner for another role",
      });
  }

  function submitAct(tx: Tx, act: MemberAct): number {
    needMember(tx);
    const { nextRun: id, ...numbers } = getOwn(tx);
    putOwn(tx, { ...numbers, nextRun: id + 1 });
    putRun(tx, { id, frames: 1, at: env.clock.now(), parked: undefined, failed: undefined, judged: 0 });
    const changes = encodeAct(act);
    putFrame(tx, { run: id, index: 0, changes, stored: false, act: true, deviceSeq: 0, sealed: undefined });
    submitted = true;
    point("submit.before-commit");
    return id;
  }

  /** A rotation that somebody's leaving made due, if it is this device's to do and does not wait yet. */
  function rotateIfDue(): void {
    const due = read((tx) => membership.rotationDue(tx) && ownStanding(tx) === "writer");
    if (!due) return;
    write((tx) => {
      const person = membership.person(tx, membership.device(tx, ownDevice(tx) ?? -1)?.person ?? -1);
      const after = membership.newestEpoch(tx)?.n;
      if (person === undefined || after === undefined || !isAdmin(person.role)) return;
      const waits = runs(tx).some((r) => r.parked === undefined && getFrame(tx, r.id, 0)?.act === true);
      if (!waits) submitAct(tx, { kind: "rotate", after });
    });
  }

  function submit(tx: Tx, run: LocalRun): number {
    needWriter(tx);
    if (run.frames.length === 0 || run.frames.length > limits.framesPerRun)
      throw new TidelockError("too-large", { why: `a transaction of ${run.frames.length} frames` });
    // All of it before anything is kept: a caller may catch what this throws.
    const encoded = run.frames.map((frame) => encodeFrame(frame));
    const size = encoded.reduce((sum, frame) => sum + frame.changes.length, 0);
    if (size > limits.runBytes)
      throw new TidelockError("too-large", { why: `a transaction of ${size} bytes` });
    const { nextRun: id, ...numbers } = getOwn(tx);
    putOwn(tx, { ...numbers, nextRun: id + 1 });
    putRun(tx, {
      id,
      frames: run.frames.length,
      at: env.clock.now(),
      parked: undefined,
      failed: undefined,
      judged: 0,
    });
    for (const [index, { changes, stored }] of encoded.entries())
      putFrame(tx, { run: id, index, changes, stored, deviceSeq: 0, sealed: undefined });
    const sections = encoded.flatMap((frame) => frame.sections);
    for (const [kind, values] of valuesByKind(sections)) kind.hold(tx, id, values);
    submitted = true;
    point("submit.before-commit");
    return id;
  }

  /** Refuses what replay would: an edit that can never be accepted must not look like one. */
  function encodeFrame(frame: RunFrame): {
    readonly changes: Uint8Array;
    readonly stored: boolean;
    readonly sections: readonly Section[];
  } {
    const stored = frame.compressOff === true;
    const changes = encodeSections(frame.sections);
    const sections = changes.length > limits.inflated ? "limit" : decodeAll(kinds, changes);
    if (typeof sections === "string")
      throw new TidelockError("too-large", { why: `a frame that the vault's rules refuse (${sections})` });
    if (!fitsFrame(suite, changes, stored))
      throw new TidelockError("too-large", { why: `a frame of ${changes.length} bytes` });
    return { changes, stored, sections };
  }

  const isMine = (tx: Tx, frame: Frame | undefined): frame is Frame =>
    frame !== undefined && frame.device === ownDevice(tx);

  /** `placed`: what must turn up where. */
  function applyDeps(
    aside: ReadonlySet<number>,
    placed: ReadonlyMap<number, number>,
    passed: number[],
  ): ApplyDeps {
    const refuses: ApplyDeps["refuses"] = (tx, entry, frame) => {
      const expected = placed.get(entry.seq);
      const mine = isMine(tx, frame);
      if (expected !== undefined && !(mine && frame.deviceSeq === expected)) return "fork";
      return mine && isForeign(tx, entry, frame) ? "op-reused" : undefined;
    };
    const onVerdict: ApplyDeps["onVerdict"] = (tx, verdict) => {
      passed.push(verdict.entry.seq);
      return isMine(tx, verdict.frame) ? concludeOwn(sealDeps, tx, verdict) : undefined;
    };
    const onApplied: ApplyDeps["onApplied"] = (tx, run, sections) => {
      // Not all of it has had its verdict.
      if (sendAgain(kinds, tx, run, sections)) decided = decided.filter((one) => one.run !== run.id);
    };
    const quarantined = aside;
    const judging = { suite, vault, membership, kinds, keys: ring, quarantined };
    return { ...judging, ownDevice, point, attested, onVerdict, onApplied, refuses };
  }

  function ingestPage(after: number, page: Page): Ingested {
    // An idle poll changes nothing, so it needs no transaction either.
    if (page.objects.length === 0 && page.head === read(getCursor).read && page.head >= promised) {
      shown = page.head;
      return { kind: "ok", fresh: 0, replaced: false };
    }
    return write((tx) => {
      // Only what was verified or acknowledged counts against a rollback: a head is a remote's word.
      const result = ingest({ suite, vault, membership }, tx, after, page, promised);
      shown = page.head > getReach(tx) ? page.head : getCursor(tx).read;
      if (result.kind === "halt" || result.replaced) Object.assign(attested, unattested);
      point("ingest.before-commit");
      return result;
    });
  }

  function applySlice(budget: number, pass: number | undefined): Applied {
    const passed: number[] = [];
    const deps = applyDeps(quarantined, acknowledged, passed);
    const applied = write((tx) => {
      const result = applyEntries(deps, tx, budget, pass);
      point("apply.before-commit");
      return result;
    });
    for (const seq of passed) acknowledged.delete(seq);
    point("apply.after-commit");
    return applied;
  }

  /** False where the other end does not stand its replay; then everything is as before. */
  function rebuildUnder(end: OtherEnd, why: Rebuilding = "other-end"): boolean {
    const aside = new Set([...quarantined].filter((seq) => why === "other-end" && seq < end.from));
    for (;;) {
      try {
        commit(() => rebuildOnce(end, why, aside));
        break;
      } catch (error) {
        if (error instanceof Unfit) return false;
        if (!(error instanceof Poison)) throw error;
        // As in `apply`; ends, because each turn adds one.
        aside.add(error.seq);
      }
    }
    quarantined.clear();
    for (const seq of aside) quarantined.add(seq);
    // Both spoke of the end that is gone.
    acknowledged.clear();
    promised = 0;
    point("rebuild.after-commit");
    return true;
  }

  function rebuildOnce(end: OtherEnd, why: Rebuilding, aside: ReadonlySet<number>): void {
    const deps = applyDeps(aside, new Map(), []);
    rebuild(
      {
        store,
        suite,
        genesis,
        membership,
        kinds,
        all,
        spaces,
        step,
        takeBack: (tx, from) => {
          // The same history has the same frames of ours.
          if (why === "anew") return;
          const device = ownDevice(tx);
          const again = device === undefined ? [] : takeBack({ ...deps, own: device, ownId }, tx, from);
          // Decided anew: whoever asks now waits for that.
          for (const id of again) recent.delete(id);
          for (const [id, verdict] of recent) if (verdict.seq >= from) recent.delete(id);
        },
        emptied: () => {
          store.delete(META, DIGEST);
          for (const seq of quarantined) if (!aside.has(seq)) store.delete(QUARANTINE, u64Key(seq));
          for (const seq of aside) store.put(QUARANTINE, u64Key(seq), EMPTY);
          own = undefined;
          // Its keys were checked against records that may be others now.
          ring.forget();
          Object.assign(attested, unattested);
        },
        apply: (tx, pass) => applyEntries(deps, tx, SLICE, pass),
      },
      end,
    );
    // Owed for an entry that may be another one now.
    step((tx) => {
      const bytes = tx.get(META, ATTEST);
      if (bytes !== undefined && new Reader(bytes).v() >= end.from) tx.delete(META, ATTEST);
    });
    point("rebuild.before-commit");
  }

  const sealDeps: SealDeps = {
    suite,
    clock: env.clock,
    vault,
    ring,
    keys,
    membership,
    ownDevice,
    ownId,
    kinds,
    decide: (run, verdict) => decided.push({ run, verdict }),
    spool,
  };

  return {
    vault,
    genesis,
    keys,
    ownId,
    membership,
    ring,
    ownDevice,
    read,
    write,
    submit,
    submitSealed: (tx, frame, deviceSeq) => {
      const { nextRun: id, settled } = getOwn(tx);
      putOwn(tx, { nextRun: id + 1, sealed: deviceSeq, settled });
      putRun(tx, { id, frames: 1, at: env.clock.now(), parked: undefined, failed: undefined, judged: 0 });
      putFrame(tx, {
        run: id,
        index: 0,
        changes: new Uint8Array(0),
        stored: false,
        deviceSeq,
        sealed: frame,
      });
      tx.put(SEQS, u64Key(deviceSeq), new Writer(48).v(id).v(0).fixed(suite.sha256(frame)).done());
      return id;
    },
    expectAdmission: () =>
      write((tx) => {
        const o = getOwn(tx);
        putOwn(tx, { ...o, sealed: Math.max(o.sealed, 1), settled: Math.max(o.settled, 1) });
      }),
    learn: (tx, entry) =>
      learnPrivate({ suite, vault, membership, kinds, keys: ring, quarantined }, tx, entry),
    attest: (tx) => submit(tx, { frames: [{ sections: new Map([[1, new Uint8Array(0)]]) }] }),
    retry: (tx, run) => {
      const acts = getFrame(tx, run, 0)?.act === true;
      needMember(tx);
      if (!acts) needWriter(tx);
      return retryRun(sealDeps, tx, run);
    },
    discard: (tx, run) => discardRun(sealDeps, tx, run),
    verdict: (run) =>
      new Promise((resolve) => {
        const known = recent.get(run);
        if (known !== undefined) resolve(known);
        else verdicts.set(run, [...(verdicts.get(run) ?? []), resolve]);
      }),
    ingest: ingestPage,
    receive: (first, sent, receipt) => {
      const page = read((tx) => receivedPage(suite, tx, vault, first, sent, receipt));
      // Something further on was acknowledged before.
      if (page === undefined || page.head < promised) return false;
      return ingestPage(first - 1, page).kind === "ok";
    },
    apply: (budget, pass) => {
      if (read(atHead)) return { kind: "ok", applied: 0, more: false };
      for (;;) {
        try {
          return applySlice(budget, pass);
        } catch (error) {
          if (!(error instanceof Poison)) throw error;
          // Its transaction is undone; the same slice again passes over what failed. Ends: each turn adds one.
          const { seq } = error;
          write((tx) => tx.put(QUARANTINE, u64Key(seq), EMPTY));
          quarantined.add(seq);
        }
      }
    },
    readAgain: (remote) => readAgain({ suite, vault, membership, read, ownDevice }, remote),
    rebuild: rebuildUnder,
    nextBatch: (placed) => {
      if (read(outboxEmpty)) return [];
      const batch = write((tx) => {
        const sealed = nextBatch(sealDeps, tx, placed);
        point("seal.before-commit");
        return sealed;
      });
      point("seal.after-commit");
      return batch;
    },
    acknowledge: (first, deviceSeqs) => {
      if (!Number.isSafeInteger(first) || first < 1) return "fork";
      const { applied } = read(getCursor);
      for (const [i, deviceSeq] of deviceSeqs.entries()) {
        if (first + i > applied) acknowledged.set(first + i, deviceSeq);
        // What stands there was judged, and this frame was not.
        else if (read((tx) => sealedAt(tx, deviceSeq)) !== undefined) return "fork";
      }
      promised = Math.max(promised, first + deviceSeqs.length - 1);
      return undefined;
    },
    shownHead: () => shown,
    cursor: () => read(getCursor),
    head: () =>
      read((tx) => {
        const { read: seq } = getCursor(tx);
        return { seq, hash: (linkAt(tx, vault, seq) as Link).hash };
      }),
    digest: () => read((tx) => tx.digest),
    rereadFrom: () => read((tx) => rereadFrom(tx, getCursor(tx))),
    quarantined: () => quarantined.size,
    waiting: () =>
      read((tx) => {
        const { runs, parked } = queued(tx);
        return { pending: runs - parked, parked };
      }),
    settled: () => read((tx) => getOwn(tx).settled),
    unfounded: () => (store.get(META, FOUNDED) === undefined ? genesis.bytes : undefined),
    markFounded: () => write((tx) => tx.put(META, FOUNDED, new Uint8Array([1]))),
    nextSpooled: () => read((tx) => spool.next(tx)),
    spooledBytes: () => read((tx) => spool.bytes(tx)),
    spooledBlob: (id) => read((tx) => spool.get(tx, id)),
    spool: (tx, id, bytes) => spool.put(tx, id, bytes),
    submitAct,
    rotateIfDue,
    ownStanding,
    noteStored: (id) => write((tx) => spool.sent(tx, id)),
    attestDue: () =>
      read((tx) => {
        const bytes = tx.get(META, ATTEST);
        const due = bytes === undefined ? 0 : new Reader(bytes).v();
        const device = ownDevice(tx);
        // An own frame that was accepted since is anchored past it anyway.
        return device === undefined || getTrack(tx, device).anchorSeq >= due ? undefined : due;
      }),
    setAttestDue: (seq) =>
      write((tx) =>
        seq === undefined ? tx.delete(META, ATTEST) : tx.put(META, ATTEST, new Writer(8).v(seq).done()),
      ),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Whether these sections make a frame that a remote takes. Deflates only where that decides. */
function fitsFrame(suite: Suite, changes: Uint8Array, stored: boolean): boolean {
  const most = limits.frame - FRAME_OVERHEAD;
  return paddedLength(changes.length + 16) <= most || encodePlaintext(suite, changes, stored).length <= most;
}

/** Begins a store for a vault: genesis, its owner and first device. Once, inside the first transaction. */
export function beginReplica(replica: Replica, tx: Tx, founded: boolean): void {
  tx.put(META, GENESIS, replica.genesis.bytes);
  if (founded) tx.put(META, FOUNDED, new Uint8Array([1]));
  replica.membership.begin(tx, replica.genesis);
}

export function valuesByKind(sections: readonly Section[]): ReadonlyMap<Kind, unknown[]> {
  const byKind = new Map<Kind, unknown[]>();
  for (const { kind, decoded } of sections) {
    const values = byKind.get(kind);
    if (values === undefined) byKind.set(kind, [decoded.value]);
    else values.push(decoded.value);
  }
  return byKind;
}
