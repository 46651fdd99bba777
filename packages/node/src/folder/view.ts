/** The vault's tree as the planner asks for it: read item by item inside one transaction. */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { FilesView } from "@tidelock/core/kinds/files/api";
import { Selection, type SelectionRule } from "@tidelock/core/kinds/files/plan/selection";
import type { PlanView } from "@tidelock/core/kinds/files/plan/types";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";

const PAGE = 1000;

/** What was read of the view, for the plans that follow each other while it stays as it is. */
export class ViewMemory {
  #changes = -1;
  childrenByFolder: Map<string, readonly Item[]> = new Map();
  pathByFolder: Map<string, readonly string[]> = new Map();

  /** Inside the transaction that reads: what was read before something may have changed is forgotten. */
  renew(files: FilesView): void {
    if (files.changes() !== this.#changes) this.forget();
    this.#changes = files.changes();
  }

  forget(): void {
    this.#changes = -1;
    this.childrenByFolder = new Map();
    this.pathByFolder = new Map();
  }
}

/** `ignores`: by a path, names from the root down. */
export function planView(
  tx: Tx,
  files: FilesView,
  self: number,
  ignores: (path: readonly string[], isFolder: boolean) => boolean,
  rules: readonly SelectionRule[],
  memory: ViewMemory,
): PlanView {
  const selection = new Selection(rules, (id) => files.item(tx, id));
  memory.renew(files);
  const { childrenByFolder, pathByFolder } = memory;
  const pathOf = (folder: ItemId): readonly string[] => {
    const key = toHex(folder);
    const path = pathByFolder.get(key) ?? files.path(tx, folder);
    pathByFolder.set(key, path);
    return path;
  };
  return {
    self,
    item: (id) => files.item(tx, id),
    children: (folder) => {
      const key = toHex(folder);
      let children = childrenByFolder.get(key);
      if (children === undefined) {
        children = childrenOf(tx, files, folder);
        childrenByFolder.set(key, children);
      }
      return children;
    },
    shown: (item) => {
      if (ignores([...pathOf(item.parent), item.name], item.kind === "dir")) return "ignored";
      return selection.shows(item) ? "yes" : "deselected";
    },
    selects: (folder) => selection.selects(folder),
  };
}

export function childrenOf(tx: Tx, files: FilesView, folder: ItemId): readonly Item[] {
  const all: Item[] = [];
  for (let after: string | undefined; ; ) {
    const page = files.list(tx, folder, after, PAGE);
    all.push(...page);
    after = page.at(-1)?.name;
    if (page.length < PAGE) return all;
  }
}
