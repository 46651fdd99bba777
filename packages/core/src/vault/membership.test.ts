import { describe, expect, test } from "vitest";
import { type AdmissionOver, type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { limits } from "../bytes/limits.ts";
import { personKeys } from "../crypto/identity.ts";
import type { MembershipRecord } from "./records.ts";
import { encodeName, encodeSettings, joinBytes, recoverBytes } from "./records.ts";

async function pair(seed: number): Promise<{ kit: Kit; a: Device; b: Device }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  await kit.sync(a);
  return { kit, a, b };
}

const said = (record: MembershipRecord, hidden?: Uint8Array) =>
  hidden === undefined ? { record } : { record, hidden };

describe("a membership frame", () => {
  test("[MEM1] names the membership hash of the entry before it, and stands after no other", async () => {
    const { kit, a, b } = await pair(1);
    const c = await kit.join("c");
    await kit.converge(a, b);
    const rename = [said({ type: "rename" }, encodeName("new name"))];
    const first = kit.membership(a, rename);
    // Written at the same time on another device: one of the two is void, whichever comes second.
    const second = kit.membership(b, rename);
    expect(kit.judged(c, first).reasons).toEqual([""]);
    expect(kit.judged(c, first, second).reasons).toEqual(["", "member-race"]);
    expect(kit.judged(c, second, first).reasons).toEqual(["", "member-race"]);
    expect(kit.judged(c, kit.membership(a, rename, { prev: new Uint8Array(32) })).reasons).toEqual([
      "member-race",
    ]);
    // A data frame between them changes nothing.
    const data = kit.frame(b, { note: "between" });
    expect(kit.judged(c, data, first).reasons).toEqual(["", ""]);
    // Garbage of the membership kind does: so that no remote has to judge.
    const garbage = Uint8Array.of(1, 1, 2, 0);
    expect(kit.judged(c, garbage, first).reasons.at(-1)).toBe("member-race");
  });

  test("[MEM3] what is private decides nothing: sealed by another key it counts, and nothing is learned", async () => {
    const { kit, a, b } = await pair(2);
    const c = await kit.join("c");
    await kit.sync(b);
    // In the name of a, which reads none of it.
    const readers = [b, c];
    const name = (device: Device): string | undefined =>
      device.replica.read((tx) => device.replica.membership.deviceName(tx, 0));
    const say = async (record: MembershipRecord, hidden: Uint8Array): Promise<void> => {
      kit.place(
        b,
        kit.membership(a, [said(record, hidden)], {
          anchorSeq: 1,
          prev: kit.link(b, b.replica.cursor().read).members,
        }),
      );
      await kit.converge(...readers);
      expect(kit.verdicts(b).at(-1)).toBe("");
    };
    await say({ type: "rename" }, encodeName("seen"));
    expect(readers.map(name)).toEqual(["seen", "seen"]);
    // Bytes of no meaning: the record stands, the name and the settings stay.
    await say({ type: "rename" }, Uint8Array.of(0));
    await say({ type: "settings" }, Uint8Array.of(9, 9));
    // Sealed by another key: the same.
    a.replica.ring.wipe();
    await say({ type: "rename" }, encodeName("unseen"));
    expect(readers.map(name)).toEqual(["seen", "seen"]);
    expect(b.replica.read((tx) => b.replica.membership.settings(tx)?.vaultName)).toBe("home");
    expect(kit.held(b)).toEqual(kit.held(c));
  });

  test("[MEM4] who has no key reaches the same members", async () => {
    const { kit, a } = await pair(3);
    await kit.join("c");
    await kit.sync(a);
    // No data frame is in the log yet, so a replica without any key judges all of it.
    const page = await kit.remote().read(0, { frames: 1024, bytes: 4 << 20 });
    const { replica } = kit.open("keyless", a.replica.genesis);
    if (page.kind !== "ok") throw new Error("no page");
    replica.write((tx) => replica.membership.begin(tx, a.replica.genesis));
    replica.ingest(0, page.value);
    expect(replica.apply(4096, undefined)).toMatchObject({ kind: "ok", more: false });
    const members = (of: Device["replica"]) => of.read((tx) => of.membership.devices(tx));
    expect(members(replica)).toEqual(members(a.replica));
    expect(replica.digest()).toBe(a.replica.digest());
    expect(replica.read((tx) => replica.membership.deviceName(tx, 1))).toBeUndefined();
  });

  test("[MEM6, LOG14] rules and suites only rise, and what is announced beyond this program stops it there", async () => {
    const { kit, a, b } = await pair(4);
    const judge = (record: MembershipRecord) => kit.judged(b, kit.membership(a, [said(record)]));
    for (const version of [0, 1])
      expect(judge({ type: "rules", section: 2, version }).reasons).toEqual(["malformed"]);
    expect(judge({ type: "suite", suite: 1 })).toMatchObject({ reasons: ["malformed"], halt: undefined });
    const before = kit.held(b);
    kit.place(a, kit.membership(a, [said({ type: "rules", section: 2, version: 2 })]));
    kit.write(b, "mine");
    const c = kit.open("c", a.replica.genesis);
    await expect(kit.time.until(kit.admit(c))).rejects.toMatchObject({ code: "update-needed" });
    for (const device of [b]) {
      expect(await kit.sync(device)).toMatchObject({ kind: "stopped", code: "update-needed" });
      expect(await kit.sync(kit.restart(device))).toMatchObject({ kind: "stopped", code: "update-needed" });
    }
    // Nothing of ours was sent under rules that we do not know, and reading goes on.
    expect(kit.log.head()).toBe(3);
    expect(kit.notes(b)).toEqual(before.notes);
    expect(kit.heldNotes(b)).toEqual(["mine"]);
  });

  test("[MEM7] epoch 1 comes once, and has as many envelopes as there are devices and persons", async () => {
    const { kit, a, b } = await pair(5);
    const epoch = (envelopes: number): MembershipRecord => ({
      type: "epoch",
      n: 1,
      commit: new Uint8Array(32),
      envelopes,
      list: new Uint8Array(32),
    });
    expect(kit.judged(b, kit.membership(a, [said(epoch(3))])).reasons).toEqual(["member-race"]);
    // Before frame 1: a founder of another program.
    for (const [envelopes, reason] of [
      [2, ""],
      [1, "envelope-set"],
      [3, "envelope-set"],
      [0, "envelope-set"],
    ] as const) {
      const other = fastKit(6);
      const founder = other.foundOffline();
      const records = [said(epoch(envelopes)), said({ type: "settings" }, encodeSettings(settings))];
      const frame = other.membership(founder, records, { deviceSeq: 1 });
      const reader = other.open("reader", founder.replica.genesis);
      reader.replica.write((tx) => reader.replica.membership.begin(tx, founder.replica.genesis));
      expect(other.judged(reader, frame).reasons, `${envelopes}`).toEqual([reason]);
    }
  });
});

