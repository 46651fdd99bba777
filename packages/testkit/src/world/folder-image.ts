/**
 * A disk that people and programs share with the device under test: names as one of three file systems
 * takes them, links, permission bits, the stamps of a kernel, and numbers of files that are given anew.
 * Everything is a call of a kernel: synchronous, whole. Unsynced changes live until a power cut.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { DiskFacts, DiskKind, DiskListing } from "@tidelock/core/ports-fs";
import { errno } from "./sim-image.ts";

/** How a file system takes names and times. */
export interface Volume {
  readonly name: string;
  readonly caseSensitive: boolean;
  readonly normalisation: "kept" | "insensitive" | "decomposed";
  readonly hardLinks: boolean;
  readonly symlinks: boolean;
  readonly executable: boolean;
  /** ns. */
  readonly stampStep: bigint;
}

export const volumes: readonly Volume[] = [
  {
    name: "ext4",
    caseSensitive: true,
    normalisation: "kept",
    hardLinks: true,
    symlinks: true,
    executable: true,
    // The kernel's tick: two writes within it have one stamp.
    stampStep: 4_000_000n,
  },
  {
    name: "APFS",
    caseSensitive: false,
    normalisation: "insensitive",
    hardLinks: true,
    symlinks: true,
    executable: true,
    stampStep: 1n,
  },
  {
    name: "exFAT",
    caseSensitive: false,
    normalisation: "kept",
    hardLinks: false,
    symlinks: false,
    executable: false,
    stampStep: 10_000_000n,
  },
];

interface Body {
  readonly bytes: Uint8Array;
}

interface File {
  readonly kind: "file" | "link";
  readonly ino: number;
  readonly born: bigint;
  body: Body;
  /** What a power cut cannot take. */
  durable: Body;
  links: number;
  mtime: bigint;
  ctime: bigint;
  mode: number;
}

interface Dir {
  readonly kind: "dir";
  readonly ino: number;
  readonly born: bigint;
  entries: Map<string, Entry>;
  durable: Map<string, Entry>;
  readonly watchers: Set<() => void>;
  mtime: bigint;
  ctime: bigint;
  mode: number;
}

type Node = File | Dir;

interface Entry {
  readonly name: string;
  readonly node: Node;
}

/** One change of names: all of it or nothing survives. */
interface Pending {
  readonly dirs: readonly Dir[];
  readonly keep: () => void;
}

export interface OpenFile {
  readonly bytes: () => Uint8Array;
  /** Paths that lead to it: none once its last name is gone. */
  readonly names: () => readonly string[];
  readonly write: (bytes: Uint8Array) => void;
}

const EMPTY: Body = { bytes: new Uint8Array(0) };

export class FolderImage {
  readonly volume: Volume;
  readonly #now: () => number;
  #root: Dir;
  #inodes = 1;
  /** Numbers of files that are gone: given anew, as many systems do. */
  #freed: number[] = [];
  /** Changes of names that no sync has made durable, the oldest first. */
  #pending: Pending[] = [];
  capacity: number = Number.POSITIVE_INFINITY;

  constructor(volume: Volume, now: () => number) {
    this.volume = volume;
    this.#now = now;
    this.#root = this.#newDir();
  }

  look(path: string): DiskFacts {
    return this.#facts(this.#find(path));
  }

