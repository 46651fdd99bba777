/**
 * Bytes on their way into a vault, or into what is spared for a person in one: several uploads at
 * once must not each have the room that is there once.
 */
import { toHex } from "@tidelock/core/bytes/bytes";

export class Uploads {
  readonly #bytes = new Map<string, number>();

  /** Without those that have arrived. */
  of(place: Uint8Array): number {
    return this.#bytes.get(toHex(place)) ?? 0;
  }

  async run<T>(place: Uint8Array, bytes: number, upload: () => Promise<T>): Promise<T> {
    const key = toHex(place);
    this.#bytes.set(key, this.of(place) + bytes);
    try {
      return await upload();
    } finally {
      const left = this.of(place) - bytes;
      if (left > 0) this.#bytes.set(key, left);
      else this.#bytes.delete(key);
    }
  }
}
