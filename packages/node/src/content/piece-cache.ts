/**
 * Pieces of content kept in a folder of this machine, plain, each in a file of its own under its
 * address and with a sum at its end: what is torn or altered is read anew. No flush: it can all be
 * fetched again. The least recently used go first once it is full; what is held stays.
 */
import { statfsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { concat, equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Opened, PieceCache } from "@tidelock/core/engine/fetch-content";

export interface ContentCache extends PieceCache {
  /** What is kept, without keeping more: for bytes that go into a file of their own. */
  readonly reading: PieceCache;
  /** How many of these are kept. */
  held(addresses: readonly Uint8Array[]): Promise<number>;
  drop(addresses: readonly Uint8Array[]): Promise<void>;
  /** Bytes of all that is kept. */
  size(): Promise<number>;
}

export interface CacheOptions {
  readonly folder: string;
  readonly suite: Suite;
  /** Bytes that it may take. */
  readonly most: number;
  /** ms since 1970. */
  readonly now: () => number;
  /** Addresses, in hexadecimal, that must stay: asked for when it is full. */
  readonly kept: () => Promise<ReadonlySet<string>>;
}

interface Kept {
  size: number;
  /** ms since 1970. */
  used: number;
}

const SUM = 16;
/** When it is full, so much of it goes at once: a walk for each piece would be one for all pieces each time. */
const SPARE = 0.1;
/** How exact the time of use has to survive, ms. */
const TOUCH = 60_000;

export function createCache({ folder, suite, most, now, kept }: CacheOptions): ContentCache {
  const flights = new Map<string, Promise<Opened>>();
  let total = 0;
  let loading: Promise<Map<string, Kept>> | undefined;
  let evicting: Promise<void> | undefined;

  const fileOf = (name: string): string => join(folder, name.slice(0, 2), name);

  function pieces(): Promise<Map<string, Kept>> {
    loading ??= load();
    return loading;
  }

  /** What an earlier process left. */
  async function load(): Promise<Map<string, Kept>> {
    const found = new Map<string, Kept>();
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const part of await readdir(folder)) {
      for (const name of await readdir(join(folder, part)).catch(() => [])) {
        if (!/^[0-9a-f]{64}$/.test(name)) {
          await rm(join(folder, part, name), { force: true });
          continue;
        }
        const at = await stat(join(folder, part, name)).catch(() => undefined);
        if (at === undefined) continue;
        found.set(name, { size: at.size, used: at.mtimeMs });
        total += at.size;
      }
    }
    return found;
  }

  async function read(name: string): Promise<Uint8Array | undefined> {
    const known = (await pieces()).get(name);
    if (known === undefined) return undefined;
    const bytes = await contentOf(fileOf(name));
    const plain = bytes?.subarray(0, -SUM);
    if (bytes === undefined || plain === undefined || !equalBytes(sumOf(plain), bytes.subarray(-SUM))) {
      await forget(name);
      return undefined;
    }
    const time = now();
    if (time - known.used > TOUCH)
      await utimes(fileOf(name), time / 1000, time / 1000).catch(() => undefined);
    known.used = time;
    return plain;
  }

  function sumOf(plain: Uint8Array): Uint8Array {
    return suite.sha256(plain).subarray(0, SUM);
  }

  /** A disk that does not take it is no failure: then it is fetched the next time. */
  async function write(name: string, plain: Uint8Array): Promise<void> {
    const known = await pieces();
    const file = fileOf(name);
    const temporary = `${file}.${toHex(suite.random(4))}`;
    try {
      await mkdir(join(folder, name.slice(0, 2)), { recursive: true, mode: 0o700 });
      const handle = await open(temporary, "wx", 0o600);
      try {
        await handle.writeFile(concat(plain, sumOf(plain)));
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
      return;
    }
    const size = plain.length + SUM;
    total += size - (known.get(name)?.size ?? 0);
    known.set(name, { size, used: now() });
    if (total > most) await evict();
  }

  function evict(): Promise<void> {
    evicting ??= makeRoom().finally(() => {
      evicting = undefined;
    });
    return evicting;
  }

  async function makeRoom(): Promise<void> {
    const [known, stays] = [await pieces(), await kept()];
    const oldest = [...known].filter(([name]) => !stays.has(name)).sort(([, a], [, b]) => a.used - b.used);
    for (const [name] of oldest) {
      if (total <= most * (1 - SPARE)) return;
      await forget(name);
    }
  }

  /** What a disk does not let go is still there, and counts. */
  async function forget(name: string): Promise<void> {
    const known = await pieces();
    try {
      await rm(fileOf(name), { force: true });
    } catch {
      return;
    }
    total -= known.get(name)?.size ?? 0;
    known.delete(name);
  }

  async function keep(name: string, fetch: () => Promise<Opened>): Promise<Opened> {
    const here = await read(name);
    if (here !== undefined) return { kind: "ok", plain: here };
    const got = await fetch();
    if (got.kind === "ok") await write(name, got.plain);
    return got;
  }

  return {
    once(address, fetch) {
      const name = toHex(address);
      const under = flights.get(name);
      if (under !== undefined) return under;
      const flight = keep(name, fetch).finally(() => flights.delete(name));
      flights.set(name, flight);
      return flight;
    },
    reading: {
      async once(address, fetch) {
        const plain = await read(toHex(address));
        return plain === undefined ? fetch() : { kind: "ok", plain };
      },
    },
    async held(addresses) {
      const known = await pieces();
      return addresses.filter((address) => known.has(toHex(address))).length;
    },
    async drop(addresses) {
      for (const address of addresses) await forget(toHex(address));
    },
    async size() {
      await pieces();
      return total;
    },
  };
}

/** What a volume can spare: 20 GB of it, or a tenth. */
export function roomFor(folder: string): number {
  const { blocks, bsize } = statfsSync(folder);
  return Math.min(20e9, (blocks * bsize) / 10);
}

async function contentOf(path: string): Promise<Uint8Array | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const bytes = await handle.readFile();
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}
