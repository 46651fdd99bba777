import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import { encodeUtf8 } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import type { Failure, Remote } from "../ports.ts";
import { deriveStatus } from "./status.ts";

const GARBAGE = Uint8Array.of(1, 2, 3);

async function pair(seed: number): Promise<{ kit: Kit; a: Device; b: Device }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  await kit.sync(a);
  return { kit, a, b };
}

/** Counts the calls of one function from now on. */
function count(suite: Suite, name: "verify"): { readonly calls: number } {
  const counter = { calls: 0 };
  const original = suite[name];
  suite[name] = (...args) => {
    counter.calls++;
    return original(...args);
  };
  return counter;
}

/** A page of other people's frames that joins no history: garbage that says it takes `count` numbers. */
function strangePage(kit: Kit, first: number, count: number): Uint8Array {
  const frames = Array.from({ length: count }, () => kit.suite.random(40));
  return kit.pageBytes(first, kit.suite.random(32), frames);
}

describe("an entry that nobody known has signed", () => {
  test("[LOG7, LOG4] is passed at once where a device of the vault has signed past it", async () => {
    const { kit, a, b } = await pair(1);
    kit.log.put(3, GARBAGE);
    kit.write(a, "one");
    void a.engine.syncNow();
    await kit.time.run(65_000);
    expect(kit.notes(a)).toEqual(["one"]);
    const from = kit.time.mono;
    expect(await kit.sync(b)).toMatchObject({ kind: "live" });
    expect(kit.time.mono - from).toBeLessThan(1_000);
    expect(kit.held(a)).toEqual(kit.held(b));
    expect(kit.verdicts(b)[2]).toBe("malformed");
  });

  test("[LOG7] waits 60 s on a device with something to send, and for ever on one without", async () => {
    const { kit, a, b } = await pair(2);
    kit.log.put(3, GARBAGE);
    kit.write(a, "one");
    a.engine.start();
    b.engine.start();
    await kit.time.run(59_000);
    expect(a.replica.cursor()).toMatchObject({ read: 3, applied: 2 });
    expect(kit.log.head()).toBe(3);
    await kit.time.run(8_000);
    expect(kit.notes(a)).toEqual(["one"]);
    await kit.time.run(60_000);
    expect(kit.held(b)).toEqual(kit.held(a));
  });

  test("[LOG7] without anybody to send it holds the log up, and that is shown", async () => {
    const { kit, a } = await pair(3);
    kit.log.put(3, GARBAGE);
    a.engine.start();
    await kit.time.run(600_000);
    expect(a.replica.cursor()).toMatchObject({ read: 3, applied: 2 });
    expect(kit.log.head()).toBe(3);
    expect(deriveStatus(a.engine.facts())).toMatchObject({ code: "error", detail: "stalled" });
  });

  test("[LOG7] many of them wait together, and one signature passes them all", async () => {
    const { kit, a, b } = await pair(4);
    for (let n = 3; n < 60; n++) kit.log.put(n, Uint8Array.of(n));
    kit.write(a, "one");
    a.engine.start();
    b.engine.start();
    await kit.time.run(75_000);
    expect(kit.notes(a)).toEqual(["one"]);
    await kit.time.run(40_000);
    expect(kit.held(b)).toEqual(kit.held(a));
    expect(kit.verdicts(b).filter((reason) => reason === "malformed")).toHaveLength(57);
  });

  test("[LOG7, ENG12] the signature past it may stand many pages further on, and is looked for once", async () => {
    const { kit, a, b } = await pair(5);
    // As many entries as take several reads, each in a known device's name, anchored behind the garbage.
    kit.log.put(3, GARBAGE);
    await stopped(kit, b);
    const frame = kit.frame(b, { note: "x", anchorSeq: 3 });
    frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 1;
    // Every other one of the membership kind, as far as its bytes tell.
    const other = frame.with(2, 2) as Uint8Array;
    for (let n = 4; n < 3_000; n++) kit.log.put(n, kit.pageBytes(n, null, [n % 2 === 0 ? frame : other]));
    const verify = count(kit.suite, "verify");
    await stopped(kit, b);
    expect(b.replica.cursor()).toMatchObject({ read: 2_999, applied: 2 });
    await kit.time.run(20_000);
    // Each of the two devices looks at each entry once.
    expect(verify.calls).toBeLessThan(6_100);
    kit.write(a, "one");
    a.engine.start();
    await kit.time.run(70_000);
    expect(kit.notes(a)).toEqual(["one"]);
    const from = kit.time.mono;
    await kit.sync(b);
    expect(kit.held(b)).toEqual(kit.held(a));
    expect(kit.time.mono - from).toBeLessThan(1_000);
    expect(verify.calls).toBeLessThan(14_000);
  });

  test("[LOG7] the device that passed it attests, once, also after a restart", async () => {
    const { kit, a, b } = await pair(6);
    kit.log.put(3, GARBAGE);
    // What waits was sealed before: its anchor lies before the garbage.
    kit.write(a, "one");
    a.replica.nextBatch(new Set());
    a.engine.start();
    await kit.time.run(70_000);
    expect(kit.verdicts(a)).toEqual(["", "", "malformed", "", ""]);
    const again = kit.restart(a);
    await kit.sync(again);
    expect(kit.log.head()).toBe(5);
    await kit.sync(b);
    expect(kit.held(again)).toEqual(kit.held(b));
  });

  test("[LOG7] who sends what is anchored past it anyway sends nothing more for it", async () => {
    const { kit, a, b } = await pair(7);
    kit.log.put(3, GARBAGE);
    await stopped(kit, a);
    kit.write(a, "one");
    a.engine.start();
    await kit.time.run(90_000);
    expect(kit.log.head()).toBe(4);
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 4 });
  });

  test("[LOG2, LOG7] is fetched again: what stands in its place later is taken, with what follows", async () => {
    const { kit, a, b } = await pair(8);
    kit.write(a, "one", "two", "three");
    const frames = a.replica.nextBatch(new Set()).map((one) => one.frame);
    kit.log.put(3, GARBAGE);
    kit.log.put(4, Uint8Array.of(4));
    kit.log.put(5, Uint8Array.of(5));
    void b.engine.syncNow();
    await kit.time.run(1_000);
    expect(b.replica.cursor()).toMatchObject({ read: 5, applied: 2 });
    for (const n of [3, 4, 5]) kit.log.drop(n);
    kit.log.place(3, kit.link(a, 2).hash, frames.slice(0, 2));
    kit.log.put(5, kit.pageBytes(5, null, frames.slice(2)));
    await kit.time.run(5_000);
    expect(kit.notes(b)).toEqual(["one", "two", "three"]);
  });

  test("[LOG6] garbage that only waited may go as it came; what somebody signed may not", async () => {
    const { kit, a, b } = await pair(9);
    kit.log.put(3, GARBAGE);
    await stopped(kit, b);
    expect(b.replica.cursor()).toMatchObject({ read: 3, applied: 2 });
    kit.log.drop(3);
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 2 });
    expect(b.replica.cursor()).toMatchObject({ read: 2, applied: 2 });
    kit.write(a, "one");
    await kit.converge(a, b);
    expect(kit.notes(b)).toEqual(["one"]);
    // Behind garbage, a frame of a: read, and not applied.
    kit.log.put(4, GARBAGE);
    kit.log.put(5, kit.pageBytes(5, null, [kit.frame(a, { note: "two" })]));
    await stopped(kit, b);
    kit.log.drop(5);
    expect(await kit.sync(b)).toMatchObject({ kind: "stopped", code: "rollback" });
    expect(kit.notes(b)).toEqual(["one"]);
  });
});

