/**
 * Which entry of the disk is which item (PLN2). Folders by what the volume calls the same folder,
 * then by name: so a renamed tree is one move. Files by name first, as programs save by putting a
 * new file in the place of the old; then by the volume, then by what they hold.
 */
import { decodeUtf8, equalBytes } from "../../../bytes/bytes.ts";
import { fold, nfc } from "../fold.ts";
import { textOf } from "../spaces.ts";
import type { Item, ItemId, ItemKind } from "../types.ts";
import { isAside } from "./disk-name.ts";
import { type Disk, type Node, ROOT_KEY, type Seen, type Shown } from "./trees.ts";
import type { Fingerprint, LocalEntry, PlanIssue, PlanView, SyncedRow } from "./types.ts";

/** A synced row, and what became of its item on both sides. */
export interface Known {
  readonly row: SyncedRow;
  /** Of the item as it is called now, after merges. */
  readonly id: ItemId;
  readonly key: string;
  readonly parent: string;
  readonly state: "live" | "deselected" | "ignored" | "dead" | "gone";
  readonly item: Item | undefined;
  /** Where it is shown. */
  readonly seen: Seen | undefined;
  /** Of a second row of one item, the row that stays. */
  twinOf: Known | undefined;
  node: Node | undefined;
  /** What became of it on the disk cannot be told now: nothing is done about it. */
  held: boolean;
}

export interface Pairs {
  readonly byKey: ReadonlyMap<string, Known>;
  readonly twins: readonly Known[];
  /** Files whose hash decides what is what. */
  readonly unread: ReadonlySet<Node>;
}

export function pair(
  view: PlanView,
  shown: Shown,
  disk: Disk,
  rows: readonly SyncedRow[],
  issues: PlanIssue[],
): Pairs {
  const known = rows.length === 0 ? [] : readRows(view, shown, rows);
  const unread = new Set<Node>();
  byIdentity(
    known.filter(({ row }) => row.kind === "dir"),
    disk.order.filter(({ entry }) => entry?.kind === "dir"),
  );
  byName(view, disk, known, shown, issues);
  const lost = known.filter((one) => one.node === undefined && one.row.kind !== "dir");
  if (lost.length > 0) {
    const fresh = disk.order.filter(({ known: one, entry }) => one === undefined && entry?.kind !== "dir");
    byIdentity(lost, fresh);
    byHash(lost, fresh, unread);
  }
  const { byKey, twins } = mainOf(known);
  const heldBelow = new Map<string, boolean>();
  for (const one of known) one.held ||= isHeld(one, byKey, heldBelow);
  return { byKey, twins, unread };
}

/** What a row is about now: ids may have been merged, items died or left the selection. */
function readRows(view: PlanView, { byId }: Shown, rows: readonly SyncedRow[]): Known[] {
  const parents = new Map<string, string>([[ROOT_KEY, ROOT_KEY]]);
  const keyNow = (id: ItemId): string => {
    const key = textOf(id);
    const found = byId.has(key) ? key : parents.get(key);
    if (found !== undefined) return found;
    const item = view.item(id);
    const now = item === undefined ? key : textOf(item.id);
    parents.set(key, now);
    return now;
  };
  return rows.map((row): Known => {
    const key = textOf(row.id);
    const seen = byId.get(key);
    const parent = keyNow(row.parent);
    if (seen !== undefined) return knownOf(row, parent, row.id, key, seen.item, seen, stateOf(seen));
    const item = view.item(row.id);
    if (item === undefined) return knownOf(row, parent, row.id, key, item, undefined, "gone");
    const near = item.dead === undefined ? nearestSeen(view, byId, item) : undefined;
    const state = item.dead === undefined ? stateOf(near) : "dead";
    return knownOf(row, parent, item.id, textOf(item.id), item, near, state);
  });
}

