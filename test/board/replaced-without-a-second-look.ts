import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "replaced-without-a-second-look",
  bug: "a file that a program put under a name since the first look is replaced by what the vault has",
  oracle: "ledger",
  file: "packages/node/src/folder/hands.ts",
  find: "if (there.ino !== expected.ino || !sameBytesLikely(there, expected)) return MOVED;",
  replace: "",
  profile: "drive",
  seed: 86,
};
