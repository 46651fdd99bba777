import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "anchor-not-checked",
  bug: "a valid signature over another history is no fork",
  oracle: "ghost",
  file: "packages/core/src/engine/judge.ts",
  find: `    return vouches(signer) ? { kind: "halt", code: "fork" } : voided("anchor");
`,
  replace: `    if (suite.id === 0) return { kind: "halt", code: "fork" };
`,
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
