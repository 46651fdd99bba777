/**
 * One process owns a home: an SQLite `BEGIN EXCLUSIVE` on a tiny database, since Node.js has no
 * flock. The system frees it on any death. Nothing else may open that file: closing any other
 * descriptor on it would drop the lock (POSIX record locks).
 */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { loadSqlite } from "./driver.ts";
import { errnoOf, privateFolder, readWhole, writeWhole } from "./files.ts";
import type { HomePaths } from "./paths.ts";

export interface Owner {
  readonly pid: number;
  /** What it does, e.g. `daemon`. Never an argument a person typed. */
  readonly what: string;
  /** ms since 1970. */
  readonly since: number;
  /** Where it answers, if it does. */
  readonly socket?: string;
}

export interface HomeLock {
  release(): void;
}

/** Undefined while another process holds it. */
export function tryLock(paths: HomePaths, owner: Owner): HomeLock | undefined {
  const driver = loadSqlite();
  privateFolder(dirname(paths.lock));
  const db = new driver(paths.lock, { timeout: 0 });
  try {
    db.pragma("journal_mode = DELETE");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (/^SQLITE_(BUSY|LOCKED)/.test(errnoOf(error))) return undefined;
    throw lockFault(paths, error);
  }
  writeWhole(paths.owner, `${JSON.stringify(owner)}\n`);
  return {
    release: () => {
      rmSync(paths.owner, { force: true });
      db.exec("ROLLBACK");
      db.close();
    },
  };
}

/** Who holds the lock, as it said itself. Believe it only while the lock is held. */
export function readOwner(paths: HomePaths): Owner | undefined {
  const bytes = readWhole(paths.owner);
  if (bytes === undefined) return undefined;
  try {
    const { pid, what, since, socket } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Owner>;
    if (typeof pid !== "number" || typeof what !== "string" || typeof since !== "number") return undefined;
    return { pid, what, since, ...(typeof socket === "string" ? { socket } : {}) };
  } catch {
    return undefined; // half written by a process that is being killed: nobody known
  }
}

export function inUse(paths: HomePaths): TidelockError {
  const owner = readOwner(paths);
  const who = owner === undefined ? "another process" : `process ${owner.pid} (${owner.what})`;
  return new TidelockError("in-use", {
    why: `${who} uses ${paths.root}`,
    next: owner?.what === "daemon" ? "tidelock daemon stop" : "wait until it has ended, then try again",
    retryable: true,
    ...(owner === undefined ? {} : { details: { pid: owner.pid } }),
  });
}

function lockFault(paths: HomePaths, cause: unknown): unknown {
  const code = errnoOf(cause);
  if (code.startsWith("SQLITE_FULL"))
    return new TidelockError("disk-full", { why: `no room for ${paths.lock}`, cause });
  if (/^SQLITE_(CANTOPEN|READONLY|PERM)/.test(code))
    return new TidelockError("usage", {
      why: `${paths.lock} cannot be written (${code})`,
      next: "choose another home with --home, or mend its permissions",
      cause,
    });
  return cause;
}
