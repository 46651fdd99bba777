import { describe, expect, test } from "vitest";
import { runSchedule } from "../../../../../test/reference/files-world.ts";

const SEEDS = 80;

describe("random histories", () => {
  test("[FIL1, FIL14, FIL16] three devices: a whole tree after every change, no content lost, one state in the end", {
    timeout: 60_000,
  }, () => {
    const kinds = new Map<string, number>();
    for (let seed = 1n; seed <= SEEDS; seed++) {
      let outcomes: ReturnType<typeof runSchedule>["outcomes"];
      try {
        ({ outcomes } = runSchedule(seed, 3, 60));
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      for (const one of outcomes) {
        const kind = one.kind === "void" ? one.reason : one.kind;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
    }
    // Nothing above was looked for in vain.
    for (const kind of ["ok", "adjusted", "same", "copy", "gone", "moved", "cycle", "touched", "settled"])
      expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(0);
  });
});
