/**
 * The files section of a frame: one encoding each (FIL2). Docs: docs/format.md, "Files section".
 */
import { encodeUtf8 } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { readContent, writeContent } from "../../log/content.ts";
import { readId, readOp, readText } from "./item.ts";
import type { FileChange, FileMeta, FilesSection, ItemId, MetaSet, Pick } from "./types.ts";

const VERSION = 1;
const dos = ["mkdir", "create", "symlink", "write", "move", "delete", "restore", "meta", "settle"] as const;
const metaKeys = ["executable", "compress", "pin", "tag"] as const;
const picks: readonly Pick[] = ["keep-current", "use-other", "keep-both"];
/** `PATH_MAX` without its end: what no file system takes is no link. */
export const TARGET = 4095;
const TAG = 255;
const LABEL = 255;

export function encodeSection({ label, approved, changes }: FilesSection): Uint8Array {
  const times = changes.map((change) => change.time);
  const [start, seen] = [
    Math.min(...times, 2 ** 48 - 1),
    Math.max(0, ...changes.map((change) => change.base)),
  ];
  const w = new Writer(256 + 64 * changes.length)
    .u8(VERSION)
    .u8(approved ? 1 : 0)
    .bytes(encodeUtf8(label));
  w.v(seen).u48(start).v(changes.length);
  for (const change of changes) {
    w.u8(dos.indexOf(change.do))
      .fixed(change.op)
      .v(seen - change.base)
      .v(change.time - start);
    writeBody(w, change);
  }
  return w.done();
}

export function decodeSection(bytes: Uint8Array): FilesSection | null {
  const section = decodeWith(bytes, readSection);
  // The base and the first time are what the changes need, no more: one encoding each.
  if (section === null || section.seen !== Math.max(...section.value.changes.map((c) => c.base))) return null;
  return section.start === Math.min(...section.value.changes.map((c) => c.time)) ? section.value : null;
}

function readSection(r: Reader): {
  readonly seen: number;
  readonly start: number;
  readonly value: FilesSection;
} {
  if (r.u8() !== VERSION) throw new Malformed("unknown files section");
  const approved = readFlag(r);
  const label = readText(r, LABEL);
  const [seen, start, count] = [r.v(), r.u48(), r.v(limits.changesPerFrame)];
  if (count === 0) throw new Malformed("a section without changes");
  const changes = Array.from({ length: count }, () => readChange(r, seen, start));
  return { seen, start, value: { label, approved, changes } };
}

function writeBody(w: Writer, change: FileChange): void {
  const named = (parent: ItemId, name: string): Writer => w.fixed(parent).bytes(encodeUtf8(name));
  switch (change.do) {
    case "mkdir":
      named(change.parent, change.name);
      break;
    case "create":
      named(change.parent, change.name);
      w.u8(change.meta.executable ? 1 : 0).v(change.meta.mtime);
      writeContent(w, change.content);
      break;
    case "symlink":
      named(change.parent, change.name).bytes(change.target);
      break;
    case "write":
      w.fixed(change.id).fixed(change.rev).v(change.mtime);
      writeContent(w, change.content);
      break;
    case "move":
      w.fixed(change.id).fixed(change.place);
      named(change.parent, change.name);
      break;
    case "delete":
      w.fixed(change.id);
      break;
    case "restore":
      w.fixed(change.id).u8(change.to === undefined ? 0 : 1);
      if (change.to !== undefined) named(change.to.parent, change.to.name);
      break;
    case "meta":
      w.fixed(change.id);
      writeMeta(w, change.set);
      break;
    case "settle":
      w.fixed(change.entry).u8(picks.indexOf(change.pick)).fixed(change.rev).fixed(change.otherRev);
  }
}

function readChange(r: Reader, seen: number, start: number): FileChange {
  const what = dos[r.u8()];
  if (what === undefined) throw new Malformed("unknown change");
  const op = readOp(r);
  const base = seen - r.v(seen);
  const time = start + r.v(2 ** 48 - 1 - start);
  const said = { op, base, time };
  const name = (): { parent: ItemId; name: string } => ({
    parent: readId(r),
    name: readText(r, limits.name),
  });
  switch (what) {
    case "mkdir":
      return { do: what, ...said, ...name() };
    case "create": {
      const place = name();
      const meta: FileMeta = { executable: readFlag(r), mtime: r.v() };
      return { do: what, ...said, ...place, meta, content: readContent(r) };
    }
    case "symlink":
      return { do: what, ...said, ...name(), target: r.bytes(TARGET).slice() };
    case "write":
      return { do: what, ...said, id: readId(r), rev: readOp(r), mtime: r.v(), content: readContent(r) };
    case "move":
      return { do: what, ...said, id: readId(r), place: readOp(r), ...name() };
    case "delete":
      return { do: what, ...said, id: readId(r) };
    case "restore":
      return { do: what, ...said, id: readId(r), to: readFlag(r) ? name() : undefined };
    case "meta":
      return { do: what, ...said, id: readId(r), set: readMeta(r) };
    case "settle": {
      const entry = readOp(r);
      const pick = picks[r.u8()];
      if (pick === undefined) throw new Malformed("unknown pick");
      return { do: what, ...said, entry, pick, rev: readOp(r), otherRev: readOp(r) };
    }
  }
}

function writeMeta(w: Writer, set: MetaSet): void {
  w.u8(metaKeys.indexOf(set.key));
  if (set.key === "tag") w.bytes(encodeUtf8(set.name)).bytes(encodeUtf8(set.value));
  else w.u8(set.value ? 1 : 0);
}

function readMeta(r: Reader): MetaSet {
  const key = metaKeys[r.u8()];
  if (key === undefined) throw new Malformed("unknown meta key");
  if (key !== "tag") return { key, value: readFlag(r) };
  const name = readText(r, TAG);
  if (name === "") throw new Malformed("a tag without a name");
  return { key, name, value: readText(r, TAG) };
}

function readFlag(r: Reader): boolean {
  const flag = r.u8();
  if (flag > 1) throw new Malformed("not a flag");
  return flag === 1;
}
