import type { ReplicaStore } from "@tidelock/core/ports";

interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The rows of one space. Frozen once an image shares it: the next write clones it. */
interface Rows {
  readonly byKey: Map<string, Row>;
  /** Sorted keys: may hold keys without a row, lacks only those in `added`. */
  order: string[];
  /** Keys put since `order` was sorted, in any order, perhaps twice. */
  added: string[];
  /** How many keys of `order` have lost their row. */
  stale: number;
  shared: boolean;
}

/** A committed state of a store. Costs nothing until the store writes again. */
export interface StoreImage {
  readonly spaces: ReadonlyMap<string, unknown>;
}

/**
 * A `ReplicaStore` in memory with the answers of the SQL one, for simulated histories. A crash is
 * `image()` and `fromImage()`: the image never holds an open transaction.
 */
export class MapReplicaStore implements ReplicaStore {
  readonly #spaces = new Map<string, Rows>();
  readonly #copies = new Copies();
  #undo: { readonly space: string; readonly text: string; readonly row: Row | undefined }[] = [];
  #depth = 0;
  #doomed: { readonly error: unknown } | undefined;

  constructor(spaces: readonly string[]) {
    for (const space of spaces) {
      this.#spaces.set(space, { byKey: new Map(), order: [], added: [], stale: 0, shared: false });
    }
  }

  static fromImage(image: StoreImage): MapReplicaStore {
    const store = new MapReplicaStore([]);
    for (const [space, rows] of image.spaces) store.#spaces.set(space, rows as Rows);
    return store;
  }

  /** What is durable now: the state after the last committed transaction. */
  image(): StoreImage {
    for (const rows of this.#spaces.values()) rows.shared = true;
    if (this.#undo.length === 0) return { spaces: new Map(this.#spaces) };
    const before = MapReplicaStore.fromImage({ spaces: this.#spaces });
    before.#rollback(this.#undo);
    return before.image();
  }

  transaction<T>(work: () => T): T {
    this.#depth++;
    try {
      const result = work();
      if (isThenable(result)) throw new TypeError("a transaction's work is synchronous");
      if (this.#depth === 1 && this.#doomed !== undefined) throw this.#doomed.error;
      return result;
    } catch (error) {
      // A throw anywhere inside undoes all of it, also if an outer level catches it.
      this.#doomed ??= { error };
      throw error;
    } finally {
      if (--this.#depth === 0) {
        if (this.#doomed !== undefined) this.#rollback(this.#undo);
        this.#undo = [];
        this.#doomed = undefined;
      }
    }
  }

  get(space: string, key: Uint8Array): Uint8Array | undefined {
    return this.#rows(space).byKey.get(textOf(key))?.value;
  }

  put(space: string, key: Uint8Array, value: Uint8Array): void {
    const rows = this.#owned(space);
    const text = textOf(key);
    const old = rows.byKey.get(text);
    if (this.#depth > 0) this.#undo.push({ space, text, row: old });
    // Copies, as SQLite would: callers reuse their buffers.
    set(rows, text, { key: old?.key ?? new Uint8Array(key), value: this.#copies.of(value) });
  }

  delete(space: string, key: Uint8Array): void {
    const text = textOf(key);
    const old = this.#rows(space).byKey.get(text);
    if (old === undefined) return;
    if (this.#depth > 0) this.#undo.push({ space, text, row: old });
    set(this.#owned(space), text, undefined);
  }

  scan(
    space: string,
    from: Uint8Array,
    to: Uint8Array | undefined,
    limit: number = Number.POSITIVE_INFINITY,
  ): [Uint8Array, Uint8Array][] {
    const rows = this.#sorted(space);
    const { byKey, order } = rows;
    const end = to === undefined ? undefined : textOf(to);
    const found: [Uint8Array, Uint8Array][] = [];
    for (let i = lowerBound(order, textOf(from)); i < order.length && found.length < limit; i++) {
      const text = order[i] as string;
      if (end !== undefined && text >= end) break;
      const row = byKey.get(text);
      if (row !== undefined) found.push([row.key, row.value]);
    }
    return found;
  }

  last(space: string, from: Uint8Array, to: Uint8Array | undefined): [Uint8Array, Uint8Array] | undefined {
    const { byKey, order } = this.#sorted(space);
    const start = textOf(from);
    let i = to === undefined ? order.length : lowerBound(order, textOf(to));
    while (i-- > 0) {
      const text = order[i] as string;
      if (text < start) return undefined;
      const row = byKey.get(text);
      if (row !== undefined) return [row.key, row.value];
    }
    return undefined;
  }

  count(space: string): number {
    return this.#rows(space).byKey.size;
  }

  close(): void {}

  #rows(space: string): Rows {
    const rows = this.#spaces.get(space);
    if (rows === undefined) throw new RangeError(`no space ${space}`);
    return rows;
  }

  #owned(space: string): Rows {
    const rows = this.#rows(space);
    if (!rows.shared) return rows;
    const { order, added, stale } = rows;
    const own: Rows = {
      byKey: new Map(rows.byKey),
      order: order.slice(),
      added: added.slice(),
      stale,
      shared: false,
    };
    this.#spaces.set(space, own);
    return own;
  }

  /** Sorting changes no content, so a shared space may be sorted in place. */
  #sorted(space: string): Rows {
    const rows = this.#rows(space);
    sort(rows);
    return rows;
  }

  #rollback(
    undo: readonly { readonly space: string; readonly text: string; readonly row: Row | undefined }[],
  ): void {
    for (let i = undo.length - 1; i >= 0; i--) {
      const { space, text, row } = undo[i] as (typeof undo)[number];
      set(this.#owned(space), text, row);
    }
  }
}

function set(rows: Rows, text: string, row: Row | undefined): void {
  const { byKey, order, added } = rows;
  if (row === undefined) {
    if (byKey.delete(text)) rows.stale++;
    return;
  }
  const size = byKey.size;
  byKey.set(text, row);
  if (byKey.size === size) return;
  // Most keys of a log come in order.
  const greatest = order[order.length - 1];
  if (added.length === 0 && (greatest === undefined || text > greatest)) order.push(text);
  else added.push(text);
}

function sort(rows: Rows): void {
  const { byKey, order, added } = rows;
  if (added.length * 8 > order.length || (rows.stale > 64 && rows.stale * 2 > order.length)) {
    rows.order = [...byKey.keys()].sort();
    rows.added = [];
    rows.stale = 0;
  } else if (added.length > 0) {
    for (const text of added) {
      const at = lowerBound(order, text);
      if (order[at] !== text) order.splice(at, 0, text);
    }
    rows.added = [];
  }
}

function lowerBound(order: readonly string[], text: string): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((order[middle] as string) < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One UTF-16 unit a byte, so that strings sort as the bytes do. */
function textOf(key: Uint8Array): string {
  return latin1Slice.call(key, 0, key.length);
}

const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Uint8Array, from: number, to: number) => string;
};

/** Side by side in larger arrays: one of its own for each value of some hundred bytes would cost more than to store it. */
class Copies {
  #room = new Uint8Array(0);
  #at = 0;

  of(value: Uint8Array): Uint8Array {
    const { length } = value;
    if (length > ROOM / 8) return new Uint8Array(value);
    if (length > this.#room.length - this.#at) [this.#room, this.#at] = [new Uint8Array(ROOM), 0];
    const copy = this.#room.subarray(this.#at, this.#at + length);
    copy.set(value);
    this.#at += length;
    return copy;
  }
}

const ROOM = 16 << 10;

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}
