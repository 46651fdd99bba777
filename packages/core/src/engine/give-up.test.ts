/** What room on a remote is given back, and when: real kinds and packs, days in virtual time. */
import { expect, test } from "vitest";
import { ContentKit, DAY } from "../../../testkit/src/content-kit.ts";
import type { Device } from "../../../testkit/src/vault-kit.ts";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { Stream } from "../../../testkit/src/world/random.ts";
import { toHex } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { standingOf } from "../log/locations.ts";

function newKit(): ContentKit {
  const draws = new Stream(7n, "give-up");
  return new ContentKit({ suite: createFastSuite((n) => draws.bytes(n)) });
}

const bytes = (n: number): Uint8Array => new Uint8Array(20_000).fill(n);
const names = (kit: ContentKit): readonly string[] => [...kit.log.blobs.keys()].sort();
const pass = async (kit: ContentKit, device: Device): Promise<string> => {
  const result = await kit.giveUp(device);
  return result.kind === "ok" ? `${result.condemned} condemned, ${result.deleted} deleted` : result.kind;
};

test("[CNT11] a pack that nothing names is condemned after 7 days of log time and deleted 72 hours later", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  kit.put(a, "kept", bytes(1));
  await kit.converge(a, b);
  const before = names(kit);
  const { packs } = kit.pack(a, bytes(2));
  kit.submit(a, packs);
  await kit.converge(a, b);
  expect(names(kit).length).toBe(before.length + 1);
  kit.later(7 * DAY - 60_000);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  kit.later(120_000);
  expect(await pass(kit, a)).toBe("1 condemned, 0 deleted");
  await kit.converge(a, b);
  expect(await pass(kit, b)).toBe("0 condemned, 0 deleted");
  kit.later(limits.blobGrace - 60_000);
  expect(await pass(kit, b)).toBe("0 condemned, 0 deleted");
  kit.later(120_000);
  expect(await pass(kit, b)).toBe("0 condemned, 1 deleted");
  expect(names(kit)).toEqual(before);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  expect(await kit.read(b, kit.child(b, "kept") as never)).toEqual(bytes(1));
});

test("[CNT12] what was uploaded and never recorded goes after 7 days by the remote's clock", async () => {
  const kit = newKit();
  const a = await kit.found("a");
  const stray = kit.suite.random(100) as never;
  await kit.remote().putBlob(kit.suite.sha256(stray), stray);
  kit.later(7 * DAY - 60_000);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  kit.later(120_000);
  expect(await pass(kit, a)).toBe("1 condemned, 0 deleted");
  await kit.sync(a);
  kit.later(limits.blobGrace);
  expect(await pass(kit, a)).toBe("0 condemned, 1 deleted");
  expect(kit.log.blobs.has(toHex(kit.suite.sha256(stray)))).toBe(false);
});

test("[CNT13] a device that was away is waited for: what it stored may be named by what it has not sent", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  await kit.converge(a, b);
  const { content, packs } = kit.pack(b, bytes(3));
  kit.submit(b, packs);
  await kit.converge(b, a);
  kit.submit(b, [], kit.creation(b, "late", content));
  kit.later(30 * DAY);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  await kit.converge(b, a);
  expect(await kit.read(a, kit.child(a, "late") as never)).toEqual(bytes(3));
  kit.later(8 * DAY);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
});

test("[CNT13] one that was heard since, or is out, is not", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  await kit.converge(a, b);
  for (const n of [4, 5]) {
    kit.submit(b, kit.pack(b, bytes(n)).packs);
    await kit.converge(b, a);
    kit.later(8 * DAY);
    expect(await pass(kit, a)).toBe(n === 4 ? "0 condemned, 0 deleted" : "0 condemned, 1 deleted");
    if (n === 5) {
      const index = b.engine.device as number;
      const since = a.replica.cursor().applied;
      a.engine.write((tx) => a.replica.submitAct(tx, { kind: "revoke-device", device: index, since }));
      await kit.sync(a);
    } else {
      kit.put(a, "news", bytes(40));
      await kit.converge(a, b);
      kit.put(b, "here", bytes(41));
      await kit.converge(b, a);
    }
    expect(await pass(kit, a)).toBe("1 condemned, 0 deleted");
    await kit.converge(a, b);
  }
});

test("[CNT13] nor is one that goes on storing what nothing names yet: a long upload names all of it at its end", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  for (let day = 0; day < 10; day++) {
    kit.submit(b, kit.pack(b, bytes(50 + day)).packs);
    await kit.converge(b, a);
    kit.later(DAY);
    expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  }
  kit.later(DAY);
  // Broken off. It was heard on the ninth day: that is the end of the first two's time, and not of the others'.
  expect(await pass(kit, a)).toBe("2 condemned, 0 deleted");
  await kit.converge(a, b);
  kit.put(b, "heard", bytes(70));
  await kit.converge(b, a);
  expect(await pass(kit, a)).toBe("3 condemned, 0 deleted");
});

test("[CNT13] nothing is given up by a device that has something to send, or that may not write", async () => {
  const kit = newKit();
  const a = await kit.found("a");
  kit.submit(a, kit.pack(a, bytes(6)).packs);
  await kit.sync(a);
  kit.later(8 * DAY);
  a.faults.hooks = {
    before: ({ op }) => (op === "append" ? { kind: "unreachable", why: "away" } : undefined),
  };
  kit.put(a, "waits", bytes(7));
  expect(await pass(kit, a)).toBe("not-now");
  a.faults.hooks = {};
  expect(await pass(kit, a)).toBe("1 condemned, 0 deleted");
});

test("[CNT14] lists of envelopes stay, also where somebody condemned one", async () => {
  const kit = newKit();
  const a = await kit.found("a");
  const before = names(kit);
  expect(before.length).toBe(1);
  const list = kit.log.blobs.keys().next().value as string;
  kit.later(30 * DAY);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  const name = Uint8Array.from(Buffer.from(list, "hex"));
  kit.condemn(a, name);
  await kit.sync(a);
  expect(a.replica.read((tx) => standingOf(tx, name)).kind).toBe("gone");
  kit.later(30 * DAY);
  expect(await pass(kit, a)).toBe("0 condemned, 0 deleted");
  expect(names(kit)).toEqual(before);
  const b = await kit.join("b");
  await kit.converge(a, b);
});
