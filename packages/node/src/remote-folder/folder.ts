/**
 * A vault's log and blobs in a directory: on a local disk, a stick or a mounted share. The one
 * primitive is put-if-absent of whole, synced files (`place.ts`); what is answered `committed` or
 * handed out survives a power cut. Layout: docs/format.md, "Folder of a vault". Rules REM4 to REM27.
 */
import type { Sealed } from "@tidelock/core/bytes/brand";
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { TidelockError } from "@tidelock/core/errors";
import { checkAppend, encodePage, holdsFrames, objectAt } from "@tidelock/core/log/page";
import type {
  AppendResult,
  BlobList,
  BlobPart,
  Clock,
  Failure,
  Page,
  Remote,
  RemoteCaps,
  Result,
} from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { listBlobs } from "./blobs.ts";
import { errnoOf, failureOf, unless } from "./errno.ts";
import { failed, foundVault, noOrder, noVault, proveOrder, readGenesis, readMode, tidy } from "./layout.ts";
import { LogView } from "./log-view.ts";
import { discard, type Mode, type Place, put, stageSynced } from "./place.ts";
import { StoreTime } from "./store-time.ts";
import { mirrorOf } from "./synced.ts";

export interface FolderOptions {
  /** Absolute. Its last part may be missing for `create`, nothing else. */
  readonly directory: string;
  readonly fs: Fs;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** How `create` may place objects, in order of preference: `link`, else `rename-dir`. */
  readonly modes?: readonly Mode[];
}

export interface FolderRemote extends Remote {
  /**
   * Proves once more that the folder orders writes, and tidies up; answers how it places objects.
   * Throws `remote-no-cas` where it no longer orders them. The first call that writes does this by
   * itself, and then answers `denied`.
   */
  prepare(): Promise<Result<Mode>>;
}

export function createFolderRemote(options: FolderOptions): FolderRemote {
  return new Folder(options);
}

class Folder implements FolderRemote {
  // Accounts and links need a server.
  readonly caps: RemoteCaps = { wake: true, deletes: true, accounts: false, links: false };
  readonly #options: FolderOptions;
  readonly #place: Place;
  readonly #log: LogView;
  readonly #time: StoreTime;
  /** How objects are placed here, once the folder was seen to be a vault's. */
  #mode: Mode | undefined;
  #prepared = false;
  /** Directories of blobs whose own entry is durable. */
  readonly #blobHomes = new Set<string>();
  readonly #watching = new Set<() => void>();

  constructor(options: FolderOptions) {
    const { directory, fs, clock, random, sha256 } = options;
    const root = directory.replace(/[\\/]+$/, "");
    this.#options = options;
    this.#place = { fs, root, random };
    this.#log = new LogView(fs, `${root}/log`, clock, sha256);
    this.#time = new StoreTime(this.#place, clock);
  }

