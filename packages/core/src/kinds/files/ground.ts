/**
 * What the reducer works on: the confirmed state, or the view, which is that state with all
 * unconfirmed changes on top. Both speak of the same spaces, so there is one reducer for both.
 */
import { afterPrefix, compareBytes, concat, equalBytes } from "../../bytes/bytes.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Tx } from "../../log/tx.ts";
import { decodeItem, writeItem } from "./item.ts";
import type { ItemMemory } from "./memory.ts";
import { type ConfirmedSpace, confirmed, confirmedSpaces, ID, local, slotKey, textOf } from "./spaces.ts";
import type { Item, ItemId, Op } from "./types.ts";

type Row = readonly [key: Uint8Array, value: Uint8Array];

/** An item as it was decoded or stored, and its row where that was read: what a change of it replaces. */
export interface Held {
  readonly item: Item | undefined;
  readonly row: { readonly bytes: Uint8Array | undefined } | undefined;
}

export abstract class Ground {
  /** Decoded once a transaction; every change of an item goes through `store`. */
  readonly #items = new Map<string, Held>();
  readonly #w = new Writer(1024);
  /** The slot that was looked up last: most are taken next. */
  #looked: { readonly parent: ItemId; readonly name: string; readonly slot: Slot } | undefined;

  abstract get(space: ConfirmedSpace, key: Uint8Array): Uint8Array | undefined;
  /** `known`: what stands there, where that was just read. */
  abstract put(
    space: ConfirmedSpace,
    key: Uint8Array,
    value: Uint8Array,
    known?: { readonly bytes: Uint8Array | undefined },
  ): void;
  abstract delete(space: ConfirmedSpace, key: Uint8Array): void;
  /** In the order of their keys, which begin with `prefix` and come after `after`. */
  abstract scan(
    space: ConfirmedSpace,
    prefix: Uint8Array,
    after?: Uint8Array,
    limit?: number,
  ): readonly Row[];

  /** Where nothing stands, as was just seen. */
  putNew(space: ConfirmedSpace, key: Uint8Array, value: Uint8Array): void {
    this.put(space, key, value, NONE);
  }

  item(id: ItemId): Item | undefined {
    return this.#held(id, textOf(id)).item;
  }

  #held(id: ItemId, text: string): Held {
    let held = this.#items.get(text);
    if (held === undefined) {
      held = this.load(id, text);
      this.#items.set(text, held);
    }
    return held;
  }

  /** From below: asked once for each item. */
  protected load(id: ItemId, _text: string): Held {
    const bytes = this.get(confirmed.item, id);
    return bytes === undefined
      ? { item: undefined, row: NONE }
      : { item: decodeItem(id, bytes), row: { bytes } };
  }

  /** The one place where items change: slots and graves follow. */
  store(item: Item): void {
    const text = textOf(item.id);
    const { item: old, row } = this.#held(item.id, text);
    if (old === undefined || !isSamePlace(old, item)) this.#place(old, item);
    const w = this.#w.reset();
    writeItem(w, item);
    this.put(confirmed.item, item.id, w.view(), row);
    this.#items.set(text, { item, row: undefined });
    this.stored(item, text);
  }

  protected stored(_item: Item, _text: string): void {}

  #place(old: Item | undefined, item: Item): void {
    const was = old === undefined ? undefined : placeIn(old);
    const is = item.dead === undefined ? this.#slotOf(item.parent, item.name) : undefined;
    const key = is?.key ?? concat(item.parent, item.id);
    const space = is === undefined ? confirmed.grave : confirmed.slot;
    if (was !== undefined) {
      if (was.space === space && compareBytes(was.key, key) === 0) return;
      this.delete(was.space, was.key);
    }
    this.put(space, key, is === undefined ? EMPTY : item.id, is);
    this.#looked = undefined;
  }

  /** The live item of this name. */
  at(parent: ItemId, name: string): Item | undefined {
    const { bytes } = this.#slotOf(parent, name);
    return bytes === undefined ? undefined : this.item(bytes.slice() as ItemId);
  }

  #slotOf(parent: ItemId, name: string): Slot {
    const last = this.#looked;
    if (last !== undefined && last.name === name && equalBytes(last.parent, parent)) return last.slot;
    const key = slotKey(parent, name);
    const slot = { key, bytes: this.get(confirmed.slot, key) };
    this.#looked = { parent, name, slot };
    return slot;
  }

  /** The item that is meant by an id, which may have been merged into another. */
  resolve(id: ItemId): ItemId {
    return (this.get(confirmed.alias, id)?.slice() as ItemId | undefined) ?? id;
  }

  /** The item that carries what this op wrote. */
  headOf(op: Op): ItemId | undefined {
    return this.get(confirmed.head, op)?.slice() as ItemId | undefined;
  }

  children(parent: ItemId): ItemId[] {
    return this.scan(confirmed.slot, parent).map(([, id]) => id.slice() as ItemId);
  }

  deadChildren(parent: ItemId): ItemId[] {
    return this.scan(confirmed.grave, parent).map(([key]) => key.slice(ID) as ItemId);
  }
}

const EMPTY = new Uint8Array(0);
const NONE = { bytes: undefined } as const;

interface Slot {
  readonly key: Uint8Array;
  /** Of the item in it. */
  readonly bytes: Uint8Array | undefined;
}

