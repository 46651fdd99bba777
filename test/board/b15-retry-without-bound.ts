import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b15-retry-without-bound",
  bug: "a retry ignores how long the remote asked to wait",
  oracle: "bounded",
  file: "packages/core/src/engine/sync.ts",
  find: "      return Math.min(Math.max(RETRY.base, failure.retryAfter), BUSY_CAP);",
  replace: "      return 1;",
  seed: 16,
};
