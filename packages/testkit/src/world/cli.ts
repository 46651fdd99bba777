/**
 * `npm run sim`: histories from a seed on, or one that was found before. The runner lives with the
 * repository's own tests, because it bundles the product it runs.
 *
 *   npm run sim -- --layer 2 --seeds 1000 --from 1 [--profile small] [--workers 2] [--seconds 60]
 *   npm run sim -- --replay test/sim/found/NAME.json
 */
const runner = new URL("../../../../test/sim/run.ts", import.meta.url).href;
const { main } = (await import(runner)) as {
  readonly main: (args: readonly string[]) => Promise<number>;
};
process.exitCode = await main(process.argv.slice(2));
