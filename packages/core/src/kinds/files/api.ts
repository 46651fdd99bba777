/** What a folder, a mount or a command may ask about files. */
import type { Tx } from "../../log/tx.ts";
import type { Entry, Item, ItemId, Op, Version } from "./types.ts";

export interface ItemVersion extends Version {
  /** When it was replaced. */
  readonly seq: number;
}

export interface FilesView {
  /** Grows with whatever may have changed what is seen, in this process: who saw the same number saw the same. */
  changes(): number;
  /** Live or dead, as this device sees it: with what is unconfirmed. */
  item(tx: Tx, id: ItemId): Item | undefined;
  /** The live item of this name, or of one that is the same to every disk. */
  child(tx: Tx, parent: ItemId, name: string): Item | undefined;
  /** Live items of a folder in the order of their folded names, after the one of a name. */
  list(tx: Tx, parent: ItemId, after: string | undefined, limit: number): readonly Item[];
  /** Names from the root down. */
  path(tx: Tx, id: ItemId): readonly string[];
  /** Contents that were replaced, the oldest first. */
  history(tx: Tx, id: ItemId): readonly ItemVersion[];
  /** In the order of the log. */
  conflicts(tx: Tx, filter: { readonly open: boolean }): readonly Entry[];
  entry(tx: Tx, op: Op): Entry | undefined;
  /** What was deleted and can be restored; of a folder only itself, where all in it died with it. */
  trash(tx: Tx): readonly Item[];
}
