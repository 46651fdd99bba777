import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat } from "@tidelock/core/bytes/bytes";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { act, foundIn, planned } from "@tidelock/testkit/suites/log-store-kit";
import { TestVault } from "@tidelock/testkit/vault-people";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStore } from "../sqlite/store.ts";
import { ASIDE, type LogStore } from "../store.ts";
import type { BlobBytes } from "./bytes.ts";
import { openDiskBlobs } from "./disk.ts";
import { eraseAside } from "./erase.ts";
import { Turns } from "./turns.ts";

const bytes = new Uint8Array(1000).fill(7);
const id = new Uint8Array(createHash("sha256").update(bytes).digest());
const turns = new Turns();
let folder: string;
let store: LogStore;
let blobs: BlobBytes;
let vault: TestVault;
/** When the blob was set aside. */
let time: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-erase-"));
  store = await openSqliteStore(join(folder, "server.db"), { writer: "inline" });
  blobs = await openDiskBlobs(join(folder, "blobs"), (n) => randomBytes(n));
  vault = new TestVault(await createPortableSuite());
  await foundIn(store, vault);
  await store.commit([await planned(store, vault, vault.founder, [vault.first()])]);
  time = (await store.entries(vault.id, 0, { frames: 9, bytes: 1e6 }))[0]?.time as number;
  await put();
  const asked = { ids: [id], condemnedAt: 1, now: time, until: time };
  expect(await store.setBlobsAside(vault.id, asked, act("delete-blobs", time))).toEqual([]);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function put(between: () => Promise<void> = async () => undefined): Promise<void> {
  await blobs.put(vault.id, id, one());
  await between();
  await store.addBlob(vault.id, { id, size: bytes.length, storedAt: time });
}

async function* one(): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** Whether the row and the bytes are there. */
async function there(): Promise<readonly boolean[]> {
  const row = await store.blob(vault.id, id);
  const found = await blobs.get(vault.id, id, 0, bytes.length);
  if (found !== undefined) for await (const part of found) expect(part.length).toBe(bytes.length);
  return [row !== undefined, found !== undefined];
}

const erase = (now: number): Promise<void> => eraseAside({ store, blobs, turns }, now);

test("[SRV95] what was set aside is erased after its 7 days, bytes and row", async () => {
  await erase(time + ASIDE - 1);
  expect(await store.blobsAside(time, 9)).toHaveLength(1);
  await erase(time + ASIDE);
  expect(await there()).toEqual([false, false]);
  expect(await store.blobsAside(time + ASIDE, 9)).toEqual([]);
});

test("[SRV95] one that is put again at that very moment is there, with its bytes", async () => {
  let erased: Promise<void> | undefined;
  await turns.take(concat(vault.id, id), () =>
    put(async () => {
      erased = erase(time + ASIDE);
      // It has found the blob, and would go on now.
      await store.blobsAside(time + ASIDE, 9);
    }),
  );
  await erased;
  expect(await there()).toEqual([true, true]);
});

test("[SRV95] erasing that was cut short goes on, and takes nothing that was put since", async () => {
  await store.giveBlobUp(vault.id, id);
  expect(await store.restoreBlobs(vault.id, act("restore-blobs", time))).toBe(0);
  await put();
  await erase(time + ASIDE);
  expect(await there()).toEqual([true, true]);
  const asked = { ids: [id], condemnedAt: 1, now: time, until: time };
  await store.setBlobsAside(vault.id, asked, act("delete-blobs", time));
  await store.giveBlobUp(vault.id, id);
  await blobs.remove(vault.id, id);
  await erase(time + ASIDE);
  expect(await store.blobsAside(time + ASIDE, 9)).toEqual([]);
});
