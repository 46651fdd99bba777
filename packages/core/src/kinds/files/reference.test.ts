/** The kind beside the same law said plainly, over random histories, after every change. */
import { forSeeds } from "@tidelock/testkit/suites/seeds";
import { describe, expect, test } from "vitest";
import { compareEnd, compareSteps, explain } from "../../../../../test/reference/files-compare.ts";
import { drawSteps } from "../../../../../test/reference/files-world.ts";

const SEEDS = 25;
const DEVICES = 3;
const STEPS = 60;

describe("beside the reference", () => {
  test("[FIL1, FIL5, FIL6, FIL7, FIL8, FIL9, FIL10, FIL11, FIL12, FIL13, FIL14, FIL15, FIL16] Y-9, Y-29, M-13: after every change: the same outcomes, items, history and journal; the tree is whole, nothing lost", {
    timeout: 300_000 * Number(process.env["TIDELOCK_RUNS"] ?? 1),
  }, async () => {
    const met = new Map<string, number>();
    await forSeeds(SEEDS, async (seed) => {
      try {
        compareSteps(drawSteps(BigInt(seed), DEVICES, STEPS), DEVICES, (became) =>
          met.set(became.replace(/ [0-9a-f]{32}$/, ""), 1),
        );
      } catch (error) {
        throw new Error(explain(seed, DEVICES, STEPS) ?? "", { cause: error });
      }
    });
    // One seed alone need not meet them all.
    if (process.env["TIDELOCK_SEED"] === undefined) expect([...met.keys()].sort()).toEqual(OUTCOMES);
  });
});

test("[FIL1, FIL14, FIL16] short schedules, looked at where they end: the same", async () => {
  await forSeeds(200, async (seed) => {
    compareEnd(drawSteps(BigInt(seed), DEVICES, 24), DEVICES, seed % 12);
  });
});

const OUTCOMES = [
  "adjusted",
  "copy",
  "ok",
  "same",
  "void bad",
  "void cycle",
  "void gone",
  "void moved",
  "void settled",
  "void touched",
];
