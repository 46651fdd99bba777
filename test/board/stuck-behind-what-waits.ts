import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "stuck-behind-what-waits",
  bug: "what came after an entry that waits is not read",
  oracle: "quiet",
  file: "packages/core/src/engine/pull.ts",
  find: "    if (result.fresh === 0 && more && after < read) after = read;",
  replace: "    if (result.fresh < 0 && more && after < read) after = read;",
  seed: 213,
};
