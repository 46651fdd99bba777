/** Files as they were: versions, conflicts, and what was deleted. */
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { By, Entry, FileChange, Item, ItemId, Op, Pick, Sides } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Tx } from "@tidelock/core/log/tx";
import { act, type FileActed, find, need, partsOf, prepare } from "./drive.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface FileVersion {
  /** Hexadecimal: what it is restored by. */
  readonly revision: string;
  /** By its author's clock, RFC 3339. */
  readonly time: string;
  readonly device: number;
  readonly deviceName?: string;
  readonly size: number;
  /** What the file holds now. */
  readonly current: boolean;
}

export interface FileHistory {
  readonly path: string;
  readonly id: string;
  /** The newest first. */
  readonly versions: readonly FileVersion[];
}

export interface TrashedFile {
  readonly id: string;
  /** Where it was. */
  readonly path: string;
  readonly kind: Item["kind"];
  readonly size?: number;
}

export interface FileSide {
  readonly path: string;
  readonly revision: string;
  readonly device: number;
  readonly deviceName?: string;
  readonly time: string;
  readonly size: number;
}

export interface FileConflict {
  readonly id: string;
  /** Two wrote to one file, or made one of the same name. */
  readonly why: Entry["why"];
  readonly state: "open" | Pick | "over";
  readonly current: FileSide;
  readonly other: FileSide;
}

export function fileHistory(session: Session, path: string): FileHistory {
  const names = partsOf(path);
  return session.replica.read((tx) => {
    const item = fileAt(session, tx, names);
    const older = session.kinds.files.history(tx, item.id);
    const all = [{ rev: item.rev, by: item.by, content: item.content as Content }, ...[...older].reverse()];
    return {
      path: names.join("/"),
      id: toHex(item.id),
      versions: all.map(({ rev, by, content }, i) => ({
        revision: toHex(rev),
        ...authorOf(session, tx, by),
        size: content.size,
        current: i === 0,
      })),
    };
  });
}

/** What a file held becomes its newest version; or what was deleted, by its id, comes back, under a path if one is given. */
export async function restoreFile(
  session: Session,
  object: string,
  revision: string | undefined,
  to: string | undefined,
): Promise<FileActed> {
  const made = prepare(session, to ?? object);
  let path = object;
  const done = await act(session, object, [], (tx): readonly FileChange[] => {
    const names = partsOf(object);
    const item = find(session, tx, names) ?? trashed(session, tx, object);
    if (item.dead !== undefined) {
      const target = to === undefined ? undefined : place(session, tx, partsOf(to));
      path = to ?? pathOf(session, tx, item);
      return [{ do: "restore", ...made(), id: item.id, to: target }];
    }
    const wanted = session.kinds.files
      .history(tx, item.id)
      .filter(({ rev }) => revision !== undefined && revision !== "" && toHex(rev).startsWith(revision));
    const [version, more] = wanted;
    if (version === undefined || more !== undefined)
      throw new TidelockError("not-found", {
        why: `no earlier version of ${object} is called so`,
        next: `tidelock history ${object} --kind files`,
      });
    const { content } = version;
    return [{ do: "write", ...made(), id: item.id, rev: item.rev, content, mtime: item.mtime }];
  });
  return { ...done, path };
}

export function trashList(session: Session): readonly TrashedFile[] {
  return session.replica.read((tx) =>
    session.kinds.files.trash(tx).map((item) => ({
      id: toHex(item.id),
      path: pathOf(session, tx, item),
      kind: item.kind,
      ...optional("size", item.content?.size),
    })),
  );
}

export function fileConflicts(session: Session, open: boolean): readonly FileConflict[] {
  return session.replica.read((tx) =>
    session.kinds.files.conflicts(tx, { open }).flatMap((entry) => {
      const { sides } = entry;
      return sides === undefined ? [] : [viewOf(session, tx, entry, sides)];
    }),
  );
}

/** Counts only for what both sides hold now. */
export async function settleConflict(session: Session, id: string, pick: string): Promise<FileConflict> {
  if (!isPick(pick))
    throw new TidelockError("usage", {
      why: "a conflict of files ends with keep-current, use-other or keep-both",
      next: "tidelock conflicts --kind files",
    });
  const made = prepare(session, id);
  const op = fromHex(id) as Op | undefined;
  const settled = (tx: Tx): { readonly entry: Entry; readonly sides: Sides } => {
    const entry = op === undefined ? undefined : session.kinds.files.entry(tx, op);
    if (entry?.sides === undefined)
      throw new TidelockError("not-found", {
        why: "no conflict is called so",
        next: "tidelock conflicts --kind files",
      });
    return { entry, sides: entry.sides };
  };
  await act(session, id, [], (tx) => {
    const { entry, sides } = settled(tx);
    const [item, copy] = [entry.item, sides.copy].map((one) => session.kinds.files.item(tx, one));
    if (sides.ended !== undefined || item === undefined || copy === undefined)
      throw new TidelockError("exists", {
        why: "this conflict has ended",
        next: "tidelock conflicts --kind files --all",
      });
    return [{ do: "settle", ...made(), entry: entry.op, pick, rev: item.rev, otherRev: copy.rev }];
  });
  return session.replica.read((tx) => {
    const { entry, sides } = settled(tx);
    return viewOf(session, tx, entry, sides);
  });
}

function isPick(text: string): text is Pick {
  return text === "keep-current" || text === "use-other" || text === "keep-both";
}

function viewOf(session: Session, tx: Tx, entry: Entry, sides: Sides): FileConflict {
  const side = (id: ItemId, rev: Op, by: By, size: number): FileSide => ({
    path: pathOf(session, tx, session.kinds.files.item(tx, id) as Item),
    revision: toHex(rev),
    ...authorOf(session, tx, by),
    size,
  });
  return {
    id: toHex(entry.op),
    why: entry.why,
    state: sides.ended ?? "open",
    current: side(entry.item, sides.rev, sides.other, sides.size),
    other: side(sides.copy, sides.otherRev, entry.by, sides.otherSize),
  };
}

function authorOf(
  session: Session,
  tx: Tx,
  { device, time }: By,
): { readonly time: string; readonly device: number; readonly deviceName?: string } {
  const name = session.replica.membership.deviceName(tx, device);
  return { time: new Date(time).toISOString(), device, ...optional("deviceName", name) };
}

function fileAt(session: Session, tx: Tx, names: readonly string[]): Item {
  const item = need(session, tx, names);
  if (item.content === undefined)
    throw new TidelockError("usage", { why: `${names.join("/")} is no file`, next: "tidelock drive ls" });
  return item;
}

function trashed(session: Session, tx: Tx, wanted: string): Item {
  const all = session.kinds.files.trash(tx);
  const path = partsOf(wanted).join("/");
  const [item, more] = all.filter((one) => toHex(one.id) === wanted || pathOf(session, tx, one) === path);
  if (item === undefined || more !== undefined)
    throw new TidelockError("not-found", {
      why:
        item === undefined ? `nothing called ${wanted} was deleted` : `several called ${wanted} were deleted`,
      next: "tidelock trash",
    });
  return item;
}

function place(
  session: Session,
  tx: Tx,
  names: readonly string[],
): { readonly parent: ItemId; readonly name: string } {
  const folder = names.length > 1 ? need(session, tx, names.slice(0, -1)).id : undefined;
  return { parent: folder ?? (new Uint8Array(16) as ItemId), name: names.at(-1) ?? "" };
}

function pathOf(session: Session, tx: Tx, item: Item): string {
  return session.kinds.files.path(tx, item.id).join("/");
}
