import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import type { ReplicaStore } from "@tidelock/core/ports";
import type Database from "better-sqlite3";

export interface SqlStoreOptions {
  /** Every space the caller will name; tables that are missing are made. */
  readonly spaces: readonly string[];
  /** How long to wait for another connection's lock, ms. */
  readonly busyMs?: number;
  /** Loads the binding; tests hand in one that is absent. */
  readonly load?: () => typeof Database;
}

export interface SqlStore extends ReplicaStore {
  /** What SQLite finds wrong with the file; empty when it is sound. Reads all of it. */
  quickCheck(): string[];
}

/** "TLR1" in the header of every replica, so that no other database is taken for one. */
const APPLICATION_ID = 0x544c5231;
const LAYOUT = 1;

/**
 * The replica in one SQLite file: a table per space. A transaction is durable when it returns
 * (WAL and `synchronous=FULL`: one fsync a commit). After an I/O error the store answers nothing
 * more until it is opened again: what SQLite or the kernel still caches is no longer proof.
 */
export function openSqlStore(path: string, options: SqlStoreOptions): SqlStore {
  const Sqlite = loadBinding(options.load ?? requireBinding);
  if (path !== ":memory:" && !existsSync(dirname(path))) {
    throw new TidelockError("not-found", { why: "the directory of the replica is not there" });
  }
  let db: Database.Database | undefined;
  try {
    db = new Sqlite(path, { timeout: options.busyMs ?? 5000 });
    prepareFile(db, options.spaces);
    return new SqliteStore(db, options.spaces);
  } catch (error) {
    db?.close();
    throw isMissingBinding(error) ? missingBinding(error) : wrapped(error);
  }
}

