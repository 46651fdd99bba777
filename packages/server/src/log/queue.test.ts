import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import { foundIn } from "@tidelock/testkit/suites/log-store-kit";
import { NOON, type TestDevice, TestVault, textOf } from "@tidelock/testkit/vault-people";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { noTerms } from "../auth/terms.ts";
import { Problem } from "../problem.ts";
import { openSqliteStore } from "../sqlite/store.ts";
import type { LogStore } from "../store.ts";
import { type Appended, parseSent } from "./plan.ts";
import { AppendQueue, type QueueOptions } from "./queue.ts";

let suite: Suite;
let folder: string;
let store: LogStore;
beforeAll(async () => {
  suite = await createPortableSuite();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
  store = await openSqliteStore(join(folder, "server.db"), { writer: "inline" });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function newQueue(over: Partial<QueueOptions> = {}): AppendQueue {
  const clock = { now: () => NOON, mono: () => 0 };
  const quota = Number.MAX_SAFE_INTEGER;
  return new AppendQueue({ suite, quota, store, clock, placed: () => undefined, ...over });
}

async function newVault(): Promise<TestVault> {
  const vault = new TestVault(suite);
  await foundIn(store, vault);
  return vault;
}

function send(queue: AppendQueue, vault: TestVault, ...frames: Uint8Array[]): Promise<Appended> {
  const { id, person } = vault.founder as TestDevice;
  return queue.append(vault.id, {
    sender: { device: id, person: person.id, address: "loopback" },
    terms: noTerms,
    frames: parseSent(suite, frames) ?? [],
  });
}

const firstOf = (one: Appended): unknown => (one.kind === "placed" ? one.first : one.code);
const ALL = { frames: 1024, bytes: 4 << 20 };

test("[P4] [SRV5] what comes while a commit is under way shares the next one, each vault in its own order", async () => {
  const vaults = [await newVault(), await newVault(), await newVault()];
  let commits = 0;
  const counted = {
    ...store,
    commit: (writes: Parameters<LogStore["commit"]>[0]) => {
      commits++;
      return store.commit(writes);
    },
  };
  const heads: number[] = [];
  const queue = newQueue({ store: counted, placed: ({ head }) => heads.push(head.seq) });
  const sends = Array.from({ length: 40 }, (_, n) =>
    vaults.map((vault) => send(queue, vault, vault.data(vault.founder, 0, n + 1, `${n}`))),
  ).flat();
  const firsts = (await Promise.all(sends)).map(firstOf);
  expect(firsts).toEqual(Array.from({ length: 120 }, (_, i) => Math.floor(i / 3) + 1));
  expect(commits).toBe(3);
  expect(heads).toEqual([40, 40, 40]);
  for (const vault of vaults) {
    const entries = await store.entries(vault.id, 0, ALL);
    expect(entries.map(({ frame }) => textOf(frame))).toEqual(Array.from({ length: 40 }, (_, n) => `${n}`));
  }
});

test("[P4] [SRV2] [SRV5] two processes on one store take turns, and every append has one place", async () => {
  const vault = await newVault();
  const queues = [newQueue(), newQueue()];
  const frames = Array.from({ length: 30 }, (_, n) => vault.data(vault.founder, 0, n + 1, `${n}`));
  // Each sends everything: what the other was faster with is known there.
  const sent = await Promise.all(
    queues.map(async (queue) => {
      const firsts: unknown[] = [];
      for (const frame of frames) firsts.push(firstOf(await send(queue, vault, frame)));
      return firsts;
    }),
  );
  const dense = Array.from({ length: 30 }, (_, n) => n + 1);
  expect(sent).toEqual([dense, dense]);
  expect((await store.vault(vault.id))?.head.seq).toBe(30);
});

test("[P1] [SRV2] nobody is told before it is durable, and a failed commit tells nobody that it was refused", async () => {
  const vault = await newVault();
  let told = 0;
  const broken = { ...store, commit: () => Promise.reject(new Error("the disk failed")) };
  const queue = newQueue({ store: broken, placed: () => told++ });
  const failure = await send(queue, vault, vault.first()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  expect(failure).not.toBeInstanceOf(Problem);
  expect(told).toBe(0);
  expect(firstOf(await send(newQueue(), vault, vault.first()))).toBe(1);
});

test("[SRV6] more than may wait is refused as busy, and nothing of it is placed", async () => {
  const vault = await newVault();
  const queue = newQueue({ waitingBytes: 1000 });
  const data = (n: number): Uint8Array => vault.data(vault.founder, 0, n, "x".repeat(500));
  const [first, second] = await Promise.allSettled([
    send(queue, vault, data(1)),
    send(queue, vault, data(2)),
  ]);
  expect(first.status).toBe("fulfilled");
  expect(second.status === "rejected" && second.reason).toMatchObject({ code: "busy", retryAfterMs: 1000 });
  expect(firstOf(await send(queue, vault, data(2)))).toBe(2);
});

test("[SRV6] a stop answers what was taken, and takes nothing more", async () => {
  const vault = await newVault();
  const queue = newQueue();
  const taken = send(queue, vault, vault.first());
  const closed = queue.close();
  await expect(send(queue, vault, vault.data(vault.founder, 0, 2, "late"))).rejects.toMatchObject({
    code: "busy",
  });
  await closed;
  expect(firstOf(await taken)).toBe(1);
});

test("[SRV5] one commit takes at most 256 frames of a vault", async () => {
  const vault = await newVault();
  const sizes: number[] = [];
  const counted = {
    ...store,
    commit: (writes: Parameters<LogStore["commit"]>[0]) => {
      sizes.push(writes[0]?.entries.length ?? 0);
      return store.commit(writes);
    },
  };
  const queue = newQueue({ store: counted });
  const run = (from: number, count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => vault.data(vault.founder, 0, from + i, "x"));
  await Promise.all([
    send(queue, vault, ...run(1, 200)),
    send(queue, vault, ...run(201, 100)),
    send(queue, vault, ...run(301, 100)),
  ]);
  expect(sizes).toEqual([200, 200]);
});
