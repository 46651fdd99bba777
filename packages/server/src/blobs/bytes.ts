/** Where the bytes of blobs lie. Their index is the store's, and a row comes after its bytes. */
export interface BlobBytes {
  /**
   * Resolves once the bytes are durable under the SHA-256 that they were found to have;
   * `mismatch` where that is another than `id`, with nothing kept. Again mends a damaged one.
   */
  put(
    vault: Uint8Array,
    id: Uint8Array,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly size: number } | "mismatch">;
  /** From `from` up to `to`, in pieces. Undefined where the bytes are gone. */
  get(
    vault: Uint8Array,
    id: Uint8Array,
    from: number,
    to: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Removes the bytes of one blob. Again: nothing happens. */
  remove(vault: Uint8Array, id: Uint8Array): Promise<void>;
  /** Removes all bytes of a vault. Again, and where there are none: nothing happens. */
  drop(vault: Uint8Array): Promise<void>;
  /** Throws where nothing can be written. */
  check(): Promise<void>;
}
