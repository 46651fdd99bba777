/** What processes used: proc(5). Linux alone tells it so. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** USER_HZ, which the kernel keeps at 100 towards programs. */
const TICK = 10;

interface Stat {
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended and were waited for. */
  readonly children: number;
}

/** Processor time of these and all below them so far, ms. */
export function processorMs(pids: readonly number[]): number {
  return trees(pids).reduce((sum, { own, children }) => sum + own + children, 0);
}

/** Of children of this process that have ended, ms. */
export function endedChildrenMs(): number {
  return statOf(process.pid)?.children ?? 0;
}

/** Begins the largest size anew: `clear_refs`, 5. */
export function resetPeaks(pids: readonly number[]): void {
  for (const { pid } of trees(pids)) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** The sum of the largest sizes, and the largest of one, MiB. */
export function peaks(pids: readonly number[]): { readonly peak: number; readonly peakOne: number } {
  const all = trees(pids).map(({ pid }) => sizeOf(pid, "VmHWM"));
  return { peak: sum(all), peakOne: Math.max(0, ...all) };
}

/** Now, MiB. */
export function resident(pids: readonly number[]): number {
  return sum(trees(pids).map(({ pid }) => sizeOf(pid, "VmRSS")));
}

function sizeOf(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) / 1024;
}

function sum(all: readonly number[]): number {
  return all.reduce((total, one) => total + one, 0);
}

function trees(pids: readonly number[]): readonly (Stat & { readonly pid: number })[] {
  if (pids.length === 0) return [];
  const all = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) all.set(Number(name), stat);
  }
  const wanted = new Set(pids);
  // A child may have a lower number than its parent, once they have gone round.
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size;
    for (const [pid, { parent }] of all) if (wanted.has(parent)) wanted.add(pid);
  }
  return [...wanted].flatMap((pid) => {
    const stat = all.get(pid);
    return stat === undefined ? [] : [{ pid, ...stat }];
  });
}

/** Undefined for one that has ended. */
function statOf(pid: number): Stat | undefined {
  try {
    // The name stands in brackets and may hold any character.
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const at = (n: number): number => fields[n - 3] as number;
    return { parent: at(4), own: (at(14) + at(15)) * TICK, children: (at(16) + at(17)) * TICK };
  } catch {
    return undefined;
  }
}
