/** Several persons over the whole engine: coming in, going, roles, new epochs. */
import { describe, expect, test } from "vitest";
import { Members } from "../../../testkit/src/members-kit.ts";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { deviceOpener, obtainKey } from "./epoch-keys.ts";
import { findVault, joinVault } from "./join.ts";
import { deriveStatus } from "./status.ts";

interface Scene {
  readonly kit: Kit;
  readonly members: Members;
  readonly owner: Device;
}

async function scene(seed: number): Promise<Scene> {
  const kit = fastKit(seed);
  const owner = await kit.found("owner");
  return { kit, members: new Members(kit), owner };
}

const newestEpoch = (kit: Kit, device: Device): number => kit.epochOf(device);
const state = (kit: Kit, ...devices: readonly Device[]) => devices.map((d) => kit.held(d));

describe("coming in", () => {
  test("[MEM15, MEM9] T-34 a member reads all that was written before, and is served by any device that is in", async () => {
    const { kit, members, owner } = await scene(1);
    kit.write(owner, "before");
    await kit.sync(owner);
    const anna = await members.add(owner, "anna", "editor");
    expect(kit.notes(anna)).toEqual(["before"]);
    // Her own second device is let in by her first, while the owner is away.
    const phone = await members.pair(anna, "anna");
    expect(kit.notes(phone)).toEqual(["before"]);
    kit.write(phone, "from the phone");
    await kit.converge(phone, anna, owner);
    expect(kit.notes(owner)).toEqual(["before", "from the phone"]);
    expect(new Set(state(kit, owner, anna, phone).map((s) => s.digest)).size).toBe(1);
    const names = owner.replica.read((tx) => [
      owner.replica.membership.personName(tx, 1),
      owner.replica.membership.deviceName(tx, 1),
      owner.replica.membership.deviceName(tx, 2),
    ]);
    expect(names).toEqual(["anna", "anna's", "anna's other"]);
  });

  test("[MEM15, VLT4] who comes in after several epochs opens every earlier one through the newest", async () => {
    const { kit, members, owner } = await scene(2);
    for (let n = 1; n <= 4; n++) {
      kit.write(owner, `epoch ${n}`);
      await kit.sync(owner);
      if (n < 4) await members.does(owner, { kind: "rotate", after: n });
    }
    expect(newestEpoch(kit, owner)).toBe(4);
    // The lists of earlier epochs are no longer needed.
    const lists = owner.replica.read((tx) =>
      [1, 2, 3].map((n) => owner.replica.membership.epoch(tx, n)?.list),
    );
    for (const list of lists) kit.log.blobs.delete(Buffer.from(list as Uint8Array).toString("hex"));
    const anna = await members.add(owner, "anna", "viewer");
    expect(kit.notes(anna)).toEqual(["epoch 1", "epoch 2", "epoch 3", "epoch 4"]);
    // Also a device that was away for all of it, and one that joins by the words.
    const words = await kit.join("words");
    expect(kit.notes(words)).toEqual(kit.notes(anna));
    await kit.converge(words, anna);
    expect(kit.held(words)).toEqual(kit.held(anna));
  });

  test("[VLT4, MEM15] a key that was kept for another epoch of the same number is not taken for the one that was accepted", async () => {
    const { kit, members, owner } = await scene(6);
    const anna = await members.add(owner, "anna", "editor");
    anna.replica.write((tx) => anna.replica.ring.put(tx, 2, new Uint8Array(32).fill(9)));
    await members.does(owner, { kind: "rotate", after: 1 });
    kit.write(owner, "under two");
    await kit.converge(owner, anna);
    expect(kit.verdicts(anna)).toEqual(kit.verdicts(owner));
    expect(kit.notes(anna)).toEqual(["under two"]);
  });

  test("[VLT7, MEM5, MEM15] a member's words bring another device in, and no vault that he has not joined", async () => {
    const { kit, members, owner } = await scene(5);
    kit.write(owner, "before");
    await members.does(owner, { kind: "rotate", after: 1 });
    const anna = await members.add(owner, "anna", "editor");
    await members.does(owner, { kind: "rotate", after: 2 });
    kit.write(owner, "after");
    await kit.converge(owner, anna);
    const words = members.person("anna");
    const find = (person: typeof words) => kit.time.until(findVault(kit.suite, kit.remote(), person));
    const phone = kit.open("phone", await find(words));
    const { suite, clock, time } = kit;
    const join = (device: Device): Promise<void> =>
      time.until(joinVault(suite, clock, device.replica, kit.remote(), words, device.name, time));
    await join(phone);
    await kit.converge(phone, owner);
    expect(kit.notes(phone)).toEqual(["before", "after"]);
    expect(members.personIndex(phone)).toBe(members.personIndex(anna));
    kit.write(phone, "on the phone");
    await kit.converge(phone, owner);
    expect(kit.notes(owner)).toEqual(["before", "after", "on the phone"]);
    await expect(find(members.person("bert"))).rejects.toMatchObject({ code: "key-mismatch" });
    // Out: the words find the vault that he had joined, and admit nobody to it.
    await members.does(owner, members.removeAct(anna));
    await expect(join(kit.open("tablet", await find(words)))).rejects.toMatchObject({
      code: expect.stringMatching(/key-mismatch|no-access/),
    });
  });

  test("[MEM15] a device that was away through two rotations goes on with what it has not sent", async () => {
    const { kit, members, owner } = await scene(3);
    const anna = await members.add(owner, "anna", "editor");
    anna.engine.pause();
    kit.write(anna, "from the train");
    const waits = anna.replica.nextBatch(new Set());
    expect(waits).toHaveLength(1);
    await members.does(owner, { kind: "rotate", after: 1 });
    kit.write(owner, "under two");
    await members.does(owner, { kind: "rotate", after: 2 });
    kit.write(owner, "under three");
    await kit.sync(owner);
    anna.engine.resume();
    await kit.converge(anna, owner);
    expect(kit.notes(anna)).toEqual(["under two", "under three", "from the train"]);
    expect(kit.held(anna)).toEqual(kit.held(owner));
    expect(kit.verdicts(owner)).not.toContain("member-race");
  });

  test("[MEM18] K12 no envelope for a device: it waits, every verdict is as elsewhere, and a member sends one", async () => {
    const { kit, members, owner } = await scene(4);
    const anna = await members.add(owner, "anna", "editor");
    const bert = await members.add(owner, "bert", "viewer");
    await kit.converge(anna, bert, owner);
    await members.does(owner, { kind: "rotate", after: 1 });
    await kit.sync(bert);
    const list = owner.replica.read((tx) => owner.replica.membership.newestEpoch(tx)?.list) as Uint8Array;
    kit.log.blobs.delete(Buffer.from(list).toString("hex"));
    kit.write(owner, "sealed under two");
    await kit.sync(owner);
    kit.write(anna, "anna's");
    expect(await kit.sync(anna)).toMatchObject({ kind: "stopped", code: "key-missing" });
    expect(deriveStatus(anna.engine.facts())).toMatchObject({ code: "pending" });
    const upTo = anna.replica.cursor().applied;
    expect(kit.verdicts(anna).slice(0, upTo)).toEqual(kit.verdicts(owner).slice(0, upTo));
    // A viewer has the key too, and may pass it on.
    await members.does(bert, { kind: "send-key", to: "device", index: members.index(anna) });
    expect(await kit.sync(anna)).toMatchObject({ kind: "live" });
    await kit.sync(owner);
    expect(kit.notes(owner)).toEqual(["sealed under two", "anna's"]);
  });
});

