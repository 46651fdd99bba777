/**
 * Where large content is cut: by the bytes themselves, so that an insertion moves few cuts, and
 * under a seed of the vault, so that lengths tell nobody which file it is (CNT1). A gear hash, as in
 * Xia et al., "FastCDC", USENIX ATC 2016, with two masks.
 */
import { kdfLabels } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";

/** Sizes of a chunk before compression, bytes. Content up to the smallest is one chunk. */
export const cutSizes: { readonly least: number; readonly normal: number; readonly most: number } = {
  least: 256 << 10,
  normal: 1 << 20,
  most: 4 << 20,
};

/** A cut where the top 22 bits are zero before the normal size, the top 18 after it. */
const SPARSE = 0xffff_fc00;
const DENSE = 0xffff_c000;
const BLOCKS = 16;

/** 256 words that a vault's seed gives. */
export type Gear = Uint32Array;

export function gearOf(suite: Suite, seed: Uint8Array): Gear {
  const gear = new Uint32Array(256);
  for (let block = 0; block < BLOCKS; block++) {
    const bytes = suite.kdf(seed, kdfLabels.gear, Uint8Array.of(block), 64);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < 16; i++) gear[block * 16 + i] = view.getUint32(i * 4);
  }
  return gear;
}

/**
 * How long the chunk is that begins here. `bytes` is what follows: at least `cutSizes.most` of it, or
 * all there is. One pass, about a nanosecond a byte.
 */
export function cutLength(gear: Gear, bytes: Uint8Array): number {
  const end = Math.min(bytes.length, cutSizes.most);
  if (end <= cutSizes.least) return end;
  let hash = 0;
  let at = cutSizes.least;
  for (const until = Math.min(end, cutSizes.normal); at < until; at++) {
    hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
    if ((hash & SPARSE) === 0) return at + 1;
  }
  for (; at < end; at++) {
    hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
    if ((hash & DENSE) === 0) return at + 1;
  }
  return end;
}
