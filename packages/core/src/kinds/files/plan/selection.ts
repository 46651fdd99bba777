/**
 * Which items a disk shows (PLN13): rules on ids, of which the nearest above an item decides. What
 * is selected below a folder that is not brings the folders above it along, and nothing else of them.
 */
import { textOf } from "../spaces.ts";
import { isRoot } from "../tree.ts";
import type { Item, ItemId } from "../types.ts";

export interface SelectionRule {
  readonly id: ItemId;
  readonly selected: boolean;
}

export class Selection {
  readonly #item: (id: ItemId) => Item | undefined;
  readonly #ruleByKey = new Map<string, boolean>();
  /** Folders above what is selected. */
  readonly #way = new Set<string>();
  readonly #insideByKey = new Map<string, boolean>();

  /** `item`: of an id that was merged the item it became. */
  constructor(rules: readonly SelectionRule[], item: (id: ItemId) => Item | undefined) {
    this.#item = item;
    for (const { id, selected } of rules) {
      const now = isRoot(id) ? id : item(id)?.id;
      if (now === undefined) continue;
      const key = textOf(now);
      // Two that were merged: somebody here wants it.
      this.#ruleByKey.set(key, selected || this.#ruleByKey.get(key) === true);
      if (selected) this.#bringAbove(item(now));
    }
  }

  #bringAbove(item: Item | undefined): void {
    if (item === undefined || item.dead !== undefined) return;
    for (let at = item.parent; !isRoot(at) && !this.#way.has(textOf(at)); ) {
      const above = this.#item(at);
      if (above === undefined) return;
      this.#way.add(textOf(at));
      at = above.parent;
    }
  }

  shows(item: Item): boolean {
    if (this.#ruleByKey.size === 0) return true;
    const key = textOf(item.id);
    return (
      this.#way.has(key) || (this.#ruleByKey.get(key) ?? (this.selects(item.parent) || this.#isCopy(item)))
    );
  }

  /** Of a thing that is selected by itself: whoever works on it sees what lost as well. */
  #isCopy({ copyOf }: Item): boolean {
    const original = copyOf === undefined ? undefined : this.#item(copyOf.item);
    return original !== undefined && this.#ruleByKey.get(textOf(original.id)) === true;
  }

  /** Whether what comes into a folder is shown with it, where nothing is said of the thing itself. */
  selects(folder: ItemId): boolean {
    const known = this.#ruleByKey.size === 0 ? true : this.#insideByKey.get(textOf(folder));
    if (known !== undefined) return known;
    const passed = new Set<string>();
    let is: boolean | undefined;
    for (let at = folder; is === undefined; ) {
      const item = this.#item(at);
      const key = textOf(item?.id ?? at);
      is = this.#insideByKey.get(key) ?? this.#ruleByKey.get(key);
      // What is dead may lie in a circle, and what is unknown lies nowhere.
      if (is === undefined && (item === undefined || passed.has(key))) is = true;
      passed.add(key);
      if (item !== undefined) at = item.parent;
    }
    for (const key of passed) this.#insideByKey.set(key, is);
    return is;
  }
}
