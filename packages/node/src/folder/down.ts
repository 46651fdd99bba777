/** From the vault onto the disk, some steps at a time: made, flushed, and only then noted as agreed. */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { Take, Taken } from "@tidelock/core/engine/fetch-content";
import type { DownStep, RowPatch } from "@tidelock/core/kinds/files/plan/types";
import type { Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { DiskFacts } from "@tidelock/core/ports-fs";
import { errnoOf } from "../home/files.ts";
import { type RowBook, type RowChange, racyUntil } from "./book.ts";
import type { Contents, OlderFile } from "./contents.ts";
import { type Done, type Hands, type Moved, timeOf } from "./hands.ts";
import type { FolderHost } from "./host.ts";
import type { Places } from "./local.ts";
import type { Probed } from "./probe.ts";
import { type FolderRows, type Staged, UNSURE } from "./rows.ts";
import { parentKey, sameBytesLikely } from "./seen.ts";
import { AT_ONCE } from "./stage.ts";
import type { Trash } from "./trash.ts";

export interface DownDeps {
  readonly host: FolderHost;
  readonly hands: Hands;
  readonly rows: FolderRows;
  readonly book: RowBook;
  readonly probed: Probed;
  readonly places: Places;
  readonly contents: Contents;
  readonly trash: Trash;
  readonly random: () => string;
  readonly stopped: () => boolean;
  /** Entries of this folder are, or may be, others now. */
  readonly touched: (folder: string) => void;
  /** It stays undone for a cause that lies outside: an error code, or that of an issue. */
  readonly failed: (id: ItemId | undefined, code: string) => void;
}

/** Files made side by side, and their bytes. */
const SLICE = 128;
const SLICE_BYTES = 32 << 20;

type StagedStep = Extract<DownStep, { do: "replaceFile" | "toTrash" }>;
type Filling = Extract<DownStep, { do: "createFile" | "replaceFile" }>;

/** How many of the steps were done. */
export async function takeDown(deps: DownDeps, steps: readonly DownStep[]): Promise<number> {
  const unmade = new Set<number>();
  let done = 0;
  for (let at = 0; at < steps.length && !deps.stopped(); ) {
    const slice: DownStep[] = [];
    let bytes = 0;
    while (at < steps.length && slice.length < SLICE && (slice.length === 0 || bytes < SLICE_BYTES)) {
      const step = steps[at++] as DownStep;
      slice.push(step);
      bytes += contentOf(step)?.size ?? 0;
    }
    done += await new Slice(deps, unmade).run(slice);
  }
  return done;
}

function contentOf(step: DownStep): Content | undefined {
  return step.do === "createFile" || step.do === "replaceFile" ? step.item.content : undefined;
}

class Slice {
  readonly #deps: DownDeps;
  readonly #changes: RowChange[] = [];
  readonly #madeByStep = new Map<DownStep, string>();
  readonly #stagedByStep = new Map<DownStep, Staged>();
  /** Notes of the stage that are not as they were written before: without one where nothing came of it. */
  readonly #notes: { readonly name: string; readonly note: Staged | undefined }[] = [];

  /** Folders that cannot be made, for a cause that lies outside: nor can what lies in them. */
  readonly #unmade: Set<number>;

  constructor(deps: DownDeps, unmade: Set<number>) {
    this.#deps = deps;
    this.#unmade = unmade;
  }

  async run(steps: readonly DownStep[]): Promise<number> {
    const { host, hands, rows, book } = this.#deps;
    const began = host.clock.now();
    await Promise.all(steps.map((step) => this.#make(step)));
    this.#noteStaged(steps);
    let done = 0;
    try {
      for (const step of steps) if (await this.#step(step)) done++;
    } finally {
      for (const made of this.#madeByStep.values()) await hands.discard(made);
    }
    host.point?.("folder-written");
    await hands.flush();
    host.point?.("folder-flushed");
    if (this.#changes.length > 0 || this.#notes.length > 0) {
      host.engine.write((tx) => {
        book.put(tx, this.#changes, began);
        for (const { name, note } of this.#notes)
          if (note === undefined) rows.dropStaged(tx, name);
          else rows.putStaged(tx, note);
      });
    }
    host.point?.("folder-noted");
    return done;
  }

  async #make(step: DownStep): Promise<void> {
    const content = contentOf(step);
    if (content === undefined) return;
    const { id } = step as Filling;
    const older = this.#older(step as Filling);
    let got = await this.#fill(step as Filling, content, older);
    // What is wrong with it may be the older file's.
    if (got === "damaged" && older !== undefined) got = await this.#fill(step as Filling, content);
    if (got !== "ok") this.#deps.failed(id, got === "damaged" ? "blob-damaged" : got);
  }

  async #fill(step: Filling, content: Content, older?: OlderFile): Promise<Taken["kind"]> {
    const { contents, hands, host } = this.#deps;
    const { item } = step;
    const move = host.moving?.begin({ name: item.name, direction: "down", total: content.size });
    const fill = (put: Take): Promise<Taken> =>
      contents.stream(
        content,
        (bytes) => {
          move?.moved(bytes.length);
          return put(bytes);
        },
        older,
      );
    const { path, filled } = await hands.make(item, fill).finally(() => move?.end());
    if (filled.kind === "ok") this.#madeByStep.set(step, path);
    else await hands.discard(path);
    return filled.kind;
  }

  /** The file that gives way, where the vault remembers what it was: most of a large one is often what it will be. */
  #older(step: Filling): OlderFile | undefined {
    if (step.do !== "replaceFile") return undefined;
    const { book, hands, host, places } = this.#deps;
    const [key, hash] = [places.key(step.entry.at), book.row(step.id)?.hash];
    if (key === undefined || hash === undefined) return undefined;
    const versions = host.replica.read((tx) => host.files.history(tx, step.id));
    const was = versions.find(({ content }) => equalBytes(content.hash, hash));
    if (was === undefined || was.content.body.kind === "inline") return undefined;
    return { path: hands.path(key), content: was.content };
  }

  /** Before anything moves: what is found in the stage after a crash must say what it was. */
  #noteStaged(steps: readonly DownStep[]): void {
    const { host, rows, places, random } = this.#deps;
    const since = Math.floor(host.clock.now());
    for (const step of steps) {
      if (!this.#isStaged(step)) continue;
      const key = places.key(step.entry.at);
      if (key === undefined) continue;
      const kind = step.do === "replaceFile" ? "replaced" : "taken";
      this.#stagedByStep.set(step, { name: random(), kind, key, since, ...this.#agreedOn(step) });
    }
    if (this.#stagedByStep.size === 0) return;
    host.engine.write((tx) => {
      for (const staged of this.#stagedByStep.values()) rows.putStaged(tx, staged);
    });
    host.point?.("folder-staged");
  }

  #isStaged(step: DownStep): step is StagedStep {
    if (step.do === "replaceFile") return this.#madeByStep.has(step);
    // Nobody writes into a link.
    return step.do === "toTrash" && step.entry.kind === "file";
  }

  /** What is written into it is an edit of this. Of a second file of an item nobody knows a revision: it would be recovered. */
  #agreedOn({ id, entry }: StagedStep): Pick<Staged, "id" | "rev" | "print" | "hash"> {
    const { book, host, probed } = this.#deps;
    const row = id === undefined ? undefined : book.row(id);
    if (row === undefined) {
      const none = host.suite.random(16);
      return { id: none as ItemId, rev: none as Op, print: entry.print, hash: undefined };
    }
    const print = racyUntil(row, probed.profile) === undefined ? entry.print : UNSURE;
    return { id: row.id, rev: row.rev, print, hash: row.hash };
  }

  async #step(step: DownStep): Promise<boolean> {
    const { hands, places, touched } = this.#deps;
    try {
      const did = await this.#do(step);
      if (did?.kind === "done") return true;
      const to = "to" in step ? places.spot(step.to) : undefined;
      if (did === undefined) {
        if ("to" in step && this.#unmade.has(step.to.folder)) this.#fail(step, "not-written");
        return false;
      }
      for (const folder of this.#foldersOf(step)) touched(folder);
      if (to !== undefined && (await hands.isCalledOtherwise(to))) this.#fail(step, "name-clash");
    } catch (error) {
      const code = errnoOf(error);
      if (code === "" || code === "EIO" || code === "ENOSPC" || code === "EDQUOT") throw error;
      this.#fail(step, "not-written");
    }
    return false;
  }

  #fail(step: DownStep, code: string): void {
    this.#deps.failed(step.id, code);
    if (step.do === "makeDir") this.#unmade.add(step.at);
  }

  #foldersOf(step: DownStep): string[] {
    const { places } = this.#deps;
    const at = "entry" in step ? places.key(step.entry.at) : undefined;
    const to = "to" in step ? places.key(step.to.folder) : undefined;
    return [...(at === undefined ? [] : [parentKey(at)]), ...(to === undefined ? [] : [to])];
  }

  /** Undefined where it cannot be done now, for a cause that was told or that a step before it had. */
  async #do(step: DownStep): Promise<Done | Moved | { readonly kind: "done" } | undefined> {
    const { hands, places, trash } = this.#deps;
    const from = "entry" in step ? places.key(step.entry.at) : undefined;
    const to = "to" in step ? places.spot(step.to) : undefined;
    if (("entry" in step && from === undefined) || ("to" in step && to === undefined)) return undefined;
    const [old, wanted] = [from as string, to as string];
    switch (step.do) {
      case "makeDir": {
        const did = await hands.makeFolder(wanted);
        if (did.kind === "done") places.moved(step.at, step.to);
        return this.#agreed(step, did);
      }
      case "createFile": {
        const made = this.#madeByStep.get(step);
        if (made === undefined) return undefined;
        const did = await hands.create(made, wanted);
        // It has its own name now.
        if (did.kind === "done") this.#madeByStep.delete(step);
        return this.#filled(step, did);
      }
      case "makeLink": {
        const { target = new Uint8Array(0) } = step.item;
        return this.#agreed(step, await hands.makeLink(wanted, target));
      }
      case "replaceFile":
        return this.#replace(step, old);
      case "rename": {
        const did = await hands.move(old, wanted, { ...step.entry.print, kind: kindOf(step) });
        if (did.kind === "done") places.moved(step.entry.at, step.to);
        return this.#kept(step, did);
      }
      case "setExecutable":
        return this.#kept(step, await hands.setExecutable(old, step.entry.print, step.executable));
      case "toTrash": {
        const staged = this.#stagedByStep.get(step);
        const name = old.slice(old.lastIndexOf("/") + 1);
        const into = staged === undefined ? await trash.room(name, true) : hands.staged(staged.name);
        const did = await hands.take(old, step.entry.print, into);
        if (staged !== undefined) await this.#noteStage(staged, did);
        return this.#gone(step.id, did);
      }
      case "removeDir":
        return this.#gone(step.id, await hands.removeFolder(old));
    }
  }

  async #replace(step: Extract<DownStep, { do: "replaceFile" }>, key: string): Promise<Done | undefined> {
    const { hands } = this.#deps;
    const [made, staged] = [this.#madeByStep.get(step), this.#stagedByStep.get(step)];
    if (made === undefined || staged === undefined) return undefined;
    const did = await hands.replace(made, key, step.entry.print, staged.name);
    await this.#noteStage(staged, did);
    return this.#filled(step, did);
  }

  /** A program may have written to it while it went there: then the next sweep sends that. */
  async #noteStage(staged: Staged, { kind }: Done): Promise<void> {
    const { name, print } = staged;
    const untouched = await this.#deps.hands.isUntouched(name, print);
    if (untouched === undefined) this.#notes.push({ name, note: undefined });
    else if (!untouched || kind === "moved") this.#notes.push({ name, note: { ...staged, since: AT_ONCE } });
  }

  #agreed(step: { readonly id: ItemId; readonly set: RowPatch }, did: Done): Done {
    if (did.kind === "done") this.#changes.push({ id: step.id, set: { ...step.set, print: did.facts } });
    return did;
  }

  /** Of a file that was made: what somebody saved in it before it was looked at is no part of what is agreed. */
  #filled(step: { readonly id: ItemId; readonly item: Item; readonly set: RowPatch }, did: Done): Done {
    if (did.kind !== "done") return did;
    const { content, mtime } = step.item;
    const size = content?.size ?? 0;
    const { stampStep } = this.#deps.probed.profile;
    const off = did.facts.mtimeNs - BigInt(timeOf(mtime)) * 1000n;
    const least = stampStep > 1000n ? stampStep : 1000n;
    const isOurs = did.facts.size === size && off < least && -off < least;
    // Another stamp than any the disk has: it is read again.
    const print = isOurs ? did.facts : { ...did.facts, size, mtimeNs: 0n };
    this.#changes.push({ id: step.id, set: { ...step.set, hash: content?.hash, print } });
    return did;
  }

  /** Of a file that holds what is agreed: what was saved and is not sent yet, or came during the step, is no part of that. */
  #kept(step: Extract<DownStep, { do: "rename" | "setExecutable" }>, did: Done): Done {
    const { id, set, entry } = step;
    const agreed = this.#deps.book.row(id)?.print ?? entry.print;
    const isEdited = did.kind === "done" && entry.kind === "file" && !sameBytesLikely(did.facts, agreed);
    if (isEdited) this.#changes.push({ id, set });
    return isEdited ? did : this.#agreed(step, did);
  }

  #gone<T extends Done | Moved | { readonly kind: "done" }>(id: ItemId | undefined, did: T): T {
    if (did.kind === "done" && id !== undefined) this.#changes.push({ id, set: undefined });
    return did;
  }
}

function kindOf(step: Extract<DownStep, { do: "rename" }>): DiskFacts["kind"] {
  return step.entry.kind === "special" ? "other" : step.entry.kind;
}
