import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b22-delete-wins",
  bug: "a delete takes what somebody else wrote meanwhile",
  oracle: "digest",
  file: "packages/core/src/kinds/files/tree.ts",
  find: "return (stamp.device === device ? stamp.other : stamp.seq) <= base;",
  replace: "return (stamp.device === device ? stamp.other : stamp.seq) <= base || device >= 0;",
  profile: "files",
  seed: 2,
};
