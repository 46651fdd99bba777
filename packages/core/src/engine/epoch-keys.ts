/**
 * How a device comes to the key of the newest epoch that it has applied: its own envelope in the epoch's
 * list, one addressed to it in the log, or a later epoch's key, from which each earlier one opens. Nothing
 * is used before it matches what the accepted record commits to. Rules VLT4..VLT6, MEM15, MEM18.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { deviceId, personId, type SecretKeys } from "../crypto/identity.ts";
import type { BoxPair, Suite } from "../crypto/suite.ts";
import { isMembership } from "../log/chain.ts";
import { parseFrame } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import type { Failure, Remote } from "../ports.ts";
import { chainEnd, parseCertificate } from "../vault/certificate.ts";
import { openBefore, openEnvelope, parseEnvelopePack, type Recipient } from "../vault/epoch.ts";
import { type MembershipRecord, parseBody } from "../vault/records.ts";
import { entriesAfter, getCursor } from "./entries.ts";
import type { Replica } from "./replica.ts";

export interface Opener {
  readonly me: Pick<Recipient, "kind" | "id">;
  readonly pair: BoxPair;
}

export type Obtained =
  | { readonly kind: "here" }
  /** No epoch was applied yet. */
  | { readonly kind: "no-epoch" }
  /** The list is not on the remote · is not what its id says · holds nothing for us. */
  | { readonly kind: "withheld" | "damaged" | "none" }
  | Failure;

export function deviceOpener(suite: Suite, keys: SecretKeys): Opener {
  return {
    me: { kind: "device", id: deviceId(suite, keys.sign, keys.box) },
    pair: { publicKey: keys.box, secretKey: keys.boxSecret },
  };
}

/** Whether the key of the newest applied epoch is here. */
export function holdsNewestKey(replica: Replica, tx: Tx): boolean {
  const epoch = replica.membership.newestEpoch(tx);
  return epoch === undefined || replica.ring.epochKey(tx, epoch.n) !== undefined;
}

type EpochRecord = Pick<Extract<MembershipRecord, { type: "epoch" }>, "n" | "commit" | "list" | "before">;

export async function obtainKey(
  suite: Suite,
  replica: Replica,
  remote: Remote,
  openers: readonly Opener[],
): Promise<Obtained> {
  const { vault, ring } = replica;
  const target = replica.read((tx) => replica.membership.newestEpoch(tx));
  if (target === undefined) return { kind: "no-epoch" };
  if (replica.read((tx) => ring.epochKey(tx, target.n)) !== undefined) return { kind: "here" };
  const keep = (found: readonly Found[]): Obtained => {
    replica.write((tx) => {
      for (const { epoch, key } of found) {
        if (epoch === target) ring.put(tx, target.n, key);
        // Of a record that was not judged yet: used once one with this commitment is accepted.
        else ring.offer(tx, epoch.commit, key);
      }
      relearn(replica, tx, target.seq);
    });
    return { kind: "here" };
  };

  const offered = replica.read((tx) => ring.offered(tx, target.commit));
  if (offered !== undefined) return keep([{ epoch: target, key: offered }]);
  const fromList = async (epoch: EpochRecord): Promise<Uint8Array | Obtained> => {
    const pack = await remote.getBlob(epoch.list);
    if (pack.kind !== "ok") return pack;
    if (pack.value === undefined) return { kind: "withheld" };
    const envelopes = parseEnvelopePack(suite, epoch.list, pack.value);
    if (envelopes === null) return { kind: "damaged" };
    return openAny(suite, vault, epoch, openers, envelopes) ?? { kind: "none" };
  };

  const own = await fromList(target);
  if (own instanceof Uint8Array) return keep([{ epoch: target, key: own }]);
  // A remote that asks for time gets it: no other request follows.
  if (isFailure(own)) return own;
  const log = replica.read((tx) => readLog(suite, tx, target, openers));
  for (const { epoch, envelope } of log.envelopes) {
    const key = openAny(suite, vault, epoch, openers, [envelope]);
    const found = key === undefined ? undefined : descend(suite, vault, log.epochs, { epoch, key }, target);
    if (found !== undefined) return keep(found);
  }
  // A superseded list may be gone; the newest one is kept.
  const newest = log.epochs.at(-1);
  if (newest !== undefined && newest !== target) {
    const key = await fromList(newest);
    if (!(key instanceof Uint8Array)) return isFailure(key) ? key : own;
    const found = descend(suite, vault, log.epochs, { epoch: newest, key }, target);
    if (found !== undefined) return keep(found);
  }
  return own;
}

