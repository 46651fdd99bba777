import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "overlay-not-released",
  bug: "an edit stays in the overlay after its verdict",
  oracle: "reads",
  file: "packages/core/src/engine/settle.ts",
  find: "  for (const kind of deps.kinds.values()) kind.release(tx, run);",
  replace: "  for (const kind of deps.kinds.values()) if (kind.section !== 2) kind.release(tx, run);",
  seed: 3,
};
