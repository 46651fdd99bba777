// The long suites: the same tests as every day's, with more runs. A failure prints the line that repeats it.
import { runSteps, type Step } from "./steps.ts";

const runs = process.env["TIDELOCK_RUNS"] ?? "50";
if (!/^[1-9][0-9]{0,5}$/.test(runs)) {
  process.stderr.write(`TIDELOCK_RUNS is a number from 1 to 999999, not ${JSON.stringify(runs)}.\n`);
  process.exit(2);
}

// Add a long suite here. Each step runs whatever the one before it did: one night shows everything.
const steps: readonly Step[] = [
  {
    name: "all suites, many runs",
    command: "npx vitest run --testTimeout=1800000",
    env: { TIDELOCK_RUNS: runs },
  },
];

process.exitCode = runSteps(steps, { stop: false });
