/** Files of the vault by their paths: what a program or a person does with them, one at a time. */
import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { isNameIn, ROOT } from "@tidelock/core/kinds/files/names";
import type { FileChange, Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Pack } from "@tidelock/core/log/pack";
import type { Tx } from "@tidelock/core/log/tx";
import { type FileState, free, isPinned, pin, stateOf, unpin } from "../content/presence.ts";
import {
  contentBytes,
  maxFileSize,
  occupied,
  type Packed,
  packBytes,
  packFile,
  tooLarge,
  writeContent,
} from "./content.ts";
import { copiedError } from "./copied.ts";
import { badName, partsOf } from "./drive-path.ts";
import { type Made, madeNow, submitFiles } from "./files-run.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

/** Of what a program hands over or asks for in memory. */
const LARGEST = 256 << 20;
const PAGE = 1000;
/** Names of a path that is made here; what others made may lie deeper. */
const DEPTH = 256;

export interface FileView {
  readonly path: string;
  readonly kind: Item["kind"];
  /** Bytes of a file. */
  readonly size?: number;
  /** As its author's disk said, RFC 3339. */
  readonly mtime?: string;
  readonly executable?: boolean;
  readonly target?: string;
  /** Of a file: whether its bytes are on this machine, or wait here to be sent. Of anything: that no synced folder of this machine is to show it. */
  readonly state?: FileState | "excluded";
  /** Kept here, by itself or by a folder above it. */
  readonly pinned?: boolean;
  /** Hexadecimal: the item's name for ever, and what it holds now. */
  readonly id: string;
  readonly revision: string;
}

export interface FileActed {
  readonly path: string;
  readonly state: Outcome;
}

export interface FileInput {
  readonly bytes: Uint8Array;
  /** ms since 1970. */
  readonly mtime?: number;
  readonly executable?: boolean;
}

/** What lies in a folder, or the file itself. */
export function listFiles(session: Session, path: string): readonly FileView[] {
  const names = partsOf(path);
  return session.replica.read((tx) => {
    const found = names.length === 0 ? undefined : need(session, tx, names);
    if (found !== undefined && found.kind !== "dir") return [viewOf(names, found)];
    const views: FileView[] = [];
    for (let after: string | undefined; ; ) {
      const page: readonly Item[] = session.kinds.files.list(tx, found?.id ?? ROOT, after, PAGE);
      for (const item of page) views.push(viewOf([...names, item.name], item));
      after = page.at(-1)?.name;
      if (page.length < PAGE) return views;
    }
  });
}

/** With what of each is on this machine. Never asks the network. */
export async function listPresent(session: Session, path: string): Promise<readonly FileView[]> {
  const views: FileView[] = [];
  const { files } = session.kinds;
  const found = listFiles(session, path);
  const excluded = session.replica.read((tx) => {
    const isExcluded = session.folders.exclusion(tx);
    const items = found.flatMap(({ id }) => files.item(tx, fromHex(id) as ItemId) ?? []);
    return new Set(items.filter(isExcluded).map(({ id }) => toHex(id)));
  });
  for (const view of found) {
    const id = fromHex(view.id) as ItemId;
    const { content, pinned } = session.replica.read((tx) => ({
      content: files.item(tx, id)?.content,
      pinned: isPinned(session, tx, id),
    }));
    const held = content === undefined ? undefined : await stateOf(session, content);
    const state: FileView["state"] = excluded.has(view.id) && held !== "sending" ? "excluded" : held;
    views.push({ ...view, ...optional("state", state), ...optional("pinned", pinned || undefined) });
  }
  return views;
}

export interface FileKept {
  readonly path: string;
  readonly state: "pinned" | "unpinned" | "freed";
}

/** Resolves when all of it is here; it stays here, also as others change it. */
export async function pinFile(session: Session, path: string): Promise<FileKept> {
  await pin(session, idAt(session, path));
  return { path, state: "pinned" };
}

export function unpinFile(session: Session, path: string): FileKept {
  unpin(session, idAt(session, path));
  return { path, state: "unpinned" };
}

/** Its room on this machine is given back; nothing changes for others. */
export async function freeFile(session: Session, path: string): Promise<FileKept> {
  await free(session, idAt(session, path));
  return { path, state: "freed" };
}

function idAt(session: Session, path: string): ItemId {
  const names = partsOf(path);
  return names.length === 0 ? ROOT : session.replica.read((tx) => need(session, tx, names).id);
}

/** What the log made of this device: at one seq it is the same on all of them. What waits here is not in it. */
export interface StateHash {
  readonly seq: number;
  /** Hexadecimal. */
  readonly hash: string;
}

export function stateHash({ replica }: Session): StateHash {
  return { seq: replica.cursor().applied, hash: replica.digest().toString(16).padStart(32, "0") };
}

