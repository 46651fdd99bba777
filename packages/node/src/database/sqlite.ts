/** The driver's door: how the app's file is opened, and what its errors mean to a person. */
import { createRequire } from "node:module";
import { TidelockError } from "@tidelock/core/errors";
import type BetterSqlite3 from "better-sqlite3";

export type Db = BetterSqlite3.Database;
export type Statement = BetterSqlite3.Statement<unknown[], unknown>;
/** What SQLite stores, as the driver hands it out with safe integers: REAL is `number`, INTEGER `bigint`. */
export type Raw = null | bigint | number | string | Uint8Array;
export type Driver = new (path: string, options?: BetterSqlite3.Options) => Db;

/** Loaded when the first database is attached: the driver is an optional, native dependency. */
export function loadDriver(): Driver {
  try {
    return createRequire(import.meta.url)("better-sqlite3") as Driver;
  } catch (cause) {
    throw missingDriver(cause);
  }
}

function missingDriver(cause: unknown): TidelockError {
  return new TidelockError("internal", {
    why: "the SQLite driver is not built for this Node.js",
    next: "npm rebuild better-sqlite3",
    cause,
  });
}

/**
 * Our connection to an app's file. Foreign keys are off because cascades of rows we write came
 * as changes of their own; recursive triggers are off as in every program that does not ask for
 * them; FULL makes our commits, and with them all of the app's before, survive a power cut.
 */
export function openFile(driver: Driver, path: string): Db {
  return wrap(path, () => {
    const db = new driver(path, { timeout: 0 });
    try {
      db.defaultSafeIntegers(true);
      db.pragma("foreign_keys = OFF");
      db.pragma("recursive_triggers = OFF");
      db.pragma("synchronous = FULL");
      db.prepare("SELECT count(*) FROM sqlite_schema").get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

export function sqliteCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && code.startsWith("SQLITE_") ? code : "";
}

export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error));
}

/** Runs something on the file at `path` and says in our words what went wrong. */
export function wrap<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explain(path, error);
  }
}

export function explain(path: string, error: unknown): unknown {
  const code = sqliteCode(error);
  const why = `${path}: ${error instanceof Error ? error.message : String(error)}`;
  // The package loads its native half only when the first database is opened.
  if ((error as { code?: unknown } | null)?.code === "ERR_DLOPEN_FAILED") return missingDriver(error);
  if (code === "") return error;
  if (isBusy(error)) return new TidelockError("database-busy", { why, cause: error });
  if (/^SQLITE_(NOTADB|CORRUPT|FORMAT)/.test(code))
    return new TidelockError("not-sqlite", { why, cause: error });
  if (/^SQLITE_(READONLY|PERM|AUTH)/.test(code)) return new TidelockError("read-only", { why, cause: error });
  if (code === "SQLITE_FULL") return new TidelockError("disk-full", { why, cause: error });
  if (code.startsWith("SQLITE_CANTOPEN")) return new TidelockError("not-sqlite", { why, cause: error });
  return error;
}

/** Any name as an identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Any text as a string literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** How SQLite compares names: without ASCII case. NFC, because declarations travel so. */
export function fold(name: string): string {
  return name.normalize("NFC").replace(/[A-Z]/g, (c) => c.toLowerCase());
}

export function rawBytes(value: Uint8Array): Uint8Array {
  // The driver hands out Buffers; everything downstream wants plain arrays of their own memory.
  return new Uint8Array(value);
}