describe("going", () => {
  test("[MEM10, MEM11, MEM13] T-56, R5: a removed member reads nothing that came after, and writes nothing", async () => {
    const { kit, members, owner } = await scene(10);
    const anna = await members.add(owner, "anna", "editor");
    const phone = await members.pair(anna, "anna");
    const bert = await members.add(owner, "bert", "editor");
    kit.write(anna, "while in");
    await kit.converge(anna, phone, owner, bert);
    for (const device of [anna, phone]) device.engine.pause();
    kit.write(anna, "never sent");
    expect(await members.does(owner, members.removeAct(anna))).toMatchObject({ kind: "accepted" });
    // One frame: removal and epoch, sealed to those who stay.
    expect(newestEpoch(kit, owner)).toBe(2);
    kit.write(owner, "secret");
    await kit.converge(owner, bert);
    expect(kit.notes(bert)).toEqual(["while in", "secret"]);
    for (const gone of [anna, phone]) {
      gone.engine.resume();
      expect(await kit.sync(gone)).toMatchObject({ kind: "stopped", code: "device-removed" });
      expect(kit.notes(gone)).toEqual(["while in"]);
      const remote = kit.remote();
      const obtained = await obtainKey(kit.suite, gone.replica, remote, [
        deviceOpener(kit.suite, gone.keys),
        {
          me: {
            kind: "person",
            id: (gone.replica.read((tx) => gone.replica.membership.person(tx, 1)) as { id: Uint8Array }).id,
          },
          pair: { publicKey: members.person("anna").box, secretKey: members.person("anna").boxSecret },
        },
      ]);
      expect(obtained).toEqual({ kind: "none" });
    }
    expect(kit.log.head()).toBe(bert.replica.cursor().applied);
  });

  test("[MEM20] T-17, T-26, M-23: a device that finds itself removed keeps what it has and what it did not send, and says so", async () => {
    const { kit, members, owner } = await scene(11);
    const phone = await members.pair(owner, "owner");
    kit.write(phone, "sent");
    await kit.converge(phone, owner);
    phone.engine.pause();
    kit.write(phone, "unsent");
    await members.does(owner, members.revokeAct(phone));
    for (const device of [phone, kit.restart(phone)]) {
      device.engine.resume();
      expect(await kit.sync(device)).toMatchObject({ kind: "stopped", code: "device-removed" });
      expect(kit.notes(device)).toEqual(["sent"]);
      expect(kit.heldNotes(device)).toEqual(["unsent"]);
      expect(device.replica.waiting()).toEqual({ pending: 1, parked: 0 });
      expect(device.replica.nextBatch(new Set())).toEqual([]);
      expect(deriveStatus(device.engine.facts())).toMatchObject({
        code: "no-access",
        label: "No access",
        exit: 12,
      });
      expect(() => members.queue(device, { kind: "rename", name: "x" })).toThrow(
        expect.objectContaining({ code: "device-removed" }),
      );
    }
    expect(kit.log.head()).toBe(owner.replica.cursor().applied);
  });

  test("[MEM10] R3: what was on its way when its device was removed is void, and stays with its author", async () => {
    const { kit, members, owner } = await scene(12);
    const phone = await members.pair(owner, "owner");
    phone.engine.pause();
    kit.write(phone, "late");
    const [late] = phone.replica.nextBatch(new Set());
    await members.does(owner, members.revokeAct(phone));
    kit.place(owner, (late as { frame: Uint8Array }).frame);
    await kit.sync(owner);
    expect(kit.verdicts(owner).at(-1)).toBe("removed");
    expect(kit.notes(owner)).toEqual([]);
    phone.engine.resume();
    await kit.sync(phone);
    expect(phone.replica.waiting().pending).toBe(1);
  });

  test("[MEM13] a viewer who goes leaves the rotation to an admin, who makes it by himself, once", async () => {
    const { kit, members, owner } = await scene(13);
    const anna = await members.add(owner, "anna", "admin");
    const bert = await members.add(owner, "bert", "viewer");
    const phone = await members.pair(bert, "bert");
    await kit.converge(owner, anna, bert, phone);
    expect(await members.does(bert, members.revokeAct(phone))).toMatchObject({ kind: "accepted" });
    expect(newestEpoch(kit, bert)).toBe(1);
    expect(bert.replica.read((tx) => bert.replica.membership.rotationDue(tx))).toBe(true);
    await kit.converge(anna, owner, bert);
    expect([owner, anna, bert].map((d) => newestEpoch(kit, d))).toEqual([2, 2, 2]);
    expect(await members.does(bert, members.removeAct(bert))).toMatchObject({ kind: "accepted" });
    expect(await kit.sync(bert)).toMatchObject({ code: "device-removed" });
    await kit.converge(owner, anna);
    expect([owner, anna].map((d) => newestEpoch(kit, d))).toEqual([3, 3]);
    expect(kit.held(owner)).toEqual(kit.held(anna));
  });

  test("[MEM13] who revokes the device at hand leaves the epoch to those who stay, and it is asked for once", async () => {
    const { kit, members, owner } = await scene(15);
    const phone = await members.pair(owner, "owner", "phone");
    await kit.converge(phone, owner);
    phone.engine.pause();
    expect(await members.does(owner, members.revokeAct(owner))).toMatchObject({ kind: "accepted" });
    expect(await kit.sync(owner)).toMatchObject({ code: "device-removed" });
    expect(kit.epochOf(owner)).toBe(1);
    // It has the key of the epoch still: what it writes stays with it all the same.
    kit.write(owner, "late");
    expect(owner.replica.nextBatch(new Set())).toEqual([]);
    const { replica } = phone;
    const page = await kit.remote().read(replica.cursor().read, { frames: 64, bytes: 1 << 20 });
    if (page.kind === "ok") replica.ingest(replica.cursor().read, page.value);
    replica.apply(1e9, undefined);
    for (let i = 0; i < 3; i++) replica.rotateIfDue();
    expect(replica.waiting()).toEqual({ pending: 1, parked: 0 });
    phone.engine.resume();
    await kit.sync(phone);
    expect(kit.epochOf(phone)).toBe(2);
  });

  test("[MEM10] who was removed may be added again, with another device", async () => {
    const { kit, members, owner } = await scene(14);
    const anna = await members.add(owner, "anna", "editor");
    await members.does(owner, members.removeAct(anna));
    expect(await members.does(owner, members.addAct(anna, "anna", "editor"))).toMatchObject({
      kind: "void",
      reason: "member-race",
    });
    const again = await members.add(owner, "anna", "viewer");
    expect(members.personIndex(again)).toBe(1);
    expect(await kit.sync(again)).toMatchObject({ kind: "live" });
    // Her words admit her devices again, too.
    expect(owner.replica.read((tx) => owner.replica.membership.person(tx, 1))).toMatchObject({
      role: "viewer",
      removedAt: undefined,
    });
  });
});

