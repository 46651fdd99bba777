import { describe, expect, test } from "vitest";
import { hunt, MOST_SEEDS, readBoard } from "./board.ts";

const bugs = await readBoard();

test("the board has no hole: every id once, and ten bugs or more", () => {
  expect(new Set(bugs.map((bug) => bug.id)).size).toBe(bugs.length);
  expect(bugs.length).toBeGreaterThanOrEqual(10);
});

describe("planted bugs", () => {
  for (const bug of bugs)
    test(`${bug.id}: ${bug.oracle} fails`, { timeout: 240_000 }, async () => {
      // Its known seed first; a change of the world may have moved it.
      const known = await hunt(bug, BigInt(bug.seed), 1);
      const caught = known ?? (await hunt(bug, 1n));
      expect(caught, `${bug.bug}: not within ${MOST_SEEDS} seeds`).toBeDefined();
    });
});
