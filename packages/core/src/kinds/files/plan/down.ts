/** What the disk has to show: the view's side of the table (PLN3), as steps on entries. */
import { encodeUtf8, equalBytes } from "../../../bytes/bytes.ts";
import { fold } from "../fold.ts";
import type { Item } from "../types.ts";
import { asideOf } from "./disk-name.ts";
import { bytesOf, entryOf, holds, isLeaving, isWhereSeen, othersOf, samePrint } from "./judge.ts";
import { isInside } from "./link.ts";
import { isMoved, type Known } from "./pair.ts";
import { type Node, ROOT_KEY, type Seen } from "./trees.ts";
import { type RowPatch, type Spot, TOP } from "./types.ts";
import { aliasOf, rowOf, type Work } from "./work.ts";

export function planDown(work: Work): void {
  new Down(work).run();
}

/** A folder on disk for an item. */
interface Where {
  readonly at: number;
  readonly node: Node | undefined;
}

type Patch = { -readonly [K in keyof RowPatch]: RowPatch[K] };

/** What the system puts into folders by itself. */
const JUNK: ReadonlySet<string> = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]);

class Down {
  readonly #work: Work;
  readonly #where = new Map<string, Where>();
  /** What lies in a folder, by key, as the plan leaves it. */
  readonly #lying = new Map<number, Map<string, Node | "made">>();
  /** Where the plan put an entry. */
  readonly #moved = new Map<Node, { readonly folder: number; readonly key: string }>();
  /** Of folders that the plan made or moved: the number of the one they lie in. */
  readonly #parents = new Map<number, number>();
  #nodes: ReadonlyMap<number, Node> | undefined;
  #made = 0;

  constructor(work: Work) {
    this.#work = work;
  }

  run(): void {
    const { disk, shown, pairs, adopted, issues } = this.#work;
    this.#where.set(ROOT_KEY, { at: TOP, node: disk.top });
    for (const seen of shown.order) {
      const folder = this.#where.get(seen.folder.key);
      if (seen.shown !== "yes" || folder === undefined) continue;
      if (seen.spelling !== seen.item.name) issues.push({ kind: "name-spelled", id: seen.item.id });
      const known = pairs.byKey.get(seen.key);
      const node = adopted.get(seen.key) ?? known?.node;
      if (node === undefined) this.#bring(seen, folder, known);
      else if (known === undefined || node !== known.node) this.#note(seen, node);
      else if (!node.apart) this.#follow(seen, folder, known, node);
    }
    this.#remove();
  }