describe("roles", () => {
  test("[MEM21, MEM9] T-49, M-9, R1: a viewer's write is refused here, and what it wrote before it was one is kept with the reason", async () => {
    const { kit, members, owner } = await scene(20);
    const anna = await members.add(owner, "anna", "editor");
    kit.write(anna, "as an editor");
    await kit.converge(anna, owner);
    anna.engine.pause();
    const late = kit.write(anna, "too late");
    await members.does(owner, members.roleAct(anna, "viewer"));
    anna.engine.resume();
    await kit.sync(anna);
    expect(await kit.time.until(anna.engine.verdict(late))).toMatchObject({ kind: "void", reason: "role" });
    expect(kit.parked(anna)).toEqual(["role"]);
    expect(kit.heldNotes(anna)).toEqual([]);
    expect(() => kit.write(anna, "no")).toThrow(expect.objectContaining({ code: "no-access" }));
    expect(await kit.sync(anna)).toMatchObject({ kind: "live" });
    // Nothing of it was sent.
    expect(kit.notes(owner)).toEqual(["as an editor"]);
    expect(kit.log.head()).toBe(anna.replica.cursor().applied);
    await members.does(owner, members.roleAct(anna, "editor"));
    await kit.sync(anna);
    kit.write(anna, "an editor again");
    await kit.converge(anna, owner);
    expect(kit.notes(owner)).toEqual(["as an editor", "an editor again"]);
  });

  test("[MEM21, ENG5] M-9: under way when the role was lost: void on every replica, and in its author's list", async () => {
    const { kit, members, owner } = await scene(21);
    const anna = await members.add(owner, "anna", "editor");
    anna.engine.pause();
    kit.write(anna, "under way");
    const [sealed] = anna.replica.nextBatch(new Set());
    await members.does(owner, members.roleAct(anna, "viewer"));
    kit.place(owner, (sealed as { frame: Uint8Array }).frame);
    anna.engine.resume();
    await kit.converge(owner, anna);
    expect([owner, anna].map((d) => kit.verdicts(d).at(-1))).toEqual(["role", "role"]);
    expect(kit.parked(anna)).toEqual(["role"]);
    expect(kit.held(owner).digest).toBe(kit.held(anna).digest);
  });

  test("[LOG10, MEM21] a run left open by who lost the role does not end by a later one", async () => {
    const { kit, members, owner } = await scene(22);
    const anna = await members.add(owner, "anna", "editor");
    const base = 1 + anna.replica.settled();
    const first = kit.frame(anna, { note: "half", flags: 1, deviceSeq: base });
    const last = kit.frame(anna, { note: "other half", flags: 4, deviceSeq: base + 1 });
    kit.place(anna, first);
    await kit.sync(owner);
    await members.does(owner, members.roleAct(anna, "viewer"));
    await members.does(owner, members.roleAct(anna, "editor"));
    kit.place(owner, last);
    await kit.sync(owner);
    expect(kit.verdicts(owner).at(-1)).toBe("run");
    expect(kit.notes(owner)).toEqual([]);
  });

  test("[MEM22] an admin sets the largest file for all devices, and leaves the other settings as they are", async () => {
    const { kit, members, owner } = await scene(26);
    const anna = await members.add(owner, "anna", "admin");
    const bob = await members.add(owner, "bob", "editor");
    const said = (d: Device) => d.replica.read((tx) => d.replica.membership.settings(tx));
    const before = said(owner);
    expect(await members.does(anna, { kind: "set", maxFileSize: 50_000_000 })).toMatchObject({
      kind: "accepted",
    });
    await kit.converge(owner, anna, bob);
    for (const device of [owner, anna, bob])
      expect(said(device)).toEqual({ ...before, maxFileSize: 50_000_000 });
    // Said already: nothing is sent for it.
    const head = kit.log.head();
    await members.does(owner, { kind: "set", maxFileSize: 50_000_000 });
    expect(kit.log.head()).toBe(head);
    expect(await members.does(bob, { kind: "set", maxFileSize: 1 })).toMatchObject({
      kind: "void",
      reason: "role",
    });
    await kit.converge(owner, anna, bob);
    expect(said(owner)?.maxFileSize).toBe(50_000_000);
  });

  test("[MEM9] the vault is handed over, and the old owner can be removed by nobody but the new one", async () => {
    const { kit, members, owner } = await scene(23);
    const anna = await members.add(owner, "anna", "editor");
    const bert = await members.add(owner, "bert", "admin");
    await kit.converge(anna, bert);
    expect(await members.does(owner, { kind: "transfer", person: members.personIndex(anna) })).toMatchObject({
      kind: "accepted",
    });
    await kit.converge(anna, bert, owner);
    const roles = bert.replica.read((tx) => bert.replica.membership.persons(tx).map((p) => p.role));
    expect(roles).toEqual(["admin", "owner", "admin"]);
    expect(await members.does(bert, members.removeAct(owner))).toMatchObject({
      kind: "void",
      reason: "role",
    });
    expect(await members.does(anna, members.removeAct(owner))).toMatchObject({ kind: "accepted" });
    expect(await kit.sync(owner)).toMatchObject({ code: "device-removed" });
  });
});

