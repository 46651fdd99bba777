import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { nextLink } from "../log/chain.ts";
import type { AppendResult, Receipt, Remote } from "../ports.ts";
import { entriesAfter } from "./entries.ts";

interface Scene {
  readonly kit: Kit;
  readonly a: Device;
  readonly b: Device;
  /** Of a, so far. */
  readonly reads: () => number;
}

type Change = (receipt: Receipt, first: number) => AppendResult | Promise<AppendResult>;

const honest: Change = (receipt, first) => ({ kind: "committed", first, receipt });

/** Two devices; one of them is given receipts, as `change` makes them. */
async function scene(seed: number, change: Change = honest): Promise<Scene> {
  const kit = fastKit(seed);
  const a = await kit.found("a");
  const b = await kit.join("b");
  await kit.sync(a);
  let reads = 0;
  a.faults.replaced = (remote) => ({
    read: (after, want) => {
      reads++;
      return remote.read(after, want);
    },
    append: receipted(kit, a, remote, change),
  });
  return { kit, a, b, reads: () => reads };
}

function receipted(kit: Kit, a: Device, remote: Remote, change: Change): Remote["append"] {
  return async (frames, seen) => {
    const result = await remote.append(frames, seen);
    if (result.kind !== "committed") return result;
    const time = kit.time.now();
    let link = kit.link(a, seen.seq);
    for (const [i, frame] of frames.entries())
      link = nextLink(kit.suite, link, result.first + i, { time, id: kit.suite.sha256(frame), frame });
    return change({ time, hash: link.hash }, result.first);
  };
}

const logOf = (device: Device): readonly unknown[] => device.replica.read((tx) => entriesAfter(tx, 0, 1000));

async function allTheSame({ kit, a, b }: Scene): Promise<void> {
  await kit.converge(a, b);
  expect(logOf(a)).toEqual(logOf(b));
  expect(kit.held(a)).toEqual(kit.held(b));
  expect(kit.verdicts(a)).toEqual(kit.verdicts(b));
}

describe("own frames", () => {
  test("[ENG21] are not read back, and the log, its verdicts and the state are those of who read them", async () => {
    const s = await scene(1);
    const { kit, a } = s;
    const verdict = a.replica.verdict(kit.write(a, "one", "two", "three"));
    const before = s.reads();
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 5 });
    // The look that a person asked for.
    expect(s.reads() - before).toBe(1);
    expect(await verdict).toMatchObject({ kind: "accepted", seq: 5 });
    await allTheSame(s);
  });

  test("[ENG21] in several appends are taken in one after the other, without a read between them", async () => {
    const s = await scene(2);
    const { kit, a } = s;
    for (let i = 0; i < 3; i++) kit.write(a, ...Array.from({ length: 200 }, (_, n) => `${i}/${n}`));
    const before = s.reads();
    await kit.sync(a);
    expect([s.reads() - before, kit.notes(a).length]).toEqual([1, 600]);
    await allTheSame(s);
  });

  test.for<[string, Change]>([
    ["is not there", (_receipt, first) => ({ kind: "committed", first })],
    ["has another time", (receipt, first) => honest({ ...receipt, time: receipt.time + 1 }, first)],
    ["has no time", (receipt, first) => honest({ ...receipt, time: Number.NaN }, first)],
    ["has a time before 1970", (receipt, first) => honest({ ...receipt, time: -1 }, first)],
    ["has a time past 48 bits", (receipt, first) => honest({ ...receipt, time: 2 ** 48 }, first)],
    ["has half a ms", (receipt, first) => honest({ ...receipt, time: receipt.time + 0.5 }, first)],
    ["has another hash", (receipt, first) => honest({ ...receipt, hash: new Uint8Array(32) }, first)],
    ["has no hash", (receipt, first) => honest({ ...receipt, hash: new Uint8Array(0) }, first)],
  ])("[ENG21] are read where the receipt %s", async ([, change]) => {
    const s = await scene(3, change);
    const { kit, a } = s;
    kit.write(a, "one", "two");
    const before = s.reads();
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 4 });
    expect(s.reads() - before).toBe(2);
    expect(kit.notes(a)).toEqual(["one", "two"]);
    await allTheSame(s);
  });

  test.for([1, 2, 9])(
    "[ENG21, LOG15] acknowledged %s too far on are looked for there, whatever the receipt says",
    async (ahead) => {
      const s = await scene(4, (receipt, first) => honest(receipt, first + ahead));
      s.kit.write(s.a, "one");
      expect(await s.kit.sync(s.a)).toMatchObject({ kind: "stopped", code: "rollback" });
      expect(s.kit.notes(s.a)).toEqual([]);
      expect(s.kit.heldNotes(s.a)).toEqual(["one"]);
    },
  );

  test("[ENG21] behind another's are read, with the other's", async () => {
    const s = await scene(5);
    const { kit, a, b } = s;
    // A place that gives positions itself puts them behind whatever stands there.
    a.faults.replaced = (remote) => ({
      append: async (frames) => {
        kit.write(b, "theirs");
        await b.engine.syncNow();
        const { seq, hash } = b.replica.head();
        return receipted(kit, b, remote, honest)(frames, { seq, hash });
      },
    });
    kit.write(a, "mine");
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["theirs", "mine"]);
    await allTheSame(s);
  });

  test("[ENG21, ENG6] whose answer was lost, or came when the device was gone, are found by reading", async () => {
    for (const lost of [true, false]) {
      const s = await scene(6, (receipt, first) =>
        lost ? { kind: "unknown" } : new Promise(() => void [receipt, first]),
      );
      const { kit, a } = s;
      kit.write(a, "one");
      a.engine.start();
      await kit.time.run(5_000);
      const after = lost ? a : kit.restart(a);
      await allTheSame({ ...s, a: after });
      expect([kit.notes(after), kit.log.head()]).toEqual([["one"], 3]);
    }
  });

  test("[ENG21, LOG18] under a time that no other device is shown are put right as if they had been read so", async () => {
    const s = await scene(7);
    const { kit, a, b } = s;
    const late = 3_600_000;
    a.faults.replaced = (remote) => ({
      append: async (frames, seen) => {
        const result = await remote.append(frames, seen);
        if (result.kind !== "committed") return result;
        const time = kit.time.now() + late;
        let link = kit.link(a, seen.seq);
        for (const [i, frame] of frames.entries())
          link = nextLink(kit.suite, link, result.first + i, { time, id: kit.suite.sha256(frame), frame });
        return { ...result, receipt: { time, hash: link.hash } };
      },
    });
    kit.write(a, "one");
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 3 });
    await kit.sync(b);
    kit.write(b, "two");
    await kit.sync(b);
    a.faults.replaced = () => ({});
    await kit.sync(a);
    expect(kit.events.map(([name]) => name)).toContain("sync.rebuilt");
    await allTheSame(s);
    expect(kit.notes(a)).toEqual(["one", "two"]);
  });
});
