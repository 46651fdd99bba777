/** What the two halves of a plan share: the trees, what is known of each item, and the steps so far. */
import { encodeUtf8, equalBytes } from "../../../bytes/bytes.ts";
import type { Item, ItemId, Op } from "../types.ts";
import { type Absence, othersOf } from "./judge.ts";
import type { Known, Pairs } from "./pair.ts";
import { type Disk, type Folder, type Node, ROOT_KEY, type Seen, type Shown } from "./trees.ts";
import type {
  BookStep,
  Direction,
  DiskProfile,
  DownStep,
  LocalEntry,
  PlanIssue,
  PlanOptions,
  PlanView,
  RowPatch,
  UpStep,
} from "./types.ts";

export interface Work {
  readonly view: PlanView;
  readonly shown: Shown;
  readonly disk: Disk;
  readonly pairs: Pairs;
  readonly profile: DiskProfile;
  readonly options: PlanOptions;
  readonly absence: ReadonlyMap<string, Absence>;
  readonly withheld: ReadonlySet<Direction>;
  readonly issues: PlanIssue[];
  /** Entries that are an item nobody had noted for them, by the item's key. */
  readonly adopted: Map<string, Node>;
  /** Files and links that are a second one of an item. */
  readonly twins: Map<Node, ItemId | undefined>;
  /** Files that have to be read before anything is decided about them. */
  readonly unread: Set<Node>;
  readonly book: BookStep[];
  readonly ups: UpStep[];
  readonly downs: DownStep[];
}

export function folderOf({ shown }: Work, key: string): Folder | undefined {
  return key === ROOT_KEY ? shown.top : shown.byId.get(key)?.inside;
}

/** A whole row of an item that the disk shows as the view has it. */
export function rowOf(work: Work, item: Item): RowPatch {
  const { kind, parent, name, place, rev, executable, content, target } = item;
  const others = othersOf(item, work.view.self);
  return {
    kind,
    parent,
    name,
    place,
    rev,
    others,
    executable,
    alias: undefined,
    hash: content?.hash,
    target,
  };
}

/** A whole row of an item that a change made of an entry. */
export function rowOfNew(entry: LocalEntry, op: Op, parent: ItemId, name: string): RowPatch {
  const { kind, print, executable, hash, target } = entry;
  if (kind === "special") return {};
  const alias = aliasOf(entry, name);
  return { kind, parent, name, place: op, rev: op, others: 0, executable, alias, print, hash, target };
}

export function aliasOf(entry: LocalEntry, name: string): Uint8Array | undefined {
  return equalBytes(entry.name, encodeUtf8(name)) ? undefined : entry.name;
}

/** The item's own place in the view, where that is shown and is this entry's. */
export function spotOf(work: Work, node: Node): Seen | undefined {
  const above = node.parent?.item;
  return above === undefined ? undefined : folderOf(work, above.key)?.spots.get(node.key);
}

export type { Known };
