/**
 * The drive as a file system asks for it: items by id, handles, bytes at offsets. A mount, a WebDAV
 * server and the SDK stand on it; nothing here knows a kernel.
 */
import type { ItemId, ItemKind } from "@tidelock/core/kinds/files/types";

export interface Attr {
  readonly id: ItemId;
  readonly kind: ItemKind;
  readonly parent: ItemId;
  readonly name: string;
  /** Bytes of a file, or of a link's target. */
  readonly size: number;
  /** ms since 1970. */
  readonly mtime: number;
  readonly executable: boolean;
}

export interface Listing {
  readonly items: readonly Attr[];
  /** Where the next page begins; undefined after the last. */
  readonly next: string | undefined;
}

export interface OpenWish {
  readonly write?: boolean;
  /** Begins with nothing: what was there is not fetched. */
  readonly truncate?: boolean;
}

export type Handle = number;

export interface ItemFs {
  /** From the replica, never the network; with what was written here and is no change yet. */
  lookup(parent: ItemId, name: string): Attr;
  attr(id: ItemId): Attr;
  list(parent: ItemId, cursor: string | undefined, limit: number): Listing;
  readlink(id: ItemId): Uint8Array;

  /** What was there then is what is read, unless this device writes to it. */
  open(id: ItemId, wish?: OpenWish): Handle;
  create(
    parent: ItemId,
    name: string,
    executable?: boolean,
  ): { readonly attr: Attr; readonly handle: Handle };
  /** Fewer bytes only at the end. Fetches what is missing; ends with an error, never with bytes that are not there. */
  read(handle: Handle, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  write(handle: Handle, offset: number, bytes: Uint8Array): Promise<void>;
  truncate(handle: Handle, size: number): Promise<void>;
  /** Resolves when what was written is durable here. */
  sync(handle: Handle): Promise<void>;
  /** Some moments after the last writer has closed it, what was written is one change. */
  close(handle: Handle): void;

  mkdir(parent: ItemId, name: string): Attr;
  symlink(parent: ItemId, name: string, target: Uint8Array): Attr;
  /** `replace`: over a file, which keeps its id and history, or over an empty folder. */
  move(id: ItemId, parent: ItemId, name: string, wish?: { readonly replace?: boolean }): Promise<void>;
  /** A file, a link or an empty folder; it can be restored. */
  remove(id: ItemId): void;
  setExecutable(id: ItemId, executable: boolean): void;

  /** Something may be different. */
  watch(listener: () => void): () => void;
  /** Makes changes of all that was written and closed. */
  settle(): Promise<void>;
  /** As a process that ends: what was written and is no change is one at the next start. */
  stop(): Promise<void>;
}

const kinds = {
  "not-found": "ENOENT",
  exists: "EEXIST",
  "not-empty": "ENOTEMPTY",
  "not-dir": "ENOTDIR",
  "is-dir": "EISDIR",
  /** 30 s without progress, or a remote that is known to be away. */
  offline: "EIO",
  "blob-damaged": "EIO",
  interrupted: "EINTR",
  "read-only": "EROFS",
  "too-large": "EFBIG",
  "no-space": "ENOSPC",
  "bad-name": "EILSEQ",
  "name-too-long": "ENAMETOOLONG",
  cycle: "EINVAL",
  "bad-handle": "EBADF",
} as const;

export type FsCode = keyof typeof kinds;

export class FsError extends Error {
  readonly code: FsCode;
  /** As a kernel names it. */
  readonly errno: string;

  constructor(code: FsCode, why: string = code, options?: ErrorOptions) {
    super(why, options);
    this.name = "FsError";
    this.code = code;
    this.errno = kinds[code];
  }
}
