/** Which links a disk gets (PLN10): those that stay in the attached folder, wherever it lies. */
import { decodeUtf8 } from "../../../bytes/bytes.ts";
import type { Item } from "../types.ts";
import type { DiskProfile } from "./types.ts";

/** `depth`: folders above the link, the attached one not counted. */
export function isInside({ target }: Item, depth: number, { symlinks, windowsNames }: DiskProfile): boolean {
  const text = target === undefined ? undefined : decodeUtf8(target);
  if (!symlinks || text === undefined || text === "" || text.startsWith("/")) return false;
  if (windowsNames && /[\\:]/.test(text)) return false;
  let left = depth;
  for (const part of text.split("/")) {
    if (part === "..") left--;
    else if (part !== "" && part !== ".") left++;
    if (left < 0) return false;
  }
  return true;
}
