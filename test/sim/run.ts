/** The command line of the simulation. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { type Plan, profiles } from "@tidelock/testkit/world/plan";
import { bundle, type Failed, replay, root, runSeeds } from "./pool.ts";

const usage = `npm run sim -- [--layer 2|3] [--profile ${Object.keys(profiles).join("|")}] [--seeds N] [--from SEED]
               [--seconds N] [--workers 1|2] [--no-shrink] [--keep-going]
npm run sim -- --replay FILE
`;

export async function main(args: readonly string[]): Promise<number> {
  const flags = read(args);
  if (flags === undefined) {
    process.stderr.write(usage);
    return 2;
  }
  const script = await bundle("honest");
  if (flags.replay !== undefined) return again(script, flags.replay);
  const { layer, profile, from, seeds, seconds, workers } = flags;
  let [histories, printed] = [0, performance.now()];
  const start = performance.now();
  const outcome = await runSeeds({
    script,
    layer,
    profile,
    from,
    workers,
    shrink: flags.shrink,
    stopAtFirst: !flags.keepGoing,
    ...(seeds === undefined ? {} : { count: seeds }),
    ...(seconds === undefined ? {} : { seconds }),
    onReport: (report) => {
      if (report.kind === "failed")
        process.stderr.write(
          `${report.failure.oracle} failed at seed ${report.seed}: ${report.failure.detail}\n`,
        );
      if (report.kind !== "progress") return;
      histories += report.histories;
      if (performance.now() - printed < 15_000) return;
      printed = performance.now();
      const rate = Math.round((histories / (printed - start)) * 60_000);
      process.stderr.write(`${histories} histories, ${rate}/min\n`);
    },
  });
  for (const failed of outcome.failures) tell(failed, flags);
  const rate = Math.round((outcome.histories / outcome.ms) * 60_000);
  process.stdout.write(
    `${outcome.failures.length} violations in ${outcome.histories} histories of layer ${layer ?? 2}, profile ${profile}, ` +
      `seeds ${from} .. ${from + BigInt(Math.max(0, outcome.histories - 1))}, ${rate}/min with ${workers} workers, ` +
      `${Math.round(outcome.edits / Math.max(1, outcome.histories))} edits and ` +
      `${Math.round(outcome.events / Math.max(1, outcome.histories))} events each\n`,
  );
  return outcome.failures.length === 0 ? 0 : 1;
}

interface Flags {
  readonly layer: 3 | undefined;
  readonly profile: string;
  readonly from: bigint;
  readonly seeds: number | undefined;
  readonly seconds: number | undefined;
  readonly workers: number;
  readonly shrink: boolean;
  readonly keepGoing: boolean;
  readonly replay: string | undefined;
}

function read(args: readonly string[]): Flags | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        layer: { type: "string", default: "2" },
        profile: { type: "string", default: "small" },
        seeds: { type: "string" },
        from: { type: "string", default: "1" },
        seconds: { type: "string" },
        workers: { type: "string", default: "2" },
        "no-shrink": { type: "boolean", default: false },
        "keep-going": { type: "boolean", default: false },
        replay: { type: "string" },
      },
    });
    const { seeds, seconds } = values;
    const number = (text: string): number => {
      if (!/^[1-9]\d{0,9}$/.test(text)) throw new RangeError(`${text} is not a number`);
      return Number(text);
    };
    if (!/^[23]$/.test(values.layer) || profiles[values.profile] === undefined) return undefined;
    if (!/^\d{1,20}$/.test(values.from) || !/^[12]$/.test(values.workers)) return undefined;
    return {
      layer: values.layer === "3" ? 3 : undefined,
      profile: values.profile,
      from: BigInt(values.from),
      seeds: seeds === undefined ? (seconds === undefined ? 1_000 : undefined) : number(seeds),
      seconds: seconds === undefined ? undefined : number(seconds),
      workers: Number(values.workers),
      shrink: !values["no-shrink"],
      keepGoing: values["keep-going"],
      replay: values.replay,
    };
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Keeps the case where it can be replayed, and prints the one line that does it. */
function tell({ seed, failure, plan }: Failed, { layer, profile }: Flags): void {
  process.stdout.write(`\n${failure.oracle} failed at ${failure.at} ms: ${failure.detail}\n`);
  if (plan === undefined) {
    process.stdout.write(
      `repeat: npm run sim -- --layer ${layer ?? 2} --profile ${profile} --from ${seed} --seeds 1\n`,
    );
    return;
  }
  const folder = join(root, "test-results/sim");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${failure.oracle}-${plan.profile}${layer ?? ""}-${seed}.json`);
  writeFileSync(file, `${JSON.stringify(plan, null, 1)}\n`);
  const { steps, decisions } = plan;
  for (const step of steps) process.stdout.write(`  ${step.at} ms  device ${step.device}  ${step.do}\n`);
  for (const [place, { fault, ms }] of Object.entries(decisions ?? {}))
    process.stdout.write(`  ${place}  ${fault} ${ms} ms\n`);
  process.stdout.write(`repeat: npm run sim -- --replay ${relative(root, file)}\n`);
}

async function again(script: string, path: string): Promise<number> {
  const plan = JSON.parse(readFileSync(path, "utf8")) as Plan;
  const { failure, lines, trace } = await replay(script, plan, true);
  for (const line of lines) process.stdout.write(`${line}\n`);
  const what = failure === undefined ? "no violation" : `${failure.oracle} failed: ${failure.detail}`;
  process.stdout.write(`${basename(path)}: ${what} (trace ${trace})\n`);
  return failure === undefined ? 0 : 1;
}
