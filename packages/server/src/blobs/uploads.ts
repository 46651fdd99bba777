/** Bytes on their way into a vault: several uploads at once must not each have the room that is there once. */
import { toHex } from "@tidelock/core/bytes/bytes";

export class Uploads {
  readonly #bytes = new Map<string, number>();

  /** Of a vault, without those that have arrived. */
  of(vault: Uint8Array): number {
    return this.#bytes.get(toHex(vault)) ?? 0;
  }

  async run<T>(vault: Uint8Array, bytes: number, upload: () => Promise<T>): Promise<T> {
    const key = toHex(vault);
    this.#bytes.set(key, this.of(vault) + bytes);
    try {
      return await upload();
    } finally {
      const left = this.of(vault) - bytes;
      if (left > 0) this.#bytes.set(key, left);
      else this.#bytes.delete(key);
    }
  }
}