/** One shape for all of them, written out: there are as many as items. */
function knownOf(
  row: SyncedRow,
  parent: string,
  id: ItemId,
  key: string,
  item: Item | undefined,
  near: Seen | undefined,
  state: Known["state"],
): Known {
  const seen = state === "live" ? near : undefined;
  return { row, id, key, parent, state, item, seen, twinOf: undefined, node: undefined, held: false };
}

function stateOf(seen: Seen | undefined): Known["state"] {
  if (seen?.shown === "yes") return "live";
  return seen?.shown ?? "ignored";
}

/** Of what lies below a folder that is not shown: that folder. */
function nearestSeen(view: PlanView, byId: Shown["byId"], item: Item): Seen | undefined {
  for (let at: Item | undefined = item; at !== undefined; at = view.item(at.parent)) {
    const seen = byId.get(textOf(at.id));
    if (seen !== undefined) return seen;
  }
  return undefined;
}

function byIdentity(known: readonly Known[], nodes: readonly Node[]): void {
  const byIdentity = new Map<string, Known>();
  for (const one of known) {
    const identity = one.node === undefined ? identityOf(one.row.print) : undefined;
    if (identity !== undefined && !byIdentity.has(identity)) byIdentity.set(identity, one);
  }
  if (byIdentity.size === 0) return;
  for (const node of nodes) {
    const { entry } = node;
    const identity = entry === undefined || node.known !== undefined ? undefined : identityOf(entry.print);
    const one = identity === undefined ? undefined : byIdentity.get(identity);
    if (one === undefined || one.node !== undefined || !isSameThing(one.row, entry as LocalEntry)) continue;
    join(one, node);
  }
}

function identityOf({ ino, birthtimeNs }: Fingerprint): string | undefined {
  return birthtimeNs === 0n ? undefined : `${ino}:${birthtimeNs}`;
}

/** A link that points elsewhere is another: nothing in the log says that a link changed. */
function isSameThing({ kind, target }: SyncedRow, entry: LocalEntry): boolean {
  if (kind !== entry.kind) return false;
  return kind !== "link" || equalBytes(target ?? new Uint8Array(0), entry.target ?? new Uint8Array(0));
}

function join(one: Known, node: Node): void {
  one.node = node;
  node.known = one;
  if (node.entry?.kind === "dir") {
    node.item = { id: one.id, key: one.key };
    node.excluded = one.state === "deselected";
  }
}

/** The rows of one folder that no entry is known for yet, by kind and key. */
type Rows = Readonly<Record<ItemKind, Map<string, Known>>> & { readonly special: undefined };

function kindOf({ entry }: Node): LocalEntry["kind"] {
  return entry?.kind ?? "dir";
}

