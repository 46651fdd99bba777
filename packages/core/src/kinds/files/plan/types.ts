/**
 * Three trees, and what to do about them: the view (what the log says), the local tree (what the
 * disk shows), and what both last agreed on. `plan` is a function of these; nothing here does I/O.
 *
 * Who carries a plan out calls it again after every pass, with the trees as they are then. A step
 * whose precondition fails is dropped, with those that need it: the next plan knows why.
 */
import type { Item, ItemId, ItemKind, Op } from "../types.ts";

/** What was probed on the volume itself, never concluded from the system's name. */
export interface DiskProfile {
  readonly caseSensitive: boolean;
  /** What becomes of a name's form: kept and told apart, kept and taken as one, or stored decomposed. */
  readonly normalisation: "kept" | "insensitive" | "decomposed";
  readonly hardLinks: boolean;
  readonly symlinks: boolean;
  /** Whether a file has an executable bit that stays. */
  readonly executable: boolean;
  /** The least difference between two times of change, ns. */
  readonly stampStep: bigint;
  readonly nameLimit: { readonly most: number; readonly unit: "byte" | "utf16" };
  /** Characters that no name may hold, beside `/` and NUL. */
  readonly refused: string;
  /** Names that end in a dot or a space, or are called as a device (`CON`, `com1.txt`), are no names. */
  readonly windowsNames: boolean;
}

/** Two equal ones are one unchanged thing, unless the scan says it is racy. All from one `lstat` with `bigint`. */
export interface Fingerprint {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly ino: bigint;
  /** 0 where the volume does not know: nothing is recognised by `ino` then. */
  readonly birthtimeNs: bigint;
}

/** One entry of the disk, as the scan saw it. Of one volume: what is mounted inside is `closed`. */
export interface LocalEntry {
  /** Its number in this scan, above 0. */
  readonly at: number;
  /** That of the folder it lies in; `TOP` is the attached folder itself. */
  readonly parent: number;
  /** As the disk spells it. */
  readonly name: Uint8Array;
  /** `special`: a FIFO, a socket, a device. */
  readonly kind: ItemKind | "special";
  readonly print: Fingerprint;
  readonly executable: boolean;
  /** It could change without its fingerprint doing so: only the hash says whether it did. */
  readonly racy: boolean;
  /** Of a file whose bytes were read, at this fingerprint and, if racy, for this scan. */
  readonly hash: Uint8Array | undefined;
  /** Of a link, verbatim. */
  readonly target: Uint8Array | undefined;
  /**
   * Why it is left alone: somebody is still writing, rules of this device ignore it, or what is in
   * this folder could not be read (or is another volume). Left alone is never gone.
   */
  readonly apart: "unsettled" | "ignored" | "closed" | undefined;
}

export const TOP = 0;

/** What disk and log last agreed on of one item. */
export interface SyncedRow {
  readonly id: ItemId;
  readonly kind: ItemKind;
  /** The place, as the log names it, and the op that made it. */
  readonly parent: ItemId;
  readonly name: string;
  readonly place: Op;
  readonly rev: Op;
  /** The newest seq at which another device had changed anything of it. */
  readonly others: number;
  /** How this disk spells the name, where it cannot or does not spell it as the log does. */
  readonly alias: Uint8Array | undefined;
  readonly print: Fingerprint;
  readonly executable: boolean;
  /** Of a file. */
  readonly hash: Uint8Array | undefined;
  /** Of a link. */
  readonly target: Uint8Array | undefined;
}

/** What the log says, with this device's unconfirmed changes. */
export interface PlanView {
  /** This device's index, by which it knows its own changes. */
  readonly self: number;
  /** Live or dead; of an id that was merged the item it became; undefined for what is forgotten. */
  item(id: ItemId): Item | undefined;
  /** The live items of a folder, also those that are not selected. */
  children(folder: ItemId): readonly Item[];
  /** Whether this disk shows it: not, if nobody selected it here, or if rules of this device ignore it. */
  shown(item: Item): "yes" | "deselected" | "ignored";
  /** Whether what comes into a folder is shown with it, where nothing is said of the thing itself. */
  selects(folder: ItemId): boolean;
}

/** A place on disk: a folder's number and a name in it. Folders that a plan makes have numbers below 0. */
export interface Spot {
  readonly folder: number;
  readonly name: Uint8Array;
}

/** What the row of `id` is from then on; a whole row where there was none. */
export type RowPatch = Partial<Omit<SyncedRow, "id">>;