async function stopped(kit: Kit, device: Device): Promise<void> {
  expect(await kit.sync(device)).toMatchObject({ kind: "stopped" });
}

describe("an object that joins no history", () => {
  test.for([1, 3, 200])(
    "[LOG4] with %s frames takes one number: readers and writers go on behind it, and no gap is seen",
    async (count) => {
      const { kit, a, b } = await pair(20 + count);
      kit.log.put(3, strangePage(kit, 3, count));
      kit.write(a, "one");
      a.engine.start();
      b.engine.start();
      await kit.time.run(63_000);
      expect(kit.notes(a)).toEqual(["one"]);
      await kit.time.run(63_000);
      expect(kit.notes(b)).toEqual(["one"]);
      for (let i = 0; i < 4; i++) {
        kit.write(i % 2 === 0 ? a : b, `${i}`);
        await kit.converge(a, b);
      }
      expect(kit.held(a)).toEqual(kit.held(b));
      expect(kit.notes(a)).toHaveLength(5);
      expect(deriveStatus(a.engine.facts()).code).toBe("live");
      // A newcomer reads the same.
      const c = await kit.join("c");
      await kit.converge(c, a, b);
      expect(kit.held(c)).toEqual(kit.held(a));
    },
  );

  test("[LOG6] an object inside one that was taken is ignored; a number that is missing is a gap", async () => {
    const { kit, a, b } = await pair(30);
    kit.write(a, "one", "two", "three");
    await kit.sync(a);
    kit.log.put(4, GARBAGE);
    kit.log.put(5, strangePage(kit, 5, 1));
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 5 });
    // A stray file up there stops nobody; a page does, whoever wrote it.
    kit.log.put(8, GARBAGE);
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 5 });
    kit.log.drop(8);
    kit.log.put(8, strangePage(kit, 8, 1));
    expect(await kit.sync(b)).toMatchObject({ kind: "stopped", code: "chain-broken" });
    kit.log.drop(8);
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 5 });
    kit.write(b, "four");
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 6 });
    expect(kit.notes(b)).toHaveLength(4);
  });
});

