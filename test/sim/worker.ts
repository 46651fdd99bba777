/** A thread that runs histories: bundled, so that a planted bug can be in it and so that it starts fast. */
// First, before any product code.
import "@tidelock/testkit/world/isolate";
import { parentPort, workerData } from "node:worker_threads";
import type { Decision } from "@tidelock/testkit/world/faults";
import { runPlan, type Verdict } from "@tidelock/testkit/world/history";
import { isolated } from "@tidelock/testkit/world/isolate";
import { drawPlan, type Plan, profiles } from "@tidelock/testkit/world/plan";
import { shrink } from "@tidelock/testkit/world/shrink";
import type { Job, Report } from "./pool.ts";
import { worldOptions } from "./profiles.ts";

const job = workerData as Job;
const REPEAT_EVERY = 50n;
const REPORT_MS = 300;

function post(report: Report): void {
  parentPort?.postMessage(report);
}

function planOf(seed: bigint): Plan {
  const profile = profiles[job.profile];
  if (profile === undefined) throw new RangeError(`no profile ${job.profile}`);
  return drawPlan(profile, seed, job.layer);
}

function checked(verdict: Verdict): Verdict {
  if (verdict.failure !== undefined || isolated.escapes.length === 0) return verdict;
  const detail = `product code left the simulated world: ${isolated.escapes[0]}`;
  return { ...verdict, failure: { oracle: "error", detail, at: verdict.time } };
}

function once(seed: bigint): Verdict {
  const verdict = checked(runPlan(planOf(seed), worldOptions));
  if (verdict.failure !== undefined || seed % REPEAT_EVERY !== 0n) return verdict;
  const again = runPlan(planOf(seed), worldOptions);
  if (again.trace === verdict.trace) return verdict;
  const detail = `two runs of seed ${seed} left the traces ${verdict.trace} and ${again.trace}`;
  return { ...verdict, failure: { oracle: "repeat", detail, at: verdict.time } };
}

/** The same failure with every decision written down, then made small. */
function recorded(seed: bigint): Plan {
  const record: Record<string, Decision> = {};
  const plan = planOf(seed);
  runPlan(plan, { ...worldOptions, record });
  return { ...plan, decisions: record };
}

function seeds(): void {
  const start = isolated.now();
  const [from, step] = [BigInt(job.from), BigInt(job.step)];
  let n = 0n;
  let told = start;
  let [histories, events, edits] = [0, 0, 0];
  const tell = (done: boolean): void => {
    post({ kind: "progress", histories, events, edits, done });
    [histories, events, edits] = [0, 0, 0];
    told = isolated.now();
  };
  const next = (): void => {
    const over = isolated.now() - start > job.seconds * 1_000 || n >= BigInt(job.count);
    if (over) {
      tell(true);
      return;
    }
    const seed = from + n++ * step;
    const verdict = once(seed);
    histories++;
    events += verdict.events;
    edits += verdict.edits;
    const { failure } = verdict;
    if (failure !== undefined) {
      tell(false);
      const plan = recorded(seed);
      post({ kind: "failed", seed: String(seed), failure, plan });
      if (job.shrink && failure.oracle !== "repeat") {
        const small = shrink(plan, failure.oracle, worldOptions, isolated.now);
        post({ kind: "shrunk", seed: String(seed), failure: small.failure, plan: small.plan });
      }
    }
    if (isolated.now() - told > REPORT_MS) tell(false);
    isolated.task(next);
  };
  isolated.task(next);
}

function replay(plan: Plan): void {
  isolated.task(() => {
    const lines: string[] = [];
    const say = job.say ? (line: string): number => lines.push(line) : undefined;
    const verdict = checked(runPlan(plan, { ...worldOptions, ...(say === undefined ? {} : { say }) }));
    post({ kind: "replayed", failure: verdict.failure, lines, trace: verdict.trace });
  });
}

if (job.plan === undefined) seeds();
else replay(job.plan);
