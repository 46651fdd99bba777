/** The seeds of a randomised test: 1 .. `count` times `TIDELOCK_RUNS`, or `TIDELOCK_SEED` alone. */
export function seeds(count: number): readonly number[] {
  const one = numberIn("TIDELOCK_SEED");
  if (one !== undefined) return [one];
  return Array.from({ length: count * (numberIn("TIDELOCK_RUNS") ?? 1) }, (_, i) => i + 1);
}

/** Runs `work` for each seed; a failure says how to repeat it. */
export async function forSeeds(count: number, work: (seed: number) => Promise<void>): Promise<void> {
  for (const seed of seeds(count)) {
    try {
      await work(seed);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(`${what}\nrepeat: TIDELOCK_SEED=${seed} npx vitest run, and this file`, {
        cause: error,
      });
    }
  }
}

/** One seed of a file's: a failure ends with the line that repeats it. */
export async function repeatable(file: string, seed: number, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`${what}\nrepeat: TIDELOCK_SEED=${seed} npx vitest run ${file}`, { cause: error });
  }
}

/** The same draws in 0 .. 1 for the same seed (mulberry32). */
export function draws(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function numberIn(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new Error(`${name} is a number from 1 to 999999999, not ${JSON.stringify(text)}`);
  return Number(text);
}