describe("retries", () => {
  const failures: Failure[] = [
    { kind: "unreachable", why: "planted" },
    { kind: "denied", why: "planted" },
    { kind: "quota", why: "planted" },
    { kind: "corrupt", why: "planted" },
    { kind: "busy", retryAfter: 0 },
  ];

  test.for(failures.map((failure) => [failure.kind, failure] as const))(
    "[ENG8] a remote that answers %s for an hour is asked ever more rarely, up to once in 60 s",
    async ([, failure]) => {
      const { kit, a } = await pair(40);
      const asked: number[] = [];
      a.faults.hooks = {
        before: () => {
          asked.push(kit.time.mono);
          return failure;
        },
      };
      kit.write(a, "one");
      a.engine.start();
      await kit.time.run(3_600_000);
      expect(asked.length).toBeGreaterThan(60);
      expect(asked.length).toBeLessThan(400);
      const waits = asked.slice(1).map((at, i) => at - (asked[i] as number));
      expect(Math.max(...waits)).toBeLessThanOrEqual(60_001);
      expect(Math.max(...waits.slice(0, 3))).toBeLessThan(4_500);
      a.faults.hooks = {};
      await kit.time.run(61_000);
      expect(kit.notes(a)).toEqual(["one"]);
    },
  );

  test.for([
    [5_000, 5_000, 5_001],
    [-1, 0, 60_001],
    [Number.NaN, 0, 60_001],
    [Number.POSITIVE_INFINITY, 3_600_000, 3_600_001],
    [1e15, 3_600_000, 3_600_001],
  ] as const)("[ENG8] M-31 a busy remote that asks for %s ms", async ([retryAfter, least, most]) => {
    const { kit, a } = await pair(41);
    const asked: number[] = [];
    a.faults.hooks = {
      before: () => {
        asked.push(kit.time.mono);
        return { kind: "busy", retryAfter };
      },
    };
    a.engine.start();
    await kit.time.run(7_300_000);
    const wait = (asked[1] as number) - (asked[0] as number);
    expect(wait).toBeGreaterThanOrEqual(least);
    expect(wait).toBeLessThanOrEqual(most);
    expect(asked.length).toBeLessThan(2_000);
  });

  test("[ENG8] M-31 what a remote asks for holds for reads of content and for sync alike, until a person's word", async () => {
    const { kit, a } = await pair(49);
    const asked: string[] = [];
    let busy = true;
    a.faults.hooks = {
      before: (call) => {
        asked.push(call.op);
        return busy ? { kind: "busy", retryAfter: 60_000 } : undefined;
      },
    };
    const pack = new Uint8Array(32);
    const fetched = (): ReturnType<Remote["getBlob"]> | undefined => a.engine.remote?.getBlob(pack);
    expect(await fetched()).toEqual({ kind: "busy", retryAfter: 60_000 });
    // Sync, which has asked nothing yet, waits as well.
    a.engine.start();
    await kit.time.run(20_000);
    expect(await fetched()).toMatchObject({ kind: "busy", retryAfter: 40_000 });
    expect(asked).toEqual(["getBlob"]);
    await kit.time.run(40_001);
    expect(asked.length).toBe(2);
    // And the other way round.
    expect(await fetched()).toMatchObject({ kind: "busy" });
    expect(asked.length).toBe(2);
    busy = false;
    a.engine.sync?.dispatch("now");
    await kit.time.run(1);
    expect((await fetched())?.kind).toBe("ok");
  });

  test("[ENG20] M-18 without any hint everybody has what the others wrote, by asking", async () => {
    const { kit, a, b } = await pair(45);
    const late: (() => void)[] = [];
    for (const one of [a, b]) {
      one.faults.hooks = { hint: (arrives) => void late.push(arrives) };
      one.engine.start();
    }
    await kit.time.run(600_000);
    for (const [one, note] of [
      [a, "from a"],
      [b, "from b"],
    ] as const)
      kit.write(one, note);
    await kit.time.run(61_000);
    expect(late.length).toBeGreaterThan(0);
    expect([...kit.notes(a)].sort()).toEqual(["from a", "from b"]);
    expect(kit.held(a)).toEqual(kit.held(b));
  });

  const hint = (kit: Kit): void => {
    for (const one of kit.log.hints) one();
  };
  const deliver = { hint: (arrives: () => void) => arrives() };

  test("[ENG18] what was refused for an hour is asked for again at a hint, not when the wait is over", async () => {
    const { kit, a } = await pair(46);
    const refusal: Failure = { kind: "denied", why: "no plan", cause: "payment" };
    a.faults.hooks = { ...deliver, before: ({ op }) => (op === "append" ? refusal : undefined) };
    kit.write(a, "one");
    a.engine.start();
    await kit.time.run(3_600_000);
    a.faults.hooks = deliver;
    hint(kit);
    await kit.time.run(100);
    expect(kit.notes(a)).toEqual(["one"]);
  });

  test("[ENG18] hints without end at most double the tries", async () => {
    const { kit, a } = await pair(47);
    let asked = 0;
    a.faults.hooks = {
      ...deliver,
      before: () => {
        asked++;
        return { kind: "unreachable", why: "planted" };
      },
    };
    a.engine.start();
    for (let i = 0; i < 6_000; i++) {
      hint(kit);
      await kit.time.run(100);
    }
    expect(asked).toBeGreaterThan(20);
    expect(asked).toBeLessThan(70);
  });

  test("[ENG18] what the remote asked to wait for, and a halt, are waited for in full", async () => {
    const { kit, a, b } = await pair(48);
    let asked = 0;
    a.faults.hooks = {
      ...deliver,
      before: () => {
        asked++;
        return { kind: "busy", retryAfter: 300_000 };
      },
    };
    a.engine.start();
    await kit.time.run(10);
    for (let i = 0; i < 290; i++) {
      hint(kit);
      await kit.time.run(1_000);
    }
    expect(asked).toBe(1);

    b.faults.replaced = (honest) => ({
      read: async (after, want) => {
        const page = await honest.read(after, want);
        return page.kind === "ok" ? { kind: "ok", value: { ...page.value, head: 2 ** 53 - 1 } } : page;
      },
    });
    b.faults.hooks = deliver;
    b.engine.start();
    await kit.time.run(600_000);
    const nextTry = b.engine.sync?.facts().nextTry;
    hint(kit);
    expect(b.engine.sync?.facts()).toMatchObject({ halt: "chain-broken", nextTry });
  });

  test("[ENG8] an unanswered send is read for before the same bytes go again", async () => {
    const { kit, a } = await pair(42);
    const calls: string[] = [];
    let lost = 0;
    a.faults.hooks = {
      before: (call) => void calls.push(call.op),
      after: (call) => (call.op === "append" && lost++ === 0 ? "lost" : undefined),
    };
    kit.write(a, "one");
    await kit.sync(a);
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["one"]);
    expect(calls.filter((op) => op === "append")).toHaveLength(1);
    expect(calls.indexOf("append")).toBeLessThan(calls.lastIndexOf("read"));
  });

  test("[ENG8] a remote that claims more than it shows is not asked in a loop", async () => {
    const { kit, a } = await pair(43);
    let reads = 0;
    a.faults.replaced = (honest) => ({
      read: async (after, want) => {
        reads++;
        const page = await honest.read(after, want);
        return page.kind === "ok" ? { kind: "ok", value: { ...page.value, head: 2 ** 53 - 1 } } : page;
      },
    });
    a.engine.start();
    await kit.time.run(600_000);
    // Three at each attempt: the log as usual, and twice what nobody else has signed (LOG18).
    expect(reads).toBeLessThan(200);
    expect(a.engine.facts().halt).toBe("chain-broken");
  });

  test("[ENG8, LOG6] pages that do not follow what was asked for are not taken, and not asked for in a loop", async () => {
    const { kit, a, b } = await pair(44);
    kit.write(a, "one");
    await kit.sync(a);
    let reads = 0;
    b.faults.replaced = () => ({
      read: async () => {
        reads++;
        const objects = [kit.log.at(1), kit.log.at(2)].flatMap((o) => (o === undefined ? [] : [o]));
        return { kind: "ok", value: { objects, head: 3 } };
      },
    });
    b.engine.start();
    await kit.time.run(600_000);
    expect(reads).toBeLessThan(100);
    expect(b.replica.cursor()).toMatchObject({ read: 2, applied: 2 });
    expect(b.engine.facts().halt).toBe("chain-broken");
    b.faults.replaced = () => ({});
    await kit.time.run(61_000);
    expect(kit.notes(b)).toEqual(["one"]);
    expect(b.engine.facts().halt).toBeUndefined();
  });
});

