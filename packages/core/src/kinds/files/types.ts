/** What a change of the tree says, and what an item is. */
import type { Brand } from "../../bytes/brand.ts";
import type { Content } from "../../log/content.ts";

/** 16 random bytes that name a change, for ever. */
export type Op = Brand<Uint8Array, "Op">;
/** The op that made the item, or one of the reserved ids. */
export type ItemId = Brand<Uint8Array, "ItemId">;

export type ItemKind = "dir" | "file" | "link";

/** What is said of a file beside its bytes. */
export interface FileMeta {
  /** Microseconds since 1970, for display and the disk; never for order. */
  readonly mtime: number;
  readonly executable: boolean;
}

interface Said {
  readonly op: Op;
  /** The highest seq the author's device had applied when it acted. */
  readonly base: number;
  /** The author's clock, ms: for names and display. */
  readonly time: number;
}

export type FileChange =
  | (Said & { readonly do: "mkdir"; readonly parent: ItemId; readonly name: string })
  | (Said & {
      readonly do: "create";
      readonly parent: ItemId;
      readonly name: string;
      readonly content: Content;
      readonly meta: FileMeta;
    })
  | (Said & {
      readonly do: "symlink";
      readonly parent: ItemId;
      readonly name: string;
      readonly target: Uint8Array;
    })
  | (Said & {
      readonly do: "write";
      readonly id: ItemId;
      /** The revision it was made from. */
      readonly rev: Op;
      readonly content: Content;
      readonly mtime: number;
    })
  | (Said & {
      readonly do: "move";
      readonly id: ItemId;
      /** The place it was moved from. */
      readonly place: Op;
      readonly parent: ItemId;
      readonly name: string;
    })
  | (Said & { readonly do: "delete"; readonly id: ItemId })
  | (Said & {
      readonly do: "restore";
      readonly id: ItemId;
      /** Elsewhere than where it was. */
      readonly to: { readonly parent: ItemId; readonly name: string } | undefined;
    })
  | (Said & { readonly do: "meta"; readonly id: ItemId; readonly set: MetaSet })
  | (Said & {
      readonly do: "settle";
      /** The op of the change that made the conflict. */
      readonly entry: Op;
      readonly pick: Pick;
      /** Both sides as the person saw them. */
      readonly rev: Op;
      readonly otherRev: Op;
    });

export type ChangeOf<K extends FileChange["do"]> = Extract<FileChange, { readonly do: K }>;

export type MetaSet =
  | { readonly key: "executable"; readonly value: boolean }
  | { readonly key: "compress"; readonly value: boolean }
  | { readonly key: "pin"; readonly value: boolean }
  | { readonly key: "tag"; readonly name: string; readonly value: string };

export type Pick = "keep-current" | "use-other" | "keep-both";

export interface FilesSection {
  /** What conflict copies of this author are named after. */
  readonly label: string;
  /** A person has seen that these delete much. */
  readonly approved: boolean;
  readonly changes: readonly FileChange[];
}

/** What became of a change. */
export type Outcome =
  | { readonly kind: "ok" | "adjusted" | "same" | "other" }
  | { readonly kind: "copy"; readonly id: ItemId }
  | { readonly kind: "void"; readonly reason: Refusal };

export type Refusal = "bad" | "gone" | "moved" | "cycle" | "root" | "touched" | "settled" | "content";

/** When something of an item was last changed, by whom, and the newest seq at which another device did. */
export interface Stamp {
  readonly seq: number;
  readonly device: number;
  readonly other: number;
}

export interface Item {
  readonly id: ItemId;
  readonly kind: ItemKind;
  readonly parent: ItemId;
  readonly name: string;
  readonly content: Content | undefined;
  readonly target: Uint8Array | undefined;
  /** The op that made what it holds now. */
  readonly rev: Op;
  /** Writes that were accepted, the first included. */
  readonly writes: number;
  /** Ops that said the same as `rev`. */
  readonly equal: readonly Op[];
  /** The op that put it where it is, and those that said the same. */
  readonly place: Op;
  readonly placeEqual: readonly Op[];
  readonly stamps: { readonly rev: Stamp; readonly place: Stamp; readonly touch: Stamp };
  /** Whose content it holds, and when that was said to be. */
  readonly by: By;
  readonly mtime: number;
  readonly executable: boolean;
  readonly compress: boolean;
  readonly pin: boolean;
  readonly tags: ReadonlyMap<string, string>;
  /** Since when, and by which op: all that died by one died together. */
  readonly dead: { readonly op: Op; readonly seq: number; readonly device: number } | undefined;
  /** It holds what lost against another item, until somebody has looked. */
  readonly copyOf: { readonly item: ItemId; readonly entry: Op } | undefined;
}

export interface By {
  readonly device: number;
  /** The author's clock, ms. */
  readonly time: number;
}

/** A content that was replaced. */
export interface Version {
  readonly rev: Op;
  readonly by: By;
  readonly content: Content;
}

/** Something that did not go as its author meant it. */
export interface Entry {
  /** Of the change. */
  readonly op: Op;
  readonly why: "write" | "create" | "delete" | "moved" | "cycle" | "renamed" | "recovered";
  readonly seq: number;
  readonly index: number;
  readonly item: ItemId;
  readonly by: By;
  /** Of a conflict, which wants a person; a notice has none. */
  readonly sides: Sides | undefined;
}

export interface Sides {
  /** The item that holds what lost. */
  readonly copy: ItemId;
  /** What both held when they met, and what the loser was made from. */
  readonly rev: Op;
  readonly otherRev: Op;
  readonly base: Op;
  readonly other: By;
  readonly size: number;
  readonly otherSize: number;
  /** How it ended; undefined while it is open. */
  readonly ended: Pick | "over" | undefined;
}
