/** The part of the store's contract that an operator and a leaving owner rely on. */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Entitlement } from "@tidelock/server/auth/terms";
import { KEPT, SPARED } from "@tidelock/server/store";
import { expect } from "vitest";
import { NOON, newPerson, TestVault } from "../vault-people.ts";
import type { ContractCase } from "./cases.ts";
import { act, type CreateLogStore, foundIn, id, inStore, planned } from "./log-store-kit.ts";

const plan = (version: number, over: Partial<Entitlement> = {}): Entitlement => ({
  version,
  plans: ["basic"],
  seats: undefined,
  quotaBytes: undefined,
  state: "active",
  until: undefined,
  ...over,
});
const group = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const FAR = 2 ** 40;

export const operatorCases: readonly ContractCase<CreateLogStore>[] = [
  {
    title: "[SRV81] of an entitlement the highest version counts, and one version says one thing",
    run: inStore(async ({ store, crash }) => {
      const subject = id(1);
      const full = plan(2, { plans: ["a", "b"], seats: 3, quotaBytes: 10 ** 12, state: "lapsed", until: 5 });
      expect(await store.entitlement(subject)).toBeUndefined();
      expect(await store.putEntitlement(subject, full, act("entitlement", NOON))).toBe("kept");
      expect(await store.putEntitlement(subject, full, act("entitlement", NOON))).toBe("kept");
      expect(await store.putEntitlement(subject, plan(1), act("entitlement", NOON))).toBe("older");
      expect(await store.putEntitlement(subject, plan(2), act("entitlement", NOON))).toBe("conflict");
      const after = await crash();
      expect(await after.entitlement(subject)).toEqual(full);
      await after.close();
      expect(await store.putEntitlement(subject, plan(3), act("entitlement", NOON))).toBe("kept");
      expect(await store.entitlement(subject)).toEqual(plan(3));
      // What changed nothing was not done.
      expect(await store.audit(undefined, FAR, 9)).toHaveLength(2);
    }),
  },
  {
    title: "[SRV89] groups are listed by id, a page at a time, with what is in them and what they have",
    run: inStore(async ({ store, vault }) => {
      await foundIn(store, vault);
      const row = act("group", NOON);
      expect(await store.groups(new Uint8Array(0), 9)).toEqual([]);
      for (const n of [3, 1]) await store.addEdge({ group: group(n), kind: "person", id: id(n) }, row);
      await store.addEdge({ group: group(1), kind: "vault", id: vault.id }, row);
      await store.addEdge({ group: group(1), kind: "person", id: id(9) }, row);
      await store.putEntitlement(group(2), plan(1, { seats: 5 }), row);
      // A person's is no group.
      await store.putEntitlement(id(7), plan(1), row);
      const all = [
        { group: group(1), persons: 2, devices: 0, vaults: 1, entitlement: undefined },
        { group: group(2), persons: 0, devices: 0, vaults: 0, entitlement: plan(1, { seats: 5 }) },
        { group: group(3), persons: 1, devices: 0, vaults: 0, entitlement: undefined },
      ];
      expect(await store.groups(new Uint8Array(0), 9)).toEqual(all);
      expect(await store.groups(group(1), 1)).toEqual([all[1]]);
      await store.dropEdge({ group: group(3), kind: "person", id: id(3) }, row);
      expect(await store.groups(group(2), 9)).toEqual([]);
    }),
  },
  {
    title: "[SRV84] an edge is there once however often it is put, and those of a group keep their order",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      const edge = (kind: "person" | "device" | "vault", n: Uint8Array, g = group(1)) => ({
        group: g,
        kind,
        id: n,
      });
      const row = act("group", NOON);
      const query = {
        vault: vault.id,
        owner: device.person.id,
        person: device.person.id,
        device: device.id,
      };
      expect(await store.terms(query)).toEqual({ own: undefined, owner: undefined, groups: [] });
      for (const one of [id(7), device.person.id, id(8)])
        expect(await store.addEdge(edge("person", one), row)).toBe(true);
      expect(await store.addEdge(edge("person", id(7)), row)).toBe(false);
      expect(await store.addEdge(edge("vault", vault.id), row)).toBe(true);
      expect(await store.addEdge(edge("vault", vault.id, group(2)), row)).toBe(true);
      expect(await store.addEdge(edge("device", device.id, group(2)), row)).toBe(true);
      // Of groups that do not hold the vault nothing is asked.
      await store.addEdge(edge("person", device.person.id, group(3)), row);
      expect(await store.edges(group(1), "person")).toEqual([id(7), device.person.id, id(8)]);
      expect((await store.terms(query)).groups).toEqual([
        { entitlement: undefined, used: 0, device: false, seat: 1 },
        { entitlement: undefined, used: 0, device: true, seat: undefined },
      ]);
      expect(await store.dropEdge(edge("person", id(7)), row)).toBe(true);
      expect(await store.dropEdge(edge("person", id(7)), row)).toBe(false);
      expect((await store.terms(query)).groups[0]?.seat).toBe(0);
      await store.dropEdge(edge("vault", vault.id), row);
      expect((await store.terms(query)).groups).toHaveLength(1);
    }),
  },
  {
    title: "[SRV83] a plan's bytes are those of all vaults of its owner, or of its group",
    run: inStore(async ({ store, vault, device }) => {
      const other = new TestVault(vault.suite, vault.founder);
      await foundIn(store, vault);
      await foundIn(store, other);
      const frame = vault.data(device, 0, 1, "frame");
      await store.commit([await planned(store, vault, device, [frame])]);
      await store.addBlob(other.id, { id: id(5), size: 1_000, storedAt: NOON });
      const owner = device.person.id;
      await store.putEntitlement(owner, plan(1, { quotaBytes: 9_000 }), act("entitlement", NOON));
      await store.putEntitlement(group(1), plan(1), act("entitlement", NOON));
      await store.addEdge({ group: group(1), kind: "vault", id: other.id }, act("group", NOON));
      const asked = { vault: other.id, owner, person: id(9), device: id(8) };
      expect(await store.terms(asked)).toEqual({
        own: undefined,
        owner: { entitlement: plan(1, { quotaBytes: 9_000 }), used: 1_000 + frame.length },
        groups: [{ entitlement: plan(1), used: 1_000, device: false, seat: undefined }],
      });
      const write = await planned(store, vault, device, [vault.data(device, 0, 2, "two")]);
      const given = { person: id(9), level: "owner", since: 2, ended: undefined } as const;
      await store.commit([{ ...write, members: [given] }]);
      expect((await store.vault(vault.id))?.owner).toEqual(id(9));
      expect((await store.terms(asked)).owner?.used).toBe(1_000);
    }),
  },
  {
    title: "[SRV9] what was spared is counted by person, frames and blobs together, from window to window",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      const state = () =>
        store.state({ vault: vault.id, devices: [], persons: [id(1), id(2), device.person.id], placed: [] });
      const blob = (n: number, size: number, storedAt: number) => ({ id: id(n), size, storedAt });
      await store.addBlob(vault.id, blob(1, 10, NOON));
      await store.addBlob(vault.id, blob(2, 20, NOON), id(1));
      await store.addBlob(vault.id, blob(3, 40, NOON + 5), id(1));
      await store.addBlob(vault.id, blob(3, 40, NOON + 9), id(1));
      await store.addBlob(vault.id, blob(4, 80, NOON + SPARED.window), id(2));
      const write = await planned(store, vault, device, [vault.first()]);
      await store.commit([{ ...write, spared: [{ person: id(1), bytes: 7 }] }]);
      expect((await state())?.spared).toEqual([
        { person: id(1), since: NOON, bytes: 67 },
        { person: id(2), since: NOON + SPARED.window, bytes: 80 },
      ]);
      await store.addBlob(vault.id, blob(5, 1, NOON + SPARED.window), id(1));
      const { since, bytes } = (await state())?.spared[0] ?? { since: 0, bytes: 0 };
      expect([since, bytes]).toEqual([NOON + SPARED.window, 1]);
      expect((await store.vault(vault.id))?.blobBytes).toBe(151);
    }),
  },
  {
    title:
      "[SRV86] a deleted vault is kept for its time, for whoever deleted it, and then nothing of it is left",
    run: inStore(async ({ store, crash, vault, device }) => {
      await foundIn(store, vault);
      await store.commit([await planned(store, vault, device, [vault.first()])]);
      await store.addBlob(vault.id, { id: id(5), size: 9, storedAt: NOON });
      await store.putNote(vault.id, { device: device.id, time: 1, note: id(6) });
      const row = act("delete-vault", NOON);
      expect(await store.deleteVault(id(9), { at: NOON, by: "owner" }, row)).toBe(false);
      expect(await store.deleteVault(vault.id, { at: NOON, by: "operator" }, row)).toBe(true);
      expect(await store.deleteVault(vault.id, { at: NOON + 1, by: "owner" }, row)).toBe(true);
      expect((await store.vault(vault.id))?.deleted).toEqual({ at: NOON, by: "operator" });
      expect(await store.vaultsOf(device.person.id)).toEqual([]);
      expect(await store.restoreVault(vault.id, "owner", NOON - 1, row)).toBe(false);
      expect(await store.restoreVault(vault.id, "operator", NOON, row)).toBe(false);
      expect(await store.restoreVault(vault.id, "operator", NOON - 1, row)).toBe(true);
      expect(await store.vaultsOf(device.person.id)).toHaveLength(1);

      await store.deleteVault(vault.id, { at: NOON, by: "owner" }, row);
      expect(await store.deletedVaults(NOON - 1, 9)).toEqual([]);
      expect(await store.deletedVaults(NOON, 9)).toEqual([vault.id]);
      let calls = 1;
      while (!(await store.eraseVault(vault.id, 1))) calls++;
      expect(calls).toBeGreaterThan(3);
      const after = await crash();
      expect(await after.vault(vault.id)).toBeUndefined();
      expect(await after.deletedVaults(NOON, 9)).toEqual([]);
      await after.close();
      // Whatever number the next one gets, it inherits nothing.
      const next = new TestVault(vault.suite);
      await foundIn(store, next);
      expect(await store.audit(next.id, FAR, 9)).toHaveLength(1);
      expect(await store.entries(next.id, 0, { frames: 9, bytes: 1 << 20 })).toEqual([]);
      expect(await store.notes(next.id)).toEqual([]);
      expect(await foundIn(store, vault)).toBe("created");
      expect((await store.vault(vault.id))?.blobBytes).toBe(0);
      expect((await store.access(vault.id)).devices).toMatchObject([{ lastSeq: 0 }]);
    }),
  },
  {
    title: "[SRV87] a closed account takes its vaults along, can be opened again, and is gone after its time",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      const { person } = device;
      const other = newPerson(vault.suite);
      for (const one of [person, other])
        await store.admitAccount(
          {
            person: one.id,
            signKey: one.keys.sign,
            boxKey: one.keys.box,
            created: NOON,
            closed: undefined,
          },
          {
            device: one === person ? device.id : id(4),
            person: one.id,
            signKey: one.keys.sign,
            added: NOON,
            seen: NOON,
            revoked: undefined,
            closed: undefined,
          },
        );
      await store.putEntitlement(person.id, plan(1), act("entitlement", NOON));
      const usage = await store.usageOf(person.id);
      expect(usage).toMatchObject({ vaults: 1, devices: 1, bytes: 0, entitlement: plan(1) });
      const all = [person.id, other.id].map(toHex).sort();
      const listed = await store.usage(new Uint8Array(0), 9);
      expect(listed.map((one) => toHex(one.person))).toEqual(all);
      expect((await store.usage(listed[0]?.person as Uint8Array, 1)).map((one) => toHex(one.person))).toEqual(
        [all[1]],
      );

      const row = act("close-account", NOON);
      expect(await store.closePerson(id(9), { at: NOON, by: "owner" }, row)).toBe(false);
      expect(await store.closePerson(person.id, { at: NOON, by: "owner" }, row)).toBe(true);
      expect((await store.person(person.id))?.closed).toBe(NOON);
      expect((await store.accountDevice(device.id))?.closed).toBe(NOON);
      expect((await store.accountDevice(id(4)))?.closed).toBeUndefined();
      expect((await store.vault(vault.id))?.deleted).toEqual({ at: NOON, by: "owner" });
      await store.reopenPerson(person.id, act("reopen-account", NOON));
      expect((await store.accountDevice(device.id))?.closed).toBeUndefined();
      expect((await store.vault(vault.id))?.deleted).toBeDefined();
      await store.closePerson(person.id, { at: NOON, by: "owner" }, row);
      await store.sweep(NOON + KEPT - 1);
      expect(await store.person(person.id)).toBeDefined();
      await store.sweep(NOON + KEPT);
      expect(await store.person(person.id)).toBeUndefined();
      expect(await store.accountDevice(device.id)).toBeUndefined();
      expect(await store.entitlement(person.id)).toBeUndefined();
      expect(await store.person(other.id)).toBeDefined();
    }),
  },
  {
    title: "[SRV88] an act and its audit row are one: newest first, of one vault or of all",
    run: inStore(async ({ store, crash, vault, device }) => {
      await foundIn(store, vault);
      const by = { ...act("registration-token", NOON + 1), device: device.id, address: "private" } as const;
      await store.addRegistration(id(1), 1, FAR, by);
      await store.deleteVault(
        vault.id,
        { at: NOON, by: "owner" },
        { ...act("delete-vault", NOON + 2), object: id(3) },
      );
      const after = await crash();
      const all = await after.audit(undefined, FAR, 9);
      expect(all.map(({ action, vault: of }) => [action, of === undefined ? "" : toHex(of)])).toEqual([
        ["delete-vault", toHex(vault.id)],
        ["registration-token", ""],
        ["found", toHex(vault.id)],
      ]);
      expect(all[1]).toMatchObject({ time: NOON + 1, device: device.id, address: "private" });
      expect(all[0]).toMatchObject({ device: undefined, object: id(3) });
      const older = await after.audit(undefined, all[0]?.n as number, 1);
      expect(older.map(({ action }) => action)).toEqual(["registration-token"]);
      expect((await after.audit(vault.id, FAR, 9)).map(({ action }) => action)).toEqual([
        "delete-vault",
        "found",
      ]);
      await after.close();
    }),
  },
];
