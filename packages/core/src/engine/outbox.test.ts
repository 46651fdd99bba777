import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RemoteCall } from "../../../testkit/src/memory-remote.ts";
import { type Device, fastKit, type Kit, traps } from "../../../testkit/src/vault-kit.ts";
import type { Sealed } from "../bytes/brand.ts";
import { equalBytes } from "../bytes/bytes.ts";
import { parseFrame } from "../log/frame.ts";
import type { Failure } from "../ports.ts";
import type { Verdict } from "./api.ts";
import { getOwn, runs } from "./outbox.ts";

async function pair(seed: number): Promise<{ kit: Kit; a: Device; b: Device }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  await kit.sync(a);
  return { kit, a, b };
}

/** What a device has sealed and not yet heard of. */
const sealed = (device: Device): readonly Uint8Array[] =>
  device.replica.nextBatch(new Set()).map((one) => one.frame);

function collect(device: Device, run: number): Verdict[] {
  const told: Verdict[] = [];
  void device.engine.verdict(run).then((verdict) => told.push(verdict));
  return told;
}

describe("an edit", () => {
  test("[ENG3] is shown at once, survives a restart, and leaves only at its verdict", async () => {
    const { kit, a } = await pair(1);
    kit.write(a, "one", "two");
    expect(kit.heldNotes(a)).toEqual(["one\ntwo"]);
    const again = kit.restart(a);
    expect(kit.heldNotes(again)).toEqual(["one\ntwo"]);
    // Taken by the remote, not judged: the answer is all that was heard.
    again.faults.replaced = (honest) => ({
      read: async (after, want) => {
        const page = await honest.read(after, want);
        return page.kind === "ok" && kit.log.head() > 2 ? { kind: "unreachable", why: "planted" } : page;
      },
    });
    await kit.sync(again);
    expect(kit.log.head()).toBe(4);
    expect(again.replica.waiting()).toEqual({ pending: 1, parked: 0 });
    expect(kit.heldNotes(again)).toEqual(["one\ntwo"]);
    again.faults.replaced = () => ({});
    await kit.sync(again);
    expect(again.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    expect(kit.heldNotes(again)).toEqual([]);
    expect(kit.notes(again)).toEqual(["one", "two"]);
  });

  test("[ENG6, FRM6] whatever becomes of a send, the next one is the same bytes, and it takes effect once", async () => {
    const outcomes = ["lost", "unknown", "unreachable", "busy", "ok", "kill"] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...outcomes), { maxLength: 8 }),
        fc.nat(),
        async (plan, seed) => {
          const { kit, a, b } = await pair(seed);
          let device = a;
          const seen = new Map<number, Uint8Array>();
          const steps = [...plan];
          const install = (target: Device): void => {
            target.faults.hooks = {
              before: (call) => {
                if (call.op !== "append") return undefined;
                const step = steps.shift();
                if (step === "unknown") return { kind: "unknown" };
                if (step === "unreachable") return { kind: "unreachable", why: "planted" };
                if (step === "busy") return { kind: "busy", retryAfter: 100 };
                if (step === "lost") target.faults.hooks = { ...target.faults.hooks, after: once(target) };
                return undefined;
              },
            };
            target.faults.replaced = (honest) => ({
              append: (frames, at) => {
                for (const bytes of frames) {
                  const { device: index, deviceSeq } = parseFrame(bytes) as {
                    device: number;
                    deviceSeq: number;
                  };
                  expect(index).toBe(0);
                  const before = seen.get(deviceSeq);
                  expect(before === undefined || equalBytes(before, bytes)).toBe(true);
                  seen.set(deviceSeq, bytes);
                }
                return honest.append(frames, at);
              },
            });
          };
          install(device);
          kit.write(device, "x1", "x2");
          kit.write(b, "y1");
          while (steps.length > 0) {
            const kill = steps[0] === "kill";
            if (kill) steps.shift();
            await kit.sync(device);
            if (kill) {
              device = kit.restart(device);
              install(device);
            }
            await kit.sync(b);
            if (device.replica.waiting().pending === 0) break;
          }
          device.faults.hooks = {};
          await kit.converge(device, b);
          expect([...kit.notes(device)].sort()).toEqual(["x1", "x2", "y1"]);
          expect(kit.held(device)).toEqual(kit.held(b));
          expect(device.replica.waiting()).toEqual({ pending: 0, parked: 0 });
        },
      ),
      { numRuns: 60 },
    );

    function once(target: Device): () => "lost" {
      return () => {
        target.faults.hooks = { ...target.faults.hooks, after: () => undefined };
        return "lost";
      };
    }
  });

  test("[ENG6] nothing new is sealed while an earlier send has no verdict", async () => {
    const { kit, a } = await pair(3);
    kit.write(a, "one");
    const [first] = sealed(a);
    kit.write(a, "two");
    expect(sealed(a)).toEqual([first]);
    expect(a.replica.read((tx) => getOwn(tx).sealed)).toBe(2);
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["one", "two"]);
  });

  test("[ENG6] a transaction of more frames than an append takes goes in several, and applies at once", async () => {
    const { kit, a, b } = await pair(4);
    const notes = Array.from({ length: 600 }, (_, i) => `n${i}`);
    const told = collect(a, kit.write(a, ...notes));
    const shown: number[] = [];
    b.engine.onChange(() => shown.push(kit.notes(b).length));
    await kit.sync(a);
    await kit.sync(b);
    expect(kit.notes(b)).toEqual(notes);
    expect(new Set(shown)).toEqual(new Set([0, 600]));
    expect(told).toEqual([{ kind: "accepted", seq: 602 }]);
  });
});

