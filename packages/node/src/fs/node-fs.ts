import * as fs from "node:fs";
import { link, lstat, mkdir, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { promisify } from "node:util";
import type { FileStat, Fs } from "@tidelock/core/ports-fs";

// Descriptors and not FileHandles: half the cost for many small files.
const open = promisify(fs.open);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const close = promisify(fs.close);
const read = promisify(fs.read) as unknown as (
  ...args: [number, Uint8Array, number, number, number]
) => Promise<{ bytesRead: number }>;
const write = promisify(fs.write) as unknown as (
  ...args: [number, Uint8Array, number, number, number]
) => Promise<{ bytesWritten: number }>;

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = fs.constants;
// Absent on Windows, where a link needs rights that a plain account lacks.
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
// So that a pipe under one of our names cannot hold us.
const O_NONBLOCK = fs.constants.O_NONBLOCK ?? 0;

/** Writable where Windows flushes only such handles. */
export const FLUSHED: number = (process.platform === "win32" ? fs.constants.O_RDWR : O_RDONLY) | O_NOFOLLOW;

/** The real file system. `fsync` of Node is `F_FULLFSYNC` on macOS, so a sync there reaches the medium too. */
export function createNodeFs(): Fs {
  return {
    async readFile(path, max, at = 0) {
      return withFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, async (fd) => {
        const stat = await fstat(fd);
        if (stat.isDirectory()) throw errno("EISDIR", path);
        if (!stat.isFile()) throw errno("EINVAL", path);
        const bytes = new Uint8Array(Math.max(0, Math.min(stat.size - at, max)));
        let length = 0;
        while (length < bytes.length) {
          const { bytesRead } = await read(fd, bytes, length, bytes.length - length, at + length);
          if (bytesRead === 0) return bytes.slice(0, length);
          length += bytesRead;
        }
        return bytes;
      });
    },
    async writeFileNew(path, bytes) {
      await withFile(path, O_WRONLY | O_CREAT | O_EXCL, async (fd) => {
        let at = 0;
        while (at < bytes.length) at += (await write(fd, bytes, at, bytes.length - at, at)).bytesWritten;
      });
    },
    async syncFile(path) {
      await withFile(path, FLUSHED, (fd) => fsync(fd));
    },
    link,
    unlink,
    rmdir,
    rename,
    readdir,
    async mkdir(path) {
      await mkdir(path);
    },
    async stat(path) {
      return statOf(await lstat(path));
    },
    async syncDir(path) {
      // Windows opens no directory for this; NTFS journals its entries in order.
      if (process.platform === "win32") return;
      await withFile(path, O_RDONLY, (fd) => fsync(fd));
    },
    watch(path, hint) {
      try {
        const watcher = fs.watch(path, { persistent: false }, () => hint());
        // Polling goes on without it.
        watcher.on("error", () => watcher.close());
        return () => watcher.close();
      } catch {
        return () => {};
      }
    },
  };
}

export async function withFile<T>(path: string, flags: number, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = await open(path, flags);
  let result: T;
  try {
    result = await work(fd);
  } catch (error) {
    await close(fd).catch(() => {});
    throw error;
  }
  // A network file system may report a failed write only here.
  await close(fd);
  return result;
}

function statOf(stat: fs.Stats): FileStat {
  const kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
  return { kind, size: stat.size, mtime: stat.mtimeMs, dev: stat.dev, ino: stat.ino };
}

export function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
