/**
 * Confirmed items as they were decoded, from one transaction to the next: most that are asked for again are as they
 * were. All of it is of one state of the replica, whose number stands there: what a transaction remembered that was
 * undone has another, and is forgotten.
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Tx } from "../../log/tx.ts";
import { local, NOTHING } from "./spaces.ts";
import type { Item } from "./types.ts";

/** About 1.5 kB each. */
const MOST = 16_384;

export class ItemMemory {
  readonly #items = new Map<string, Item>();
  #state: number | undefined;
  /** No number is used twice here, also where all was emptied or undone in between. */
  #last = 0;

  /** Before anything is asked in a transaction. */
  open(tx: Tx): void {
    const state = stateOf(tx);
    if (state !== undefined && state === this.#state) return;
    this.#items.clear();
    this.#state = state;
  }

  /** Before the first change of a transaction. */
  moved(tx: Tx): void {
    this.#last = Math.max(this.#last, stateOf(tx) ?? 0) + 1;
    this.#state = this.#last;
    tx.put(local.state, NOTHING, new Writer(8).v(this.#last).done());
  }

  get(key: string): Item | undefined {
    return this.#items.get(key);
  }

  keep(key: string, item: Item): void {
    if (this.#items.size >= MOST && !this.#items.has(key))
      this.#items.delete(this.#items.keys().next().value as string);
    this.#items.set(key, item);
  }
}

/** Undefined where nothing has changed since all was emptied, or since an older version of this program. */
function stateOf(tx: Tx): number | undefined {
  const bytes = tx.get(local.state, NOTHING);
  return bytes === undefined ? undefined : new Reader(bytes).v();
}
