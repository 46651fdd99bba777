/** An entitlement as an operator's own systems write it. */
import { fieldOf } from "../auth/sign-in.ts";
import type { Entitlement } from "../auth/terms.ts";
import { Problem } from "../problem.ts";

const PLANS = 32;
const PLAN = /^[\w.:-]{1,64}$/;

/** Throws `bad-request` with the field that is wrong. What is null is as if it were not there. */
export function parseEntitlement(body: unknown): Entitlement {
  const number = (name: string): number | undefined => {
    const value = fieldOf(body, name) ?? undefined;
    if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0))
      return value;
    throw new Problem("bad-request", `${name} is no whole number`);
  };
  const [version, plans, state] = [number("version"), fieldOf(body, "plans"), fieldOf(body, "state")];
  if (version === undefined) throw new Problem("bad-request", "version is missing");
  if (!Array.isArray(plans) || plans.length > PLANS || !plans.every(isPlan))
    throw new Problem("bad-request", "plans is no list of words");
  if (state !== "active" && state !== "lapsed")
    throw new Problem("bad-request", "state is neither active nor lapsed");
  const [seats, quotaBytes, until] = [number("seats"), number("quotaBytes"), number("until")];
  return { version, plans, seats, quotaBytes, state, until };
}

function isPlan(value: unknown): value is string {
  return typeof value === "string" && PLAN.test(value);
}
