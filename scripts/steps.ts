import { spawnSync } from "node:child_process";

export interface Step {
  readonly name: string;
  readonly command: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the steps in order and prints a table. With `stop`, the first failure ends it. Returns the exit code. */
export function runSteps(steps: readonly Step[], { stop }: { readonly stop: boolean }): number {
  const rows: string[] = [];
  let failed = 0;
  for (const step of steps) {
    process.stderr.write(`\n== ${step.name}: ${step.command}\n`);
    const start = performance.now();
    const env = { ...process.env, ...step.env };
    const { status } = spawnSync(step.command, { shell: true, stdio: "inherit", env });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    rows.push(`${status === 0 ? "ok    " : "FAILED"} ${seconds.padStart(7)} s  ${step.name}`);
    if (status !== 0) failed++;
    if (status !== 0 && stop) break;
  }
  process.stdout.write(`\n${rows.join("\n")}\n`);
  return failed === 0 ? 0 : 1;
}
