/**
 * Whether an entry counts, the same on every replica, in this order (docs/spec/log.md, "Acceptance").
 * *Void* keeps the entry in the chain without effect. *Halt* applies nothing more. *Wait* needs a key.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import type { Link } from "../log/chain.ts";
import { FORMAT, type Frame, frameKinds, openFrame, parseFrame, verifyFrame } from "../log/frame.ts";
import type { Carrier, Decoded, Kind, VoidReason } from "../log/kind.ts";
import { decodePlaintext, decodeSections } from "../log/plaintext.ts";
import type { Tx } from "../log/tx.ts";
import type { Device, Membership, Standing } from "../vault/membership.ts";
import { memberAad } from "../vault/membership-frame.ts";
import { type Entry, linkAt } from "./entries.ts";
import type { KeyRing } from "./key-ring.ts";
import { getVerdict } from "./verdicts.ts";

/** Per device: what of its numbering was used. Confirmed state. */
export const TRACKS = "e.track";

export interface Track {
  /** The last device seq that a validly signed frame used up, and that frame's hash. */
  readonly seq: number;
  readonly id: Uint8Array;
  readonly anchorSeq: number;
}

const unused: Track = { seq: 0, id: new Uint8Array(32), anchorSeq: 0 };

export function getTrack(tx: Tx, device: number): Track {
  const bytes = tx.get(TRACKS, new Writer(4).u32(device).done());
  if (bytes === undefined) return unused;
  const r = new Reader(bytes);
  return { seq: r.v(), id: r.fixed(32), anchorSeq: r.v() };
}

export function putTrack(tx: Tx, device: number, t: Track): void {
  tx.put(TRACKS, new Writer(4).u32(device).done(), new Writer(48).v(t.seq).fixed(t.id).v(t.anchorSeq).done());
}

export type Judged =
  /** Nobody we know signed it. It waits until somebody we know anchors past it (LOG7). */
  | { readonly kind: "unsigned"; readonly reason: VoidReason }
  | {
      readonly kind: "void";
      readonly reason: VoidReason;
      readonly frame: Frame;
      readonly author: Author;
    }
  | { readonly kind: "halt"; readonly code: "fork" }
  | { readonly kind: "wait-key"; readonly epoch: number }
  | {
      readonly kind: "ok";
      readonly frame: Frame;
      readonly author: Author;
      readonly sections: readonly Section[];
      /** What the sections are long after inflate. */
      readonly bytes: number;
      readonly carrier: Carrier;
    };

export interface Section {
  readonly kind: Kind;
  readonly decoded: Decoded<unknown>;
}

/** What it takes to know who signed a frame. */
export interface SignerDeps {
  readonly suite: Suite;
  readonly vault: Uint8Array;
  readonly membership: Membership;
}

/** Who stands behind a frame: the device it names, or a person, whose phrase admits another one. */
export type Author = "device" | "admission";

export type Signer =
  | { readonly kind: "known"; readonly author: Author; readonly standing: Standing }
  | { readonly kind: "nobody"; readonly reason: VoidReason };

/** Whose word counts against this history: who may not write can show no fork (MEM12). */
export function vouches(signer: Signer): boolean {
  return signer.kind === "known" && signer.standing === "writer";
}

/** An admission is judged under the key it brings, whoever holds the index it claims (MEM5). */
export function signerOf(deps: SignerDeps, tx: Tx, frame: Frame): Signer {
  const { suite, vault, membership } = deps;
  const nobody = (reason: VoidReason): Signer => ({ kind: "nobody", reason });
  if (frame.format !== FORMAT || frame.suite !== suite.id) return nobody("suite");
  const named = membership.device(tx, frame.device);
  if (named !== undefined && verifyFrame(suite, vault, frame, named.sign))
    return { kind: "known", author: "device", standing: membership.standing(tx, named) };
  const brought = frame.kind === frameKinds.membership ? membership.admissionKey(frame.body) : undefined;
  if (brought === undefined) return nobody(named === undefined ? "unsigned-device" : "signature");
  if (!verifyFrame(suite, vault, frame, brought)) return nobody("signature");
  const standing = membership.admission(tx, frame.body, frame.anchor);
  if (typeof standing !== "string") return nobody(standing.fault);
  return { kind: "known", author: "admission", standing };
}

