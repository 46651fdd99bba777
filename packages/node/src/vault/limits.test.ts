import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig, writeConfig } from "../home/config.ts";
import { type HomePaths, homePaths } from "../home/paths.ts";
import { createLimits, holds } from "./limits.ts";

let root: string;
let paths: HomePaths;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "tidelock-limits-"));
  paths = await homePaths({ home: root });
  writeConfig(paths, { vaults: [{ id: "ab".repeat(32), keys: "plain" }] });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const at = (hour: number): number => new Date(2026, 10, 21, hour, 30).getTime();

describe("limits", () => {
  test("[IFC65] they stand in the config beside the vault, and what is not said stays", () => {
    let changes = 0;
    const limits = createLimits(paths, () => ({ changed: () => changes++ }));
    limits.set({ up: 500_000 });
    limits.set({ down: 2_000_000, schedule: "8-18" });
    expect(readConfig(paths)).toEqual({
      vaults: [{ id: "ab".repeat(32), keys: "plain" }],
      limit: { up: 500_000, down: 2_000_000, schedule: "8-18" },
    });
    expect(createLimits(paths, () => ({ changed: () => undefined })).get()).toEqual(limits.get());
    expect(limits.at({ now: () => at(9) })).toMatchObject({ up: 500_000 });
    expect(limits.at({ now: () => at(19) })).toEqual({});
    expect(limits.set({ up: 0, schedule: "" })).toEqual({ down: 2_000_000 });
    expect(changes).toBe(3);
  });

  test("[IFC65] Y-33: a schedule holds in its hours, also over midnight; one that makes no sense is refused", () => {
    expect([7, 8, 17, 18, 22, 23].map((hour) => holds("8-18,22-24", at(hour)))).toEqual([
      false,
      true,
      true,
      false,
      true,
      true,
    ]);
    expect([21, 22, 0, 5, 6].map((hour) => holds("22-6", at(hour)))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    const limits = createLimits(paths, () => ({ changed: () => undefined }));
    for (const schedule of ["8", "8-8", "25-3", "8-18,", "x-y"])
      expect(() => limits.set({ schedule })).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => limits.set({ up: 100 })).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
