/** Whole devices at a server that refuses them: each reason has its own words there, and nothing is lost. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { MemberAct } from "@tidelock/core/engine/acts";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { beginReplica, createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import { deriveStatus, type Status } from "@tidelock/core/engine/status";
import type { Kind } from "@tidelock/core/log/kind";
import type { Remote } from "@tidelock/core/ports";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { joinBytes, NO_INVITE } from "@tidelock/core/vault/records";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { realClock, realScheduler, ServerRig } from "@tidelock/testkit/server-rig";
import { notesKind } from "@tidelock/testkit/vault-kit";
import { newDevice, newPerson, type TestDevice } from "@tidelock/testkit/vault-people";
import { afterEach, beforeEach, expect, test } from "vitest";

let rig: ServerRig;
/** Whole devices, one after the other. */
const SLOW = { timeout: 60_000 };
const stops: (() => void)[] = [];
beforeEach(async () => {
  rig = await ServerRig.start();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await rig.dispose();
});

interface Whole {
  readonly device: TestDevice;
  readonly replica: Replica;
  readonly engine: ReturnType<typeof createEngine>;
  readonly remote: Remote;
  /** Resolves when the server has refused a read. */
  readonly denied: Promise<void>;
}

function open(genesis: Genesis, device: TestDevice): Whole {
  const { suite } = rig;
  const kinds = [notesKind() as Kind];
  const point = (): void => undefined;
  const store = new MapReplicaStore(replicaSpaces(kinds));
  const localKey = new Uint8Array(32).fill(7);
  const replica = createReplica(
    { suite, clock: realClock, point },
    { store, genesis, keys: device.keys, localKey, kinds },
  );
  let heard = (): void => undefined;
  const denied = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const real = rig.remote(genesis.vault, device);
  const remote: Remote = {
    ...real,
    read: async (after, want) => {
      const answer = await real.read(after, want);
      if (answer.kind === "denied") setImmediate(heard);
      return answer;
    },
  };
  const env = { suite, clock: realClock, scheduler: realScheduler, log: { event: () => undefined }, point };
  const engine = createEngine({ env, replica, remote });
  stops.push(() => engine.sync?.dispatch("stop"));
  return { device, replica, engine, remote, denied };
}

async function founded(device = newDevice(rig.suite, newPerson(rig.suite))): Promise<Whole> {
  const whole = open(makeGenesis(rig.suite, realClock, device.person.keys, device.keys), device);
  foundVault(rig.suite, realClock, whole.replica, { vault: "home", device: "first" });
  expect(await whole.engine.syncNow()).toMatchObject({ kind: "live" });
  return whole;
}

async function joined({ replica, device }: Whole): Promise<Whole> {
  const { suite } = rig;
  const { person } = device;
  const sister = newDevice(suite, person);
  const remote = rig.remote(replica.vault, sister);
  const whole = open(await findVault(suite, remote, person.keys, replica.vault), sister);
  await joinVault(suite, realClock, whole.replica, remote, person.keys, "second", realScheduler);
  return whole;
}

/** Another person in the vault, an editor. */
async function guestIn(owner: Whole, guest: TestDevice): Promise<Whole> {
  const { replica } = owner;
  const { vault, genesis } = replica;
  const joined = joinBytes(vault, guest.person.keys, guest.keys, NO_INVITE);
  const act: MemberAct = {
    kind: "add-member",
    certificates: [guest.certificate],
    joinSignature: rig.suite.sign(joined, guest.keys.signSecret),
    role: "editor",
    invite: NO_INVITE,
    name: "guest",
    deviceName: "guest's",
  };
  replica.write((tx) => replica.submitAct(tx, act));
  expect(await owner.engine.syncNow()).toMatchObject({ kind: "live" });
  const whole = open(genesis, guest);
  whole.replica.write((tx) => beginReplica(whole.replica, tx, true));
  return whole;
}

function write({ engine }: Whole, note: string): void {
  engine.write((tx) => engine.submit(tx, { frames: [{ sections: new Map([[2, encodeUtf8(note)]]) }] }));
}

const notes = ({ replica }: Whole): number =>
  replica.read((tx) => tx.scan("x.note", new Uint8Array(0), undefined)).length;

async function told(whole: Whole): Promise<Pick<Status, "code" | "label" | "detail" | "exit">> {
  await whole.engine.syncNow();
  const { code, label, detail, exit } = deriveStatus(whole.engine.facts());
  return { code, label, detail, exit };
}

const text = toBase64Url;
let version = 0;
const entitle = async (subject: Uint8Array, state: "active" | "lapsed", seats?: number): Promise<void> => {
  const words = { version: ++version, plans: ["team"], state, seats };
  expect((await rig.admin("PUT", `/entitlements/${text(subject)}`, words)).status).toBe(200);
};

function newGroup() {
  const id = rig.suite.random(16);
  const edge = (method: string) => (kind: "persons" | "devices" | "vaults", of: Uint8Array) =>
    rig.admin(method, `/groups/${text(id)}/${kind}/${text(of)}`);
  return { id, put: edge("PUT"), drop: edge("DELETE") };
}

