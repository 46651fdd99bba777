import type { Outcome, Refusal } from "./types.ts";

export const OK: Outcome = { kind: "ok" };
export const SAME: Outcome = { kind: "same" };
export const ADJUSTED: Outcome = { kind: "adjusted" };

export function refused(reason: Refusal): Outcome {
  return { kind: "void", reason };
}
