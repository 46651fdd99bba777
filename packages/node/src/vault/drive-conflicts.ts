/** Conflicts of files: both sides as they are now, what differs, and how a person ends it. */
import { decodeUtf8, toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { By, Entry, Item, Op, Pick, Sides } from "@tidelock/core/kinds/files/types";
import { type Content, sameContent } from "@tidelock/core/log/content";
import type { Tx } from "@tidelock/core/log/tx";
import { contentBytes } from "./content.ts";
import { act, prepare } from "./drive.ts";
import { type Author, authorOf, pathOf } from "./drive-past.ts";
import type { Session } from "./session.ts";

export interface FileSide extends Author {
  readonly path: string;
  readonly revision: string;
  readonly size: number;
}

export interface FileConflict {
  readonly id: string;
  /** Two wrote to one file, or made one of the same name. */
  readonly why: Entry["why"];
  readonly state: "open" | Pick | "over";
  /** While it is open, as both are now; then, as they were when they met. */
  readonly current: FileSide;
  readonly other: FileSide;
}

export type FileChoice = Pick | "later";

/** Where two texts begin to differ. */
export interface FilePreview {
  /** From 1. */
  readonly line: number;
  readonly current: readonly string[];
  readonly other: readonly string[];
}

export interface FileConflictShown extends FileConflict {
  readonly preview?: FilePreview;
  /** Why there is no preview: `same`, `not-text`, `too-large`, or the code of what kept it from being read. */
  readonly without?: string;
}

/** What is compared at most, of each side. */
const MOST = 1 << 20;
const LINES = 3;
const WIDTH = 160;
/** Of what is alike, before the first difference in a long line. */
const LEAD = 40;

export function fileConflicts(session: Session, open: boolean): readonly FileConflict[] {
  return session.replica.read((tx) => conflictsIn(session, tx, open).map((one) => viewOf(session, tx, one)));
}

/** One, with what differs. Asks the remote for what is not here. */
export async function showConflict(session: Session, id: string): Promise<FileConflictShown> {
  const { view, contents } = session.replica.read((tx) => {
    const one = conflictNamed(session, tx, id);
    const [item, copy] = [one.entry.item, one.sides.copy].map((of) => session.kinds.files.item(tx, of));
    return { view: viewOf(session, tx, one), contents: [item?.content, copy?.content] as const };
  });
  const [current, other] = contents;
  if (view.state !== "open" || current === undefined || other === undefined) return view;
  if (sameContent(current, other)) return { ...view, without: "same" };
  if (Math.max(current.size, other.size) > MOST) return { ...view, without: "too-large" };
  try {
    const [ours, theirs] = [
      await textOf(session, current, view.current.path),
      await textOf(session, other, view.other.path),
    ];
    if (ours === undefined || theirs === undefined) return { ...view, without: "not-text" };
    return { ...view, preview: firstDifference(ours, theirs) };
  } catch (error) {
    if (error instanceof TidelockError) return { ...view, without: error.code };
    throw error;
  }
}

/** Counts only for what both sides hold now. What came of it is in the answer: somebody else may have been faster. */
export async function settleConflict(session: Session, id: string, choice: string): Promise<FileConflict> {
  if (!isChoice(choice))
    throw new TidelockError("usage", {
      why: "a conflict of files ends with keep-current, use-other or keep-both; later leaves it open",
      next: "tidelock conflicts ls",
    });
  const { entry, sides } = session.replica.read((tx) => conflictNamed(session, tx, id));
  const seen = (tx: Tx): FileConflict => viewOf(session, tx, conflictNamed(session, tx, toHex(entry.op)));
  if (choice === "later") return session.replica.read(seen);
  const made = prepare(session, id);
  await act(session, id, [], (tx) => {
    const now = conflictNamed(session, tx, toHex(entry.op));
    const [item, copy] = [entry.item, sides.copy].map((one) => session.kinds.files.item(tx, one));
    if (now.sides.ended !== undefined || item === undefined || copy === undefined)
      throw new TidelockError("exists", {
        why: "this conflict has ended",
        next: "tidelock conflicts ls --all",
      });
    return [{ do: "settle", ...made(), entry: entry.op, pick: choice, rev: item.rev, otherRev: copy.rev }];
  });
  return session.replica.read(seen);
}

function isChoice(text: string): text is FileChoice {
  return text === "keep-current" || text === "use-other" || text === "keep-both" || text === "later";
}

interface Named {
  readonly entry: Entry;
  readonly sides: Sides;
}

function conflictsIn(session: Session, tx: Tx, open: boolean): readonly Named[] {
  return session.kinds.files
    .conflicts(tx, { open })
    .flatMap((entry) => (entry.sides === undefined ? [] : [{ entry, sides: entry.sides }]));
}

/** By its id, or the beginning of it. */
function conflictNamed(session: Session, tx: Tx, id: string): Named {
  const wanted = id.toLowerCase();
  const [found, more] =
    wanted === ""
      ? []
      : conflictsIn(session, tx, false).filter(({ entry }) => toHex(entry.op).startsWith(wanted));
  if (found === undefined || more !== undefined)
    throw new TidelockError("not-found", {
      why: more === undefined ? "no conflict of files is called so" : "several conflicts begin so",
      next: "tidelock conflicts ls --all",
    });
  return found;
}

function viewOf(session: Session, tx: Tx, { entry, sides }: Named): FileConflict {
  const side = (of: Item["id"], rev: Op, by: By, size: number): FileSide => {
    const item = session.kinds.files.item(tx, of) as Item;
    const now = sides.ended === undefined && item.content !== undefined;
    return {
      path: pathOf(session, tx, item),
      revision: toHex(now ? item.rev : rev),
      ...authorOf(session, tx, now ? item.by : by),
      size: now ? (item.content as Content).size : size,
    };
  };
  return {
    id: toHex(entry.op),
    why: entry.why,
    state: sides.ended ?? "open",
    current: side(entry.item, sides.rev, sides.other, sides.size),
    other: side(sides.copy, sides.otherRev, entry.by, sides.otherSize),
  };
}

/** Undefined for what no person reads. */
async function textOf(session: Session, content: Content, path: string): Promise<string | undefined> {
  const bytes = await contentBytes(session, content, path);
  return bytes.includes(0) ? undefined : decodeUtf8(bytes);
}

/** A few lines of both from the first that differs, each cut to what fits on a screen. */
export function firstDifference(current: string, other: string): FilePreview {
  // The end of the last line is none of its own, unless that is the difference.
  const ends = current.endsWith("\n") && other.endsWith("\n");
  const [ours, theirs] = [current, other].map((text) => (ends ? text.slice(0, -1) : text).split("\n")) as [
    string[],
    string[],
  ];
  let at = 0;
  while (at < ours.length && at < theirs.length && ours[at] === theirs[at]) at++;
  const [a, b] = [Array.from(ours[at] ?? ""), Array.from(theirs[at] ?? "")];
  let alike = 0;
  while (alike < a.length && alike < b.length && a[alike] === b[alike]) alike++;
  const skip = Math.max(a.length, b.length) <= WIDTH ? 0 : Math.max(0, alike - LEAD);
  const shown = (lines: readonly string[]): string[] =>
    lines.slice(at, at + LINES).map((line, i) => cut(line, i === 0 ? skip : 0));
  return { line: at + 1, current: shown(ours), other: shown(theirs) };
}

function cut(line: string, skip: number): string {
  const chars = Array.from(line);
  const end = skip + WIDTH;
  return `${skip > 0 ? "…" : ""}${chars.slice(skip, end).join("")}${chars.length > end ? "…" : ""}`;
}
