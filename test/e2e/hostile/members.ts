/** What a member, or somebody who was one, gets out of a place that takes whatever he signs. */
import { encodePage } from "@tidelock/core/log/page";
import { commitment } from "@tidelock/core/vault/epoch";
import type { MembershipRecord } from "@tidelock/core/vault/records";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import { NOON } from "@tidelock/testkit/vault-people";
import { expect } from "vitest";
import { type Attack, halts, together, told } from "./attack.ts";
import { isVoid, place } from "./for-all.ts";
import { entryAt } from "./one-reader.ts";
import type { Scene } from "./scene.ts";

const personOf = (s: Scene, index: number): number =>
  s.a.replica.read((tx) => s.a.replica.membership.device(tx, index)?.person ?? -1);

function entries(log: MemoryVaultLog, at: number, frame: Uint8Array): void {
  log.put(at, encodePage({ first: at, prev: null, entries: [{ time: NOON, frame }] }));
}

/** One after the other: each is made for the place right after what stands there. */
async function allVoid(s: Scene, reason: string, frames: readonly (() => Uint8Array)[]): Promise<string> {
  let outcome = "";
  for (const frame of frames) outcome = await isVoid(s, [reason], frame());
  return outcome;
}

export const members: readonly Attack[] = [
  {
    ids: "R1, R2, R6, R8, H15",
    what: "sent to a server that is honest",
    on: "server",
    run: async (s) => {
      await s.place.show(undefined);
      const [viewer, editor] = [s.hostile("viewer"), s.hostile("editor")];
      const before = (await s.place.found()).head();
      const sent: readonly (readonly [typeof viewer, Uint8Array])[] = [
        [viewer, s.signed(viewer, { note: "by a viewer" })],
        [viewer, s.said(viewer, { type: "role", person: personOf(s, s.index(viewer)), role: "editor" })],
        [editor, s.said(editor, { type: "member-remove", person: 0, cutoffs: [1] })],
        [editor, s.signed(viewer, { note: "in another's name" })],
      ];
      for (const [by, frame] of sent) {
        const { name, keys, person } = by;
        const door = s.place.door({ name, vault: s.a.replica.vault, keys, person });
        const { seq, hash } = s.a.replica.head();
        expect(await door.append([frame as never], { seq, hash })).toMatchObject({ kind: "denied" });
      }
      expect((await s.place.found()).head()).toBe(before);
      await together(s);
      await s.place.show(await s.place.found());
      return "remote-denied, nothing placed";
    },
  },
  {
    ids: "R1",
    what: "a viewer writes",
    run: (s) => isVoid(s, ["role"], s.signed(s.hostile("viewer"), { note: "by a viewer" })),
  },
  {
    ids: "R2",
    what: "an editor and a viewer sign what is not theirs to sign",
    run: (s) => {
      const epoch = { type: "epoch", n: 2, before: new Uint8Array(72), envelopes: 8 } as const;
      const key = s.kit.suite.random(32);
      const records: readonly MembershipRecord[] = [
        { type: "role", person: personOf(s, s.index(s.hostile("editor"))), role: "admin" },
        { type: "member-remove", person: personOf(s, s.index(s.hostile("admin"))), cutoffs: [1] },
        { type: "device-revoke", device: s.index(s.hostile("admin")), since: 0, cutoff: 1 },
        {
          ...epoch,
          commit: commitment(s.kit.suite, key, s.a.replica.vault, 2),
          list: s.kit.suite.random(32),
        },
        { type: "rules", section: 2, version: 9 },
        { type: "settings" },
      ];
      const by = [s.hostile("editor"), s.hostile("viewer")];
      return allVoid(
        s,
        "role",
        by.flatMap((one) => records.map((record) => () => s.said(one, record))),
      );
    },
  },
  {
    ids: "R6, H15",
    what: "an admin removes the owner, and promotes himself",
    run: (s) => {
      const admin = s.hostile("admin");
      const records: readonly MembershipRecord[] = [
        { type: "member-remove", person: 0, cutoffs: [1] },
        { type: "role", person: 0, role: "viewer" },
        { type: "role", person: personOf(s, s.index(admin)), role: "owner" },
        { type: "owner-transfer", person: personOf(s, s.index(admin)) },
        { type: "suite", suite: 2 },
      ];
      return allVoid(
        s,
        "role",
        records.map((record) => () => s.said(admin, record)),
      );
    },
  },
  {
    ids: "R11",
    what: "a viewer signs another history",
    run: async (s) => {
      const viewer = s.hostile("viewer");
      const hash = new Uint8Array(32).fill(9);
      const { members: m } = s.kit.link(s.a, s.head);
      const first = await isVoid(s, ["role"], s.signed(viewer, { note: "x", anchor: hash }));
      const link = { hash, members: m };
      const second = await isVoid(s, ["anchor"], s.said(viewer, { type: "rename" }, { link }));
      return `${first}, ${second}; no halt`;
    },
  },
  {
    ids: "R13",
    what: "a flood of membership frames",
    run: async (s) => {
      const at = s.head;
      for (let i = 0; i < 9; i++) {
        await place(s, s.said(s.hostile("editor"), { type: "rename" }));
        expect(told(await s.sync(s.a))).toBe("live");
      }
      await together(s);
      expect(s.kit.verdicts(s.a).slice(at)).toEqual([...Array.from({ length: 8 }, () => ""), "limit"]);
      return "8 an hour, then void `limit`";
    },
  },
  {
    ids: "H15",
    what: "an old admission again",
    run: async (s) => {
      const at = s.kit.verdicts(s.a).findIndex((_, i) => s.kit.frameAt(s.a, i + 1)[2] === 2 && i > 0);
      return isVoid(s, ["member-race"], s.kit.frameAt(s.a, at + 1));
    },
  },
  {
    ids: "H17",
    what: "a removal is withheld from one device",
    run: async (s) => {
      await s.place.show(await s.place.found(), s.a);
      const removed = await s.people.does(s.b, s.people.removeAct(s.hostile("admin")));
      expect(removed).toMatchObject({ kind: "accepted" });
      const signed = await s.says(s.b, s.fresh());
      // It works on in the past, until it hears of the others.
      while (s.head < signed - 1) await s.says(s.a, s.fresh());
      const shown = await s.place.found(s.a);
      entries(shown, signed, entryAt(await s.place.found(), signed).frame);
      await s.place.show(shown, s.a);
      const outcome = await halts(s, s.a, "fork");
      await s.place.show(undefined, s.a);
      await together(s);
      return `${outcome}, then rebuilt`;
    },
  },
  {
    ids: "R3, R5, H16",
    what: "one who was removed writes and reads on",
    run: async (s) => {
      const leaver = s.hostile("leaver");
      const old = s.signed(leaver, { note: "old epoch" });
      const epoch = s.kit.epochOf(s.a);
      expect(await s.people.does(s.a, s.people.removeAct(leaver))).toMatchObject({ kind: "accepted" });
      await together(s);
      expect(s.kit.epochOf(s.a)).toBe(epoch + 1);
      const outcome = await allVoid(s, "removed", [
        () => old,
        () => s.signed(leaver, { note: "new epoch" }),
        () => s.signed(leaver, { note: "numbers", deviceSeq: 2 ** 40 }),
        () => s.said(leaver, { type: "rename" }),
      ]);
      await s.says(s.a, s.fresh());
      leaver.engine.resume();
      expect(told(await s.kit.sync(leaver))).toBe("device-removed");
      const { replica } = leaver;
      expect(replica.read((tx) => replica.ring.epochKey(tx, epoch + 1))).toBeUndefined();
      leaver.engine.pause();
      return `${outcome}; no key`;
    },
  },
  {
    ids: "R16",
    what: "what a thief admitted, after his device was revoked from before that",
    run: async (s) => {
      const thief = s.hostile("thief");
      const since = s.head;
      thief.engine.resume();
      const accomplice = await s.people.pair(thief, "thief");
      for (const device of [thief, accomplice]) device.engine.pause();
      await together(s);
      expect(s.index(accomplice)).toBeGreaterThan(s.index(thief));
      const revoke = { kind: "revoke-device", device: s.index(thief), since } as const;
      expect(await s.people.does(s.a, revoke)).toMatchObject({ kind: "accepted" });
      await together(s);
      return allVoid(s, "removed", [
        () => s.signed(accomplice, { note: "by whom the thief let in" }),
        () => s.signed(thief, { note: "by the thief" }),
      ]);
    },
  },
  {
    ids: "R4",
    what: "a frame of one who was removed, put before the removal for one reader",
    last: true,
    run: async (s) => {
      const editor = s.hostile("editor");
      const at = s.head;
      const shown = await s.place.found();
      const late = s.signed(editor, { note: "late" });
      await s.place.show(shown, s.a);
      expect(await s.people.does(s.b, s.people.removeAct(editor))).toMatchObject({ kind: "accepted" });
      const signed = await s.says(s.b, s.fresh());
      const truth = await s.place.found();
      // Before everybody else's entry, which stand a number later here. He was in when he signed it.
      entries(shown, at + 1, late);
      for (let n = at + 1; n < signed; n++) entries(shown, n + 1, entryAt(truth, n).frame);
      await s.place.show(shown, s.a);
      await s.sync(s.a);
      expect(s.foreign(s.a)).toEqual(["late=forged"]);
      entries(shown, signed + 1, entryAt(truth, signed).frame);
      await s.place.show(shown, s.a);
      const outcome = await halts(s, s.a, "fork");
      // What somebody in the vault has signed is never given up: the truth alone does not end it.
      s.allow("late=forged");
      await s.place.show(undefined, s.a);
      await s.says(s.b, s.fresh());
      await halts(s, s.a, "fork");
      return `${outcome}, and stays`;
    },
  },
];
