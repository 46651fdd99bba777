import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import type { Sealed } from "../bytes/brand.ts";
import type { AppendResult } from "../ports.ts";
import { foundVault, makeGenesis } from "./found.ts";
import { findVault, joinVault } from "./join.ts";

/** A place that assigns numbers itself, as a server does: nobody is told that he is behind. */
function assignNumbers(kit: Kit, device: Device): void {
  device.faults.replaced = () => ({
    append: async (frames: readonly Sealed[]): Promise<AppendResult> => {
      const first = kit.log.head() + 1;
      kit.log.put(first, kit.pageBytes(first, null, frames));
      return { kind: "committed", first };
    },
  });
}

describe("joining", () => {
  test("[VLT10] a device joins by the phrase and holds what the others hold", async () => {
    const kit = fastKit(1);
    const a = await kit.found();
    kit.write(a, "one", "two");
    await kit.sync(a);
    const b = await kit.join("second");
    await kit.sync(b);
    expect(b.engine.device).toBe(1);
    expect(kit.notes(b)).toEqual(["one", "two"]);
    kit.write(b, "three");
    await kit.converge(b, a);
    expect(kit.held(a)).toEqual(kit.held(b));
    expect(a.replica.read((tx) => a.replica.membership.deviceName(tx, 1))).toBe("second");
    expect(b.replica.read((tx) => b.replica.membership.settings(tx)?.vaultName)).toBe("home");
  });

  test("[VLT11, MEM5] devices that join at once are all admitted, and nobody waits", async () => {
    const kit = fastKit(2);
    const a = await kit.found();
    const devices = ["b", "c", "d"].map((name) => kit.open(name, a.replica.genesis));
    for (const device of devices) assignNumbers(kit, device);
    await kit.time.until(Promise.all(devices.map((device) => kit.admit(device))));
    await kit.converge(a, ...devices);
    expect(new Set(devices.map((d) => d.engine.device))).toEqual(new Set([1, 2, 3]));
    const verdicts = kit.verdicts(a);
    expect(verdicts.length).toBeLessThan(12);
    expect(new Set(verdicts)).toEqual(new Set(["", "member-race"]));
    for (const device of devices) expect(kit.held(device)).toEqual(kit.held(a));
    for (const device of devices) kit.write(device, device.name);
    await kit.converge(...devices, a);
    expect([...kit.notes(a)].sort()).toEqual(["b", "c", "d"]);
    expect(kit.time.mono).toBeLessThan(10_000);
  });

  test("[VLT12, LOG7] garbage at the end of the log: a join waits, passes it and attests; the others follow", async () => {
    const kit = fastKit(3);
    const a = await kit.found();
    kit.log.put(2, Uint8Array.of(1, 2, 3));
    const b = await kit.join("b");
    expect(b.engine.device).toBe(1);
    expect(kit.time.mono).toBeGreaterThanOrEqual(60_000);
    expect(kit.log.head()).toBe(3);
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 3 });
    expect(kit.verdicts(a)).toEqual(["", "malformed", ""]);
  });

  test("[VLT12] without a scheduler such a join says so, and sends nothing", async () => {
    const kit = fastKit(4);
    await kit.found();
    kit.log.put(2, Uint8Array.of(1, 2, 3));
    const genesis = await findVault(kit.suite, kit.remote(), kit.person);
    const b = kit.open("b", genesis);
    const joining = joinVault(kit.suite, kit.clock, b.replica, kit.remote(), kit.person, "b");
    await expect(joining).rejects.toMatchObject({ code: "stalled" });
    expect(kit.log.head()).toBe(2);
  });

  test("[VLT10] killed at any step and run again, a join ends with one admission", async () => {
    for (let at = 1; ; at++) {
      const steps = killSwitch();
      const kit = fastKit(at, { point: steps.here });
      const a = await kit.found();
      kit.write(a, "one");
      await kit.sync(a);
      let b = kit.open("b", a.replica.genesis);
      const armed = (): void => {
        b.faults.hooks = { before: () => steps.here(), after: () => steps.here() };
      };
      armed();
      steps.arm(at);
      const first = await kit.time.until(
        kit.admit(b).then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      if (first !== undefined) expect(first).toBeInstanceOf(Killed);
      steps.arm(0);
      b = kit.restart(b);
      await kit.time.until(kit.admit(b));
      await kit.converge(a, b);
      expect(b.engine.device, `step ${at}`).toBe(1);
      expect(kit.held(b)).toEqual(kit.held(a));
      expect(kit.verdicts(a)).toEqual(["", "", ""]);
      kit.write(b, "two");
      await kit.converge(b, a);
      expect(kit.notes(a)).toEqual(["one", "two"]);
      if (first === undefined) break;
    }
  });

  test("[VLT10] its answer lost, its append late, or another's in between: still one admission", async () => {
    for (const fate of ["lost", "unknown", "late", "beaten"] as const) {
      const kit = fastKit(5);
      const a = await kit.found();
      const b = kit.open("b", a.replica.genesis);
      let late: Uint8Array[] = [];
      let once = true;
      b.faults.replaced = (honest) => ({
        append: async (frames, seen) => {
          if (!once) return honest.append(frames, seen);
          once = false;
          if (fate === "beaten") {
            kit.write(a, "first");
            await kit.sync(a);
            return honest.append(frames, seen);
          }
          if (fate === "lost") await honest.append(frames, seen);
          if (fate === "late") late = [...frames];
          return { kind: "unknown" };
        },
      });
      await kit.time.until(kit.admit(b));
      if (late.length > 0) kit.log.put(kit.log.head() + 1, kit.pageBytes(kit.log.head() + 1, null, late));
      await kit.converge(a, b);
      expect(b.engine.device, fate).toBe(1);
      expect(a.replica.read((tx) => a.replica.membership.devices(tx)).length).toBe(2);
      expect(kit.held(b)).toEqual(kit.held(a));
      kit.write(b, "two");
      await kit.converge(b, a);
      expect(kit.notes(a)).toContain("two");
    }
  });

  test("[VLT10, VLT5] K12: without the envelopes, with others or with damaged ones there is no join, and nothing is written", async () => {
    const kit = fastKit(6);
    const a = await kit.found();
    kit.write(a, "one");
    await kit.sync(a);
    const [[id, pack]] = [...kit.log.blobs] as [[string, Uint8Array]];
    const other = fastKit(7);
    await other.found();
    const [[, foreign]] = [...other.log.blobs] as [[string, Uint8Array]];
    const cases: [string, Uint8Array | undefined, string][] = [
      ["withheld", undefined, "key-missing"],
      ["another vault's", foreign, "blob-damaged"],
      ["cut", pack.slice(0, -1), "blob-damaged"],
      ["changed", pack.with(40, (pack[40] as number) ^ 1), "blob-damaged"],
    ];
    for (const [what, bytes, code] of cases) {
      if (bytes === undefined) kit.log.blobs.delete(id);
      else kit.log.blobs.set(id, bytes);
      await expect(kit.join("b"), what).rejects.toMatchObject({ code });
      expect(kit.log.head()).toBe(2);
    }
    kit.log.blobs.set(id, pack);
    expect((await kit.join("b")).engine.device).toBe(1);
  });

  test("[MEM8] a name that cannot be used is refused before anything is read or written", async () => {
    const kit = fastKit(8);
    const a = await kit.found();
    const b = kit.open("", a.replica.genesis);
    await expect(kit.admit(b)).rejects.toMatchObject({ code: "bad-name" });
    expect(b.replica.cursor().read).toBe(0);
    expect(kit.log.head()).toBe(1);
  });
});

