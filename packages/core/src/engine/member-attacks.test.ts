/**
 * What a member, a former member or a thief can try, each with its named outcome. Real signatures:
 * whoever attacks here holds the keys that he would hold.
 */
import { describe, expect, test } from "vitest";
import { Members } from "../../../testkit/src/members-kit.ts";
import { type Device, Kit } from "../../../testkit/src/vault-kit.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { parseFrame } from "../log/frame.ts";
import { issueCertificate } from "../vault/certificate.ts";
import { commitment, encodeEnvelopePack, openEnvelope, sealEnvelope } from "../vault/epoch.ts";
import { joinBytes, type MembershipRecord, NO_INVITE } from "../vault/records.ts";
import { arrivedDuringRemoval } from "./arrivals.ts";
import { deviceOpener, obtainKey } from "./epoch-keys.ts";

const suite = await createPortableSuite();
const HOUR = 3_600_000;

interface Scene {
  readonly kit: Kit;
  readonly members: Members;
  readonly owner: Device;
  readonly admin: Device;
  readonly editor: Device;
  readonly viewer: Device;
  readonly all: readonly Device[];
}

/** One person for each role, everybody at one seq; nobody acts but by the test. */
async function scene(): Promise<Scene> {
  const kit = new Kit({ suite });
  const owner = await kit.found("owner's");
  const members = new Members(kit);
  const admin = await members.add(owner, "admin", "admin");
  const editor = await members.add(owner, "editor", "editor");
  const viewer = await members.add(owner, "viewer", "viewer");
  const all = [owner, admin, editor, viewer];
  await kit.converge(...all);
  for (const device of all) device.engine.pause();
  return { kit, members, owner, admin, editor, viewer, all };
}

const said = (record: MembershipRecord) => ({ record });
const state = (kit: Kit, device: Device) => kit.held(device).digest;

/**
 * Every replica makes the same of it, and nothing of it takes effect. Its author's own sees that it did
 * not seal it (LOG15).
 */
function isVoid(s: Scene, frame: Uint8Array, reason: string): void {
  const author = parseFrame(frame)?.device;
  const digests = new Set<bigint>();
  for (const device of s.all) {
    if (s.members.index(device) === author) continue;
    const judged = s.kit.judged(device, frame);
    expect(judged, device.name).toMatchObject({ reasons: [reason], halt: undefined, waits: false });
    digests.add(judged.digest);
  }
  expect(digests.size).toBe(1);
}

