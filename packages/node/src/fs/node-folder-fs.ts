import * as fs from "node:fs";
import { chmod, link, readlink, realpath, statfs, symlink, unlink, utimes } from "node:fs/promises";
import { promisify } from "node:util";
import type { DiskFacts, DiskListing, FolderFs, ReadFile } from "@tidelock/core/ports-fs";
import { createNodeFs, errno, FLUSHED, withFile } from "./node-fs.ts";
import { createPacer } from "./paced.ts";

const open = promisify(fs.open);
const close = promisify(fs.close);
const fsync = promisify(fs.fsync);
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
/** Read and written without the thread pool. */
const SMALL = 128 << 10;
/** Stats of one folder that wait at a time: one each of 100,000 entries would be memory for nothing. */
const AT_ONCE = 256;

/** The real file system, for folders that other programs write to. */
export function createNodeFolderFs(): FolderFs {
  const paced = createPacer();

  const look = (path: string): Promise<DiskFacts> =>
    paced(
      () => factsOf(fs.lstatSync(path, BIG)),
      async () => factsOf(await lstat(path, BIG)),
    );

  async function lookIfThere(path: string): Promise<DiskFacts | undefined> {
    const stat = await paced(
      () => fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }),
      () => lstat(path, BIG).catch(gone),
    );
    return stat === undefined ? undefined : factsOf(stat);
  }

  /** As `withFile`, where nothing between opening and closing is likely to wait. */
  async function withOpen<T>(path: string, flags: number, work: (fd: number) => Promise<T>): Promise<T> {
    const fd = await paced(
      () => fs.openSync(path, flags),
      () => open(path, flags),
    );
    const done = (): Promise<void> =>
      paced(
        () => fs.closeSync(fd),
        () => close(fd),
      );
    let result: T;
    try {
      result = await work(fd);
    } catch (error) {
      await done().catch(() => undefined);
      throw error;
    }
    // A network file system may report a failed write only here.
    await done();
    return result;
  }

  async function writeAll(fd: number, bytes: Uint8Array, from: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const left = bytes.length - at;
      const pooled = async (): Promise<number> => (await write(fd, bytes, at, left, from + at)).bytesWritten;
      at += await (left > SMALL
        ? pooled()
        : paced(() => fs.writeSync(fd, bytes, at, left, from + at), pooled));
    }
  }

  return {
    ...createNodeFs(),
    link: (from, to) =>
      paced(
        () => fs.linkSync(from, to),
        () => link(from, to),
      ),
    unlink: (path) =>
      paced(
        () => fs.unlinkSync(path),
        () => unlink(path),
      ),
    syncFile: (path) => withOpen(path, FLUSHED, (fd) => fsync(fd)),
    look,
    async list(path): Promise<DiskListing> {
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
    },
    async readPieces(path, most, take) {
      const small = await paced(
        () => readSmall(path, most),
        () => Promise.resolve(undefined),
      );
      if (small !== undefined) {
        if (small.bytes.length > 0) await take(small.bytes);
        return small.file;
      }
      return withFile(path, OPEN, async (fd) => {
        const before = fileFacts(await fstat(fd, BIG), path, most);
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
      });
    },
    writePieces: (path, work) =>
      withOpen(path, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, (fd) => {
        let length = 0;
        return work(async (bytes) => {
          await writeAll(fd, bytes, length);
          length += bytes.length;
        });
      }),
    readLink: async (path) => new Uint8Array(await readlink(path, { encoding: "buffer" })),
    symlink: (target, path) => symlink(Buffer.from(target), path),
    chmod,
    setTime: (path, mtime) => {
      // A number of seconds with a fraction has about a quarter of a microsecond: its middle is not cut to the one before.
      const seconds = (mtime + 0.5) / 1e6;
      return paced(
        () => fs.utimesSync(path, seconds, seconds),
        () => utimes(path, seconds, seconds),
      );
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

/** All of a small file, without a turn of anybody between its two looks; undefined where it is a large one. */
function readSmall(
  path: string,
  most: number,
): { readonly bytes: Uint8Array; readonly file: ReadFile } | undefined {
  const fd = fs.openSync(path, OPEN);
  try {
    const before = fileFacts(fs.fstatSync(fd, BIG), path, most);
    if (before.size > SMALL) return undefined;
    const buffer = new Uint8Array(before.size + 1);
    let length = 0;
    while (length < buffer.length) {
      const count = fs.readSync(fd, buffer, length, buffer.length - length, length);
      if (count === 0) break;
      length += count;
    }
    // What has grown meanwhile is not whole here, and its second look tells.
    const after = factsOf(fs.fstatSync(fd, BIG));
    return { bytes: buffer.subarray(0, length), file: { length, before, after } };
  } finally {
    fs.closeSync(fd);
  }
}

function fileFacts(stat: fs.BigIntStats, path: string, most: number): DiskFacts {
  const facts = factsOf(stat);
  if (facts.kind !== "file") throw errno(facts.kind === "dir" ? "EISDIR" : "EINVAL", path);
  if (facts.size > most) throw errno("EFBIG", path);
  return facts;
}

function gone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw error;
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
