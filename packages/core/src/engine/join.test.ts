import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import type { Sealed } from "../bytes/brand.ts";
import type { AppendResult } from "../ports.ts";
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
    expect(devices.map((d) => d.engine.device).sort()).toEqual([1, 2, 3]);
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
});
