/** New content: the item that carries the revision it was made from takes it, or it gets a file of its own (FIL9). */
import { hashContexts, withCtx } from "../../crypto/labels.ts";
import type { Suite } from "../../crypto/suite.ts";
import { sameContent } from "../../log/content.ts";
import type { Ground } from "./ground.ts";
import { goneOn, keepVersion, notice, openConflict } from "./journal.ts";
import { ADJUSTED, OK, refused, SAME } from "./outcomes.ts";
import { confirmed, ID } from "./spaces.ts";
import {
  byOf,
  type Context,
  isOneOf,
  liveFolder,
  nameIn,
  newItem,
  recovered,
  reviveAlone,
  stamped,
} from "./tree.ts";
import type { ChangeOf, Item, ItemId, Outcome } from "./types.ts";

type Write = ChangeOf<"write">;

export function write(context: Context, suite: Suite, change: Write): Outcome {
  const { ground, op } = context;
  const target = targetOf(ground, change);
  if (target?.content === undefined) return writeAside(context, suite, change, undefined);
  const follows = isOneOf(change.rev, target.rev, target.equal);
  if (!follows && !sameContent(target.content, change.content))
    return writeAside(context, suite, change, target);
  const { id } = target;
  ground.putNew(confirmed.head, op, id);
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
  if (target.dead === undefined) return follows ? OK : SAME;
  reviveAlone(context, id);
  return ADJUSTED;
}

/**
 * The item that is named, if it lives and has that revision: a copy that was settled away and then
 * restored has one that the original took over. Else the item that has it now.
 */
function targetOf(ground: Ground, { id, rev }: Write): Item | undefined {
  const named = ground.item(ground.resolve(id));
  if (named !== undefined && named.dead === undefined && isOneOf(rev, named.rev, named.equal)) return named;
  const head = ground.headOf(rev);
  return head === undefined ? named : ground.item(head);
}

/** Under a free name beside what won, which lives; or among what belongs nowhere. */
function writeAside(context: Context, suite: Suite, change: Write, against: Item | undefined): Outcome {
  const { ground, op } = context;
  const id = suite.sha256(withCtx(hashContexts.copy, op)).slice(0, ID) as ItemId;
  if (ground.item(id) !== undefined) return refused("bad");
  const winner = against === undefined ? undefined : outlive(context, against);
  const parent = winner === undefined ? recovered(context) : liveFolder(context, winner.parent);
  const made = newItem(context, "file", id, parent, nameIn(context, parent, winner?.name ?? "unknown"));
  const { content, mtime } = change;
  const executable = winner?.executable ?? false;
  const copyOf = winner === undefined ? undefined : { item: winner.id, entry: op };
  const copy: Item = { ...made, content, mtime, executable, copyOf };
  ground.store(copy);
  ground.putNew(confirmed.head, op, id);
  context.relyOn(content);
  if (winner === undefined) notice(context, "recovered", id);
  else openConflict(context, "write", winner, copy, change.rev);
  return { kind: "copy", id };
}

/** Somebody was at work on it: no delete that did not know that takes it, whichever came first. */
function outlive(context: Context, item: Item): Item {
  const { ground } = context;
  ground.store({ ...item, stamps: { ...item.stamps, rev: stamped(item.stamps.rev, context) } });
  if (item.dead !== undefined) reviveAlone(context, item.id);
  return ground.item(item.id) as Item;
}
