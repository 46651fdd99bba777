import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b15-retry-without-bound",
  bug: "a retry ignores how long the remote asked to wait",
  oracle: "bounded",
  file: "packages/core/src/engine/sync.ts",
  find: "return Math.max(RETRY.base, failure.retryAfter);",
  replace: "return 1;",
  // Who else asks would be kept from it.
  also: [
    {
      file: "packages/core/src/engine/considerate.ts",
      find: "if (before === urged) until = Math.max(until, clock.mono() + retryAfter);",
      replace: "if (before > urged) until = Math.max(until, clock.mono() + retryAfter);",
    },
  ],
  seed: 16,
};
