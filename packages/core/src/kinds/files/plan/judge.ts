/** What changed of one item, and on which side (PLN3); and what an absence means (PLN4, PLN6). */
import { equalBytes } from "../../../bytes/bytes.ts";
import { sameContent } from "../../../log/content.ts";
import { PENDING } from "../spaces.ts";
import type { Item, Stamp } from "../types.ts";
import { isMoved, type Known, nameOnDisk, type Pairs } from "./pair.ts";
import type { Node, Seen, Shown } from "./trees.ts";
import type { Direction, Fingerprint, LocalEntry, PlanIssue, PlanOptions, SyncedRow } from "./types.ts";

/** Stamps of unconfirmed changes may carry it until the log knows this device. */
const NO_DEVICE = 2 ** 32;

/** The newest seq at which another device changed anything of an item. */
export function othersOf({ stamps }: Item, self: number): number {
  const other = (stamp: Stamp): number =>
    stamp.device === self || stamp.device === NO_DEVICE ? stamp.other : stamp.seq;
  return Math.max(other(stamps.rev), other(stamps.place), other(stamps.touch));
}

export function samePrint(a: Fingerprint, b: Fingerprint): boolean {
  return (
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.ino === b.ino &&
    a.birthtimeNs === b.birthtimeNs
  );
}

/** What became of a file's bytes here; only reading says it where `unread`. */
export function bytesOf(entry: LocalEntry, row: SyncedRow): "same" | "changed" | "unread" {
  if (row.kind !== "file" || (!entry.racy && samePrint(entry.print, row.print))) return "same";
  if (entry.hash !== undefined) return equalBytes(entry.hash, row.hash ?? NONE) ? "same" : "changed";
  return entry.print.size === row.print.size ? "unread" : "changed";
}

const NONE: Uint8Array = new Uint8Array(0);

/** Whether a file or link of the disk holds what an item holds; undefined where only reading says it. */
export function holds(entry: LocalEntry, item: Item): boolean | undefined {
  if (entry.kind !== item.kind) return false;
  if (entry.kind === "link") return equalBytes(entry.target ?? NONE, item.target ?? NONE);
  const { content } = item;
  if (content === undefined || content.size !== entry.print.size) return false;
  if (entry.hash === undefined) return undefined;
  return sameContent({ ...content, hash: entry.hash }, content);
}

/** Whether the view still says what disk and log agreed on, and nobody else touched it since. */
function isCurrent({ row, item, parent, seen }: Known, self: number): boolean {
  return (
    item !== undefined &&
    seen?.folder.key === parent &&
    item.name === row.name &&
    equalBytes(item.place, row.place) &&
    equalBytes(item.rev, row.rev) &&
    (item.kind !== "file" || item.executable === row.executable) &&
    othersOf(item, self) <= row.others
  );
}

/** What it means that something synced is not on the disk. */
export type Absence =
  /** It was deleted here, with all in it. */
  | "whole"
  /** Something in it went elsewhere, or nobody can tell yet: judged again next time. */
  | "waits"
  /** It, or something in it, changed elsewhere or was never here: it comes back. */
  | "back";

/** From the leaves up. */
export function judgeAbsent({ order }: Shown, { byKey }: Pairs, self: number): ReadonlyMap<string, Absence> {
  const absence = new Map<string, Absence>();
  if (byKey.size === 0) return absence;
  const inFolder = new Map<string, Absence>();
  for (let i = order.length - 1; i >= 0; i--) {
    const seen = order[i] as Seen;
    const one = byKey.get(seen.key);
    let is: Absence = "back";
    if (one !== undefined && (one.held || (one.node !== undefined && isMoved(one)))) is = "waits";
    else if (one?.node !== undefined) is = "back";
    else if (one !== undefined && seen.shown === "yes" && isCurrent(one, self))
      is = inFolder.get(seen.key) ?? "whole";
    if (one?.node === undefined) absence.set(seen.key, is);
    const { key } = seen.folder;
    if (is === "back" || (is === "waits" && inFolder.get(key) !== "back")) inFolder.set(key, is);
  }
  return absence;
}

/** Whether the log has not said yet what became of something that this device did to it. */
export function isPending({ stamps }: Item): boolean {
  return stamps.rev.seq >= PENDING || stamps.place.seq >= PENDING || stamps.touch.seq >= PENDING;
}

/** Whether this entry goes because its item died or is not selected any more; changed ones are sent first. */
export function isLeaving(one: Known): boolean {
  if (one.node === undefined || one.held || one.twinOf !== undefined) return false;
  if (one.state !== "dead" && one.state !== "gone" && one.state !== "deselected") return false;
  // What is deselected stays in the vault, so nothing is lost by waiting until the vault has it.
  if (one.state === "deselected" && (one.item === undefined || isPending(one.item))) return false;
  return !isMoved(one) && bytesOf(one.node.entry as LocalEntry, one.row) === "same";
}

/** Directions whose deletions wait for a person (PLN7). */
export function guard(
  shown: Shown,
  { byKey }: Pairs,
  absence: ReadonlyMap<string, Absence>,
  { approved }: PlanOptions,
  issues: PlanIssue[],
): ReadonlySet<Direction> {
  const of = byKey.size;
  const count = { up: 0, down: 0 };
  for (const one of byKey.values()) {
    if (one.node === undefined && absence.get(one.key) === "whole") count.up++;
    if (one.state !== "deselected" && isLeaving(one)) count.down++;
  }
  const withheld = new Set<Direction>();
  for (const direction of ["up", "down"] as const) {
    const isMuch = count[direction] > 100 && count[direction] * 5 > of;
    const isAll = direction === "down" && count.down > 0 && shown.order.length === 0;
    if (!(isMuch || isAll) || approved.includes(direction)) continue;
    withheld.add(direction);
    issues.push({ kind: "guard-deletion", direction, count: count[direction], of });
  }
  return withheld;
}

/** Whether the disk has it where the view has it, in the log's terms. */
export function isWhereSeen(one: Known, { folder, item }: Seen): boolean {
  const { node } = one;
  return node?.parent?.item?.key === folder.key && nameOnDisk(one, node) === item.name;
}

export function entryOf(node: Node): LocalEntry {
  return node.entry as LocalEntry;
}
