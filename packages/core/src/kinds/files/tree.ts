/** Walks over the tree: what must live, what dies together, what lies below what (FIL6, FIL7). */
import { equalBytes } from "../../bytes/bytes.ts";
import type { Content } from "../../log/content.ts";
import type { Ground } from "./ground.ts";
import { NO_OPS, NO_TAGS } from "./item.ts";
import { freeName, RECOVERED, RECOVERED_NAME, ROOT } from "./names.ts";
import { textOf } from "./spaces.ts";
import type { By, Item, ItemId, ItemKind, Op, Stamp } from "./types.ts";

/** The change that is being reduced, and where it stands. */
export interface Context {
  readonly ground: Ground;
  /** Whether what a content names is on the remote. */
  readonly isStored: (content: Content) => boolean;
  /** From now on an item holds it. */
  readonly relyOn: (content: Content) => void;
  readonly op: Op;
  readonly base: number;
  /** Of the run; greater than all that is confirmed where it is not. */
  readonly seq: number;
  /** Of the change in its run. */
  readonly index: number;
  readonly device: number;
  readonly label: string;
  readonly time: number;
}

export const NEVER: Stamp = { seq: 0, device: 0, other: 0 };

/** FIL8. */
export function stamped(stamp: Stamp, { seq, device }: Context): Stamp {
  if (stamp.seq === 0) return { seq, device, other: 0 };
  return { seq, device, other: stamp.device === device ? stamp.other : stamp.seq };
}

export function touched(item: Item, context: Context): Item {
  return { ...item, stamps: { ...item.stamps, touch: stamped(item.stamps.touch, context) } };
}

/** Whether the author had seen this stamp: its own changes it had, the others' if they stood at or before its base. */
export function saw({ base, device }: Context, stamp: Stamp): boolean {
  return (stamp.device === device ? stamp.other : stamp.seq) <= base;
}

export function knows(context: Context, { stamps }: Item): boolean {
  return saw(context, stamps.rev) && saw(context, stamps.place) && saw(context, stamps.touch);
}

/** A death and who meant it, who has seen it of course. */
export function diedBy({ op, seq, device }: Context): NonNullable<Item["dead"]> {
  return { op, seq, device };
}

export function isOneOf(op: Op, first: Op, more: readonly Op[]): boolean {
  return equalBytes(op, first) || more.some((one) => equalBytes(one, op));
}

export function isRoot(id: ItemId): boolean {
  return equalBytes(id, ROOT);
}

export function byOf({ device, time }: Context): By {
  return { device, time };
}

/** A name for an item in a folder: its own, or a free one. */
export function nameIn(context: Context, parent: ItemId, name: string, self?: ItemId): string {
  return freeName(name, context, (wanted) => {
    const there = context.ground.at(parent, wanted);
    return there !== undefined && (self === undefined || !equalBytes(there.id, self));
  });
}

export function newItem(context: Context, kind: ItemKind, id: ItemId, parent: ItemId, name: string): Item {
  const { op } = context;
  const stamp = stamped(NEVER, context);
  return {
    id,
    kind,
    parent,
    name,
    content: undefined,
    target: undefined,
    rev: op,
    writes: 1,
    equal: NO_OPS,
    place: op,
    placeEqual: NO_OPS,
    stamps: { rev: stamp, place: stamp, touch: stamp },
    by: byOf(context),
    mtime: 0,
    executable: false,
    compress: true,
    pin: false,
    tags: NO_TAGS,
    dead: undefined,
    copyOf: undefined,
  };
}

/** A folder that is live, for something that must live in it; its ancestors come back bare. FIL6. */
export function liveFolder(context: Context, wanted: ItemId): ItemId {
  const { ground } = context;
  const dead: Item[] = [];
  const seen = new Set<string>();
  let id = ground.resolve(wanted);
  while (!isRoot(id)) {
    const item = ground.item(id);
    if (item === undefined || item.kind !== "dir" || seen.has(textOf(id))) {
      id = recovered(context);
      break;
    }
    if (item.dead === undefined) break;
    seen.add(textOf(id));
    dead.push(item);
    id = item.parent;
  }
  for (const { id: folder } of dead.reverse()) {
    const item = ground.item(folder) as Item;
    if (item.dead !== undefined)
      ground.store(touched({ ...item, ...freed(context, item, id), dead: undefined }, context));
    id = folder;
  }
  return id;
}

function freed(context: Context, item: Item, parent: ItemId): Pick<Item, "parent" | "name"> {
  return { parent, name: nameIn(context, parent, item.name, item.id) };
}

/** Where what has no parent goes. */
export function recovered(context: Context): ItemId {
  const { ground } = context;
  const item = ground.item(RECOVERED);
  if (item === undefined) {
    const name = nameIn(context, ROOT, RECOVERED_NAME);
    ground.store(newItem(context, "dir", RECOVERED, ROOT, name));
  } else if (item.dead !== undefined) {
    // Whatever it was moved into may be dead itself: it comes back where it was first.
    ground.store(touched({ ...item, ...freed(context, item, ROOT), dead: undefined }, context));
  }
  return RECOVERED;
}

/**
 * A live folder for an item that comes from elsewhere; undefined if it is the item or lies in it,
 * and then nothing has come back.
 */
export function folderFor(context: Context, wanted: ItemId, item: ItemId): ItemId | undefined {
  const { ground } = context;
  const id = ground.resolve(wanted);
  const lands = isRoot(id) || ground.item(id)?.kind === "dir" ? id : RECOVERED;
  return isWithin(ground, lands, item) ? undefined : liveFolder(context, id);
}

/** Brings a dead item back where it was, without what died with it. */
export function reviveAlone(context: Context, id: ItemId): void {
  const { ground } = context;
  const { parent } = ground.item(id) as Item;
  const folder = liveFolder(context, parent);
  const item = ground.item(id) as Item;
  ground.store(touched({ ...item, ...freed(context, item, folder), dead: undefined }, context));
}

/** Brings a dead item back, with all below it that died by the same change. */
export function reviveTree(context: Context, item: Item, parent: ItemId, name: string): Item {
  const { ground } = context;
  const back = touched(
    { ...item, parent, name: nameIn(context, parent, name, item.id), dead: undefined },
    context,
  );
  ground.store(back);
  const { dead } = item;
  if (dead === undefined) return back;
  for (const folders: ItemId[] = [item.id]; ; ) {
    const folder = folders.pop();
    if (folder === undefined) return back;
    for (const id of ground.deadChildren(folder)) {
      const child = ground.item(id) as Item;
      if (child.dead === undefined || !equalBytes(child.dead.op, dead.op)) continue;
      ground.store(touched({ ...child, ...freed(context, child, folder), dead: undefined }, context));
      if (child.kind === "dir") folders.push(id);
    }
  }
}

/** Whether a folder is an item or lies below it. */
export function isWithin(ground: Ground, folder: ItemId, item: ItemId): boolean {
  const wanted = textOf(item);
  const seen = new Set<string>();
  for (let id: ItemId | undefined = folder; id !== undefined && !isRoot(id); id = ground.item(id)?.parent) {
    const text = textOf(id);
    if (text === wanted) return true;
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return false;
}
