import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "own-end-given-up",
  bug: "own edits that only an end which gave way had confirmed are not sent again",
  oracle: "outbox",
  file: "packages/core/src/engine/replica.ts",
  find: "const again = device === undefined ? [] : takeBack(",
  replace: "const again = device === undefined || suite.id !== 0 ? [] : takeBack(",
  seed: 70,
};