/**
 * One step, with its own precondition: an `entry` has still the fingerprint it was seen with (a
 * folder: still the same `ino`), and nothing lies at `to` or `gone`.
 *
 * `set` goes into the row of `id` in the transaction that makes the step true; what the step itself
 * brings about comes on top: the fingerprint after a step on the disk, the hash of what `create` and
 * `write` read. After `delete`, `toTrash`, `removeDir` and `forget` there is no row.
 */
export type Step = UpStep | DownStep | BookStep;

/** A change for the log. All of one plan are one run, or their order is kept. */
export type UpStep =
  | (Made & { readonly do: "mkdir" | "create" | "symlink" })
  | (Up & { readonly do: "write"; readonly entry: LocalEntry; readonly rev: Op })
  /** A plan may move one item twice: `place` of the second is the op of the first. */
  | (Up & {
      readonly do: "move";
      /** None where it is not on the disk and only makes room. */
      readonly entry: LocalEntry | undefined;
      readonly place: Op;
      readonly parent: ItemId;
      readonly name: string;
      /** As of what is made. */
      readonly select: boolean;
    })
  | (Up & { readonly do: "meta"; readonly entry: LocalEntry; readonly executable: boolean })
  | {
      readonly do: "delete";
      readonly op: Op;
      readonly id: ItemId;
      /** Where it lay; undefined where its folder is gone as well, or something else was seen there. */
      readonly gone: Spot | undefined;
    };

interface Up {
  readonly op: Op;
  readonly id: ItemId;
  readonly set: RowPatch;
}

interface Made extends Up {
  readonly entry: LocalEntry;
  readonly parent: ItemId;
  readonly name: string;
  /** It came into a folder of which nothing is selected that nobody named: it is selected by itself. */
  readonly select: boolean;
}

/** A change of the disk. */
export type DownStep =
  /** `at` is the new folder's number from then on. */
  | (Down & { readonly do: "makeDir"; readonly item: Item; readonly to: Spot; readonly at: number })
  | (Down & { readonly do: "createFile" | "makeLink"; readonly item: Item; readonly to: Spot })
  | (Down & { readonly do: "replaceFile"; readonly item: Item; readonly entry: LocalEntry })
  | (Down & { readonly do: "rename"; readonly entry: LocalEntry; readonly to: Spot })
  | (Down & { readonly do: "setExecutable"; readonly entry: LocalEntry; readonly executable: boolean })
  /** A file or a link. `twin`: a second one of an item, whose bytes are those of the item. */
  | {
      readonly do: "toTrash";
      readonly id: ItemId | undefined;
      readonly entry: LocalEntry;
      readonly why: "dead" | "deselected" | "twin";
    }
  /** By `rmdir`, after what the system itself put there (`.DS_Store` and the like). */
  | { readonly do: "removeDir"; readonly id: ItemId | undefined; readonly entry: LocalEntry };

interface Down {
  readonly id: ItemId;
  readonly set: RowPatch;
}

/** Nothing but what is known. */
export type BookStep =
  /** Read the file and plan again: what to do depends on what it holds. */
  | { readonly do: "hash"; readonly entry: LocalEntry }
  /** Disk and log agree: there, or again. */
  | { readonly do: "adopt"; readonly id: ItemId; readonly set: RowPatch }
  | { readonly do: "forget"; readonly id: ItemId };

/** What a person may want to know, for as long as plans say it. `brought-back` alone is said once. */
export type PlanIssue =
  | {
      readonly kind: "name-clash" | "name-not-text" | "name-refused" | "special-file";
      readonly entry: LocalEntry;
    }
  /** `name-taken`: what lies there is nothing that is synced. `name-spelled`: the disk cannot hold the name. */
  | {
      readonly kind: "link-not-created" | "name-taken" | "name-spelled" | "brought-back";
      readonly id: ItemId;
    }
  | {
      readonly kind: "guard-deletion";
      /** `up`: gone from the disk; `down`: gone from the vault. */
      readonly direction: Direction;
      readonly count: number;
      readonly of: number;
    };

export type Direction = "up" | "down";

export interface PlanOptions {
  /** Ops of the changes, each a new one. */
  readonly op: () => Op;
  /** Deletions that somebody who may has looked at. */
  readonly approved: readonly Direction[];
}

export interface Plan {
  /** In the order in which they are done: book, up, down. */
  readonly steps: readonly Step[];
  readonly issues: readonly PlanIssue[];
}
