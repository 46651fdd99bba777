/**
 * How frames travel to a server, and pages back from it. Bytes: docs/format.md, "Frame list" and
 * "Page list". A server gives positions and times itself, so what goes there has neither.
 */
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { type LogPage, parsePage } from "./page.ts";

/** The longest frame list. */
export const FRAME_LIST: number = limits.appendBytes + 4 * limits.framesPerAppend + 4;

export function encodeFrameList(frames: readonly Uint8Array[]): Uint8Array {
  const size = frames.reduce((sum, frame) => sum + frame.length + 4, 4);
  const w = new Writer(size).v(frames.length);
  for (const frame of frames) w.bytes(frame);
  return w.done();
}

/** Null for anything but 1..256 frames within their sizes. They are views into `bytes`. */
export function parseFrameList(bytes: Uint8Array): readonly Uint8Array[] | null {
  if (bytes.length > FRAME_LIST) return null;
  return decodeWith(bytes, (r) => {
    const count = r.v(limits.framesPerAppend);
    if (count === 0) throw new Malformed("no frame");
    const frames: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const frame = r.bytes(limits.frame);
      if (frame.length === 0) throw new Malformed("empty frame");
      frames.push(frame);
    }
    return frames;
  });
}

/** One item of a page list: the page behind its length. */
export function encodePageItem(page: Uint8Array): Uint8Array {
  return new Writer(page.length + 4).bytes(page).done();
}

export interface PageItem {
  readonly page: LogPage;
  /** As it came: a view into the list. */
  readonly bytes: Uint8Array;
}

/** Null unless all of it is pages, each where the one before it ends. */
export function parsePageList(bytes: Uint8Array, after: number): readonly PageItem[] | null {
  return decodeWith(bytes, (r) => {
    const pages: PageItem[] = [];
    let next = after + 1;
    while (r.left > 0) {
      const item = r.bytes(limits.pageBytes);
      const page = parsePage(item);
      if (page === null || page.first !== next) throw new Malformed("page");
      next += page.entries.length;
      pages.push({ page, bytes: item });
    }
    return pages;
  });
}
