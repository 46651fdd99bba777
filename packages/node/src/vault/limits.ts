/** How fast this device may send and receive content, as its person says: kept in the home's config. */

import type { Limits, Transfers } from "@tidelock/core/engine/transfers";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock } from "@tidelock/core/ports";
import { hoursOf, type LimitConfig, readConfig, writeConfig } from "../home/config.ts";
import type { HomePaths } from "../home/paths.ts";
import { sizeText } from "./content.ts";

/** Slower, a pack would take a server longer than it waits for one. */
const LEAST = 16_000;

/** Bytes a second; 0 takes a limit away, an empty schedule holds at all hours. */
export interface LimitWish {
  readonly up?: number;
  readonly down?: number;
  readonly schedule?: string;
}

export interface RateLimits {
  get(): LimitConfig;
  /** Holds from now on, and after any restart. */
  set(wish: LimitWish): LimitConfig;
  /** What holds at this moment. */
  at(clock: Pick<Clock, "now">): Limits;
}

export function createLimits(paths: HomePaths, transfers: () => Pick<Transfers, "changed">): RateLimits {
  let config = readConfig(paths).limit ?? {};
  return {
    get: () => config,
    set: (wish) => {
      const limit = merged(config, wish);
      writeConfig(paths, { ...readConfig(paths), limit });
      config = limit;
      transfers().changed();
      return limit;
    },
    at: ({ now }) => (holds(config.schedule, now()) ? config : {}),
  };
}

function merged(old: LimitConfig, { up, down, schedule }: LimitWish): LimitConfig {
  for (const one of [up, down])
    if (one !== undefined && one !== 0 && one < LEAST)
      throw new TidelockError("usage", {
        why: `the least that a limit may be is ${sizeText(LEAST)} a second`,
        next: "tidelock pause stops it altogether",
      });
  if (schedule !== undefined && schedule !== "" && hoursOf(schedule) === undefined)
    throw new TidelockError("usage", {
      why: "a schedule is full hours, from and to",
      next: "tidelock remote limit --schedule 8-18,22-24",
    });
  const next = {
    up: up ?? old.up ?? 0,
    down: down ?? old.down ?? 0,
    schedule: schedule ?? old.schedule ?? "",
  };
  return {
    ...(next.up === 0 ? {} : { up: next.up }),
    ...(next.down === 0 ? {} : { down: next.down }),
    ...(next.schedule === "" ? {} : { schedule: next.schedule }),
  };
}

/** Whether the limits hold at a moment, by the hours of this machine. */
export function holds(schedule: string | undefined, now: number): boolean {
  if (schedule === undefined) return true;
  const hour = new Date(now).getHours();
  return (hoursOf(schedule) ?? []).some(([from, to]) =>
    from < to ? hour >= from && hour < to : hour >= from || hour < to,
  );
}
