import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "key-never-asked-for",
  bug: "a device that applied a new epoch waits for its key without asking",
  oracle: "quiet",
  file: "packages/core/src/engine/sync.ts",
  find: `        return (await openEpoch(true)) ?? "applied-some";`,
  replace: `        return stick("key-missing");`,
  profile: "members",
  seed: 5,
};
