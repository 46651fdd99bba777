/**
 * The log page: the one form in which entries of a log are stored and answered. Bytes: docs/format.md,
 * "Log page". What a reader makes of the object at a number is decided here, the same for every remote.
 */
import type { Seq } from "../bytes/brand.ts";
import { equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { LogObject } from "../ports.ts";

export interface PageEntry {
  /** Receive time, ms since 1970: what the chain covers. */
  readonly time: number;
  readonly frame: Uint8Array;
}

export interface LogPage {
  /** The seq of the first frame. */
  readonly first: Seq;
  /** The chain hash before `first`; null where the remote does not keep it. */
  readonly prev: Uint8Array | null;
  readonly entries: readonly PageEntry[];
}

/** The greatest number a log can reach: names of log objects have twelve digits. */
export const LAST_SEQ = 999_999_999_999;

const MAGIC = Uint8Array.of(0x54, 0x4c, 0x50, 0x31); // "TLP1"
const HAS_PREV = 1;
const LAST_TIME = 2 ** 48 - 1;

/** Throws `RangeError` for what no page may hold: a fault of the caller, not of the outside. */
/** So many files above a missing number may be strays; more are a part of the log (REM13). */
export const MOST_STRAYS = 8;

export function encodePage(page: LogPage): Uint8Array {
  const { first, prev, entries } = page;
  const count = entries.length;
  if (!isSeq(first, count)) throw new RangeError("a page outside the log's numbers");
  if (prev !== null && prev.length !== 32) throw new RangeError("a chain hash has 32 bytes");
  let size = 64;
  for (const { frame } of entries) size += frame.length + 12;
  const w = new Writer(size)
    .fixed(MAGIC)
    .u8(prev === null ? 0 : HAS_PREV)
    .v(first)
    .v(count);
  let time = (entries[0] as PageEntry).time;
  if (!isTime(time)) throw new RangeError("a receive time is 48 bits");
  w.v(time);
  if (prev !== null) w.fixed(prev);
  for (const entry of entries) {
    if (!isTime(entry.time)) throw new RangeError("a receive time is 48 bits");
    if (!isFrameSize(entry.frame.length)) throw new RangeError("a frame outside its size");
    w.z(BigInt(entry.time - time)).bytes(entry.frame);
    time = entry.time;
  }
  if (w.length > limits.pageBytes) throw new RangeError("a page over its size");
  return w.done();
}

/** Null for anything but the one encoding of a page. The frames are views into `bytes`. */
export function parsePage(bytes: Uint8Array): LogPage | null {
  return bytes.length > limits.pageBytes ? null : decodeWith(bytes, readPage);
}

/**
 * What stands at the number `first`, from the first 5 MiB of its bytes: the page that belongs
 * there, or garbage that takes this one number. Whether `prev` is ours, only the replica knows.
 */
export function objectAt(
  first: Seq,
  bytes: Uint8Array,
  sha256: (bytes: Uint8Array) => Uint8Array,
): LogObject {
  const page = parsePage(bytes);
  if (page !== null && page.first === first) return { kind: "page", ...page, hash: sha256(bytes) };
  return { kind: "garbage", first, hash: sha256(bytes.subarray(0, limits.garbageHashed)) };
}

/** The last number an object takes. */
export function endOf(object: LogObject): Seq {
  return object.kind === "page" ? object.first + object.entries.length - 1 : object.first;
}

/** Whether an object holds exactly these frames: how a writer knows its own after an unknown outcome. */
export function holdsFrames(object: LogObject, frames: readonly Uint8Array[]): boolean {
  return (
    object.kind === "page" &&
    object.entries.length === frames.length &&
    object.entries.every((entry, i) => equalBytes(entry.frame, frames[i] as Uint8Array))
  );
}

/** Throws `RangeError` unless the frames make one append. Remotes call it before they do anything. */
export function checkAppend(
  frames: readonly Uint8Array[],
  seen: { readonly seq: Seq; readonly hash: Uint8Array },
): void {
  let bytes = 0;
  for (const frame of frames) {
    if (!isFrameSize(frame.length)) throw new RangeError("a frame outside its size");
    bytes += frame.length;
  }
  if (!isSeq(seen.seq + 1, frames.length))
    throw new RangeError("an append has 1 to 256 frames within the log's numbers");
  if (bytes > limits.appendBytes) throw new RangeError("an append over its size");
  if (seen.hash.length !== 32) throw new RangeError("a chain hash has 32 bytes");
}

function readPage(r: Reader): LogPage {
  if (!equalBytes(r.fixed(4), MAGIC)) throw new Malformed("not a log page");
  const flags = r.u8();
  if (flags > HAS_PREV) throw new Malformed("unknown flag");
  const first = r.v();
  const count = r.v(limits.framesPerAppend);
  if (!isSeq(first, count)) throw new Malformed("outside the log's numbers");
  let time = r.v(LAST_TIME);
  const prev = flags === HAS_PREV ? r.fixed(32) : null;
  const entries: PageEntry[] = [];
  for (let i = 0; i < count; i++) {
    const step = r.z();
    // t0 is the first entry's time, else a page would have many spellings.
    if (i === 0 && step !== 0n) throw new Malformed("first time twice");
    time += Number(step);
    if (!isTime(time)) throw new Malformed("time out of range");
    const frame = r.bytes(limits.frame);
    if (frame.length === 0) throw new Malformed("empty frame");
    entries.push({ time, frame });
  }
  return { first, prev, entries };
}

function isSeq(first: number, count: number): boolean {
  return (
    count >= 1 &&
    count <= limits.framesPerAppend &&
    Number.isInteger(first) &&
    first >= 1 &&
    first + count - 1 <= LAST_SEQ
  );
}

function isTime(time: number): boolean {
  return Number.isInteger(time) && time >= 0 && time <= LAST_TIME;
}

function isFrameSize(length: number): boolean {
  return length >= 1 && length <= limits.frame;
}
