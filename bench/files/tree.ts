/** Trees as the workloads need them: made, waited for at little cost, and compared byte by byte. */
import { createHash, randomFillSync } from "node:crypto";
import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Tree {
  readonly folders: number;
  /** In each. */
  readonly files: number;
  readonly bytes: number;
}

const PIECE = 1 << 20;

/** Bytes that nothing compresses. */
export function makeTree(root: string, { folders, files, bytes }: Tree): void {
  const buffer = Buffer.alloc(bytes);
  for (let i = 0; i < folders; i++) {
    const folder = join(root, folderName(i));
    mkdirSync(folder, { recursive: true });
    for (let j = 0; j < files; j++) writeFileSync(join(folder, `file ${j}.bin`), randomFillSync(buffer));
  }
}

export function makeFile(path: string, bytes: number): void {
  const file = openSync(path, "w");
  const buffer = Buffer.alloc(PIECE);
  for (let left = bytes; left > 0; left -= PIECE)
    writeSync(file, randomFillSync(buffer), 0, Math.min(left, PIECE));
  closeSync(file);
}

/** In the middle of it, in place. */
export function flipByte(path: string): void {
  const file = openSync(path, "r+");
  const byte = byteOf(file);
  writeSync(file, Buffer.from([byte ^ 0xff]), 0, 1, statSync(path).size >> 1);
  closeSync(file);
}

/** Undefined where it is not there: some who replace a file are without it for a moment. */
export function middleByte(path: string): number | undefined {
  const file = attempt(() => openSync(path, "r"));
  if (file === undefined) return undefined;
  try {
    return byteOf(file);
  } finally {
    closeSync(file);
  }
}

export function textOf(path: string): string | undefined {
  return attempt(() => readFileSync(path, "utf8"));
}

function byteOf(file: number): number {
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, fstatSync(file).size >> 1);
  return byte[0] as number;
}

/** Asks whether all of a tree is there. What was found whole is not looked at again. */
export function whole(root: string, { folders, files }: Tree): () => boolean {
  let next = 0;
  return () => {
    while (next < folders && count(join(root, folderName(next))) === files) next++;
    return next === folders;
  };
}

export function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Waits nine times as long as a look took: a tenth of one core at most goes into looking. */
export async function until(what: string, is: () => boolean, patience: number): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    const began = performance.now();
    if (is()) return;
    if (began > end) throw new Error(`waited ${patience / 1000} s: ${what}`);
    await sleep(Math.max(2, 9 * (performance.now() - began)));
  }
}

/** Throws where a file, a folder or a byte differs. */
export async function compare(left: string, right: string): Promise<number> {
  const [one, other] = [await contentsOf(left), await contentsOf(right)];
  for (const [path, hash] of one)
    if (other.get(path) !== hash)
      throw new Error(`the result is wrong: ${path} ${other.has(path) ? "differs" : "is not there"}`);
  if (one.size !== other.size)
    throw new Error(`the result is wrong: ${other.size - one.size} items too many`);
  return one.size;
}

/** What a program keeps for itself begins with a dot. */
async function contentsOf(
  root: string,
  under = "",
  out = new Map<string, string>(),
): Promise<Map<string, string>> {
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const path = join(under, entry.name);
    if (entry.isDirectory()) {
      out.set(path, "folder");
      await contentsOf(root, path, out);
    } else {
      const hash = createHash("sha256");
      if (statSync(join(root, path)).size <= PIECE) hash.update(readFileSync(join(root, path)));
      else
        for await (const part of createReadStream(join(root, path), { highWaterMark: PIECE }))
          hash.update(part);
      out.set(path, hash.digest("hex"));
    }
  }
  return out;
}

function folderName(i: number): string {
  return `folder ${i}`;
}

/** Without what a program receives under a name of its own. */
function count(folder: string): number {
  return attempt(() => readdirSync(folder))?.filter((name) => !name.startsWith(".")).length ?? 0;
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