export function statFile(session: Session, path: string): FileView {
  const names = partsOf(path);
  return session.replica.read((tx) => viewOf(names, need(session, tx, names)));
}

export interface ReadWish {
  /** From a byte on, up to another and without it, or to the end. */
  readonly range?: { readonly from: number; readonly to?: number };
}

/** A file, or what it once was, with what it holds. */
export interface Held {
  readonly view: FileView;
  readonly content: Content;
}

function heldNow(session: Session, path: string): Held {
  const names = partsOf(path);
  const { view, content } = session.replica.read((tx) => {
    const item = need(session, tx, names);
    return { view: viewOf(names, item), content: item.content };
  });
  if (content === undefined) throw noFile(path);
  return { view, content };
}

/** Checked; from the remote where it is not here. */
export async function readFile(
  session: Session,
  path: string,
  { range }: ReadWish = {},
  { content }: Held = heldNow(session, path),
): Promise<Uint8Array> {
  const { size } = content;
  const [from, to] = [Math.min(range?.from ?? 0, size), Math.min(range?.to ?? size, size)];
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && to >= from))
    throw new TidelockError("usage", {
      why: "a range goes from a byte to one that is not before it",
      next: "read(path, { range: { from: 0, to: 100 } })",
    });
  if (to - from > LARGEST) throw tooLarge(path, { size: to - from, most: LARGEST });
  return contentBytes(session, content, path, range === undefined ? undefined : { from, to });
}

/** Makes it, or the next version of it; folders on the way are made. */
export async function writeFile(session: Session, path: string, input: FileInput): Promise<FileActed> {
  const [size, most] = [input.bytes.length, Math.min(LARGEST, maxFileSize(session.replica))];
  if (size > most) throw tooLarge(path, { size, most });
  prepare(session, path);
  return place(session, path, packBytes(session, path, input.bytes), input);
}

/** A content under a path: a new file, or the next version of the one that is there. */
async function place(
  session: Session,
  path: string,
  { content, packs }: Packed,
  input: Omit<FileInput, "bytes">,
): Promise<FileActed> {
  const names = partsOf(path);
  const made = prepare(session, path);
  const mtime = Math.max(0, Math.round((input.mtime ?? session.clock.now()) * 1000));
  return act(session, path, packs, (tx) => {
    const { parent, name, changes } = folders(session, tx, names.slice(0, -1), made, names.at(-1) as string);
    const there = session.kinds.files.child(tx, parent, name);
    if (there !== undefined && there.kind !== "file") throw taken(path, there.kind);
    if (there === undefined) {
      const meta = { mtime, executable: input.executable === true };
      return [...changes, { do: "create", ...made(), parent, name, content, meta }];
    }
    changes.push({ do: "write", ...made(), id: there.id, rev: there.rev, content, mtime });
    const { executable } = input;
    if (executable !== undefined && executable !== there.executable)
      changes.push({ do: "meta", ...made(), id: there.id, set: { key: "executable", value: executable } });
    return changes;
  });
}

/** From a file of this machine, under its own name where the path is a folder or ends like one. */
export async function putFile(session: Session, from: string, path: string): Promise<FileActed> {
  const stat = statSync(from, { throwIfNoEntry: false });
  if (stat?.isFile() !== true)
    throw new TidelockError("not-found", { why: `${from} is no file here`, next: "check the path" });
  const names = partsOf(path);
  const isFolder = (tx: Tx): boolean => names.length === 0 || find(session, tx, names)?.kind === "dir";
  const target =
    path.endsWith("/") || session.replica.read(isFolder) ? [...names, basename(from)].join("/") : path;
  prepare(session, target);
  const { replica, moving } = session;
  const before = replica.spooledBytes();
  // Of what waits here the last bytes are this file's.
  const behind = (): number => Math.max(0, replica.spooledBytes() - before);
  const move = moving.begin({ name: target, direction: "up", total: stat.size }, behind);
  try {
    const packed = await packFile(session, from, target, move);
    return await place(session, target, packed, { mtime: packed.mtimeMs, executable: packed.executable });
  } finally {
    move.end();
  }
}

/** Into a new file of this machine. */
export async function getFile(
  session: Session,
  path: string,
  to: string,
  { view, content }: Held = heldNow(session, path),
): Promise<FileView> {
  if (existsSync(to)) throw occupied(to);
  const mode = view.executable === true ? 0o755 : 0o644;
  await writeContent(session, content, path, { to, mode, mtime: new Date(view.mtime ?? 0) });
  return view;
}

export async function makeFolder(session: Session, path: string): Promise<FileActed> {
  const names = partsOf(path);
  const made = prepare(session, path);
  return act(session, path, [], (tx) => {
    const { parent, name, changes } = folders(session, tx, names.slice(0, -1), made, names.at(-1) as string);
    const there = session.kinds.files.child(tx, parent, name);
    if (there !== undefined) throw taken(path, there.kind);
    return [...changes, { do: "mkdir", ...made(), parent, name }];
  });
}

