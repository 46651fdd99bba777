/**
 * Bytes that come in pieces, in one stretch of memory. Kept one by one, a million pieces of a byte
 * would cost a hundred times what they hold, and whoever sends them chooses how small they are.
 */
export class Gatherer {
  readonly #most: number;
  /** The first piece itself, until there is a second one. */
  #bytes: Uint8Array = new Uint8Array(0);
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** False where that would be more than there may be: nothing of it is taken. */
  add(piece: Uint8Array): boolean {
    const size = this.#size + piece.length;
    if (size > this.#most) return false;
    if (this.#size === 0) {
      this.#bytes = piece;
    } else {
      if (size > this.#bytes.length) this.#grow(size);
      this.#bytes.set(piece, this.#size);
    }
    this.#size = size;
    return true;
  }

  get size(): number {
    return this.#size;
  }

  done(): Uint8Array {
    return this.#size === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#size);
  }

  #grow(size: number): void {
    const grown = new Uint8Array(Math.min(this.#most, Math.max(size, 2 * this.#bytes.length)));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }
}
