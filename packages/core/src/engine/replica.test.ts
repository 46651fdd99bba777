import { describe, expect, test } from "vitest";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import { type Device, fastKit, type Kit, traps } from "../../../testkit/src/vault-kit.ts";
import { limits } from "../bytes/limits.ts";
import { TidelockError } from "../errors.ts";
import type { Verdict } from "./api.ts";
import { frames, getOwn, runs } from "./outbox.ts";

/** A disk that fills up at one write, once. */
class FullAt extends MapReplicaStore {
  left = Number.POSITIVE_INFINITY;
  override put(space: string, key: Uint8Array, value: Uint8Array): void {
    if (--this.left === 0) throw new TidelockError("disk-full", { why: "planted" });
    super.put(space, key, value);
  }
}

function replicaSpacesOf(kit: Kit): FullAt {
  return new FullAt(kit.spaces);
}

describe("one transaction", () => {
  test("[ENG1] whatever write of a join fails, memory is as the store is, and the join run again ends well", async () => {
    for (let at = 1; ; at++) {
      const kit = fastKit(at);
      const a = await kit.found();
      kit.write(a, "one");
      await kit.sync(a);
      const store = replicaSpacesOf(kit);
      const b = kit.open("b", a.replica.genesis, kit.newKeys(), { store });
      store.left = at;
      const first = await kit.time.until(kit.admit(b).catch((error: TidelockError) => error.code));
      expect([undefined, "disk-full"]).toContain(first);
      store.left = Number.POSITIVE_INFINITY;
      await kit.time.until(kit.admit(b));
      // A restart knows only what is durable.
      const again = kit.restart(b);
      expect(again.engine.device, `write ${at}`).toBe(1);
      expect(again.replica.digest()).toBe(b.replica.digest());
      kit.write(again, "two");
      await kit.converge(again, a);
      expect(kit.notes(a)).toEqual(["one", "two"]);
      expect(kit.held(again)).toEqual(kit.held(a));
      expect(a.replica.read((tx) => a.replica.membership.devices(tx)).length).toBe(2);
      if (first === undefined) break;
    }
  });

  test("[ENG1] whatever write of a sync fails, the next one ends where all others are", async () => {
    for (let at = 1; ; at++) {
      const kit = fastKit(at);
      const a = await kit.found();
      const store = replicaSpacesOf(kit);
      const b = kit.open("b", a.replica.genesis, kit.newKeys(), { store });
      await kit.time.until(kit.admit(b));
      kit.write(a, "one", "two");
      await kit.sync(a);
      const run = kit.write(b, "three", "four");
      const told: Verdict[] = [];
      void b.engine.verdict(run).then((verdict) => told.push(verdict));
      store.left = at;
      await kit.sync(b);
      const failed = store.left <= 0;
      await kit.sync(b);
      await kit.sync(a);
      expect(kit.notes(b), `write ${at}`).toEqual(["one", "two", "three", "four"]);
      expect(kit.held(b)).toEqual(kit.held(a));
      expect(told).toEqual([{ kind: "accepted", seq: 6 }]);
      if (!failed) break;
    }
  });

  test("[ENG1] a write inside a write that throws takes all of it along, also where the outer one catches", async () => {
    const kit = fastKit(1);
    const a = await kit.found();
    const before = kit.held(a);
    const nested = (): void =>
      a.engine.write((outer) => {
        a.engine.submit(outer, { frames: [{ sections: kit.sections("outer") }] });
        try {
          a.engine.write((inner) => {
            a.engine.submit(inner, { frames: [{ sections: kit.sections("inner") }] });
            throw new RangeError("planted");
          });
        } catch {}
      });
    expect(nested).toThrow("planted");
    expect(kit.held(a)).toEqual(before);
    expect(kit.heldNotes(a)).toEqual([]);
    kit.write(a, "after");
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["after"]);
  });

  test("[ENG11] a verdict is told once, and also to who asks after it", async () => {
    const kit = fastKit(2);
    const a = await kit.found();
    const run = kit.write(a, "one");
    const early = a.engine.verdict(run);
    await kit.sync(a);
    expect(await early).toEqual({ kind: "accepted", seq: 2 });
    expect(await kit.time.until(a.engine.verdict(run))).toEqual({ kind: "accepted", seq: 2 });
  });
});

describe("submit", () => {
  const incompressible = (kit: Kit, size: number): ReadonlyMap<number, Uint8Array> =>
    new Map([
      [1, new Uint8Array(0)],
      [2, kit.noise(size)],
    ]);

  test("[ENG3] what would not fit a frame is refused whole when it is made", async () => {
    const kit = fastKit(3);
    const a = await kit.found();
    const submit = (...sections: ReadonlyMap<number, Uint8Array>[]): number =>
      a.engine.write((tx) => a.engine.submit(tx, { frames: sections.map((s) => ({ sections: s })) }));
    const wrong: [string, ReadonlyMap<number, Uint8Array>[]][] = [
      ["no frame", []],
      ["too many frames", Array.from({ length: limits.framesPerRun + 1 }, () => kit.sections("x"))],
      ["a frame above 1 MiB", [kit.sections("x"), incompressible(kit, limits.frame)]],
      ["more than 256 changes", [kit.sections("x"), kit.sections("*257")]],
      ["no section of ours", [kit.sections("x"), new Map([[9, new Uint8Array(1)]])]],
      ["a section that its kind does not read", [kit.sections("x"), kit.sections(traps.malformed)]],
      ["no section at all", [kit.sections("x"), new Map()]],
    ];
    for (const [what, run] of wrong) {
      expect(() => submit(...run), what).toThrow(expect.objectContaining({ code: "too-large" }));
      // Also where the caller goes on.
      a.engine.write((tx) => {
        try {
          a.engine.submit(tx, { frames: run.map((sections) => ({ sections })) });
        } catch {}
      });
    }
    expect(a.replica.read((tx) => [runs(tx), frames(tx, { run: 0, index: 0 }, 9)])).toEqual([[], []]);
    submit(incompressible(kit, limits.frame - 70_000));
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    expect(kit.verdicts(a)).toEqual(["", ""]);
  });
});