describe("who is in, and wants more", () => {
  test("[MEM9] R1: a viewer's data frame is void `role` on every replica", async () => {
    const s = await scene();
    isVoid(s, s.kit.frame(s.viewer, { note: "mine" }), "role");
    expect(s.kit.judged(s.owner, s.kit.frame(s.editor, { note: "ok" })).reasons).toEqual([""]);
  });

  test("[MEM9] R2: an editor, and a viewer, sign what is not theirs to sign", async () => {
    const s = await scene();
    const { kit, members } = s;
    const person = (d: Device): number => members.personIndex(d);
    const roster = s.owner.replica.read((tx) => s.owner.replica.membership.roster(tx));
    const secrets = [0, 1].map(() => new Uint8Array(96));
    const newcomer = members.stranger("new", s.owner.replica.genesis);
    const keys = members.person("newcomer");
    const records: readonly MembershipRecord[] = [
      { type: "role", person: person(s.viewer), role: "editor" },
      { type: "role", person: person(s.editor), role: "admin" },
      { type: "member-remove", person: person(s.admin), cutoffs: [1] },
      { type: "device-revoke", device: members.index(s.admin), since: 0, cutoff: 1 },
      {
        type: "epoch",
        n: 2,
        commit: new Uint8Array(32),
        before: new Uint8Array(72),
        envelopes: 8,
        list: new Uint8Array(32),
      },
      { type: "invite", id: new Uint8Array(16).fill(1), role: "viewer", uses: 1, expires: 2 ** 40, secrets },
      { type: "owner-transfer", person: person(s.editor) },
      { type: "rules", section: 2, version: 9 },
      { type: "suite", suite: 2 },
      { type: "settings" },
      {
        type: "member-add",
        certificates: [issueCertificate(suite, keys, newcomer.keys, 1).bytes],
        joinSignature: suite.sign(
          joinBytes(s.owner.replica.vault, keys, newcomer.keys),
          newcomer.keys.signSecret,
        ),
        role: "viewer",
        invite: NO_INVITE,
        deviceEnvelope: new Uint8Array(112),
        personEnvelope: new Uint8Array(112),
      },
    ];
    expect(roster.devices).toHaveLength(4);
    for (const author of [s.editor, s.viewer])
      for (const record of records) isVoid(s, kit.membership(author, [said(record)]), "role");
    // What is his own to say, he may.
    for (const author of [s.editor, s.viewer])
      expect(kit.judged(s.owner, kit.membership(author, [said({ type: "rename" })])).reasons).toEqual([""]);
  });

  test("[MEM9] R6, H15: an admin removes or demotes the owner, raises himself, makes admins, or hands the vault over", async () => {
    const s = await scene();
    const person = (d: Device): number => s.members.personIndex(d);
    const records: readonly MembershipRecord[] = [
      { type: "member-remove", person: 0, cutoffs: [1] },
      { type: "device-revoke", device: 0, since: 0, cutoff: 1 },
      { type: "role", person: 0, role: "viewer" },
      { type: "role", person: person(s.admin), role: "owner" },
      { type: "role", person: person(s.editor), role: "admin" },
      { type: "owner-transfer", person: person(s.admin) },
      { type: "suite", suite: 2 },
    ];
    for (const record of records) isVoid(s, s.kit.membership(s.admin, [said(record)]), "role");
    // Not even the owner makes himself less, or a second owner.
    for (const record of [
      { type: "role", person: 0, role: "editor" },
      { type: "role", person: person(s.admin), role: "owner" },
      { type: "member-remove", person: 0, cutoffs: [1] },
    ] as const)
      isVoid(s, s.kit.membership(s.owner, [said(record)]), "role");
  });

  test("[MEM12] R11: a viewer or somebody who is out signs another history: no halt, and nobody who is out vouches for an entry", async () => {
    const s = await scene();
    const { kit, members } = s;
    const anchor = new Uint8Array(32).fill(9);
    const link = { hash: anchor, members: kit.link(s.owner, s.owner.replica.cursor().read).members };
    isVoid(s, kit.frame(s.viewer, { note: "x", anchor }), "role");
    isVoid(s, kit.membership(s.viewer, [said({ type: "rename" })], { link }), "anchor");
    expect(kit.judged(s.owner, kit.membership(s.editor, [said({ type: "rename" })], { link })).halt).toBe(
      "fork",
    );
    // An entry that nobody signed is passed by the word of whoever is in.
    const garbage = Uint8Array.of(9, 9, 9);
    const { read } = s.owner.replica.cursor();
    const shownAt = (at: number, ...frames: readonly Uint8Array[]): Device["replica"] => {
      const clone = kit.clone(s.owner).replica;
      const entries = frames.map((frame) => ({ time: kit.time.now(), frame }));
      const object = { kind: "page" as const, first: at + 1, prev: null, entries, hash: anchor };
      clone.ingest(at, { objects: [object], head: at + frames.length });
      return clone;
    };
    const shown = (...frames: readonly Uint8Array[]) => shownAt(read, ...frames);
    const show = (frame: Uint8Array): string => shown(garbage, frame).apply(1e9, undefined).kind;
    const past = { hash: shown(garbage).head().hash, members: link.members };
    const over = { anchorSeq: read + 1, link: past };
    for (const device of [s.viewer, s.editor])
      expect(show(kit.membership(device, [said({ type: "rename" })], over))).toBe("ok");
    // Out: the same, whatever he claims.
    s.owner.engine.resume();
    await members.does(s.owner, members.removeAct(s.editor));
    const head = s.owner.replica.cursor().read;
    const behind = { anchorSeq: head + 1, link: { ...past, hash: shownAt(head, garbage).head().hash } };
    const late = kit.membership(s.editor, [said({ type: "rename" })], behind);
    expect(shownAt(head, garbage, late).apply(1e9, undefined).kind).toBe("waiting");
    const out = kit.frame(s.editor, { note: "x", anchor, epoch: 1 });
    expect(kit.judged(s.owner, out)).toMatchObject({ reasons: ["removed"], halt: undefined, waits: false });
    const renamed = kit.membership(s.editor, [said({ type: "rename" })], { link: { ...link } });
    expect(kit.judged(s.owner, renamed)).toMatchObject({ reasons: ["removed"], halt: undefined });
  });

  test("[MEM16] R13: a flood of membership frames ends at 8 within an hour of log time", async () => {
    const s = await scene();
    s.editor.engine.resume();
    const run = async (): Promise<string> => {
      const verdict = await s.members.does(s.editor, { kind: "rename", name: "x" });
      return verdict.kind === "void" ? verdict.reason : "";
    };
    const reasons: string[] = [];
    for (let i = 0; i < 8; i++) reasons.push(await run());
    expect(reasons).toEqual(Array.from({ length: 8 }, () => ""));
    for (const device of s.all) device.engine.resume();
    await s.kit.converge(...s.all);
    for (const device of s.all) if (device !== s.editor) device.engine.pause();
    isVoid(s, s.kit.membership(s.editor, [said({ type: "rename" })]), "limit");
    // Not even sent, and kept with the reason; an hour later it is taken.
    expect(await run()).toBe("limit");
    await s.kit.time.run(HOUR);
    expect(await run()).toBe("");
    s.owner.engine.resume();
    for (let i = 0; i < 12; i++)
      expect(await s.members.does(s.owner, { kind: "rename", name: "x" })).toMatchObject({
        kind: "accepted",
      });
  });
});

