/**
 * Kills by the hundred. Prints one line for each victim; ends with 1 at the first loss.
 *
 *   npm run kills -- [server] [client] [daemon] [folder] [drive] [--kills 1000] [--every 100] [--seed 1] [--seconds S]
 */
import { parseArgs } from "node:util";
import { buildPrograms, type CampaignName, campaigns, kill } from "./drive.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "1000" },
    every: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    seconds: { type: "string" },
  },
});

const all = Object.keys(campaigns) as CampaignName[];
const unknown = positionals.filter((name) => !(all as string[]).includes(name));
const numbers = [values.kills, values.every, values.seed, values.seconds ?? "1"];
if (unknown.length > 0 || numbers.some((text) => !/^[1-9]\d{0,8}$/.test(text))) {
  process.stderr.write(
    "usage: kills [server] [client] [daemon] [folder] [drive] [--kills N] [--every N] [--seed N] [--seconds N]\n",
  );
  process.exit(2);
}

const programs = await buildPrograms();
try {
  for (const name of positionals.length === 0 ? all : (positionals as CampaignName[])) {
    const started = performance.now();
    const outcome = await kill(name, {
      kills: Number(values.kills),
      every: Number(values.every),
      seed: Number(values.seed),
      ...(values.seconds === undefined ? {} : { seconds: Number(values.seconds) }),
      programs,
    });
    const { p50, max } = outcome.readyMs;
    process.stdout.write(
      `${name}: ${outcome.kills} kills (${outcome.early} while it started), ${outcome.acknowledged} acknowledged, 0 lost, 0 doubled; ready after p50 ${p50} ms, max ${max} ms; ${Math.round((performance.now() - started) / 1000)} s, seed ${values.seed}\n`,
    );
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  programs.remove();
}
