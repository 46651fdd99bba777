/**
 * Seeded randomness. One seed of 64 bits, a stream of its own for each purpose: one more draw in one
 * place leaves every other place as it was.
 */

/** sfc32 (Chris Doty-Humphrey, PractRand; public domain): 128 bits of state, period at least 2^32. */
export class Stream {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: bigint, name: string) {
    const low = Number(seed & 0xffff_ffffn);
    const high = Number((seed >> 32n) & 0xffff_ffffn);
    let h1 = 1779033703 ^ low;
    let h2 = 3144134277 ^ high;
    let h3 = 1013904242 ^ name.length;
    let h4 = 2773480762;
    for (let i = 0; i < name.length; i++) {
      const k = name.charCodeAt(i);
      h1 = h2 ^ Math.imul(h1 ^ k, 597399067);
      h2 = h3 ^ Math.imul(h2 ^ k, 2869860233);
      h3 = h4 ^ Math.imul(h3 ^ k, 951274213);
      h4 = h1 ^ Math.imul(h4 ^ k, 2716044179);
    }
    this.#a = Math.imul(h3 ^ (h1 >>> 18), 597399067) | 0;
    this.#b = Math.imul(h4 ^ (h2 >>> 22), 2869860233) | 0;
    this.#c = Math.imul(h1 ^ (h3 >>> 17), 951274213) | 0;
    this.#d = Math.imul(h2 ^ (h4 >>> 19), 2716044179) | 0;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** 0 .. 1, without 1. */
  float(): number {
    return this.u32() / 0x1_0000_0000;
  }

  chance(p: number): boolean {
    return p > 0 && this.float() < p;
  }

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.float() * list.length)] as T;
  }

  /** Between two rates, each order of magnitude as likely as the next. */
  logUniform(low: number, high: number): number {
    return low * (high / low) ** this.float();
  }

  bytes(n: number): Uint8Array {
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i += 4) {
      const r = this.u32();
      out[i] = r;
      out[i + 1] = r >>> 8;
      out[i + 2] = r >>> 16;
      out[i + 3] = r >>> 24;
    }
    return out;
  }
}
