/** One process's view of a shared disk: each call can fail, take its time, or be its last. */
import type { DiskFacts, DiskListing, FileStat, FolderFs, ReadFile } from "@tidelock/core/ports-fs";
import type { FolderImage } from "./folder-image.ts";
import { errno } from "./sim-image.ts";

export interface FolderHooks {
  /** Asked before each call and again after it was done: an errno name with which it fails. May end the process. */
  readonly point: (call: string, when: "before" | "after", path: string, from?: string) => string | undefined;
  /** Runs `step` when it is its turn: what others do in between is done. */
  readonly schedule: (step: () => void) => void;
  /** Whether a hint gets through. */
  readonly hint: () => boolean;
}

export interface FolderMount extends FolderFs {
  /** The process dies: its calls take no effect from now on and never settle. */
  kill(): void;
}

/** Bytes of a small file that are read at once; of a larger one a third. */
const PIECE = 16;

export function mountFolder(image: FolderImage, hooks: FolderHooks): FolderMount {
  let dead = false;

  function now<T>(name: string, path: string, effect: () => T, from?: string): T {
    const before = hooks.point(name, "before", path, from);
    if (dead) throw errno("EIO", path);
    if (before !== undefined) throw errno(before, path);
    const value = effect();
    const after = hooks.point(name, "after", path, from);
    if (dead) throw errno("EIO", path);
    if (after !== undefined) throw errno(after, path);
    return value;
  }

  function call<T>(name: string, path: string, effect: () => T, from?: string): Promise<T> {
    return new Promise((resolve, reject) => {
      hooks.schedule(() => {
        if (dead) return;
        try {
          const value = now(name, path, effect, from);
          hooks.schedule(() => dead || resolve(value));
        } catch (error) {
          if (!dead) hooks.schedule(() => dead || reject(error as Error));
        }
      });
    });
  }

  const part = (bytes: Uint8Array, max: number, at = 0): Uint8Array => bytes.slice(at, at + max);

  const fs: FolderFs = {
    readFile: (path, max, at) => call("readFile", path, () => part(image.read(path), max, at)),
    writeFileNew: (path, bytes) => call("writeFileNew", path, () => image.create(path, bytes)),
    syncFile: (path) => call("syncFile", path, () => image.syncFile(path)),
    link: (from, to) => call("link", to, () => image.link(from, to), from),
    unlink: (path) => call("unlink", path, () => image.unlink(path)),
    mkdir: (path) => call("mkdir", path, () => image.mkdir(path)),
    rmdir: (path) => call("rmdir", path, () => image.rmdir(path)),
    rename: (from, to) => call("rename", to, () => image.rename(from, to), from),
    readdir: (path) => call("readdir", path, () => image.list(path).entries.map(({ name }) => name)),
    stat: (path) => call("stat", path, () => statOf(image.look(path))),
    syncDir: (path) => call("syncDir", path, () => image.syncDir(path)),
    watch: (path, hint) => fs.hints(path, hint, () => undefined),
    look: (path): Promise<DiskFacts> => call("look", path, () => image.look(path)),
    list: (path): Promise<DiskListing> => call("list", path, () => image.list(path)),
    async readPieces(path, most, take): Promise<ReadFile> {
      const before = await call("open", path, () => image.look(path));
      if (before.kind !== "file") throw errno(before.kind === "dir" ? "EISDIR" : "ELOOP", path);
      if (before.size > most) throw errno("EFBIG", path);
      let length = 0;
      const atOnce = Math.max(PIECE, Math.ceil(before.size / 3));
      for (;;) {
        // Somebody may write between two pieces: the bytes are then of two moments.
        const piece = await call("read", path, () => part(image.read(path), atOnce, length));
        if (piece.length === 0) break;
        await take(piece);
        length += piece.length;
        if (length > most) break;
      }
      return { length, before, after: await call("fstat", path, () => image.look(path)) };
    },
    async writePieces(path, work) {
      await call("writeFileNew", path, () => image.create(path, new Uint8Array(0)));
      let written = new Uint8Array(0);
      return work(async (bytes) => {
        const more = new Uint8Array(written.length + bytes.length);
        more.set(written);
        more.set(bytes, written.length);
        await call("write", path, () => image.overwrite(path, more));
        written = more;
      });
    },
    readLink: (path) => call("readLink", path, () => image.readLink(path)),
    symlink: (target, path) => call("symlink", path, () => image.create(path, target, "link")),
    chmod: (path, mode) => call("chmod", path, () => image.chmod(path, mode)),
    setTime: (path, mtime) => call("setTime", path, () => image.setTime(path, mtime)),
    // Nobody here leads a path elsewhere.
    realPath: (path) => call("realPath", path, () => image.look(path)).then(() => path),
    hints(path, hint, lost) {
      try {
        return image.watch(path, () => {
          if (hooks.hint()) hooks.schedule(() => dead || hint());
        });
      } catch {
        lost();
        return () => undefined;
      }
    },
    space: (path) => call("space", path, () => image.space()),
  };
  return {
    ...fs,
    kill() {
      dead = true;
    },
  };
}

function statOf({ kind, size, mtimeNs, ino }: DiskFacts): FileStat {
  const is = kind === "dir" ? "directory" : kind === "file" ? "file" : "other";
  return { kind: is, size, mtime: Number(mtimeNs) / 1e6, dev: 1, ino: Number(ino) };
}
