/**
 * Which faults a history knows and how often each comes. Each seed first draws which classes exist,
 * then their rates: a mixture of everything lets one fault hide another.
 */
import type { Stream } from "./random.ts";

/** Drawn where code of the product calls out: at a point, a store transaction, a remote call, a hint. */
export const faultKinds = [
  "kill",
  "power-cut",
  "disk-full",
  "reset",
  "drop",
  "lost-reply",
  "half-open",
  "duplicate",
  "slow",
  "busy",
  "corrupt",
  "no-hint",
  "server-down",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Drawn into the plan of a history, at a moment of their own. */
export const eventKinds = [
  "suspend",
  "partition",
  "pause",
  "clock-jump",
  "restore",
  "clone",
  "garbage",
  "repeated-frame",
  "altered-frame",
  "stray-page",
  "rewrite",
  "truncate",
  "false-ack",
  "torn-append",
  "server-cut",
  "other-end",
] as const;
export type EventKind = (typeof eventKinds)[number];

/** Lasting properties of a history. */
const traits = ["drift", "year-ahead", "coarse-clock", "writer-stamps", "false-stamps"] as const;
export type Trait = (typeof traits)[number];

export type FaultClass = FaultKind | EventKind | Trait;

/** Per class: the chance that a seed knows it, and the bounds of its rate. */
const classes: Readonly<Record<FaultClass, readonly [exists: number, low: number, high: number]>> = {
  kill: [0.35, 0.001, 0.03],
  "power-cut": [0.35, 0.001, 0.03],
  "disk-full": [0.35, 0.001, 0.03],
  reset: [0.35, 0.002, 0.2],
  drop: [0.35, 0.002, 0.2],
  "lost-reply": [0.35, 0.002, 0.2],
  "half-open": [0.35, 0.001, 0.05],
  duplicate: [0.35, 0.002, 0.2],
  slow: [0.35, 0.002, 0.2],
  busy: [0.35, 0.002, 0.2],
  corrupt: [0.2, 0.002, 0.05],
  "no-hint": [0.5, 0.01, 1],
  "server-down": [0.35, 0.0003, 0.01],
  // Events: how many a history expects.
  suspend: [0.35, 0.5, 4],
  partition: [0.35, 0.5, 4],
  pause: [0.2, 0.5, 2],
  "clock-jump": [0.35, 0.5, 4],
  restore: [0.12, 0.7, 2],
  clone: [0.12, 0.7, 1.5],
  garbage: [0.12, 0.7, 3],
  "repeated-frame": [0.12, 0.7, 3],
  "altered-frame": [0.1, 0.7, 2],
  "stray-page": [0.1, 0.7, 2],
  rewrite: [0.08, 0.7, 1],
  truncate: [0.08, 0.7, 1],
  "false-ack": [0.18, 0.7, 2],
  "torn-append": [0.12, 0.7, 3],
  "server-cut": [0.35, 0.7, 4],
  drift: [0.35, 0.000001, 0.0002],
  "year-ahead": [0.2, 1, 1],
  "coarse-clock": [0.25, 1, 1],
  "writer-stamps": [0.3, 1, 1],
  "false-stamps": [0.15, 1, 1],
  "other-end": [0.25, 0.7, 2],
};

export type Rates = Partial<Record<FaultClass, number>>;

export function drawRates(random: Stream): Rates {
  const all = Object.keys(classes) as FaultClass[];
  const die = random.float();
  if (die < 0.1) return {};
  if (die < 0.2) {
    const one = random.pick(all);
    return { [one]: classes[one][2] };
  }
  const rates: Rates = {};
  for (const one of all) {
    const [exists, low, high] = classes[one];
    if (random.chance(exists)) rates[one] = random.logUniform(low, high);
  }
  return rates;
}

/** What was decided at a place: the fault, and for how long. */
export interface Decision {
  readonly fault: FaultKind;
  readonly ms: number;
}

export function durationOf(fault: FaultKind, random: Stream): number {
  switch (fault) {
    case "kill":
    case "power-cut":
      return Math.round(random.logUniform(10, 20_000));
    case "slow":
      return Math.round(random.logUniform(100, 60_000));
    case "duplicate":
      return Math.round(random.logUniform(1, 30_000));
    case "busy":
      return Math.round(random.logUniform(200, 10_000));
    case "drop":
    case "lost-reply":
    case "half-open":
      return Math.round(random.logUniform(1_000, 30_000));
    case "disk-full":
    case "reset":
    case "corrupt":
    case "no-hint":
    case "server-down":
      return 0;
  }
}
