import type { BlobPart } from "@tidelock/core/ports";

/** What `Remote.getBlob` answers of a blob. */
export function partOf(bytes: Uint8Array | undefined, part: BlobPart | undefined): Uint8Array | undefined {
  if (part === undefined) return bytes;
  return bytes?.slice(part.offset, part.offset + part.length);
}
