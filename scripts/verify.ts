// Everything a release needs, in order. The first failure ends it.
import { readdirSync } from "node:fs";
import { runSteps, type Step } from "./steps.ts";

const packages = readdirSync("packages", { withFileTypes: true }).filter((entry) => entry.isDirectory());

const steps: readonly Step[] = [
  { name: "the lock file installs", command: "npm ci --dry-run" },
  { name: "build from nothing", command: "tsc -b --clean && tsc -b" },
  { name: "tests", command: "npm test" },
  ...packages.map(
    ({ name }): Step => ({ name: `${name} as published`, command: `publint --strict packages/${name}` }),
  ),
  { name: "benchmarks", command: "npm run bench" },
];

process.exitCode = runSteps(steps, { stop: true });
