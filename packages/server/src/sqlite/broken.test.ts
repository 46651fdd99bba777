/** The store's contract sees what it is for: each of these breaks one promise of the real store. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstFailing } from "@tidelock/testkit/suites/cases";
import { type CreateLogStore, logStoreCases } from "@tidelock/testkit/suites/log-store-contract";
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

const broken: Readonly<Record<string, readonly [(store: LogStore) => LogStore, string]>> = {
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

test("the suite sees every broken store", async () => {
  for (const [name, [spoil, title]] of Object.entries(broken)) {
    const failing = await firstFailing(logStoreCases, spoiled(spoil));
    expect([name, failing]).toEqual([name, expect.stringContaining(title)]);
  }
});
