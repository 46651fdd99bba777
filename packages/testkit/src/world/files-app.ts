/** The shipped files kind, and a person who uses it: folders, saves, moves, deletes, and what is done about conflicts. */
import { concat, toHex } from "@tidelock/core/bytes/bytes";
import { Writer } from "@tidelock/core/bytes/writer";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { RunFrame } from "@tidelock/core/engine/api";
import { getCursor } from "@tidelock/core/engine/entries";
import { encodeSection } from "@tidelock/core/kinds/files/codec";
import { createFilesKind, type FilesKind } from "@tidelock/core/kinds/files/files";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { FileChange, Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Kind } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import { type App, CANARY, type Edit, type EditKind, type Moment } from "./app.ts";

const SECTION = 3;
const NAMES = ["a", "A", "b", "\u00e9", "x.txt"];
/** Folders whose files are only ever made all at once, so that a view of a part of a run shows. */
const WHOLE = "whole ";
const MANY = 1000;

export function createFilesApp(suite: Suite): App & { readonly files: FilesKind } {
  const files = createFilesKind(suite);
  return {
    kind: files as Kind,
    files,
    edit: (tx, what, moment) =>
      what === "small" ? small(suite, files, tx, moment) : whole(suite, files, tx, what, moment),
    state: (tx) => state(files, tx),
    halfShown: (tx) => halfShown(files, tx),
  };
}

type Said = Pick<FileChange, "op" | "base" | "time">;

function sayer(tx: Tx, { random, now }: Moment): () => Said {
  const base = getCursor(tx).applied;
  const time = Math.max(0, Math.min(Math.floor(now), 2 ** 48 - 1));
  return () => ({ op: random.bytes(16) as Op, base, time });
}

function contentOf(suite: Suite, marker: number): Content {
  const bytes = concat(CANARY, new Writer(8).v(marker).done());
  return { size: bytes.length, hash: suite.sha256(bytes), body: { kind: "inline", bytes } };
}

function frame(changes: readonly FileChange[]): RunFrame {
  return { sections: new Map([[SECTION, encodeSection({ label: "device", approved: false, changes })]]) };
}

/** One to three things that a person does with what is shown. */
function small(suite: Suite, files: FilesKind, tx: Tx, moment: Moment): Edit | undefined {
  const { random, marker } = moment;
  const said = sayer(tx, moment);
  const live = everything(files, tx);
  const changes: FileChange[] = [];
  // Each sees the tree as it was before all of them.
  const used = new Set<string>();
  for (let n = random.int(1, 3); n > 0; n--) {
    const made = one(suite, files, tx, moment, live, said());
    const id = "id" in made ? toHex(made.id) : toHex(made.op);
    if (!used.has(id)) changes.push(made);
    used.add(id);
  }
  const last = changes.at(-1) as FileChange;
  return { frames: [frame(changes)], shown: (after) => shows(files, after, last, marker, suite) };
}

function one(
  suite: Suite,
  files: FilesKind,
  tx: Tx,
  { random, marker }: Moment,
  live: readonly Item[],
  said: Said,
): FileChange {
  const folders = live.filter((item) => item.kind === "dir").map((item) => item.id);
  const saved = live.filter((item) => item.kind === "file");
  const parent = random.pick([ROOT, ...folders]);
  const name = random.pick(NAMES);
  const content = contentOf(suite, random.chance(0.3) ? 0 : marker);
  const create: FileChange = {
    do: "create",
    ...said,
    parent,
    name,
    content,
    meta: { mtime: 0, executable: false },
  };
  const item = random.pick(live);
  const file = random.pick(saved);
  switch (random.int(0, 9)) {
    case 0:
      return { do: "mkdir", ...said, parent, name };
    case 1:
    case 2:
      if (file === undefined) return create;
      return { do: "write", ...said, id: file.id, rev: file.rev, content, mtime: 0 };
    case 3:
    case 4:
      if (item === undefined) return create;
      return { do: "move", ...said, id: item.id, place: item.place, parent, name };
    case 5:
      return item === undefined ? create : { do: "delete", ...said, id: item.id };
    case 6: {
      const gone = random.pick(files.trash(tx));
      return gone === undefined ? create : { do: "restore", ...said, id: gone.id, to: undefined };
    }
    case 7: {
      const entry = random.pick(files.conflicts(tx, { open: true }));
      const [item, copy] = [entry?.item, entry?.sides?.copy].map((id) =>
        id === undefined ? undefined : files.item(tx, id),
      );
      if (entry === undefined || item === undefined || copy === undefined) return create;
      const pick = random.pick(["keep-current", "use-other", "keep-both"] as const);
      return { do: "settle", ...said, entry: entry.op, pick, rev: item.rev, otherRev: copy.rev };
    }
    default:
      return create;
  }
}

