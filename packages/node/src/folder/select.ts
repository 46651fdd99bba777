/**
 * What of the vault a folder shows: rules of this device alone, on ids. They are written before
 * anything follows from them; what follows is the planner's, and begins anew after a crash.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { FilesView } from "@tidelock/core/kinds/files/api";
import { ROOT } from "@tidelock/core/kinds/files/names";
import { isPending } from "@tidelock/core/kinds/files/plan/judge";
import { Selection, type SelectionRule } from "@tidelock/core/kinds/files/plan/selection";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { RowBook } from "./book.ts";
import { type PassDeps, planned } from "./pass.ts";
import type { FolderRows } from "./rows.ts";
import { childKey } from "./seen.ts";
import { childrenOf } from "./view.ts";

/** What was said of a folder of the vault, or of what was made or moved into one that is not selected. */
export interface Chosen {
  /** In the vault; the drive itself is the empty one. */
  readonly path: string;
  readonly selected: boolean;
}

export function selectionOf(tx: Tx, files: FilesView, rows: FolderRows): Selection {
  return new Selection(rows.rules(tx), (id) => files.item(tx, id));
}

export function chosenIn(tx: Tx, files: FilesView, rows: FolderRows): readonly Chosen[] {
  const chosen = rows.rules(tx).flatMap(({ id, selected }): Chosen[] => {
    const item = files.item(tx, id);
    if (!isTop(id) && (item === undefined || item.dead !== undefined)) return [];
    return [{ path: files.path(tx, id).join("/"), selected }];
  });
  return chosen.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What is said of a folder holds for all in it, whatever was said of that before. */
export function choose(tx: Tx, files: FilesView, rows: FolderRows, { id, selected }: SelectionRule): void {
  const isInside = insideOf(id, (one) => files.item(tx, one));
  for (const rule of rows.rules(tx)) if (isInside(rule.id)) rows.dropRule(tx, rule.id);
  if (selectionOf(tx, files, rows).selects(id) !== selected) rows.putRule(tx, { id, selected });
}

/**
 * Where nobody could look at what has left the disk already: what is selected next is merged with what lies there, and
 * what is missing of it nobody has deleted.
 */
export function forgetHidden(tx: Tx, files: FilesView, rows: FolderRows): void {
  const selection = selectionOf(tx, files, rows);
  for (const { id } of rows.all(tx)) {
    const item = files.item(tx, id);
    if (item !== undefined && !selection.shows(item)) rows.drop(tx, id);
  }
}

export function hasOldRules(tx: Tx, files: FilesView, rows: FolderRows): boolean {
  return rows.rules(tx).some(({ id }) => mergedInto(tx, files, id) !== undefined);
}

/** Ids that were merged into others are known only for as long as the history is kept. */
export function renewRules(tx: Tx, files: FilesView, rows: FolderRows): void {
  for (const { id, selected } of rows.rules(tx)) {
    const now = mergedInto(tx, files, id);
    if (now === undefined) continue;
    rows.dropRule(tx, id);
    const there = rows.rules(tx).find((rule) => toHex(rule.id) === toHex(now));
    rows.putRule(tx, { id: now, selected: selected || there?.selected === true });
  }
}

function mergedInto(tx: Tx, files: FilesView, id: ItemId): ItemId | undefined {
  const item = files.item(tx, id);
  return item === undefined || toHex(item.id) === toHex(id) || isPending(item) ? undefined : item.id;
}

/** How much of a folder of the vault is only here: not sent, being written, or sent and not judged yet. */
export function unsentIn(deps: PassDeps, folder: ItemId): number {
  const { host, book, scanner } = deps;
  const { local, steps } = planned(deps);
  const under = keyOf(book, folder);
  let count = 0;
  for (const { key, seen } of scanner.unsettled())
    if (seen.apart === "unsettled" && under !== undefined && isUnder(key, under)) count++;
  return host.engine.read((tx) => {
    const made = new Map<string, ItemId>();
    const isInside = insideOf(folder, (id) => {
      const parent = made.get(toHex(id));
      return parent === undefined ? host.files.item(tx, id) : { id, parent };
    });
    for (const step of steps) {
      if (step.do === "hash") {
        const key = local.places.key(step.entry.at);
        if (key !== undefined && under !== undefined && isUnder(key, under)) count++;
        continue;
      }
      if (!("op" in step)) continue;
      const from = host.files.item(tx, step.id);
      if ("parent" in step && from === undefined) made.set(toHex(step.id), step.parent);
      if (isInside(step.id) || ("parent" in step && isInside(step.parent))) count++;
    }
    return count + pendingBelow(tx, host.files, folder);
  });
}

function pendingBelow(tx: Tx, files: FilesView, folder: ItemId): number {
  const top = files.item(tx, folder);
  let count = top !== undefined && isPending(top) ? 1 : 0;
  const folders = [folder];
  for (const one of folders)
    for (const item of childrenOf(tx, files, one)) {
      if (isPending(item)) count++;
      if (item.kind === "dir") folders.push(item.id);
    }
  return count;
}

/** Whether an item is a folder, or lies in it. */
function insideOf(
  folder: ItemId,
  item: (id: ItemId) => Pick<Item, "id" | "parent"> | undefined,
): (id: ItemId) => boolean {
  const isByKey = new Map<string, boolean>([[toHex(folder), true]]);
  return (id) => {
    const passed: string[] = [];
    let is: boolean | undefined;
    for (let at: ItemId | undefined = id; is === undefined; ) {
      const one: Pick<Item, "id" | "parent"> | undefined = item(at);
      const key = toHex(one?.id ?? at);
      is = isByKey.get(key);
      if (is === undefined && (one === undefined || passed.includes(key))) is = false;
      passed.push(key);
      at = one?.parent ?? at;
    }
    for (const key of passed) isByKey.set(key, is);
    return is;
  };
}

/** Where it lies on the disk; undefined where it does not. */
function keyOf(book: RowBook, folder: ItemId): string | undefined {
  const names: string[] = [];
  for (let id = folder; !isTop(id); ) {
    const row = book.row(id);
    if (row === undefined) return undefined;
    names.unshift(row.alias === undefined ? row.name : new TextDecoder().decode(row.alias));
    id = row.parent;
  }
  return names.reduce(childKey, "");
}

function isUnder(key: string, folder: string): boolean {
  return folder === "" || key.startsWith(`${folder}/`);
}

function isTop(id: ItemId): boolean {
  return toHex(id) === toHex(ROOT);
}