function isSamePlace(a: Item, b: Item): boolean {
  return (
    (a.dead === undefined) === (b.dead === undefined) && a.name === b.name && equalBytes(a.parent, b.parent)
  );
}

function placeIn(item: Item): { readonly space: ConfirmedSpace; readonly key: Uint8Array } {
  return item.dead === undefined
    ? { space: confirmed.slot, key: slotKey(item.parent, item.name) }
    : { space: confirmed.grave, key: concat(item.parent, item.id) };
}

export class Truth extends Ground {
  readonly #tx: Tx;
  readonly #memory: ItemMemory;
  #moved = false;

  constructor(tx: Tx, memory: ItemMemory) {
    super();
    this.#tx = tx;
    this.#memory = memory;
    memory.open(tx);
  }

  protected override load(id: ItemId, text: string): Held {
    const item = this.#memory.get(text);
    if (item !== undefined) return { item, row: undefined };
    const held = super.load(id, text);
    if (held.item !== undefined) this.#memory.keep(text, held.item);
    return held;
  }

  protected override stored(item: Item, text: string): void {
    if (!this.#moved) this.#memory.moved(this.#tx);
    this.#moved = true;
    this.#memory.keep(text, item);
  }

  get(space: ConfirmedSpace, key: Uint8Array): Uint8Array | undefined {
    return this.#tx.get(space, key);
  }

  put(
    space: ConfirmedSpace,
    key: Uint8Array,
    value: Uint8Array,
    known?: { readonly bytes: Uint8Array | undefined },
  ): void {
    this.#tx.put(space, key, value, known);
  }

  delete(space: ConfirmedSpace, key: Uint8Array): void {
    this.#tx.delete(space, key);
  }

  scan(space: ConfirmedSpace, prefix: Uint8Array, after?: Uint8Array, limit?: number): readonly Row[] {
    return this.#tx.scan(space, afterKey(prefix, after), afterPrefix(prefix), limit);
  }
}

const ABSENT = Uint8Array.of(0);
const FEW = 1024;

/** The confirmed state where nothing stands over it. */
export class View extends Ground {
  readonly #tx: Tx;
  readonly #truth: Truth;
  /** What stands over items, where it is little. */
  #overItems: Map<string, Uint8Array> | "many" | undefined;

  constructor(tx: Tx, truth: Truth) {
    super();
    this.#tx = tx;
    this.#truth = truth;
  }

  protected override load(id: ItemId, text: string): Held {
    const over = this.#overItem(id, text);
    return over === undefined ? { item: this.#truth.item(id), row: undefined } : super.load(id, text);
  }

  /** A person's edits that wait are few, and a walk through all items need not ask for each. */
  #overItem(id: ItemId, text: string): Uint8Array | undefined {
    this.#overItems ??= this.#fewItems() ?? "many";
    if (this.#overItems !== "many") return this.#overItems.get(text);
    return this.#tx.get(local.over, overKey(confirmed.item, id));
  }

  #fewItems(): Map<string, Uint8Array> | undefined {
    const prefix = overKey(confirmed.item, EMPTY);
    const rows = this.#tx.scan(local.over, prefix, afterPrefix(prefix), FEW + 1);
    return rows.length > FEW
      ? undefined
      : new Map(rows.map(([key, value]) => [textOf(key.subarray(1)), value]));
  }

  protected override stored(): void {
    this.#overItems = "many";
  }

  get(space: ConfirmedSpace, key: Uint8Array): Uint8Array | undefined {
    const over = this.#tx.get(local.over, overKey(space, key));
    if (over === undefined) return this.#tx.get(space, key);
    return over[0] === 0 ? undefined : over.subarray(1);
  }

  put(space: ConfirmedSpace, key: Uint8Array, value: Uint8Array): void {
    this.#tx.put(local.over, overKey(space, key), concat(Uint8Array.of(1), value));
  }

  delete(space: ConfirmedSpace, key: Uint8Array): void {
    this.#tx.put(local.over, overKey(space, key), ABSENT);
  }

  scan(space: ConfirmedSpace, prefix: Uint8Array, after?: Uint8Array, limit?: number): readonly Row[] {
    const from = afterKey(prefix, after);
    const over = this.#tx
      .scan(local.over, overKey(space, from), afterPrefix(overKey(space, prefix)))
      .map(([key, value]): Row => [key.subarray(1), value]);
    // Each row that stands over one below takes its place: so many more may be needed.
    const below = this.#tx.scan(
      space,
      from,
      afterPrefix(prefix),
      limit === undefined ? undefined : limit + over.length,
    );
    const merged: Row[] = [];
    for (let i = 0, j = 0; i < below.length || j < over.length; ) {
      const [a, b] = [below[i], over[j]];
      const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a[0], b[0]);
      if (order < 0) merged.push(a as Row);
      else if ((b as Row)[1][0] !== 0) merged.push([(b as Row)[0], (b as Row)[1].subarray(1)]);
      if (order <= 0) i++;
      if (order >= 0) j++;
      if (limit !== undefined && merged.length === limit) break;
    }
    return merged;
  }
}

function overKey(space: ConfirmedSpace, key: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(confirmedSpaces.indexOf(space)), key);
}

function afterKey(prefix: Uint8Array, after: Uint8Array | undefined): Uint8Array {
  return after === undefined ? prefix : concat(after, Uint8Array.of(0));
}
