/** Edits whose content was given up before they were heard: what becomes of them, with real kinds and packs. */
import { describe, expect, test } from "vitest";
import { ContentKit, DAY } from "../../../testkit/src/content-kit.ts";
import type { Device } from "../../../testkit/src/vault-kit.ts";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { Stream } from "../../../testkit/src/world/random.ts";
import { equalBytes } from "../bytes/bytes.ts";
import type { Item } from "../kinds/files/types.ts";
import { cutSizes } from "../log/cut.ts";
import { SPOOL } from "./spool.ts";

function newKit(seed = 1n): ContentKit {
  const draws = new Stream(seed, "lost");
  return new ContentKit({ suite: createFastSuite((n) => draws.bytes(n)) });
}

const bytes = (n: number): Uint8Array => new Uint8Array(20_000).fill(n);
/** xorshift32: many bytes soon, none like the others. */
function noise(n: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(n / 4));
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, n);
}

const there = (kit: ContentKit, device: Device, name: string): Item => kit.child(device, name) as Item;

/** Everything but appends arrives. */
function holdAppends(device: Device): void {
  device.faults.hooks = {
    before: ({ op }) => (op === "append" ? { kind: "unreachable", why: "away" } : undefined),
  };
}

/** Its packs are on the remote, and the log has not heard of them. */
async function uploadOnly(kit: ContentKit, device: Device): Promise<void> {
  holdAppends(device);
  await kit.sync(device);
  device.faults.hooks = {};
}

