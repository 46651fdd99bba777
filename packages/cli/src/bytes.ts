/** Numbers of bytes as people write them: 800kB, 50GB. */
import { TidelockError } from "@tidelock/core/errors";

const units: Readonly<Record<string, number>> = { "": 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

export function bytesOf(bytes: number): string {
  const [unit = "", size = 1] = Object.entries(units).findLast(([, one]) => bytes >= one) ?? [];
  return size === 1 ? `${bytes} B` : `${(bytes / size).toFixed(1)} ${unit}`;
}

/** `what`: an option or a key, for the error; `such`: an example. */
export function bytesIn(text: string, what: string, such: string): number {
  const [, digits, unit = ""] = /^(\d{1,12})([kMGT]B)?$/.exec(text) ?? [];
  const bytes = Number(digits) * (units[unit] ?? Number.NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new TidelockError("usage", { why: `${what} wants bytes`, next: such });
}
