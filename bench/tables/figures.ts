/** What one round of one system gives, and what a device process is asked and answers. */
import type { Row } from "./rows.ts";

/** Times in ms, sizes in bytes a row where nothing else is said. */
export interface Figures {
  readonly name: string;
  /** In the writer's own file. */
  readonly stored: number;
  /** The other side has them durably and has said so. */
  readonly sent: number;
  /** From opening an empty device to seeing every row in its file. */
  readonly joined: number;
  readonly update: { readonly p50: number; readonly p95: number; readonly samples: number };
  /** Of one update: what its writer sends and is answered, or what all devices do, where they cannot be told apart. */
  readonly wire: { readonly up: number; readonly update?: number; readonly updateAll?: number };
  readonly disk: { readonly server: number; readonly client: number };
  /** Processor time of every process that took part, ms: what a busy machine does not change. */
  readonly cpu: { readonly sent: number; readonly joined: number };
  /** Largest resident size, MiB. */
  readonly peakMiB: { readonly client: number; readonly server?: number };
}

export interface Used {
  readonly cpu: number;
  readonly peak: number;
}

export interface Command {
  readonly call: number;
  readonly name: "found" | "insert" | "join" | "update" | "watch" | "settle" | "rows" | "used";
  readonly input: unknown;
}

export interface Answer {
  readonly start?: number;
  readonly stored?: number;
  readonly at?: number;
  readonly rows?: readonly Row[];
  readonly used?: Used;
}

/** This process so far. */
export function used(): Used {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1000, peak: process.resourceUsage().maxRSS / 1024 };
}

/** The value below which this share of the list lies. */
export function at(list: readonly number[], share: number): number {
  const sorted = [...list].sort((x, y) => x - y);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}

export function check(good: boolean, what: string): void {
  if (!good) throw new Error(`the result is wrong: ${what}`);
}
