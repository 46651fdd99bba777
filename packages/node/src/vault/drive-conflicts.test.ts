import { describe, expect, test } from "vitest";
import { firstDifference } from "./drive-conflicts.ts";

describe("where two texts begin to differ", () => {
  test("[IFC55] a few lines of both from the first that differs, with its number", () => {
    const text = (word: string): string => `1\n2\n3 ${word}\n4\n5\n6\n`;
    expect(firstDifference(text("a"), text("b"))).toEqual({
      line: 3,
      current: ["3 a", "4", "5"],
      other: ["3 b", "4", "5"],
    });
  });

  test("[IFC55] a side that has ended, and an end without a line end", () => {
    expect(firstDifference("1\n", "1\n2\n")).toEqual({ line: 2, current: [], other: ["2"] });
    expect(firstDifference("", "x")).toEqual({ line: 1, current: [""], other: ["x"] });
    expect(firstDifference("1\n", "1")).toEqual({ line: 2, current: [""], other: [] });
    expect(firstDifference("1\r\n2", "1\n2").current).toEqual(["1\r", "2"]);
  });

  test("[IFC55] of a long line what lies around the difference, cut between characters", () => {
    const long = "\u{1f600}".repeat(5000);
    const { current, other } = firstDifference(`${long}a${long}`, `${long}b${long}`);
    for (const [side, letter] of [
      [current, "a"],
      [other, "b"],
    ] as const) {
      expect(Array.from(side[0] ?? "").length).toBe(162);
      expect(side[0]).toMatch(new RegExp(`^\u2026\u{1f600}{40}${letter}\u{1f600}+\u2026$`, "u"));
    }
  });
});
