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
  {
    name: "spoiled requests, answers and messages",
    command: "npx vitest run --testTimeout=1800000 fuzz.test.ts",
    env: { TIDELOCK_RUNS: String(Number(runs) * 5) },
  },
  {
    name: "files beside their reference",
    command: "npx vitest run packages/core/src/kinds/files/reference.test.ts",
    env: { TIDELOCK_RUNS: String(Number(runs) * 10) },
  },
  {
    name: "short schedules of files beside their reference",
    command: `npm run --silent schedules -- --seeds ${Number(runs) * 2_000} --from ${Math.floor(Date.now() / 86_400_000) * 1_000_000}`,
  },
  {
    name: "folders planned over random histories",
    command: "npx vitest run packages/core/src/kinds/files/plan/world.test.ts",
    env: { TIDELOCK_RUNS: String(Number(runs) * 10) },
  },
  // The histories of every day on real SQLite and real libsodium, from other seeds each night.
  ...["drive", "small", "files", "server"].map((profile) => ({
    name: `layer 3 simulation: ${profile}`,
    command: `npm run --silent sim -- --layer 3 --profile ${profile} --seeds ${Number(runs) * 40} --from ${Math.floor(Date.now() / 86_400_000)}000000`,
  })),
  // Each on its own: the one that fails must not keep the others from running. 50 runs are 1,000 kills.
  ...["server", "client", "daemon", "folder", "drive"].map((victim) => ({
    name: `real kills: ${victim}`,
    command: `npm run --silent kills -- ${victim} --kills ${Number(runs) * 20} --seed ${Math.floor(Date.now() / 86_400_000)}`,
  })),
];

process.exitCode = runSteps(steps, { stop: false });
