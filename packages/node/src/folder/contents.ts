/** Contents of files for the disk: many small files lie in one pack, so one that is asked for again is kept for the next. */
import { toHex } from "@tidelock/core/bytes/bytes";
import {
  type FetchDeps,
  openContent,
  type PieceCache,
  streamContent,
  type Take,
  type Taken,
} from "@tidelock/core/engine/fetch-content";
import type { Content } from "@tidelock/core/log/content";
import type { BlobPart, Remote } from "@tidelock/core/ports";
import type { FolderHost } from "./host.ts";

type Got = ReturnType<Remote["getBlob"]>;

/** A file of this disk and what it was when it was last looked at. */
export interface OlderFile {
  readonly path: string;
  readonly content: Content;
}

/** Packs are up to 8 MiB. */
const KEPT = 4;
/** Names of packs that were asked for once. */
const SEEN = 1024;

export class Contents {
  readonly #deps: FetchDeps;
  readonly #seen = new Set<string>();
  readonly #packs = new Map<string, Got>();

  readonly #fs: FolderHost["fs"];

  constructor({ suite, replica, remote, fs }: FolderHost) {
    this.#fs = fs;
    this.#deps = {
      suite,
      vault: replica.vault,
      read: replica.read,
      spooled: replica.spooledBlob,
      remote: remote === undefined ? undefined : { getBlob: (id, part) => this.#get(remote, id, part) },
    };
  }

  /**
   * All of it into `take`, piece by piece; it counts where the answer is `ok`. Pieces that an older file of this disk
   * has come from there: where somebody has written to it since, the whole is `damaged`, and is asked for without it.
   */
  async stream(content: Content, take: Take, older?: OlderFile): Promise<Taken> {
    if (older !== undefined) {
      const cache = await this.#piecesOf(older);
      return streamContent({ ...this.#deps, cache }, content, take);
    }
    const got = await streamContent(this.#deps, content, take);
    // A transfer may have damaged what is kept here: the next time it is read anew.
    if (got.kind === "damaged") this.#packs.clear();
    return got;
  }

  async #piecesOf({ path, content }: OlderFile): Promise<PieceCache> {
    const opened = await openContent(this.#deps, content);
    const places = opened.kind === "ok" ? opened.reader.places() : new Map();
    return {
      once: async (address, fetch) => {
        const at = places.get(toHex(address));
        if (at === undefined) return fetch();
        const plain = await this.#fs.readFile(path, at.length, at.offset).catch(() => undefined);
        return plain === undefined || plain.length !== at.length ? fetch() : { kind: "ok", plain };
      },
    };
  }

  /** The first time only what is wanted of it, the second time all: then others will want of it too. */
  #get(remote: Remote, id: Uint8Array, part: BlobPart | undefined): Got {
    const key = toHex(id);
    if (!this.#seen.has(key) && part !== undefined) {
      if (this.#seen.size >= SEEN) this.#seen.clear();
      this.#seen.add(key);
      return remote.getBlob(id, part);
    }
    return this.#whole(key, () => remote.getBlob(id)).then((got) => {
      if (got.kind !== "ok" || got.value === undefined || part === undefined) return got;
      return { kind: "ok", value: got.value.subarray(part.offset, part.offset + part.length) };
    });
  }

  /** One request for all who want it now, and none for those who come soon after. */
  #whole(key: string, get: () => Got): Got {
    const got = this.#packs.get(key) ?? get();
    this.#packs.delete(key);
    this.#packs.set(key, got);
    for (const old of this.#packs.keys()) if (this.#packs.size > KEPT) this.#packs.delete(old);
    // What failed is asked for again.
    const forget = (): void => {
      if (this.#packs.get(key) === got) this.#packs.delete(key);
    };
    got.then((answer) => {
      if (answer.kind !== "ok" || answer.value === undefined) forget();
    }, forget);
    return got;
  }
}
