import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b20-tie-not-broken-by-seq",
  bug: "equal clocks are not ordered by their seq",
  oracle: "digest",
  file: "packages/core/src/kinds/tables/row.ts",
  find: "  return a.ms === 0 && a.count === 0 ? b.seq - a.seq : a.seq - b.seq;",
  replace: "  return 0;",
  seed: 19,
};
