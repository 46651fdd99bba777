import { createHash } from "node:crypto";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { AppendResult, Remote } from "@tidelock/core/ports";
import { expect, test } from "vitest";
import { createMemoryRemote, MemoryVaultLog, type Refused, type RemoteHooks } from "./memory-remote.ts";
import { firstFailing } from "./suites/cases.ts";
import { type CreateRemote, describeRemote, type FaultPoint, remoteCases } from "./suites/remote-contract.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());
const newLog = (now = (): number => 1_700_000_000_000): MemoryVaultLog => new MemoryVaultLog({ now, sha256 });

/** The model under the suite; `spoil` turns each device's remote into a broken one. */
function inMemory(spoil: (remote: Remote, log: MemoryVaultLog) => Remote = (remote) => remote): CreateRemote {
  return async () => {
    let now = 1_700_000_000_000;
    const log = newLog(() => now);
    let fault: FaultPoint | undefined;
    let away = false;
    let readOnly = false;
    let boot = 0;
    let callsToCut = Number.POSITIVE_INFINITY;
    let tell = (): void => {};
    const cut = (): void => {
      boot++;
      callsToCut = Number.POSITIVE_INFINITY;
      tell();
    };
    const newHooks = (): RemoteHooks => {
      const born = boot;
      return {
        before(call): Refused | Promise<Refused> {
          if (born === boot && --callsToCut === 0) cut();
          if (born !== boot) return new Promise(() => {});
          if (away) return { kind: "unreachable", why: "away" };
          const writes = call.op === "append" || ["putBlob", "create", "deleteBlobs"].includes(call.op);
          if (readOnly && writes) return { kind: "denied", why: "read only" };
          if (call.op !== "append" || fault !== "send") return undefined;
          fault = undefined;
          return { kind: "unknown" };
        },
        after(call) {
          if (call.op !== "append" || fault === undefined) return undefined;
          fault = undefined;
          return "lost";
        },
      };
    };
    return {
      sha256,
      device: async () => spoil(createMemoryRemote(log, newHooks()), log),
      neighbour: async () => createMemoryRemote(newLog()),
      tamper: {
        put: async (number, bytes) => log.put(number, bytes),
        drop: async (number) => log.drop(number),
        damageBlob: async (id) => void log.blobs.set(toHex(id), Uint8Array.of(0)),
      },
      age: async (ms) => {
        now += ms;
      },
      failNextAppend: (at) => {
        fault = at;
      },
      reachable: async (now) => {
        away = !now;
      },
      readOnly: (now) => {
        readOnly = now;
      },
      cutPower: (afterCalls) => {
        // A call here is some ten of a disk.
        callsToCut = Math.ceil(afterCalls / 10);
        return new Promise((resolve) => {
          tell = resolve;
        });
      },
      cutSoon: () => {
        if (callsToCut !== Number.POSITIVE_INFINITY) callsToCut = 1;
      },
      dispose: async () => {},
    };
  };
}

describeRemote("memory", inMemory());

/** Each breaks one promise; the suite has to see it. */
const broken: Record<string, (remote: Remote, log: MemoryVaultLog) => Remote> = {
  "answers before it places": (remote) => ({
    ...remote,
    append: async (frames, seen): Promise<AppendResult> => {
      setTimeout(() => void remote.append(frames, seen).catch(() => {}), 1);
      return { kind: "committed", first: seen.seq + 1 };
    },
  }),
  "replaces what stands there": (remote, log) => ({
    ...remote,
    append: async (frames, seen) => {
      log.drop(seen.seq + 1);
      return remote.append(frames, seen);
    },
  }),
  "does not know its own frames again": (remote, log) => ({
    ...remote,
    append: async (frames, seen) =>
      log.at(seen.seq + 1) === undefined ? remote.append(frames, seen) : { kind: "behind" },
  }),
  "places frames one by one": (remote) => ({
    ...remote,
    append: async (frames, seen) => {
      for (const [i, frame] of frames.entries()) await remote.append([frame], { ...seen, seq: seen.seq + i });
      return { kind: "committed", first: seen.seq + 1 };
    },
  }),
  "calls a lost answer a failure": (remote) => ({
    ...remote,
    append: async (frames, seen) => {
      const result = await remote.append(frames, seen);
      return result.kind === "unknown" ? { kind: "unreachable", why: "no answer" } : result;
    },
  }),
  "hides a gap and a rollback": (remote) => ({
    ...remote,
    read: async (after, want) => {
      const result = await remote.read(after, want);
      if (result.kind !== "ok" || result.value.objects.length > 0) return result;
      return { kind: "ok", value: { objects: [], head: after } };
    },
  }),
  "reads everything at once": (remote) => ({
    ...remote,
    read: (after) => remote.read(after, { frames: 1e9, bytes: 1e9 }),
  }),
  "founds a vault twice": (remote, log) => ({
    ...remote,
    create: async (genesis) => {
      log.genesis = undefined;
      return remote.create(genesis);
    },
  }),
};

test("the suite sees every broken remote", async () => {
  for (const [what, spoil] of Object.entries(broken)) {
    expect(await firstFailing(remoteCases, inMemory(spoil)), what).toBeDefined();
  }
});

test("attacks change the one log that all devices see", async () => {
  const log = newLog();
  const [a, b] = [createMemoryRemote(log), createMemoryRemote(log)];
  const frame = (text: string): never => new TextEncoder().encode(text) as never;
  const hash = new Uint8Array(32);
  for (let seq = 0; seq < 4; seq++) await a.append([frame(`frame ${seq}`)], { seq, hash });
  const texts = async (): Promise<unknown[]> => {
    const page = await b.read(0, { frames: 99, bytes: 9999 });
    if (page.kind !== "ok") return [];
    return page.value.objects.map((one) =>
      one.kind === "page" ? one.entries.map((e) => new TextDecoder().decode(e.frame)).join() : "garbage",
    );
  };
  log.alter(2, (entries) => entries.map((one) => ({ ...one, frame: frame("altered") })));
  expect(await texts()).toEqual(["frame 0", "altered", "frame 2", "frame 3"]);
  log.swap(3, 4);
  expect(await texts()).toEqual(["frame 0", "altered", "garbage", "garbage"]);
  log.swap(3, 4);
  log.drop(3);
  expect([await texts(), log.head()]).toEqual([["frame 0", "altered"], 4]);
  log.rollBack(1);
  expect([log.numbers(), log.head()]).toEqual([[1], 1]);
});
