/** Which bugs are planted, and whether their oracle notices them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bundle, type Failed, root, runSeeds } from "../sim/pool.ts";
import { type Bug, editsOf } from "./bug.ts";

/** An uncaught bug is a hole in the checker: so many seeds must show it. */
export const MOST_SEEDS = 300;

export async function readBoard(): Promise<readonly Bug[]> {
  const names = readdirSync(import.meta.dirname).filter(
    (n) => n.endsWith(".ts") && !/^(bug|board|run)\b/.test(n),
  );
  const bugs: Bug[] = [];
  for (const name of names.sort()) {
    const { bug } = (await import(join(root, "test/board", name))) as { readonly bug: Bug };
    if (`${bug.id}.ts` !== name) throw new Error(`${name} holds the bug ${bug.id}`);
    bugs.push(bug);
  }
  return bugs;
}

export interface Caught {
  readonly seed: string;
  /** How many histories it took. */
  readonly histories: number;
  /** What else failed before the oracle did. */
  readonly others: readonly Failed[];
}

/** Runs histories from `from` on with the bug in the product, until its oracle fails. */
export async function hunt(bug: Bug, from: bigint, most: number = MOST_SEEDS): Promise<Caught | undefined> {
  const script = await bundle(bug.id, editsOf(bug));
  const others: Failed[] = [];
  let [at, left] = [from, most];
  while (left > 0) {
    const profile = bug.profile ?? "small";
    const { failures } = await runSeeds({
      script,
      layer: bug.layer,
      profile,
      from: at,
      count: left,
      stopAtFirst: true,
    });
    const [first] = failures;
    if (first === undefined) return undefined;
    const histories = Number(BigInt(first.seed) - from) + 1;
    if (first.failure.oracle === bug.oracle) return { seed: first.seed, histories, others };
    others.push(first);
    at = BigInt(first.seed) + 1n;
    left = most - histories;
  }
  return undefined;
}