describe("who was in", () => {
  test("[MEM10] R3: whatever a removed device signs after its removal is void `removed`", async () => {
    const s = await scene();
    const { kit, members } = s;
    s.owner.engine.resume();
    await members.does(s.owner, members.removeAct(s.editor));
    const seq = s.owner.replica.cursor().read;
    const anchor = kit.link(s.owner, seq);
    for (const frame of [
      kit.frame(s.editor, { note: "old epoch", epoch: 1 }),
      kit.frame(s.editor, { note: "new epoch", epoch: 2, key: new Uint8Array(32) }),
      kit.frame(s.editor, { note: "numbers", deviceSeq: 2 ** 40, epoch: 1 }),
      kit.frame(s.editor, { note: "ahead", anchorSeq: seq, anchor: anchor.hash, epoch: 1 }),
      kit.membership(s.editor, [said({ type: "rename" })], { link: anchor }),
      kit.membership(s.editor, [said({ type: "rename" })]),
    ])
      expect(kit.judged(s.owner, frame)).toMatchObject({
        reasons: ["removed"],
        halt: undefined,
        waits: false,
      });
    // His words admit nothing either: nobody's word, it waits like garbage.
    const keys = kit.newKeys();
    expect(
      kit.judged(s.owner, kit.admission(s.owner, keys, { person: members.person("editor") })),
    ).toMatchObject({
      reasons: ["removed"],
      waits: true,
      halt: undefined,
    });
  });

  test("[LOG12, MEM10] R4: his frame put before the removal for one reader is a fork; in time it stays and is listed", async () => {
    const s = await scene();
    const { kit, members } = s;
    kit.write(s.editor, "in time");
    const [inTime] = s.editor.replica.nextBatch(new Set());
    // The owner has not seen it when he removes its author.
    members.queue(s.owner, members.removeAct(s.editor));
    const [removal] = s.owner.replica.nextBatch(new Set());
    for (let blob = s.owner.replica.nextSpooled(); blob !== undefined; blob = s.owner.replica.nextSpooled()) {
      kit.log.blobs.set(Buffer.from(blob.id).toString("hex"), blob.bytes);
      s.owner.replica.noteStored(blob.id);
    }
    const before = s.owner.replica.cursor().read;
    const clock = { time: kit.time.now() };
    const frames = [inTime, removal].map((f) => (f as { frame: Uint8Array }).frame);
    const page = (first: number, ...list: readonly Uint8Array[]) => ({
      kind: "page" as const,
      first,
      prev: null,
      entries: list.map((frame) => ({ ...clock, frame })),
      hash: new Uint8Array(32),
    });
    const honest = kit.clone(s.admin).replica;
    honest.ingest(before, { objects: [page(before + 1, ...frames)], head: before + 2 });
    honest.apply(1e9, undefined);
    expect(honest.cursor().applied).toBe(before + 2);
    const listed = honest.read((tx) => arrivedDuringRemoval(honest.membership, tx, members.index(s.editor)));
    expect(listed).toEqual([before + 1]);
    expect(honest.read((tx) => arrivedDuringRemoval(honest.membership, tx, 0))).toEqual([]);
    // Another reader was shown the removal alone, and somebody who stays signs past it.
    const admin = kit.clone(s.admin);
    admin.replica.ingest(before, { objects: [page(before + 1, frames[1] as Uint8Array)], head: before + 1 });
    expect(admin.replica.apply(1e9, undefined)).toMatchObject({ kind: "ok" });
    expect(await obtainKey(suite, admin.replica, kit.remote(), [deviceOpener(suite, admin.keys)])).toEqual({
      kind: "here",
    });
    const next = kit.frame(admin, { note: "past it" });
    expect(honest.ingest(before + 2, { objects: [page(before + 3, next)], head: before + 3 })).toMatchObject({
      kind: "ok",
    });
    expect(honest.apply(1e9, undefined)).toMatchObject({ kind: "halt", code: "fork" });
  });

  test("[MEM13, MEM15] R5: with all that the remote has, a removed member opens no later epoch", async () => {
    const s = await scene();
    const { kit, members } = s;
    s.owner.engine.resume();
    await members.does(s.owner, members.removeAct(s.editor));
    kit.write(s.owner, "secret");
    await kit.sync(s.owner);
    const { replica } = s.editor;
    const key = replica.read((tx) => replica.ring.epochKey(tx, 1)) as Uint8Array;
    const epoch = s.owner.replica.read((tx) => s.owner.replica.membership.epoch(tx, 2));
    const list = kit.log.blobs.get(Buffer.from(epoch?.list as Uint8Array).toString("hex")) as Uint8Array;
    // Its envelopes open with none of the keys he has, and the old key opens none of its frames.
    const recipients = [
      deviceOpener(suite, s.editor.keys),
      {
        me: { kind: "person" as const, id: new Uint8Array(32) },
        pair: { publicKey: members.person("editor").box, secretKey: members.person("editor").boxSecret },
      },
    ];
    for (let at = 0; at + 112 <= list.length; at++)
      for (const { me, pair } of recipients)
        expect(
          openEnvelope(
            suite,
            list.slice(at, at + 112),
            replica.vault,
            { n: 2, commit: epoch?.commit as Uint8Array },
            me,
            pair,
          ),
        ).toBeNull();
    expect(suite.equal(commitment(suite, key, replica.vault, 2), epoch?.commit as Uint8Array)).toBe(false);
    s.editor.engine.resume();
    expect(await kit.sync(s.editor)).toMatchObject({ code: "device-removed" });
    expect(kit.notes(s.editor)).toEqual([]);
  });

  test("[MEM17] R15: an invite that a former admin knew, that was used up, expired, or is another role's, admits nobody", async () => {
    const s = await scene();
    const { kit, members } = s;
    for (const device of [s.owner, s.admin]) device.engine.resume();
    const id = (n: number): Uint8Array => new Uint8Array(16).fill(n);
    const invite = async (n: number, over: { uses?: number; expires?: number } = {}): Promise<void> => {
      const expires = over.expires ?? kit.time.now() + 24 * HOUR;
      const act = {
        kind: "invite",
        id: id(n),
        secret: id(n),
        role: "editor",
        uses: over.uses ?? 1,
        expires,
      } as const;
      expect(await members.does(s.owner, act)).toMatchObject({ kind: "accepted" });
    };
    const use = async (n: number, name: string, role: "editor" | "viewer" = "editor"): Promise<string> => {
      const device = members.stranger(name, s.owner.replica.genesis);
      const verdict = await members.does(s.owner, members.addAct(device, name, role, id(n)));
      return verdict.kind === "void" ? verdict.reason : "";
    };
    await invite(1, { uses: 2 });
    expect([await use(1, "one"), await use(1, "two"), await use(1, "three")]).toEqual(["", "", "invite"]);
    await invite(2);
    expect([await use(2, "four", "viewer"), await use(3, "five")]).toEqual(["invite", "invite"]);
    await members.does(s.owner, { kind: "cancel-invite", id: id(2) });
    expect(await use(2, "six")).toBe("invite");
    await invite(4, { expires: kit.time.now() + HOUR });
    await kit.time.run(2 * HOUR);
    expect(await use(4, "seven")).toBe("invite");
    // The admin has the secret of every invite that is open: it ends with his role, and with his device.
    await invite(5);
    await members.does(s.owner, members.roleAct(s.admin, "viewer"));
    expect(await use(5, "eight")).toBe("invite");
    await members.does(s.owner, members.roleAct(s.admin, "admin"));
    await invite(6);
    await members.does(s.owner, members.revokeAct(s.admin));
    expect(await use(6, "nine")).toBe("invite");
    // A join signature for one invite is none for another.
    await invite(7);
    const other = members.addAct(members.stranger("ten", s.owner.replica.genesis), "ten", "editor", id(8));
    expect(await members.does(s.owner, { ...other, invite: id(7) } as never)).toMatchObject({
      reason: "join",
    });
  });
});

