/**
 * What was written and is no change yet: a file beside the replica for each item, and a row that says
 * what it is to become. The row is durable before the first byte is taken, so that what a program wrote
 * is a change after a crash, too.
 */
import { type FileHandle, mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { ReplicaStore } from "@tidelock/core/ports";
import { errnoOf } from "../home/files.ts";
import { FsError } from "./types.ts";

/** id → what its draft is to become. */
export const DRAFT_SPACE = "d.draft";

/** A file that is to be made, or a revision that is to be followed. */
export type Becomes =
  | { readonly kind: "create"; readonly parent: ItemId; readonly name: string; readonly executable: boolean }
  | { readonly kind: "write"; readonly rev: Op };

export interface Draft {
  readonly id: ItemId;
  becomes: Becomes;
  /** What it began with, where that is known. */
  base: Content | undefined;
  /** Undefined until something is written. */
  file: FileHandle | undefined;
  size: number;
  /** ms since 1970, of the last write. */
  mtime: number;
  /** Handles that may write. */
  writers: number;
  /** Calls of one draft come one after another. */
  queue: Promise<unknown>;
  /** Ends the wait for its change. */
  cancel: () => void;
}

export interface Drafts {
  get(id: ItemId): Draft | undefined;
  all(): readonly Draft[];
  /** Durable when it returns, and without a byte. */
  begin(id: ItemId, becomes: Becomes, time: number): Draft;
  /** What it becomes is another; durable when it returns. */
  change(draft: Draft, becomes: Becomes): void;
  fileOf(id: ItemId): string;
  /** Its bytes, opened once. */
  open(draft: Draft): Promise<FileHandle>;
  /** Its row goes, inside the transaction that makes it a change. */
  end(draft: Draft): void;
  /** Nothing of it is kept on the disk. */
  forget(draft: Draft): Promise<void>;
  /** What an earlier process left; bytes without a row are removed. */
  left(): Promise<readonly Draft[]>;
}

export function createDrafts(store: ReplicaStore, folder: string): Drafts {
  const byId = new Map<string, Draft>();
  const fileOf = (id: ItemId): string => join(folder, toHex(id));

  function draftOf(id: ItemId, becomes: Becomes, time: number): Draft {
    const draft: Draft = {
      id,
      becomes,
      base: undefined,
      file: undefined,
      size: 0,
      mtime: time,
      writers: 0,
      queue: Promise.resolve(),
      cancel: () => undefined,
    };
    byId.set(toHex(id), draft);
    return draft;
  }

  return {
    get: (id) => byId.get(toHex(id)),
    // Of its own: some go while it is walked.
    all: () => [...byId.values()],
    begin(id, becomes, time) {
      store.put(DRAFT_SPACE, id, encode(becomes));
      return draftOf(id, becomes, time);
    },
    change(draft, becomes) {
      store.put(DRAFT_SPACE, draft.id, encode(becomes));
      draft.becomes = becomes;
    },
    fileOf,
    async open(draft) {
      if (draft.file !== undefined) return draft.file;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(fileOf(draft.id), "a+", 0o600).catch(refused);
      await file.close();
      // `a+` makes it where it is missing; writes at an offset need it opened without `a`.
      draft.file = await open(fileOf(draft.id), "r+").catch(refused);
      draft.size = (await draft.file.stat()).size;
      return draft.file;
    },
    end(draft) {
      store.delete(DRAFT_SPACE, draft.id);
    },
    async forget(draft) {
      draft.cancel();
      byId.delete(toHex(draft.id));
      await draft.file?.close();
      draft.file = undefined;
      await rm(fileOf(draft.id), { force: true });
    },
    async left() {
      const known = new Set<string>();
      const drafts: Draft[] = [];
      for (const [id, bytes] of store.scan(DRAFT_SPACE, new Uint8Array(0), undefined)) {
        known.add(toHex(id));
        if (!byId.has(toHex(id))) drafts.push(draftOf(id as ItemId, decode(bytes), 0));
      }
      for (const name of await readdir(folder).catch(() => []))
        if (fromHex(name) === undefined || !known.has(name)) await rm(join(folder, name), { force: true });
      return drafts;
    },
  };
}

export function refused(error: unknown): never {
  const code = errnoOf(error);
  if (code === "ENOSPC" || code === "EDQUOT")
    throw new FsError("no-space", "the disk is full", { cause: error });
  throw error;
}

const ID = 16;

function encode(becomes: Becomes): Uint8Array {
  if (becomes.kind === "write") return new Writer(17).u8(0).fixed(becomes.rev).done();
  const name = new TextEncoder().encode(becomes.name);
  return new Writer(300)
    .u8(becomes.executable ? 2 : 1)
    .fixed(becomes.parent)
    .bytes(name)
    .done();
}

function decode(bytes: Uint8Array): Becomes {
  const r = new Reader(bytes);
  const what = r.u8();
  const id = r.fixed(ID).slice();
  if (what === 0) return { kind: "write", rev: id as Op };
  const name = new TextDecoder().decode(r.bytes(1024));
  return { kind: "create", parent: id as ItemId, name, executable: what === 2 };
}
