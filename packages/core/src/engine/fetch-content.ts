/** Reads content back: from the log where it is small, else chunk by chunk out of packs (CNT8). */
import { concat, equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { openChunk } from "../log/chunk.ts";
import type { Content } from "../log/content.ts";
import { locate, locateHeld } from "../log/locations.ts";
import type { Tx } from "../log/tx.ts";
import type { Failure, Remote } from "../ports.ts";

export interface FetchDeps {
  readonly suite: Suite;
  readonly vault: Uint8Array;
  readonly read: <T>(work: (tx: Tx) => T) => T;
  /** What waits here to be sent: a pack by its name. */
  readonly spooled: (pack: Uint8Array) => Uint8Array | undefined;
  readonly remote: Pick<Remote, "getBlob"> | undefined;
}

export type Fetched =
  | { readonly kind: "ok"; readonly bytes: Uint8Array }
  /** Nowhere in one piece: nothing of it is given out. */
  | { readonly kind: "damaged" }
  | Failure;

type Piece = { readonly kind: "ok"; readonly plain: Uint8Array } | { readonly kind: "damaged" } | Failure;

const ADDRESS = 32;

export async function fetchContent(deps: FetchDeps, content: Content): Promise<Fetched> {
  const { body, size, hash } = content;
  const chunks = new Chunks(deps);
  if (body.kind === "inline") return whole(deps, [body.bytes], size, hash);
  let addresses = body.addresses;
  if (body.kind === "manifest") {
    const list = await chunks.all(addresses);
    if (list.kind !== "ok") return list;
    const bytes = concat(...list.pieces);
    if (bytes.length % ADDRESS !== 0) return { kind: "damaged" };
    addresses = Array.from({ length: bytes.length / ADDRESS }, (_, i) =>
      bytes.subarray(i * ADDRESS, (i + 1) * ADDRESS),
    );
  }
  const read = await chunks.all(addresses, size);
  return read.kind === "ok" ? whole(deps, read.pieces, size, hash) : read;
}

function whole({ suite }: FetchDeps, pieces: readonly Uint8Array[], size: number, hash: Uint8Array): Fetched {
  const bytes = concat(...pieces);
  const is = bytes.length === size && equalBytes(suite.sha256(bytes), hash);
  return is ? { kind: "ok", bytes } : { kind: "damaged" };
}

class Chunks {
  readonly #deps: FetchDeps;
  /** The pack that was read last: neighbours mostly lie in one. */
  #last: { readonly pack: Uint8Array; readonly bytes: Uint8Array } | undefined;

  constructor(deps: FetchDeps) {
    this.#deps = deps;
  }

  /** `most`: bytes that they may have together. */
  async all(
    addresses: readonly Uint8Array[],
    most = Number.MAX_SAFE_INTEGER,
  ): Promise<
    { readonly kind: "ok"; readonly pieces: readonly Uint8Array[] } | Exclude<Piece, { kind: "ok" }>
  > {
    const pieces: Uint8Array[] = [];
    let left = most;
    for (const address of addresses) {
      const piece = await this.#one(address);
      if (piece.kind !== "ok") return piece;
      left -= piece.plain.length;
      if (left < 0) return { kind: "damaged" };
      pieces.push(piece.plain);
    }
    return { kind: "ok", pieces };
  }

  /** From whichever of its places has it whole. */
  async #one(address: Uint8Array): Promise<Piece> {
    const { suite, vault, read } = this.#deps;
    let failure: Failure | undefined;
    const places = read((tx) => [...locate(tx, address), ...locateHeld(tx, address)]);
    for (const { pack, offset, record } of places) {
      const blob = await this.#pack(pack);
      if (blob.kind !== "ok") {
        failure = blob;
        continue;
      }
      if (blob.value === undefined || !equalBytes(record.id, address)) continue;
      const opened = openChunk(suite, vault, record, blob.value.subarray(offset, offset + record.length));
      if (opened.kind === "ok") return opened;
      // What was read was not what is stored there, or is damaged: the next time it is read anew.
      this.#last = undefined;
    }
    return failure ?? { kind: "damaged" };
  }

  async #pack(pack: Uint8Array): Promise<{ kind: "ok"; value: Uint8Array | undefined } | Failure> {
    if (this.#last !== undefined && equalBytes(this.#last.pack, pack))
      return { kind: "ok", value: this.#last.bytes };
    const here = this.#deps.spooled(pack);
    if (here === undefined && this.#deps.remote === undefined) return { kind: "ok", value: undefined };
    const got =
      here === undefined ? await this.#deps.remote?.getBlob(pack) : { kind: "ok" as const, value: here };
    if (got === undefined || got.kind !== "ok") return got ?? { kind: "ok", value: undefined };
    if (got.value !== undefined) this.#last = { pack, bytes: got.value };
    return got;
  }
}