  list(path: string): DiskListing {
    const entries = [...this.#dir(path).entries.values()].map(({ name, node }) => ({
      ...this.#facts(node),
      name,
    }));
    return { entries, notText: [] };
  }

  read(path: string): Uint8Array {
    const node = this.#find(path);
    if (node.kind === "dir") throw errno("EISDIR", path);
    if (node.kind === "link") throw errno("ELOOP", path);
    return node.body.bytes;
  }

  readLink(path: string): Uint8Array {
    const node = this.#find(path);
    if (node.kind !== "link") throw errno("EINVAL", path);
    return node.body.bytes;
  }

  create(path: string, bytes: Uint8Array, kind: "file" | "link" = "file"): void {
    if (kind === "link" && !this.volume.symlinks) throw errno("EPERM", path);
    const { dir, name } = this.#place(path);
    if (dir.entries.has(this.#key(name))) throw errno("EEXIST", path);
    const at = this.#stamp();
    const node: File = {
      kind,
      ino: this.#number(),
      born: at,
      body: EMPTY,
      durable: EMPTY,
      links: 0,
      mtime: at,
      ctime: at,
      mode: this.volume.executable ? 0o644 : 0o777,
    };
    this.#set([{ dir, name, node }]);
    // A link is its name: it comes and goes with the entry.
    if (kind === "link") node.durable = { bytes: bytes.slice() };
    this.#fill(node, bytes, path);
  }

  /** In place, as programs save that know no better. */
  overwrite(path: string, bytes: Uint8Array): void {
    const node = this.#find(path);
    if (node.kind !== "file") throw errno("EISDIR", path);
    this.#fill(node, bytes, path);
    this.#hint(this.#place(path).dir);
  }

  /** A file that a program has open: what it writes goes there, wherever the file is by then. */
  open(path: string): OpenFile {
    const node = this.#find(path);
    if (node.kind !== "file") throw errno("EISDIR", path);
    return {
      bytes: () => node.body.bytes,
      names: () => this.#namesOf(node),
      write: (bytes) => this.#fill(node, bytes, path),
    };
  }

  #namesOf(file: File): readonly string[] {
    const names: string[] = [];
    const walk = (dir: Dir, path: string): void => {
      for (const { name, node } of dir.entries.values())
        if (node.kind === "dir") walk(node, `${path}/${name}`);
        else if (node === file) names.push(`${path}/${name}`);
    };
    walk(this.#root, "");
    return names;
  }

  #fill(node: File, bytes: Uint8Array, path: string): void {
    if (this.#used() - node.body.bytes.length + bytes.length > this.capacity) throw errno("ENOSPC", path);
    node.body = { bytes: bytes.slice() };
    node.mtime = this.#stamp();
    node.ctime = node.mtime;
  }

  syncFile(path: string): void {
    const node = this.#find(path);
    if (node.kind === "file") node.durable = node.body;
  }

  /** Its entries, and what was renamed into or out of it before. */
  syncDir(path: string): void {
    const dir = this.#dir(path);
    let last = -1;
    for (const [i, { dirs }] of this.#pending.entries()) if (dirs.includes(dir)) last = i;
    for (const { keep } of this.#pending.splice(0, last + 1)) keep();
  }

  /** All of it is durable. */
  syncAll(): void {
    for (const { keep } of this.#pending.splice(0)) keep();
    const walk = (dir: Dir): void => {
      for (const { node } of dir.entries.values())
        if (node.kind === "dir") walk(node);
        else node.durable = node.body;
    };
    walk(this.#root);
  }

  link(from: string, to: string): void {
    const node = this.#find(from);
    const { dir, name } = this.#place(to);
    if (dir.entries.has(this.#key(name))) throw errno("EEXIST", to);
    if (!this.volume.hardLinks || node.kind === "dir") throw errno("EPERM", from);
    node.ctime = this.#stamp();
    this.#set([{ dir, name, node }]);
  }

  unlink(path: string): void {
    const node = this.#find(path);
    if (node.kind === "dir") throw errno("EISDIR", path);
    node.ctime = this.#stamp();
    this.#set([{ ...this.#place(path), node: undefined }]);
  }

  mkdir(path: string): void {
    const { dir, name } = this.#place(path);
    if (dir.entries.has(this.#key(name))) throw errno("EEXIST", path);
    this.#set([{ dir, name, node: this.#newDir() }]);
  }

  rmdir(path: string): void {
    const node = this.#find(path);
    if (node.kind !== "dir") throw errno("ENOTDIR", path);
    if (node.entries.size > 0) throw errno("ENOTEMPTY", path);
    this.#set([{ ...this.#place(path), node: undefined }]);
  }

  rename(from: string, to: string): void {
    const node = this.#find(from);
    const [source, target] = [this.#place(from), this.#place(to)];
    const old = target.dir.entries.get(this.#key(target.name));
    if (old?.node === node && old.name === this.#spelled(target.name)) return;
    // Two names of one file: nothing is done; one name in another spelling: it is spelled anew.
    const same = source.dir === target.dir && this.#key(source.name) === this.#key(target.name);
    if (old !== undefined && old.node === node && !same) return;
    if (old !== undefined && old.node !== node) {
      if (old.node.kind === "dir" && node.kind !== "dir") throw errno("EISDIR", to);
      if (old.node.kind !== "dir" && node.kind === "dir") throw errno("ENOTDIR", to);
      if (old.node.kind === "dir" && old.node.entries.size > 0) throw errno("ENOTEMPTY", to);
    }
    if (node.kind === "dir" && this.#within(target.dir, node)) throw errno("EINVAL", to);
    node.ctime = this.#stamp();
    this.#set([
      { ...source, node: undefined },
      { ...target, node },
    ]);
  }

  chmod(path: string, mode: number): void {
    const node = this.#find(path);
    if (!this.volume.executable) return;
    node.mode = mode;
    node.ctime = this.#stamp();
  }

  setTime(path: string, mtime: number): void {
    const node = this.#find(path);
    node.mtime = this.#stepped(BigInt(Math.round(mtime)) * 1000n);
    node.ctime = this.#stamp();
  }

  watch(path: string, hint: () => void): () => void {
    const { watchers } = this.#dir(path);
    watchers.add(hint);
    return () => watchers.delete(hint);
  }

  space(): { readonly free: number; readonly total: number } {
    return { free: this.capacity - this.#used(), total: this.capacity };
  }

  /** Of what no sync made durable all, some of the oldest, or nothing stays; bytes of a file as they were synced, or cut. */
  powerCut(random: () => number): void {
    const kept = Math.floor(random() * (this.#pending.length + 1));
    for (const { keep } of this.#pending.slice(0, kept)) keep();
    this.#pending = [];
    // What was deleted may be there again, with its number.
    this.#freed = [];
    const files = new Set<File>();
    const reload = (dir: Dir): void => {
      dir.entries = new Map(dir.durable);
      dir.watchers.clear();
      for (const { node } of dir.entries.values()) {
        if (node.kind === "dir") reload(node);
        else if (files.has(node)) node.links++;
        else {
          files.add(node);
          node.links = 1;
        }
      }
    };
    reload(this.#root);
    for (const file of files) {
      const die = random();
      if (file.body !== file.durable && die >= 0.4) {
        const cut = Math.floor(random() * (file.body.bytes.length + 1));
        file.durable = die < 0.7 ? file.body : { bytes: file.body.bytes.slice(0, cut) };
      }
      file.body = file.durable;
    }
  }

  #facts(node: Node): DiskFacts {
    const kind: DiskKind = node.kind;
    return {
      kind,
      size: node.kind === "dir" ? node.entries.size : node.body.bytes.length,
      mtimeNs: node.mtime,
      ctimeNs: node.ctime,
      birthtimeNs: node.born,
      ino: BigInt(node.ino),
      dev: 1n,
      links: node.kind === "dir" ? 2 : node.links,
      mode: node.mode,
    };
  }

  /** Every change of names goes through here. */
  #set(
    names: readonly { readonly dir: Dir; readonly name: string; readonly node: Node | undefined }[],
  ): void {
    const at = this.#stamp();
    const changes = names.map(({ dir, name, node }) => {
      const key = this.#key(name);
      const old = dir.entries.get(key)?.node;
      const entry = node === undefined ? undefined : { name: this.#spelled(name), node };
      if (entry === undefined) dir.entries.delete(key);
      else dir.entries.set(key, entry);
      if (node !== undefined && node.kind !== "dir") node.links++;
      if (old !== undefined && old.kind !== "dir") old.links--;
      dir.mtime = at;
      dir.ctime = at;
      return { dir, key, entry, old };
    });
    for (const { old } of changes)
      if (old !== undefined && !this.#isNamed(old, changes)) this.#freed.push(old.ino);
    const keep = (): void => {
      for (const { dir, key, entry } of changes)
        if (entry === undefined) dir.durable.delete(key);
        else dir.durable.set(key, entry);
    };
    this.#pending.push({ dirs: changes.map(({ dir }) => dir), keep });
    for (const { dir } of changes) this.#hint(dir);
  }

  #isNamed(node: Node, changes: readonly { readonly entry: Entry | undefined }[]): boolean {
    return changes.some(({ entry }) => entry?.node === node) || (node.kind !== "dir" && node.links > 0);
  }

  #hint(dir: Dir): void {
    for (const hint of dir.watchers) hint();
  }

  #newDir(): Dir {
    const at = this.#stamp();
    return {
      kind: "dir",
      ino: this.#number(),
      born: at,
      entries: new Map(),
      durable: new Map(),
      watchers: new Set(),
      mtime: at,
      ctime: at,
      mode: 0o755,
    };
  }

  #number(): number {
    return this.#freed.pop() ?? ++this.#inodes;
  }

  #stamp(): bigint {
    return this.#stepped(BigInt(Math.floor(this.#now() * 1000)) * 1000n);
  }

  #stepped(ns: bigint): bigint {
    return ns - (ns % this.volume.stampStep);
  }

  #used(): number {
    let used = 0;
    const walk = (dir: Dir): void => {
      for (const { node } of dir.entries.values())
        if (node.kind === "dir") walk(node);
        else used += node.body.bytes.length;
    };
    if (this.capacity !== Number.POSITIVE_INFINITY) walk(this.#root);
    return used;
  }

  #within(dir: Dir, above: Dir): boolean {
    if (dir === above) return true;
    return [...above.entries.values()].some(({ node }) => node.kind === "dir" && this.#within(dir, node));
  }

  #key(name: string): string {
    const { caseSensitive, normalisation } = this.volume;
    const form = normalisation === "kept" ? name : name.normalize("NFD");
    return caseSensitive ? form : form.toLowerCase();
  }

  #spelled(name: string): string {
    return this.volume.normalisation === "decomposed" ? name.normalize("NFD") : name;
  }

  #find(path: string): Node {
    let node: Node = this.#root;
    for (const name of path.split("/")) {
      if (name === "") continue;
      if (node.kind !== "dir") throw errno("ENOTDIR", path);
      const next: Node | undefined = node.entries.get(this.#key(name))?.node;
      if (next === undefined) throw errno("ENOENT", path);
      node = next;
    }
    return node;
  }

  #dir(path: string): Dir {
    const node = this.#find(path);
    if (node.kind !== "dir") throw errno("ENOTDIR", path);
    return node;
  }

  #place(path: string): { readonly dir: Dir; readonly name: string } {
    const cut = path.lastIndexOf("/");
    const name = path.slice(cut + 1);
    if (encodeUtf8(name).length > 255) throw errno("ENAMETOOLONG", path);
    return { dir: this.#dir(path.slice(0, cut)), name };
  }
}
