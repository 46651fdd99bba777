/**
 * Schedules of the files kind by the million: three devices, what each does and when it sends and reads, beside
 * the reference. Ends with 1 where one differs.
 *
 *   npm run schedules -- [--seeds 1000000] [--from 1] [--workers 1|2]
 */
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { bundle } from "../sim/pool.ts";
import type { ScheduleJob, ScheduleReport } from "./schedule-worker.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100000" },
    from: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
  },
});
const numbers = [values.seeds, values.from, values.workers];
if (numbers.some((text) => !/^[1-9]\d{0,11}$/.test(text)) || Number(values.workers) > 2) {
  process.stderr.write("usage: schedules [--seeds N] [--from SEED] [--workers 1|2]\n");
  process.exit(2);
}
const [seeds, from, workers] = numbers.map(Number) as [number, number, number];

const SAY_MS = 30_000;
const began = performance.now();
const total = { schedules: 0, changes: 0, failed: 0 };
let told = began;

function say(): void {
  const minutes = (performance.now() - began) / 60_000;
  process.stdout.write(
    `${total.schedules} schedules, ${total.changes} changes, ${total.failed} failed, ${Math.round(total.schedules / minutes)}/min\n`,
  );
}

function take({ schedules, changes, failed }: ScheduleReport): void {
  total.schedules += schedules;
  total.changes += changes;
  if (failed !== undefined) {
    total.failed++;
    process.exitCode = 1;
    process.stdout.write(
      `seed ${failed.seed}: ${failed.why}\nagain: npm run schedules -- --from ${failed.seed} --seeds 1\n`,
    );
  }
  if (performance.now() - told < SAY_MS) return;
  told = performance.now();
  say();
}

const script = await bundle("schedules", [], `${import.meta.dirname}/schedule-worker.ts`);
await Promise.all(
  Array.from({ length: workers }, (_, index) => {
    const count = Math.floor(seeds / workers) + (index < seeds % workers ? 1 : 0);
    const job: ScheduleJob = { from: from + index, step: workers, count };
    const worker = new Worker(script, { workerData: job, execArgv: ["--enable-source-maps"] });
    worker.on("message", take);
    return new Promise((resolve, reject) => {
      worker.on("error", reject);
      worker.on("exit", resolve);
    });
  }),
);
say();
