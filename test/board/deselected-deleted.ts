import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "deselected-deleted",
  bug: "what was deselected keeps its row, and counts as deleted once it is not on the disk",
  oracle: "intent",
  file: "packages/core/src/kinds/files/plan/judge.ts",
  find: 'else if (one !== undefined && seen.shown === "yes" && isCurrent(one, self))',
  replace: "else if (one !== undefined && isCurrent(one, self))",
  also: [
    {
      file: "packages/core/src/kinds/files/plan/pair.ts",
      find: 'const seen = state === "live" ? near : undefined;',
      replace: "const seen = near;",
    },
    {
      file: "packages/core/src/kinds/files/plan/up.ts",
      find: 'const isOver = node === undefined && !held && (state !== "live" ||',
      replace:
        'const isOver = node === undefined && !held && ((state !== "live" && state !== "deselected") ||',
    },
    {
      file: "packages/node/src/folder/down.ts",
      find: 'if (did.kind === "done" && id !== undefined) this.#changes.push({ id, set: undefined });',
      replace: "",
    },
  ],
  profile: "drive",
  seed: 3,
};