function prepareFile(db: Database.Database, spaces: readonly string[]): void {
  // Before anything is written: a file of somebody else is left as it is.
  const id = db.pragma("application_id", { simple: true });
  const version = db.pragma("user_version", { simple: true }) as number;
  const empty = db.prepare("SELECT count(*) FROM sqlite_master").pluck().get() === 0;
  if (id !== APPLICATION_ID && !(empty && id === 0 && version === 0)) {
    throw new TidelockError("replica-damaged", { why: "the file is not a Tidelock replica" });
  }
  if (version > LAYOUT) {
    throw new TidelockError("update-needed", {
      why: `the replica has layout ${version}, this program knows ${LAYOUT}`,
    });
  }
  const journal = db.pragma("journal_mode = WAL", { simple: true });
  // Without WAL (some network file systems) FULL would leave the journal's unlink unsynced: SQLite, "PRAGMA synchronous".
  db.pragma(`synchronous = ${journal === "wal" ? "FULL" : "EXTRA"}`);
  // On macOS a plain fsync stops at the drive's cache.
  db.pragma("fullfsync = ON");
  db.pragma("checkpoint_fullfsync = ON");
  db.pragma("trusted_schema = OFF");
  db.pragma("cache_size = -32000");
  db.pragma("journal_size_limit = 67108864");
  inTransaction(db, () => {
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${LAYOUT}`);
    for (const space of spaces) prepareTable(db, space);
  });
}

function prepareTable(db: Database.Database, space: string): void {
  const wanted = `CREATE TABLE ${quoted(space)} (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID`;
  const found = db
    .prepare("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?")
    .pluck()
    .get(space);
  if (found === undefined) db.exec(wanted);
  else if (found !== wanted)
    throw new TidelockError("replica-damaged", { why: "a table of the replica has another layout" });
}

function inTransaction(db: Database.Database, work: () => void): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    work();
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

interface Statements {
  readonly get: Database.Statement;
  readonly put: Database.Statement;
  readonly delete: Database.Statement;
  readonly scan: Database.Statement;
  readonly scanTo: Database.Statement;
  readonly last: Database.Statement;
  readonly lastTo: Database.Statement;
  readonly count: Database.Statement;
}

type Row = [Uint8Array, Uint8Array];

class SqliteStore implements SqlStore {
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Statements>();
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #rollback: Database.Statement;
  #depth = 0;
  /** Why the open transaction must not commit. */
  #doomed: { readonly error: unknown } | undefined;
  /** Why the store answers nothing more. */
  #broken: TidelockError | undefined;

  constructor(db: Database.Database, spaces: readonly string[]) {
    this.#db = db;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    for (const space of spaces) this.#statements.set(space, prepareStatements(db, quoted(space)));
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return this.#nested(work);
    this.#run(() => this.#begin.run());
    let done = false;
    try {
      const result = this.#nested(work);
      if (this.#doomed !== undefined) throw this.#doomed.error;
      this.#run(() => this.#commit.run());
      done = true;
      return result;
    } finally {
      this.#doomed = undefined;
      // SQLite has rolled back by itself after a full disk or an I/O error.
      if (!done && this.#db.open && this.#db.inTransaction) this.#rollback.run();
    }
  }

  /** A throw anywhere inside undoes all of it, also if an outer level catches it. */
  #nested<T>(work: () => T): T {
    this.#depth++;
    try {
      const result = work();
      if (isThenable(result)) throw new TypeError("a transaction's work is synchronous");
      return result;
    } catch (error) {
      this.#doomed ??= { error };
      throw error;
    } finally {
      this.#depth--;
    }
  }

  get(space: string, key: Uint8Array): Uint8Array | undefined {
    const value = this.#run(() => this.#of(space).get.get(key)) as Uint8Array | undefined;
    return value === undefined ? undefined : plain(value);
  }

  put(space: string, key: Uint8Array, value: Uint8Array): void {
    this.#run(() => this.#of(space).put.run(key, value));
  }

  delete(space: string, key: Uint8Array): void {
    this.#run(() => this.#of(space).delete.run(key));
  }

  scan(space: string, from: Uint8Array, to: Uint8Array | undefined, limit = -1): Row[] {
    const rows = this.#run(() => {
      const { scan, scanTo } = this.#of(space);
      return to === undefined ? scan.all(from, limit) : scanTo.all(from, to, limit);
    }) as Row[];
    for (const row of rows) {
      row[0] = plain(row[0]);
      row[1] = plain(row[1]);
    }
    return rows;
  }

  last(space: string, from: Uint8Array, to: Uint8Array | undefined): Row | undefined {
    const row = this.#run(() => {
      const { last, lastTo } = this.#of(space);
      return to === undefined ? last.get(from) : lastTo.get(from, to);
    }) as Row | undefined;
    return row === undefined ? undefined : [plain(row[0]), plain(row[1])];
  }

  count(space: string): number {
    return this.#run(() => this.#of(space).count.get()) as number;
  }

  quickCheck(): string[] {
    try {
      const found = this.#db.prepare("PRAGMA quick_check(20)").pluck().all() as string[];
      return found.length === 1 && found[0] === "ok" ? [] : found;
    } catch (error) {
      const { code } = wrapped(error);
      if (code !== "replica-damaged") throw wrapped(error);
      return ["the file cannot be read"];
    }
  }

  close(): void {
    this.#db.close();
  }

  #of(space: string): Statements {
    const statements = this.#statements.get(space);
    if (statements === undefined) throw new RangeError(`no space ${space}`);
    return statements;
  }

  #run<T>(call: () => T): T {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      return call();
    } catch (error) {
      const ours = wrapped(error);
      if (isIoError(error)) this.#broken = ours;
      // A change that did not happen must not be committed around, whoever caught this.
      if (this.#depth > 0) this.#doomed ??= { error: ours };
      throw ours;
    }
  }
}

function prepareStatements(db: Database.Database, table: string): Statements {
  const select = `SELECT k, v FROM ${table} WHERE k >= ?`;
  return {
    get: db.prepare(`SELECT v FROM ${table} WHERE k = ?`).pluck(),
    put: db.prepare(`INSERT INTO ${table} (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`),
    delete: db.prepare(`DELETE FROM ${table} WHERE k = ?`),
    scan: db.prepare(`${select} ORDER BY k LIMIT ?`).raw(),
    scanTo: db.prepare(`${select} AND k < ? ORDER BY k LIMIT ?`).raw(),
    last: db.prepare(`${select} ORDER BY k DESC LIMIT 1`).raw(),
    lastTo: db.prepare(`${select} AND k < ? ORDER BY k DESC LIMIT 1`).raw(),
    count: db.prepare(`SELECT count(*) FROM ${table}`).pluck(),
  };
}

/** The driver's Buffer owns its memory alone; as a plain array its `slice` copies, as everybody expects. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function isIoError(error: unknown): boolean {
  return /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(codeOf(error));
}

/** SQLite's results in the words of this project; what is not SQLite's passes through. */
function wrapped(cause: unknown): TidelockError {
  const code = codeOf(cause);
  if (code === "" || !code.startsWith("SQLITE_")) throw cause;
  if (code.startsWith("SQLITE_FULL")) {
    return new TidelockError("disk-full", { why: "the replica could not grow", cause });
  }
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return new TidelockError("replica-damaged", { why: `SQLite cannot read it (${code})`, cause });
  }
  if (code.startsWith("SQLITE_IOERR")) {
    const next = "check the disk, then start Tidelock again";
    return new TidelockError("replica-damaged", { why: `the disk failed (${code})`, next, cause });
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new TidelockError("in-use", { why: "another process holds the replica", retryable: true, cause });
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/.test(code)) {
    return new TidelockError("read-only", {
      why: `the replica cannot be opened for writing (${code})`,
      cause,
    });
  }
  return new TidelockError("internal", { why: `SQLite answered ${code}`, cause });
}

function requireBinding(): typeof Database {
  return createRequire(import.meta.url)("better-sqlite3") as typeof Database;
}

function loadBinding(load: () => typeof Database): typeof Database {
  try {
    return load();
  } catch (cause) {
    throw missingBinding(cause);
  }
}

/** The package loads its native half only when the first database is opened. */
function isMissingBinding(error: unknown): boolean {
  return (
    error instanceof Error &&
    (codeOf(error) === "ERR_DLOPEN_FAILED" || error.message.startsWith("Could not locate the bindings file"))
  );
}

function missingBinding(cause: unknown): TidelockError {
  const next = "npm rebuild better-sqlite3";
  return new TidelockError("internal", {
    why: "the SQLite driver is not built for this Node.js",
    next,
    cause,
  });
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}