describe("thieves and strangers", () => {
  test("[MEM11] R16: what a stolen device admitted after it was stolen falls with it, and so on; what it admitted before stays", async () => {
    const s = await scene();
    const { kit, members } = s;
    for (const device of [s.owner, s.editor]) device.engine.resume();
    const tablet = await members.pair(s.editor, "editor", "tablet");
    await kit.converge(s.editor, s.owner, tablet);
    const since = s.editor.replica.cursor().applied;
    const thief = await members.pair(s.editor, "editor", "thief's");
    const accomplice = await members.pair(thief, "editor", "thief's other");
    kit.write(accomplice, "by the thief");
    await kit.converge(accomplice, tablet);
    expect(await members.does(tablet, members.revokeAct(s.editor, since))).toMatchObject({
      kind: "accepted",
    });
    await kit.converge(s.owner, tablet);
    const { replica } = s.owner;
    const active = replica.read((tx) =>
      replica.membership
        .devices(tx)
        .filter((d) => d.removedAt === undefined)
        .map((d) => d.index),
    );
    expect(active).toEqual([0, 1, 3, members.index(tablet)]);
    for (const gone of [s.editor, thief, accomplice])
      expect(await kit.sync(gone)).toMatchObject({ code: "device-removed" });
    expect(await kit.sync(tablet)).toMatchObject({ kind: "live" });
    // Everybody who stays is in the new epoch, which the owner made: an editor may not.
    expect(kit.epochOf(tablet)).toBe(2);
    expect(state(kit, tablet)).toBe(state(kit, s.owner));
  });

  test("[MEM9, VLT2, VLT3] K11, K1, R7: a stranger's keys, another person's certificate, a chain that does not join, keys of low order", async () => {
    const s = await scene();
    const { kit, members, owner, editor } = s;
    const { vault } = owner.replica;
    const stranger = members.stranger("stranger's", owner.replica.genesis);
    const mine = kit.newKeys();
    const join = (
      by: { signSecret: Uint8Array },
      of: Parameters<typeof joinBytes>[1],
      keys: Parameters<typeof joinBytes>[2],
    ): Uint8Array => suite.sign(joinBytes(vault, of, keys), by.signSecret);
    const editorKeys = members.person("editor");
    const admit = (over: Partial<Extract<MembershipRecord, { type: "device-admit" }>>): Uint8Array => {
      const { sign, box } = stranger.keys;
      const joinSignature = join(stranger.keys, editorKeys, stranger.keys);
      const record = {
        type: "device-admit" as const,
        device: { sign, box },
        joinSignature,
        envelope: new Uint8Array(112),
        ...over,
      };
      return kit.membership(editor, [said(record)]);
    };
    expect(kit.judged(owner, admit({})).reasons).toEqual([""]);
    // A key whose holder never asked: he has not signed.
    isVoid(s, admit({ joinSignature: join(mine, editorKeys, stranger.keys) }), "join");
    isVoid(s, admit({ joinSignature: join(stranger.keys, members.person("viewer"), stranger.keys) }), "join");
    isVoid(s, admit({ device: { sign: stranger.keys.sign, box: mine.box } }), "join");
    isVoid(s, admit({ device: { sign: stranger.keys.sign, box: new Uint8Array(32) } }), "possession");
    isVoid(s, admit({ device: { sign: new Uint8Array(32), box: stranger.keys.box } }), "possession");
    const add = (over: Partial<Extract<MembershipRecord, { type: "member-add" }>>): Uint8Array => {
      const keys = members.person("newcomer");
      const record: MembershipRecord = {
        type: "member-add",
        certificates: [issueCertificate(suite, keys, stranger.keys, 1).bytes],
        joinSignature: join(stranger.keys, keys, stranger.keys),
        role: "viewer",
        invite: NO_INVITE,
        deviceEnvelope: new Uint8Array(112),
        personEnvelope: new Uint8Array(112),
        ...over,
      };
      return kit.membership(owner, [said(record)]);
    };
    expect(kit.judged(editor, add({})).reasons).toEqual([""]);
    const right = issueCertificate(suite, members.person("newcomer"), stranger.keys, 1).bytes;
    isVoid(s, add({ certificates: [right, right] }), "possession");
    isVoid(s, add({ certificates: [right.with(10, (right[10] as number) ^ 1) as Uint8Array] }), "possession");
    isVoid(s, add({ joinSignature: join(mine, members.person("newcomer"), stranger.keys) }), "join");
    // A device that is in, once more, for another person.
    const known = issueCertificate(suite, members.person("newcomer"), editor.keys, 1).bytes;
    isVoid(
      s,
      add({
        certificates: [known],
        joinSignature: join(editor.keys, members.person("newcomer"), editor.keys),
      }),
      "member-race",
    );
  });

  test("[MEM9] K8: a ghost device: nobody's frame, and nobody's membership", async () => {
    const s = await scene();
    const ghost = s.members.stranger("ghost", s.owner.replica.genesis);
    const seq = s.owner.replica.cursor().read;
    const { hash } = s.kit.link(s.owner, seq);
    const link = s.kit.link(s.owner, seq);
    for (const frame of [
      s.kit.frame(ghost, { device: 4, deviceSeq: 1, anchorSeq: seq, anchor: hash, key: suite.random(32) }),
      s.kit.membership(ghost, [said({ type: "rename" })], {
        index: 4,
        deviceSeq: 1,
        anchorSeq: seq,
        link,
        epoch: 1,
      }),
    ])
      expect(s.kit.judged(s.owner, frame)).toMatchObject({ reasons: ["unsigned-device"], waits: true });
  });

  test("[VLT4, VLT5, MEM18] K3, K9, K10: another key, an old envelope, another's, or one for another vault in the list: not used and not kept", async () => {
    for (const wrong of ["key", "old", "foreign", "vault"] as const) {
      const s = await scene();
      const { kit, members, owner, editor } = s;
      owner.engine.resume();
      kit.write(owner, "under one");
      await kit.sync(owner);
      // An admin's program at fault, or hostile: a rotation whose list is wrong for one member.
      const fresh = suite.random(32);
      const { vault } = owner.replica;
      const roster = owner.replica.read((tx) => owner.replica.membership.roster(tx));
      const me = roster.devices[members.index(editor)] as { id: Uint8Array; box: Uint8Array };
      const at = { kind: "device" as const, id: me.id, box: me.box };
      const bad = {
        key: sealEnvelope(suite, suite.random(32), vault, 2, at),
        old: sealEnvelope(suite, fresh, vault, 1, at),
        foreign: sealEnvelope(suite, fresh, vault, 2, { ...at, id: new Uint8Array(32) }),
        vault: sealEnvelope(suite, fresh, new Uint8Array(32), 2, at),
      }[wrong];
      const to = [
        ...roster.devices.map(({ id, box }) => ({ kind: "device" as const, id, box })),
        ...roster.persons.map(({ id, box }) => ({ kind: "person" as const, id, box })),
      ];
      const envelopes = to.map((one) =>
        one.box === me.box ? bad : sealEnvelope(suite, fresh, vault, 2, one),
      );
      const pack = encodeEnvelopePack(suite, envelopes);
      kit.log.blobs.set(Buffer.from(pack.id).toString("hex"), pack.bytes);
      const record: MembershipRecord = {
        type: "epoch",
        n: 2,
        commit: commitment(suite, fresh, vault, 2),
        before: new Uint8Array(72),
        envelopes: to.length,
        list: pack.id,
      };
      owner.replica.write((tx) => owner.replica.ring.offer(tx, record.commit, fresh));
      owner.replica.write((tx) => {
        const frame = kit.membership(owner, [said(record)], { epoch: 2 });
        owner.replica.submitSealed(tx, frame, 1 + owner.replica.settled());
      });
      await kit.sync(owner);
      kit.write(owner, "under two");
      await kit.sync(owner);
      editor.engine.resume();
      expect(await kit.sync(editor), wrong).toMatchObject({ kind: "stopped", code: "key-missing" });
      expect(editor.replica.read((tx) => editor.replica.ring.epochKey(tx, 2))).toBeUndefined();
      expect(editor.replica.read((tx) => editor.replica.ring.offered(tx, record.commit))).toBeUndefined();
      await members.does(owner, { kind: "send-key", to: "device", index: members.index(editor) });
      expect(await kit.sync(editor)).toMatchObject({ kind: "live" });
      expect(kit.notes(editor)).toEqual(["under one", "under two"]);
      // The same program sealed no key before it: who comes in now waits at what is older, and nothing breaks.
      const late = await members.add(owner, "late", "viewer");
      expect(await kit.sync(late)).toMatchObject({ kind: "stopped", code: "key-missing" });
      late.engine.pause();
    }
  });

  test("[VLT6, MEM18] K12: a list that is short, or another under its name, keeps nobody's verdict waiting", async () => {
    const s = await scene();
    const { kit, members, owner, editor } = s;
    owner.engine.resume();
    await members.does(owner, { kind: "rotate", after: 1 });
    const list = owner.replica.read((tx) => owner.replica.membership.newestEpoch(tx)?.list) as Uint8Array;
    const name = Buffer.from(list).toString("hex");
    const right = kit.log.blobs.get(name) as Uint8Array;
    for (const bytes of [encodeEnvelopePack(suite, []).bytes, right.slice(0, -1)]) {
      kit.log.blobs.set(name, bytes);
      const late = kit.clone(editor);
      expect(await kit.sync(late)).toMatchObject({ kind: "stopped", code: "key-missing" });
      expect(kit.verdicts(late)).toEqual(kit.verdicts(owner));
      late.engine.pause();
    }
    kit.log.blobs.set(name, right);
    editor.engine.resume();
    expect(await kit.sync(editor)).toMatchObject({ kind: "live" });
  });
});