describe("hints", () => {
  test("[ENG22] while they come a poll is rare, and finds what a lost one would have told", async () => {
    const { kit, a, b } = await pair(60);
    let reads = 0;
    a.faults.awake = true;
    a.faults.hooks = { before: (call) => void (call.op === "read" && reads++) };
    a.engine.start();
    await kit.time.run(600_000);
    expect(reads).toBeGreaterThanOrEqual(20);
    expect(reads).toBeLessThanOrEqual(28);
    kit.write(b, "one");
    await kit.sync(b);
    await kit.time.run(30_000);
    expect(kit.notes(a)).toEqual(["one"]);
    expect(deriveStatus(a.engine.facts()).code).toBe("live");
    // They come no more, and something happens: every 2 s again.
    a.faults.awake = false;
    kit.write(b, "two");
    await kit.sync(b);
    await kit.time.run(30_000);
    reads = 0;
    await kit.time.run(10_000);
    expect(reads).toBeGreaterThanOrEqual(3);
  });

  test("[ENG22] one that comes during a read is looked after when that is done, and an old one never", async () => {
    const { kit, a, b } = await pair(61);
    kit.write(b, "theirs");
    const sealed = b.replica.nextBatch(new Set()).map(({ frame }) => frame);
    let reads = 0;
    let hint: () => void = () => undefined;
    a.faults.awake = true;
    a.faults.hooks = {
      after: (call) => {
        // Its page is on the way when the log grows.
        if (call.op === "read" && reads++ === 0) kit.place(b, ...sealed);
        return undefined;
      },
      hint: (deliver) => {
        hint = deliver;
        deliver();
      },
    };
    void a.engine.syncNow();
    await kit.time.run(1_000);
    expect([kit.notes(a), reads]).toEqual([["theirs"], 2]);
    for (let i = 0; i < 5; i++) hint();
    await kit.time.run(1_000);
    expect(reads).toBe(2);
  });
});

