/** One call for every command: by the daemon where one owns the home, else in this process. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TidelockError } from "@tidelock/core/errors";
import type { Log } from "@tidelock/core/ports";
import { isOwnFolder } from "../home/files.ts";
import type { KeyOptions } from "../home/keys.ts";
import { inUse, readOwner } from "../home/lock.ts";
import type { HomePaths } from "../home/paths.ts";
import { silentError } from "./alive.ts";
import { createClient, type DaemonClient, NoDaemon } from "./client.ts";
import type { VaultService } from "./service.ts";

export interface ConnectOptions {
  readonly paths: HomePaths;
  readonly keys: KeyOptions;
  readonly vault?: string | undefined;
  readonly log?: Log;
  /** What the command does, for others who wait for the home. */
  readonly what: string;
  /** How long another owner of the home may take to end or to answer, ms. */
  readonly waitMs?: number;
  /** Attached databases are opened too: they are flushed, shown and watched. */
  readonly databases?: boolean;
}

const PATIENCE = 5000;
const AGAIN = 25;

export async function withVault<T>(
  options: ConnectOptions,
  work: (service: VaultService) => Promise<T>,
): Promise<T> {
  const { paths } = options;
  const until = performance.now() + (options.waitMs ?? PATIENCE);
  for (;;) {
    const answered = await byDaemon(options, work);
    if (answered !== undefined) return answered.value;
    const done = await here(options, work);
    if (done !== undefined) return done.value;
    if (performance.now() >= until) throw inUse(paths);
    await sleep(AGAIN);
  }
}

/** Where the home's owner says it listens. */
export function daemonSocket(paths: HomePaths): string | undefined {
  const socket = readOwner(paths)?.socket ?? paths.socket;
  if (process.platform === "win32") return socket;
  // In the system's temporary folder somebody else could listen under this name.
  return isOwnFolder(dirname(socket)) && existsSync(socket) ? socket : undefined;
}

/** The daemon that has this home; undefined where none listens. */
export function daemonClient(
  paths: HomePaths,
  options: { readonly vault?: string | undefined; readonly waitMs?: number | undefined } = {},
): DaemonClient | undefined {
  const socket = daemonSocket(paths);
  if (socket === undefined) return undefined;
  return createClient(socket, {
    vault: options.vault,
    silence: options.waitMs,
    silent: (ms) => silentError(readOwner(paths), ms),
  });
}

async function byDaemon<T>(
  options: ConnectOptions,
  work: (service: VaultService) => Promise<T>,
): Promise<{ value: T } | undefined> {
  const client = daemonClient(options.paths, options);
  if (client === undefined) return undefined;
  try {
    await client.info();
  } catch (error) {
    if (error instanceof NoDaemon) return undefined;
    throw error;
  }
  try {
    return { value: await work(client.service) };
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    throw new TidelockError("in-use", {
      why: "the daemon ended in the middle of this",
      next: "run the command again",
      retryable: true,
    });
  }
}

/** Undefined while another process holds the home. */
async function here<T>(
  options: ConnectOptions,
  work: (service: VaultService) => Promise<T>,
): Promise<{ value: T } | undefined> {
  const { tryLock } = await import("../home/lock.ts");
  const { vaultOf, openSession } = await import("../vault/session.ts");
  // Nothing is made in a folder that holds no vault.
  vaultOf(options.paths, options.vault);
  const lock = tryLock(options.paths, { pid: process.pid, what: options.what, since: Date.now() });
  if (lock === undefined) return undefined;
  try {
    const session = await openSession(options);
    try {
      if (options.databases === true) {
        await session.attachments.resume();
        await session.folders.resume(false);
      }
      const { createService } = await import("./service.ts");
      return { value: await work(createService(session, false)) };
    } finally {
      await session.close();
    }
  } finally {
    lock.release();
  }
}