describe("founding", () => {
  test("[VLT9] is usable before any remote has seen it, and the remote gets all of it at the first sync", async () => {
    const kit = fastKit(20);
    const a = kit.foundOffline();
    expect(a.engine.device).toBe(0);
    kit.write(a, "offline");
    expect(kit.heldNotes(a)).toEqual(["offline"]);
    expect(kit.log.genesis).toBeUndefined();
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 2 });
    expect(kit.notes(a)).toEqual(["offline"]);
    expect(kit.log.genesis).toEqual(a.replica.genesis.bytes);
    expect(kit.log.blobs.size).toBe(1);
    const b = await kit.join("b");
    await kit.converge(a, b);
    expect(kit.held(b)).toEqual(kit.held(a));
  });

  test("[VLT9] killed at any step and started again there is one vault, whole", async () => {
    for (let at = 1; ; at++) {
      const steps = killSwitch();
      const kit = fastKit(at, { point: steps.here });
      let a = kit.foundOffline();
      kit.write(a, "offline");
      a.faults.hooks = { before: () => steps.here(), after: () => steps.here() };
      steps.arm(at);
      await kit.sync(a);
      const done = steps.armed();
      steps.arm(0);
      a = kit.restart(a);
      expect(await kit.sync(a), `step ${at}`).toMatchObject({ kind: "live", head: 2 });
      expect(kit.notes(a)).toEqual(["offline"]);
      expect(kit.verdicts(a)).toEqual(["", ""]);
      const b = await kit.join("b");
      await kit.sync(b);
      expect(kit.notes(b)).toEqual(["offline"]);
      if (done) break;
    }
  });

  test("[VLT9] a transaction that fails leaves no half of a vault", () => {
    const kit = fastKit(21);
    const keys = kit.newKeys();
    const a = kit.open("a", makeGenesis(kit.suite, kit.clock, kit.person, keys), keys);
    const names = { vault: "home", device: "a" };
    expect(() => foundVault(kit.suite, kit.clock, a.replica, { ...names, device: "" })).toThrow();
    expect(() => foundVault(kit.suite, kit.clock, a.replica, { ...names, vault: "x".repeat(300) })).toThrow();
    expect(a.engine.device).toBeUndefined();
    expect(a.replica.digest()).toBe(0n);
    foundVault(kit.suite, kit.clock, a.replica, names);
    expect(a.engine.device).toBe(0);
  });

  test("[VLT9] where another vault lives, nothing is written and it is said", async () => {
    const kit = fastKit(22);
    await kit.found();
    const stranger = fastKit(23);
    const other = stranger.foundOffline();
    stranger.log.genesis = kit.log.genesis;
    expect(await stranger.sync(other)).toMatchObject({ kind: "stopped", code: "exists" });
    expect(stranger.log.head()).toBe(0);
    expect(stranger.log.blobs.size).toBe(0);
  });
});

class Killed extends Error {}

/** Kills at the n-th place it is asked; 0 never. */
function killSwitch(): {
  readonly here: () => undefined;
  readonly arm: (n: number) => void;
  readonly armed: () => boolean;
} {
  let left = 0;
  return {
    here: () => {
      if (left > 0 && --left === 0) throw new Killed("planted");
      return undefined;
    },
    arm: (n) => {
      left = n;
    },
    armed: () => left > 0,
  };
}
