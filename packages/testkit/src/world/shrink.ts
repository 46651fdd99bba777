/** Makes a failing history small: as long as the same oracle fails, what can be left out is left out. */
import { type Options, runPlan } from "./history.ts";
import type { Plan } from "./plan.ts";
import type { Oracle, Violation } from "./world.ts";

const MOST_RUNS = 2_000;
const MOST_MS = 60_000;

export interface Shrunk {
  readonly plan: Plan;
  readonly failure: Violation;
  readonly runs: number;
}

/** `plan` holds its decisions. The seed stays: what is left out takes nothing else with it. */
export function shrink(plan: Plan, oracle: Oracle, options: Options, now: () => number): Shrunk {
  const end = now() + MOST_MS;
  let runs = 0;
  let failure: Violation = { oracle, detail: "not repeated", at: 0 };
  const fails = (candidate: Plan): boolean => {
    if (runs >= MOST_RUNS || now() > end) return false;
    runs++;
    const found = runPlan(candidate, options).failure;
    if (found?.oracle !== oracle) return false;
    failure = found;
    return true;
  };
  let best = plan;
  if (!fails(best)) return { plan, failure, runs };
  for (let before = Number.POSITIVE_INFINITY; size(best) < before; ) {
    before = size(best);
    const steps = without(best.steps, (kept) => fails({ ...best, steps: kept }));
    best = { ...best, steps };
    const decisions = without(Object.entries(best.decisions ?? {}), (kept) =>
      fails({ ...best, decisions: Object.fromEntries(kept) }),
    );
    best = { ...best, decisions: Object.fromEntries(decisions) };
  }
  const { knobs } = best;
  const plain: Partial<Plan["knobs"]>[] = [
    { shuffle: false },
    { latency: 0 },
    { page: 1 << 20 },
    { stampOffset: 0 },
    { writerStamps: false },
    { clocks: knobs.clocks.map(() => ({ offset: 0, drift: 0 })) },
  ];
  for (const knob of plain) {
    const candidate = { ...best, knobs: { ...best.knobs, ...knob } };
    if (fails(candidate)) best = candidate;
  }
  return { plan: { ...best, rates: {} }, failure, runs };
}

function size(plan: Plan): number {
  return plan.steps.length + Object.keys(plan.decisions ?? {}).length;
}

/** ddmin (Zeller, Hildebrandt: "Simplifying and isolating failure-inducing input", 2002), complements only. */
function without<T>(list: readonly T[], fails: (kept: readonly T[]) => boolean): readonly T[] {
  let kept = list;
  let parts = 2;
  while (kept.length > 0) {
    const length = Math.ceil(kept.length / parts);
    let smaller = false;
    for (let at = 0; at < kept.length; at += length) {
      const candidate = [...kept.slice(0, at), ...kept.slice(at + length)];
      if (!fails(candidate)) continue;
      kept = candidate;
      parts = Math.max(2, parts - 1);
      smaller = true;
      break;
    }
    if (smaller) continue;
    if (length === 1) break;
    parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}
