/** Items, replaced contents and entries of the journal as they rest in the replica. */
import { decodeUtf8, encodeUtf8 } from "../../bytes/bytes.ts";
import { Malformed, Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { readContent, writeContent } from "../../log/content.ts";
import { ID } from "./spaces.ts";
import type { Entry, Item, ItemId, ItemKind, Op, Pick, Stamp, Version } from "./types.ts";

const itemKinds: readonly ItemKind[] = ["dir", "file", "link"];
const entryKinds: readonly Entry["why"][] = [
  "write",
  "create",
  "delete",
  "moved",
  "cycle",
  "renamed",
  "recovered",
];
const picks: readonly (Pick | "over")[] = ["keep-current", "use-other", "keep-both", "over"];
/** What most items have: one of each for all of them. */
export const NO_OPS: readonly Op[] = [];
export const NO_TAGS: Item["tags"] = new Map();
const flags = { executable: 1, plain: 2, pin: 4, dead: 8, copy: 16, content: 32, target: 64 } as const;

export function writeItem(w: Writer, item: Item): void {
  const { content, target, dead, copyOf } = item;
  w.u8(itemKinds.indexOf(item.kind)).u8(
    (item.executable ? flags.executable : 0) |
      (item.compress ? 0 : flags.plain) |
      (item.pin ? flags.pin : 0) |
      (dead === undefined ? 0 : flags.dead) |
      (copyOf === undefined ? 0 : flags.copy) |
      (content === undefined ? 0 : flags.content) |
      (target === undefined ? 0 : flags.target),
  );
  w.fixed(item.parent).bytes(encodeUtf8(item.name)).fixed(item.rev).v(item.writes);
  ops(w, item.equal);
  w.fixed(item.place);
  ops(w, item.placeEqual);
  const { stamps } = item;
  writeStamp(w, stamps.rev);
  writeStamp(w, stamps.place);
  writeStamp(w, stamps.touch);
  w.v(item.by.device).u48(item.by.time).v(item.mtime).v(item.tags.size);
  for (const [name, value] of item.tags) w.bytes(encodeUtf8(name)).bytes(encodeUtf8(value));
  if (content !== undefined) writeContent(w, content);
  if (target !== undefined) w.bytes(target);
  if (dead !== undefined) w.fixed(dead.op).v(dead.seq).v(dead.device);
  if (copyOf !== undefined) w.fixed(copyOf.item).fixed(copyOf.entry);
}

function writeStamp(w: Writer, { seq, device, other }: Stamp): void {
  w.v(seq).v(device).v(other);
}

function readStamp(r: Reader): Stamp {
  return { seq: r.v(), device: r.v(), other: r.v() };
}

function readTags(r: Reader): Item["tags"] {
  let left = r.v();
  if (left === 0) return NO_TAGS;
  const tags = new Map<string, string>();
  for (; left > 0; left--)
    tags.set(readText(r, Number.MAX_SAFE_INTEGER), readText(r, Number.MAX_SAFE_INTEGER));
  return tags;
}

export function decodeItem(id: ItemId, bytes: Uint8Array): Item {
  const r = new Reader(bytes);
  const kind = itemKinds[r.u8()] as ItemKind;
  const has = r.u8();
  const parent = readId(r);
  const name = readText(r, Number.MAX_SAFE_INTEGER);
  const rev = readOp(r);
  const writes = r.v();
  const equal = readOps(r);
  const place = readOp(r);
  const placeEqual = readOps(r);
  const stamps = { rev: readStamp(r), place: readStamp(r), touch: readStamp(r) };
  const by = { device: r.v(), time: r.u48() };
  const mtime = r.v();
  const tags = readTags(r);
  const content = (has & flags.content) === 0 ? undefined : readContent(r);
  const target = (has & flags.target) === 0 ? undefined : r.bytes(Number.MAX_SAFE_INTEGER).slice();
  // In the order of `newItem`: one shape for the engine, wherever an item comes from.
  return {
    id,
    kind,
    parent,
    name,
    content,
    target,
    rev,
    writes,
    equal,
    place,
    placeEqual,
    stamps,
    by,
    mtime,
    executable: (has & flags.executable) !== 0,
    compress: (has & flags.plain) === 0,
    pin: (has & flags.pin) !== 0,
    tags,
    dead: (has & flags.dead) === 0 ? undefined : { op: readOp(r), seq: r.v(), device: r.v() },
    copyOf: (has & flags.copy) === 0 ? undefined : { item: readId(r), entry: readOp(r) },
  };
}

export function encodeVersion({ content, rev, by }: Version): Uint8Array {
  const w = new Writer(128).fixed(rev).v(by.device).u48(by.time);
  writeContent(w, content);
  return w.done();
}

export function decodeVersion(bytes: Uint8Array): Version {
  const r = new Reader(bytes);
  const rev = readOp(r);
  const by = { device: r.v(), time: r.u48() };
  return { rev, by, content: readContent(r) };
}

export function encodeEntry(entry: Entry): Uint8Array {
  const w = new Writer(160).u8(entryKinds.indexOf(entry.why)).v(entry.seq).v(entry.index);
  w.fixed(entry.item).v(entry.by.device).u48(entry.by.time);
  const { sides } = entry;
  w.u8(sides === undefined ? 0 : 1);
  if (sides !== undefined) {
    w.fixed(sides.copy).fixed(sides.rev).fixed(sides.otherRev).fixed(sides.base);
    w.v(sides.other.device).u48(sides.other.time).v(sides.size).v(sides.otherSize);
    w.u8(sides.ended === undefined ? 0 : 1 + picks.indexOf(sides.ended));
  }
  return w.done();
}

export function decodeEntry(op: Op, bytes: Uint8Array): Entry {
  const r = new Reader(bytes);
  const why = entryKinds[r.u8()] as Entry["why"];
  const [seq, index, item] = [r.v(), r.v(), readId(r)];
  const by = { device: r.v(), time: r.u48() };
  if (r.u8() === 0) return { op, why, seq, index, item, by, sides: undefined };
  const [copy, rev, otherRev, base] = [readId(r), readOp(r), readOp(r), readOp(r)];
  const other = { device: r.v(), time: r.u48() };
  const [size, otherSize, ended] = [r.v(), r.v(), r.u8()];
  const sides = {
    copy,
    rev,
    otherRev,
    base,
    other,
    size,
    otherSize,
    ended: ended === 0 ? undefined : (picks[ended - 1] as Pick | "over"),
  };
  return { op, why, seq, index, item, by, sides };
}

function ops(w: Writer, list: readonly Op[]): void {
  w.v(list.length);
  for (const op of list) w.fixed(op);
}

function readOps(r: Reader): readonly Op[] {
  const count = r.v();
  return count === 0 ? NO_OPS : Array.from({ length: count }, () => readOp(r));
}

export function readOp(r: Reader): Op {
  return r.fixed(ID).slice() as Op;
}

export function readId(r: Reader): ItemId {
  return r.fixed(ID).slice() as ItemId;
}

/** UTF-8 as it stands: a name is in the NFC of Unicode 15.1, which is not always the engine's. */
export function readText(r: Reader, most: number): string {
  const text = decodeUtf8(r.bytes(most));
  if (text === undefined) throw new Malformed("text not UTF-8");
  return text;
}
