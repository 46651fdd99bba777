/**
 * A device joins a vault by the recovery words: it checks that the person founded the vault,
 * reads the log, opens the newest epoch's envelope with the words, and admits itself under fresh
 * device keys. Rules VLT7, VLT10.
 */
import { equalBytes, fingerprint } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { deviceId, personId, type SecretKeys } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import { isMembership, type Link } from "../log/chain.ts";
import { parseFrame } from "../log/frame.ts";
import { endOf } from "../log/page.ts";
import type { Tx } from "../log/tx.ts";
import type { Clock, Remote, Result, Scheduler } from "../ports.ts";
import { chainEnd, issueCertificate } from "../vault/certificate.ts";
import { sealEnvelope } from "../vault/epoch.ts";
import { type Genesis, parseGenesis } from "../vault/genesis.ts";
import { sealMembership } from "../vault/membership-frame.ts";
import { encodeName, joinBytes, type MembershipRecord, parseBody, recoverBytes } from "../vault/records.ts";
import { devicesOf } from "../vault/roster.ts";
import { getCursor, linkAt } from "./entries.ts";
import { deviceOpener, holdsNewestKey, obtainKey } from "./epoch-keys.ts";
import { failureCode } from "./failure.ts";
import { PAGE, pull, UNSIGNED_WAIT } from "./pull.ts";
import { beginReplica, type Replica } from "./replica.ts";

/** How often a join looks again while an entry that nobody signed holds it up. */
const LOOK_AGAIN = 2_000;
/** Each try follows somebody else's success, so this many means a broken remote. */
const TRIES = 100;

/** The vault on a remote, if the person of these words founded it or has joined it. Writes nothing. */
export async function findVault(
  suite: Suite,
  remote: Remote,
  person: SecretKeys,
  expected?: Uint8Array,
): Promise<Genesis> {
  const bytes = must(await remote.genesis());
  if (bytes === undefined)
    throw new TidelockError("not-found", {
      why: "no vault lives on this remote",
      next: "check the remote, or found one: tidelock init --remote DIR",
    });
  const genesis = parseGenesis(suite, bytes);
  if (genesis === null)
    throw new TidelockError("remote-corrupt", { why: "the vault's genesis does not verify" });
  if (expected !== undefined && !equalBytes(genesis.vault, expected))
    throw mismatch("another vault lives on this remote than the one named", expected, genesis.vault);
  const founder = equalBytes(genesis.owner.sign, person.sign) && equalBytes(genesis.owner.box, person.box);
  if (!founder && !(await hasJoined(suite, remote, genesis.vault, person)))
    throw mismatch(
      "these words have neither founded nor joined the vault on this remote",
      personId(suite, person.sign, person.box),
      personId(suite, genesis.owner.sign, genesis.owner.box),
    );
  return genesis;
}

function mismatch(why: string, have: Uint8Array, found: Uint8Array): TidelockError {
  const details = { have: fingerprint(have), expected: fingerprint(found) };
  return new TidelockError("key-mismatch", {
    why: `${why} (${details.have} here, ${details.expected} there)`,
    details,
  });
}

/**
 * Whether a device of the person has signed that it joins this vault: no remote can slip one in of its
 * own (VLT7). Whether he is still in is for the log to say.
 */
async function hasJoined(
  suite: Suite,
  remote: Remote,
  vault: Uint8Array,
  person: SecretKeys,
): Promise<boolean> {
  for (let after = 0; ; ) {
    const page = must(await remote.read(after, PAGE));
    let next = after;
    for (const object of page.objects) {
      next = Math.max(next, endOf(object));
      for (const { frame: bytes } of object.kind === "page" ? object.entries : []) {
        const frame = isMembership(bytes) ? parseFrame(bytes) : null;
        const body = frame === null ? null : parseBody(frame.body);
        for (const record of body?.records ?? [])
          if (record.type === "member-add" && isJoin(suite, vault, person, record)) return true;
      }
    }
    if (next === after) return false;
    after = next;
  }
}

function isJoin(
  suite: Suite,
  vault: Uint8Array,
  person: SecretKeys,
  record: Extract<MembershipRecord, { type: "member-add" }>,
): boolean {
  const end = chainEnd(suite, record.certificates);
  if (end === null || !equalBytes(end.person.sign, person.sign) || !equalBytes(end.person.box, person.box))
    return false;
  const joined = joinBytes(vault, person, end.device, record.invite);
  return suite.verify(record.joinSignature, joined, end.device.sign);
}

/**
 * Fills an empty replica made for `genesis` and admits its device. May be run again after a crash.
 * Without a `scheduler` it cannot wait, and ends with `stalled` where it would have to (LOG7).
 */
export async function joinVault(
  suite: Suite,
  clock: Clock,
  replica: Replica,
  remote: Remote,
  person: SecretKeys,
  deviceName: string,
  scheduler?: Scheduler,
): Promise<void> {
  encodeName(deviceName);
  if (replica.read((tx) => replica.membership.devices(tx).length) === 0)
    replica.write((tx) => beginReplica(replica, tx, true));
  let behindAt: number | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    await catchUp(suite, clock, replica, remote, person, scheduler);
    if (replica.read((tx) => replica.ownDevice(tx)) !== undefined) return;
    const frame = replica.read((tx) => admission(suite, clock, replica, tx, person, deviceName));
    replica.expectAdmission();
    const { seq, hash } = replica.head();
    const result = await remote.append([frame], { seq, hash });
    if (result.kind === "behind") {
      if (behindAt === seq)
        throw new TidelockError("remote-corrupt", {
          why: "the log has grown, and nothing of it can be read",
        });
      behindAt = seq;
    } else if (result.kind !== "committed" && result.kind !== "unknown") must(result);
  }
  throw new TidelockError("unreachable", { why: "other devices were faster a hundred times" });
}