export interface JudgeDeps extends SignerDeps {
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly keys: KeyRing;
  /** Entries on which a kind failed on this device: kept, shown, and without effect here. */
  readonly quarantined: ReadonlySet<number>;
}

/** A kind threw on this entry. Nothing of the transaction stands; the entry is set aside (ENG2). */
export class Poison extends Error {
  readonly seq: number;
  constructor(seq: number, cause: unknown) {
    super("a kind failed", { cause });
    this.seq = seq;
  }
}

/** Runs a kind's code on what an entry says: a fault of it must not stop the log. */
export function guarded<T>(seq: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    // The store's own troubles (disk full, damaged) are no fault of the entry.
    throw error instanceof TidelockError ? error : new Poison(seq, error);
  }
}

export function judge(deps: JudgeDeps, tx: Tx, entry: Entry): Judged {
  const { suite, vault } = deps;
  const bytes = entry.frame;
  if (bytes === undefined) return { kind: "unsigned", reason: "malformed" };
  if (bytes[0] !== FORMAT || bytes[1] !== suite.id) return { kind: "unsigned", reason: "suite" };
  const frame = parseFrame(bytes);
  if (frame === null) return { kind: "unsigned", reason: "malformed" };

  // Also a stranger's own admission: his key vouches for nothing, least of all for a fork.
  const signer = signerOf(deps, tx, frame);
  if (signer.kind === "nobody") return { kind: "unsigned", reason: signer.reason };
  const { author } = signer;
  const voided = (reason: VoidReason): Judged => ({ kind: "void", reason, frame, author });
  // Before anything he could do to others by what he claims (MEM10, MEM12).
  if (signer.standing === "removed") return voided("removed");
  if (signer.standing === "reader" && frame.kind === frameKinds.data) return voided("role");
  const carrier = carrierOf(deps, tx, entry, frame);

  if (frame.anchorSeq >= entry.seq) return voided("anchor");
  const anchored = linkAt(tx, vault, frame.anchorSeq);
  if (anchored !== undefined && !equalBytes(anchored.hash, frame.anchor))
    return vouches(signer) ? { kind: "halt", code: "fork" } : voided("anchor");
  if (frame.kind === frameKinds.membership) {
    const judged = judgeMembership(deps, tx, frame, carrier);
    return typeof judged === "string"
      ? voided(judged)
      : { kind: "ok", frame, author, sections: judged, bytes: frame.body.length, carrier };
  }

  const track = getTrack(tx, frame.device);
  if (frame.deviceSeq <= track.seq)
    return voided(frame.deviceSeq === track.seq && !equalBytes(track.id, entry.id) ? "op-reused" : "replay");
  if (frame.anchorSeq < track.anchorSeq) return voided("anchor");
  if (frame.deviceSeq !== track.seq + 1) return voided("device-seq");
  return judgeData(deps, tx, frame, carrier);
}

function carrierOf(deps: JudgeDeps, tx: Tx, entry: Entry, frame: Frame): Carrier {
  return {
    seq: entry.seq,
    device: frame.device,
    deviceSeq: frame.deviceSeq,
    epoch: frame.epoch,
    anchor: frame.anchor,
    received: entry.time,
    sealedAt: frame.sealedAt,
    membersBefore: (linkAt(tx, deps.vault, entry.seq - 1) as Link).members,
    open: (publicPart, sealed) => openPrivate(deps, tx, frame, publicPart, sealed),
  };
}

/** Private parts of a membership entry that was applied before its key was here. */
export function learnPrivate(deps: JudgeDeps, tx: Tx, entry: Entry): void {
  const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
  if (frame === null || frame.kind !== frameKinds.membership) return;
  if (getVerdict(tx, entry.seq)?.reason !== "") return;
  const decoded = deps.membership.decode(frame.body);
  if (decoded !== null) deps.membership.learn?.(tx, decoded.value, carrierOf(deps, tx, entry, frame));
}

