import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "lost-role-drops-edits",
  bug: "an edit made before its author's role was lost leaves the outbox",
  oracle: "outbox",
  file: "packages/core/src/engine/seal.ts",
  find: `  putRun(tx, { ...run, judged: 0, failed: undefined, parked: reason });
  deps.decide(run.id, { kind: "void", seq, reason });`,
  replace: `  dropRun(tx, run.id);
  deps.decide(run.id, { kind: "void", seq, reason });`,
  profile: "members",
  seed: 49,
};
