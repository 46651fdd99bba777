import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b23-late-write-dropped",
  bug: "what a program writes into a file while its next version takes its place is thrown away",
  oracle: "ledger",
  file: "packages/node/src/folder/stage.ts",
  find: "if (!(untouched || isReader(host))) return readLate(deps, one);",
  replace: "if (!(untouched || isReader(host))) await readLate;",
  profile: "drive",
  seed: 22,
};
