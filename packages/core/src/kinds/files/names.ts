/** Names of items, and names for those whose own is taken (FIL3, FIL4). */
import { decodeUtf8, encodeUtf8, equalBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { fold, nfc } from "./fold.ts";
import type { ItemId } from "./types.ts";

export const ROOT: ItemId = reserved(0);
/** Where what has no parent goes. An ordinary folder that is made when it is needed. */
export const RECOVERED: ItemId = reserved(1);
export const RECOVERED_NAME = "Recovered";
/** Under the root every disk keeps something of ours there. */
const OURS = ".tidelock";
const LABEL = 32;
const SLASH = 0x2f;
/** Half of a pair is no character. */
const LONE = /\p{Cs}/u;

function reserved(n: number): ItemId {
  const id = new Uint8Array(16);
  id[15] = n;
  return id as ItemId;
}

/** Ids that no change makes, those of folders and roots that every tree may have. */
export function isReserved(id: Uint8Array): boolean {
  for (let i = 0; i < id.length - 1; i++) if (id[i] !== 0) return false;
  return true;
}

/** Whether the log takes it. What a disk cannot hold gets another name there alone. */
export function isName(name: string): boolean {
  if (name === "" || name === "." || name === "..") return false;
  if (isPlain(name)) return name.length <= limits.name;
  if (/[/\0]/.test(name)) return false;
  return !LONE.test(name) && nfc(name) === name && encodeUtf8(name).length <= limits.name;
}

/** ASCII without what no name has: most names. */
function isPlain(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit === 0 || unit === SLASH || unit > 0x7f) return false;
  }
  return true;
}

export function isNameIn(parent: Uint8Array, name: string): boolean {
  return isName(name) && !(equalBytes(parent, ROOT) && fold(name) === OURS);
}

/** As a copy's name shows it: no separators, no control characters, at most 32 bytes. */
export function labelOf(label: string): string {
  const text = nfc(label.replace(/[/()]|\p{Cs}|\p{Cc}/gu, "")).trim();
  const cut = cutTo(text, LABEL).trim();
  return cut === "" ? "device" : cut;
}

export interface Made {
  readonly label: string;
  /** ms since 1970. */
  readonly time: number;
}

/** `a.txt` → `a (Laptop conflict 2026-11-20).txt`, then ` 2`, ` 3` before the extension. */
export function freeName(name: string, made: Made, taken: (name: string) => boolean): string {
  if (!taken(name)) return name;
  const { stem, extension } = split(name);
  const group = ` (${labelOf(made.label)} conflict${dayOf(made.time)})`;
  const bare = stem.replace(/ \([^()]* conflict(?: \d{4}-\d\d-\d\d)?\)(?: \d+)?$/, "");
  for (let n = 1; ; n++) {
    const tail = `${group}${n === 1 ? "" : ` ${n}`}${extension}`;
    const made = nfc(cutTo(bare, limits.name - encodeUtf8(tail).length) + tail);
    if (!taken(made)) return made;
  }
}

/** The extension with its dot: the last part, `.tar.*` whole. */
function split(name: string): { readonly stem: string; readonly extension: string } {
  const found = /(?:\.tar)?\.[^.]{1,64}$/.exec(name.slice(1));
  const extension = found === null ? "" : found[0];
  return { stem: name.slice(0, name.length - extension.length), extension };
}

const DAY = 86_400_000;
/** Of 2020-01-01 and 2100-01-01, days since 1970: years outside are a clock that was never set. */
const FIRST = 18_262;
const END = 47_482;

/** ` 2026-11-20`, the day in UTC. */
function dayOf(time: number): string {
  const since = Math.floor(time / DAY);
  if (since < FIRST || since >= END) return "";
  // Within these years every fourth is a leap year, and the calendar repeats with it.
  const days = since - FIRST;
  const year = 2020 + 4 * Math.floor(days / 1461);
  let [left, month] = [days % 1461, 0];
  for (; left >= monthDays(month); month++) left -= monthDays(month);
  const two = (n: number): string => String(n).padStart(2, "0");
  return ` ${year + Math.floor(month / 12)}-${two((month % 12) + 1)}-${two(left + 1)}`;
}

/** Months are counted from the January of a leap year. */
function monthDays(month: number): number {
  if (month % 12 === 1) return month < 12 ? 29 : 28;
  return [3, 5, 8, 10].includes(month % 12) ? 30 : 31;
}

/** The longest beginning of whole code points within so many bytes of UTF-8. */
function cutTo(text: string, bytes: number): string {
  const all = encodeUtf8(text);
  let end = Math.min(all.length, Math.max(0, bytes));
  while (end > 0 && end < all.length && ((all[end] as number) & 0xc0) === 0x80) end--;
  return decodeUtf8(all.subarray(0, end)) as string;
}
