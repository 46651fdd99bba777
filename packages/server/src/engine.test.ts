/** Whole devices over a real server: engine, replica, HTTP, SQLite. */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { deviceId, type SecretKeys } from "@tidelock/core/crypto/identity";
import type { MemberAct } from "@tidelock/core/engine/acts";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { beginReplica, createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import type { Kind } from "@tidelock/core/log/kind";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { joinBytes, NO_INVITE } from "@tidelock/core/vault/records";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { realClock, realScheduler, ServerRig } from "@tidelock/testkit/server-rig";
import { notesKind } from "@tidelock/testkit/vault-kit";
import { newDevice, newPerson, type TestDevice, type TestPerson } from "@tidelock/testkit/vault-people";
import { afterEach, beforeEach, expect, test } from "vitest";

let rig: ServerRig;
let person: TestPerson;
const stops: (() => void)[] = [];
beforeEach(async () => {
  rig = await ServerRig.start();
  person = newPerson(rig.suite);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await rig.dispose();
});

interface Whole {
  readonly replica: Replica;
  readonly engine: ReturnType<typeof createEngine>;
  /** How often it has read so far. */
  readonly reads: () => number;
}

function open(
  genesis: Genesis,
  device: TestDevice,
  image?: MapReplicaStore,
): Whole & { store: MapReplicaStore } {
  const { suite } = rig;
  const kinds = [notesKind() as Kind];
  const store = image ?? new MapReplicaStore(replicaSpaces(kinds));
  const point = (): void => undefined;
  const localKey = new Uint8Array(32).fill(7);
  const replica = createReplica(
    { suite, clock: realClock, point },
    { store, genesis, keys: device.keys, localKey, kinds },
  );
  const remote = rig.remote(genesis.vault, device);
  const env = { suite, clock: realClock, scheduler: realScheduler, log: { event: () => undefined }, point };
  let reads = 0;
  const read: typeof remote.read = (after, want) => {
    reads++;
    return remote.read(after, want);
  };
  const engine = createEngine({ env, replica, remote: { ...remote, read } });
  stops.push(() => engine.sync?.dispatch("stop"));
  return { replica, engine, store, reads: () => reads };
}

function found(device: TestDevice): ReturnType<typeof open> {
  const genesis = makeGenesis(rig.suite, realClock, person.keys, device.keys);
  const whole = open(genesis, device);
  foundVault(rig.suite, realClock, whole.replica, { vault: "home", device: "first" });
  return whole;
}

async function join(vault: Uint8Array, device: TestDevice, name: string): Promise<ReturnType<typeof open>> {
  const remote = rig.remote(vault, device);
  const genesis = await findVault(rig.suite, remote, person.keys, vault);
  const whole = open(genesis, device);
  await joinVault(rig.suite, realClock, whole.replica, remote, person.keys, name, realScheduler);
  return whole;
}

function write({ engine }: Whole, note: string): void {
  engine.write((tx) => engine.submit(tx, { frames: [{ sections: new Map([[2, encodeUtf8(note)]]) }] }));
}

function notes({ replica }: Whole): readonly string[] {
  return replica.read((tx) =>
    tx.scan("x.note", new Uint8Array(0), undefined).map(([, note]) => decodeUtf8(note) ?? "?"),
  );
}

test("[SRV70] two devices found, join and sync over the server, and end up the same", async () => {
  const first = found(newDevice(rig.suite, person));
  write(first, "one");
  expect(await first.engine.syncNow()).toMatchObject({ kind: "live" });
  const second = await join(first.replica.vault, newDevice(rig.suite, person), "second");
  write(second, "two");
  write(first, "three");
  for (const one of [second, first, second])
    expect(await one.engine.syncNow()).toMatchObject({ kind: "live" });
  expect(notes(first)).toHaveLength(3);
  expect(notes(second)).toEqual(notes(first));
  expect(second.replica.digest()).toBe(first.replica.digest());
});

test("[ENG21] what a device has sent does not come back to it, and is what others read", async () => {
  const first = found(newDevice(rig.suite, person));
  await first.engine.syncNow();
  const before = first.reads();
  for (const note of ["one", "two", "three"]) write(first, note);
  expect(await first.engine.syncNow()).toMatchObject({ kind: "live", head: 4 });
  // The look that was asked for.
  expect(first.reads() - before).toBe(1);
  const second = await join(first.replica.vault, newDevice(rig.suite, person), "second");
  await first.engine.syncNow();
  expect(notes(second)).toEqual(notes(first));
  expect(second.replica.digest()).toBe(first.replica.digest());
});

test("[SRV60] [SRV70] an edit reaches the other device by a hint, without anybody asking for it", async () => {
  const first = found(newDevice(rig.suite, person));
  await first.engine.syncNow();
  const second = await join(first.replica.vault, newDevice(rig.suite, person), "second");
  second.engine.start();
  first.engine.start();
  await Promise.all([first.engine.syncNow(), second.engine.syncNow()]);
  const arrived = new Promise<void>((resolve) => {
    const end = second.engine.onChange(() => {
      if (notes(second).includes("hello")) {
        end();
        resolve();
      }
    });
  });
  write(first, "hello");
  await arrived;
});

test("[P1] [SRV70] what was synced is there for a new device after the server was stopped and started", async () => {
  const first = found(newDevice(rig.suite, person));
  write(first, "kept");
  await first.engine.syncNow();
  await rig.down();
  write(first, "written meanwhile");
  expect(await first.engine.syncNow()).toMatchObject({ kind: "stopped", code: "unreachable" });
  await rig.up();
  expect(await first.engine.syncNow()).toMatchObject({ kind: "live" });
  const second = await join(first.replica.vault, newDevice(rig.suite, person), "second");
  expect(notes(second)).toEqual(["kept", "written meanwhile"]);
});

test("[SRV71] a device that was restored from a backup stops as `op-reused` and loses nothing", async () => {
  const device = newDevice(rig.suite, person);
  const first = found(device);
  await first.engine.syncNow();
  const image = first.store.image();
  write(first, "after the backup");
  await first.engine.syncNow();
  first.engine.sync?.dispatch("stop");
  const restored = open(first.replica.genesis, device, MapReplicaStore.fromImage(image));
  write(restored, "on the restored one");
  expect(await restored.engine.syncNow()).toMatchObject({ kind: "stopped", code: "op-reused" });
  expect(restored.replica.waiting().pending).toBe(1);
});

test("[SRV10] [SRV13] [SRV15] a person is taken in, writes, and is removed: the server follows the log, the removed learns it from the log", async () => {
  const first = found(newDevice(rig.suite, person));
  write(first, "before");
  await first.engine.syncNow();
  const guest = newDevice(rig.suite, newPerson(rig.suite));
  const { vault, genesis } = first.replica;
  // Before: as if there were no such vault.
  expect(await rig.remote(vault, guest).genesis()).toEqual({ kind: "ok", value: undefined });
  const { suite } = rig;
  const joined = joinBytes(vault, guest.person.keys, guest.keys, NO_INVITE);
  const act: MemberAct = {
    kind: "add-member",
    certificates: [guest.certificate],
    joinSignature: suite.sign(joined, guest.keys.signSecret),
    role: "editor",
    invite: NO_INVITE,
    name: "guest",
    deviceName: "guest's",
  };
  first.replica.write((tx) => first.replica.submitAct(tx, act));
  expect(await first.engine.syncNow()).toMatchObject({ kind: "live" });

  const second = open(genesis, guest);
  second.replica.write((tx) => beginReplica(second.replica, tx, true));
  expect(await second.engine.syncNow()).toMatchObject({ kind: "live" });
  write(second, "by the guest");
  await second.engine.syncNow();
  await first.engine.syncNow();
  expect(notes(first)).toEqual(["before", "by the guest"]);

  first.replica.write((tx) => first.replica.submitAct(tx, { kind: "remove-member", person: 1 }));
  await first.engine.syncNow();
  write(first, "not for the guest");
  await first.engine.syncNow();
  write(second, "too late");
  expect((await second.engine.syncNow()).kind).toBe("stopped");
  expect(second.replica.read((tx) => second.replica.ownStanding(tx))).toBe("removed");
  expect(notes(second)).toEqual(["before", "by the guest"]);
  await first.engine.syncNow();
  expect(notes(first)).toEqual(["before", "by the guest", "not for the guest"]);
});

/** Certificates of a device that joins are made at its admission; any by the same words signs it in. */
test("[SRV20] a second certificate of a device signs in as well as the first", async () => {
  const device = newDevice(rig.suite, person);
  await rig.token(device);
  const again = issueCertificate(rig.suite, person.keys, device.keys as SecretKeys, 1).bytes;
  const proof = await rig.proof({ ...device, certificate: again });
  expect((await rig.send("POST", "/v1/auth/token", { json: proof })).status).toBe(200);
  expect(device.id).toEqual(deviceId(rig.suite, device.keys.sign, device.keys.box));
});
