/** Runs histories on worker threads: bundles the world with the product, hands out seeds, watches for hangs. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Plan } from "@tidelock/testkit/world/plan";
import type { Violation } from "@tidelock/testkit/world/world";
import { build as bundleFiles, type Plugin } from "esbuild";
import { disks, scratch } from "./scratch.ts";

export const root: string = join(import.meta.dirname, "../..");

/** A planted bug: an exact edit of one source file. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Job {
  readonly layer: 3 | undefined;
  readonly profile: string;
  readonly from: string;
  readonly step: number;
  readonly count: number;
  readonly seconds: number;
  readonly shrink: boolean;
  readonly plan: Plan | undefined;
  readonly say: boolean;
}

export type Report =
  | {
      readonly kind: "progress";
      readonly histories: number;
      readonly events: number;
      readonly edits: number;
      readonly done: boolean;
    }
  | {
      readonly kind: "failed" | "shrunk";
      readonly seed: string;
      readonly failure: Violation;
      readonly plan: Plan;
    }
  | {
      readonly kind: "replayed";
      readonly failure: Violation | undefined;
      readonly lines: readonly string[];
      readonly trace: string;
    };

/** A thread that says nothing for this long hangs: a history takes milliseconds. */
const HANG_MS = 20_000;
const MOST_TURNS = 6;
/** Shrinking has its own bound. */
const SHRINK_MS = 90_000;

/** Builds the worker, with a planted bug if one is given; the path of the bundle. */
export async function bundle(
  name: string,
  edits: readonly Edit[] = [],
  entry: string = join(root, "test/sim/worker.ts"),
): Promise<string> {
  const folder = scratch();
  if (mkdirSync(folder, { recursive: true }) !== undefined)
    process.once("exit", () => {
      for (const path of [folder, disks()]) rmSync(path, { recursive: true, force: true });
    });
  const outfile = join(folder, `${name}.mjs`);
  await bundleFiles({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@tidelock/source"],
    sourcemap: "inline",
    // Native drivers are looked for from here, not from where the bundle lies.
    define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, "package.json")).href) },
    absWorkingDir: root,
    logLevel: "error",
    plugins: edits.length === 0 ? [] : [plant(edits)],
  });
  return outfile;
}

