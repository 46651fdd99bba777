/**
 * What did not go as its author meant it. A conflict stays open until somebody has looked at both
 * sides, or has gone on with either; a notice is told and done (FIL12, FIL13).
 */
import { concat } from "../../bytes/bytes.ts";
import type { Ground } from "./ground.ts";
import { decodeEntry, encodeEntry, encodeVersion } from "./item.ts";
import { OK, refused } from "./outcomes.ts";
import { confirmed, ID, NOTHING, placeKey, textOf } from "./spaces.ts";
import { byOf, type Context, diedBy, isOneOf, stamped } from "./tree.ts";
import type { ChangeOf, Entry, Item, ItemId, Op, Outcome, Sides } from "./types.ts";

export function notice(context: Context, why: Entry["why"], item: ItemId): void {
  const { ground, op, seq, index } = context;
  const entry: Entry = { op, why, seq, index, item, by: byOf(context), sides: undefined };
  ground.put(confirmed.entry, op, encodeEntry(entry));
}

/** `copy` holds what lost against `item`. */
export function openConflict(
  context: Context,
  why: "write" | "create",
  item: Item,
  copy: Item,
  base: Op,
): void {
  const { ground, op, seq, index } = context;
  const sides: Sides = {
    copy: copy.id,
    rev: item.rev,
    otherRev: copy.rev,
    base,
    other: item.by,
    size: item.content?.size ?? 0,
    otherSize: copy.content?.size ?? 0,
    ended: undefined,
  };
  const entry: Entry = { op, why, seq, index, item: item.id, by: byOf(context), sides };
  ground.put(confirmed.entry, op, encodeEntry(entry));
  for (const id of [item.id, copy.id]) ground.put(confirmed.open, concat(id, op), NOTHING);
}

export function entryOf(ground: Ground, op: Op): Entry | undefined {
  const bytes = ground.get(confirmed.entry, op);
  return bytes === undefined ? undefined : decodeEntry(op, bytes);
}

export function openEntries(ground: Ground, id: ItemId): readonly Op[] {
  return ground.scan(confirmed.open, id).map(([key]) => key.slice(ID) as Op);
}

function end(ground: Ground, entry: Entry, sides: Sides, ended: NonNullable<Sides["ended"]>): void {
  ground.put(confirmed.entry, entry.op, encodeEntry({ ...entry, sides: { ...sides, ended } }));
  for (const id of [entry.item, sides.copy]) ground.delete(confirmed.open, concat(id, entry.op));
  const copy = ground.item(sides.copy);
  if (copy?.copyOf !== undefined && textOf(copy.copyOf.entry) === textOf(entry.op))
    ground.store({ ...copy, copyOf: undefined });
}

/** Somebody went on with it: a copy that was written, moved or deleted, or an original that was deleted. */
export function goneOn(ground: Ground, id: ItemId, as: "copy" | "any"): void {
  for (const op of openEntries(ground, id)) {
    const entry = entryOf(ground, op);
    if (entry?.sides === undefined) continue;
    if (as === "any" || textOf(entry.sides.copy) === textOf(id)) end(ground, entry, entry.sides, "over");
  }
}

/** FIL13: a person's word, which counts only for what the person saw. */
export function settle(context: Context, { entry: op, pick, rev, otherRev }: ChangeOf<"settle">): Outcome {
  const { ground } = context;
  const entry = entryOf(ground, op);
  if (entry?.sides === undefined || entry.sides.ended !== undefined) return refused("settled");
  const item = ground.item(entry.item) as Item;
  const copy = ground.item(entry.sides.copy) as Item;
  if (!isOneOf(rev, item.rev, item.equal) || !isOneOf(otherRev, copy.rev, copy.equal))
    return refused("touched");
  end(ground, entry, entry.sides, pick);
  if (pick === "keep-both") return OK;
  if (pick === "use-other") take(context, item, copy);
  const now = ground.item(copy.id) as Item;
  ground.store({ ...now, dead: diedBy(context) });
  goneOn(ground, copy.id, "any");
  return OK;
}

/** The item gets what the copy holds; whoever goes on from the copy's revision goes on with the item. */
function take(context: Context, item: Item, copy: Item): void {
  const { ground, op } = context;
  keepVersion(context, item);
  if (copy.content !== undefined) context.relyOn(copy.content);
  const others = [copy.rev, ...copy.equal];
  for (const other of [op, ...others]) ground.put(confirmed.head, other, item.id);
  ground.store({
    ...item,
    content: copy.content,
    mtime: copy.mtime,
    rev: op,
    writes: item.writes + 1,
    equal: others,
    stamps: { ...item.stamps, rev: stamped(item.stamps.rev, context) },
    by: copy.by,
  });
}

/** What is about to be replaced stays in the item's history. */
export function keepVersion({ ground, seq, index }: Context, { id, rev, by, content }: Item): void {
  if (content === undefined) return;
  ground.put(confirmed.version, placeKey(id, seq, index), encodeVersion({ rev, by, content }));
}