function judgeMembership(
  deps: JudgeDeps,
  tx: Tx,
  frame: Frame,
  carrier: Carrier,
): VoidReason | readonly Section[] {
  const { membership } = deps;
  const decoded = membership.decode(frame.body);
  if (decoded === null) return "malformed";
  return membership.judge?.(tx, decoded.value, carrier) ?? [{ kind: membership as Kind, decoded }];
}

function judgeData(deps: JudgeDeps, tx: Tx, frame: Frame, carrier: Carrier): Judged {
  const { suite, vault, membership, keys } = deps;
  const author = "device";
  const voided = (reason: VoidReason): Judged => ({ kind: "void", reason, frame, author });
  const epoch = membership.newestEpoch(tx);
  if (epoch === undefined || frame.epoch !== epoch.n) return voided("epoch-stale");
  const { id } = membership.device(tx, frame.device) as Device;
  const key = keys.frameKey(tx, frame.epoch, id, frame.device);
  if (key === undefined) return { kind: "wait-key", epoch: frame.epoch };
  const plain = openFrame(suite, vault, frame, key);
  if (plain === null) return voided("sealed-wrong");
  const text = decodePlaintext(suite, plain);
  if (text.kind === "void") return voided(text.reason);
  const bytes = text.changes.length;
  if (deps.quarantined.has(carrier.seq)) return { kind: "ok", frame, author, sections: [], bytes, carrier };
  const sections = guarded(carrier.seq, () => decodeAll(deps.kinds, text.changes));
  if (typeof sections === "string") return voided(sections);
  for (const { kind, decoded } of sections) {
    const reason = guarded(carrier.seq, () => kind.judge?.(tx, decoded.value, carrier));
    if (reason !== undefined) return voided(reason);
  }
  return { kind: "ok", frame, author, sections, bytes, carrier };
}

/** The sections of a frame that was judged ok before: what an open run holds is opened again at its end. */
export function reopenFrame(deps: JudgeDeps, tx: Tx, frame: Frame): readonly Section[] {
  const author = deps.membership.device(tx, frame.device);
  const key = author === undefined ? undefined : deps.keys.frameKey(tx, frame.epoch, author.id, frame.device);
  const plain = key === undefined ? null : openFrame(deps.suite, deps.vault, frame, key);
  const text = plain === null ? undefined : decodePlaintext(deps.suite, plain);
  const sections = text?.kind === "ok" ? decodeAll(deps.kinds, text.changes) : "malformed";
  if (typeof sections === "string")
    throw new TidelockError("replica-damaged", { why: "a frame of an open run does not open again" });
  return sections;
}

/** The sections of a frame's changes, each decoded by its kind; why it is void otherwise. */
export function decodeAll(
  kinds: ReadonlyMap<number, Kind>,
  changes: Uint8Array,
): readonly Section[] | VoidReason {
  const parts = decodeSections(changes);
  if (parts === null) return "malformed";
  const sections: Section[] = [];
  let count = 0;
  for (const [id, bytes] of parts) {
    const kind = kinds.get(id);
    const decoded = kind?.decode(bytes);
    if (kind === undefined || decoded === null || decoded === undefined) return "malformed";
    count += decoded.changes;
    sections.push({ kind, decoded });
  }
  return count > limits.changesPerFrame ? "limit" : sections;
}

function openPrivate(
  deps: JudgeDeps,
  tx: Tx,
  frame: Frame,
  publicPart: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | null {
  const author = deps.membership.device(tx, frame.device);
  const key = author === undefined ? undefined : deps.keys.memberKey(tx, frame.epoch, author.id);
  if (key === undefined) return null;
  return deps.suite.aeadOpen(key, frame.nonce, memberAad(deps.suite, frame.header, publicPart), sealed);
}
