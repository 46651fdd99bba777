/**
 * Open files. A handle reads the revision that it was opened on; once this device writes to the file,
 * everybody here reads what was written, and the last writer's close makes one change of it.
 */
import { type FileHandle, mkdir, open as openFile, rm } from "node:fs/promises";
import { concat, equalBytes } from "@tidelock/core/bytes/bytes";
import {
  type ContentReader,
  openContent,
  streamContent,
  type Taken,
} from "@tidelock/core/engine/fetch-content";
import { TidelockError } from "@tidelock/core/errors";
import type { FileChange, Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import { type Content, sameContent } from "@tidelock/core/log/content";
import type { Log, Scheduler } from "@tidelock/core/ports";
import { syncFolder } from "../home/files.ts";
import { fetchDeps, maxFileSize, packBytes, packFile } from "../vault/content.ts";
import { madeNow, submitFiles } from "../vault/files-run.ts";
import type { Session } from "../vault/session.ts";
import { type Draft, type Drafts, refused } from "./drafts.ts";
import { progress } from "./progress.ts";
import { FsError, type Handle, type OpenWish } from "./types.ts";

interface Open {
  readonly id: ItemId;
  readonly writes: boolean;
  /** What it was opened on; undefined of a file that no change has made yet. */
  content: Content | undefined;
  rev: Op | undefined;
  reader: Promise<ContentReader> | undefined;
}

export interface HandlesDeps {
  readonly session: Session;
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly folder: string;
  readonly drafts: Drafts;
}

/** After the last writer's close, ms: programs that save open a file more than once. */
const SETTLE = 300;
/** When a change could not be made of a draft, ms until it is tried again. */
const AGAIN = 10_000;

export class Handles {
  readonly #deps: HandlesDeps;
  readonly #open = new Map<Handle, Open>();
  /** Copies of what is there that are being made, by their file. */
  readonly #copying = new Map<string, Promise<void>>();
  #next = 1;
  #stopped = false;

  constructor(deps: HandlesDeps) {
    this.#deps = deps;
  }

  open(id: ItemId, item: Item | undefined, { write = false, truncate = false }: OpenWish): Handle {
    const { drafts, session } = this.#deps;
    const open: Open = { id, writes: write, content: item?.content, rev: item?.rev, reader: undefined };
    const handle = this.#next++;
    this.#open.set(handle, open);
    if (!write) return handle;
    let draft = drafts.get(id);
    if (draft === undefined && truncate && item !== undefined)
      draft = drafts.begin(id, { kind: "write", rev: item.rev }, session.clock.now());
    else if (draft !== undefined && truncate) void this.#resize(draft, 0).catch(() => undefined);
    if (draft !== undefined) this.#joined(draft);
    return handle;
  }

  async read(handle: Handle, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    const open = this.#need(handle);
    const draft = this.#deps.drafts.get(open.id);
    if (draft !== undefined) {
      const here = await inTurn(draft, () => readDraft(draft, this.#deps.drafts, offset, length));
      if (here !== undefined) return here;
    }
    const { content } = open;
    const [from, to] = [offset, Math.min(offset + length, content?.size ?? 0)];
    if (content === undefined || from >= to) return new Uint8Array(0);
    const pieces: Uint8Array[] = [];
    const reading = progress(this.#deps.scheduler, signal);
    const work = async (): Promise<void> => {
      const reader = await this.#reader(open, content);
      const taken = await reader.read({ from, to }, (bytes) => {
        reading.moved();
        // Of its own: the piece that it is cut from may be large.
        pieces.push(bytes.slice());
      });
      needed(taken);
    };
    await reading.ends(work());
    return concat(...pieces);
  }

  async write(handle: Handle, offset: number, bytes: Uint8Array): Promise<void> {
    if (offset + bytes.length > maxFileSize(this.#deps.session.replica)) throw new FsError("too-large");
    await this.#writing(handle, async (draft, file) => {
      for (let at = 0; at < bytes.length; ) {
        const wrote = await file.write(bytes, at, bytes.length - at, offset + at).catch(refused);
        at += wrote.bytesWritten;
      }
      draft.size = Math.max(draft.size, offset + bytes.length);
    });
  }

  async truncate(handle: Handle, size: number): Promise<void> {
    if (size > maxFileSize(this.#deps.session.replica)) throw new FsError("too-large");
    await this.#writing(handle, async (draft, file) => {
      await file.truncate(size).catch(refused);
      draft.size = size;
    });
  }

  async sync(handle: Handle): Promise<void> {
    const { drafts, folder } = this.#deps;
    const draft = drafts.get(this.#need(handle).id);
    if (draft === undefined) return;
    await inTurn(draft, async () => {
      await draft.file?.sync().catch(refused);
      if (draft.file !== undefined) syncFolder(folder);
    });
  }

  close(handle: Handle): void {
    const open = this.#need(handle);
    this.#open.delete(handle);
    const draft = this.#deps.drafts.get(open.id);
    if (!open.writes || draft === undefined) return;
    draft.writers = this.#writersOf(open.id);
    if (draft.writers === 0) this.#later(draft, SETTLE);
  }

  /** Its draft goes, and becomes nothing. */
  drop(id: ItemId): void {
    const { drafts } = this.#deps;
    const draft = drafts.get(id);
    if (draft === undefined) return;
    drafts.end(draft);
    void drafts.forget(draft);
  }

  /** A change of what was written to it, if anything was. */
  async settle(id: ItemId): Promise<void> {
    const draft = this.#deps.drafts.get(id);
    if (draft !== undefined) await this.#commit(draft);
  }

  async settleAll(): Promise<void> {
    for (const draft of this.#deps.drafts.all()) if (draft.writers === 0) await this.#commit(draft);
  }

  /** What an earlier process was told is durable, or had written, is a change now. */
  async recover(): Promise<void> {
    const { drafts } = this.#deps;
    for (const draft of await drafts.left()) {
      await drafts.open(draft);
      draft.mtime = Number((await (draft.file as FileHandle).stat()).mtimeMs);
      await this.#commit(draft).catch(() => this.#later(draft, AGAIN));
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const draft of this.#deps.drafts.all()) {
      draft.cancel();
      await draft.queue;
      await draft.file?.close();
      draft.file = undefined;
    }
  }

  #need(handle: Handle): Open {
    const open = this.#open.get(handle);
    if (open === undefined) throw new FsError("bad-handle");
    return open;
  }

  #writersOf(id: ItemId): number {
    return [...this.#open.values()].filter((one) => one.writes && equalBytes(one.id, id)).length;
  }

  #joined(draft: Draft): void {
    draft.cancel();
    draft.writers = this.#writersOf(draft.id);
  }

  #reader(open: Open, content: Content): Promise<ContentReader> {
    open.reader ??= openContent(fetchDeps(this.#deps.session), content).then((got) => {
      if (got.kind === "ok") return got.reader;
      open.reader = undefined;
      return needed(got);
    });
    return open.reader;
  }

  async #writing(handle: Handle, work: (draft: Draft, file: FileHandle) => Promise<void>): Promise<void> {
    const open = this.#need(handle);
    if (!open.writes) throw new FsError("bad-handle", "it was not opened for writing");
    const { drafts, session } = this.#deps;
    const draft = drafts.get(open.id) ?? (await this.#begin(open));
    this.#joined(draft);
    await inTurn(draft, async () => {
      // Meanwhile it may have become a change: then what is written is the next one.
      if (drafts.get(open.id) !== draft) return this.#writing(handle, work);
      await work(draft, await drafts.open(draft));
      draft.mtime = session.clock.now();
    });
  }

  /** The bytes that are there stand in the draft, durably, before its row does: half of them are never a change. */
  async #begin(open: Open): Promise<Draft> {
    const { drafts, session, folder } = this.#deps;
    const { content, rev, id } = open;
    if (content === undefined || rev === undefined) throw new FsError("not-found");
    if (content.size > 0) await this.#copied(id, content, fetchDeps(session), folder);
    const known = drafts.get(id);
    if (known !== undefined) return known;
    const draft = drafts.begin(id, { kind: "write", rev }, session.clock.now());
    draft.base = content;
    await inTurn(draft, () => drafts.open(draft));
    return draft;
  }

  /** Two writers that begin at once share one copy. */
  #copied(
    id: ItemId,
    content: Content,
    deps: Parameters<typeof streamContent>[0],
    folder: string,
  ): Promise<void> {
    const path = this.#deps.drafts.fileOf(id);
    let copy = this.#copying.get(path);
    if (copy === undefined) {
      copy = copyOf(path, folder, content, deps, this.#deps.scheduler).finally(() =>
        this.#copying.delete(path),
      );
      this.#copying.set(path, copy);
    }
    return copy;
  }

  #resize(draft: Draft, size: number): Promise<void> {
    return inTurn(draft, async () => {
      const file = await this.#deps.drafts.open(draft);
      await file.truncate(size).catch(refused);
      draft.size = size;
    });
  }

  #later(draft: Draft, ms: number): void {
    draft.cancel();
    if (this.#stopped) return;
    draft.cancel = this.#deps.scheduler.after(ms, () => {
      this.#commit(draft).catch((error: unknown) => {
        const code = error instanceof TidelockError || error instanceof FsError ? error.code : "internal";
        this.#deps.log.event("draft.kept", { code });
        this.#later(draft, AGAIN);
      });
    });
  }

  /** One change, its packs, and the end of the draft in one transaction. */
  #commit(draft: Draft): Promise<void> {
    const { drafts, session } = this.#deps;
    return inTurn(draft, async () => {
      if (drafts.get(draft.id) !== draft) return;
      draft.cancel();
      const path = drafts.fileOf(draft.id);
      const packed =
        draft.file === undefined && draft.size === 0
          ? packBytes(session, "a file", new Uint8Array(0))
          : await packFile(session, path, "a file");
      const { content, packs } = packed;
      const said = madeNow(session)();
      const mtime = Math.max(0, Math.round(draft.mtime * 1000));
      const op = draft.becomes.kind === "create" ? (draft.id as Uint8Array as Op) : said.op;
      const item = session.replica.read((tx) => session.kinds.files.item(tx, draft.id));
      const unchanged = [draft.base, item?.dead === undefined ? item?.content : undefined].some(
        (one) => one !== undefined && sameContent(one, content),
      );
      if (draft.becomes.kind === "write" && unchanged) {
        session.store.transaction(() => drafts.end(draft));
      } else {
        submitFiles(session, packs, () => {
          drafts.end(draft);
          return changesOf(draft, { ...said, op }, content, mtime);
        });
      }
      session.engine.sync?.dispatch("edit");
      const rev = unchanged ? (item?.rev ?? op) : op;
      for (const open of this.#open.values())
        if (equalBytes(open.id, draft.id)) Object.assign(open, { content, rev, reader: undefined });
      await drafts.forget(draft);
    });
  }
}

