/** What a person or a group has, as flags say it and as a person reads it. */
import { TidelockError } from "@tidelock/core/errors";
import { bytesIn, bytesOf } from "../bytes.ts";

export interface Entitlement {
  readonly version: number;
  readonly plans: readonly string[];
  readonly seats?: number;
  readonly quotaBytes?: number;
  readonly state: "active" | "lapsed";
  readonly until?: number;
}

/** What the flags say; empty where there is none. */
export function planOf(given: Record<string, unknown>): Partial<Entitlement> {
  const { plans, seats, quota, until } = given;
  return {
    ...(typeof plans === "string" ? { plans: plans.split(",").filter((word) => word !== "") } : {}),
    ...(typeof seats === "string" ? { seats: seatsOf(seats) } : {}),
    ...(typeof quota === "string" ? { quotaBytes: bytesIn(quota, "--quota", "--quota 50GB") } : {}),
    ...(typeof until === "string" ? { until: timeOf(until) } : {}),
  };
}

export function entitlementText(entitlement: Entitlement | null): string {
  if (entitlement === null) return "nothing said: no limit";
  const { plans, seats, quotaBytes, state, until, version } = entitlement;
  return [
    state,
    ...(plans.length === 0 ? [] : [plans.join(",")]),
    ...(quotaBytes === undefined ? [] : [bytesOf(quotaBytes)]),
    ...(seats === undefined ? [] : [`${seats} seats`]),
    ...(until === undefined ? [] : [`until ${new Date(until).toISOString()}`]),
    `version ${version}`,
  ].join(" · ");
}

function seatsOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new TidelockError("usage", { why: "--seats wants a whole number", next: "--seats 5" });
}

function timeOf(text: string): number {
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (time >= 0) return time;
  throw new TidelockError("usage", { why: "--until wants a time", next: "--until 2027-01-01T00:00:00Z" });
}