describe("[CNT15] an edit whose packs were given up while its device was away", () => {
  test("is sealed with them under other names where it was not sealed yet", async () => {
    const kit = newKit();
    const [a, b] = [await kit.found("a"), await kit.join("b")];
    await kit.converge(a, b);
    const id = kit.put(b, "late", bytes(1));
    const before = kit.log.blobs.size;
    await uploadOnly(kit, b);
    expect(kit.log.blobs.size).toBe(before + 1);
    kit.later(8 * DAY);
    expect(await kit.giveUp(a)).toMatchObject({ condemned: 1 });
    await kit.sync(a);
    kit.later(8 * DAY);
    expect(await kit.giveUp(a)).toMatchObject({ deleted: 1 });
    await kit.converge(b, a);
    expect(there(kit, a, "late").id).toEqual(id);
    expect(await kit.read(a, there(kit, a, "late"))).toEqual(bytes(1));
    expect(b.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    expect(b.replica.digest()).toBe(a.replica.digest());
  });

  test("waits again in its place where it was sealed: shown all the while, its verdict open until then", async () => {
    const kit = newKit();
    const [a, b] = [await kit.found("a"), await kit.join("b")];
    await kit.converge(a, b);
    const { content, packs } = kit.pack(b, bytes(2));
    const run = kit.submit(b, packs, kit.creation(b, "late", content), kit.mkdir(b, "folder"));
    // Sealed, and its answer unknown: the same bytes must go out again.
    let tries = 0;
    b.faults.hooks = {
      before: ({ op }) => {
        if (op !== "append") return undefined;
        return tries++ === 0 ? { kind: "unknown" } : { kind: "unreachable", why: "away" };
      },
    };
    await kit.sync(b);
    kit.later(8 * DAY);
    expect(await kit.giveUp(a)).toMatchObject({ condemned: 1 });
    await kit.sync(a);
    let verdict: string | undefined;
    void b.engine.verdict(run).then(({ kind }) => {
      verdict = kind;
    });
    const shown: boolean[] = [];
    b.replica.onChange(() => shown.push(kit.child(b, "late") !== undefined));
    let appends = 0;
    b.faults.hooks = {
      before: ({ op }) => {
        if (op === "append" && ++appends > 1) expect(verdict).toBeUndefined();
        return undefined;
      },
    };
    await kit.converge(b, a);
    expect(shown).not.toContain(false);
    expect(appends).toBeGreaterThan(1);
    expect(verdict).toBe("accepted");
    expect(kit.child(a, "folder")?.kind).toBe("dir");
    expect(await kit.read(a, there(kit, a, "late"))).toEqual(bytes(2));
    expect(b.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    expect(b.replica.digest()).toBe(a.replica.digest());
  });

  test("keeps the packs that a list of chunks relies on", async () => {
    const kit = newKit();
    const [a, b] = [await kit.found("a"), await kit.join("b")];
    await kit.converge(a, b);
    const large = noise(66 * (cutSizes.least + 1));
    const { content, packs } = kit.pack(b, large, true);
    expect(content.body.kind).toBe("manifest");
    const [first, ...rest] = packs;
    kit.submit(b, [first as (typeof packs)[number]]);
    kit.submit(b, rest, kit.creation(b, "large", content));
    await uploadOnly(kit, b);
    kit.later(8 * DAY);
    expect(await kit.giveUp(a)).toMatchObject({ condemned: packs.length });
    await kit.converge(a, b);
    await kit.sync(a);
    const read = await kit.read(a, there(kit, a, "large"));
    // Not byte by byte: they are many.
    expect(typeof read === "string" ? read : equalBytes(read, large)).toBe(true);
  });

  test("survives a restart of its device at any point of this", async () => {
    for (let cut = 0; cut < 4; cut++) {
      const kit = newKit(BigInt(cut + 1));
      const a = await kit.found("a");
      let b = await kit.join("b");
      await kit.converge(a, b);
      kit.put(b, "late", bytes(3));
      await uploadOnly(kit, b);
      kit.later(8 * DAY);
      await kit.giveUp(a);
      await kit.sync(a);
      if (cut === 0) b = kit.restart(b);
      let calls = 0;
      b.faults.hooks = {
        before: () => (++calls > cut * 2 ? { kind: "unreachable", why: "gone" } : undefined),
      };
      await kit.sync(b);
      b = kit.restart(b);
      await kit.converge(b, a);
      expect(await kit.read(a, there(kit, a, "late"))).toEqual(bytes(3));
    }
  });
});

test("[CNT15] bytes stay here until the log has taken what names them", async () => {
  const kit = newKit();
  const a = await kit.found("a");
  const { content, packs } = kit.pack(a, bytes(4));
  const [pack] = packs;
  kit.submit(a, packs, kit.creation(a, "file", content));
  await uploadOnly(kit, a);
  const name = pack?.stored.pack as Uint8Array;
  expect([a.replica.spooledBytes(), a.replica.spooledBlob(name)?.length]).toEqual([0, pack?.bytes.length]);
  await kit.sync(a);
  expect(a.replica.spooledBlob(name)).toBeUndefined();
});

test("[CNT16] an edit that names what is nowhere is not sent: it is kept as refused, and told", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  await kit.converge(a, b);
  const { content, packs } = kit.pack(b, bytes(5));
  kit.submit(b, packs);
  await kit.converge(b, a);
  const run = kit.submit(b, [], kit.creation(b, "late", content));
  kit.later(8 * DAY);
  b.faults.hooks = { before: () => ({ kind: "unreachable", why: "away" }) };
  kit.condemn(a, packs[0]?.stored.pack as Uint8Array);
  await kit.sync(a);
  b.faults.hooks = {};
  const verdict = b.engine.verdict(run);
  await kit.sync(b);
  expect(await verdict).toMatchObject({ kind: "void", reason: "content" });
  expect([kit.parked(b), kit.child(b, "late")]).toEqual([["content"], undefined]);
  // At a person's word it is looked at once more, and not sent either.
  b.engine.write((tx) => b.replica.retry(tx, run));
  await kit.sync(b);
  expect(kit.parked(b)).toEqual(["content"]);
  await kit.converge(a, b);
  expect(b.replica.digest()).toBe(a.replica.digest());
});

test("[CNT16] one whose packs are not here any more is not sent for ever", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  await kit.converge(a, b);
  const { content, packs } = kit.pack(b, bytes(8));
  const alone = kit.pack(b, bytes(9)).packs;
  const run = kit.submit(b, packs, kit.creation(b, "late", content));
  kit.submit(b, alone);
  await uploadOnly(kit, b);
  kit.later(8 * DAY);
  await kit.giveUp(a);
  await kit.sync(a);
  b.engine.write((tx) => {
    for (const { stored } of [...packs, ...alone]) tx.delete(SPOOL, stored.pack);
  });
  await kit.converge(b, a);
  // What brings nothing but the name of a pack that is gone just ends.
  expect([kit.parked(b), b.replica.waiting().pending]).toEqual([["content"], 0]);
  b.engine.write((tx) => b.replica.discard(tx, run));
  expect(b.replica.waiting()).toEqual({ pending: 0, parked: 0 });
});

test("[CNT7] what nothing names is not named anew, but by who has just stored it", async () => {
  const kit = newKit();
  const [a, b] = [await kit.found("a"), await kit.join("b")];
  kit.submit(a, kit.pack(a, bytes(6)).packs);
  await kit.converge(a, b);
  const again = (device: Device): number => kit.pack(device, bytes(6)).packs.length;
  expect([again(a), again(b)]).toEqual([0, 1]);
  kit.later(2 * DAY);
  kit.put(b, "other", bytes(7));
  await kit.converge(b, a);
  expect([again(a), again(b)]).toEqual([1, 1]);
  kit.put(a, "file", bytes(6));
  await kit.converge(a, b);
  expect([again(a), again(b)]).toEqual([0, 0]);
});
