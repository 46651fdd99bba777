/**
 * Golden bytes of the membership (`vectors/tidelock/members.json`): every record, what it makes of a
 * vault of three persons, and what becomes of it with any one byte changed. Made by one build of the
 * suite, made again and judged by every other. `scripts/golden-members.ts` writes the file.
 */
import { readFileSync } from "node:fs";
import { concat, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { deviceId, deviceKeys, personId, personKeys, type SecretKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { inviteContext } from "@tidelock/core/engine/acts";
import { genesisLink, type Link, nextLink } from "@tidelock/core/log/chain";
import { parseFrame, verifyFrame } from "@tidelock/core/log/frame";
import { acceptCertificate, issueCertificate, offerCertificate } from "@tidelock/core/vault/certificate";
import { commitment, openBefore, openEnvelope, sealBefore, sealEnvelope } from "@tidelock/core/vault/epoch";
import { foundGenesis } from "@tidelock/core/vault/genesis";
import { sealMembership } from "@tidelock/core/vault/membership-frame";
import {
  encodeName,
  encodeNames,
  joinBytes,
  type MembershipRecord,
  NO_INVITE,
  parseBody,
} from "@tidelock/core/vault/records";
import { type Act, founderRoster, judgeRecords, type Roster } from "@tidelock/core/vault/roster";
import { expect } from "vitest";

/** Bytes in hexadecimal. */
export interface MembersGolden {
  readonly about: string;
  readonly vault: string;
  readonly frames: readonly {
    readonly what: string;
    readonly seq: number;
    readonly frame: string;
    /** Persons with role, devices with person, epoch, open invites; "-" for who is out. */
    readonly after: string;
    /** Per byte of the body's public part with its lowest bit changed, in runs: reason, `ok` or `same`; the count. */
    readonly flipped: readonly string[];
  }[];
}

export function readMembersGolden(): MembersGolden {
  const url = new URL("../../../../vectors/tidelock/members.json", import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as MembersGolden;
}

const NOW = 1_700_000_000_000;
const bytes = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const range = (from: number, length = 32): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);

interface Cast {
  readonly suite: Suite;
  readonly person: (n: number) => SecretKeys;
  readonly device: (n: number) => SecretKeys;
  readonly vault: Uint8Array;
  readonly key: (n: number) => Uint8Array;
}

function cast(build: Suite): Cast {
  let count = 0;
  // Random bytes that repeat; sealed boxes still draw their own.
  const random = (n: number): Uint8Array => {
    const parts: Uint8Array[] = [];
    for (let left = n; left > 0; left -= 64)
      parts.push(build.hash(Uint8Array.of(count++ & 0xff, count >> 8), 64));
    return concat(...parts).slice(0, n);
  };
  const suite = { ...build, random };
  const person = once((n) => personKeys(suite, range(n)));
  const device = once((n) => deviceKeys(suite, { sign: range(64 + 16 * n), box: range(65 + 16 * n) }));
  const { vault } = foundGenesis(suite, issueCertificate(suite, person(0), device(0), NOW), device(0));
  return { suite, person, device, vault, key: (n) => range(160 + n) };
}

function once<T>(make: (n: number) => T): (n: number) => T {
  const made = new Map<number, T>();
  return (n) => {
    const known = made.get(n) ?? make(n);
    made.set(n, known);
    return known;
  };
}

interface Said {
  readonly what: string;
  readonly by: number;
  readonly epoch: number;
  readonly records: readonly { readonly record: MembershipRecord; readonly hidden?: Uint8Array }[];
}

/** A founder's device 0; anna's 1 and 2; bert's 3. Boxes draw their own keys: taken from `known` where it is there. */
function script(c: Cast, box: (seal: () => Uint8Array) => Uint8Array): readonly Said[] {
  const { suite, vault } = c;
  const id = (n: number): Uint8Array => deviceId(suite, c.device(n).sign, c.device(n).box);
  const pid = (n: number): Uint8Array => personId(suite, c.person(n).sign, c.person(n).box);
  const toDevice = (n: number, epoch: number): Uint8Array =>
    box(() =>
      sealEnvelope(suite, c.key(epoch), vault, epoch, { kind: "device", id: id(n), box: c.device(n).box }),
    );
  const toPerson = (n: number, epoch: number): Uint8Array =>
    box(() =>
      sealEnvelope(suite, c.key(epoch), vault, epoch, { kind: "person", id: pid(n), box: c.person(n).box }),
    );
  const join = (person: number, device: number, invite = NO_INVITE): Uint8Array =>
    suite.sign(joinBytes(vault, c.person(person), c.device(device), invite), c.device(device).signSecret);
  const epoch = (n: number, envelopes: number): MembershipRecord => ({
    type: "epoch",
    n,
    commit: commitment(suite, c.key(n), vault, n),
    before: n === 1 ? undefined : sealBefore(suite, c.key(n), vault, n, c.key(n - 1)),
    envelopes,
    list: range(n),
  });
  const invite = range(7, 16);
  const cert = (person: number, device: number): Uint8Array =>
    issueCertificate(suite, c.person(person), c.device(device), NOW).bytes;
  // Bert's phone is certified by his laptop, which his words have certified.
  const laptop = c.device(9);
  const offered = offerCertificate(suite, c.person(2), laptop, c.device(3), NOW);
  const chain = [
    issueCertificate(suite, c.person(2), laptop, NOW).bytes,
    (acceptCertificate(suite, offered, c.device(3)) as { bytes: Uint8Array }).bytes,
  ];
  const { sign, box: boxKey } = c.device(2);
  return [
    { what: "epoch 1", by: 0, epoch: 1, records: [{ record: epoch(1, 2) }] },
    {
      what: "member-add, without an invite",
      by: 0,
      epoch: 1,
      records: [
        {
          record: {
            type: "member-add",
            certificates: [cert(1, 1)],
            joinSignature: join(1, 1),
            role: "editor",
            invite: NO_INVITE,
            deviceEnvelope: toDevice(1, 1),
            personEnvelope: toPerson(1, 1),
          },
          hidden: encodeNames("Anna", "Laptop"),
        },
      ],
    },
    {
      what: "device-add by another device",
      by: 1,
      epoch: 1,
      records: [
        {
          record: {
            type: "device-admit",
            device: { sign, box: boxKey },
            joinSignature: join(1, 2),
            envelope: toDevice(2, 1),
          },
          hidden: encodeName("Telefon"),
        },
      ],
    },
    { what: "role", by: 0, epoch: 1, records: [{ record: { type: "role", person: 1, role: "admin" } }] },
    {
      what: "invite",
      by: 0,
      epoch: 1,
      records: [
        {
          record: {
            type: "invite",
            id: invite,
            role: "viewer",
            uses: 2,
            expires: NOW + 7 * 86_400_000,
            secrets: [0, 1, 2].map((n) =>
              box(() =>
                suite.sealTo(
                  c.device(n).box,
                  concat(inviteContext(suite, vault, invite, id(n)), range(3, 16)),
                ),
              ),
            ),
          },
        },
      ],
    },
    {
      what: "member-add, by an invite and a chain of certificates",
      by: 1,
      epoch: 1,
      records: [
        {
          record: {
            type: "member-add",
            certificates: chain,
            joinSignature: join(2, 3, invite),
            role: "viewer",
            invite,
            deviceEnvelope: toDevice(3, 1),
            personEnvelope: toPerson(2, 1),
          },
          hidden: encodeNames("Bert", "Pad"),
        },
      ],
    },
    { what: "invite-cancel", by: 2, epoch: 1, records: [{ record: { type: "invite-cancel", id: invite } }] },
    {
      what: "envelope",
      by: 3,
      epoch: 1,
      records: [{ record: { type: "envelope", n: 1, to: "device", index: 2, envelope: toDevice(2, 1) } }],
    },
    {
      what: "device-revoke and epoch 2",
      by: 0,
      epoch: 2,
      records: [
        { record: { type: "device-revoke", device: 1, since: 2, cutoff: 2 } },
        { record: epoch(2, 5) },
      ],
    },
    {
      what: "member-remove and epoch 3",
      by: 0,
      epoch: 3,
      records: [{ record: { type: "member-remove", person: 2, cutoffs: [1] } }, { record: epoch(3, 3) }],
    },
    { what: "owner-transfer", by: 0, epoch: 3, records: [{ record: { type: "owner-transfer", person: 1 } }] },
  ];
}

export function makeMembersGolden(build: Suite, known?: MembersGolden): MembersGolden {
  const c = cast(build);
  const { suite, vault } = c;
  const boxes = known === undefined ? undefined : knownBoxes(known);
  const said = script(c, (seal) => boxes?.shift() ?? seal());
  let roster: Roster = founderRoster(suite, c.person(0), c.device(0));
  let link: Link = genesisLink(vault);
  const seqs = new Map<number, number>();
  const frames = said.map(({ what, by, epoch, records }, i) => {
    const seq = i + 1;
    const deviceSeq = (seqs.get(by) ?? 0) + 1;
    seqs.set(by, deviceSeq);
    const keys = c.device(by);
    const frame = sealMembership(suite, vault, {
      author: { keys, id: deviceId(suite, keys.sign, keys.box), index: by, deviceSeq },
      at: { seq: i, link, now: NOW },
      epoch: { n: epoch, key: c.key(epoch) },
      records: records.map(({ record, hidden }) => ({ record, hidden })),
    });
    const act = actOf(frame, seq);
    const after = judgeRecords(
      suite,
      vault,
      roster,
      records.map((r) => r.record),
      act,
    );
    if (typeof after === "string") throw new RangeError(`${what}: ${after}`);
    const flipped = flips(suite, vault, roster, frame, act, after);
    link = nextLink(suite, link, seq, { time: NOW + seq, id: suite.sha256(frame), frame });
    roster = after;
    return { what, seq, frame: toHex(frame), after: shown(after), flipped };
  });
  return {
    about:
      "Made by scripts/golden-members.ts; persons from entropy n, n+1, …, devices from seeds 64+16n and 65+16n, epoch keys from 160+n, random bytes BLAKE2b-64 of a counter. Suite 1.",
    vault: toHex(vault),
    frames,
  };
}

function actOf(frame: Uint8Array, seq: number): Act {
  const parsed = parseFrame(frame) as NonNullable<ReturnType<typeof parseFrame>>;
  const { device, deviceSeq, epoch, anchor, sealedAt } = parsed;
  return { device, deviceSeq, seq, epoch, anchor, received: NOW + seq, sealedAt };
}

/** What its author would have said with one bit of the public part changed, and signed. */
function flips(
  suite: Suite,
  vault: Uint8Array,
  before: Roster,
  frame: Uint8Array,
  act: Act,
  right: Roster,
): readonly string[] {
  const { body } = parseFrame(frame) as { body: Uint8Array };
  const length = (parseBody(body) as { publicPart: Uint8Array }).publicPart.length;
  const runs: { reason: string; count: number }[] = [];
  // The 32 bytes before the records are compared, not decoded: another prev is `member-race` before all of this.
  for (let at = 32; at < length; at++) {
    const changed = body.slice();
    changed[at] = (changed[at] as number) ^ 1;
    const parsed = parseBody(changed);
    const after = parsed === null ? "malformed" : judgeRecords(suite, vault, before, parsed.records, act);
    const reason = typeof after === "string" ? after : shown(after) === shown(right) ? "same" : "ok";
    const last = runs.at(-1);
    if (last?.reason === reason) last.count++;
    else runs.push({ reason, count: 1 });
  }
  return runs.map(({ reason, count }) => `${reason} ${count}`);
}

function shown(r: Roster): string {
  const persons = r.persons.map((p) => (p.removedAt === undefined ? p.role : "-")).join(" ");
  const devices = r.devices.map((d) => (d.removedAt === undefined ? d.person : "-")).join(" ");
  const invites = r.invites.map((i) => `${i.role}×${i.uses}`).join(" ");
  return `${persons} | ${devices} | epoch ${r.epoch?.n ?? 0}${r.rotationDue ? ", due" : ""} | ${invites}`;
}

/** The sealed boxes in the order in which the script makes them. */
function knownBoxes(known: MembersGolden): Uint8Array[] {
  return known.frames.flatMap(({ frame }) => {
    const body = parseBody(parseFrame(bytes(frame))?.body ?? new Uint8Array(0));
    return (body?.records ?? []).flatMap((record): readonly Uint8Array[] => {
      if (record.type === "member-add") return [record.deviceEnvelope, record.personEnvelope];
      if (record.type === "device-admit" || record.type === "envelope") return [record.envelope];
      return record.type === "invite" ? record.secrets : [];
    });
  });
}

/** Makes the golden bytes again and judges them; changed in any byte, a frame is nobody's. */
export function checkMembersGolden(suite: Suite): void {
  const golden = readMembersGolden();
  const again = makeMembersGolden(suite, golden);
  for (const [i, frame] of golden.frames.entries()) expect(again.frames[i], frame.what).toEqual(frame);
  expect(again).toEqual(golden);
  const c = cast(suite);
  const vault = bytes(golden.vault);
  for (const { what, frame } of golden.frames) {
    const right = bytes(frame);
    const parsed = parseFrame(right) as NonNullable<ReturnType<typeof parseFrame>>;
    expect(verifyFrame(suite, vault, parsed, c.device(parsed.device).sign), what).toBe(true);
    for (let at = 0; at < right.length; at++) {
      const other = right.slice();
      other[at] = (other[at] as number) ^ 1;
      const read = parseFrame(other);
      const sign = read === null ? undefined : c.device(read.device % 10).sign;
      const holds = read !== null && sign !== undefined && verifyFrame(suite, vault, read, sign);
      if (holds) expect.fail(`${what}: byte ${at} changed, and it is still signed`);
    }
  }
  checkKeys(c, golden);
}

/** The envelopes open for whom they are, and each epoch's key opens the one before. */
function checkKeys(c: Cast, golden: MembersGolden): void {
  const { suite, vault } = c;
  const commit = (n: number): Uint8Array => commitment(suite, c.key(n), vault, n);
  const records = golden.frames.flatMap(
    ({ frame }) => parseBody(parseFrame(bytes(frame))?.body ?? new Uint8Array(0))?.records ?? [],
  );
  const open = (envelope: Uint8Array, device: number): Uint8Array | null => {
    const { sign, box, boxSecret } = c.device(device);
    const me = { kind: "device" as const, id: deviceId(suite, sign, box) };
    return openEnvelope(suite, envelope, vault, { n: 1, commit: commit(1) }, me, {
      publicKey: box,
      secretKey: boxSecret,
    });
  };
  for (const record of records) {
    if (record.type === "device-admit" || record.type === "envelope") {
      expect(open(record.envelope, 2)).toEqual(c.key(1));
      expect(open(record.envelope, 1)).toBeNull();
    }
    if (record.type !== "epoch" || record.before === undefined) continue;
    const { n, before } = record;
    expect(openBefore(suite, c.key(n), vault, n, before, commit(n - 1))).toEqual(c.key(n - 1));
    expect(openBefore(suite, c.key(n), vault, n, before, commit(n))).toBeNull();
    expect(openBefore(suite, c.key(n - 1), vault, n, before, commit(n - 1))).toBeNull();
    for (let at = 0; at < before.length; at++) {
      const other = before.slice();
      other[at] = (other[at] as number) ^ 1;
      expect(openBefore(suite, c.key(n), vault, n, other, commit(n - 1))).toBeNull();
    }
  }
}
