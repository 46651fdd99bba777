/** Hybrid logical clocks, one per edit: ms since 1970 << 16 | counter, 64 bits. */
import type { Hlc } from "./types.ts";

/** How far past log time a clock may count, ms: small skews keep their order, a wrong clock does not win. */
export const CLOCK_LEAD = 60_000;
const MAX_MS = 2 ** 48 - 1;
const MAX_HLC = 0xffff_ffff_ffff_ffffn;

/**
 * The clock of an edit made at `t` (ms) by who saw the row at `shownClock` (`ShownRow.clock`).
 * TBL6: bound to that row's clock only. Bound to the newest clock ever received, an edit made
 * offline three days ago would be lifted to now, and one wrong clock would drag all others.
 */
export function nextHlc(t: number, shownClock: Hlc): Hlc {
  const now = hlcAt(t, 0);
  const past = shownClock + 1n;
  const next = now > past ? now : past;
  return next > MAX_HLC ? MAX_HLC : next;
}

/** `ms` is cut to 48 bits, `count` to 16. */
export function hlcAt(ms: number, count: number): Hlc {
  const whole = Math.min(Math.max(Math.floor(ms), 0), MAX_MS);
  return (BigInt(Number.isNaN(whole) ? 0 : whole) << 16n) | BigInt(count & 0xffff);
}

export function hlcMs(hlc: Hlc): number {
  return Number(hlc >> 16n);
}

export function hlcCount(hlc: Hlc): number {
  return Number(hlc & 0xffffn);
}
