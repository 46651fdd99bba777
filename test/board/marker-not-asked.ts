import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "marker-not-asked",
  bug: "a folder whose volume is away counts as emptied",
  oracle: "ledger",
  file: "packages/node/src/folder/root.ts",
  find: '  if (facts.kind !== "dir") return "there is no folder any more under its path";\n',
  replace: '  if (facts.kind === "dir") return undefined;\n',
  profile: "drive",
  seed: 70,
};