test(
  "[SRV74] T-16, T-11 an entitlement that is withdrawn: Upgrade, before anything is sent and after; reading goes on",
  SLOW,
  async () => {
    const first = await founded();
    const second = await joined(first);
    expect(await told(second)).toMatchObject({ label: "Live" });
    await entitle(first.device.person.id, "lapsed");
    const upgrade = {
      code: "upgrade",
      label: "Upgrade",
      exit: 11,
      detail: expect.stringContaining("No plan"),
    };
    expect(await told(second)).toMatchObject(upgrade);
    write(second, "waits");
    expect(await told(second)).toMatchObject(upgrade);
    expect(await second.engine.syncNow()).toMatchObject({ kind: "stopped", code: "upgrade" });
    expect(second.replica.waiting().pending).toBe(1);
    // A device that comes now reads everything there is, by an admission that is never held up.
    const third = await joined(first);
    expect(await told(third)).toMatchObject(upgrade);
    await entitle(first.device.person.id, "active");
    expect(await told(second)).toMatchObject({ label: "Live" });
    await told(third);
    expect([notes(second), notes(third)]).toEqual([1, 1]);
  },
);

test(
  "[SRV74] [SRV82] T-12, T-51 who has no plan syncs a shared vault by a seat and sees Upgrade in his own; with a plan he needs no seat",
  SLOW,
  async () => {
    const owner = await founded();
    const guest = newDevice(rig.suite, newPerson(rig.suite));
    const own = await founded(guest);
    await entitle(guest.person.id, "lapsed");
    await entitle(owner.device.person.id, "active");
    const shared = await guestIn(owner, guest);
    expect((await told(shared)).label).toBe("Upgrade");

    const group = newGroup();
    await entitle(group.id, "active", 1);
    for (const { id } of [guest.person, owner.device.person]) await group.put("persons", id);
    await group.put("vaults", owner.replica.vault);
    write(shared, "by a seat");
    expect([(await told(shared)).label, (await told(own)).label]).toEqual(["Live", "Upgrade"]);
    // The one seat is the owner's now, who has a plan of his own and would not need it.
    await group.drop("persons", guest.person.id);
    expect(await told(shared)).toMatchObject({ label: "No access" });
    await group.put("persons", guest.person.id);
    expect([(await told(shared)).label, (await told(owner)).label]).toEqual(["Upgrade", "Live"]);
    await entitle(guest.person.id, "active");
    write(shared, "by his own plan");
    expect([(await told(shared)).label, (await told(own)).label]).toEqual(["Live", "Live"]);
    await told(owner);
    expect(notes(owner)).toBe(2);
  },
);

test(
  "[SRV74] [SRV87] whom the owner of a closed account had let into his vault is told that it was deleted",
  SLOW,
  async () => {
    const owner = await founded();
    const guest = await guestIn(owner, newDevice(rig.suite, newPerson(rig.suite)));
    write(guest, "kept here");
    guest.engine.start();
    await guest.engine.syncNow();
    await rig.admin("DELETE", `/persons/${text(owner.device.person.id)}`);
    await guest.denied;
    expect(deriveStatus(guest.engine.facts())).toMatchObject({
      label: "No access",
      detail: "The vault was deleted on the server",
    });
    expect(notes(guest)).toBe(1);
  },
);

test(
  "[SRV74] M-23 each reason for which a server refuses a device has its own words on the device",
  SLOW,
  async () => {
    const owner = await founded();
    const { vault } = owner.replica;
    const group = newGroup();
    const by = { as: owner.device };
    const noAccess = (words: string) => ({
      code: "no-access",
      label: "No access",
      detail: expect.stringContaining(words),
      exit: 12,
    });
    let second = await joined(owner);
    const cases: readonly [act: () => Promise<unknown>, undo: () => Promise<unknown>, object][] = [
      [
        () => rig.send("DELETE", `/v1/devices/${text(second.device.id)}`, by),
        async () => undefined,
        noAccess("its person signed it out"),
      ],
      [
        () => group.put("vaults", vault),
        () => group.drop("vaults", vault),
        noAccess("Whoever runs the server does not let this device in"),
      ],
      [
        () => {
          const act = { kind: "revoke-device", device: 3, since: 0 } as const;
          owner.replica.write((tx) => owner.replica.submitAct(tx, act));
          return owner.engine.syncNow();
        },
        async () => undefined,
        noAccess("removed from the vault"),
      ],
      [
        () => rig.send("DELETE", `/v1/vaults/${text(vault)}`, by),
        () => rig.send("POST", `/v1/vaults/${text(vault)}/restore`, by),
        noAccess("deleted on the server"),
      ],
      [
        () => rig.admin("DELETE", `/persons/${text(owner.device.person.id)}`),
        async () => undefined,
        { code: "login", label: "Log in", detail: expect.stringContaining("closed"), exit: 10 },
      ],
    ];
    for (const [n, [act, undo, expected]] of cases.entries()) {
      if (n > 0) second = await joined(owner);
      write(second, "not sent");
      await act();
      expect(await told(second)).toMatchObject(expected);
      // What is here stays here.
      expect(second.replica.waiting().pending).toBe(1);
      await undo();
    }
  },
);

test("[SRV74] [SRV85] T-26 a device that is listening is told by itself", SLOW, async () => {
  const owner = await founded();
  const second = await joined(owner);
  second.engine.start();
  await second.engine.syncNow();
  await newGroup().put("vaults", owner.replica.vault);
  await second.denied;
  expect(deriveStatus(second.engine.facts())).toMatchObject({ label: "No access" });
  expect(notes(second)).toBe(0);
});
