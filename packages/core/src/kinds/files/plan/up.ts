/** What the log has to hear: the disk's side of the table (PLN3), as changes of items. */
import { encodeUtf8, equalBytes } from "../../../bytes/bytes.ts";
import { fold } from "../fold.ts";
import { textOf } from "../spaces.ts";
import type { ItemId, Op } from "../types.ts";
import { asideOf } from "./disk-name.ts";
import { bytesOf, entryOf, holds, isWhereSeen } from "./judge.ts";
import { isMoved, type Known, keyOfRow, nameOnDisk } from "./pair.ts";
import { type Node, ROOT_KEY, type Seen } from "./trees.ts";
import type { RowPatch, Spot } from "./types.ts";
import { aliasOf, folderOf, rowOf, rowOfNew, spotOf, type Work } from "./work.ts";

/** Where something is moved to. */
interface Goal {
  readonly parent: ItemId;
  readonly key: string;
  readonly name: string;
  readonly alias: Uint8Array | undefined;
  readonly select: boolean;
}

export function planUp(work: Work): void {
  new Up(work).run();
}

class Up {
  readonly #work: Work;
  /** Names that the plan's changes take and leave, over the view's. */
  readonly #slots = new Map<string, Map<string, string | undefined>>();
  readonly #movers = new Map<string, Known>();
  /** Places that the plan's own changes made. */
  readonly #places = new Map<string, Op>();
  readonly #deleted = new Set<string>();
  readonly #keysIn = new Map<Node, ReadonlySet<string>>();
  /** What is in its final place, with all above it: moves into it can make no cycle. */
  readonly #passed = new Set<Node>();
  /** Folders that the plan makes: what is in them is selected as they are. */
  readonly #fresh = new Set<Node>();

  constructor(work: Work) {
    this.#work = work;
  }

  run(): void {
    const { disk } = this.#work;
    for (const node of disk.order) {
      const { known } = node;
      if (known !== undefined && this.#goesUp(known) && isMoved(known) && !this.#isWhereViewHasIt(known))
        this.#movers.set(known.key, known);
    }
    this.#passed.add(disk.top);
    for (const node of disk.order) {
      if (node.apart || node.entry?.apart !== undefined) continue;
      if (node.known === undefined) this.#meet(node);
      else if (!node.known.held) this.#follow(node.known, node);
      this.#passed.add(node);
    }
    this.#deleteAbsent();
  }

  /** Of an item that is gone for good nothing can be said: what is left here is something new. */
  #goesUp({ state, held, twinOf }: Known): boolean {
    return !held && twinOf === undefined && (state === "live" || state === "deselected" || state === "dead");
  }

