/** When a file counts as written: nobody has touched it for a moment. */
import type { Clock } from "@tidelock/core/ports";
import type { Seen } from "./seen.ts";

/** ms; the second for large files and such as keep growing. */
export const QUIET: number = 300;
const QUIET_LONG = 2000;
const LARGE = 64 << 20;
/** What has a temporary name is about to be renamed, or is not. */
const QUIET_TEMPORARY = 10_000;

export function isSettled(seen: Seen, clock: Clock, temporary: boolean): boolean {
  const wanted = quietFor(seen, temporary);
  // The kernel's own stamp spares the second look at what was written long ago, where both clocks agree.
  const changed = Number(maxOf(seen.facts.ctimeNs, seen.facts.mtimeNs) / 1_000_000n);
  const ago = clock.now() - changed;
  return ago >= wanted || clock.mono() - seen.since >= wanted;
}

/** How long until it may be settled, ms. */
export function settlesIn(seen: Seen, clock: Clock, temporary: boolean): number {
  return Math.max(1, quietFor(seen, temporary) - (clock.mono() - seen.since));
}

function quietFor({ facts, grown }: Seen, temporary: boolean): number {
  if (temporary) return QUIET_TEMPORARY;
  return facts.size > LARGE || grown >= 2 ? QUIET_LONG : QUIET;
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
