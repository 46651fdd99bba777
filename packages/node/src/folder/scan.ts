/**
 * Looks at a folder of the disk. Hints name folders that may have changed; a scan lists those
 * alone, a full one all. What it answers is what stands there; what to make of it is the
 * planner's. Rules: docs/spec/folder.md.
 */
import { decodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { Clock } from "@tidelock/core/ports";
import type { DiskFacts, DiskListing, FolderFs } from "@tidelock/core/ports-fs";
import { errnoOf } from "../home/files.ts";
import { IGNORE_BYTES, IGNORE_FILE, type Ignoring, isIgnored, isTemporary, parseRules } from "./ignore.ts";
import { type FolderPlace, isGone, MARK, placeIn, readMarker } from "./root.ts";
import {
  type Apart,
  childKey,
  parentKey,
  pathKey,
  type Seen,
  type SeenFolder,
  type SeenTree,
  samePrint,
} from "./seen.ts";
import { isSettled } from "./settle.ts";

export interface ScanDeps {
  readonly fs: FolderFs;
  readonly clock: Clock;
  readonly place: FolderPlace;
  /** Whether the vault takes no file of so many bytes; it may come to. */
  readonly isTooLarge: (size: number) => boolean;
  /** Called before a folder is listed, and when it is gone: hints about it are wanted from then on, or not any more. */
  readonly entered?: (folder: string) => void;
  readonly left?: (folder: string) => void;
}

/** A file keeps changing after so many reads that somebody wrote into, or so many ms of writing. */
export const TORN = 5;
const PATIENCE = 60_000;
/** Deeper than any path that a system opens. */
const DEEPEST = 256;

export class Scanner {
  readonly #deps: ScanDeps;
  readonly tree: SeenTree = new Map();
  /** Folders to list, by path; the volume they must be of. */
  #dirty = new Set<string>([""]);
  #volume: bigint | undefined;
  #local: string | undefined;
  /** The rules in it. */
  #own: readonly Ignoring[] = [];
  #moved = false;
  #known: (facts: DiskFacts) => boolean = () => false;

  constructor(deps: ScanDeps) {
    this.#deps = deps;
  }

  /** Something in this folder may have changed. One that is not known yet is found by its nearest known one. */
  hint(folder: string): void {
    let at = folder;
    while (at !== "" && !this.tree.has(at)) at = parentKey(at);
    this.#dirty.add(at);
  }

  hintAll(): void {
    this.#dirty.add("");
    for (const path of this.tree.keys()) this.#dirty.add(path);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  entry(path: string): Seen | undefined {
    return this.tree.get(parentKey(path))?.entries.get(path.slice(path.lastIndexOf("/") + 1));
  }

  /** What came to be known of an entry beside its facts. Lost with the next change of it. */
  learn(path: string, more: Partial<Pick<Seen, "hash" | "apart" | "torn">>): void {
    const seen = this.entry(path);
    const entries = this.tree.get(parentKey(path))?.entries as Map<string, Seen> | undefined;
    if (seen !== undefined) entries?.set(seen.name, { ...seen, ...more });
  }

  /**
   * Lists what is due; whether anything is other than it was. `known`: a file that is as it was last agreed on, which
   * nobody writes to. Throws where the root itself cannot be read.
   */
  async scan(known: (facts: DiskFacts) => boolean): Promise<boolean> {
    this.#known = known;
    this.#moved = false;
    await this.#localRules();
    this.#volume = (await this.#deps.fs.look(this.#deps.place.root)).dev;
    // Parents first: what a parent lost needs no look.
    const due = [...this.#dirty].sort();
    this.#dirty = new Set();
    for (const path of due)
      if (path === "" || this.tree.has(path)) await this.#folder(path, this.#levelsAbove(path), undefined);
    return this.#moved;
  }

  /** Own rules of this device hold below those that everybody shares. */
  async #localRules(): Promise<void> {
    const { fs, place } = this.#deps;
    const text = await readText(fs, place.ignore);
    if (text !== this.#local && this.#local !== undefined) this.hintAll();
    if (text !== this.#local) this.#own = [{ depth: 0, rules: parseRules(text ?? "") }];
    this.#local = text;
  }

  #levelsAbove(path: string): readonly Ignoring[] {
    return path === "" ? this.#own : (this.tree.get(parentKey(path))?.levels ?? []);
  }

  /** Lists a folder, and those below that are new. `anew`: all below, because the rules have changed. */
  async #folder(key: string, above: readonly Ignoring[], anew: true | undefined): Promise<void> {
    const { fs, place, entered } = this.#deps;
    const path = key === "" ? [] : key.split("/");
    const at = key === "" ? place.root : `${place.root}/${key}`;
    // Before it is listed: what comes into it afterwards must be told of.
    entered?.(key);
    let listing: DiskListing;
    try {
      listing = await fs.list(at);
    } catch (error) {
      if (key === "") throw error;
      // Also one that has gone since its parent was listed: what is in it was not seen, so it is not gone.
      this.#setApart(key, "unreadable");
      if (isGone(error)) this.#dirty.add(parentKey(key));
      return;
    }
    const before = this.tree.get(key);
    const levels = await this.#levels(at, path, above, listing, before?.levels);
    const changed = anew === true || (before !== undefined && !sameLevels(before.levels, levels));
    const entries = new Map<string, Seen>();
    for (const facts of listing.entries) {
      if (key === "" && facts.name === MARK) continue;
      const seen = this.#seen(facts, before?.entries.get(facts.name), path, levels);
      entries.set(facts.name, facts.kind === "link" ? await this.#withTarget(at, seen) : seen);
    }
    this.tree.set(key, { path, entries, levels, notText: listing.notText });
    this.#moved ||=
      changed || !sameEntries(before, entries) || before?.notText.length !== listing.notText.length;
    for (const [name, old] of before?.entries ?? [])
      if (old.facts.kind === "dir" && entries.get(name)?.facts.kind !== "dir")
        this.#gone(childKey(key, name));
    for (const [name, { facts, apart }] of entries)
      if (facts.kind === "dir") await this.#below(childKey(key, name), facts, apart, levels, changed);
  }

  async #below(
    key: string,
    facts: DiskFacts,
    apart: Apart | undefined,
    levels: readonly Ignoring[],
    changed: boolean,
  ): Promise<void> {
    if (apart !== undefined) return this.#gone(key);
    const known = this.tree.has(key);
    if (known && !changed) return;
    if (facts.dev !== this.#volume) return this.#setApart(key, "other-volume");
    if (key.split("/").length > DEEPEST) return this.#setApart(key, "unreadable");
    if (await this.#isNested(key)) return this.#setApart(key, "nested-vault");
    await this.#folder(key, levels, changed ? true : undefined);
  }

  async #isNested(key: string): Promise<boolean> {
    const { fs, place } = this.#deps;
    return (await readMarker(fs, placeIn(`${place.root}/${key}`)).catch(() => undefined)) !== undefined;
  }

  #seen(
    facts: DiskFacts & { readonly name: string },
    before: Seen | undefined,
    path: readonly string[],
    levels: readonly Ignoring[],
  ): Seen {
    const { clock } = this.#deps;
    const { name } = facts;
    const same = before !== undefined && before.facts.kind === facts.kind && samePrint(before.facts, facts);
    const grown = before !== undefined && facts.size > before.facts.size ? before.grown + 1 : 0;
    const since = same ? before.since : clock.mono();
    const seen: Seen = same
      ? { ...before, facts }
      : {
          name,
          facts,
          since,
          grown,
          busy: before?.busy,
          torn: this.#known(facts) ? 0 : (before?.torn ?? 0),
          apart: undefined,
        };
    const apart = this.#apart(seen, path, levels);
    const writes = apart === "unsettled" || (apart === "file-keeps-changing" && seen.torn < TORN);
    return { ...seen, apart, busy: writes ? (seen.busy ?? clock.mono()) : undefined };
  }

  async #withTarget(at: string, seen: Seen): Promise<Seen> {
    if (seen.target !== undefined) return seen;
    const target = await this.#deps.fs.readLink(`${at}/${seen.name}`).catch(() => undefined);
    return target === undefined ? { ...seen, apart: "unsettled" } : { ...seen, target };
  }

  #apart(seen: Seen, path: readonly string[], levels: readonly Ignoring[]): Apart | undefined {
    const { name, facts } = seen;
    if (isLeftOut(levels, [...path, name], facts.kind === "dir")) return "ignored";
    if (facts.kind === "other") return "special-file";
    const { clock } = this.#deps;
    const busy = facts.kind === "file" && !this.#known(facts) && !isSettled(seen, clock, isTemporary(name));
    if (busy)
      return clock.mono() - (seen.busy ?? clock.mono()) > PATIENCE ? "file-keeps-changing" : "unsettled";
    if (seen.apart === "file-keeps-changing" && seen.torn < TORN) return undefined;
    // Whether a folder can be entered is found out anew each time.
    if (seen.apart === "too-large") return this.#deps.isTooLarge(facts.size) ? "too-large" : undefined;
    const stays = facts.kind === "file" && seen.apart !== "ignored" && seen.apart !== "unsettled";
    return stays ? seen.apart : undefined;
  }

  async #levels(
    at: string,
    path: readonly string[],
    above: readonly Ignoring[],
    listing: DiskListing,
    before: readonly Ignoring[] | undefined,
  ): Promise<readonly Ignoring[]> {
    if (!listing.entries.some(({ name, kind }) => name === IGNORE_FILE && kind === "file")) return above;
    const text = await readText(this.#deps.fs, `${at}/${IGNORE_FILE}`);
    // What was secret stays so while the file cannot be read.
    if (text === undefined) return before ?? above;
    return [...above, { depth: path.length, rules: parseRules(text) }];
  }

  /** A folder that is here and is not entered. */
  #setApart(key: string, apart: Apart): void {
    this.#gone(key);
    this.learn(key, { apart });
  }

  #gone(key: string): void {
    for (const path of this.tree.keys())
      if (path === key || path.startsWith(`${key}/`)) {
        this.tree.delete(path);
        this.#deps.left?.(path);
      }
  }

  /** Files that somebody was writing to: they are looked at again. */
  *unsettled(): Generator<{ readonly key: string; readonly seen: Seen }> {
    for (const [key, { entries }] of this.tree)
      for (const seen of entries.values())
        if (seen.apart === "unsettled" || seen.busy !== undefined)
          yield { key: childKey(key, seen.name), seen };
  }

  /** Whether an item of the vault at this path is one that this device leaves alone. */
  ignores(path: readonly string[], isFolder: boolean): boolean {
    // What lies there was judged when it was seen.
    const seen = this.tree.get(pathKey(path.slice(0, -1)))?.entries.get(path.at(-1) ?? "");
    if (seen !== undefined && (seen.facts.kind === "dir") === isFolder) return seen.apart === "ignored";
    let levels = this.#levelsAbove("");
    for (let depth = 1; depth <= path.length; depth++) {
      levels = this.tree.get(pathKey(path.slice(0, depth - 1)))?.levels ?? levels;
      if (isLeftOut(levels, path.slice(0, depth), isFolder || depth < path.length)) return true;
    }
    return false;
  }
}

function sameEntries(before: SeenFolder | undefined, now: ReadonlyMap<string, Seen>): boolean {
  if (before?.entries.size !== now.size) return false;
  for (const [name, { facts, apart }] of now) {
    const old = before.entries.get(name);
    if (old === undefined || old.apart !== apart || old.facts.mode !== facts.mode) return false;
    if (old.facts.kind !== facts.kind || !samePrint(old.facts, facts)) return false;
  }
  return true;
}

/** The ignore files themselves are what all devices agree on. */
function isLeftOut(levels: readonly Ignoring[], path: readonly string[], isFolder: boolean): boolean {
  return path.at(-1) !== IGNORE_FILE && isIgnored(levels, path, isFolder);
}

function sameLevels(a: SeenFolder["levels"], b: SeenFolder["levels"]): boolean {
  return a.length === b.length && a.every((one, i) => JSON.stringify(one) === JSON.stringify(b[i]));
}

async function readText(fs: FolderFs, path: string): Promise<string | undefined> {
  try {
    return decodeUtf8(await fs.readFile(path, IGNORE_BYTES));
  } catch (error) {
    if (isGone(error) || errnoOf(error) !== "") return undefined;
    throw error;
  }
}
