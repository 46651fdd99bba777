/**
 * The steps that change a synced folder. Each states what it expects to find and answers `moved`
 * where the disk is not like that any more: then somebody else was here, and the planner looks
 * again. Nothing is ever overwritten, nothing is followed out of the root, and only names that
 * were made here are removed.
 */
import type { Fingerprint } from "@tidelock/core/kinds/files/plan/types";
import type { DiskFacts, FolderFs } from "@tidelock/core/ports-fs";
import { errnoOf } from "../home/files.ts";
import { comparable, isLitter } from "./ignore.ts";
import { type FolderPlace, isGone, removeFile } from "./root.ts";
import { parentKey, sameBytesLikely, samePrint } from "./seen.ts";

export type Done = { readonly kind: "done"; readonly facts: DiskFacts } | Moved;
export interface Moved {
  readonly kind: "moved";
}

const MOVED: Moved = { kind: "moved" };
type Expected = Fingerprint & Pick<DiskFacts, "kind">;

export interface HandsDeps {
  readonly fs: FolderFs;
  readonly place: FolderPlace;
  readonly random: () => string;
  /** Of the volume: a second name for a file never replaces another. */
  readonly hardLinks: boolean;
  /** Permission bits that new files get here. */
  readonly mode: number;
}

export interface FileLook {
  /** Microseconds since 1970. */
  readonly mtime: number;
  readonly executable: boolean;
}

/** As every disk can keep it: 1970-01-02 to 2106-01-01, µs. */
const EARLIEST = 86_400_000_000;
const LATEST = 4_291_747_200_000_000;

/** Microseconds since 1970. */
export function timeOf(mtime: number): number {
  return Math.min(LATEST, Math.max(EARLIEST, mtime));
}

export class Hands {
  readonly #deps: HandsDeps;
  /** Paths of folders whose entries changed since the last flush. */
  readonly #touched = new Set<string>();

  constructor(deps: HandsDeps) {
    this.#deps = deps;
  }

  path(key: string): string {
    const { root } = this.#deps.place;
    return key === "" ? root : `${root}/${key}`;
  }

  /** A whole file in our own room, durable, with its time and mode, once `fill` says that it is `ok`: the only way bytes come near the tree. */
  async make<T extends { readonly kind: string }>(
    look: FileLook,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
  ): Promise<{ readonly path: string; readonly filled: T }> {
    const { fs, place, random } = this.#deps;
    const path = `${place.tmp}/${random()}`;
    const filled = await fs.writePieces(path, fill);
    if (filled.kind !== "ok") return { path, filled };
    if (look.executable) await fs.chmod(path, this.#executable(this.#deps.mode));
    await fs.setTime(path, timeOf(look.mtime));
    await fs.syncFile(path);
    return { path, filled };
  }

  /** Who may read it may run it. */
  #executable(mode: number): number {
    return mode | ((mode & 0o444) >> 2);
  }

