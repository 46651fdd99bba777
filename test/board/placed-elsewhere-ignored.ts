import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "placed-elsewhere-ignored",
  bug: "what stands where the remote acknowledged an append is not looked at",
  oracle: "quiet",
  file: "packages/core/src/engine/replica.ts",
  find: '      if (expected !== undefined && !(mine && frame.deviceSeq === expected)) return "fork";',
  replace: "      if (expected !== undefined && !mine) acknowledged.delete(entry.seq);",
  seed: 18,
};
