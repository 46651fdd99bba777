/** Files as they were: versions, and what was deleted. */
import { toHex } from "@tidelock/core/bytes/bytes";
import { getEntry } from "@tidelock/core/engine/entries";
import { TidelockError } from "@tidelock/core/errors";
import type { By, FileChange, Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Tx } from "@tidelock/core/log/tx";
import { act, type FileActed, find, type Held, need, prepare, viewOf } from "./drive.ts";
import { partsOf } from "./drive-path.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface FileVersion extends Author {
  /** Hexadecimal: what it is restored by. */
  readonly revision: string;
  readonly size: number;
  /** What the file holds now. */
  readonly current: boolean;
}

export interface FileHistory {
  readonly path: string;
  readonly id: string;
  /** It lies in the trash. */
  readonly deleted?: true;
  /** The newest first. */
  readonly versions: readonly FileVersion[];
}

export interface TrashedFile {
  readonly id: string;
  /** Where it was. */
  readonly path: string;
  readonly kind: Item["kind"];
  readonly size?: number;
  /** Who deleted it. */
  readonly device: number;
  readonly deviceName?: string;
  /** When the log took that, RFC 3339; absent while it is not sent. */
  readonly time?: string;
}

/** Of a file by its path; of one that was deleted by that or its id. */
export function fileHistory(session: Session, path: string): FileHistory {
  const names = partsOf(path);
  return session.replica.read((tx) => {
    const item = find(session, tx, names) ?? trashed(session, tx, path);
    if (item.content === undefined)
      throw new TidelockError("usage", { why: `${names.join("/")} is no file`, next: "tidelock drive ls" });
    const older = session.kinds.files.history(tx, item.id);
    const all = [{ rev: item.rev, by: item.by, content: item.content as Content }, ...[...older].reverse()];
    return {
      path: pathOf(session, tx, item),
      id: toHex(item.id),
      ...(item.dead === undefined ? {} : { deleted: true as const }),
      versions: all.map(({ rev, by, content }, i) => ({
        revision: toHex(rev),
        ...authorOf(session, tx, by),
        size: content.size,
        current: i === 0 && item.dead === undefined,
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
    if (revision === undefined || revision === "")
      throw new TidelockError("usage", {
        why: `${object} is there; which of its versions is meant is not said`,
        next: `tidelock history ${object}, then restore it --at REVISION`,
      });
    const { content } = oneOf(session.kinds.files.history(tx, item.id), object, revision);
    return [{ do: "write", ...made(), id: item.id, rev: item.rev, content, mtime: item.mtime }];
  });
  return { ...done, path };
}

/** What a file held at one of its versions; also of what was deleted, by its path or id. */
export function heldAt(session: Session, object: string, revision: string): Held {
  return session.replica.read((tx) => {
    const item = find(session, tx, partsOf(object)) ?? trashed(session, tx, object);
    const { id, rev, by, content: now } = item;
    const current = now === undefined ? [] : [{ rev, by, content: now }];
    const version = oneOf([...session.kinds.files.history(tx, id), ...current], object, revision);
    const { content } = version;
    const view = {
      ...viewOf(session.kinds.files.path(tx, id), item),
      size: content.size,
      mtime: new Date(version.by.time).toISOString(),
      revision: toHex(version.rev),
    };
    return { view, content };
  });
}

/** By the beginning of its revision. */
function oneOf<T extends { readonly rev: Op }>(versions: readonly T[], object: string, revision: string): T {
  const [version, more] = versions.filter(({ rev }) => revision !== "" && toHex(rev).startsWith(revision));
  if (version === undefined || more !== undefined)
    throw new TidelockError("not-found", {
      why: `no version of ${object} is called so, or several are`,
      next: `tidelock history ${object}`,
    });
  return version;
}

export function trashList(session: Session): readonly TrashedFile[] {
  return session.replica.read((tx) =>
    session.kinds.files.trash(tx).map((item) => ({
      id: toHex(item.id),
      path: pathOf(session, tx, item),
      kind: item.kind,
      ...optional("size", item.content?.size),
      ...deletedBy(session, tx, item),
    })),
  );
}

function deletedBy(
  session: Session,
  tx: Tx,
  { dead }: Item,
): { readonly device: number; readonly deviceName?: string; readonly time?: string } {
  const { seq, device } = dead as NonNullable<Item["dead"]>;
  const taken = getEntry(tx, seq)?.time;
  return {
    device,
    ...optional("deviceName", session.replica.membership.deviceName(tx, device)),
    ...optional("time", taken === undefined ? undefined : new Date(taken).toISOString()),
  };
}

export interface Author {
  /** By the author's clock, RFC 3339. */
  readonly time: string;
  readonly device: number;
  readonly deviceName?: string;
}

export function authorOf(session: Session, tx: Tx, { device, time }: By): Author {
  const name = session.replica.membership.deviceName(tx, device);
  return { time: new Date(time).toISOString(), device, ...optional("deviceName", name) };
}

export function trashed(session: Session, tx: Tx, wanted: string): Item {
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

export function pathOf(session: Session, tx: Tx, item: Item): string {
  return session.kinds.files.path(tx, item.id).join("/");
}
