import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "void-run-is-dropped",
  bug: "a run that the log did not take leaves the outbox",
  oracle: "outbox",
  file: "packages/core/src/engine/settle.ts",
  find: `  const whole = unseal(tx, run.id);
  if (whole && mended.has(failed)) {
    putRun(tx, { ...run, judged: 0, failed: undefined });`,
  replace: `  const whole = unseal(tx, run.id);
  if (whole && mended.has(failed)) {
    release(deps, tx, run.id);
    dropRun(tx, run.id);`,
  seed: 68,
};
