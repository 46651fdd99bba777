import type { FileStat } from "@tidelock/core/ports-fs";

/** What a power cut leaves of the unsynced: nothing, the oldest changes, any of them, or the oldest and a torn one. */
export type Cut = "lose-all" | "prefix" | "subset" | "torn";

const SECTOR = 512;
/** The kernel writes back by itself in the end; here when this many changes wait. */
const WRITE_BACK = 4096;

interface SimFile {
  readonly kind: "file";
  readonly ino: number;
  /** What reads see. */
  data: Uint8Array;
  /** What a power cut cannot take. */
  durable: Uint8Array;
  unsynced: Write[];
  links: number;
  mtime: number;
}

interface SimFolder {
  readonly kind: "directory";
  readonly ino: number;
  entries: Map<string, SimNode>;
  durable: Map<string, SimNode>;
  unsynced: EntryChange[];
  readonly watchers: Set<() => void>;
  /** Its sync failed: as after an aborted journal, nothing more becomes durable here before the next boot. */
  aborted: boolean;
  mtime: number;
}

type SimNode = SimFile | SimFolder;

interface Write {
  readonly kind: "write";
  readonly order: number;
  readonly file: SimFile;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Names set or taken away, in one or two directories: a rename is one change, never half of one. */
interface EntryChange {
  readonly kind: "entries";
  readonly order: number;
  readonly names: readonly {
    readonly folder: SimFolder;
    readonly name: string;
    readonly node: SimNode | undefined;
  }[];
}

export interface ImageOptions {
  readonly now: () => number;
  readonly links: boolean;
  readonly capacity: number;
}

/** The state of a simulated disk and its page cache, with the calls of a kernel: synchronous, one at a time. */
export class DiskImage {
  readonly #options: ImageOptions;
  readonly #root: SimFolder;
  /** Everything unsynced, oldest first. */
  #unsynced = new Set<Write | EntryChange>();
  #order = 0;
  #inodes = 0;
  #used = 0;
  readOnly = false;

  constructor(options: ImageOptions) {
    this.#options = options;
    this.#root = this.#newFolder();
  }

  readFile(path: string, max: number, at = 0): Uint8Array {
    const file = this.#find(path);
    if (file.kind === "directory") throw errno("EISDIR", path);
    return file.data.slice(at, at + max);
  }

