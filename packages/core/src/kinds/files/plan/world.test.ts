/** Devices with folders over random histories, on disks of every profile, with the reducer that ships. */
import { repeatable, seeds } from "@tidelock/testkit/suites/seeds";
import { expect, test } from "vitest";
import { drawSteps, playSteps } from "../../../../../../test/reference/plan-world.ts";

const FILE = "packages/core/src/kinds/files/plan/world.test.ts";
const SEEDS = 60;
const DEVICES = 3;
const STEPS = 30;

test("[PLN12, PLN1, PLN4, PLN5] whatever people do, all devices come to rest, show the same, and lose nothing", {
  timeout: 120_000 * Number(process.env["TIDELOCK_RUNS"] ?? 1),
}, async () => {
  const met = new Set<string>();
  for (const seed of seeds(SEEDS))
    await repeatable(FILE, seed, async () => {
      playSteps(BigInt(seed), drawSteps(BigInt(seed), DEVICES, STEPS), DEVICES, (what) => met.add(what));
    });
  // One seed alone need not meet them all.
  if (process.env["TIDELOCK_SEED"] === undefined)
    expect([...met].sort()).toEqual(expect.arrayContaining(ALL));
});

const ALL = [
  "brought-back",
  "create",
  "createFile",
  "delete",
  "makeDir",
  "makeLink",
  "meta",
  "mkdir",
  "move",
  "removeDir",
  "rename",
  "replaceFile",
  "setExecutable",
  "symlink",
  "toTrash",
  "write",
];
