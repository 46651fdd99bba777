import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "other-end-claimed",
  bug: "a frame sealed for an end that gave way is sent as it was",
  oracle: "ghost",
  file: "packages/core/src/engine/take-back.ts",
  find: `  sealAnew(tx, from);
  return ids;`,
  replace: `  if (from === 0) sealAnew(tx, from);
  return ids;`,
  seed: 73,
};