/** From the top down: what a folder is decides which rows its entries are held against. */
function byName(
  view: PlanView,
  { top }: Disk,
  known: readonly Known[],
  { byId, top: shownTop }: Shown,
  issues: PlanIssue[],
): void {
  const rowsIn = new Map<string, Rows>();
  for (const one of known) {
    if (one.node !== undefined) continue;
    let rows = rowsIn.get(one.parent);
    if (rows === undefined) {
      rows = { dir: new Map(), file: new Map(), link: new Map(), special: undefined };
      rowsIn.set(one.parent, rows);
    }
    const names = rows[one.row.kind];
    const key = keyOfRow(one.row);
    const there = names.get(key);
    if (there === undefined || (there.row.id !== there.id && one.row.id === one.id)) names.set(key, one);
  }
  // Folders that are no item yet come second: only then it is known which items have a folder.
  const fresh: Node[] = [];
  const walk = (from: Node): void => {
    for (const folders = [from]; folders.length > 0; ) {
      const folder = folders.pop() as Node;
      const rows = folder.item === undefined ? undefined : rowsIn.get(folder.item.key);
      setTwinsApart(folder, rows, issues);
      for (const kid of folder.kids) {
        const one = kid.known === undefined && !kid.apart ? rows?.[kindOf(kid)]?.get(kid.key) : undefined;
        if (one !== undefined && one.node === undefined && isSameThing(one.row, kid.entry as LocalEntry))
          join(one, kid);
        if (kid.entry?.kind !== "dir" || kid.apart) continue;
        if (kid.item === undefined) fresh.push(kid);
        else folders.push(kid);
      }
    }
  };
  walk(top);
  const mainByKey = new Map(known.map((one) => [one.key, one]));
  const unseenByFolder = new Map<string, ReadonlyMap<string, Item>>();
  const unseenIn = (folder: ItemId): ReadonlyMap<string, Item> => {
    const key = textOf(folder);
    const unseen = unseenByFolder.get(key) ?? foldersOf(view, folder);
    unseenByFolder.set(key, unseen);
    return unseen;
  };
  for (const node of fresh) {
    const { item: above } = node.parent as Node;
    const folder =
      above === undefined ? undefined : above.key === ROOT_KEY ? shownTop : byId.get(above.key)?.inside;
    const seen = folder?.spots.get(node.key);
    if (seen?.item.kind === "dir") become(node, seen, mainByKey.get(seen.key));
    else if (node.parent?.excluded === true && above !== undefined) {
      const unseen = unseenIn(above.id).get(node.key);
      if (unseen !== undefined && mainByKey.get(textOf(unseen.id))?.node === undefined)
        becomeUnseen(node, unseen);
    }
    walk(node);
  }
}

/** In a folder that is not selected: by the name alone, so that nothing else of what the vault has there comes with it. */
function becomeUnseen(node: Node, { id }: Item): void {
  node.item = { id, key: textOf(id) };
  node.excluded = true;
}

/** Folders of a folder that is not selected, by folded name; looked up where somebody made something there. */
function foldersOf(view: PlanView, folder: ItemId): ReadonlyMap<string, Item> {
  const found = new Map<string, Item>();
  for (const item of view.children(folder))
    if (item.kind === "dir" && view.shown(item) === "deselected") found.set(fold(item.name), item);
  return found;
}

/** A folder that lies where an item belongs which has none here, or one that is still elsewhere. */
function become(node: Node, seen: Seen, main: Known | undefined): void {
  // Somebody here moved the item's own folder away and made this one in its place.
  if (main?.node !== undefined && (isMoved(main) || isAt(main, seen))) return;
  node.item = { id: seen.item.id, key: seen.key };
  node.excluded = seen.shown === "deselected";
  if (main !== undefined && main.node === undefined) join(main, node);
}

function isAt({ parent, row }: Known, { folder, item }: Seen): boolean {
  return parent === folder.key && row.name === item.name;
}

/** Two names that are one: the first is synced, the other is left alone. */
function setTwinsApart({ kids }: Node, rows: Rows | undefined, issues: PlanIssue[]): void {
  let first: Node | undefined;
  for (const kid of kids) {
    if (kid.apart) continue;
    if (first === undefined || first.key !== kid.key) {
      first = kid;
      continue;
    }
    const row = rows?.[kindOf(kid)]?.get(kid.key)?.row;
    const isRows = kid.known !== undefined || (row !== undefined && kid.text === row.name);
    const loser = isRows && first.known === undefined ? first : kid;
    if (loser === first) first = kid;
    setApart(loser);
    issues.push({ kind: "name-clash", entry: loser.entry as LocalEntry });
  }
}

function setApart(node: Node): void {
  for (const nodes = [node]; nodes.length > 0; ) {
    const one = nodes.pop() as Node;
    one.apart = true;
    for (const kid of one.kids) nodes.push(kid);
  }
}

/** As the disk spells it, folded. */
export function keyOfRow({ alias, name }: SyncedRow): string {
  const text = alias === undefined ? undefined : decodeUtf8(alias);
  return fold(text === undefined ? name : nfc(text));
}

