/** A thread that runs short histories of the files kind beside the reference. */
import { parentPort, workerData } from "node:worker_threads";
import { Stream } from "@tidelock/testkit/world/random";
import { compareEnd, explain } from "./files-compare.ts";
import { drawSteps } from "./files-world.ts";

export interface ScheduleJob {
  readonly from: number;
  readonly step: number;
  readonly count: number;
}

export interface ScheduleReport {
  readonly schedules: number;
  readonly changes: number;
  readonly failed?: { readonly seed: number; readonly why: string };
}

const DEVICES = 3;
/** Half of them edits of one to three changes: short enough that order is what differs between two of them. */
const STEPS = 24;
const TELL = 500;

const { from, step, count } = workerData as ScheduleJob;
let [schedules, changes] = [0, 0];

function tell(failed?: ScheduleReport["failed"]): void {
  const report: ScheduleReport = { schedules, changes, ...(failed === undefined ? {} : { failed }) };
  parentPort?.postMessage(report);
  [schedules, changes] = [0, 0];
}

for (let i = 0; i < count; i++) {
  const seed = from + i * step;
  const viewAt = new Stream(BigInt(seed), "view").int(0, 12);
  try {
    changes += compareEnd(drawSteps(BigInt(seed), DEVICES, STEPS), DEVICES, viewAt);
  } catch (error) {
    tell({ seed, why: explain(seed, DEVICES, STEPS) ?? (error as Error).message });
  }
  schedules++;
  if (schedules === TELL) tell();
}
tell();
