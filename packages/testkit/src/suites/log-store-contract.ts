import { toHex } from "@tidelock/core/bytes/bytes";
import type { VaultWrite } from "@tidelock/server/store";
import { expect } from "vitest";
import { NOON, newDevice, newPerson, type TestDevice, TestVault } from "../vault-people.ts";
import { type ContractCase, describeCases } from "./cases.ts";
import { act, type CreateLogStore, foundIn, id, inStore, planned } from "./log-store-kit.ts";
import { operatorCases } from "./log-store-operator.ts";

/** The contract of the server's `LogStore`, whatever database is below it. */
export function describeLogStore(name: string, create: CreateLogStore): void {
  describeCases(`LogStore: ${name}`, logStoreCases, create);
}

const ALL = { frames: 1024, bytes: 4 << 20 };
export const logStoreCases: readonly ContractCase<CreateLogStore>[] = [
  {
    title: "[SRV1] a vault is founded once, with its owner and first device, and is found by them",
    run: inStore(async ({ store, vault, device }) => {
      expect(await store.vault(vault.id)).toBeUndefined();
      expect(await foundIn(store, vault)).toBe("created");
      expect(await foundIn(store, vault)).toBe("same");
      const row = await store.vault(vault.id);
      expect(row?.genesis).toEqual(new Uint8Array(vault.genesis.bytes));
      expect(row?.head).toEqual({ seq: 0, hash: vault.id, members: vault.id, time: NOON });
      const mine = await store.vaultsOf(device.person.id);
      expect(mine.map((one) => [toHex(one.row.vault), one.member.level])).toEqual([
        [toHex(vault.id), "owner"],
      ]);
      expect(await store.vaultsOf(id(9))).toEqual([]);
      const access = await store.access(vault.id);
      expect(access.devices).toMatchObject([{ device: device.id, index: 0, since: 0, lastSeq: 0 }]);
      expect((await store.audit(vault.id, 2 ** 40, 10)).map(({ action }) => action)).toEqual(["found"]);
    }),
  },
  {
    title:
      "[P1] [SRV2] what a commit answered is there after a crash, entries, head and device seqs together",
    run: inStore(async ({ store, crash, vault, device }) => {
      await foundIn(store, vault);
      const frames = [vault.first(), vault.data(device, 0, 2, "two"), vault.data(device, 0, 3, "three")];
      const write = await planned(store, vault, device, frames);
      expect(await store.commit([write])).toEqual([true]);
      const after = await crash();
      const row = await after.vault(vault.id);
      expect(row?.head).toEqual(write.head);
      expect(row?.logBytes).toBe(frames.reduce((sum, frame) => sum + frame.length, 0));
      const entries = await after.entries(vault.id, 0, ALL);
      expect(entries.map(({ seq, time }) => [seq, time])).toEqual([1, 2, 3].map((seq) => [seq, NOON]));
      expect(entries.map(({ frame }) => frame)).toEqual(frames.map((frame) => new Uint8Array(frame)));
      const state = await after.state({
        vault: vault.id,
        devices: [device.id, id(7)],
        persons: [device.person.id],
        placed: [
          { device: device.id, deviceSeq: 2 },
          { device: device.id, deviceSeq: 4 },
        ],
      });
      expect(state?.devices).toMatchObject([{ lastSeq: 3 }]);
      expect(state?.placed).toMatchObject([
        { deviceSeq: 2, seq: 2, id: vault.suite.sha256(frames[1] as Uint8Array) },
      ]);
      expect((await after.membership(vault.id, 0)).map(({ seq }) => seq)).toEqual([1]);
      await after.close();
    }),
  },
  {
    title:
      "[P4] [SRV2] of any number of writes planned on one head one is taken, and nothing of the others is there",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      const rivals = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          planned(store, vault, device, [vault.data(device, 0, 1, `by ${i}`)]),
        ),
      );
      const taken = await Promise.all(rivals.map(async (write) => (await store.commit([write]))[0]));
      expect(taken.filter((one) => one)).toHaveLength(1);
      const entries = await store.entries(vault.id, 0, ALL);
      const winner = rivals[taken.indexOf(true)] as VaultWrite;
      expect(entries.map(({ frame }) => frame)).toEqual(
        winner.entries.map(({ frame }) => new Uint8Array(frame)),
      );
      expect((await store.vault(vault.id))?.head).toEqual(winner.head);
      // A vault that lost does not take its neighbour down.
      const other = new TestVault(vault.suite);
      await foundIn(store, other);
      const fine = await planned(store, other, other.founder, [other.first()]);
      expect(await store.commit([rivals[0] as VaultWrite, fine])).toEqual([false, true]);
    }),
  },
  {
    title: "[SRV4] a read is bounded in entries and bytes, gives at least one, and never jumps a gap",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      const frames = Array.from({ length: 20 }, (_, i) => vault.data(device, 0, i + 1, "x".repeat(500)));
      await store.commit([await planned(store, vault, device, frames)]);
      const size = (frames[0] as Uint8Array).length;
      const seqs = async (after: number, most: typeof ALL): Promise<number[]> =>
        (await store.entries(vault.id, after, most)).map(({ seq }) => seq);
      expect(await seqs(0, { frames: 3, bytes: 1 << 20 })).toEqual([1, 2, 3]);
      expect(await seqs(4, { frames: 9, bytes: 1 })).toEqual([5]);
      expect(await seqs(4, { frames: 9, bytes: 2 * size })).toEqual([5, 6]);
      expect(await seqs(20, ALL)).toEqual([]);
      expect(await seqs(25, ALL)).toEqual([]);
      expect(await store.entries(id(1), 0, ALL)).toEqual([]);
    }),
  },
  {
    title: "[SRV30] the index of blobs counts each once, and lists them in the order of their ids",
    run: inStore(async ({ store, vault }) => {
      await foundIn(store, vault);
      for (const n of [3, 1, 2, 1]) await store.addBlob(vault.id, { id: id(n), size: 100 * n, storedAt: n });
      expect((await store.vault(vault.id))?.blobBytes).toBe(600);
      expect((await store.blobs(vault.id, new Uint8Array(0), 2)).map((one) => one.size)).toEqual([100, 200]);
      expect((await store.blobs(vault.id, id(2), 9)).map((one) => one.size)).toEqual([300]);
      expect(await store.blob(vault.id, id(2))).toEqual({ id: id(2), size: 200, storedAt: 2 });
      expect(await store.blob(vault.id, id(4))).toBeUndefined();
    }),
  },
  {
    title:
      "[SRV95] a blob that was set aside is there no more, and again when that is taken back or it is put again",
    run: inStore(async ({ store, vault, device }) => {
      await foundIn(store, vault);
      await store.commit([await planned(store, vault, device, [vault.first()])]);
      const time = (await store.entries(vault.id, 0, ALL))[0]?.time as number;
      for (const n of [1, 2, 3])
        await store.addBlob(vault.id, { id: id(n), size: 100 * n, storedAt: n === 3 ? time + 1 : 5 });
      const aside = (ids: readonly Uint8Array[], condemnedAt: number, until: number) =>
        store.setBlobsAside(vault.id, { ids, condemnedAt, now: time + 9, until }, act("delete-blobs", time));
      const there = async (): Promise<readonly number[]> =>
        (await store.blobs(vault.id, new Uint8Array(0), 9)).map(({ size }) => size);
      expect(await aside([id(1), id(3), id(8)], 1, time - 1)).toEqual([id(1), id(3)]);
      expect(await aside([id(1)], 2, time)).toEqual([id(1)]);
      expect(await aside([id(1), id(2), id(3), id(8)], 1, time)).toEqual([id(3)]);
      expect([await there(), (await store.vault(vault.id))?.blobBytes]).toEqual([[300], 300]);
      expect(await store.blob(vault.id, id(1))).toBeUndefined();
      expect(await store.blobsAside(time + 8, 9)).toEqual([]);
      await store.addBlob(vault.id, { id: id(1), size: 100, storedAt: time + 10 });
      expect([await there(), (await store.vault(vault.id))?.blobBytes]).toEqual([[100, 300], 400]);
      expect(await store.blobsAside(time + 9, 9)).toEqual([{ vault: vault.id, id: id(2) }]);
      expect(await store.restoreBlobs(vault.id, act("restore-blobs", time))).toBe(1);
      expect([await there(), (await store.vault(vault.id))?.blobBytes]).toEqual([[100, 200, 300], 600]);
      expect(await store.restoreBlobs(vault.id, act("restore-blobs", time))).toBe(0);
      expect(await aside([id(2)], 1, time)).toEqual([]);
      expect(await store.giveBlobUp(vault.id, id(1))).toBe(false);
      expect(await store.giveBlobUp(vault.id, id(2))).toBe(true);
      expect(await store.blobsAside(time, 9)).toEqual([{ vault: vault.id, id: id(2) }]);
      expect(await store.restoreBlobs(vault.id, act("restore-blobs", time))).toBe(0);
      for (const one of [id(1), id(2)]) await store.eraseBlob(vault.id, one);
      expect(await store.restoreBlobs(vault.id, act("restore-blobs", time))).toBe(0);
      expect([await there(), (await store.vault(vault.id))?.blobBytes]).toEqual([[100, 300], 400]);
    }),
  },
  {
    title: "[SRV21] a challenge serves once, for the device it was made for, until it runs out",
    run: inStore(async ({ store }) => {
      await store.addChallenge(id(1), id(2), 100);
      expect(await store.takeChallenge(id(1), id(3), 50)).toBe(false);
      expect(await store.takeChallenge(id(1), id(2), 100)).toBe(false);
      expect(await store.takeChallenge(id(1), id(2), 99)).toBe(true);
      expect(await store.takeChallenge(id(1), id(2), 50)).toBe(false);
    }),
  },
  {
    title: "[SRV22] a registration token serves as many persons as it says, and none after its time",
    run: inStore(async ({ store }) => {
      await store.addRegistration(id(1), 2, 100);
      expect(await store.takeRegistration(id(1), 100)).toBe(false);
      expect(await store.takeRegistration(id(1), 99)).toBe(true);
      expect(await store.takeRegistration(id(1), 99)).toBe(true);
      expect(await store.takeRegistration(id(1), 99)).toBe(false);
      expect(await store.takeRegistration(id(2), 1)).toBe(false);
    }),
  },
  {
    title:
      "[SRV23] a person has devices; one that was signed out stays so, and is its own person's to sign out",
    run: inStore(async ({ store, vault }) => {
      expect(await store.hasPersons()).toBe(false);
      const { suite } = vault;
      const person = newPerson(suite);
      const account = {
        person: person.id,
        signKey: person.keys.sign,
        boxKey: person.keys.box,
        created: 5,
        closed: undefined,
      };
      const row = (device: TestDevice, seen: number) => ({
        device: device.id,
        person: person.id,
        signKey: device.keys.sign,
        added: 5,
        seen,
        revoked: undefined,
        closed: undefined,
      });
      const [a, b] = [newDevice(suite, person), newDevice(suite, person)];
      await store.admitAccount(account, row(a, 5), act("register", 5));
      await store.admitAccount(account, row(b, 6));
      await store.admitAccount(account, row(a, 9), act("register", 9));
      expect(await store.hasPersons()).toBe(true);
      expect((await store.audit(undefined, 2 ** 40, 9)).map(({ time }) => time)).toEqual([5]);
      expect(await store.person(person.id)).toEqual(account);
      expect(await store.accountDevice(a.id)).toEqual(row(a, 9));
      expect(await store.revokeDevice(id(9), a.id, act("sign-out", 10))).toBe(false);
      expect(await store.revokeDevice(person.id, a.id, act("sign-out", 10))).toBe(true);
      await store.admitAccount(account, row(a, 11));
      expect((await store.accountDevice(a.id))?.revoked).toBe(10);
      expect((await store.accountDevices(person.id)).map(({ revoked }) => revoked).sort()).toEqual([
        10,
        undefined,
      ]);
    }),
  },
  {
    title: "[SRV40] a rendezvous slot takes one object once, until it runs out or is called off",
    run: inStore(async ({ store }) => {
      const [code, by] = [id(1).subarray(0, 16), id(2)];
      expect(await store.putSlot(code, 1, id(3), 50)).toBe("absent");
      expect(await store.reserve(code, by, 100)).toBe(true);
      expect(await store.reserve(code, id(4), 100)).toBe(false);
      expect(await store.slot(code, 1, 50)).toBeUndefined();
      expect(await store.putSlot(code, 1, id(3), 50)).toBe("stored");
      expect(await store.putSlot(code, 1, id(3), 50)).toBe("stored");
      expect(await store.putSlot(code, 1, id(5), 50)).toBe("used");
      expect(await store.slot(code, 1, 50)).toEqual(id(3));
      expect(await store.slot(code, 2, 50)).toBeUndefined();
      expect(await store.slot(code, 1, 100)).toBe("absent");
      expect(await store.putSlot(code, 2, id(5), 100)).toBe("absent");
      expect(await store.cancel(code, id(4))).toBe(false);
      expect(await store.slot(code, 1, 50)).toEqual(id(3));
      expect(await store.cancel(code, by)).toBe(true);
      expect(await store.slot(code, 1, 50)).toBe("absent");
    }),
  },
  {
    title: "[SRV41] of each device the newest note is kept",
    run: inStore(async ({ store, vault }) => {
      await foundIn(store, vault);
      await store.putNote(vault.id, { device: id(2), time: 1, note: id(5) });
      await store.putNote(vault.id, { device: id(1), time: 2, note: id(6) });
      await store.putNote(vault.id, { device: id(2), time: 3, note: id(7) });
      expect(await store.notes(vault.id)).toEqual([
        { device: id(1), time: 2, note: id(6) },
        { device: id(2), time: 3, note: id(7) },
      ]);
    }),
  },
  {
    title: "[SRV24] what ran out is swept away, and nothing else",
    run: inStore(async ({ store, vault }) => {
      await foundIn(store, vault);
      await store.addChallenge(id(1), id(2), 100);
      await store.addChallenge(id(3), id(2), 101);
      await store.sweep(100);
      expect(await store.takeChallenge(id(1), id(2), 50)).toBe(false);
      expect(await store.takeChallenge(id(3), id(2), 50)).toBe(true);
      expect(await store.audit(vault.id, 2 ** 40, 9)).toHaveLength(1);
      await store.sweep(NOON + 401 * 86_400_000);
      expect(await store.audit(vault.id, 2 ** 40, 9)).toHaveLength(0);
      await store.check();
    }),
  },
  ...operatorCases,
];
