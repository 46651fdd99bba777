/**
 * Makes objects of content: cut, sealed, laid into packs together with that of other files, and
 * named. What the log already locates is named and not sent again (CNT7).
 */
import { concat, toHex } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { type ChunkSecret, sealChunk } from "../log/chunk.ts";
import { type Content, contentLimits } from "../log/content.ts";
import { cutLength, cutSizes, type Gear } from "../log/cut.ts";
import { type Pack, PackBuilder } from "../log/pack.ts";

export interface PackerOptions {
  readonly suite: Suite;
  readonly secret: ChunkSecret;
  readonly gear: Gear;
  /** A pack that holds this chunk, as the log says. */
  readonly packOf: (address: Uint8Array) => Uint8Array | undefined;
}

export interface ContentWriter {
  push(bytes: Uint8Array): void;
  /** Once: nothing follows it. */
  done(): Content;
}

export class ContentPacker {
  readonly #options: PackerOptions;
  readonly #builder: PackBuilder;
  readonly #packs: Pack[] = [];
  /** Chunks that were met here, and the pack that has them: undefined while that is open. */
  readonly #known = new Map<string, Uint8Array | undefined>();
  /** Of those, the ones in the pack that is still open. */
  #open: string[] = [];

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#builder = new PackBuilder(options.suite);
  }

  add(bytes: Uint8Array, compress = true, inline = true): Content {
    const one = this.open(compress, inline);
    one.push(bytes);
    return one.done();
  }

  /**
   * A content that comes piece by piece, one at a time: what is held of it is a chunk, and the pack that is open.
   * `inline`: a small one stands in the change itself, which many of them would make large.
   */
  open(compress = true, inline = true): ContentWriter {
    const { suite, gear } = this.#options;
    const sum = suite.sha256Stream();
    const addresses: Uint8Array[] = [];
    let size = 0;
    /** Begins with what came and is not cut yet, which is less than the largest chunk. */
    let buffer: Uint8Array = new Uint8Array(0);
    let filled = 0;

    /** Cuts until less than `least` is left, and answers that. */
    const cut = (bytes: Uint8Array, least: number): Uint8Array => {
      let at = 0;
      while (bytes.length - at >= least) {
        const window = bytes.subarray(at, at + cutSizes.most);
        const piece = window.subarray(0, cutLength(gear, window));
        addresses.push(this.#lay(piece, compress));
        at += piece.length;
      }
      return bytes.subarray(at);
    };

    return {
      push: (bytes) => {
        size += bytes.length;
        sum.update(bytes);
        const end = filled + bytes.length;
        if (end > buffer.length) {
          // Large enough for all pieces after the second: memory that is used again need not be collected.
          const larger = new Uint8Array(filled === 0 ? end : cutSizes.most + bytes.length);
          larger.set(buffer.subarray(0, filled));
          buffer = larger;
        }
        buffer.set(bytes, filled);
        filled = cut(buffer.subarray(0, end), cutSizes.most).length;
        buffer.copyWithin(0, end - filled, end);
      },
      done: () => {
        const named = { size, hash: sum.digest() };
        // What is nothing has no chunks.
        if (size === 0 || (inline && size <= contentLimits.inline))
          return { ...named, body: { kind: "inline", bytes: buffer.slice(0, filled) } };
        cut(buffer.subarray(0, filled), 1);
        if (addresses.length <= contentLimits.chunks)
          return { ...named, body: { kind: "chunks", addresses } };
        return { ...named, body: this.#manifest(addresses) };
      },
    };
  }

  /** Packs that were filled since they were last taken. */
  take(): readonly Pack[] {
    return this.#packs.splice(0);
  }

  /** All packs that were not taken yet, the open one closed. */
  finish(): readonly Pack[] {
    this.#close();
    return this.take();
  }

  /** A list too long for a change is content itself, and names the packs: they stay whole while it lives. */
  #manifest(addresses: readonly Uint8Array[]): Content["body"] {
    this.#close();
    const packs = new Map<string, Uint8Array>();
    for (const address of addresses) {
      // The one that was found when it was cut: another question might have no answer any more.
      const pack = this.#known.get(toHex(address)) as Uint8Array;
      packs.set(toHex(pack), pack);
    }
    const list = concat(...addresses);
    const lists: Uint8Array[] = [];
    for (let at = 0; at < list.length; at += cutSizes.most)
      lists.push(this.#lay(list.subarray(at, at + cutSizes.most), false));
    return { kind: "manifest", addresses: lists, packs: [...packs.values()] };
  }

  #lay(plain: Uint8Array, compress: boolean): Uint8Array {
    const { suite, secret, packOf } = this.#options;
    const chunk = sealChunk(suite, secret, plain, compress);
    const { id } = chunk.record;
    const name = toHex(id);
    if (this.#known.has(name)) return id;
    const there = packOf(id);
    this.#known.set(name, there);
    if (there !== undefined) return id;
    this.#open.push(name);
    if (this.#builder.add(chunk)) this.#close();
    return id;
  }

  #close(): void {
    if (this.#builder.isEmpty) return;
    const pack = this.#builder.done();
    this.#packs.push(pack);
    for (const name of this.#open) this.#known.set(name, pack.stored.pack);
    this.#open = [];
  }
}
