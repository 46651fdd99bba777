/** The blobs of a model remote, as every remote keeps them: by name, with the time of their storing. */
import { compareBytes, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { BlobList, BlobPart } from "@tidelock/core/ports";
import { partOf } from "./blob-part.ts";

export class BlobShelf {
  /** By the lower-case hex of their names. */
  readonly bytes: Map<string, Uint8Array> = new Map();
  /** Those put here by hand were always there. */
  readonly #storedAt = new Map<string, number>();

  put(id: Uint8Array, bytes: Uint8Array, now: number): void {
    const name = toHex(id);
    if (!this.bytes.has(name)) this.#storedAt.set(name, now);
    this.bytes.set(name, bytes.slice());
  }

  get(id: Uint8Array, part?: BlobPart): Uint8Array | undefined {
    return partOf(this.bytes.get(toHex(id)), part);
  }

  list(after: Uint8Array, now: number): BlobList {
    const blobs = [...this.bytes]
      .map(([name, { length }]) => ({
        id: fromHex(name) as Uint8Array,
        size: length,
        storedAt: this.#timeOf(name),
      }))
      .filter(({ id }) => compareBytes(id, after) > 0)
      .sort((a, b) => compareBytes(a.id, b.id));
    return { now, blobs: blobs.slice(0, limits.blobsPerCall) };
  }

  /** `condemned`: when the entry was placed that gives them up; undefined where there is none. Answers those that stay. */
  delete(ids: readonly Uint8Array[], now: number, condemned: number | undefined): readonly Uint8Array[] {
    const since = now - limits.blobGrace;
    return ids.filter((id) => {
      const name = toHex(id);
      if (!this.bytes.has(name)) return false;
      if (condemned === undefined || condemned > since || this.#timeOf(name) > since) return true;
      this.bytes.delete(name);
      return false;
    });
  }

  #timeOf(name: string): number {
    return this.#storedAt.get(name) ?? 0;
  }
}