describe("what a frame names", () => {
  test("[CNT5] M-16 is stored before the frame is sent, however often that fails and whenever the device ends", async () => {
    const { kit, a } = await pair(40);
    const bytes = kit.noise(100) as Sealed;
    a.engine.write((tx) => a.replica.spool(tx, kit.suite.sha256(bytes), bytes));
    kit.write(a, "names it");
    const calls: string[] = [];
    let fails = true;
    const hooks = {
      before: ({ op }: RemoteCall): Failure | undefined => {
        calls.push(op);
        return fails && op === "putBlob" ? { kind: "unreachable", why: "planted" } : undefined;
      },
    };
    a.faults.hooks = hooks;
    a.engine.start();
    await kit.time.run(600_000);
    expect(calls.filter((op) => op === "putBlob").length).toBeGreaterThan(5);
    expect(calls).not.toContain("append");
    const again = kit.restart(a);
    again.faults.hooks = hooks;
    [fails, calls.length] = [false, 0];
    await kit.sync(again);
    expect(calls.filter((op) => op !== "read")).toEqual(["putBlob", "append"]);
    expect(kit.log.blobs.size).toBeGreaterThan(0);
  });
});

describe("a void run", () => {
  test("[ENG4] M-16 whose cause is mended by a new seal is sent again whole", async () => {
    const { kit, a, b } = await pair(5);
    const needs = `${traps.content}5`;
    const told = collect(a, kit.write(a, "one", needs, "three"));
    await kit.converge(a, b);
    expect(kit.verdicts(a).slice(2)).toEqual(["run", "content", "run", "", "", ""]);
    expect(kit.notes(b)).toEqual(["one", needs, "three"]);
    expect(told).toEqual([{ kind: "accepted", seq: 8 }]);
    expect(kit.heldNotes(a)).toEqual([]);
    expect(kit.held(a)).toEqual(kit.held(b));
  });

  test.for([
    ["epoch-stale", { epoch: 2 }],
    ["run", { flags: 4 }],
  ] as const)(
    "[ENG4] a cause that a new seal mends (%s) is not the author's to look at",
    async ([reason, over]) => {
      const { kit, a, b } = await pair(13);
      const told = collect(a, kit.write(a, "one"));
      const [first] = a.replica.nextBatch(new Set());
      kit.replaceSealed(
        a,
        first?.deviceSeq ?? 0,
        kit.frame(a, { deviceSeq: first?.deviceSeq ?? 0, ...over }),
      );
      await kit.converge(a, b);
      expect(kit.verdicts(a)).toContain(reason);
      expect(kit.parked(a)).toEqual([]);
      expect(told).toMatchObject([{ kind: "accepted" }]);
      expect(kit.notes(b)).toContain("one");
      expect(kit.held(a)).toEqual(kit.held(b));
    },
  );

  test.for(["sealed-wrong", "limit", "malformed", "anchor"] as const)(
    "[ENG5] of another cause (%s) is parked with its reason, out of the view, and what follows goes on",
    async (reason) => {
      const { kit, a, b } = await pair(6);
      const told = collect(a, kit.write(a, "one", "two"));
      const [first] = a.replica.nextBatch(new Set());
      // The frame of the same number that replay will find void: as if this program had made it so.
      const header = { deviceSeq: first?.deviceSeq ?? 0, flags: 1 };
      const bad = kit.frame(a, {
        ...header,
        ...(reason === "sealed-wrong" ? { key: new Uint8Array(32) } : {}),
        ...(reason === "limit" ? { note: "*257" } : {}),
        ...(reason === "anchor" ? { anchorSeq: 99 } : {}),
        ...(reason === "malformed" ? { plain: new Uint8Array(64) } : {}),
      });
      kit.replaceSealed(a, header.deviceSeq, bad);
      kit.write(a, "later");
      await kit.sync(a);
      await kit.sync(b);
      expect(told).toEqual([{ kind: "void", seq: 4, reason }]);
      expect(kit.parked(a)).toEqual([reason]);
      expect(a.replica.waiting()).toEqual({ pending: 0, parked: 1 });
      expect(kit.heldNotes(a)).toEqual([]);
      expect(kit.notes(b)).toEqual(["later"]);
      // Kept across a restart, and never sent by itself.
      const again = kit.restart(a);
      expect(await kit.sync(again)).toMatchObject({ kind: "live" });
      expect(kit.parked(again)).toEqual([reason]);
      expect(again.replica.read((tx) => runs(tx)).map((run) => run.frames)).toEqual([2]);
    },
  );

  test("[ENG10, LOG9] a frame that was left out of the log is sent again, and nothing waits behind it", async () => {
    const { kit, a, b } = await pair(7);
    const told = [
      collect(a, kit.write(a, "one")),
      collect(a, kit.write(a, "two")),
      collect(a, kit.write(a, "three")),
    ];
    const frames = sealed(a);
    expect(frames).toHaveLength(3);
    // The answer never came, and of the page only its end is there.
    kit.place(a, frames[2] as Uint8Array);
    await kit.converge(a, b);
    expect(kit.verdicts(a)).toContain("device-seq");
    expect([...kit.notes(b)].sort()).toEqual(["one", "three", "two"]);
    expect(told.flat().map((verdict) => verdict.kind)).toEqual(["accepted", "accepted", "accepted"]);
    expect(a.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    // The frames left out turn up after all: nothing happens twice.
    await kit.sync(b);
    kit.place(b, frames[0] as Uint8Array, frames[1] as Uint8Array);
    await kit.converge(a, b);
    expect(kit.notes(b)).toHaveLength(3);
    expect(kit.held(a)).toEqual(kit.held(b));
    expect(kit.verdicts(a).slice(-2)).toEqual(["replay", "replay"]);
    kit.write(a, "four");
    await kit.converge(a, b);
    expect(kit.notes(b)).toHaveLength(4);
  });

  test("[ENG10] a run whose middle was left out is sent again whole", async () => {
    const { kit, a, b } = await pair(8);
    kit.write(a, "1", "2", "3", "4");
    const frames = sealed(a);
    kit.place(a, frames[0] as Uint8Array, frames[2] as Uint8Array, frames[3] as Uint8Array);
    await kit.converge(a, b);
    expect(kit.notes(b)).toEqual(["1", "2", "3", "4"]);
    expect(kit.held(a)).toEqual(kit.held(b));
  });
});

describe("counting", () => {
  test("[ENG3] what waits is counted without reading the outbox", async () => {
    const { kit, a } = await pair(11);
    for (let i = 0; i < 40; i++) kit.write(a, `note ${i}`);
    const again = kit.restart(a);
    const read: string[] = [];
    const { store } = again;
    const scan = store.scan.bind(store);
    store.scan = (space, ...range) => {
      read.push(space);
      return scan(space, ...range);
    };
    expect(again.replica.waiting()).toEqual({ pending: 40, parked: 0 });
    expect(read).toEqual([]);
    store.delete("e.meta", new TextEncoder().encode("queue"));
    // A replica of before the count was kept.
    expect(again.replica.waiting()).toEqual({ pending: 40, parked: 0 });
    expect(read).toEqual(["o.run"]);
    await kit.sync(again);
    expect(again.replica.waiting()).toEqual({ pending: 0, parked: 0 });
  });
});

describe("a copy of this device", () => {
  test("[LOG15, LOG13] a frame with this device's key that was not sealed here stops it before anything changes", async () => {
    const { kit, a, b } = await pair(9);
    const clone = kit.clone(a);
    kit.write(clone, "clone");
    await kit.sync(clone);
    kit.write(a, "mine");
    const before = kit.held(a);
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "op-reused" });
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "op-reused" });
    expect(kit.held(a)).toEqual(before);
    expect(kit.heldNotes(a)).toEqual(["mine"]);
    expect(await kit.sync(b)).toMatchObject({ kind: "live" });
    expect(kit.notes(b)).toEqual(["clone"]);
  });
});