/** What is left of both sides: a moved file that was saved anew, or went over another volume. */
function byHash(lost: readonly Known[], fresh: readonly Node[], unread: Set<Node>): void {
  const wanted = lost.filter(({ node, row }) => node === undefined && row.print.size > 0);
  if (wanted.length === 0) return;
  const nodesByHash = new Map<string, Node[]>();
  const unreadBySize = new Map<number, Node[]>();
  for (const node of fresh) {
    const { entry } = node;
    if (node.known !== undefined || node.apart || entry?.kind !== "file") continue;
    const { size } = entry.print;
    if (entry.hash === undefined) unreadBySize.set(size, [...(unreadBySize.get(size) ?? []), node]);
    else
      for (const key of [textOf(entry.hash), textOf(entry.hash) + node.text]) {
        const nodes = nodesByHash.get(key);
        if (nodes === undefined) nodesByHash.set(key, [node]);
        else nodes.push(node);
      }
  }
  const take = (key: string): Node | undefined => {
    const nodes = nodesByHash.get(key) ?? [];
    let node = nodes.shift();
    while (node?.known !== undefined) node = nodes.shift();
    return node;
  };
  for (const one of wanted) {
    const hash = textOf(one.row.hash ?? NONE);
    const match = take(hash + one.row.name) ?? take(hash);
    if (match !== undefined) join(one, match);
    else {
      const nodes = unreadBySize.get(one.row.print.size) ?? [];
      for (const node of nodes) unread.add(node);
      one.held = nodes.length > 0;
    }
  }
}

const NONE: Uint8Array = new Uint8Array(0);

/** Of several rows of one item, that of the entry which lies where it should; the others are twins. */
function mainOf(known: readonly Known[]): Pick<Pairs, "byKey" | "twins"> {
  const byKey = new Map<string, Known>();
  const twins: Known[] = [];
  for (const one of known) {
    const other = byKey.get(one.key);
    if (other === undefined) byKey.set(one.key, one);
    else {
      const [main, twin] = rank(one) > rank(other) ? [one, other] : [other, one];
      byKey.set(one.key, main);
      twins.push(twin);
    }
  }
  for (const twin of twins) twin.twinOf = byKey.get(twin.key);
  return { byKey, twins };
}

function rank({ node, row, id }: Known): number {
  return (node === undefined ? 0 : 2) + (equalBytes(row.id, id) ? 1 : 0);
}

/** Whether nothing can be said of it: somebody writes, or it may lie where nobody could look. */
function isHeld(one: Known, byKey: ReadonlyMap<string, Known>, heldBelow: Map<string, boolean>): boolean {
  if (one.node !== undefined) return one.node.apart || one.node.entry?.apart !== undefined;
  const passed: string[] = [];
  let held: boolean | undefined;
  for (let key = one.parent; held === undefined; ) {
    const above = byKey.get(key);
    held = heldBelow.get(key) ?? (above === undefined ? false : above.node?.apart);
    heldBelow.set(key, held ?? false);
    passed.push(key);
    key = above?.parent ?? ROOT_KEY;
  }
  for (const key of passed) heldBelow.set(key, held);
  return held;
}

/** The name of its place on disk, as the log would have it. */
export function nameOnDisk({ row, item, seen, id }: Known, node: Node): string {
  const { text, entry } = node;
  const { alias, name } = row;
  if (
    alias !== undefined &&
    (equalBytes(alias, entry?.name ?? NONE) || nfc(decodeUtf8(alias) ?? "") === text)
  )
    return name;
  if (isAside(text, id)) return name;
  // A step was done and not noted.
  if (seen !== undefined && item !== undefined && text === seen.spelling) return item.name;
  return text;
}

/** Whether somebody here put it elsewhere. */
export function isMoved(one: Known): boolean {
  const { node, parent, row } = one;
  if (node === undefined) return false;
  return node.parent?.item?.key !== parent || nameOnDisk(one, node) !== row.name;
}