describe("acts at the same time", () => {
  test("[MEM14] two admins remove the same member at once: the one that lost finds it done", async () => {
    const { kit, members, owner } = await scene(30);
    const anna = await members.add(owner, "anna", "admin");
    const bert = await members.add(owner, "bert", "editor");
    await kit.converge(owner, anna, bert);
    const runs = [owner, anna].map((d) => members.queue(d, members.removeAct(bert)));
    // Both frames are sealed before either is placed.
    for (const device of [owner, anna]) device.replica.nextBatch(new Set());
    await kit.converge(owner, anna);
    for (const [i, device] of [owner, anna].entries())
      expect(await kit.time.until(device.engine.verdict(runs[i] as number))).toMatchObject({
        kind: "accepted",
      });
    expect(newestEpoch(kit, owner)).toBe(2);
    expect(kit.verdicts(owner).filter((r) => r === "member-race")).toHaveLength(1);
    expect(kit.held(owner)).toEqual(kit.held(anna));
    kit.write(anna, "on");
    await kit.converge(anna, owner);
    expect(kit.notes(owner)).toEqual(["on"]);
  });

  test("[MEM14, LOG16] two admins act at once: both happen, and edits under the old epoch are sealed anew", async () => {
    const { kit, members, owner } = await scene(31);
    const anna = await members.add(owner, "anna", "admin");
    const bert = await members.add(owner, "bert", "editor");
    const carl = await members.add(owner, "carl", "editor");
    await kit.converge(owner, anna, bert, carl);
    members.queue(owner, members.removeAct(bert));
    members.queue(anna, members.removeAct(carl));
    kit.write(owner, "o");
    kit.write(anna, "a");
    for (const device of [owner, anna]) device.replica.nextBatch(new Set());
    await kit.converge(owner, anna);
    await kit.converge(owner, anna);
    expect(newestEpoch(kit, owner)).toBe(3);
    expect(kit.notes(owner).slice().sort()).toEqual(["a", "o"]);
    expect(kit.held(owner)).toEqual(kit.held(anna));
    for (const gone of [bert, carl]) expect(await kit.sync(gone)).toMatchObject({ code: "device-removed" });
  });
});

