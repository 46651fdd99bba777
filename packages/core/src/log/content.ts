/**
 * What a file or a large value holds: its size, its hash, and the bytes themselves or where they
 * lie. Docs: docs/format.md, "Content".
 */
import { equalBytes } from "../bytes/bytes.ts";
import { Malformed, type Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";

export interface Content {
  /** Bytes of the whole. */
  readonly size: number;
  /** SHA-256 of the whole. */
  readonly hash: Uint8Array;
  readonly body: ContentBody;
}

export type ContentBody =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  /** Addresses of its chunks, in order. */
  | { readonly kind: "chunks"; readonly addresses: readonly Uint8Array[] }
  /** Addresses of the chunks of a list of addresses, and all packs that it relies on. */
  | {
      readonly kind: "manifest";
      readonly addresses: readonly Uint8Array[];
      readonly packs: readonly Uint8Array[];
    };

export const contentLimits: {
  readonly inline: number;
  readonly chunks: number;
  readonly packs: number;
  readonly size: number;
} = {
  inline: 16 << 10,
  /** Named in one change; more are named by a manifest. */
  chunks: 64,
  packs: 6144,
  /** 48 GiB: that many full packs. */
  size: 6144 * (8 << 20),
};

const HASH = 32;
const kinds = ["inline", "chunks", "manifest"] as const;

export function writeContent(w: Writer, { size, hash, body }: Content): void {
  w.u8(kinds.indexOf(body.kind)).v(size);
  if (body.kind === "inline") {
    w.fixed(hash).fixed(body.bytes);
    return;
  }
  w.fixed(hash).v(body.addresses.length);
  for (const address of body.addresses) w.fixed(address);
  if (body.kind === "chunks") return;
  w.v(body.packs.length);
  for (const pack of body.packs) w.fixed(pack);
}

/** Copies what it keeps. */
export function readContent(r: Reader): Content {
  const kind = kinds[r.u8()];
  if (kind === undefined) throw new Malformed("unknown content");
  const size = r.v(contentLimits.size);
  const hash = r.fixed(HASH).slice();
  switch (kind) {
    case "inline":
      if (size > contentLimits.inline) throw new Malformed("content too large to be inline");
      return { size, hash, body: { kind, bytes: r.fixed(size).slice() } };
    case "chunks":
      return { size, hash, body: { kind, addresses: readHashes(r, contentLimits.chunks) } };
    case "manifest": {
      const addresses = readHashes(r, contentLimits.chunks);
      const packs = readHashes(r, contentLimits.packs);
      return { size, hash, body: { kind, addresses, packs } };
    }
  }
}

function readHashes(r: Reader, most: number): Uint8Array[] {
  const count = r.v(most);
  if (count < 1) throw new Malformed("content without bytes");
  const hashes: Uint8Array[] = [];
  for (let i = 0; i < count; i++) hashes.push(r.fixed(HASH).slice());
  return hashes;
}

/** Whether two hold the same bytes, wherever they lie. */
export function sameContent(a: Content, b: Content): boolean {
  return a.size === b.size && equalBytes(a.hash, b.hash);
}
