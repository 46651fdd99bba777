import * as fs from "node:fs";
import { chmod, readlink, realpath, statfs, symlink, utimes } from "node:fs/promises";
import { promisify } from "node:util";
import type { DiskFacts, DiskListing, FolderFs } from "@tidelock/core/ports-fs";
import { createNodeFs, errno, withFile } from "./node-fs.ts";

const fstat = promisify(fs.fstat) as (fd: number, options: { bigint: true }) => Promise<fs.BigIntStats>;
const lstat = promisify(fs.lstat) as (path: string, options: { bigint: true }) => Promise<fs.BigIntStats>;
const readdir = promisify(fs.readdir) as (
  path: string,
  options: { encoding: "buffer" },
) => Promise<readonly Buffer[]>;
const read = promisify(fs.read) as unknown as (
  ...args: [number, Uint8Array, number, number, number]
) => Promise<{ bytesRead: number }>;

const write = promisify(fs.write) as unknown as (
  ...args: [number, Uint8Array, number, number, number]
) => Promise<{ bytesWritten: number }>;

// A pipe under a file's name must not hold us; a link must not lead us out.
const OPEN = fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0);
const BIG = { bigint: true } as const;
/** Read at once. */
const PIECE = 4 << 20;
/** Stats of one folder that wait at a time: one each of 100,000 entries would be memory for nothing. */
const AT_ONCE = 256;

/** The real file system, for folders that other programs write to. */
export function createNodeFolderFs(): FolderFs {
  return {
    ...createNodeFs(),
    look: async (path) => factsOf(await lstat(path, BIG)),
    list,
    readPieces: (path, most, take) =>
      withFile(path, OPEN, async (fd) => {
        const before = factsOf(await fstat(fd, BIG));
        if (before.kind !== "file") throw errno(before.kind === "dir" ? "EISDIR" : "EINVAL", path);
        if (before.size > most) throw errno("EFBIG", path);
        // One byte more: the end is seen with the last piece of a small file.
        const buffer = new Uint8Array(Math.min(PIECE, before.size + 1));
        let length = 0;
        while (length <= most) {
          const { bytesRead } = await read(fd, buffer, 0, buffer.length, length);
          if (bytesRead === 0) break;
          await take(buffer.subarray(0, bytesRead));
          length += bytesRead;
          if (bytesRead < buffer.length) break;
        }
        return { length, before, after: factsOf(await fstat(fd, BIG)) };
      }),
    writePieces: (path, work) =>
      withFile(path, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, (fd) => {
        let length = 0;
        return work(async (bytes) => {
          for (let at = 0; at < bytes.length; ) {
            const { bytesWritten } = await write(fd, bytes, at, bytes.length - at, length);
            at += bytesWritten;
            length += bytesWritten;
          }
        });
      }),
    readLink: async (path) => new Uint8Array(await readlink(path, { encoding: "buffer" })),
    symlink: (target, path) => symlink(Buffer.from(target), path),
    chmod,
    setTime: (path, mtime) => {
      // A number of seconds with a fraction has about a quarter of a microsecond: its middle is not cut to the one before.
      const seconds = (mtime + 0.5) / 1e6;
      return utimes(path, seconds, seconds);
    },
    realPath: (path) => realpath(path),
    hints: (path, hint, lost) => {
      try {
        const watcher = fs.watch(path, { persistent: false }, () => hint());
        watcher.on("error", () => {
          watcher.close();
          lost();
        });
        return () => watcher.close();
      } catch {
        lost();
        return () => undefined;
      }
    },
    space: async (path) => {
      const { bavail, blocks, bsize } = await statfs(path);
      return { free: bavail * bsize, total: blocks * bsize };
    },
  };
}

async function list(path: string): Promise<DiskListing> {
  const names: string[] = [];
  const notText: Uint8Array[] = [];
  for (const bytes of await readdir(path, { encoding: "buffer" })) {
    const name = textOf(bytes);
    if (name === undefined) notText.push(new Uint8Array(bytes));
    else names.push(name);
  }
  const entries: DiskListing["entries"][number][] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const all = await Promise.all(some.map((name) => lookIfThere(`${path}/${name}`)));
    all.forEach((facts, i) => {
      if (facts !== undefined) entries.push({ ...facts, name: some[i] as string });
    });
  }
  return { entries, notText };
}

async function lookIfThere(path: string): Promise<DiskFacts | undefined> {
  try {
    return factsOf(await lstat(path, BIG));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Undefined where the bytes would not come back from the text. */
function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}

function factsOf(stat: fs.BigIntStats): DiskFacts {
  return {
    kind: stat.isFile() ? "file" : stat.isDirectory() ? "dir" : stat.isSymbolicLink() ? "link" : "other",
    size: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    birthtimeNs: stat.birthtimeNs,
    // Signed, as it is stored: some systems use all 64 bits.
    ino: BigInt.asIntN(64, stat.ino),
    dev: stat.dev,
    links: Number(stat.nlink),
    mode: Number(stat.mode & 0o7777n),
  };
}
