import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b03-number-reused-is-placed",
  bug: "other bytes under a number that a device has used are answered with the first one's place",
  oracle: "acked",
  file: "packages/server/src/log/plan.ts",
  find: `      if (!equalBytes(found.id, id))
        return refused("op-reused", "another frame of this device has this number");
`,
  replace: "",
  profile: "server",
  seed: 12,
};
