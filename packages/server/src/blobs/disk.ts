/**
 * Blobs as files: `blobs/<vault, 2 hex>/<vault>/<id, 2 hex>/<id>`. Written and flushed under
 * another name, checked, renamed, and the directory flushed, before anybody is told.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { BlobBytes } from "./bytes.ts";

export interface DiskBlobs extends BlobBytes {
  /** Removes what a crash left half written. */
  tidy(): Promise<void>;
}

export async function openDiskBlobs(root: string, random: (n: number) => Uint8Array): Promise<DiskBlobs> {
  const staging = join(root, "tmp");
  await mkdir(staging, { recursive: true, mode: 0o700 });
  /** Directories whose own entry is durable. */
  const made = new Set<string>();

  async function directory(path: string, parent: string): Promise<void> {
    if (made.has(path)) return;
    await mkdir(path, { mode: 0o700 }).catch(unless("EEXIST"));
    await syncDirectory(parent);
    made.add(path);
  }

  async function home(vault: Uint8Array, id: Uint8Array): Promise<string> {
    const names = parts(vault, id).slice(0, -1);
    let at = root;
    for (const name of names) {
      const next = join(at, name);
      await directory(next, at);
      at = next;
    }
    return at;
  }

  return {
    async put(vault, id, bytes) {
      const staged = join(staging, toHex(random(16)));
      const hash = createHash("sha256");
      let size = 0;
      const file = await open(staged, "wx", 0o600);
      try {
        for await (const part of bytes) {
          hash.update(part);
          size += part.length;
          await file.writeFile(part);
        }
        if (hash.digest("hex") !== toHex(id)) return "mismatch";
        await file.sync();
        await file.close();
        const to = await home(vault, id);
        await rename(staged, join(to, toHex(id)));
        await syncDirectory(to);
        return { size };
      } finally {
        await file.close().catch(() => undefined); // closed already where all went well
        await rm(staged, { force: true });
      }
    },

    async get(vault, id, from, to) {
      const path = join(root, ...parts(vault, id));
      const found = await stat(path).catch(unless("ENOENT"));
      if (found === undefined || found.size < to) return undefined;
      return to === from ? nothing() : createReadStream(path, { start: from, end: to - 1 });
    },

    async remove(vault, id) {
      await rm(join(root, ...parts(vault, id)), { force: true });
    },

    async drop(vault) {
      const path = join(root, ...parts(vault, vault).slice(0, 2));
      for (const one of made) if (one === path || one.startsWith(path + sep)) made.delete(one);
      await rm(path, { recursive: true, force: true });
    },

    async tidy() {
      for (const name of await readdir(staging)) {
        const path = join(staging, name);
        const found = await stat(path).catch(unless("ENOENT"));
        // A younger one may be another process's, which is writing it.
        if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED) await rm(path, { force: true });
      }
    },

    async check() {
      const probe = join(staging, `probe-${toHex(random(8))}`);
      const file = await open(probe, "wx", 0o600);
      try {
        await file.writeFile("tidelock");
      } finally {
        await file.close();
        await rm(probe, { force: true });
      }
    },
  };
}

const ABANDONED = 3_600_000;

function parts(vault: Uint8Array, id: Uint8Array): readonly string[] {
  const [v, b] = [toHex(vault), toHex(id)];
  return [v.slice(0, 2), v, b.slice(0, 2), b];
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if ((error as { code?: unknown }).code !== code) throw error;
    return undefined;
  };
}

async function* nothing(): AsyncIterable<Uint8Array> {}
