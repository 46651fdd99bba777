/** The view and the disk as trees that can be walked both ways. Walks are loops: trees may be deep. */
import { decodeUtf8 } from "../../../bytes/bytes.ts";
import { fold, nfc } from "../fold.ts";
import { isName, isNameIn, ROOT } from "../names.ts";
import { textOf } from "../spaces.ts";
import type { Item, ItemId } from "../types.ts";
import { asideOf, spellerFor } from "./disk-name.ts";
import type { Known } from "./pair.ts";
import { type DiskProfile, type LocalEntry, type PlanIssue, type PlanView, TOP } from "./types.ts";

/** A live item whose folder is shown. */
export interface Seen {
  readonly item: Item;
  readonly key: string;
  readonly folder: Folder;
  readonly shown: "yes" | "deselected" | "ignored";
  /** How this disk spells its name. */
  readonly spelling: string;
  /** Of a folder that is shown. */
  readonly inside: Folder | undefined;
}

export interface Folder {
  readonly id: ItemId;
  readonly key: string;
  readonly kids: Seen[];
  /** By folded name, as the log holds them. */
  readonly slots: Map<string, Seen>;
  /** By folded spelling, as the disk holds them. */
  readonly spots: Map<string, Seen>;
}

export interface Shown {
  readonly top: Folder;
  readonly byId: ReadonlyMap<string, Seen>;
  /** Parents before children. */
  readonly order: readonly Seen[];
}

/** An entry of the disk. */
export interface Node {
  readonly at: number;
  /** None of the attached folder itself. */
  readonly entry: LocalEntry | undefined;
  readonly parent: Node | undefined;
  readonly kids: Node[];
  /** In NFC; `key` is that, folded. */
  readonly text: string;
  readonly key: string;
  /** Left alone, with all in it. */
  apart: boolean;
  known: Known | undefined;
  /** Of a folder: which item it is, or which item's second one. */
  item: { readonly id: ItemId; readonly key: string } | undefined;
  /** Of a folder that is not selected here: as long as it is empty it is nobody's. */
  excluded: boolean;
  /** Nothing is at this place any more once the plan is done. */
  left: boolean;
}

export const ROOT_KEY: string = textOf(ROOT);

export function readView(view: PlanView, profile: DiskProfile): Shown {
  const speller = spellerFor(profile);
  const top = folderOf(ROOT);
  const byId = new Map<string, Seen>();
  const order: Seen[] = [];
  const folders = [top];
  for (const folder of folders) {
    const children = view.children(folder.id);
    for (const item of children) {
      const shown = view.shown(item);
      const inside = item.kind === "dir" && shown === "yes" ? folderOf(item.id) : undefined;
      const key = inside?.key ?? textOf(item.id);
      const spelling = speller.spell(item.name, item.id);
      const seen: Seen = { item, key, folder, shown, spelling, inside };
      folder.kids.push(seen);
      folder.slots.set(fold(item.name), seen);
    }
    for (const [i, kid] of folder.kids.entries()) {
      const seen = placed(kid, folder, profile);
      folder.kids[i] = seen;
      byId.set(seen.key, seen);
      order.push(seen);
      if (seen.inside !== undefined) folders.push(seen.inside);
    }
  }
  return { top, byId, order };
}

/** Where its spelling is somebody else's name, it gets one of its own. */
function placed(seen: Seen, folder: Folder, profile: DiskProfile): Seen {
  const { item, spelling } = seen;
  if (spelling === item.name) {
    folder.spots.set(fold(spelling), seen);
    return seen;
  }
  const key = fold(nfc(spelling));
  if ((folder.slots.get(key) ?? seen) === seen && !folder.spots.has(key)) {
    folder.spots.set(key, seen);
    return seen;
  }
  const other: Seen = { ...seen, spelling: asideOf(spelling, item.id, profile) };
  folder.slots.set(fold(item.name), other);
  folder.spots.set(fold(nfc(other.spelling)), other);
  return other;
}

function folderOf(id: ItemId): Folder {
  return { id, key: textOf(id), kids: [], slots: new Map(), spots: new Map() };
}

export interface Disk {
  readonly top: Node;
  /** Parents before children, folder by folder in the order of their keys. */
  readonly order: readonly Node[];
}

export function readDisk(entries: readonly LocalEntry[], issues: PlanIssue[]): Disk {
  const kidsByParent = new Map<number, LocalEntry[]>();
  for (const entry of entries) {
    const kids = kidsByParent.get(entry.parent);
    if (kids === undefined) kidsByParent.set(entry.parent, [entry]);
    else kids.push(entry);
  }
  const top = nodeOf(undefined, undefined, "");
  top.item = { id: ROOT, key: ROOT_KEY };
  const order: Node[] = [];
  const folders = [top];
  for (const folder of folders) {
    for (const entry of kidsByParent.get(folder.at) ?? []) {
      const kid = readEntry(entry, folder, issues);
      folder.kids.push(kid);
    }
    sort(folder.kids);
    for (const kid of folder.kids) {
      order.push(kid);
      if (kid.entry?.kind === "dir") folders.push(kid);
    }
  }
  return { top, order };
}

function readEntry(entry: LocalEntry, parent: Node, issues: PlanIssue[]): Node {
  const decoded = decodeUtf8(entry.name);
  const text = decoded === undefined ? undefined : nfc(decoded);
  const node = nodeOf(entry, parent, text ?? "");
  const refusal = parent.apart || entry.apart === "ignored" ? undefined : refusalOf(entry, parent, text);
  if (refusal !== undefined) issues.push({ kind: refusal, entry });
  node.apart = parent.apart || refusal !== undefined || entry.apart === "ignored" || entry.apart === "closed";
  return node;
}

function refusalOf(
  entry: LocalEntry,
  { at }: Node,
  name: string | undefined,
): "name-not-text" | "name-refused" | "special-file" | undefined {
  if (name === undefined) return "name-not-text";
  if (entry.kind === "special") return "special-file";
  if (PLAIN.test(name)) return undefined;
  return (at === TOP ? isNameIn(ROOT, name) : isName(name)) ? undefined : "name-refused";
}

/** What no rule says anything about. */
const PLAIN = /^[\w -][\w .-]{0,254}$/;

function nodeOf(entry: LocalEntry | undefined, parent: Node | undefined, text: string): Node {
  return {
    at: entry?.at ?? TOP,
    entry,
    parent,
    kids: [],
    text,
    key: fold(text),
    apart: false,
    known: undefined,
    item: undefined,
    excluded: false,
    left: false,
  };
}

/** Scans mostly come sorted, and then this costs a look at each. */
function sort(nodes: Node[]): void {
  for (let i = 1; i < nodes.length; i++)
    if (order(nodes[i - 1] as Node, nodes[i] as Node) > 0) {
      nodes.sort(order);
      return;
    }
}

/** By key, then by spelling: the same whatever the scan's order was. */
function order(a: Node, b: Node): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.text === b.text ? compareNames(a, b) : a.text < b.text ? -1 : 1;
}

function compareNames(a: Node, b: Node): number {
  const [x, y] = [textOf(a.entry?.name ?? ROOT), textOf(b.entry?.name ?? ROOT)];
  return x < y ? -1 : x > y ? 1 : 0;
}