  async create(genesis: Sealed): Promise<Result<"created"> | { readonly kind: "exists" }> {
    if (genesis.length === 0 || genesis.length > limits.genesis)
      throw new RangeError("a genesis outside its size");
    const { fs, root } = this.#place;
    const mirror = await mirrorOf(fs, root);
    if (mirror !== undefined)
      throw noOrder(`${mirror} mirrors this folder, and each of its copies takes writes`);
    return answering(async () => {
      const found = await readGenesis(this.#place);
      if (found === undefined) return foundVault(this.#place, genesis, this.#options.modes);
      if (!equalBytes(found, genesis)) return { kind: "exists" };
      await fs.syncDir(root);
      return ok("created");
    });
  }

  genesis(): Promise<Result<Uint8Array | undefined>> {
    return this.#reading(async () => {
      const found = await readGenesis(this.#place);
      if (found === undefined) return noVault();
      return found.length > limits.genesis ? { kind: "corrupt", why: "the genesis is too long" } : ok(found);
    });
  }

  read(after: number, want: { readonly frames: number; readonly bytes: number }): Promise<Result<Page>> {
    return this.#reading(async () => ok(await this.#log.page(after, want)));
  }

  async append(
    frames: readonly Sealed[],
    seen: { readonly seq: number; readonly hash: Uint8Array },
  ): Promise<AppendResult> {
    checkAppend(frames, seen);
    return this.#writing<AppendResult>(async (mode) => {
      const first = seen.seq + 1;
      const time = await this.#time.now();
      const page = encodePage({ first, prev: seen.hash, entries: frames.map((frame) => ({ time, frame })) });
      const { root } = this.#place;
      const isOurs = (found: Uint8Array): boolean =>
        holdsFrames(objectAt(first, found, this.#options.sha256), frames);
      const result = await put(this.#place, mode, `${root}/log`, this.#log.path(first), page, isOurs);
      if (result.kind === "taken") return { kind: "behind" };
      if (result.kind !== "placed") return result;
      this.#log.placed(first, seen.seq + frames.length);
      return { kind: "committed", first };
    });
  }

  async putBlob(id: Uint8Array, bytes: Sealed): Promise<Result<"stored">> {
    if (bytes.length === 0 || bytes.length > limits.blob) throw new RangeError("a blob outside its size");
    const { sha256 } = this.#options;
    if (!equalBytes(sha256(bytes), id)) throw new RangeError("a blob under another hash");
    return this.#writing<Result<"stored">>(async () => {
      const { fs } = this.#place;
      const { home, path } = this.#blob(id);
      await this.#makeBlobHome(home);
      const found = await unless(["ENOENT", "EISDIR", "ELOOP", "EINVAL"], fs.readFile(path, limits.blob + 1));
      if (found !== undefined && equalBytes(sha256(found), id)) await fs.syncFile(path);
      else {
        // Never half of a blob under its name; a damaged one is replaced.
        const staged = await stageSynced(this.#place, "link", bytes);
        if (typeof staged !== "string") return failed(staged);
        try {
          await fs.rename(staged, path);
        } catch (error) {
          await discard(fs, "link", staged);
          throw error;
        }
      }
      await fs.syncDir(home);
      // As for an append: the folder's server may have lost its power since the rename.
      await fs.stat(path);
      return ok("stored");
    });
  }

  getBlob(id: Uint8Array, part?: BlobPart): Promise<Result<Uint8Array | undefined>> {
    return this.#reading(async () => {
      const { fs, root } = this.#place;
      const odd = { kind: "corrupt", why: "a blob is no file of its size" } as const;
      try {
        const { path } = this.#blob(id);
        if (part !== undefined) return ok(await fs.readFile(path, part.length, part.offset));
        const found = await fs.readFile(path, limits.blob + 1);
        return found.length > limits.blob ? odd : ok(found);
      } catch (error) {
        const code = errnoOf(error) ?? "";
        if (["EISDIR", "ELOOP", "EINVAL"].includes(code)) return odd;
        if (code !== "ENOENT") throw error;
      }
      const vault = await unless(["ENOENT"], fs.stat(`${root}/genesis`));
      return vault === undefined ? noVault() : ok(undefined);
    });
  }

  listBlobs(after: Uint8Array): Promise<Result<BlobList>> {
    return this.#writing<Result<BlobList>>(async () => {
      const now = await this.#time.now();
      return ok({ now, blobs: await listBlobs(this.#place, after, limits.blobsPerCall) });
    });
  }

  deleteBlobs(ids: readonly Uint8Array[], condemnedAt: number): Promise<Result<readonly Uint8Array[]>> {
    if (ids.length > limits.blobsPerCall) throw new RangeError("more blobs than one call takes");
    return this.#writing<Result<readonly Uint8Array[]>>(async () => {
      const { fs } = this.#place;
      const since = (await this.#time.now()) - limits.blobGrace;
      const placed = await this.#log.storedAt(condemnedAt);
      const stay: Uint8Array[] = [];
      for (const id of ids) {
        const { path } = this.#blob(id);
        const stat = await unless(["ENOENT"], fs.stat(path));
        if (stat === undefined) continue;
        if (placed === undefined || placed > since || stat.mtime > since) stay.push(id);
        // That it comes back with a power cut does no harm: it is listed again.
        else await unless(["ENOENT"], fs.unlink(path));
      }
      return ok(stay);
    });
  }

  wake(hint: () => void): () => void {
    const { fs, root } = this.#place;
    const unwatch = fs.watch(`${root}/log`, () => hint());
    const stop = (): void => {
      if (this.#watching.delete(stop)) unwatch();
    };
    this.#watching.add(stop);
    return stop;
  }

  close(): void {
    for (const stop of this.#watching) stop();
  }

  prepare(): Promise<Result<Mode>> {
    return this.#answering(async () => {
      const mode = await this.#open();
      if (typeof mode !== "string") return mode;
      await this.#prepare(mode);
      return ok(mode);
    });
  }

  /** Whether this is a vault's folder at all. A volume that is not mounted is an empty directory. */
  async #open(): Promise<Mode | Failure> {
    if (this.#mode !== undefined) return this.#mode;
    const { fs, root } = this.#place;
    const mode = await readMode(fs, root);
    if (mode === undefined || (await unless(["ENOENT"], fs.stat(`${root}/genesis`))) === undefined)
      return noVault();
    if (typeof mode !== "string") return mode;
    // REM14: genesis is handed out, and entries are built on it.
    await fs.syncDir(root);
    this.#mode = mode;
    return mode;
  }

  async #prepare(mode: Mode): Promise<void> {
    if (this.#prepared) return;
    await proveOrder(this.#place, mode);
    await tidy(this.#place, await this.#time.now());
    this.#prepared = true;
  }

  #reading<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    return this.#answering(async () => {
      const mode = await this.#open();
      return typeof mode === "string" ? work() : mode;
    });
  }

  #writing<R>(work: (mode: Mode) => Promise<R | Failure>): Promise<R | Failure> {
    return this.#answering(async () => {
      const mode = await this.#open();
      if (typeof mode !== "string") return mode;
      try {
        await this.#prepare(mode);
      } catch (error) {
        if (error instanceof TidelockError) return { kind: "denied", why: error.why };
        throw error;
      }
      return work(mode);
    });
  }

  async #answering<R>(work: () => Promise<R | Failure>): Promise<R | Failure> {
    const result = await answering(work);
    // The volume may come back as another one: look again at all of it.
    if ((result as Failure).kind === "unreachable") {
      this.#mode = undefined;
      this.#prepared = false;
      this.#blobHomes.clear();
    }
    return result;
  }

  #blob(id: Uint8Array): { home: string; path: string } {
    if (id.length !== 32) throw new RangeError("a blob's name has 32 bytes");
    const name = toHex(id);
    const home = `${this.#place.root}/blob/${name.slice(0, 2)}`;
    return { home, path: `${home}/${name}` };
  }

  async #makeBlobHome(home: string): Promise<void> {
    if (this.#blobHomes.has(home)) return;
    const { fs, root } = this.#place;
    await unless(["EEXIST"], fs.mkdir(home));
    // Also where another device made it: that one may not have come to this yet.
    await fs.syncDir(`${root}/blob`);
    this.#blobHomes.add(home);
  }
}

async function answering<R>(work: () => Promise<R | Failure>): Promise<R | Failure> {
  try {
    return await work();
  } catch (error) {
    return failureOf(error);
  }
}

function ok<T>(value: T): { readonly kind: "ok"; readonly value: T } {
  return { kind: "ok", value };
}