  #isWhereViewHasIt(known: Known): boolean {
    return known.seen !== undefined && isWhereSeen(known, known.seen);
  }

  /** An entry that is no item yet. */
  #meet(node: Node): void {
    const { adopted, shown, pairs, twins, unread } = this.#work;
    const entry = entryOf(node);
    if (node.item !== undefined) {
      // A folder that lies where an item belongs; if that has one elsewhere, they will be made one.
      const seen = shown.byId.get(node.item.key);
      if (seen !== undefined && !node.excluded && !pairs.byKey.has(seen.key)) this.#adopt(node, seen);
      return;
    }
    const seen = spotOf(this.#work, node);
    if (seen?.shown === "ignored") return;
    if (seen?.shown === "yes" && entry.kind !== "dir") {
      const equal = holds(entry, seen.item);
      const main = pairs.byKey.get(seen.key);
      if (equal === undefined) {
        unread.add(node);
        return;
      }
      if (equal && main?.node === undefined && !adopted.has(seen.key)) {
        this.#adopt(node, seen);
        return;
      }
      if (equal && main?.node !== undefined && !isMoved(main) && !this.#isWhereViewHasIt(main)) {
        twins.set(node, undefined);
        return;
      }
    }
    if (!unread.has(node)) this.#make(node);
  }

  #adopt(node: Node, seen: Seen): void {
    const { adopted, book } = this.#work;
    const entry = entryOf(node);
    adopted.set(seen.key, node);
    const alias = aliasOf(entry, seen.item.name);
    book.push({
      do: "adopt",
      id: seen.item.id,
      set: { ...rowOf(this.#work, seen.item), alias, print: entry.print, hash: entry.hash },
    });
  }

  #make(node: Node): void {
    const entry = entryOf(node);
    const { kind } = entry;
    const parent = node.parent as Node;
    if (kind === "special" || parent.item === undefined) return;
    const { text: name } = node;
    if (!this.#claim(parent.item.key, name, undefined)) return;
    const op = this.#work.options.op();
    const id = op as Uint8Array as ItemId;
    this.#take(parent.item.key, name, textOf(id));
    if (kind === "dir") {
      node.item = { id, key: textOf(id) };
      this.#fresh.add(node);
    }
    const made = ({ dir: "mkdir", file: "create", link: "symlink" } as const)[kind];
    this.#work.ups.push({
      do: made,
      op,
      id,
      entry,
      parent: parent.item.id,
      name,
      select: this.#isByItself(parent, parent.item.id),
      set: rowOfNew(entry, op, parent.item.id, name),
    });
  }

  /** Whoever works in a folder that is not selected wants what he works on. */
  #isByItself(parent: Node, id: ItemId): boolean {
    return !this.#fresh.has(parent) && !this.#work.view.selects(id);
  }

  /** An entry of an item that is known. */
  #follow(known: Known, node: Node): void {
    const { book, unread, twins, profile, ups, options } = this.#work;
    const { row, id, state, item, seen } = known;
    const entry = entryOf(node);
    const bytes = bytesOf(entry, row);
    if (bytes === "unread") unread.add(node);
    if (state === "ignored") return;
    if (known.twinOf !== undefined) {
      if (bytes === "changed") this.#write(known, node, row.id);
      else if (bytes === "same" && entry.kind !== "dir") twins.set(node, row.id);
      return;
    }
    if (state === "gone") {
      if (bytes === "unread" || (bytes === "same" && !isMoved(known))) return;
      book.push({ do: "forget", id: row.id });
      node.known = undefined;
      node.item = undefined;
      this.#make(node);
      return;
    }
    if (!equalBytes(row.id, id)) {
      book.push({ do: "forget", id: row.id });
      const { id: _, ...rest } = row;
      book.push({ do: "adopt", id, set: rest });
    }
    if (this.#movers.has(known.key)) this.#moveInTurn(known);
    if (bytes === "changed" && item !== undefined) {
      const isSame = seen === undefined || item.dead !== undefined ? false : holds(entry, item);
      if (isSame === undefined && !equalBytes(item.rev, row.rev)) unread.add(node);
      else if (isSame !== true) this.#write(known, node, id);
    }
    const isExecutable = profile.executable && entry.kind === "file" && entry.executable !== row.executable;
    if (isExecutable && (state === "live" || state === "deselected") && bytes !== "unread") {
      const { executable } = entry;
      ups.push({ do: "meta", op: options.op(), id, entry, executable, set: { executable } });
    }
  }

  #write(known: Known, node: Node, id: ItemId): void {
    const op = this.#work.options.op();
    const entry = entryOf(node);
    const set: RowPatch = { rev: op, print: entry.print, hash: entry.hash };
    this.#work.ups.push({ do: "write", op, id, entry, rev: known.row.rev, set });
  }

  /** A move, after those that have to leave its new name first; where they wait for each other, one steps aside. */
  #moveInTurn(known: Known): void {
    const chain = [known];
    const inChain = new Set([known.key]);
    for (;;) {
      const one = chain.at(-1) as Known;
      const next = this.#movers.get(this.#holderOf(one) ?? "");
      if (next === undefined || next === one) break;
      if (inChain.has(next.key) || !this.#passed.has(next.node?.parent as Node)) {
        this.#stepAside(next);
        break;
      }
      chain.push(next);
      inChain.add(next.key);
    }
    for (const one of chain.reverse()) this.#move(one);
  }

  /** Who has the name that it goes to. */
  #holderOf(known: Known): string | undefined {
    const node = known.node as Node;
    const above = node.parent?.item;
    return above === undefined ? undefined : this.#holder(above.key, nameOnDisk(known, node));
  }

  #move(known: Known): void {
    const node = known.node as Node;
    const above = node.parent?.item;
    if (above === undefined || !this.#movers.delete(known.key)) return;
    const name = nameOnDisk(known, node);
    if (!this.#claim(above.key, name, known)) return;
    const to = { parent: above.id, key: above.key, name, alias: aliasOf(entryOf(node), name) };
    this.#place(known, { ...to, select: this.#isByItself(node.parent as Node, above.id) });
  }

  /** It keeps its folder and gets a name that nobody has, until its own is free. */
  #stepAside(known: Known): void {
    const { item, id } = known;
    if (item === undefined || item.dead !== undefined) return;
    const name = asideOf(item.name, id, this.#work.profile);
    const { parent } = item;
    this.#place(known, { parent, key: textOf(parent), name, alias: known.row.alias, select: false });
  }

  #place(known: Known, { parent, key: parentKey, name, alias, select }: Goal): void {
    const { ups, options } = this.#work;
    const { id, key, row, item, node } = known;
    const op = options.op();
    if (item !== undefined && item.dead === undefined) {
      const from = this.#places.has(key) ? undefined : textOf(item.parent);
      if (from !== undefined) this.#take(from, item.name, undefined);
    }
    this.#take(parentKey, name, key);
    const place = this.#places.get(key) ?? row.place;
    this.#places.set(key, op);
    const set = { parent, name, place: op, alias };
    ups.push({ do: "move", op, id, entry: node?.entry, place, parent, name, select, set });
  }

  /** Makes a name free, as far as what is known here can; false if it has to wait for a person. */
  #claim(parent: string, name: string, known: Known | undefined): boolean {
    const { shown, absence, withheld, pairs } = this.#work;
    const holder = this.#holder(parent, name);
    const seen = holder === undefined || holder === known?.key ? undefined : shown.byId.get(holder);
    if (seen === undefined) return true;
    const mover = this.#movers.get(seen.key);
    if (mover !== undefined) {
      if (known === undefined && this.#passed.has(mover.node?.parent as Node)) this.#moveInTurn(mover);
      else this.#stepAside(mover);
      return true;
    }
    const is = absence.get(seen.key);
    if (is === undefined || is === "back") return true;
    if (withheld.has("up")) return false;
    const gone = pairs.byKey.get(seen.key);
    if (is === "whole") this.#delete(seen);
    else if (gone !== undefined) this.#stepAside(gone);
    return true;
  }

  #holder(parent: string, name: string): string | undefined {
    const key = fold(name);
    const over = this.#slots.get(parent);
    if (over?.has(key) === true) return over.get(key);
    return folderOf(this.#work, parent)?.slots.get(key)?.key;
  }

  #take(parent: string, name: string, key: string | undefined): void {
    const slots = this.#slots.get(parent) ?? new Map<string, string | undefined>();
    this.#slots.set(parent, slots.set(fold(name), key));
  }

  #deleteAbsent(): void {
    const { pairs, shown, absence, withheld, book } = this.#work;
    for (const twin of pairs.twins)
      if (twin.node === undefined && !twin.held && !equalBytes(twin.row.id, twin.id))
        book.push({ do: "forget", id: twin.row.id });
    for (const { row, node, held, state, key } of pairs.byKey.values()) {
      const isOver = node === undefined && !held && (state !== "live" || absence.get(key) === "back");
      if (isOver || state === "ignored") book.push({ do: "forget", id: row.id });
    }
    if (withheld.has("up")) return;
    for (const seen of shown.order) {
      if (absence.get(seen.key) !== "whole" || this.#deleted.has(seen.key)) continue;
      const above = absence.get(seen.folder.key);
      if (above === undefined || above === "back") this.#delete(seen);
    }
  }

  /** With all in it. */
  #delete(seen: Seen): void {
    const { ups, options, pairs } = this.#work;
    const known = pairs.byKey.get(seen.key);
    if (known === undefined || this.#deleted.has(seen.key)) return;
    this.#deleted.add(seen.key);
    this.#take(seen.folder.key, seen.item.name, undefined);
    ups.push({ do: "delete", op: options.op(), id: seen.item.id, gone: this.#spotOf(known) });
  }

  /** Where it lay, if nothing was seen there. */
  #spotOf({ row, parent }: Known): Spot | undefined {
    const { pairs, disk } = this.#work;
    const folder = parent === ROOT_KEY ? disk.top : pairs.byKey.get(parent)?.node;
    if (folder === undefined) return undefined;
    const keys = this.#keysIn.get(folder) ?? new Set(folder.kids.map((kid) => kid.key));
    this.#keysIn.set(folder, keys);
    const name = row.alias ?? encodeUtf8(row.name);
    return keys.has(keyOfRow(row)) ? undefined : { folder: folder.at, name };
  }
}
