/**
 * The law of one change: what it does to the tree. Total: every change has an outcome in every
 * state, nothing throws for what the log says (FIL5 to FIL11).
 */
import { equalBytes } from "../../bytes/bytes.ts";
import type { Suite } from "../../crypto/suite.ts";
import { type Content, sameContent } from "../../log/content.ts";
import { goneOn, notice, openConflict, settle } from "./journal.ts";
import { isNameIn, isReserved } from "./names.ts";
import { ADJUSTED, OK, refused, SAME } from "./outcomes.ts";
import { confirmed } from "./spaces.ts";
import {
  type Context,
  diedBy,
  folderFor,
  isOneOf,
  isRoot,
  knows,
  liveFolder,
  nameIn,
  newItem,
  reviveAlone,
  reviveTree,
  saw,
  stamped,
  touched,
} from "./tree.ts";
import type { ChangeOf, FileChange, Item, ItemId, ItemKind, Outcome } from "./types.ts";
import { write } from "./write.ts";

interface Place {
  readonly parent: ItemId;
  readonly name: string;
}

export function reduceChange(context: Context, suite: Suite, change: FileChange): Outcome {
  if (isUsed(context)) return refused("bad");
  if ("content" in change && !context.isStored(change.content)) return refused("content");
  switch (change.do) {
    case "mkdir":
    case "create":
    case "symlink":
      return create(context, change);
    case "write":
      return write(context, suite, change);
    case "move":
      return move(context, change);
    case "delete":
      return remove(context, change);
    case "restore":
      return restore(context, change);
    case "meta":
      return setMeta(context, change);
    case "settle":
      return settle(context, change);
  }
}

/** Whether this op already names something: one change, one op. */
function isUsed({ ground, op }: Context): boolean {
  return (
    isReserved(op) ||
    ground.item(op as Uint8Array as ItemId) !== undefined ||
    ground.get(confirmed.alias, op) !== undefined ||
    ground.headOf(op) !== undefined ||
    ground.get(confirmed.entry, op) !== undefined
  );
}

/** FIL5. */
function create(context: Context, change: ChangeOf<"mkdir" | "create" | "symlink">): Outcome {
  const { ground, op } = context;
  if (!isNameIn(change.parent, change.name)) return refused("bad");
  const id = op as Uint8Array as ItemId;
  const parent = liveFolder(context, change.parent);
  const there = ground.at(parent, change.name);
  const made = filled(newItem(context, kindOf(change), id, parent, change.name), change);
  if (there !== undefined && isSame(there, made)) {
    merge(context, there);
    return SAME;
  }
  const name = nameIn(context, parent, change.name);
  const clash = there !== undefined && there.kind === "file" && made.kind === "file";
  const item: Item = clash ? { ...made, name, copyOf: { item: there.id, entry: op } } : { ...made, name };
  ground.store(item);
  if (item.kind === "file") ground.putNew(confirmed.head, op, id);
  if (item.content !== undefined) context.relyOn(item.content);
  if (clash) openConflict(context, "create", there, item, there.rev);
  const became = clash ? ADJUSTED : placed(context, change, item);
  return there === undefined ? became : { kind: "copy", id };
}

/** What became of a place that was asked for; where it is another, that is told. */
function placed(context: Context, asked: Place, { id, parent, name }: Item): Outcome {
  const elsewhere =
    !equalBytes(parent, asked.parent) && !equalBytes(parent, context.ground.resolve(asked.parent));
  if (!elsewhere && name === asked.name) return OK;
  notice(context, elsewhere ? "recovered" : "renamed", id);
  return ADJUSTED;
}

function kindOf(change: ChangeOf<"mkdir" | "create" | "symlink">): ItemKind {
  return kindByDo[change.do];
}

const kindByDo = { mkdir: "dir", create: "file", symlink: "link" } as const;

function filled(item: Item, change: ChangeOf<"mkdir" | "create" | "symlink">): Item {
  if (change.do === "create") return { ...item, content: change.content, ...change.meta };
  return change.do === "symlink" ? { ...item, target: change.target } : item;
}

/** Two folders of one name are one; files and links if they hold the same. */
function isSame(a: Item, b: Item): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "dir") return true;
  if (a.kind === "link") return equalBytes(a.target as Uint8Array, b.target as Uint8Array);
  return sameContent(a.content as Content, b.content as Content);
}

/** What was made is this item: its op names it, its revision and its place from now on. */
function merge(context: Context, there: Item): void {
  const { ground, op } = context;
  ground.put(confirmed.alias, op, there.id);
  const placeEqual = [...there.placeEqual, op];
  if (there.kind !== "file") {
    ground.store(touched({ ...there, placeEqual }, context));
    return;
  }
  ground.put(confirmed.head, op, there.id);
  const stamps = { ...there.stamps, rev: stamped(there.stamps.rev, context) };
  ground.store({ ...there, placeEqual, equal: [...there.equal, op], stamps });
}

