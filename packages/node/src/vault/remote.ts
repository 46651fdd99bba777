/** From what a person calls a remote to the remote itself. Folders only, for now. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure, Remote } from "@tidelock/core/ports";
import { errnoOf } from "../home/files.ts";

/** A path or a `file:` URL, as the `file:` URL that a home keeps. */
export function parseRemote(text: string, cwd: string = process.cwd()): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  // One letter is a drive of Windows.
  if (scheme === undefined) {
    if (text === "") throw new TidelockError("usage", { why: "the remote is empty", next: "name a folder" });
    return pathToFileURL(resolve(cwd, text)).href;
  }
  if (scheme === "file") {
    try {
      return pathToFileURL(fileURLToPath(text)).href;
    } catch (cause) {
      throw new TidelockError("usage", {
        why: "this file: URL names no folder of this machine",
        next: "name a folder",
        cause,
      });
    }
  }
  throw new TidelockError("unsupported-on-remote", {
    why: `this version keeps vaults in folders, not at ${scheme}: addresses`,
    next: "name a folder: a disk, a share, or a mounted file system",
  });
}

export function folderOf(remote: string): string {
  return fileURLToPath(remote);
}

export async function openRemote(remote: string): Promise<Remote> {
  const { openFolderRemote } = await import("../remote-folder/open.ts");
  return openFolderRemote(folderOf(remote));
}

/** Whether a vault was founded there: an empty folder may be a disk that is not mounted, so only its genesis says so. */
export function holdsVault(remote: string): boolean {
  return existsSync(join(folderOf(remote), "genesis"));
}

/** A new vault may need its folder made, one level of it: a typing mistake further up stays one. */
export function needParent(remote: string): void {
  const parent = dirname(folderOf(remote));
  if (!existsSync(parent))
    throw new TidelockError("unreachable", {
      why: `${parent} is not there`,
      next: "make the folder, or mount it, and try again",
      retryable: false,
    });
}

export function makeFolder(remote: string): void {
  const folder = folderOf(remote);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    const code = errnoOf(cause);
    if (code !== "EEXIST")
      throw new TidelockError("remote-denied", { why: `${folder} cannot be made (${code})`, cause });
  }
}

/** In place of a remote that cannot be used at all: what is here can still be read. */
export function refusingRemote(why: string): Remote {
  const denied = async (): Promise<Failure> => ({ kind: "denied", why });
  return {
    caps: { wake: false, deletes: false, accounts: false, links: false },
    create: denied,
    genesis: denied,
    read: denied,
    append: denied,
    putBlob: denied,
    getBlob: denied,
    close: () => undefined,
  };
}