function isFailure(obtained: Obtained): obtained is Failure {
  switch (obtained.kind) {
    case "here":
    case "no-epoch":
    case "withheld":
    case "damaged":
    case "none":
      return false;
    case "busy":
    case "unreachable":
    case "denied":
    case "quota":
    case "corrupt":
      return true;
  }
}

interface Found {
  readonly epoch: EpochRecord;
  readonly key: Uint8Array;
}

function openAny(
  suite: Suite,
  vault: Uint8Array,
  epoch: EpochRecord,
  openers: readonly Opener[],
  envelopes: readonly Uint8Array[],
): Uint8Array | undefined {
  for (const { me, pair } of openers)
    for (const envelope of envelopes) {
      const key = openEnvelope(suite, envelope, vault, epoch, me, pair);
      if (key !== null) return key;
    }
  return undefined;
}

/** From a later epoch's key down to the one wanted: each key opens the one before. */
function descend(
  suite: Suite,
  vault: Uint8Array,
  epochs: readonly EpochRecord[],
  from: Found,
  target: EpochRecord,
): readonly Found[] | undefined {
  const found = [from];
  let at = from;
  while (at.epoch !== target) {
    const { epoch, key } = at;
    const before = epoch.before;
    let next: Found | undefined;
    // Of several records for one number at most one was accepted: the key itself tells which it belongs to.
    for (const one of epochs) {
      if (one.n !== epoch.n - 1 || before === undefined) continue;
      const opened = openBefore(suite, key, vault, epoch.n, before, one.commit);
      if (opened !== null) next = { epoch: one, key: opened };
    }
    if (next === undefined) return undefined;
    found.push(next);
    at = next;
  }
  return found;
}

interface Seen {
  /** The target and every later epoch that a frame in the log speaks of, judged or not. */
  readonly epochs: readonly EpochRecord[];
  /** What is addressed to us. */
  readonly envelopes: readonly { readonly epoch: EpochRecord; readonly envelope: Uint8Array }[];
}

function readLog(
  suite: Suite,
  tx: Tx,
  target: EpochRecord & { readonly seq: number },
  openers: readonly Opener[],
): Seen {
  const epochs: EpochRecord[] = [target];
  const envelopes: { epoch: EpochRecord; envelope: Uint8Array }[] = [];
  const { read } = getCursor(tx);
  const isMine = (kind: Recipient["kind"], id: Uint8Array): boolean =>
    openers.some(({ me }) => me.kind === kind && equalBytes(me.id, id));
  const device = (keys: { readonly sign: Uint8Array; readonly box: Uint8Array } | undefined): boolean =>
    keys !== undefined && isMine("device", deviceId(suite, keys.sign, keys.box));
  for (let seq = target.seq; seq < read; ) {
    for (const entry of entriesAfter(tx, seq, 64)) {
      seq = entry.seq;
      if (!isMembership(entry.frame)) continue;
      const frame = parseFrame(entry.frame as Uint8Array);
      const body = frame === null ? null : parseBody(frame.body);
      if (frame === null || body === null) continue;
      for (const record of body.records) {
        let envelope: Uint8Array | undefined;
        if (record.type === "epoch" && record.n > target.n) epochs.push(record);
        else if (record.type === "envelope") {
          const [to] = openers.filter(({ me }) => me.kind === record.to);
          envelope = to === undefined ? undefined : record.envelope;
        } else if (record.type === "device-admit")
          envelope = device(record.device) ? record.envelope : undefined;
        else if (record.type === "device-add")
          envelope = device(parseCertificate(suite, record.certificate)?.device)
            ? record.envelope
            : undefined;
        else if (record.type === "member-add") {
          const added = chainEnd(suite, record.certificates);
          if (added === null) continue;
          const person = personId(suite, added.person.sign, added.person.box);
          if (device(added.device)) envelope = record.deviceEnvelope;
          else if (isMine("person", person)) envelope = record.personEnvelope;
        }
        if (envelope === undefined) continue;
        for (const epoch of epochs) if (epoch.n === frame.epoch) envelopes.push({ epoch, envelope });
      }
    }
  }
  return { epochs, envelopes };
}

/** Private parts of membership frames that were applied before their key was here. */
function relearn(replica: Replica, tx: Tx, from: number): void {
  const { applied } = getCursor(tx);
  for (let seq = Math.max(0, from - 1); seq < applied; ) {
    for (const entry of entriesAfter(tx, seq, 256)) {
      seq = entry.seq;
      if (seq <= applied && isMembership(entry.frame)) replica.learn(tx, entry);
    }
  }
}