/** Right after it was committed here, every change that was not beaten by one of the same edit shows. */
function shows(files: FilesKind, tx: Tx, change: FileChange, marker: number, suite: Suite): boolean {
  const item = "id" in change ? undefined : files.item(tx, change.op as Uint8Array as ItemId);
  if (change.do === "mkdir") return item?.kind === "dir";
  if (change.do !== "create") return true;
  const hashes = [contentOf(suite, marker), contentOf(suite, 0)].map(({ hash }) => toHex(hash));
  return item?.content !== undefined && item.dead === undefined && hashes.includes(toHex(item.content.hash));
}

/** A folder with so many files, one or more a frame: all of it or nothing. */
function whole(suite: Suite, files: FilesKind, tx: Tx, what: EditKind, moment: Moment): Edit {
  const { random, marker } = moment;
  const said = sayer(tx, moment);
  const count = what === "big" ? random.pick([8, 20, 60, 200]) : 3;
  const folder = said();
  const name = `${WHOLE}${marker} ${count}`;
  const frames = [frame([{ do: "mkdir", ...folder, parent: ROOT, name }])];
  const parent = folder.op as Uint8Array as ItemId;
  const meta = { mtime: 0, executable: false };
  const content = contentOf(suite, marker);
  for (let i = 0; i < count; i++)
    frames.push(frame([{ do: "create", ...said(), parent, name: `f${i}`, content, meta }]));
  return { frames, shown: (after) => files.list(after, parent, undefined, MANY).length === count };
}

/** All that lives but what is made whole, and what lies in that. */
function everything(files: FilesKind, tx: Tx): readonly Item[] {
  const found: Item[] = [];
  const walk = (folder: ItemId): void => {
    for (const item of files.list(tx, folder, undefined, MANY)) {
      if (item.name.startsWith(WHOLE)) continue;
      found.push(item);
      if (item.kind === "dir") walk(item.id);
    }
  };
  walk(ROOT);
  return found;
}

function state(files: FilesKind, tx: Tx): string {
  const rows: string[] = [];
  const walk = (folder: ItemId, path: string): void => {
    for (const item of files.list(tx, folder, undefined, MANY)) {
      const { name, kind, content, rev } = item;
      rows.push(`${path}${name} ${kind} ${content === undefined ? "" : toHex(content.hash)} ${toHex(rev)}`);
      if (kind === "dir") walk(item.id, `${path}${name}/`);
    }
  };
  walk(ROOT, "");
  for (const { op, why, sides } of files.conflicts(tx, { open: false }))
    rows.push(`${toHex(op)} ${why} ${sides?.ended ?? ""}`);
  return rows.join("\n");
}

function halfShown(files: FilesKind, tx: Tx): string | undefined {
  for (const folder of files.list(tx, ROOT, WHOLE.trimEnd(), MANY)) {
    if (!folder.name.startsWith(WHOLE)) continue;
    const wanted = Number(folder.name.split(" ").at(-1));
    const there = files.list(tx, folder.id, undefined, MANY).length;
    if (there !== wanted) return `${there} of ${wanted} files that were made together`;
  }
  return undefined;
}
