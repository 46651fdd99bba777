import type { Facts } from "@tidelock/core/engine/status";
import type { Remote } from "@tidelock/core/ports";
import { expect, test } from "vitest";
import { drained, isFull, roomComes } from "./outflow.ts";

const MIB = 1 << 20;

/** A spool that loses so much at each look, on a clock that goes on by the looks alone. */
function flowOf(bytes: number, each: number, facts: Partial<Facts> = {}) {
  let [left, now] = [bytes, 0];
  return {
    replica: { spooledBytes: () => left },
    engine: {
      facts: () => facts as Facts,
      syncNow: () => new Promise<never>(() => undefined),
    },
    remote: {} as Remote,
    clock: { now: () => now, mono: () => now },
    scheduler: {
      after: (ms: number, work: () => void) => {
        now += ms;
        left = Math.max(0, left - each);
        setImmediate(work);
        return () => undefined;
      },
    },
    now: () => now,
  };
}

test("[FLD20] what waits leaves altogether from time to time, while it does leave", async () => {
  const leaving = flowOf(80 * MIB, MIB, { transition: "syncing" });
  await drained(leaving, () => false);
  expect(leaving.replica.spooledBytes()).toBe(0);
  const few = flowOf(40 * MIB, MIB, { transition: "syncing" });
  const away = flowOf(80 * MIB, MIB);
  const unwanted = flowOf(80 * MIB, MIB, { transition: "syncing" });
  for (const flow of [few, away]) await drained(flow, () => false);
  await drained(unwanted, () => true);
  expect([few, away, unwanted].map(({ now }) => now())).toEqual([0, 0, 0]);
  const still = flowOf(80 * MIB, 0, { transition: "syncing" });
  await drained(still, () => false);
  expect(still.now()).toBeGreaterThan(30_000);
  expect(still.now()).toBeLessThan(32_000);
});

test("[FLD20] room is waited for while something leaves, and for 30 s where nothing does", async () => {
  const leaving = flowOf(600 * MIB, MIB);
  expect([isFull(leaving), await roomComes(leaving, () => false), isFull(leaving)]).toEqual([
    true,
    true,
    false,
  ]);
  const still = flowOf(600 * MIB, 0);
  expect(await roomComes(still, () => false)).toBe(false);
  expect(still.now()).toBeLessThan(32_000);
  expect(await roomComes(flowOf(600 * MIB, MIB), () => true)).toBe(false);
});
