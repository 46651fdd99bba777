/**
 * The law of one change: what it does to the tree. Total: every change has an outcome in every
 * state, nothing throws for what the log says (FIL5 to FIL11).
 */
import { equalBytes } from "../../bytes/bytes.ts";
import { hashContexts, withCtx } from "../../crypto/labels.ts";
import type { Suite } from "../../crypto/suite.ts";
import { type Content, sameContent } from "../../log/content.ts";
import { goneOn, keepVersion, notice, openConflict, settle } from "./journal.ts";
import { isNameIn } from "./names.ts";
import { confirmed, ID, textOf } from "./spaces.ts";
import {
  byOf,
  type Context,
  isRoot,
  isWithin,
  knows,
  liveFolder,
  nameIn,
  newItem,
  recovered,
  reviveTree,
  saw,
  stamped,
  touched,
} from "./tree.ts";
import type { FileChange, Item, ItemId, ItemKind, Op, Outcome, Refusal } from "./types.ts";

type Of<K extends FileChange["do"]> = Extract<FileChange, { readonly do: K }>;

const OK: Outcome = { kind: "ok" };
const SAME: Outcome = { kind: "same" };
const ADJUSTED: Outcome = { kind: "adjusted" };

export function reduceChange(context: Context, suite: Suite, change: FileChange): Outcome {
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

function refused(reason: Refusal): Outcome {
  return { kind: "void", reason };
}

/** Whether this op already named something: one change, one op. */
function isUsed({ ground, op }: Context): boolean {
  return (
    ground.item(op as Uint8Array as ItemId) !== undefined ||
    ground.get(confirmed.alias, op) !== undefined ||
    ground.headOf(op) !== undefined
  );
}

/** FIL5. */
function create(context: Context, change: Of<"mkdir" | "create" | "symlink">): Outcome {
  const { ground, op } = context;
  if (isUsed(context) || !isNameIn(change.parent, change.name)) return refused("bad");
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
  if (item.kind === "file") ground.put(confirmed.head, op, id);
  if (item.content !== undefined) context.relyOn(item.content);
  if (there === undefined) return OK;
  if (clash) openConflict(context, "create", there, item, there.rev);
  else notice(context, "renamed", id);
  return { kind: "copy", id };
}

function kindOf(change: Of<"mkdir" | "create" | "symlink">): ItemKind {
  return ({ mkdir: "dir", create: "file", symlink: "link" } as const)[change.do];
}

function filled(item: Item, change: Of<"mkdir" | "create" | "symlink">): Item {
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

/** FIL9. */
function write(context: Context, suite: Suite, change: Of<"write">): Outcome {
  const { ground, op } = context;
  if (isUsed(context)) return refused("bad");
  const id = ground.headOf(change.rev) ?? ground.resolve(change.id);
  const target = ground.item(id);
  if (target?.kind !== "file" || target.content === undefined) {
    const parent = recovered(context);
    return writeBeside(context, suite, change, { parent, name: "unknown" }, undefined);
  }
  const follows = isOneOf(change.rev, target.rev, target.equal);
  if (!follows && !sameContent(target.content, change.content))
    return writeBeside(context, suite, change, target, target);
  ground.put(confirmed.head, op, id);
  const stamps = { ...target.stamps, rev: stamped(target.stamps.rev, context) };
  if (follows) {
    keepVersion(context, target);
    context.relyOn(change.content);
    const { content, mtime } = change;
    const by = byOf(context);
    ground.store({ ...target, content, mtime, by, rev: op, writes: target.writes + 1, equal: [], stamps });
    goneOn(ground, id, "copy");
  } else {
    ground.store({ ...target, equal: [...target.equal, op], stamps });
  }
  return revive(context, id) ? ADJUSTED : follows ? OK : SAME;
}

/** A dead item that somebody wrote to lives, and so do the folders it lies in. */
function revive(context: Context, id: ItemId): boolean {
  const { ground } = context;
  const item = ground.item(id) as Item;
  if (item.dead === undefined) return false;
  const parent = liveFolder(context, item.parent);
  ground.store({ ...item, parent, name: nameIn(context, parent, item.name, id), dead: undefined });
  return true;
}

/** What lost goes under a free name beside what won. */
function writeBeside(
  context: Context,
  suite: Suite,
  change: Of<"write">,
  beside: { readonly parent: ItemId; readonly name: string },
  against: Item | undefined,
): Outcome {
  const { ground, op } = context;
  const id = suite.sha256(withCtx(hashContexts.copy, op)).slice(0, ID) as ItemId;
  if (ground.item(id) !== undefined) return refused("bad");
  const parent = liveFolder(context, beside.parent);
  const made = newItem(context, "file", id, parent, nameIn(context, parent, beside.name));
  const { content, mtime } = change;
  const executable = against?.executable ?? false;
  const copyOf = against === undefined ? undefined : { item: against.id, entry: op };
  const copy: Item = { ...made, content, mtime, executable, copyOf };
  ground.store(copy);
  ground.put(confirmed.head, op, id);
  context.relyOn(content);
  if (against === undefined) notice(context, "recovered", id);
  else openConflict(context, "write", against, copy, change.rev);
  return { kind: "copy", id };
}

function isOneOf(op: Op, first: Op, more: readonly Op[]): boolean {
  const text = textOf(op);
  return text === textOf(first) || more.some((one) => textOf(one) === text);
}

/** FIL10. */
function move(context: Context, change: Of<"move">): Outcome {
  const { ground, op } = context;
  const id = ground.resolve(change.id);
  if (!isNameIn(change.parent, change.name)) return refused("bad");
  const item = ground.item(id);
  if (item === undefined || isRoot(id)) return refused("gone");
  const wanted = ground.resolve(change.parent);
  if (item.dead === undefined && textOf(item.parent) === textOf(wanted) && item.name === change.name) {
    const stamps = { ...item.stamps, place: stamped(item.stamps.place, context) };
    ground.store({ ...item, placeEqual: [...item.placeEqual, op], stamps });
    return SAME;
  }
  if (!isOneOf(change.place, item.place, item.placeEqual)) return told(context, "moved", id);
  if (isWithin(ground, wanted, id)) return told(context, "cycle", id);
  const parent = liveFolder(context, wanted);
  if (isWithin(ground, parent, id)) return told(context, "cycle", id);
  const back = item.dead === undefined ? item : reviveTree(context, item, parent, change.name);
  const name = nameIn(context, parent, change.name, id);
  const stamps = { ...back.stamps, place: stamped(item.stamps.place, context) };
  ground.store({ ...back, parent, name, place: op, placeEqual: [], stamps });
  goneOn(ground, id, "copy");
  if (name !== change.name) notice(context, "renamed", id);
  return name === change.name ? OK : ADJUSTED;
}

function told(context: Context, reason: "moved" | "cycle", id: ItemId): Outcome {
  notice(context, reason, id);
  return refused(reason);
}

/** FIL11: a delete loses to whatever its author had not seen. */
function remove(context: Context, change: Of<"delete">): Outcome {
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
    ground.store({ ...now, dead: { op: context.op, seq: context.seq } });
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

function restore(context: Context, change: Of<"restore">): Outcome {
  const { ground } = context;
  const id = ground.resolve(change.id);
  const item = ground.item(id);
  if (change.to !== undefined && !isNameIn(change.to.parent, change.to.name)) return refused("bad");
  if (item === undefined || isRoot(id)) return refused("gone");
  if (item.dead === undefined) return SAME;
  const { to } = change;
  // Never into itself: then where it was.
  const within = to !== undefined && isWithin(ground, ground.resolve(to.parent), id);
  const wanted = to === undefined || within ? item : to;
  const parent = liveFolder(context, wanted.parent);
  const back = reviveTree(context, ground.item(id) as Item, parent, wanted.name);
  if (wanted !== item) {
    const stamps = { ...back.stamps, place: stamped(back.stamps.place, context) };
    ground.store({ ...back, place: context.op, placeEqual: [], stamps });
  }
  return back.name === wanted.name && !within ? OK : ADJUSTED;
}

/** The last in the log's order counts. On something dead whose end its author had not seen, it lives. */
function setMeta(context: Context, { id: named, set }: Of<"meta">): Outcome {
  const { ground } = context;
  const id = ground.resolve(named);
  const item = ground.item(id);
  if (item === undefined || isRoot(id)) return refused("gone");
  const { dead } = item;
  if (dead !== undefined && dead.seq <= context.base) return refused("gone");
  const parent = dead === undefined ? item.parent : liveFolder(context, item.parent);
  const live = dead === undefined ? item : reviveTree(context, ground.item(id) as Item, parent, item.name);
  ground.store(touched(withMeta(live, set), context));
  return dead === undefined ? OK : ADJUSTED;
}

function withMeta(item: Item, set: Of<"meta">["set"]): Item {
  if (set.key !== "tag") return { ...item, [set.key]: set.value };
  const tags = new Map(item.tags);
  if (set.value === "") tags.delete(set.name);
  else tags.set(set.name, set.value);
  // One order for one state: the same tags are the same bytes, however they came.
  return { ...item, tags: new Map([...tags].sort(([a], [b]) => (a < b ? -1 : 1))) };
}
