import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plan } from "@tidelock/testkit/world/plan";
import { beforeAll, describe, expect, test } from "vitest";
import { bundle, type Failed, replay, root, runSeeds } from "./pool.ts";

const found = join(import.meta.dirname, "found");
let script = "";

beforeAll(async () => {
  script = await bundle("honest");
});

/** Fresh code, fresh seeds, and still repeatable: the commit says where to begin. */
function firstSeed(): bigint {
  const given = process.env["TIDELOCK_SEED"];
  if (given !== undefined) {
    if (!/^\d{1,20}$/.test(given)) throw new RangeError(`TIDELOCK_SEED is not ${JSON.stringify(given)}`);
    return BigInt(given);
  }
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" });
    return BigInt(`0x${commit.slice(0, 12)}`);
  } catch {
    // An unpacked archive has no commits.
    return 1n;
  }
}

function times(ordinary: number): number {
  const factor = process.env["TIDELOCK_RUNS"] ?? "1";
  if (!/^[1-9]\d{0,5}$/.test(factor)) throw new RangeError(`TIDELOCK_RUNS is not ${JSON.stringify(factor)}`);
  return ordinary * Number(factor);
}

function told(failures: readonly Failed[]): string[] {
  return failures.map(
    ({ seed, failure, plan }) =>
      `${failure.oracle}: ${failure.detail}; repeat: npm run sim -- --layer ${plan?.layer ?? 2} --profile ${plan?.profile ?? "small"} --from ${seed} --seeds 1`,
  );
}

/** Node starts, bundles warm up; then a history takes tens of milliseconds. */
const allowed = (histories: number): number => 20_000 + histories * 400;

describe("histories", () => {
  test("[P1][P2][P3][P4][P5][P6][P8][P9][P10][P12][P14] the engine over a faulty network", {
    timeout: allowed(times(300)),
  }, async () => {
    const outcome = await runSeeds({
      script,
      profile: "small",
      from: firstSeed(),
      count: times(300),
      workers: 2,
    });
    expect(told(outcome.failures)).toEqual([]);
    expect(outcome.histories).toBe(times(300));
    expect(outcome.edits).toBeGreaterThan(times(300) * 5);
  });

  test("[P1][P2][P3][P4][P5][P6][P9] the folder remote on a file server that loses power", {
    timeout: allowed(times(80)),
  }, async () => {
    const outcome = await runSeeds({
      script,
      profile: "folder",
      from: firstSeed(),
      count: times(80),
      workers: 2,
    });
    expect(told(outcome.failures)).toEqual([]);
    expect(outcome.edits).toBeGreaterThan(times(80) * 2);
  });

  for (const [profile, count, title] of [
    ["files", 60, "[FIL14][P1][P2][P3][P4][P5][P6] a person's files"],
    [
      "drive",
      20,
      "[FLD1][FLD2][FLD6][FLD10][FLD15][P2][P3][P9] folders of real files, on disks that people share and that lose power",
    ],
    ["server", 16, "[P1][P2][P3][P4][P5][P6][P9] the server that ships, on a machine that loses power"],
    ["server-members", 6, "[P13][P1][P3][P4] persons come, go and change roles on the server that ships"],
  ] as const)
    test(title, { timeout: 4 * allowed(times(count)) }, async () => {
      const outcome = await runSeeds({
        script,
        profile,
        from: firstSeed(),
        count: times(count),
        workers: 2,
      });
      expect(told(outcome.failures)).toEqual([]);
      expect(outcome.edits).toBeGreaterThan(times(count) * 2);
    });

  test("[P13][P3][P4][P6] T-56: several persons come, go and change roles, and a thief writes with keys that were taken out", {
    timeout: allowed(times(60)),
  }, async () => {
    const outcome = await runSeeds({
      script,
      profile: "members",
      from: firstSeed(),
      count: times(60),
      workers: 2,
    });
    expect(told(outcome.failures)).toEqual([]);
    expect(outcome.edits).toBeGreaterThan(times(60) * 2);
  });

  test("[P3][P4][P6] more devices, more edits, longer", { timeout: allowed(times(60)) }, async () => {
    const outcome = await runSeeds({
      script,
      profile: "large",
      from: firstSeed(),
      count: times(12),
      workers: 2,
    });
    expect(told(outcome.failures)).toEqual([]);
  });

  // Layer 3: the same histories on what ships. Long ones: scripts/nightly.ts.
  for (const [profile, count, title] of [
    [
      "drive",
      6,
      "[FLD1][FLD6][FLD10][P1][P2][P3][P9] folders over real SQLite and real libsodium, on disks that lose power",
    ],
    ["small", 6, "[P1][P2][P3][P5][P6] an app's rows over real SQLite and real libsodium"],
  ] as const)
    test(title, { timeout: 4 * allowed(times(count)) }, async () => {
      const outcome = await runSeeds({
        script,
        layer: 3,
        profile,
        from: firstSeed(),
        count: times(count),
        workers: 2,
      });
      expect(told(outcome.failures)).toEqual([]);
      expect(outcome.edits).toBeGreaterThan(times(count));
    });

  test("[P6] two runs of one seed leave one trace, also where SQLite and libsodium are real", {
    timeout: 60_000,
  }, async () => {
    const one = await replay(script, { ...plan(4711), layer: 3 }, true);
    const other = await replay(script, { ...plan(4711), layer: 3 }, true);
    expect(one.failure).toBeUndefined();
    expect(one.lines).toEqual(other.lines);
    expect(one.trace).toBe(other.trace);
  });

  test("[P6] two runs of one seed leave one trace", { timeout: 30_000 }, async () => {
    const one = await replay(script, plan(4711), true);
    const other = await replay(script, plan(4711), true);
    expect(one.failure).toBeUndefined();
    expect(one.trace).toBe(other.trace);
    expect(one.lines).toEqual(other.lines);
    expect((await replay(script, plan(4712))).trace).not.toBe(one.trace);
  });
});

describe("found before", () => {
  for (const name of readdirSync(found).filter((file) => file.endsWith(".json")))
    test(`[P9] ${name.slice(0, -5).replaceAll("-", " ")}`, { timeout: 60_000 }, async () => {
      const { failure } = await replay(script, JSON.parse(readFileSync(join(found, name), "utf8")) as Plan);
      expect(failure).toBeUndefined();
    });
});

/** A few steps on two devices, nothing that goes wrong. */
function plan(seed: number): Plan {
  const step = (id: number, at: number, device: number, what: Plan["steps"][number]["do"]) => ({
    id,
    at,
    device,
    do: what,
    ms: 0,
  });
  return {
    profile: "small",
    app: "tables",
    remote: "memory",
    seed: String(seed),
    knobs: {
      shuffle: true,
      latency: 20,
      page: 1 << 20,
      wake: true,
      keepsPrev: true,
      nudge: true,
      epoch: 1_750_000_000_000,
      tick: 1,
      stampOffset: 0,
      writerStamps: false,
      clocks: [],
    },
    rates: {},
    steps: [
      step(0, 0, 0, "boot"),
      step(1, 100, 1, "boot"),
      step(2, 900, 0, "small"),
      step(3, 2_000, 1, "run"),
      step(4, 2_500, 0, "small"),
    ],
    decisions: {},
  };
}