/** FIL10. */
function move(context: Context, change: ChangeOf<"move">): Outcome {
  const { ground, op } = context;
  const id = ground.resolve(change.id);
  if (!isNameIn(change.parent, change.name)) return refused("bad");
  const item = ground.item(id);
  if (item === undefined || isRoot(id)) return refused("gone");
  const wanted = ground.resolve(change.parent);
  if (item.dead === undefined && equalBytes(item.parent, wanted) && item.name === change.name) {
    const stamps = { ...item.stamps, place: stamped(item.stamps.place, context) };
    ground.store({ ...item, placeEqual: [...item.placeEqual, op], stamps });
    return SAME;
  }
  if (!isOneOf(change.place, item.place, item.placeEqual)) return told(context, "moved", id);
  const parent = folderFor(context, wanted, id);
  if (parent === undefined) return told(context, "cycle", id);
  const back = item.dead === undefined ? item : reviveTree(context, item, parent, change.name);
  const name = nameIn(context, parent, change.name, id);
  const stamps = { ...back.stamps, place: stamped(item.stamps.place, context) };
  const moved: Item = { ...back, parent, name, place: op, placeEqual: [], stamps };
  ground.store(moved);
  goneOn(ground, id, "copy");
  return placed(context, change, moved);
}

function told(context: Context, reason: "moved" | "cycle", id: ItemId): Outcome {
  notice(context, reason, id);
  return refused(reason);
}

/** FIL11: a delete loses to whatever its author had not seen. */
function remove(context: Context, change: ChangeOf<"delete">): Outcome {
  const { ground } = context;
  const id = ground.resolve(change.id);
  const item = ground.item(id);
  if (item === undefined || item.dead !== undefined || isRoot(id)) return refused("gone");
  if (!saw(context, item.stamps.place) || (item.kind !== "dir" && !knows(context, item))) {
    notice(context, "delete", id);
    return refused("touched");
  }
  for (const one of below(context, item)) {
    const now = ground.item(one) as Item;
    if (
      !knows(context, now) ||
      (now.kind === "dir" && ground.scan(confirmed.slot, one, undefined, 1).length > 0)
    )
      continue;
    ground.store({ ...now, dead: diedBy(context) });
    goneOn(ground, one, "any");
  }
  if (ground.item(id)?.dead !== undefined) return OK;
  notice(context, "delete", id);
  return ADJUSTED;
}

/** An item and what lies below it, the deepest first; not what its author had not seen there. */
function below(context: Context, top: Item): readonly ItemId[] {
  const { ground } = context;
  const order: ItemId[] = [top.id];
  for (let i = 0; i < order.length; i++) {
    const item = ground.item(order[i] as ItemId) as Item;
    if (item.kind !== "dir") continue;
    for (const id of ground.children(item.id))
      if (saw(context, (ground.item(id) as Item).stamps.place)) order.push(id);
  }
  return order.reverse();
}

function restore(context: Context, change: ChangeOf<"restore">): Outcome {
  const { ground } = context;
  const id = ground.resolve(change.id);
  const item = ground.item(id);
  if (change.to !== undefined && !isNameIn(change.to.parent, change.to.name)) return refused("bad");
  if (item === undefined || isRoot(id)) return refused("gone");
  if (item.dead === undefined) return SAME;
  const { to } = change;
  const parent = to === undefined ? liveFolder(context, item.parent) : folderFor(context, to.parent, id);
  if (parent === undefined) return told(context, "cycle", id);
  const wanted = to ?? item;
  const back = reviveTree(context, ground.item(id) as Item, parent, wanted.name);
  if (to !== undefined) {
    const stamps = { ...back.stamps, place: stamped(back.stamps.place, context) };
    ground.store({ ...back, place: context.op, placeEqual: [], stamps });
  }
  return placed(context, wanted, back);
}

/** The last in the log's order counts. On something dead whose end its author had not seen, it lives. */
function setMeta(context: Context, { id: named, set }: ChangeOf<"meta">): Outcome {
  const { ground, base, device } = context;
  const id = ground.resolve(named);
  const item = ground.item(id);
  if (item === undefined || isRoot(id)) return refused("gone");
  const { dead } = item;
  if (dead !== undefined && (dead.device === device || dead.seq <= base)) return refused("gone");
  if (dead !== undefined) reviveAlone(context, id);
  ground.store(touched(withMeta(ground.item(id) as Item, set), context));
  return dead === undefined ? OK : ADJUSTED;
}

function withMeta(item: Item, set: ChangeOf<"meta">["set"]): Item {
  if (set.key !== "tag") return { ...item, [set.key]: set.value };
  const tags = new Map(item.tags);
  if (set.value === "") tags.delete(set.name);
  else tags.set(set.name, set.value);
  // One order for one state: the same tags are the same bytes, however they came.
  return { ...item, tags: new Map([...tags].sort(([a], [b]) => (a < b ? -1 : 1))) };
}