/** Throws unless each text stands in the file exactly once: a planted bug that went stale is no bug. */
export function applyEdits(file: string, edits: readonly Edit[]): string {
  let source = readFileSync(join(root, file), "utf8");
  for (const { find, replace } of edits) {
    const parts = source.split(find);
    if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${find}`);
    source = parts.join(replace);
  }
  return source;
}

function plant(edits: readonly Edit[]): Plugin {
  return {
    name: "planted bug",
    setup: (build) => {
      for (const file of new Set(edits.map((edit) => edit.file))) {
        const path = join(root, file).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const own = edits.filter((edit) => edit.file === file);
        build.onLoad({ filter: new RegExp(`^${path}$`) }, () => ({
          contents: applyEdits(file, own),
          loader: "ts",
        }));
      }
    },
  };
}

export interface SeedRun {
  readonly script: string;
  readonly layer?: 3 | undefined;
  readonly profile: string;
  readonly from: bigint;
  readonly count?: number;
  readonly seconds?: number;
  readonly workers?: number;
  readonly shrink?: boolean;
  /** Ends everything at the first violation. */
  readonly stopAtFirst?: boolean;
  readonly onReport?: (report: Report) => void;
}

export interface Failed {
  readonly seed: string;
  readonly failure: Violation;
  readonly plan: Plan | undefined;
}

export interface Outcome {
  readonly histories: number;
  readonly events: number;
  readonly edits: number;
  readonly ms: number;
  readonly failures: readonly Failed[];
}

export async function runSeeds(run: SeedRun): Promise<Outcome> {
  const workers = Math.min(run.workers ?? 1, 2);
  const count = run.count ?? Number.MAX_SAFE_INTEGER;
  const start = performance.now();
  const total = { histories: 0, events: 0, edits: 0 };
  const failures: Failed[] = [];
  const threads: Thread[] = [];
  const one = (index: number): Promise<void> => {
    const job: Job = {
      layer: run.layer,
      profile: run.profile,
      from: String(run.from + BigInt(index)),
      step: workers,
      count: Math.floor(count / workers) + (index < count % workers ? 1 : 0),
      seconds: run.seconds ?? Number.MAX_SAFE_INTEGER,
      shrink: run.shrink ?? false,
      plan: undefined,
      say: false,
    };
    const thread = new Thread(run.script, job, (report) => {
      run.onReport?.(report);
      if (report.kind === "progress") {
        total.histories += report.histories;
        total.events += report.events;
        total.edits += report.edits;
      } else if (report.kind === "failed") {
        const { seed, failure, plan } = report;
        failures.push({ seed, failure, plan });
        if (run.stopAtFirst && !run.shrink) for (const other of threads) other.end();
      } else if (report.kind === "shrunk") {
        const at = failures.findIndex((f) => f.seed === report.seed);
        if (at >= 0) failures[at] = report;
        if (run.stopAtFirst) for (const other of threads) other.end();
      }
    });
    threads.push(thread);
    return thread.finished;
  };
  await Promise.all(Array.from({ length: workers }, (_, index) => one(index)));
  for (const { hang } of threads) if (hang !== undefined) failures.push(hang);
  return { ...total, ms: performance.now() - start, failures };
}

export interface Replayed {
  readonly failure: Violation | undefined;
  readonly lines: readonly string[];
  readonly trace: string;
}

export async function replay(script: string, plan: Plan, say = false): Promise<Replayed> {
  let result: Replayed | undefined;
  const job: Job = {
    layer: plan.layer,
    profile: plan.profile,
    from: plan.seed,
    step: 1,
    count: 1,
    seconds: 60,
    shrink: false,
    plan,
    say,
  };
  const thread = new Thread(script, job, (report) => {
    if (report.kind !== "replayed") return;
    result = report;
    thread.end();
  });
  await thread.finished;
  return result ?? { failure: { oracle: "hang", detail: "no end", at: 0 }, lines: [], trace: "" };
}

/** What all threads of this process have computed, ms. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

class Thread {
  readonly #worker: Worker;
  readonly finished: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #done: () => void = () => undefined;
  hang: Failed | undefined;

  constructor(script: string, job: Job, onReport: (report: Report) => void) {
    this.#worker = new Worker(script, { workerData: job, execArgv: ["--enable-source-maps"] });
    let next = BigInt(job.from);
    const watch = (ms: number): void => {
      clearTimeout(this.#timer);
      const [since, used] = [performance.now(), cpu()];
      const look = (): void => {
        // On a machine with more to do than it can, a thread that waits for its turn does not hang.
        if (cpu() - used < ms && performance.now() - since < MOST_TURNS * ms) {
          this.#timer = setTimeout(look, ms);
          return;
        }
        const detail = `no history finished within ${ms / 1_000} s, near seed ${next}`;
        this.hang = { seed: String(next), failure: { oracle: "hang", detail, at: 0 }, plan: undefined };
        this.end();
      };
      this.#timer = setTimeout(look, ms);
    };
    this.finished = new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#worker.on("message", (report: Report) => {
        watch(report.kind === "failed" && job.shrink ? SHRINK_MS : HANG_MS);
        if (report.kind === "progress") next += BigInt(report.histories * job.step);
        onReport(report);
        if (report.kind === "progress" && report.done) this.end();
      });
      this.#worker.on("error", (error) => {
        clearTimeout(this.#timer);
        reject(error);
      });
    });
    watch(HANG_MS);
  }

  end(): void {
    clearTimeout(this.#timer);
    void this.#worker.terminate();
    this.#done();
  }
}
