// Every check, whatever the one before it found: one run shows all there is to repair.
import { runSteps } from "./steps.ts";

const checks = ["types", "lint", "repo", "dead"];
process.exitCode = runSteps(
  checks.map((name) => ({ name, command: `npm run --silent check:${name}` })),
  { stop: false },
);