const settings = { vaultName: "v", retentionDays: 90, maxFileSize: 1, chunkerSeed: new Uint8Array(32) };

describe("an admission", () => {
  test("[MEM5] is accepted as the first record of the first frame of the next index", async () => {
    const { kit, a } = await pair(10);
    const keys = kit.newKeys();
    expect(kit.judged(a, kit.admission(a, keys))).toMatchObject({
      reasons: [""],
      waits: false,
      halt: undefined,
    });
    const extra = [said({ type: "rename" }, encodeName("renamed"))];
    expect(kit.judged(a, kit.admission(a, keys, { after: extra })).reasons).toEqual([""]);
  });

  test("[MEM5] of no right is nobody's word: it waits like garbage, whatever it claims", async () => {
    const { kit, a, b } = await pair(11);
    const { suite } = kit;
    const { vault } = a.replica;
    const stranger = personKeys(suite, suite.random(32));
    const keys = kit.newKeys();
    const other = kit.newKeys();
    const sign = (message: Uint8Array, by: { signSecret: Uint8Array }) => suite.sign(message, by.signSecret);
    const anchor = kit.link(a, a.replica.cursor().read).hash;
    const wrong: readonly (readonly [string, string, AdmissionOver])[] = [
      ["the certificate of another person", "role", { person: stranger }],
      ["no certificate", "unsigned-device", { record: { certificate: new Uint8Array(299) } }],
      ["a frame signed by another key", "signature", { signer: other }],
      [
        "the join signature of another key",
        "join",
        { record: { joinSignature: sign(joinBytes(vault, kit.person, keys), other) } },
      ],
      [
        "a join signature for another vault",
        "join",
        { record: { joinSignature: sign(joinBytes(new Uint8Array(32), kit.person, keys), keys) } },
      ],
      [
        "a join signature for another person",
        "join",
        { record: { joinSignature: sign(joinBytes(vault, stranger, keys), keys) } },
      ],
      [
        "a stranger's word for the phrase",
        "join",
        { record: { recoverSignature: sign(recoverBytes(vault, keys, anchor), stranger) } },
      ],
      [
        "a device's word for the phrase",
        "join",
        { record: { recoverSignature: sign(recoverBytes(vault, keys, anchor), a.keys) } },
      ],
      [
        "the owner's word for other keys",
        "join",
        { record: { recoverSignature: sign(recoverBytes(vault, other, anchor), kit.person) } },
      ],
      [
        "the owner's word for another vault",
        "join",
        { record: { recoverSignature: sign(recoverBytes(anchor, keys, anchor), kit.person) } },
      ],
      [
        "the owner's word at another anchor",
        "join",
        { record: { recoverSignature: sign(recoverBytes(vault, keys, vault), kit.person) } },
      ],
      ["a record before it", "unsigned-device", { before: [said({ type: "settings" })] }],
    ];
    for (const [what, reason, over] of wrong) {
      const { digest } = kit.judged(a, Uint8Array.of(1));
      for (const more of [
        {},
        { index: 0, deviceSeq: 2 ** 50 },
        { prev: new Uint8Array(32) },
        { link: { hash: vault.map((x) => x ^ 1), members: vault } },
      ]) {
        const frame = kit.admission(a, keys, { ...over, ...more });
        const judged = kit.judged(a, frame);
        expect(judged, what).toMatchObject({ waits: true, halt: undefined, digest });
        if (Object.keys(more).length === 0) expect(judged.reasons, what).toEqual([reason]);
      }
    }
    expect(kit.judged(b, kit.admission(b, keys)).reasons).toEqual([""]);
  });

  test("[MEM5] at another place is void at once, uses up no number, and is made anew", async () => {
    const { kit, a, b } = await pair(12);
    const keys = kit.newKeys();
    const { digest } = kit.judged(a, Uint8Array.of(1));
    const races: readonly (readonly [string, AdmissionOver])[] = [
      ["of an index that is taken", { index: 1 }],
      ["of the founder's index", { index: 0 }],
      ["of an index further on", { index: 3 }],
      ["of an index far away", { index: 2 ** 32 - 1 }],
      ["with another device seq", { deviceSeq: 2 }],
      ["with the last device seq", { index: 1, deviceSeq: Number.MAX_SAFE_INTEGER }],
      ["after another membership entry", { prev: new Uint8Array(32) }],
    ];
    for (const [what, over] of races) {
      const frame = kit.admission(a, keys, over);
      expect(kit.judged(a, frame), what).toMatchObject({
        reasons: ["member-race"],
        waits: false,
        digest,
        halt: undefined,
      });
      // The device whose index it claimed goes on, also on its own replica.
      const mine = kit.frame(b, { note: "mine" });
      expect(kit.judged(a, frame, mine).reasons, what).toEqual(["member-race", ""]);
      expect(kit.judged(b, frame), what).toMatchObject({ halt: undefined, reasons: ["member-race"] });
    }
    // The same keys a second time, by the owner's own word.
    expect(kit.judged(a, kit.admission(a, b.keys)).reasons).toEqual(["member-race"]);
  });

  test("[MEM5] a device of the vault cannot sign one for other keys", async () => {
    const { kit, a, b } = await pair(13);
    const keys = kit.newKeys();
    const frame = kit.admission(a, keys, { signer: a.keys, index: 0, deviceSeq: 3 });
    expect(kit.judged(b, frame)).toMatchObject({ reasons: ["member-race"], waits: false });
  });

  test("[LOG12, MEM5] only with the owner's word can it claim a fork", async () => {
    const { kit, a } = await pair(14);
    const keys = kit.newKeys();
    const link = { hash: new Uint8Array(32).fill(9), members: new Uint8Array(32).fill(8) };
    expect(kit.judged(a, kit.admission(a, keys, { link }))).toMatchObject({ halt: "fork" });
    const stranger = personKeys(kit.suite, kit.suite.random(32));
    expect(kit.judged(a, kit.admission(a, keys, { link, person: stranger }))).toMatchObject({
      halt: undefined,
      waits: true,
    });
  });

  test("[MEM7] the 33rd device of a person is void `limit`, and its join says so without trying", async () => {
    const kit = fastKit(15);
    const a = await kit.found();
    for (let i = 1; i < limits.devicesPerPerson; i++) {
      kit.place(a, kit.admission(a, kit.newKeys()));
      await kit.sync(a);
    }
    expect(a.replica.read((tx) => a.replica.membership.devices(tx)).length).toBe(32);
    expect(kit.judged(a, kit.admission(a, kit.newKeys())).reasons).toEqual(["limit"]);
    await expect(kit.join("one too many")).rejects.toMatchObject({ code: "no-access" });
    expect(kit.log.head()).toBe(32);
  });

  test("[VLT7] a vault is accepted by whoever founded it, and by nobody else's words", async () => {
    const { kit, a } = await pair(16);
    const log = kit.copyLog();
    const stranger = personKeys(kit.suite, kit.suite.random(32));
    const { findVault } = await import("../engine/join.ts");
    const find = (person = kit.person, expected?: Uint8Array) =>
      findVault(kit.suite, kit.remote(log), person, expected);
    expect((await find()).vault).toEqual(a.replica.vault);
    expect((await find(kit.person, a.replica.vault)).vault).toEqual(a.replica.vault);
    await expect(find(stranger)).rejects.toMatchObject({ code: "key-mismatch" });
    await expect(find(kit.person, new Uint8Array(32))).rejects.toMatchObject({ code: "key-mismatch" });
    log.genesis = (log.genesis as Uint8Array).slice(1);
    await expect(find()).rejects.toMatchObject({ code: "remote-corrupt" });
    log.genesis = undefined;
    await expect(find()).rejects.toMatchObject({ code: "not-found" });
  });
});
