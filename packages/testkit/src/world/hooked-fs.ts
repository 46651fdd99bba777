import type { Fs } from "@tidelock/core/ports-fs";
import type { DiskHooks } from "./sim-disk.ts";
import { errno } from "./sim-image.ts";

/** Any file system, with errors injected before or after its calls; `schedule` has no meaning here. */
export function hookedFs(fs: Fs, hooks: Pick<DiskHooks, "before" | "after">): Fs {
  const call =
    <A extends readonly [string, ...unknown[]], T>(
      op: Exclude<keyof Fs, "watch">,
      work: (...args: A) => Promise<T>,
    ) =>
    async (...args: A): Promise<T> => {
      const to = op === "link" || op === "rename" ? { to: args[1] as string } : {};
      const what = { op, path: args[0], ...to };
      const before = hooks.before?.(what);
      if (before !== undefined) throw errno(before, args[0]);
      const value = await work(...args);
      const after = hooks.after?.(what);
      if (after !== undefined) throw errno(after, args[0]);
      return value;
    };
  return {
    readFile: call("readFile", (path: string, max: number, at?: number) => fs.readFile(path, max, at)),
    writeFileNew: call("writeFileNew", (path: string, bytes: Uint8Array) => fs.writeFileNew(path, bytes)),
    syncFile: call("syncFile", (path: string) => fs.syncFile(path)),
    link: call("link", (from: string, to: string) => fs.link(from, to)),
    unlink: call("unlink", (path: string) => fs.unlink(path)),
    mkdir: call("mkdir", (path: string) => fs.mkdir(path)),
    rmdir: call("rmdir", (path: string) => fs.rmdir(path)),
    rename: call("rename", (from: string, to: string) => fs.rename(from, to)),
    readdir: call("readdir", (path: string) => fs.readdir(path)),
    stat: call("stat", (path: string) => fs.stat(path)),
    syncDir: call("syncDir", (path: string) => fs.syncDir(path)),
    watch: (path, hint) => fs.watch(path, hint),
  };
}
