/**
 * Blobs on their way: durable here before anything names them. A pack stays until the log has judged the run that brings
 * it, also once the remote has it: it may be given up there meanwhile, and then it is packed again from here (CNT15).
 */
import type { Sealed } from "../bytes/brand.ts";
import { EMPTY, toHex } from "../bytes/bytes.ts";
import { isHeld } from "../log/locations.ts";
import type { Tx } from "../log/tx.ts";

/** id → the blob. */
export const SPOOL = "o.blob";

export interface SpooledBlob {
  readonly id: Uint8Array;
  readonly bytes: Sealed;
}

interface Waiting {
  readonly id: Uint8Array;
  readonly size: number;
}

export class Spool {
  /**
   * Those that the remote may not have, by name. Not durable: after a restart all are sent once more, which does no
   * harm. A row that is gone since counts no more.
   */
  #unsent: Map<string, Waiting> | undefined;
  /** Of all those. */
  #bytes = 0;

  put(tx: Tx, id: Uint8Array, bytes: Sealed): void {
    this.#open(tx);
    this.#add(id, bytes.length);
    tx.put(SPOOL, id, bytes);
  }

  get(tx: Tx, id: Uint8Array): Sealed | undefined {
    return tx.get(SPOOL, id) as Sealed | undefined;
  }

  next(tx: Tx): SpooledBlob | undefined {
    for (const { id } of this.#open(tx).values()) {
      const bytes = this.get(tx, id);
      if (bytes !== undefined) return { id, bytes };
      this.#forget(id);
    }
    return undefined;
  }

  /** Of those that the remote may not have. */
  bytes(tx: Tx): number {
    this.#open(tx);
    return this.#bytes;
  }

  /** The remote has it. In a transaction that does nothing else: what memory knows must not outlive its failure. */
  sent(tx: Tx, id: Uint8Array): void {
    if (!isHeld(tx, id)) this.drop(tx, id);
    this.#open(tx);
    this.#forget(id);
  }

  drop(tx: Tx, id: Uint8Array): void {
    tx.delete(SPOOL, id);
  }

  /** One by one: each may be large. */
  #open(tx: Tx): ReadonlyMap<string, Waiting> {
    if (this.#unsent !== undefined) return this.#unsent;
    this.#unsent = new Map();
    for (let from = EMPTY; ; ) {
      const [row] = tx.scan(SPOOL, from, undefined, 1);
      if (row === undefined) return this.#unsent;
      this.#add(row[0], row[1].length);
      from = Uint8Array.of(...row[0], 0);
    }
  }

  #add(id: Uint8Array, size: number): void {
    this.#forget(id);
    this.#unsent?.set(toHex(id), { id: id.slice(), size });
    this.#bytes += size;
  }

  #forget(id: Uint8Array): void {
    const name = toHex(id);
    this.#bytes -= this.#unsent?.get(name)?.size ?? 0;
    this.#unsent?.delete(name);
  }
}