describe("acknowledgements", () => {
  async function withOneOut(seed: number): Promise<[Kit, Device]> {
    const kit = fastKit(seed);
    const a = await kit.found();
    kit.write(a, "zero");
    await kit.sync(a);
    return [kit, a];
  }

  test.for([0, 1, 2, Number.NaN, 2.5, -1])(
    "[LOG15] an answer that names a number taken before (%s) is a fork",
    async (first) => {
      const [kit, a] = await withOneOut(4);
      a.faults.replaced = () => ({ append: async () => ({ kind: "committed", first }) });
      kit.write(a, "one");
      const before = kit.held(a);
      expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "fork" });
      expect(kit.held(a)).toEqual(before);
    },
  );

  test("[LOG15] an answer far ahead is a rollback", async () => {
    const [kit, a] = await withOneOut(5);
    a.faults.replaced = () => ({ append: async () => ({ kind: "committed", first: 999_999_999_000 }) });
    kit.write(a, "one");
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "rollback" });
  });
});

describe("keys", () => {
  test("[VLT8] epoch keys rest under the local key", async () => {
    const kit = fastKit(6);
    const a = await kit.found();
    const other = kit.open("a", a.replica.genesis, a.keys, {
      store: MapReplicaStore.fromImage(a.store.image()),
    });
    expect(other.replica.read((tx) => other.replica.ring.epochKey(tx, 1))).toBeUndefined();
    const key = a.replica.read((tx) => a.replica.ring.epochKey(tx, 1)) as Uint8Array;
    const rest = a.store.get("k.epoch", new Uint8Array([0, 0, 0, 0, 0, 0, 0, 1])) as Uint8Array;
    expect(rest.length).toBe(24 + 32 + 16);
    expect(String(rest)).not.toContain(String(key));
  });

  test("[VLT8, ENG13] after stop nothing is sealed, opened, judged or sent with what is left of the keys", async () => {
    const kit = fastKit(7);
    const a = await kit.found();
    const b = await kit.join("b");
    kit.write(b, "theirs");
    await kit.sync(b);
    kit.write(a, "secret");
    await kit.sync(a);
    const appends: number[] = [];
    a.faults.hooks = {
      before: (call) => (call.op === "append" ? void appends.push(call.seq ?? 0) : undefined),
    };
    kit.write(a, "late");
    await kit.time.until(a.engine.stop());
    const { ring } = a.replica;
    expect(a.replica.read((tx) => ring.epochKey(tx, 1))).toBeUndefined();
    expect(a.replica.read((tx) => ring.frameKey(tx, 1, a.replica.ownId, 0))).toBeUndefined();
    expect(a.replica.read((tx) => ring.memberKey(tx, 1, a.replica.ownId))).toBeUndefined();
    expect(() => a.replica.write((tx) => ring.put(tx, 2, new Uint8Array(32)))).toThrow();
    expect(a.replica.nextBatch(new Set())).toEqual([]);
    kit.write(b, "more");
    await kit.sync(b);
    expect(await a.engine.syncNow()).toMatchObject({ kind: "stopped", code: "cancelled" });
    expect(appends).toEqual([]);
    expect(kit.verdicts(a)).not.toContain("sealed-wrong");
    // What was queued is still there for the next start.
    const again = kit.restart(a);
    await kit.converge(again, b);
    expect([...kit.notes(b)].sort()).toEqual(["late", "more", "secret", "theirs"]);
  });

  test("[ENG13] a stop while something is being sent: no frame is sealed after it", async () => {
    const kit = fastKit(8);
    const a = kit.foundOffline();
    const sent: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    a.faults.hooks = {
      before: async (call) => {
        sent.push(call.op);
        if (call.op === "putBlob") await held;
        return undefined;
      },
    };
    a.engine.start();
    await kit.time.run(10);
    expect(sent.at(-1)).toBe("putBlob");
    const stopped = a.engine.stop();
    await kit.time.run(10);
    release();
    await kit.time.until(stopped);
    await kit.time.run(10);
    expect(sent.at(-1)).toBe("putBlob");
    expect(a.replica.read((tx) => getOwn(tx).sealed)).toBe(1);
  });

  test("[ENG13] a request that never ends does not hold a stop up", async () => {
    const kit = fastKit(9);
    const a = await kit.found();
    a.faults.hooks = { before: () => new Promise(() => undefined) };
    void a.engine.syncNow();
    await kit.time.run(5);
    const from = kit.time.mono;
    await kit.time.until(a.engine.stop());
    expect(kit.time.mono - from).toBeLessThanOrEqual(2_000);
  });

  test("[ENG13] nothing is left to wait for after a stop, so that a process can end", async () => {
    const kit = fastKit(10);
    const a = await kit.found();
    a.engine.start();
    kit.write(a, "one");
    await kit.sync(a);
    await kit.time.until(a.engine.stop());
    const stopped = kit.time.mono;
    await expect(kit.time.until(new Promise(() => undefined))).rejects.toThrow("no outcome");
    expect(kit.time.mono).toBe(stopped);
  });
});