async function catchUp(
  suite: Suite,
  clock: Clock,
  replica: Replica,
  remote: Remote,
  person: SecretKeys,
  scheduler: Scheduler | undefined,
): Promise<void> {
  /** As in `sync.ts`: what was read by then waits together, and our admission will be anchored past it. */
  let stuck: { readonly since: number; readonly upTo: number } | undefined;
  for (;;) {
    const pulled = await pull(replica, remote);
    if (pulled.kind === "halt")
      throw new TidelockError(pulled.code, { why: "the vault's log does not verify" });
    must(pulled.kind === "ok" ? { kind: "ok", value: undefined } : pulled);
    const passable = stuck !== undefined && clock.mono() - stuck.since >= UNSIGNED_WAIT;
    const waiting = await applyAll(suite, replica, remote, person, passable ? stuck?.upTo : undefined);
    if (pulled.kind === "ok" && pulled.more) continue;
    if (waiting === undefined) break;
    if (scheduler === undefined)
      throw new TidelockError("stalled", {
        why: `nobody known has signed entry ${waiting}`,
        next: "try again in a minute, or write something on another device",
        retryable: true,
      });
    if (stuck === undefined || stuck.upTo < waiting)
      stuck = { since: clock.mono(), upTo: replica.cursor().read };
    await new Promise<void>((resolve) => scheduler.after(LOOK_AGAIN, resolve));
  }
  const empty = replica.read((tx) => replica.membership.newestEpoch(tx)) === undefined;
  if (empty || !replica.read((tx) => holdsNewestKey(replica, tx)))
    await openNewestEpoch(suite, replica, remote, person);
}

/** Applies what was read; the seq of an entry that nobody known has signed, if one holds it up. */
async function applyAll(
  suite: Suite,
  replica: Replica,
  remote: Remote,
  person: SecretKeys,
  pass: number | undefined,
): Promise<number | undefined> {
  for (;;) {
    const applied = replica.apply(4096, pass);
    if (applied.kind === "halt")
      throw new TidelockError(applied.code, { why: `the log does not verify at seq ${applied.seq}` });
    if (applied.kind === "waiting") return applied.seq;
    if (applied.kind === "key-missing") await openNewestEpoch(suite, replica, remote, person);
    else if (!applied.more) return undefined;
  }
}

async function openNewestEpoch(
  suite: Suite,
  replica: Replica,
  remote: Remote,
  person: SecretKeys,
): Promise<void> {
  const me = { kind: "person", id: personId(suite, person.sign, person.box) } as const;
  const obtained = await obtainKey(suite, replica, remote, [
    { me, pair: { publicKey: person.box, secretKey: person.boxSecret } },
    deviceOpener(suite, replica.keys),
  ]);
  switch (obtained.kind) {
    case "here":
      return;
    case "no-epoch":
      throw new TidelockError("key-missing", {
        why: "the vault has no epoch yet: its first device has not synced",
      });
    case "withheld":
      throw new TidelockError("key-missing", {
        why: "the envelopes of the newest epoch are not on the remote",
      });
    case "damaged":
      throw new TidelockError("blob-damaged", { why: "the envelopes of the newest epoch are damaged" });
    case "none":
      throw new TidelockError("key-mismatch", {
        why: "no envelope of the newest epoch opens with these words",
      });
    case "busy":
    case "unreachable":
    case "denied":
    case "quota":
    case "corrupt":
      must(obtained);
  }
}

function admission(
  suite: Suite,
  clock: Clock,
  replica: Replica,
  tx: Tx,
  person: SecretKeys,
  deviceName: string,
) {
  const { vault, keys, membership } = replica;
  const { read: seq } = getCursor(tx);
  const link = linkAt(tx, vault, seq) as Link;
  const index = membership.devices(tx).length;
  const roster = membership.roster(tx);
  const me = roster.persons.find((p) => equalBytes(p.sign, person.sign) && p.removedAt === undefined);
  if (me === undefined)
    throw new TidelockError("no-access", { why: "this person is no member of the vault" });
  const mine = devicesOf(roster, me.index).length;
  if (mine >= limits.devicesPerPerson)
    throw new TidelockError("no-access", {
      why: `this person has ${mine} devices in the vault, and no more may join`,
      next: "remove one of them: tidelock device rm",
    });
  const epoch = membership.newestEpoch(tx);
  const key = epoch === undefined ? undefined : replica.ring.epochKey(tx, epoch.n);
  if (epoch === undefined || key === undefined)
    throw new TidelockError("key-missing", { why: "the vault's key did not arrive" });
  const id = deviceId(suite, keys.sign, keys.box);
  return sealMembership(suite, vault, {
    author: { keys, id, index, deviceSeq: 1 },
    at: { seq, link, now: clock.now() },
    epoch: { n: epoch.n, key },
    records: [
      {
        record: {
          type: "device-add",
          certificate: issueCertificate(suite, person, keys, clock.now()).bytes,
          joinSignature: suite.sign(joinBytes(vault, person, keys), keys.signSecret),
          envelope: sealEnvelope(suite, key, vault, epoch.n, { kind: "device", id, box: keys.box }),
          recoverSignature: suite.sign(recoverBytes(vault, keys, link.hash), person.signSecret),
        },
        hidden: encodeName(deviceName),
      },
    ],
  });
}

/** A failure of the remote as the error a person sees. */
function must<T>(result: Result<T>): T {
  if (result.kind === "ok") return result.value;
  const why = "why" in result ? result.why : "the remote is busy";
  throw new TidelockError(failureCode(result), { why });
}