describe("what is told", () => {
  test("[ENG9] a request that is never answered is stalled after 30 s", async () => {
    const { kit, a } = await pair(50);
    a.engine.start();
    await kit.time.run(5_000);
    expect(deriveStatus(a.engine.facts()).code).toBe("live");
    a.faults.hooks = { before: () => new Promise(() => undefined) };
    await kit.time.run(20_000);
    expect(deriveStatus(a.engine.facts()).code).not.toBe("live");
    await kit.time.run(40_000);
    expect(deriveStatus(a.engine.facts())).toMatchObject({ code: "error", detail: "stalled" });
  });

  test("[ENG9] a long first sync that moves is not stalled", async () => {
    const { kit, a, b } = await pair(51);
    for (let i = 0; i < 40; i++) {
      kit.write(a, `${i}`);
      await kit.sync(a);
    }
    b.faults.replaced = (honest) => ({
      read: async (after) => {
        await new Promise<void>((resolve) => kit.time.after(5_000, resolve));
        return honest.read(after, { frames: 1, bytes: 1 });
      },
    });
    b.engine.start();
    for (let i = 0; i < 30; i++) {
      await kit.time.run(5_000);
      expect(b.engine.facts().stalled).toBe(false);
    }
    expect(kit.notes(b).length).toBeGreaterThan(10);
  });

  test("[ENG9] a fault of this program is told as one, not as the remote's", async () => {
    const { kit, a } = await pair(52);
    a.faults.hooks = {
      before: () => {
        throw new TypeError("planted");
      },
    };
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "internal" });
    expect(a.engine.facts().failed).toBe("internal");
    a.faults.hooks = {
      before: () => {
        throw new TidelockError("exists", { why: "planted" });
      },
    };
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "exists" });
    a.faults.hooks = {};
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    a.store.transaction(() => a.store.put("e.meta", encodeUtf8("cursor"), Uint8Array.of(0xff)));
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "replica-damaged" });
  });

  test("[STA2] live needs a look at the remote that is younger than two polls, and a placed edit is not confirmed", async () => {
    const { kit, a } = await pair(53);
    const code = (): string => deriveStatus(a.engine.facts()).code;
    await kit.sync(a);
    expect(code()).toBe("live");
    a.engine.pause();
    expect(code()).toBe("offline");
    a.engine.resume();
    await kit.time.run(10);
    expect(code()).toBe("live");
    kit.time.mono += 200_000;
    expect(code()).toBe("pending");
    await kit.sync(a);
    kit.write(a, "one");
    expect(code()).toBe("pending");
    await kit.sync(a);
    expect(code()).toBe("live");
  });

  test("[ENG7] pause while a request is under way, then resume: the late answer changes nothing", async () => {
    const { kit, a, b } = await pair(54);
    kit.write(a, "one");
    let release: () => void = () => undefined;
    let held = true;
    a.faults.hooks = {
      after: async (call) => {
        if (call.op === "append" && held) {
          held = false;
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        return undefined;
      },
    };
    a.engine.start();
    await kit.time.run(100);
    a.engine.pause();
    a.engine.resume();
    await kit.time.run(100);
    expect(kit.notes(a)).toEqual(["one"]);
    release();
    await kit.time.run(5_000);
    kit.write(a, "two");
    await kit.converge(a, b);
    expect(kit.notes(b)).toEqual(["one", "two"]);
    expect(kit.log.head()).toBe(4);
    expect(a.engine.facts().halt).toBeUndefined();
  });
});