  writeFileNew(path: string, bytes: Uint8Array): void {
    const { folder, name } = this.#place(path);
    if (folder.entries.has(name)) throw errno("EEXIST", path);
    const empty = new Uint8Array(0);
    const mtime = this.#options.now();
    const file: SimFile = {
      kind: "file",
      ino: ++this.#inodes,
      data: empty,
      durable: empty,
      unsynced: [],
      links: 0,
      mtime,
    };
    this.#change([{ folder, name, node: file }]);
    const room = Math.min(bytes.length, this.#options.capacity - this.#used);
    const written = new Uint8Array(bytes.subarray(0, room));
    file.data = written;
    this.#used += room;
    const write: Write = { kind: "write", order: ++this.#order, file, at: 0, bytes: written };
    file.unsynced.push(write);
    this.#unsynced.add(write);
    if (room < bytes.length) throw errno("ENOSPC", path);
  }

  syncFile(path: string): void {
    const file = this.#find(path);
    if (file.kind === "directory") throw errno("EISDIR", path);
    for (const write of file.unsynced) this.#settleWrite(write, write.bytes.length);
    file.unsynced = [];
  }

  /** A failed sync drops the pages and calls them clean: reads still see them, a later sync "succeeds". */
  failSyncFile(path: string): void {
    const file = this.#find(path);
    if (file.kind === "directory") return;
    for (const write of file.unsynced) this.#unsynced.delete(write);
    file.unsynced = [];
  }

  link(from: string, to: string): void {
    const file = this.#find(from);
    const { folder, name } = this.#place(to);
    if (folder.entries.has(name)) throw errno("EEXIST", to);
    if (!this.#options.links || file.kind === "directory") throw errno("EPERM", from);
    this.#change([{ folder, name, node: file }]);
  }

  unlink(path: string): void {
    const node = this.#find(path);
    if (node.kind === "directory") throw errno("EISDIR", path);
    this.#change([{ ...this.#place(path), node: undefined }]);
  }

  mkdir(path: string): void {
    const { folder, name } = this.#place(path);
    if (folder.entries.has(name)) throw errno("EEXIST", path);
    this.#change([{ folder, name, node: this.#newFolder() }]);
  }

  rmdir(path: string): void {
    const node = this.#find(path);
    if (node.kind === "file") throw errno("ENOTDIR", path);
    if (node.entries.size > 0) throw errno("ENOTEMPTY", path);
    this.#change([{ ...this.#place(path), node: undefined }]);
  }

  rename(from: string, to: string): void {
    const node = this.#find(from);
    const source = this.#place(from);
    const target = this.#place(to);
    const old = target.folder.entries.get(target.name);
    if (old === node) return;
    if (old !== undefined && old.kind !== node.kind)
      throw errno(old.kind === "file" ? "ENOTDIR" : "EISDIR", to);
    if (old?.kind === "directory" && old.entries.size > 0) throw errno("ENOTEMPTY", to);
    this.#change([
      { ...target, node },
      { ...source, node: undefined },
    ]);
  }

  readdir(path: string): string[] {
    return [...this.#folder(path).entries.keys()];
  }

  stat(path: string): FileStat {
    const node = this.#find(path);
    const size = node.kind === "file" ? node.data.length : node.entries.size;
    return { kind: node.kind, size, mtime: node.mtime, dev: 1, ino: node.ino };
  }

  syncDir(path: string): void {
    const folder = this.#folder(path);
    if (folder.aborted) throw errno("EIO", path);
    this.#settleFolder(folder, this.#order);
  }

  /** As ext4 does after an error of its journal: no change and no sync until the next boot. */
  failSyncDir(path: string): void {
    this.#folder(path).aborted = true;
  }

  watch(path: string, hint: () => void): () => void {
    const { watchers } = this.#folder(path);
    watchers.add(hint);
    return () => watchers.delete(hint);
  }

  powerCut(random: () => number, cut: Cut): void {
    const unsynced = [...this.#unsynced];
    const whole = Math.floor(random() * (unsynced.length + 1));
    for (const [i, change] of unsynced.entries()) {
      if (cut === "lose-all") break;
      if (cut === "subset") keepSome(change, random);
      else if (i < whole) keep(change);
      else if (i === whole && cut === "torn") tear(change, random);
    }
    this.#unsynced = new Set();
    const files = new Set<SimFile>();
    reload(this.#root, files);
    this.#used = 0;
    for (const file of files) this.#used += file.data.length;
  }

  #newFolder(): SimFolder {
    const mtime = this.#options.now();
    return {
      kind: "directory",
      ino: ++this.#inodes,
      entries: new Map(),
      durable: new Map(),
      unsynced: [],
      watchers: new Set(),
      aborted: false,
      mtime,
    };
  }

  #find(path: string): SimNode {
    let node: SimNode = this.#root;
    for (const name of path.split("/")) {
      if (name === "") continue;
      if (node.kind === "file") throw errno("ENOTDIR", path);
      const next: SimNode | undefined = node.entries.get(name);
      if (next === undefined) throw errno("ENOENT", path);
      node = next;
    }
    return node;
  }

  #folder(path: string): SimFolder {
    const node = this.#find(path);
    if (node.kind === "file") throw errno("ENOTDIR", path);
    return node;
  }

  #place(path: string): { folder: SimFolder; name: string } {
    const cut = path.lastIndexOf("/");
    return { folder: this.#folder(path.slice(0, cut)), name: path.slice(cut + 1) };
  }

  #change(names: EntryChange["names"]): void {
    if (this.readOnly || names.some(({ folder }) => folder.aborted)) throw errno("EROFS", "");
    const change: EntryChange = { kind: "entries", order: ++this.#order, names };
    const mtime = this.#options.now();
    for (const { folder, name, node } of names) {
      const old = folder.entries.get(name);
      if (old?.kind === "file" && --old.links === 0) this.#used -= old.data.length;
      if (node === undefined) folder.entries.delete(name);
      else folder.entries.set(name, node);
      if (node?.kind === "file") node.links++;
      folder.mtime = mtime;
      if (folder.unsynced.at(-1) !== change) folder.unsynced.push(change);
    }
    this.#unsynced.add(change);
    for (const { folder } of names) for (const hint of folder.watchers) hint();
    if (this.#unsynced.size > WRITE_BACK) this.#writeBack();
  }

  #writeBack(): void {
    let left = WRITE_BACK / 2;
    for (const change of this.#unsynced) {
      if (left-- === 0) break;
      if (change.kind === "entries")
        for (const { folder } of change.names) this.#settleFolder(folder, change.order);
      else {
        this.#settleWrite(change, change.bytes.length);
        change.file.unsynced = change.file.unsynced.filter((one) => one !== change);
      }
    }
  }

  #settleWrite(write: Write, length: number): void {
    this.#unsynced.delete(write);
    writeInto(write.file, write.at, write.bytes.subarray(0, length));
  }

  /** Makes a directory's changes durable up to `order`, and with each rename what came before it elsewhere. */
  #settleFolder(folder: SimFolder, order: number): void {
    while (folder.unsynced.length > 0 && (folder.unsynced[0] as EntryChange).order <= order) {
      const change = folder.unsynced.shift() as EntryChange;
      if (!this.#unsynced.delete(change)) continue;
      for (const { folder: other } of change.names)
        if (other !== folder) this.#settleFolder(other, change.order);
      keep(change);
    }
  }
}

function keep(change: Write | EntryChange): void {
  if (change.kind === "write") {
    writeInto(change.file, change.at, change.bytes);
    return;
  }
  for (const { folder, name, node } of change.names) {
    if (node === undefined) folder.durable.delete(name);
    else folder.durable.set(name, node);
  }
}

function keepSome(change: Write | EntryChange, random: () => number): void {
  if (change.kind === "entries") {
    if (random() < 0.5) keep(change);
    return;
  }
  for (let at = 0; at < change.bytes.length; at += SECTOR) {
    if (random() < 0.5) writeInto(change.file, change.at + at, change.bytes.subarray(at, at + SECTOR));
  }
}

/** One sector of a write arrives in part, those before it whole. */
function tear(change: Write | EntryChange, random: () => number): void {
  if (change.kind === "entries") return;
  writeInto(change.file, change.at, change.bytes.subarray(0, Math.floor(random() * change.bytes.length)));
}

function writeInto(file: SimFile, at: number, bytes: Uint8Array): void {
  const { durable } = file;
  if (at === 0 && durable.length <= bytes.length) {
    file.durable = bytes;
    return;
  }
  const grown = new Uint8Array(Math.max(durable.length, at + bytes.length));
  grown.set(durable);
  grown.set(bytes, at);
  file.durable = grown;
}

function reload(folder: SimFolder, files: Set<SimFile>): void {
  folder.entries = new Map(folder.durable);
  folder.unsynced = [];
  folder.watchers.clear();
  folder.aborted = false;
  for (const node of folder.entries.values()) {
    if (node.kind === "directory") reload(node, files);
    else {
      if (!files.has(node)) node.links = 0;
      files.add(node);
      node.links++;
      node.data = node.durable;
      node.unsynced = [];
    }
  }
}

export function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
