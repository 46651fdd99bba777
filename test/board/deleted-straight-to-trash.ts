import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "deleted-straight-to-trash",
  bug: "a file whose item died goes to the trash at once, with what a program goes on writing into it",
  oracle: "ledger",
  file: "packages/node/src/folder/down.ts",
  find: 'return step.do === "toTrash" && step.entry.kind === "file";',
  replace: "return false;",
  profile: "drive",
  seed: 48,
};