  #note(seen: Seen, node: Node): void {
    if (seen.item.kind === "dir") this.#where.set(seen.key, { at: node.at, node });
  }

  /** An item that is not on the disk. */
  #bring(seen: Seen, folder: Where, known: Known | undefined): void {
    const { absence, issues, downs, profile } = this.#work;
    if (known !== undefined && absence.get(seen.key) !== "back") return;
    const { item } = seen;
    const { id } = item;
    if (item.kind === "link" && !isInside(item, this.#depthOf(seen), profile)) {
      issues.push({ kind: "link-not-created", id });
      return;
    }
    if (!this.#clear(folder, seen, undefined)) return;
    if (known !== undefined) issues.push({ kind: "brought-back", id });
    const to = spotIn(folder, seen.spelling);
    const set = { ...rowOf(this.#work, item), alias: aliasFor(to, item.name) };
    this.#in(folder).set(fold(seen.spelling), "made");
    if (item.kind === "dir") {
      const at = --this.#made;
      this.#lying.set(at, new Map());
      this.#parents.set(at, folder.at);
      this.#where.set(seen.key, { at, node: undefined });
      downs.push({ do: "makeDir", id, item, to, set, at });
    } else downs.push({ do: item.kind === "file" ? "createFile" : "makeLink", id, item, to, set });
  }

  /** An item that is on the disk, there or elsewhere. */
  #follow(seen: Seen, folder: Where, known: Known, node: Node): void {
    const { item } = seen;
    const isThere = node.parent === folder.node && node.text === seen.spelling;
    // What somebody here put elsewhere the log hears first; where both did, the log decides.
    const isPending = isMoved(known) && !isWhereSeen(known, seen);
    if (known.held || isPending) {
      this.#note(seen, node);
      if (!known.held) this.#agree(seen, known, node, {});
      return;
    }
    if (item.kind === "link" && this.#escapes(seen, node)) {
      this.#trash(node, "dead");
      return;
    }
    if (!isThere) this.#rename(seen, folder, node);
    this.#note(seen, node);
    const { row, parent } = known;
    const isNoted =
      parent === seen.folder.key &&
      equalBytes(row.parent, item.parent) &&
      row.name === item.name &&
      equalBytes(row.place, item.place);
    const set: Patch = {};
    if (isThere && !isNoted) Object.assign(set, placeOf(item));
    const alias = aliasOf(entryOf(node), item.name);
    if (isThere && !equalBytes(alias ?? NONE, row.alias ?? NONE)) set.alias = alias;
    this.#agree(seen, known, node, set);
  }

  /** What an item holds; and what is noted of it where both sides say the same. */
  #agree(seen: Seen, known: Known, node: Node, set: Patch): void {
    const { unread, book, downs, profile, view } = this.#work;
    const { row, id } = known;
    const { item } = seen;
    const entry = entryOf(node);
    const bytes = unread.has(node) ? "unread" : bytesOf(entry, row);
    const isRow = bytes === "same";
    if (item.kind !== "file") {
      const { ino, birthtimeNs } = row.print;
      if (entry.print.ino !== ino || entry.print.birthtimeNs !== birthtimeNs) set.print = entry.print;
      if (!equalBytes(item.rev, row.rev)) set.rev = item.rev;
    } else {
      const isNew = !equalBytes(item.rev, row.rev);
      const isHeldHere = isRow
        ? equalBytes(row.hash ?? NONE, item.content?.hash ?? NONE)
        : bytes === "changed" && holds(entry, item) === true;
      if ((isRow || isHeldHere) && !samePrint(entry.print, row.print)) set.print = entry.print;
      if (isHeldHere && isNew) set.rev = item.rev;
      if (isHeldHere && !isRow) set.hash = entry.hash;
      const { executable, rev, content } = item;
      if (isRow && isNew && !isHeldHere)
        downs.push({ do: "replaceFile", id, item, entry, set: { rev, hash: content?.hash, executable } });
      else if (!profile.executable) {
        if (executable !== row.executable) set.executable = executable;
      } else if (entry.executable === row.executable && executable !== row.executable)
        downs.push({ do: "setExecutable", id, entry, executable, set: { executable } });
    }
    const others = othersOf(item, view.self);
    if (others !== row.others) set.others = others;
    if (Object.keys(set).length > 0) book.push({ do: "adopt", id, set });
  }

  /** Unless it has to wait, where it is. */
  #rename(seen: Seen, folder: Where, node: Node): void {
    const { item } = seen;
    if (item.kind === "dir" && this.#liesIn(folder, node)) return;
    if (!this.#clear(folder, seen, node)) {
      // What is in its way waits for it to come out.
      const there = this.#in(folder).get(fold(seen.spelling));
      if (there !== undefined && there !== "made" && !there.apart && isBelow(node, there))
        this.#stepAside(node, seen, folder);
      return;
    }
    const { caseSensitive, normalisation } = this.#work.profile;
    const isExact = caseSensitive && normalisation === "kept";
    const isHere = node.parent === folder.node && !this.#moved.has(node);
    // To this disk it may be the name it has, and the rename no rename.
    if (isHere && !isExact && node.key === fold(seen.spelling)) this.#stepAside(node, seen);
    const to = spotIn(folder, seen.spelling);
    this.#put(node, folder.at, seen.spelling);
    node.left = node.parent !== folder.node;
    const set = { ...placeOf(item), alias: aliasFor(to, item.name) };
    this.#work.downs.push({ do: "rename", id: item.id, entry: entryOf(node), to, set });
  }

  /** Makes a spot free, as far as that can be done. */
  #clear(folder: Where, seen: Seen, self: Node | undefined): boolean {
    const there = this.#in(folder).get(fold(seen.spelling));
    if (there === undefined || there === self) return true;
    if (there === "made") return false;
    if (there.apart) {
      this.#work.issues.push({ kind: "name-taken", id: seen.item.id });
      return false;
    }
    const { known } = there;
    const isDir = there.entry?.kind === "dir";
    if (this.#work.twins.has(there)) {
      this.#trash(there, "twin");
      return true;
    }
    if (known === undefined || known.held || known.twinOf !== undefined || this.#work.unread.has(there))
      return false;
    if (isLeaving(known)) {
      if (this.#isWithheld(known)) return false;
      if (!isDir) this.#trash(there, known.state === "deselected" ? "deselected" : "dead");
      else this.#stepAside(there, known);
      return true;
    }
    // It belongs elsewhere, and its turn comes.
    const isPending = isMoved(known) && (known.seen === undefined || !isWhereSeen(known, known.seen));
    if (known.seen === undefined || isPending || this.#moved.has(there)) return false;
    this.#stepAside(there, known);
    return true;
  }

  /** It stays, or comes, under a name that nobody has, until its own is free. */
  #stepAside(node: Node, { item }: Pick<Known, "item">, to?: Where): void {
    if (item === undefined) return;
    const folder = to?.at ?? this.#placeOf(node).folder;
    const name = asideOf(node.text, item.id, this.#work.profile);
    const spot = { folder, name: encodeUtf8(name) };
    this.#put(node, folder, name);
    node.left = node.parent?.at !== folder;
    const set = to === undefined ? {} : placeOf(item);
    this.#work.downs.push({
      do: "rename",
      id: item.id,
      entry: entryOf(node),
      to: spot,
      set: { ...set, alias: spot.name },
    });
  }

  /** Whether a folder is an entry, or lies in it now. */
  #liesIn({ at: folder }: Where, { at: node }: Node): boolean {
    this.#nodes ??= new Map(this.#work.disk.order.map((one) => [one.at, one]));
    for (let at: number | undefined = folder; at !== undefined && at !== TOP; ) {
      if (at === node) return true;
      at = this.#parents.get(at) ?? this.#nodes.get(at)?.parent?.at;
    }
    return false;
  }

  #placeOf(node: Node): { readonly folder: number; readonly key: string } {
    return this.#moved.get(node) ?? { folder: node.parent?.at ?? TOP, key: node.key };
  }

  #put(node: Node, folder: number, name: string): void {
    this.#takeOut(node);
    const key = fold(name);
    this.#moved.set(node, { folder, key });
    this.#parents.set(node.at, folder);
    this.#lying.get(folder)?.set(key, node);
  }

  #takeOut(node: Node): void {
    const { folder, key } = this.#placeOf(node);
    const parent = node.parent as Node;
    const lying = this.#lying.get(folder) ?? this.#in({ at: parent.at, node: parent });
    if (lying.get(key) === node) lying.delete(key);
  }

  #in({ at, node }: Pick<Where, "at" | "node">): Map<string, Node | "made"> {
    let lying = this.#lying.get(at);
    if (lying !== undefined) return lying;
    lying = new Map();
    // Of two names that are one the one that is left alone keeps everybody out.
    for (const kid of node?.kids ?? [])
      if (lying.get(kid.key) === undefined || kid.apart) lying.set(kid.key, kid);
    this.#lying.set(at, lying);
    return lying;
  }

  #trash(node: Node, why: "dead" | "deselected" | "twin"): void {
    this.#takeOut(node);
    node.left = true;
    const { known } = node;
    this.#work.downs.push({ do: "toTrash", id: rowIdOf(known), entry: entryOf(node), why });
  }

  /** What has to leave, the deepest first. */
  #remove(): void {
    const { disk, twins } = this.#work;
    for (let i = disk.order.length - 1; i >= 0; i--) {
      const node = disk.order[i] as Node;
      if (node.apart || node.left) continue;
      const { known, entry } = node;
      if (entry?.kind === "dir") {
        if (!this.#isOver(node) || !node.kids.every((kid) => kid.left || isJunk(kid))) continue;
        node.left = true;
        this.#work.downs.push({ do: "removeDir", id: rowIdOf(known), entry });
      } else if (twins.has(node)) this.#trash(node, "twin");
      else if (known !== undefined && isLeaving(known) && !this.#isWithheld(known))
        this.#trash(node, known.state === "deselected" ? "deselected" : "dead");
    }
  }

  /** Whether a folder is no item's any more, or a second one of an item's. */
  #isOver({ known, item, excluded, at }: Node): boolean {
    if (known !== undefined)
      return known.twinOf === undefined ? isLeaving(known) && !this.#isWithheld(known) : !known.held;
    const main = item === undefined || excluded ? undefined : this.#where.get(item.key);
    return main !== undefined && main.at !== at && main.node !== undefined;
  }

  #isWithheld({ state }: Known): boolean {
    return state !== "deselected" && this.#work.withheld.has("down");
  }

  /** A link that points out of the attached folder from where it goes, and did not from where it was. */
  #escapes(seen: Seen, node: Node): boolean {
    const { profile, issues } = this.#work;
    let depth = -1;
    for (let at: Node | undefined = node.parent; at !== undefined; at = at.parent) depth++;
    if (!isInside(seen.item, depth, profile) || isInside(seen.item, this.#depthOf(seen), profile))
      return false;
    issues.push({ kind: "link-not-created", id: seen.item.id });
    return true;
  }

  #depthOf({ folder }: Seen): number {
    let depth = 0;
    for (let at = this.#work.shown.byId.get(folder.key); at !== undefined; depth++)
      at = this.#work.shown.byId.get(at.folder.key);
    return depth;
  }
}

const NONE: Uint8Array = new Uint8Array(0);

function placeOf({ parent, name, place }: Item): RowPatch {
  return { parent, name, place };
}

function spotIn({ at }: Where, spelling: string): Spot {
  return { folder: at, name: encodeUtf8(spelling) };
}

function aliasFor({ name }: Spot, real: string): Uint8Array | undefined {
  return equalBytes(name, encodeUtf8(real)) ? undefined : name;
}

function isBelow(node: Node, folder: Node): boolean {
  for (let at = node.parent; at !== undefined; at = at.parent) if (at === folder) return true;
  return false;
}

function rowIdOf(known: Known | undefined): Known["id"] | undefined {
  return known?.twinOf === undefined ? known?.id : known.row.id;
}

function isJunk({ entry, text }: Node): boolean {
  return entry?.apart === "ignored" && JUNK.has(text);
}
