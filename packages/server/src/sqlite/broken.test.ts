/** The store's contract sees what it is for: each of these breaks one promise of the real store. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstFailing } from "@tidelock/testkit/suites/cases";
import { logStoreCases } from "@tidelock/testkit/suites/log-store-contract";
import type { CreateLogStore } from "@tidelock/testkit/suites/log-store-kit";
import { operatorCases } from "@tidelock/testkit/suites/log-store-operator";
import { expect, test } from "vitest";
import type { LogStore } from "../store.ts";
import { openSqliteStore } from "./store.ts";

function spoiled(spoil: (store: LogStore) => LogStore): CreateLogStore {
  return async () => {
    const folders = [mkdtempSync(join(tmpdir(), "tidelock-server-"))];
    const store = await openSqliteStore(join(folders[0] as string, "server.db"), { writer: "inline" });
    return {
      store: spoil(store),
      crash: async () => {
        const copy = mkdtempSync(join(tmpdir(), "tidelock-server-"));
        folders.push(copy);
        cpSync(folders[0] as string, copy, { recursive: true });
        return openSqliteStore(join(copy, "server.db"), { writer: "inline" });
      },
      dispose: async () => {
        await store.close();
        for (const one of folders) rmSync(one, { recursive: true, force: true });
      },
    };
  };
}

type Broken = Readonly<Record<string, readonly [(store: LogStore) => LogStore, string]>>;

const broken: Broken = {
  "answers before it is durable": [
    (store) => ({
      ...store,
      commit: async (writes) => {
        setTimeout(() => void store.commit(writes).catch(() => undefined), 30);
        return writes.map(() => true);
      },
    }),
    "what a commit answered is there after a crash",
  ],
  "says yes to every write": [
    (store) => ({
      ...store,
      commit: async (writes) => (await store.commit(writes)).map(() => true),
    }),
    "of any number of writes planned on one head one is taken",
  ],
  "keeps the head and loses what was used": [
    (store) => ({ ...store, commit: (writes) => store.commit(writes.map((one) => ({ ...one, used: [] }))) }),
    "what a commit answered is there after a crash",
  ],
  "gives more than was asked for": [
    (store) => ({
      ...store,
      entries: (vault, after) => store.entries(vault, after, { frames: 99, bytes: 1 << 20 }),
    }),
    "a read is bounded",
  ],
  "founds anew": [
    (store) => ({
      ...store,
      createVault: async (...args) => {
        await store.createVault(...args);
        return "created";
      },
    }),
    "a vault is founded once",
  ],
  "takes a challenge again": [
    (store) => ({ ...store, takeChallenge: async () => true }),
    "a challenge serves once",
  ],
  "admits with any token": [
    (store) => ({ ...store, takeRegistration: async () => true }),
    "a registration token serves as many persons",
  ],
  "lets a device back in": [
    (store) => ({ ...store, revokeDevice: async () => true }),
    "a person has devices",
  ],
  "counts a blob each time": [
    (store) => ({
      ...store,
      vault: async (id) => {
        const row = await store.vault(id);
        return row === undefined ? undefined : { ...row, blobBytes: row.blobBytes * 2 };
      },
    }),
    "the index of blobs counts each once",
  ],
};

const brokenForOperators: Broken = {
  "keeps the lower version of an entitlement": [
    (store) => ({ ...store, entitlement: async () => undefined }),
    "of an entitlement the highest version counts",
  ],
  "makes an edge anew each time": [
    (store) => ({
      ...store,
      addEdge: async (edge, audit) => {
        await store.dropEdge(edge, audit);
        return store.addEdge(edge, audit);
      },
    }),
    "an edge is there once",
  ],
  "lets an owner take back what the operator deleted": [
    (store) => ({
      ...store,
      restoreVault: (vault, _by, since, audit) => store.restoreVault(vault, "operator", since, audit),
    }),
    "a deleted vault is kept for its time",
  ],
  "closes an account and leaves its vaults": [
    (store) => ({
      ...store,
      closePerson: async (person, deletion, audit) => {
        const done = await store.closePerson(person, deletion, audit);
        const deleted = await store.deletedVaults(deletion.at, 9);
        for (const vault of deleted) await store.restoreVault(vault, "operator", 0, audit);
        return done;
      },
    }),
    "a closed account takes its vaults along",
  ],
  "tells of one vault in all": [
    (store) => ({ ...store, audit: (_vault, before, most) => store.audit(undefined, before, most) }),
    "a deleted vault is kept for its time",
  ],
};

test.each(Object.entries(broken))("the suite sees a store that %s", async (_name, [spoil, title]) => {
  expect(await firstFailing(logStoreCases, spoiled(spoil))).toContain(title);
});

test.each(Object.entries(brokenForOperators))(
  "the suite sees a store that %s",
  async (_name, [spoil, title]) => {
    expect(await firstFailing(operatorCases, spoiled(spoil))).toContain(title);
  },
);
