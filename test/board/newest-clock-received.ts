import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "newest-clock-received",
  bug: "an edit's clock is later than the newest clock ever seen, not than its row's",
  oracle: "intent",
  file: "packages/core/src/kinds/tables/hlc.ts",
  find: "  const past = shownClock + 1n;",
  replace: `  newest = shownClock > newest ? shownClock : newest;
  const past = newest + 1n;`,
  also: [
    {
      file: "packages/core/src/kinds/tables/hlc.ts",
      find: "export function hlcMs(",
      replace: `let newest = 0n;

export function hlcMs(`,
    },
  ],
  seed: 2,
};