/** To another path; into a folder that is there, or that the path ends like. */
export async function moveFile(session: Session, from: string, to: string): Promise<FileActed> {
  const [old, wanted] = [partsOf(from), partsOf(to)];
  const made = prepare(session, from);
  return act(session, to, [], (tx) => {
    const item = need(session, tx, old);
    const target = wanted.length === 0 ? undefined : find(session, tx, wanted);
    const into =
      wanted.length === 0 ||
      to.endsWith("/") ||
      (target?.kind === "dir" && toHex(target.id) !== toHex(item.id));
    const places = into ? [...wanted, old.at(-1) as string] : wanted;
    const { parent, name, changes } = folders(
      session,
      tx,
      places.slice(0, -1),
      made,
      places.at(-1) as string,
    );
    const there = session.kinds.files.child(tx, parent, name);
    if (there !== undefined && toHex(there.id) !== toHex(item.id)) throw taken(places.join("/"), there.kind);
    return [...changes, { do: "move", ...made(), id: item.id, place: item.place, parent, name }];
  });
}

/** With all that lies in it; it can be restored. */
export async function removeFile(session: Session, path: string): Promise<FileActed> {
  const names = partsOf(path);
  const made = prepare(session, path);
  return act(session, path, [], (tx) => [{ do: "delete", ...made(), id: need(session, tx, names).id }]);
}

export function prepare(session: Session, path: string): Made {
  if (session.copied) throw copiedError();
  if (partsOf(path).length === 0)
    throw new TidelockError("usage", { why: "the drive itself stays as it is", next: "tidelock drive ls" });
  return madeNow(session);
}

/** Durable here in one transaction: the packs to be stored, and the run that names them. */
export async function act(
  session: Session,
  path: string,
  packs: readonly Pack[],
  changes: (tx: Tx) => readonly FileChange[],
): Promise<FileActed> {
  return { path, state: await outcomeOf(session, submitFiles(session, packs, changes)) };
}

/** The folder of these names; those that are missing are made. */
function folders(
  session: Session,
  tx: Tx,
  names: readonly string[],
  made: Made,
  name: string,
): { readonly parent: ItemId; readonly name: string; readonly changes: FileChange[] } {
  if (names.length >= DEPTH)
    throw new TidelockError("bad-name", { why: `a path has at most ${DEPTH} names` });
  const changes: FileChange[] = [];
  let parent: ItemId = ROOT;
  for (const folder of names) {
    const there: Item | undefined =
      changes.length > 0 ? undefined : session.kinds.files.child(tx, parent, folder);
    if (there !== undefined && there.kind !== "dir") throw taken(names.join("/"), there.kind);
    if (there !== undefined) {
      parent = there.id;
      continue;
    }
    checkName(parent, folder);
    const said = made();
    changes.push({ do: "mkdir", ...said, parent, name: folder });
    parent = said.op as Uint8Array as ItemId;
  }
  checkName(parent, name);
  return { parent, name, changes };
}

export function find(session: Session, tx: Tx, names: readonly string[]): Item | undefined {
  let item: Item | undefined;
  for (const name of names) {
    if (item !== undefined && item.kind !== "dir") return undefined;
    item = session.kinds.files.child(tx, item?.id ?? ROOT, name);
    if (item === undefined) return undefined;
  }
  return item;
}

export function need(session: Session, tx: Tx, names: readonly string[]): Item {
  const item = find(session, tx, names);
  if (item === undefined)
    throw new TidelockError("not-found", {
      why: `there is no ${names.join("/")} in the drive`,
      next: "tidelock drive ls",
    });
  return item;
}

function checkName(parent: ItemId, name: string): void {
  if (!isNameIn(parent, name)) throw badName();
}

function taken(path: string, kind: Item["kind"]): TidelockError {
  const what = { dir: "a folder", file: "a file", link: "a link" }[kind];
  return new TidelockError("exists", { why: `${path} is ${what}`, next: "tidelock drive ls" });
}

function noFile(path: string): TidelockError {
  return new TidelockError("usage", { why: `${path} is no file`, next: "tidelock drive ls" });
}

export function viewOf(names: readonly string[], item: Item): FileView {
  const { kind, content, target, mtime, executable } = item;
  return {
    path: names.join("/"),
    kind,
    ...optional("size", content?.size),
    ...optional("mtime", kind === "file" ? new Date(mtime / 1000).toISOString() : undefined),
    ...optional("executable", kind === "file" ? executable : undefined),
    ...optional("target", target === undefined ? undefined : new TextDecoder().decode(target)),
    id: toHex(item.id),
    revision: toHex(item.rev),
  };
}
