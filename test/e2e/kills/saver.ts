/** A person at a synced folder of a real disk: saves in the ways programs do, renames, swaps and deletes. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ByteLedger, filesIn } from "../byte-ledger.ts";

const FOLDERS = ["", "one", "two", "two/deep"];
const NAMES = ["a.txt", "b.txt", "\u00e9.md", "long name of a file.dat", "log"];
/** Files that a folder has at most, about: few enough that no deletions of a moment wait for a word. */
const FULL = 60;
/** Longest rest between two acts, ms. */
const REST = 60;
const LARGE = 400_000;

export class Saver {
  readonly #root: string;
  readonly #name: string;
  readonly #ledger: ByteLedger;
  readonly #random: () => number;
  #saves = 0;
  #goes = false;
  #round: Promise<void> = Promise.resolve();

  constructor(root: string, name: string, ledger: ByteLedger, random: () => number) {
    this.#root = root;
    this.#name = name;
    this.#ledger = ledger;
    this.#random = random;
    for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  }

  go(): void {
    if (this.#goes) return;
    this.#goes = true;
    this.#round = this.#acts();
  }

  /** Resolves between two acts. */
  async rest(): Promise<void> {
    this.#goes = false;
    await this.#round;
  }

  async #acts(): Promise<void> {
    while (this.#goes) {
      try {
        this.#act();
      } catch (error) {
        // The other side was here between the look and the act: a person tries something else.
        if (!gone.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
      await sleep(this.#random() * REST);
    }
  }

  #act(): void {
    const files = filesIn(this.#root, false);
    const file = this.#pick(files);
    const place = inItsCase(join(this.#root, this.#pick(FOLDERS) ?? "", this.#pick(NAMES) ?? ""));
    const act = this.#random() * (files.length > FULL ? 8 : 10);
    if (file === undefined) this.#write(place);
    else if (act < 1) this.#delete(file);
    else if (act < 2) this.#move(file, place);
    else if (act < 2.2) this.#move(file, join(dirname(file), otherCase(basename(file))));
    else if (act < 2.5) this.#swap(file, this.#pick(files) ?? file);
    else if (act < 4) this.#saveBeside(file);
    else if (act < 5) this.#saveAfterBackup(file);
    else if (act < 6) this.#append(file);
    else if (act < 8) this.#write(file);
    else this.#write(place);
  }

  #content(): Buffer {
    const head = Buffer.from(`${this.#name} ${++this.#saves}\n`);
    return Buffer.concat([head, Buffer.alloc(this.#random() < 0.1 ? LARGE : this.#random() * 2000, head)]);
  }

  /** In place: opened, cut to nothing, written. */
  #write(path: string): void {
    const bytes = this.#content();
    this.#destroyed(path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    this.#saved(path, bytes);
  }

  #append(path: string): void {
    const line = `${this.#name} ${++this.#saves}\n`;
    this.#destroyed(path);
    appendFileSync(path, line);
    this.#saved(path, readFileSync(path));
  }

  #saveBeside(path: string): void {
    const bytes = this.#content();
    const beside = `${path}.tmp`;
    const fd = openSync(beside, "w");
    try {
      writeSync(fd, bytes);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    this.#destroyed(path);
    renameSync(beside, path);
    this.#saved(path, bytes);
  }

  #saveAfterBackup(path: string): void {
    const backup = inItsCase(`${path}~`);
    this.#destroyed(backup);
    renameSync(path, backup);
    this.#write(path);
  }

  #move(from: string, to: string): void {
    if (existsSync(to)) return;
    renameSync(from, to);
  }

  #swap(one: string, other: string): void {
    const between = join(this.#root, `${basename(one)}.tmp`);
    if (one === other || existsSync(between)) return;
    renameSync(one, between);
    renameSync(other, one);
    renameSync(between, other);
  }

  #delete(path: string): void {
    this.#destroyed(path);
    rmSync(path);
  }

  #saved(path: string, bytes: Uint8Array): void {
    this.#ledger.saved(bytes, `${relative(this.#root, path)} by ${this.#name}`);
  }

  #destroyed(path: string): void {
    if (existsSync(path)) this.#ledger.destroyed(readFileSync(path));
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random() * list.length)];
  }
}

/** As on a disk where two names that differ in case alone are one: a vault has no room for both. */
function inItsCase(path: string): string {
  const folder = dirname(path);
  if (!existsSync(folder)) return path;
  const wanted = basename(path).toLowerCase();
  return join(folder, readdirSync(folder).find((name) => name.toLowerCase() === wanted) ?? basename(path));
}

function otherCase(name: string): string {
  return name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase();
}

const gone: ReadonlySet<string> = new Set(["ENOENT", "EEXIST", "EISDIR", "ENOTDIR", "ENOTEMPTY"]);
