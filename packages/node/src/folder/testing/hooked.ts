/** The real disk under a process that dies, or is disturbed, at a call of its own. */
import type { FolderFs } from "@tidelock/core/ports-fs";

/** Those that change something. */
const changing: ReadonlySet<string> = new Set(
  "writeFileNew writePieces syncFile link unlink mkdir rmdir rename syncDir symlink chmod setTime".split(" "),
);

export interface Calls {
  readonly fs: FolderFs;
  /** Changing calls that were begun. */
  readonly count: () => number;
}

/** From the `n`th changing call on nothing is done any more; odd ones are done first, as when only the answer is lost. */
export function dyingFs(fs: FolderFs, n: number): Calls {
  let count = 0;
  const dead = (): never => {
    throw Object.assign(new Error("the process is dead"), { code: "EIO" });
  };
  return {
    count: () => count,
    fs: wrapped(fs, async (name, call) => {
      if (!changing.has(name)) return count >= n ? dead() : call();
      count++;
      if (count < n) return call();
      if (count === n && n % 2 === 1) await call();
      return dead();
    }),
  };
}

/** `before` runs ahead of each call of that name, with its path: another program on the same disk. */
export function disturbedFs(fs: FolderFs, name: keyof FolderFs, before: (path: string) => void): FolderFs {
  return wrapped(fs, async (called, call, path) => {
    if (called === name) before(path);
    return call();
  });
}

function wrapped(
  fs: FolderFs,
  around: (name: string, call: () => Promise<unknown>, path: string) => Promise<unknown>,
): FolderFs {
  return new Proxy(fs, {
    get: (target, name: string) => {
      const work = (target as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
      if (work === undefined || name === "hints" || name === "watch") return work;
      return (...args: unknown[]) =>
        around(name, async () => work.apply(target, args), String(args[name === "symlink" ? 1 : 0]));
    },
  });
}
