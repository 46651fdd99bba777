import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "rename-agrees-on-a-save",
  bug: "what is saved into a file while the folder renames it counts as what the vault has",
  oracle: "ledger",
  file: "packages/node/src/folder/down.ts",
  find: "!sameBytesLikely(did.facts, agreed);",
  replace: "!sameBytesLikely(did.facts, did.facts);",
  also: [
    {
      file: "packages/node/src/folder/hands.ts",
      find: 'if (facts.kind === "file" && !sameBytesLikely(facts, expected)) return MOVED;',
      replace: "",
    },
    {
      file: "packages/node/src/folder/down.ts",
      find: "racyUntil(row, probed.profile) === undefined ? entry.print : UNSURE",
      replace: "(racyUntil(row, probed.profile), UNSURE, entry.print)",
    },
  ],
  profile: "drive",
  seed: 210,
};
