/** The real disk under a volume that takes several spellings for one name, as it would: the first spelling stays, and finds it. */
import { readdirSync } from "node:fs";
import type { FolderFs } from "@tidelock/core/ports-fs";

/** `key`: equal for names that this volume takes for one. Above `root` everything is as it is. */
export function caselessFs(fs: FolderFs, root: string, key: (name: string) => string): FolderFs {
  const resolve = (path: string): string => {
    if (!path.startsWith(`${root}/`)) return path;
    let at = root;
    for (const name of path.slice(root.length + 1).split("/")) at = `${at}/${spelledIn(at, name)}`;
    return at;
  };
  const spelledIn = (folder: string, name: string): string => {
    try {
      const names = readdirSync(folder);
      if (names.includes(name)) return name;
      return names.find((one) => key(one) === key(name)) ?? name;
    } catch {
      return name;
    }
  };
  /** Another spelling of the same thing is taken up; anything else that is there stays as it is spelled. */
  const renamed = (from: string, to: string): string => {
    const at = resolve(to);
    return at === from ? `${at.slice(0, at.lastIndexOf("/"))}/${to.slice(to.lastIndexOf("/") + 1)}` : at;
  };
  return new Proxy(fs, {
    get: (target, name: string) => {
      const work = (target as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
      if (work === undefined) return undefined;
      return (...args: readonly unknown[]) => {
        const [first, second, ...rest] = args as [string, string, ...unknown[]];
        if (name === "rename") return work.call(target, resolve(first), renamed(resolve(first), second));
        if (name === "link") return work.call(target, resolve(first), resolve(second));
        if (name === "symlink") return work.call(target, first, resolve(second));
        return work.call(target, resolve(first), second, ...rest);
      };
    },
  });
}
