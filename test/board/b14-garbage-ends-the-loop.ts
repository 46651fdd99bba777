import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b14-garbage-ends-the-loop",
  bug: "garbage at a number holds up the log for ever",
  oracle: "quiet",
  file: "packages/core/src/engine/apply.ts",
  find: '    if (entry.seq > (pass ?? 0) && !isAttested(deps, tx, entry.seq)) return { kind: "waiting" };',
  replace: '    if (pass !== Number.NaN) return { kind: "waiting" };',
  seed: 6,
};
