/** Blobs that wait here for the remote, and how many bytes they are: kept, because whoever cuts asks often. */
import type { Sealed } from "../bytes/brand.ts";
import { EMPTY, encodeUtf8 } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { packLimits } from "../log/pack.ts";
import type { Tx } from "../log/tx.ts";
import type { ReplicaStore } from "../ports.ts";
import { META } from "./entries.ts";

/** Blob id → a blob that is stored before the frame that names it. */
export const SPOOL = "o.blob";
const BYTES = encodeUtf8("spool");

export interface SpooledBlob {
  readonly id: Uint8Array;
  readonly bytes: Sealed;
}

export class Spool {
  readonly #store: ReplicaStore;

  constructor(store: ReplicaStore) {
    this.#store = store;
  }

  put(tx: Tx, id: Uint8Array, bytes: Sealed): void {
    const total = this.bytes(tx) + bytes.length;
    tx.put(SPOOL, id, bytes);
    this.#note(tx, total);
  }

  drop(tx: Tx, { id, bytes }: SpooledBlob): void {
    const total = this.bytes(tx) - bytes.length;
    tx.delete(SPOOL, id);
    // What was miscounted is so no longer than until all has left.
    this.#note(tx, this.#store.count(SPOOL) === 0 ? 0 : Math.max(0, total));
  }

  first(tx: Tx, limit: number | undefined): readonly SpooledBlob[] {
    const rows = tx.scan(SPOOL, EMPTY, undefined, limit);
    return rows.map(([id, bytes]) => ({ id, bytes: bytes as Sealed }));
  }

  bytes(tx: Tx): number {
    const kept = tx.get(META, BYTES);
    // An earlier program kept no sum: its packs count as full ones.
    return kept === undefined ? this.#store.count(SPOOL) * packLimits.bytes : new Reader(kept).v();
  }

  #note(tx: Tx, total: number): void {
    tx.put(META, BYTES, new Writer(8).v(total).done());
  }
}
