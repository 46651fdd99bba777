/** Two folders that something keeps equal, and what it used while it did. */
import { setTimeout as sleep } from "node:timers/promises";
import { endedChildrenMs, peaks, processorMs, resetPeaks } from "./proc.ts";
import { until } from "./tree.ts";

/** What went over the wire so far; packs and frames where Tidelock's server counts them. */
export interface Counts {
  readonly wire: number;
  /** Uploads of them. */
  readonly packs?: number;
  readonly packBytes?: number;
  /** Requests that append, and their bytes. */
  readonly appends?: number;
  readonly appendBytes?: number;
  /** Since the last question: ms by which a pack was read before the last one was there. */
  readonly ahead?: number;
  /** When the last append came, by the clock of the machine. */
  readonly sentAt?: number;
}

export interface Pair {
  readonly name: string;
  readonly left: string;
  readonly right: string;
  /** All processes that stay, that of the left folder first; what those below them use counts too. */
  readonly pids: readonly number[];
  /** Where none stays: runs one. */
  carry?(): Promise<void>;
  /** Where the watcher of the folder is slow by design: says that there is something to see. */
  nudge?(): Promise<void>;
  /** Nothing is under way, as it says itself. */
  settled(): Promise<boolean>;
  counts(): Promise<Counts>;
  /** Looks at all of the left folder. */
  pass(): Promise<void>;
  /** What watches the left folder ends as a person ends it, and starts. */
  startAgain?(): Promise<Started>;
  stop(): Promise<void>;
}

/** ms, from the start of the process. */
export interface Started {
  readonly answers: number;
  readonly live: number;
}

export interface Used extends Partial<Counts> {
  readonly ms: number;
  /** Of it, until the last append came. */
  readonly sentMs?: number;
  readonly cpuMs: number;
  /** Sum of the largest sizes of all processes, and the largest of one, MiB. */
  readonly peak?: number;
  readonly peakOne?: number;
}

/** Longer is a fault, and it is better to hear of it. */
const PATIENCE = 900_000;
const WINDOW = 500;
/** Processor time in a window that counts as rest, ms: three ticks of the system's counter. */
const REST = 30;

/** Nothing is under way, and hardly any processor time passes. */
export async function rest(pair: Pair): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const before = processorMs(pair.pids);
    await sleep(WINDOW);
    if (processorMs(pair.pids) - before <= REST && (await pair.settled())) return;
    if (performance.now() > end) throw new Error(`${pair.name} does not come to rest`);
  }
}

/** From `change` until `done`, at rest before. `nudged`: no watcher's delay counts. */
export async function carried(
  pair: Pair,
  change: () => void,
  done: () => boolean,
  nudged = true,
): Promise<Used> {
  return used(pair, async () => {
    change();
    await pair.carry?.();
    if (nudged) await pair.nudge?.();
    await until(`${pair.name} shows it in the other folder`, done, PATIENCE);
  });
}

export async function used(pair: Pair, work: () => Promise<void>): Promise<Used> {
  await rest(pair);
  resetPeaks(pair.pids);
  const stays = pair.pids.length > 0;
  const processor = (): number => (stays ? processorMs(pair.pids) : endedChildrenMs());
  const [before, cpu] = [await pair.counts(), processor()];
  const [began, beganAt] = [performance.now(), Date.now()];
  await work();
  const ms = performance.now() - began;
  const cpuMs = processor() - cpu;
  const { sentAt, ahead, ...after } = await pair.counts();
  const passed = Object.entries(after).map(([name, n]) => [name, n - (before[name as "wire"] ?? 0)]);
  return {
    ...Object.fromEntries(passed),
    ms,
    cpuMs,
    ...(ahead === undefined ? {} : { ahead }),
    ...(sentAt === undefined || sentAt < beganAt ? {} : { sentMs: sentAt - beganAt }),
    ...(stays ? peaks(pair.pids) : {}),
  };
}
