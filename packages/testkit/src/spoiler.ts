/** Seeded ways to spoil what is honest: most of it stays as it is, so that what is left gets far. */
import { concat } from "@tidelock/core/bytes/bytes";

/** What numbers, lengths and marks break on. */
const oddBytes = [0, 1, 0x7f, 0x80, 0xff];
const oddRuns: readonly Uint8Array[] = [
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
  Uint8Array.of(0x80, 0x00),
  new Uint8Array(64),
];
const oddTexts = [
  "",
  " ",
  "%00",
  "%2e%2e%2f",
  "%",
  "%ff",
  "..",
  "/",
  "//",
  "\\",
  "\u0000",
  "\u202e",
  "\ud800",
  "é",
  "-1",
  "0x10",
  "1e309",
  "NaN",
  "9007199254740993",
  "'; --",
  "__proto__",
  "constructor",
  "\r\nx: y",
];
const oddValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  1e308,
  2 ** 53,
  "",
  "x",
  [],
  {},
  [[]],
  { length: 32 },
  { toString: 1 },
];
const LONG = 70_000;

export class Spoiler {
  readonly #draw: () => number;

  constructor(draw: () => number) {
    this.#draw = draw;
  }

  /** 0 .. below n. */
  int(n: number): number {
    return Math.floor(this.#draw() * n);
  }

  chance(p: number): boolean {
    return this.#draw() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T;
  }

  /** `other`: honest too, and put together with it now and then. */
  bytes(honest: Uint8Array, other: Uint8Array = honest): Uint8Array {
    const at = this.int(honest.length + 1);
    const to = Math.min(honest.length, at + 1 + this.int(this.chance(0.5) ? 4 : honest.length));
    const [before, within, after] = [honest.subarray(0, at), honest.subarray(at, to), honest.subarray(to)];
    const run = Uint8Array.from({ length: 1 + this.int(40) }, () => this.int(256));
    switch (this.int(9)) {
      case 0:
        return concat(
          before,
          within.map((byte) => byte ^ (1 << this.int(8))),
          after,
        );
      case 1:
        return concat(
          before,
          within.map(() => this.pick(oddBytes)),
          after,
        );
      case 2:
        return concat(before, after);
      case 3:
        return concat(before, run, within, after);
      case 4:
        return concat(before, within, within, after);
      case 5:
        return before.slice();
      case 6:
        return concat(before, this.pick(oddRuns), after);
      case 7:
        return concat(before, other.subarray(this.int(other.length + 1)));
      default:
        return concat(honest, run);
    }
  }

  text(honest: string): string {
    const at = this.int(honest.length + 1);
    const to = Math.min(honest.length, at + this.int(4));
    const [before, after] = [honest.slice(0, at), honest.slice(to)];
    switch (this.int(6)) {
      case 0:
        return before + after;
      case 1:
        return before + honest.slice(at, to) + honest.slice(at, to) + after;
      case 2:
        return before;
      case 3:
        return honest.toUpperCase();
      case 4:
        return this.chance(0.1) ? before + "A".repeat(LONG) + after : before + String(this.int(10)) + after;
      default:
        return before + this.pick(oddTexts) + after;
    }
  }

  /** One place of it is something else; or, as text, no JSON at all. */
  json(honest: unknown): string {
    if (this.chance(0.2)) return this.text(JSON.stringify(honest));
    if (this.chance(0.03)) return "[".repeat(LONG / 4) + "]".repeat(LONG / 4);
    return JSON.stringify(this.#value(honest));
  }

  #value(honest: unknown): unknown {
    if (typeof honest !== "object" || honest === null || this.chance(0.1)) return this.#odd(honest);
    const keys = Object.keys(honest);
    const key = keys.length === 0 || this.chance(0.1) ? this.pick(oddTexts) : this.pick(keys);
    const { [key]: was, ...rest } = honest as Record<string, unknown>;
    if (this.chance(0.1)) return rest;
    const now = Object.entries({ ...rest, [key]: this.#value(was) });
    return Array.isArray(honest) ? now.map(([, value]) => value) : Object.fromEntries(now);
  }

  #odd(honest: unknown): unknown {
    if (typeof honest === "string" && this.chance(0.6)) return this.text(honest);
    if (typeof honest === "number" && this.chance(0.3)) return honest + this.int(3) - 1;
    return this.pick(oddValues);
  }
}
