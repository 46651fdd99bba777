/**
 * The replica that ships, in SQLite on a file in memory, and what a next start finds of it.
 *
 * A kill keeps what was written: the files are copied as they are, with a transaction open or not. A power cut
 * amid a transaction falls into its commit: the sectors of its frames are there or not, the last one is not. After
 * a commit that was flushed a power cut takes nothing; of commits that were not, any number of the newest.
 * Not played: a drive that reports a flush it did not do, a checkpoint that is cut (SQLite repeats it from
 * the log), and names of files that a directory forgets.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { SPOOL } from "@tidelock/core/engine/spool";
import { withFileValues } from "@tidelock/node/store/file-values";
import { openSqlStore } from "@tidelock/node/store/sql-store";
import type { Disk, DiskImage } from "@tidelock/testkit/world/parts";
import type { Stream } from "@tidelock/testkit/world/random";
import type Database from "better-sqlite3";

/** Smaller than what ships: packs of these histories are small, and some must be files. */
const LARGE = 1024;
const SECTOR = 512;
/** SQLite, "WAL-mode File Format": header of the log, header of a frame, and where the index counts checkpointed frames. */
const WAL_HEADER = 32;
const FRAME_HEADER = 24;
const BACKFILLED_AT = 96;
/** `PRAGMA synchronous`. */
const FULL = 2;

interface Files {
  readonly db: Uint8Array;
  readonly wal: Uint8Array;
  readonly values: ReadonlyMap<string, Uint8Array>;
}

export interface SqlDisks {
  readonly make: (spaces: readonly string[]) => Disk;
  /** Connections that are open, the newest last. */
  readonly opened: () => readonly Database.Database[];
  readonly close: () => void;
}

export function createSqlDisks(folder: string): SqlDisks {
  const open = new Set<Database.Database>();
  let made = 0;
  const start = (spaces: readonly string[], files: Files | undefined): Disk => {
    const own = join(folder, String(++made));
    mkdirSync(own);
    const { disk, db } = openDisk(
      own,
      spaces,
      files,
      (next) => start(spaces, next),
      () => open.delete(db),
    );
    open.add(db);
    return disk;
  };
  return {
    make: (spaces) => start(spaces, undefined),
    opened: () => [...open],
    close() {
      for (const db of open) db.close();
      open.clear();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function openDisk(
  folder: string,
  spaces: readonly string[],
  files: Files | undefined,
  again: (files: Files) => Disk,
  ended: () => void,
): { readonly disk: Disk; readonly db: Database.Database } {
  const path = join(folder, "replica.db");
  const spool = join(folder, "spool");
  if (files !== undefined) lay(files, path, spool);
  const { load, opened } = seen();
  const store = withFileValues(openSqlStore(path, { spaces, load }), SPOOL, spool, LARGE);
  const db = opened();
  if (files !== undefined) {
    const damage = store.quickCheck();
    if (damage.length > 0) throw new Error(`the replica is damaged after a crash: ${damage[0]}`);
    store.sweep();
  }
  const found = (): Files => take(path, spool);
  const imageOf = (taken: Files): DiskImage => ({ open: () => again(taken) });
  const disk: Disk = {
    store,
    image: () => imageOf(found()),
    end(power) {
      const left = power === undefined ? found() : cut(db, path, found, power);
      db.close();
      ended();
      rmSync(folder, { recursive: true, force: true });
      return imageOf(left);
    },
    fill() {
      // No fewer pages than there are: SQLite then says itself that the disk is full.
      db.pragma("max_page_count = 1");
      return () => void db.pragma("max_page_count = 1073741823");
    },
  };
  return { disk, db };
}

/** The binding, and the connection that somebody opened with it. */
function seen(): { readonly load: () => typeof Database; readonly opened: () => Database.Database } {
  const Sqlite = createRequire(import.meta.url)("better-sqlite3") as typeof Database;
  let db: Database.Database | undefined;
  const Kept = new Proxy(Sqlite, {
    construct(target, args: ConstructorParameters<typeof Database>) {
      db = new target(...args);
      return db;
    },
  });
  return {
    load: () => Kept,
    opened() {
      if (db === undefined) throw new Error("the store opened no database");
      return db;
    },
  };
}

function lay({ db, wal, values }: Files, path: string, spool: string): void {
  writeFileSync(path, db);
  if (wal.length > 0) writeFileSync(`${path}-wal`, wal);
  mkdirSync(spool);
  for (const [name, bytes] of values) writeFileSync(join(spool, name), bytes);
}

function take(path: string, spool: string): Files {
  const wal = `${path}-wal`;
  return {
    db: readFileSync(path),
    wal: existsSync(wal) ? readFileSync(wal) : new Uint8Array(0),
    values: new Map(readdirSync(spool).map((name) => [name, readFileSync(join(spool, name))])),
  };
}

function cut(db: Database.Database, path: string, found: () => Files, random: Stream): Files {
  const before = found();
  const flushed = (db.pragma("synchronous", { simple: true }) as number) >= FULL;
  if (db.inTransaction) {
    db.exec("COMMIT");
    return { ...before, wal: torn(before.wal, found().wal, random) };
  }
  if (flushed || before.wal.length === 0) return before;
  const page = db.pragma("page_size", { simple: true }) as number;
  // A checkpoint flushes the log before it copies from it.
  const kept = Math.min(before.wal.length, WAL_HEADER + backfilled(path) * (FRAME_HEADER + page));
  return { ...before, wal: before.wal.slice(0, random.int(kept, before.wal.length)) };
}

/** The log amid the write of its newest frames. */
function torn(before: Uint8Array, after: Uint8Array, random: Stream): Uint8Array {
  let last = after.length - 1;
  while (last >= 0 && before[last] === after[last]) last--;
  if (last < 0 || random.chance(0.2)) return before;
  const end = Math.floor(last / SECTOR);
  const inOrder = random.chance(0.5) ? random.int(0, end) : undefined;
  const wal = new Uint8Array(Math.max(before.length, after.length));
  wal.set(before);
  let written = before.length;
  for (let sector = 0; sector < end; sector++) {
    if (inOrder === undefined ? random.chance(0.5) : sector >= inOrder) continue;
    const at = sector * SECTOR;
    wal.set(after.subarray(at, at + SECTOR), at);
    written = Math.max(written, at + SECTOR);
  }
  // A new header is flushed before any frame under it is written (SQLite, wal.c, `syncHeader`).
  wal.set(after.subarray(0, WAL_HEADER));
  written = Math.max(written, WAL_HEADER);
  return random.chance(0.5) ? wal.slice(0, written) : wal;
}

/** How many frames of the log are in the database already. */
function backfilled(path: string): number {
  const fd = openSync(`${path}-shm`, "r");
  try {
    const count = new DataView(new ArrayBuffer(4));
    readSync(fd, count, 0, 4, BACKFILLED_AT);
    return count.getUint32(0, true);
  } finally {
    closeSync(fd);
  }
}
