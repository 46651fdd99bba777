/** The embedded database file: opened, checked to be ours, brought to the newest layout. */
import { createRequire } from "node:module";
import { TidelockError } from "@tidelock/core/errors";
import type Database from "better-sqlite3";
import { migrations } from "./migrations.ts";

export type Db = Database.Database;

/** "TLS1" in the file's header: no other database is taken for a server's. */
const APPLICATION_ID = 0x544c5331;

export function openFile(path: string): Db {
  const db = new (loadDriver())(path, { timeout: 5_000 });
  try {
    prepare(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** For reads beside the writer: WAL gives each its own committed view. */
export function openReader(path: string): Db {
  const db = new (loadDriver())(path, { timeout: 5_000, readonly: true });
  db.pragma("query_only = ON");
  db.pragma("mmap_size = 268435456");
  return db;
}

function prepare(db: Db, path: string): void {
  const id = db.pragma("application_id", { simple: true });
  const version = db.pragma("user_version", { simple: true }) as number;
  const empty = db.prepare("SELECT count(*) FROM sqlite_master").pluck().get() === 0;
  if (id !== APPLICATION_ID && !(empty && id === 0 && version === 0))
    throw new TidelockError("usage", {
      why: `${path} is a database of another program`,
      next: "name another data folder",
    });
  if (version > migrations.length)
    throw new TidelockError("update-needed", {
      why: `${path} has layout ${version}, this server knows ${migrations.length}`,
      next: "start the newer server again, or restore the backup made before it",
    });
  if (db.pragma("journal_mode = WAL", { simple: true }) !== "wal")
    throw new TidelockError("usage", {
      why: `${path} is on a file system without shared memory maps`,
      next: "put the data folder on a local disk",
    });
  // One fsync a commit; NORMAL would acknowledge what a power cut takes back.
  db.pragma("synchronous = FULL");
  db.pragma("fullfsync = ON");
  db.pragma("checkpoint_fullfsync = ON");
  db.pragma("trusted_schema = OFF");
  db.pragma("foreign_keys = OFF");
  db.pragma("cache_size = -65536");
  db.pragma("journal_size_limit = 67108864");
  // A start that writes would first write back all that a killed server left in its journal.
  if (id !== APPLICATION_ID || version !== migrations.length) migrate(db);
}

/** Under the file's write lock, so that of several processes one migrates. */
function migrate(db: Db): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const done = db.pragma("user_version", { simple: true }) as number;
    for (const sql of migrations.slice(done)) db.exec(sql);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${migrations.length}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function loadDriver(): typeof Database {
  try {
    const driver = createRequire(import.meta.url)("better-sqlite3") as typeof Database;
    // The native half loads with the first database only.
    new driver(":memory:").close();
    return driver;
  } catch (cause) {
    throw new TidelockError("internal", {
      why: "the SQLite driver is not built for this Node.js",
      next: "npm rebuild better-sqlite3",
      cause,
    });
  }
}

export function sqliteCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && code.startsWith("SQLITE_") ? code : "";
}
