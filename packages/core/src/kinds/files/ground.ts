/**
 * What the reducer works on: the confirmed state, or the view, which is that state with all
 * unconfirmed changes on top. Both speak of the same spaces, so there is one reducer for both.
 */
import { afterPrefix, compareBytes, concat } from "../../bytes/bytes.ts";
import type { Tx } from "../../log/tx.ts";
import { decodeItem, encodeItem } from "./item.ts";
import { type ConfirmedSpace, confirmed, confirmedSpaces, ID, local, slotKey, textOf } from "./spaces.ts";
import type { Item, ItemId, Op } from "./types.ts";

type Row = readonly [key: Uint8Array, value: Uint8Array];

export abstract class Ground {
  /** Decoded once a transaction; every change of an item goes through `store`. */
  readonly #items = new Map<string, Item | undefined>();

  abstract get(space: ConfirmedSpace, key: Uint8Array): Uint8Array | undefined;
  abstract put(space: ConfirmedSpace, key: Uint8Array, value: Uint8Array): void;
  abstract delete(space: ConfirmedSpace, key: Uint8Array): void;
  /** In the order of their keys, which begin with `prefix` and come after `after`. */
  abstract scan(
    space: ConfirmedSpace,
    prefix: Uint8Array,
    after?: Uint8Array,
    limit?: number,
  ): readonly Row[];

  item(id: ItemId): Item | undefined {
    const text = textOf(id);
    if (this.#items.has(text)) return this.#items.get(text);
    const bytes = this.get(confirmed.item, id);
    const item = bytes === undefined ? undefined : decodeItem(id, bytes);
    this.#items.set(text, item);
    return item;
  }

  /** The one place where items change: slots and graves follow. */
  store(item: Item): void {
    const old = this.item(item.id);
    const was = old === undefined ? undefined : placeIn(old);
    const is = placeIn(item);
    if (was === undefined || was.space !== is.space || compareBytes(was.key, is.key) !== 0) {
      if (was !== undefined) this.delete(was.space, was.key);
      this.put(is.space, is.key, is.space === confirmed.slot ? item.id : EMPTY);
    }
    this.put(confirmed.item, item.id, encodeItem(item));
    this.#items.set(textOf(item.id), item);
  }

  /** The live item of this name. */
  at(parent: ItemId, name: string): Item | undefined {
    const id = this.get(confirmed.slot, slotKey(parent, name));
    return id === undefined ? undefined : this.item(id.slice() as ItemId);
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

  /** What stands there was changed beside this ground. */
  forget(): void {
    this.#items.clear();
  }
}

const EMPTY = new Uint8Array(0);

function placeIn(item: Item): { readonly space: ConfirmedSpace; readonly key: Uint8Array } {
  return item.dead === undefined
    ? { space: confirmed.slot, key: slotKey(item.parent, item.name) }
    : { space: confirmed.grave, key: concat(item.parent, item.id) };
}

export class Truth extends Ground {
  readonly #tx: Tx;

  constructor(tx: Tx) {
    super();
    this.#tx = tx;
  }

  get(space: ConfirmedSpace, key: Uint8Array): Uint8Array | undefined {
    return this.#tx.get(space, key);
  }

  put(space: ConfirmedSpace, key: Uint8Array, value: Uint8Array): void {
    this.#tx.put(space, key, value);
  }

  delete(space: ConfirmedSpace, key: Uint8Array): void {
    this.#tx.delete(space, key);
  }

  scan(space: ConfirmedSpace, prefix: Uint8Array, after?: Uint8Array, limit?: number): readonly Row[] {
    return this.#tx.scan(space, afterKey(prefix, after), afterPrefix(prefix), limit);
  }
}

const ABSENT = Uint8Array.of(0);

/** The confirmed state where nothing stands over it. */
export class View extends Ground {
  readonly #tx: Tx;

  constructor(tx: Tx) {
    super();
    this.#tx = tx;
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