function changesOf(
  { id, becomes }: Draft,
  said: { readonly op: Op; readonly base: number; readonly time: number },
  content: Content,
  mtime: number,
): readonly FileChange[] {
  if (becomes.kind === "write") return [{ do: "write", ...said, id, rev: becomes.rev, content, mtime }];
  const { parent, name, executable } = becomes;
  return [{ do: "create", ...said, parent, name, content, meta: { mtime, executable } }];
}

/** One after another; one that fails does not end the others. */
function inTurn<T>(draft: Draft, work: () => Promise<T>): Promise<T> {
  const next = draft.queue.then(work);
  draft.queue = next.catch(() => undefined);
  return next;
}

/** Undefined where it is no draft any more. */
async function readDraft(
  draft: Draft,
  drafts: Drafts,
  offset: number,
  length: number,
): Promise<Uint8Array | undefined> {
  if (drafts.get(draft.id) !== draft) return undefined;
  if (draft.file === undefined) return new Uint8Array(0);
  const bytes = new Uint8Array(Math.max(0, Math.min(length, draft.size - offset)));
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await draft.file.read(bytes, at, bytes.length - at, offset + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

async function copyOf(
  path: string,
  folder: string,
  content: Content,
  deps: Parameters<typeof streamContent>[0],
  scheduler: Scheduler,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = await openFile(path, "w", 0o600).catch(refused);
  try {
    const copying = progress(scheduler, undefined);
    const work = streamContent(deps, content, async (bytes) => {
      copying.moved();
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at).catch(refused)).bytesWritten;
    });
    needed(await copying.ends(work));
    await file.sync().catch(refused);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  syncFolder(folder);
}

function needed(taken: Exclude<Taken, { readonly kind: "ok" }>): never;
function needed(taken: Taken): void;
function needed(taken: Taken): void {
  if (taken.kind === "ok") return;
  if (taken.kind === "damaged") throw new FsError("blob-damaged");
  throw new FsError("offline", taken.kind === "busy" ? "the remote is busy" : taken.why);
}
