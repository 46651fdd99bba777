/** Spans of time as people write them: 90s, 30m, 2h, 7d. */
import { TidelockError } from "@tidelock/core/errors";

const unitByName: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LONGEST = 3650 * 86_400_000;

/** In ms. */
export function duration(text: string, why: string, next: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (unitByName[unit ?? ""] ?? Number.NaN);
  if (ms > 0 && ms <= LONGEST) return ms;
  throw new TidelockError("usage", { why, next });
}
