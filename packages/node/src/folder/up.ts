/** From the disk into the vault: what one plan found there is one run of the log. */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Fingerprint, LocalEntry, RowPatch, UpStep } from "@tidelock/core/kinds/files/plan/types";
import type { FileChange, ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { ReadFile } from "@tidelock/core/ports-fs";
import { errnoOf } from "../home/files.ts";
import { maxFileSize } from "../vault/content.ts";
import type { RowBook, RowChange } from "./book.ts";
import type { Hands } from "./hands.ts";
import type { FolderHost } from "./host.ts";
import type { Larges } from "./larges.ts";
import type { Places } from "./local.ts";
import { NoRoom, Packing } from "./packing.ts";
import type { FolderRows } from "./rows.ts";
import { sameBytesLikely, samePrint } from "./seen.ts";

export interface UpDeps {
  readonly host: FolderHost;
  readonly hands: Hands;
  readonly rows: FolderRows;
  readonly book: RowBook;
  readonly places: Places;
  /** Whether it is still the folder that was looked at. */
  readonly isThere: () => Promise<boolean>;
  /** The entry was not what it was seen as: it is looked at again. */
  readonly changed: (entry: LocalEntry, why: "torn" | "gone" | "too-large" | "unreadable") => void;
  /** Nobody waits for the rest any more. */
  readonly stopped: () => boolean;
  /** Where the folder works by itself: files that are read beside its turns. */
  readonly larges: Larges | undefined;
}

export interface Sent {
  readonly run: number | undefined;
  /** Of the steps given, how many became changes. */
  readonly changes: number;
  /** Steps were left for the next plan, for their size. */
  readonly more: boolean;
  /** Files that wait until some of what waits to be sent has left. */
  readonly held: number;
}

/** Bytes and changes of one run: they are in memory together. */
const RUN_BYTES = 64 << 20;
const RUN_CHANGES = 20_000;
/** Small files stand in the change itself while all of a run's together are not more: a lone save is one request. */
const INLINE = 64 << 10;

export async function sendUp(deps: UpDeps, steps: readonly UpStep[], base: number): Promise<Sent> {
  const { host, rows, book } = deps;
  if (steps.length === 0) return { run: undefined, changes: 0, more: false, held: 0 };
  const sizes = steps.map((s) => (s.do === "create" || s.do === "write" ? s.entry.print.size : 0));
  const inline = sizes.reduce((sum, size) => sum + size, 0) <= INLINE;
  const packing = new Packing(host, { inline, most: maxFileSize(host.replica), stopped: deps.stopped });
  const said = { base, time: Math.max(0, Math.floor(host.clock.now())) };
  const work = new Run(deps, packing);
  let more = false;
  for (const step of steps) {
    more = packing.bytes > RUN_BYTES || work.changes.length >= RUN_CHANGES;
    if (more) break;
    await work.add(step, said);
  }
  // An unmounted folder misses everything: what is gone is told only while the folder itself is not.
  const { held } = work;
  if (work.changes.length === 0 || !(await deps.isThere())) return { run: undefined, changes: 0, more, held };
  host.point?.("folder-read");
  const run = host.engine.write((tx) => {
    const id = packing.submit(tx, work.changes);
    book.put(tx, work.rows, said.time);
    for (const one of work.selected) rows.putRule(tx, { id: one, selected: true });
    rows.putRun(
      tx,
      id,
      work.rows.map((row) => row.id),
    );
    return id;
  });
  host.point?.("folder-submitted");
  return { run, changes: work.changes.length, more, held };
}

type Said = { readonly base: number; readonly time: number };

class Run {
  readonly #deps: UpDeps;
  readonly #packing: Packing;
  readonly changes: FileChange[] = [];
  readonly rows: RowChange[] = [];
  /** Items that came into folders that are not selected here. */
  readonly selected: ItemId[] = [];
  held = 0;
  #full = false;
  /** Items that are not made: what lies in them waits. */
  readonly #dropped = new Set<string>();

  constructor(deps: UpDeps, packing: Packing) {
    this.#deps = deps;
    this.#packing = packing;
  }

  async add(step: UpStep, at: Said): Promise<void> {
    const said = { ...at, op: step.op };
    if (step.do === "delete") {
      const gone = step.gone === undefined ? undefined : this.#deps.places.spot(step.gone);
      const { hands } = this.#deps;
      // It came back meanwhile: the next plan says what it is now.
      if (gone !== undefined && (await hands.lookIfThere(hands.path(gone))) !== undefined) return;
      this.changes.push({ do: "delete", ...said, id: step.id });
      this.rows.push({ id: step.id, set: undefined });
      return;
    }
    if ("parent" in step && this.#dropped.has(toHex(step.parent))) return this.#drop(step.op);
    const { set, id } = step;
    const made = await this.#change(step, said);
    if (made === undefined) return this.#drop(step.op);
    this.changes.push(made.change);
    if ("select" in step && step.select) this.selected.push(id);
    const print = made.set?.print ?? this.#printOf(step);
    this.rows.push({ id, set: { ...set, ...made.set, ...(print === undefined ? {} : { print }) } });
  }

  /** Of what is told without its bytes. A file that was saved as well is agreed on once those are read, which may fail. */
  #printOf({ id, entry }: Exclude<UpStep, { do: "delete" }>): Fingerprint | undefined {
    const row = this.#deps.book.row(id);
    const isSaved = row?.kind === "file" && entry !== undefined && !sameBytesLikely(entry.print, row.print);
    return isSaved ? undefined : entry?.print;
  }

  #drop(op: Op): void {
    this.#dropped.add(toHex(op));
  }

  async #change(
    step: Exclude<UpStep, { do: "delete" }>,
    said: Said & { readonly op: Op },
  ): Promise<{ readonly change: FileChange; readonly set?: RowPatch } | undefined> {
    switch (step.do) {
      case "mkdir":
        return { change: { do: "mkdir", ...said, parent: step.parent, name: step.name } };
      case "symlink": {
        const { target } = step.entry;
        if (target === undefined) return undefined;
        return { change: { do: "symlink", ...said, parent: step.parent, name: step.name, target } };
      }
      case "move": {
        const { id, place, parent, name } = step;
        return { change: { do: "move", ...said, id, place, parent, name } };
      }
      case "meta": {
        const set = { key: "executable", value: step.executable } as const;
        return { change: { do: "meta", ...said, id: step.id, set } };
      }
      case "create":
      case "write": {
        const read = await this.#content(step.entry);
        if (read === undefined) return undefined;
        const { content, file } = read;
        const mtime = Math.max(0, Number(file.after.mtimeNs / 1000n));
        const set = { hash: content.hash, print: file.after };
        if (step.do === "write")
          return { change: { do: "write", ...said, id: step.id, rev: step.rev, content, mtime }, set };
        const { parent, name, entry } = step;
        const meta = { mtime, executable: entry.executable };
        return { change: { do: "create", ...said, parent, name, content, meta }, set };
      }
    }
  }

  async #add(name: string, total: number): ReturnType<Packing["add"]> {
    const move = this.#deps.host.moving?.begin({ name, direction: "up", total });
    try {
      return await this.#packing.add(name, move?.moved);
    } finally {
      move?.end();
    }
  }

  async #content(entry: LocalEntry): Promise<{ content: Content; file: ReadFile } | undefined> {
    try {
      const { larges, host } = this.#deps;
      if (larges?.takes(entry) === true) {
        const wish = { inline: false, most: maxFileSize(host.replica) };
        return await readSettled(this.#deps, entry, (path) => larges.read(path, entry, wish));
      }
      // One look for room a run: the others wait with the first.
      if (this.#full) throw new NoRoom();
      return await readSettled(this.#deps, entry, (path) => this.#add(path, entry.print.size));
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
      this.held++;
      this.#full ||= this.#deps.larges?.takes(entry) !== true;
      return undefined;
    }
  }
}

/** What `read` makes of a file as it was seen; undefined where somebody writes to it. */
export async function readSettled<T extends { readonly file: ReadFile }>(
  deps: Pick<UpDeps, "hands" | "places" | "changed">,
  entry: LocalEntry,
  read: (path: string) => Promise<T>,
): Promise<T | undefined> {
  const key = deps.places.key(entry.at);
  if (key === undefined) return undefined;
  try {
    const got = await read(deps.hands.path(key));
    const { before, after, length } = got.file;
    if (samePrint(before, entry.print) && samePrint(after, entry.print) && length === after.size) return got;
    deps.changed(entry, "torn");
  } catch (error) {
    const code = errnoOf(error);
    if (code === "") throw error;
    if (code === "EIO") throw error;
    deps.changed(
      entry,
      code === "EFBIG" ? "too-large" : code === "EACCES" || code === "EPERM" ? "unreadable" : "gone",
    );
  }
  return undefined;
}
