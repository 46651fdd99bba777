/** What the cases of the server's store share: a vault to put into it, and writes as the server plans them. */
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { founderRoster } from "@tidelock/core/vault/roster";
import { noTerms } from "@tidelock/server/auth/terms";
import { accessRow } from "@tidelock/server/log/access";
import { parseSent, planAppends } from "@tidelock/server/log/plan";
import { Rosters } from "@tidelock/server/log/rosters";
import type { AuditRow, LogStore, VaultWrite } from "@tidelock/server/store";
import { NOON, type TestDevice, TestVault } from "../vault-people.ts";

export interface LogStoreFixture {
  readonly store: LogStore;
  /** Leaves the store as it is, without closing it, and opens what is durable. */
  readonly crash: () => Promise<LogStore>;
  readonly dispose: () => Promise<void>;
}

export type CreateLogStore = () => Promise<LogStoreFixture>;

export interface Scene extends LogStoreFixture {
  readonly vault: TestVault;
  readonly device: TestDevice;
}

export function inStore(work: (scene: Scene) => Promise<void>): (create: CreateLogStore) => Promise<void> {
  return async (create) => {
    const suite = await createPortableSuite();
    const fixture = await create();
    const vault = new TestVault(suite);
    try {
      await work({ ...fixture, vault, device: vault.founder });
    } finally {
      await fixture.dispose();
    }
  };
}

export async function foundIn(store: LogStore, vault: TestVault): Promise<"created" | "same"> {
  const { suite, genesis, founder, id } = vault;
  const roster = founderRoster(suite, genesis.owner, genesis.certificate.device);
  return store.createVault(
    {
      vault: id,
      genesis: genesis.bytes,
      owner: founder.person.id,
      created: NOON,
      head: { seq: 0, hash: id, members: id, time: NOON },
      logBytes: 0,
      blobBytes: 0,
      deleted: undefined,
    },
    { person: founder.person.id, level: "owner", since: 0, ended: undefined },
    accessRow(roster, 0),
    { time: NOON, device: founder.id, action: "found", object: undefined, address: "loopback" },
  );
}

/** As the server plans it. */
export async function planned(
  store: LogStore,
  vault: TestVault,
  device: TestDevice,
  frames: readonly Uint8Array[],
): Promise<VaultWrite> {
  const { suite, id } = vault;
  const sender = { device: device.id, person: device.person.id, address: "loopback" } as const;
  const query = { vault: id, devices: [sender.device], persons: [sender.person], placed: [] };
  const state = await store.state(query);
  const sent = parseSent(suite, frames);
  if (state === undefined || sent === null) throw new Error("no vault, or no frames");
  const roster = await new Rosters(suite, store).at(state.row);
  const rules = { suite, quota: Number.MAX_SAFE_INTEGER };
  const { write, answers } = planAppends(
    rules,
    state,
    roster,
    [{ sender, terms: noTerms, frames: sent }],
    NOON,
  );
  if (write === undefined) throw new Error(JSON.stringify(answers));
  return write;
}

/** Of the operator, and of nothing in particular. */
export const act = (action: string, time: number): AuditRow => ({
  time,
  device: undefined,
  action,
  object: undefined,
  address: "unknown",
});
export const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);