describe("stopped in the middle", () => {
  for (const act of ["remove-member", "revoke-device", "rotate", "add-member", "admit-device"] as const)
    test(`[MEM14] ${act}, killed at every step: the old state or the new one, and whoever is in opens the vault`, async () => {
      let done = false;
      for (let at = 1; !done; at++) {
        expect(at).toBeLessThan(200);
        const steps = killSwitch();
        const kit = fastKit(at, { point: steps.here });
        let owner = await kit.found("owner");
        const members = new Members(kit);
        const anna = await members.add(owner, "anna", "editor");
        const bert = await members.add(owner, "bert", "editor");
        kit.write(anna, "before");
        await kit.converge(anna, bert, owner);
        for (const device of [anna, bert]) device.engine.pause();
        kit.write(bert, "unsent");
        const newcomer = members.stranger("new", owner.replica.genesis);
        const wanted = {
          "remove-member": () => members.removeAct(bert),
          "revoke-device": () => members.revokeAct(bert),
          rotate: () => ({ kind: "rotate", after: 1 }) as const,
          "add-member": () => members.addAct(newcomer, "carl", "viewer"),
          "admit-device": () => members.admitAct(newcomer, "owner"),
        }[act]();
        owner.faults.hooks = { before: () => steps.here(), after: () => steps.here() };
        kit.write(owner, "with it");
        steps.arm(at);
        try {
          members.queue(owner, wanted);
          await kit.sync(owner);
        } catch (error) {
          expect(error).toBeInstanceOf(Killed);
        }
        done = steps.armed();
        steps.arm(0);
        const devices = owner.replica.read((tx) => owner.replica.membership.devices(tx).length);
        // Old or new, and nothing between.
        expect([1, 2]).toContain(kit.epochOf(owner));
        expect([3, 4]).toContain(devices);
        owner = kit.restart(owner);
        await kit.sync(owner);
        // Who was killed before it was kept asks again; what is done is done once.
        await members.does(owner, wanted);
        for (const device of [anna, bert]) device.engine.resume();
        await kit.converge(owner, anna, owner);
        expect(await kit.sync(anna), `step ${at}`).toMatchObject({ kind: "live" });
        kit.write(anna, "after");
        await kit.converge(anna, owner);
        const gone = act === "remove-member" || act === "revoke-device";
        const expected = ["after", "before", ...(gone ? [] : ["unsent"]), "with it"];
        if (!gone) await kit.converge(bert, owner, anna);
        expect(kit.notes(owner).slice().sort(), `step ${at}`).toEqual(expected);
        expect(kit.held(anna)).toEqual(kit.held(owner));
        expect(kit.epochOf(owner)).toBe(gone || act === "rotate" ? 2 : 1);
        expect(kit.verdicts(owner).filter((r) => r !== "" && r !== "epoch-stale")).toEqual([]);
        if (gone) {
          expect(await kit.sync(bert)).toMatchObject({ code: "device-removed" });
          expect(bert.replica.waiting().pending).toBe(1);
        }
        if (newcomer.engine.device === undefined && (act === "add-member" || act === "admit-device")) {
          expect(await kit.sync(newcomer)).toMatchObject({ kind: "live" });
          expect(kit.held(newcomer)).toEqual(kit.held(owner));
        }
        const words = await kit.join("words");
        expect(kit.notes(words).slice().sort()).toEqual(expected);
      }
    });
});

class Killed extends Error {}

/** Kills at the n-th place it is asked; 0 never. */
function killSwitch(): {
  readonly here: () => undefined;
  readonly arm: (n: number) => void;
  readonly armed: () => boolean;
} {
  let left = 0;
  return {
    here: () => {
      if (left > 0 && --left === 0) throw new Killed("planted");
      return undefined;
    },
    arm: (n) => {
      left = n;
    },
    armed: () => left > 0,
  };
}
