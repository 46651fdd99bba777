import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "anchor-not-checked",
  bug: "a valid signature over another history is no fork",
  oracle: "ghost",
  file: "packages/core/src/engine/judge.ts",
  find: `    return { kind: "halt", code: "fork" };
  if (frame.kind`,
  replace: `    if (suite.id === 0) return { kind: "halt", code: "fork" };
  if (frame.kind`,
  also: [
    {
      file: "packages/core/src/engine/apply.ts",
      find: `    if (deps.attested.fork) return { kind: "halt", code: "fork" };
`,
      replace: "",
    },
  ],
  seed: 24,
};
