/**
 * What a data frame seals: sections by reducer, deflated where that helps, padded.
 * Bytes: docs/format.md, "Frame plaintext". Rules FRM4, FRM5.
 */
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Suite } from "../crypto/suite.ts";

const STORED = 0;
const DEFLATED = 1;
/** Below this, deflate gains little and its length tells more. */
const DEFLATE_FROM = 512;
const SMALLEST = 64;

/** Section bytes by reducer id, ascending, each at most once. */
export type Sections = ReadonlyMap<number, Uint8Array>;

export function encodeSections(sections: Sections): Uint8Array {
  const w = new Writer(1024);
  for (const id of [...sections.keys()].sort((a, b) => a - b)) w.u8(id).bytes(sections.get(id) as Uint8Array);
  return w.done();
}

export function decodeSections(bytes: Uint8Array): Sections | null {
  return decodeWith(bytes, (r) => {
    const sections = new Map<number, Uint8Array>();
    let last = 0;
    while (r.left > 0) {
      const id = r.u8();
      if (id <= last) throw new Malformed("section order");
      last = id;
      sections.set(id, r.bytes(limits.inflated));
    }
    if (sections.size === 0) throw new Malformed("no section");
    return sections;
  });
}

/**
 * `stored` is true where a table says `compress: off`: one compressor over secrets and over
 * text that strangers inject tells the secrets by the size.
 */
export function encodePlaintext(suite: Suite, changes: Uint8Array, stored: boolean): Uint8Array {
  const w = new Writer(changes.length + 32);
  const packed = !stored && changes.length >= DEFLATE_FROM ? suite.deflate(changes) : undefined;
  if (packed !== undefined && packed.length < changes.length) w.u8(DEFLATED).v(changes.length).bytes(packed);
  else w.u8(STORED).bytes(changes);
  w.fixed(new Uint8Array(paddedLength(w.length) - w.length));
  return w.done();
}

export type Plaintext =
  | { readonly kind: "ok"; readonly changes: Uint8Array }
  | { readonly kind: "void"; readonly reason: "malformed" | "limit" };

const malformed: Plaintext = { kind: "void", reason: "malformed" };

export function decodePlaintext(suite: Suite, plain: Uint8Array): Plaintext {
  const parts = decodeWith(plain, (r) => {
    const codec = r.u8();
    if (codec !== STORED && codec !== DEFLATED) throw new Malformed("codec");
    const raw = codec === DEFLATED ? r.v() : 0;
    const bytes = r.bytes(limits.frame);
    const used = r.at;
    const zeros = r.fixed(r.left);
    if (plain.length !== paddedLength(used)) throw new Malformed("padding length");
    for (const b of zeros) if (b !== 0) throw new Malformed("padding");
    return { codec, raw, bytes };
  });
  if (parts === null) return malformed;
  if (parts.codec === STORED) return { kind: "ok", changes: parts.bytes };
  // The bound comes before any output is allocated: 261 KB of deflate can make 256 MiB.
  if (parts.raw > limits.inflated) return { kind: "void", reason: "limit" };
  const changes = suite.inflate(parts.bytes, parts.raw);
  return changes === null ? malformed : { kind: "ok", changes };
}

/**
 * max(64, Padmé(n)): only the top log2(log2 n) bits of a length tell anything
 * (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019).
 */
export function paddedLength(n: number): number {
  if (n <= SMALLEST) return SMALLEST;
  const e = 31 - Math.clz32(n);
  const s = 32 - Math.clz32(e);
  const step = 2 ** Math.max(0, e - s);
  return Math.ceil(n / step) * step;
}
