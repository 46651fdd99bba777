import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b12-run-frame-by-frame",
  bug: "a run is applied frame by frame",
  oracle: "reads",
  file: "packages/core/src/engine/apply.ts",
  find: `    return { verdict: { reason: undefined, applied: false, fallen }, sections: [] };
  }
  const held = open?.seqs ?? [];
  if (open !== undefined) tx.delete(OPEN_RUNS, runKey(frame.device));
  const earlier = held.flatMap((seq) => reopen(deps, tx, seq));`,
  replace: `    return { verdict: { reason: undefined, applied: false, fallen }, sections };
  }
  if (open !== undefined) tx.delete(OPEN_RUNS, runKey(frame.device));
  const earlier: readonly Section[] = [];`,
  also: [
    {
      file: "packages/core/src/engine/sync.ts",
      find: "const SLICE = 4096;",
      replace: "const SLICE = 1;",
    },
  ],
  seed: 2,
};
