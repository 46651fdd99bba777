/**
 * Kills a program at random moments, again and again, and holds what is there against what was
 * acknowledged. Losses and doublings end the run: there is nothing to count but zero.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { draws } from "@tidelock/testkit/suites/seeds";
import { type Bundle, bundle } from "../bundle.ts";
import type { Begin, Campaign } from "./campaign.ts";
import { clientKills, daemonKills, folderKills } from "./devices.ts";
import { serverKills } from "./server.ts";
import { driveKills } from "./synced.ts";

export const campaigns = {
  server: serverKills,
  client: clientKills,
  daemon: daemonKills,
  folder: folderKills,
  drive: driveKills,
} satisfies Readonly<Record<string, Begin>>;
export type CampaignName = keyof typeof campaigns;

export interface Run {
  readonly seed: number;
  readonly kills: number;
  /** Everything is judged after so many kills, and at the end. */
  readonly every: number;
  /** No further kill after so many seconds. */
  readonly seconds?: number;
  readonly programs: Bundle;
}

export interface Outcome {
  readonly kills: number;
  /** Of them, while it was still starting. */
  readonly early: number;
  readonly acknowledged: number;
  readonly readyMs: { readonly p50: number; readonly max: number };
}

export function buildPrograms(): Promise<Bundle> {
  return bundle({ editor: "test/e2e/kills/editor.ts" });
}

/** One in five dies while it starts; the others after this much work, ms. */
const EARLY = 0.2;
const WORK = { least: 5, most: 300 };

export async function kill(name: CampaignName, run: Run): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), `tl-${name}-`));
  const random = draws(run.seed);
  let [done, early] = [0, 0];
  let campaign: Campaign | undefined;
  try {
    campaign = await campaigns[name](folder, run.programs, run.seed);
    const { victim } = campaign;
    const until = performance.now() + (run.seconds ?? Number.POSITIVE_INFINITY) * 1000;
    while (done < run.kills && performance.now() < until) {
      // The moment is what is drawn here: nothing is waited for.
      if (done > 0 && random() < EARLY) {
        victim.begin();
        await sleep(random() * percentile(victim.readyMs, 0.5));
        early++;
      } else {
        await victim.up();
        await campaign.begin();
        await sleep(WORK.least + random() * (WORK.most - WORK.least));
      }
      await victim.kill();
      done++;
      needNone(await campaign.look());
      if (done % run.every === 0 && done < run.kills) needNone(await campaign.judge());
    }
    needNone(await campaign.judge());
    const { readyMs } = victim;
    const outcome = {
      kills: done,
      early,
      acknowledged: campaign.acknowledged(),
      readyMs: { p50: percentile(readyMs, 0.5), max: percentile(readyMs, 1) },
    };
    await campaign.dispose();
    rmSync(folder, { recursive: true, force: true });
    return outcome;
  } catch (error) {
    await campaign?.dispose().catch(() => undefined);
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const text = [
      what,
      `${name}, seed ${run.seed}, kill ${done} of ${run.kills}; what was told and what is there: ${folder}`,
      `again: npm run kills -- ${name} --seed ${run.seed} --kills ${run.kills} --every ${run.every}`,
      "The seed draws the same work and the same moments; which instruction a kill meets, it does not say.",
    ].join("\n");
    writeFileSync(join(folder, "failure"), `${text}\n`);
    throw new Error(text, { cause: error });
  }
}

/** All that differs, at most a screen of it. */
function needNone(differences: readonly string[]): void {
  if (differences.length > 0)
    throw new Error(`${differences.length} differences\n  ${differences.slice(0, 40).join("\n  ")}`);
}

function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((x, y) => x - y);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0);
}
