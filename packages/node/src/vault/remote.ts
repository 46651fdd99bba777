/** From what a person calls a remote to the remote itself: a folder, or a Tidelock server. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { fromBase64Url } from "@tidelock/core/bytes/base64url";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure, Remote } from "@tidelock/core/ports";
import { errnoOf } from "../home/files.ts";
import type { ServerAccess } from "./server.ts";

/** A path, a `file:` URL or a server's address, as the URL that a home keeps. */
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
  if (scheme === "https" || scheme === "http") return parseServer(text);
  throw new TidelockError("unsupported-on-remote", {
    why: `this version keeps vaults in folders and on Tidelock servers, not at ${scheme}: addresses`,
    next: "name a folder, or a server's https: address",
  });
}

const loopback: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

function parseServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url?.pathname === "/" && url.search === "" && url.hash === "";
  if (url === undefined || !bare || url.username !== "" || url.password !== "")
    throw new TidelockError("usage", {
      why: "this is no server's address",
      next: "https://HOST or https://HOST:PORT, nothing behind it",
    });
  // What travels is sealed, but a session is not: who could read it could write garbage and read sizes.
  if (url.protocol === "http:" && !loopback.has(url.hostname))
    throw new TidelockError("usage", {
      why: "http: is for a server on this machine",
      next: `name it by https://${url.host}`,
    });
  return url.origin;
}

/** A registration token as a person was given it. */
export function tokenOf(text: string): Uint8Array {
  const token = fromBase64Url(text.trim());
  if (token?.length === 16) return token;
  throw new TidelockError("usage", {
    why: "this is no registration token",
    next: "ask whoever runs the server for one: 22 letters and digits",
  });
}

export function isServer(remote: string): boolean {
  return remote.startsWith("https:") || remote.startsWith("http:");
}

export function folderOf(remote: string): string {
  return fileURLToPath(remote);
}

/** A vault's remote. `server` says who asks and for which vault, where it is kept on one. */
export async function openRemote(
  remote: string,
  server: { readonly vault: Uint8Array; readonly access: ServerAccess },
): Promise<Remote> {
  if (isServer(remote)) {
    const { openServer } = await import("./server.ts");
    return openServer(remote, server.vault, server.access);
  }
  return openFolder(remote);
}

/** "FOLDER is there", "URL answers": what to check where it cannot be reached. */
export function placeName(remote: string | undefined): string {
  if (remote === undefined) return "the remote is there";
  return isServer(remote) ? `${remote} answers` : `${folderOf(remote)} is there`;
}

export async function openFolder(remote: string): Promise<Remote> {
  const { openFolderRemote } = await import("../remote-folder/open.ts");
  return openFolderRemote(folderOf(remote));
}

/** Whether a vault was founded in this folder: an empty folder may be a disk that is not mounted, so only its genesis says so. */
export function holdsVault(remote: string): boolean {
  if (isServer(remote)) return false;
  return existsSync(join(folderOf(remote), "genesis"));
}

/** A new vault may need its folder made, one level of it: a typing mistake further up stays one. */
export function needParent(remote: string): void {
  if (isServer(remote)) return;
  const parent = dirname(folderOf(remote));
  if (!existsSync(parent))
    throw new TidelockError("unreachable", {
      why: `${parent} is not there`,
      next: "make the folder, or mount it, and try again",
      retryable: false,
    });
  const stat = statSync(folderOf(remote), { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isDirectory())
    throw new TidelockError("usage", {
      why: `${folderOf(remote)} is a file`,
      next: "name a folder: a vault is kept in one",
    });
}

export function makeFolder(remote: string): void {
  if (isServer(remote)) return;
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
    listBlobs: denied,
    deleteBlobs: denied,
    close: () => undefined,
  };
}