  discard(made: string): Promise<void> {
    return removeFile(this.#deps.fs, made);
  }

  async create(made: string, key: string): Promise<Done> {
    const { fs, hardLinks } = this.#deps;
    const target = this.path(key);
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      if (hardLinks) {
        await fs.link(made, target);
        await fs.unlink(made);
      } else {
        if (!(await this.#isFree(target))) return MOVED;
        await fs.rename(made, target);
      }
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(key);
  }

  /**
   * `made` takes the place of a file that looks as expected. What stood there lies in our stage
   * under a name that was noted before; whether somebody wrote to it meanwhile is judged there.
   */
  async replace(made: string, key: string, expected: Fingerprint, staged: string): Promise<Done> {
    const { fs, hardLinks } = this.#deps;
    const [target, stage] = [this.path(key), this.staged(staged)];
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      if (!samePrint(await fs.look(target), expected)) return MOVED;
      if (hardLinks) {
        await fs.link(target, stage);
        // What a program put under the name since is not what is held: it stays.
        const there = await fs.look(target);
        if (there.ino !== expected.ino || !sameBytesLikely(there, expected)) return MOVED;
      } else {
        await fs.rename(target, stage);
        if (!(await this.#isFree(target))) return MOVED;
      }
      await fs.rename(made, target);
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(key);
  }

  staged(name: string): string {
    return `${this.#deps.place.stage}/${name}`;
  }

  /** Whether what lies there is still what it was when it was last agreed on; undefined where nothing does. */
  async isUntouched(staged: string, expected: Fingerprint): Promise<boolean | undefined> {
    const facts = await this.lookIfThere(this.staged(staged));
    return facts === undefined ? undefined : sameBytesLikely(facts, expected);
  }

  /** A folder or file to another free name; a file that was written to since is sent first. */
  async move(from: string, to: string, expected: Expected): Promise<Done> {
    const { fs, hardLinks } = this.#deps;
    const [old, target] = [this.path(from), this.path(to)];
    if (!((await this.#isInside(parentKey(from))) && (await this.#isInside(parentKey(to))))) return MOVED;
    try {
      const facts = await fs.look(old);
      if (facts.ino !== expected.ino || facts.kind !== expected.kind) return MOVED;
      if (facts.kind === "file" && !sameBytesLikely(facts, expected)) return MOVED;
      const there = await this.lookIfThere(target);
      const same = there !== undefined && there.ino === facts.ino && there.dev === facts.dev;
      if (there !== undefined && !same) return MOVED;
      if (hardLinks && facts.kind === "file" && !same) {
        await fs.link(old, target);
        if (!(await this.#takeName(old, expected))) return MOVED;
      } else if (same && there.links > 1 && comparable(from) !== comparable(to)) {
        // Two names of one file: cut short between the two calls the last time.
        if (!(await this.#takeName(old, expected))) return MOVED;
      } else {
        // Free, or another spelling of one name.
        await fs.rename(old, target);
      }
    } catch (error) {
      return movedBy(error);
    }
    this.#touch(from);
    return this.#done(to);
  }

  /** Takes away one of two names of a file; false where a program had put another file under it, which stays. */
  async #takeName(path: string, expected: Expected): Promise<boolean> {
    const { fs, random } = this.#deps;
    const aside = this.staged(random());
    // Aside first: what it was is known for certain only where nobody else comes.
    await fs.rename(path, aside);
    const isIt = (await fs.look(aside)).ino === expected.ino;
    if (!isIt) await fs.link(aside, path);
    await fs.unlink(aside);
    return isIt;
  }

  /** Out of our stage to a name, where that is free. */
  async fromAside(staged: string, to: string): Promise<Done> {
    const { fs } = this.#deps;
    if (!(await this.#isInside(parentKey(to)))) return MOVED;
    try {
      if (!(await this.#isFree(this.path(to)))) return MOVED;
      await fs.rename(this.staged(staged), this.path(to));
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(to);
  }

  /** Out of the tree, to a free path of ours. Another that came under the name between the look and the step goes back, if it can. */
  async take(key: string, expected: Fingerprint, into: string): Promise<Done> {
    const { fs } = this.#deps;
    const target = this.path(key);
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      if (!samePrint(await fs.look(target), expected)) return MOVED;
      await fs.rename(target, into);
      this.#touch(key);
      this.#touched.add(into.slice(0, into.lastIndexOf("/")));
      const facts = await fs.look(into);
      if (facts.ino === expected.ino && sameBytesLikely(facts, expected)) return { kind: "done", facts };
      if (await this.#isFree(target)) await fs.rename(into, target);
      return MOVED;
    } catch (error) {
      return movedBy(error);
    }
  }

  async makeFolder(key: string): Promise<Done> {
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      // One that is there already may be another that the disk takes for this: the next look tells.
      await this.#deps.fs.mkdir(this.path(key));
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(key);
  }

  /** Where nothing of anybody lies in it; what a desktop leaves in every folder goes with it. */
  async removeFolder(key: string): Promise<Moved | { readonly kind: "done" }> {
    const { fs } = this.#deps;
    const path = this.path(key);
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      const { entries, notText } = await fs.list(path);
      if (notText.length > 0 || !entries.every(({ name, kind }) => kind === "file" && isLitter(name)))
        return MOVED;
      for (const { name } of entries) await removeFile(fs, `${path}/${name}`);
      await fs.rmdir(path);
    } catch (error) {
      return movedBy(error);
    }
    this.#touch(key);
    return { kind: "done" };
  }

  async makeLink(key: string, target: Uint8Array): Promise<Done> {
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      await this.#deps.fs.symlink(target, this.path(key));
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(key);
  }

  async setExecutable(key: string, expected: Fingerprint, executable: boolean): Promise<Done> {
    const { fs } = this.#deps;
    if (!(await this.#isInside(parentKey(key)))) return MOVED;
    try {
      const facts = await fs.look(this.path(key));
      if (facts.kind !== "file" || !samePrint(facts, expected)) return MOVED;
      await fs.chmod(this.path(key), executable ? this.#executable(facts.mode) : facts.mode & ~0o111);
    } catch (error) {
      return movedBy(error);
    }
    return this.#done(key);
  }

  /** Makes every step since the last flush durable: only then may anybody rely on it. */
  async flush(): Promise<void> {
    const { fs, place } = this.#deps;
    for (const path of this.#touched)
      await fs.syncDir(path).catch((error: unknown) => {
        // The folder itself went with a later step, and its parent is in the list.
        if (!isGone(error)) throw error;
      });
    if (this.#touched.size > 0) await fs.syncDir(place.stage);
    this.#touched.clear();
  }

  async lookIfThere(path: string): Promise<DiskFacts | undefined> {
    try {
      return await this.#deps.fs.look(path);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** What answers to this name has another: the disk takes two names of the log for one. */
  async isCalledOtherwise(key: string): Promise<boolean> {
    if ((await this.lookIfThere(this.path(key))) === undefined) return false;
    const folder = parentKey(key);
    const { entries } = await this.#deps.fs.list(this.path(folder));
    const wanted = comparable(folder === "" ? key : key.slice(folder.length + 1));
    return !entries.some(({ name }) => comparable(name) === wanted);
  }

  async #isFree(path: string): Promise<boolean> {
    return (await this.lookIfThere(path)) === undefined;
  }

  /** Every folder on the way is one, and no link that leads elsewhere. */
  async #isInside(key: string): Promise<boolean> {
    for (let at = key; at !== ""; at = parentKey(at))
      if ((await this.lookIfThere(this.path(at)))?.kind !== "dir") return false;
    return true;
  }

  #touch(key: string): void {
    this.#touched.add(this.path(parentKey(key)));
  }

  async #done(key: string): Promise<Done> {
    this.#touch(key);
    return { kind: "done", facts: await this.#deps.fs.look(this.path(key)) };
  }
}

const movedCodes: ReadonlySet<string> = new Set("ENOENT ENOTDIR EEXIST ENOTEMPTY EISDIR ELOOP".split(" "));

/** Somebody was faster; anything else is a fault of the disk. */
function movedBy(error: unknown): Moved {
  if (movedCodes.has(errnoOf(error))) return MOVED;
  throw error;
}
