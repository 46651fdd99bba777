/** What was last seen of a folder of the disk: the third tree beside the vault's and the agreed one. */
import type { Fingerprint } from "@tidelock/core/kinds/files/plan/types";
import type { DiskFacts } from "@tidelock/core/ports-fs";
import type { Ignoring } from "./ignore.ts";

/** Why an entry is left as it is, on the disk and in the vault. */
export type Apart =
  | "ignored"
  | "special-file"
  | "nested-vault"
  | "other-volume"
  | "unreadable"
  | "too-large"
  /** Somebody writes to it at this moment. */
  | "unsettled"
  /** Somebody writes to it at every look. */
  | "file-keeps-changing";

export interface Seen {
  readonly name: string;
  readonly facts: DiskFacts;
  /** When it was first seen like this, on the clock that never goes back. */
  readonly since: number;
  /** Since when somebody writes to it without a pause; undefined where nobody does. */
  readonly busy: number | undefined;
  /** How often it was seen larger than before. */
  readonly grown: number;
  /** Reads that somebody wrote into. */
  readonly torn: number;
  readonly apart: Apart | undefined;
  /** SHA-256 of a file as it is now, text of a link; undefined until somebody wanted it. */
  readonly hash?: Uint8Array;
  readonly target?: Uint8Array;
}

export interface SeenFolder {
  /** Names from the root down. */
  readonly path: readonly string[];
  readonly entries: ReadonlyMap<string, Seen>;
  /** Ignore rules that hold in it. */
  readonly levels: readonly Ignoring[];
  readonly notText: readonly Uint8Array[];
}

/** By path, names joined with `/`; the root is the empty one. */
export type SeenTree = Map<string, SeenFolder>;

export function pathKey(path: readonly string[]): string {
  return path.join("/");
}

export function childKey(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

export function parentKey(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

export function samePrint(a: Fingerprint, b: Fingerprint): boolean {
  return a.ino === b.ino && a.ctimeNs === b.ctimeNs && sameBytesLikely(a, b);
}

/** As after a rename or a link of ours, which move the ctime alone. */
export function sameBytesLikely(a: Fingerprint, b: Fingerprint): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs;
}
