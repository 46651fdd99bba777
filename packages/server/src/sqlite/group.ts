/**
 * Natural group commit: while one transaction is being flushed, what arrives waits, and the next
 * transaction takes all of it. No timer: an idle server adds no delay, a busy one shares a flush
 * among hundreds of writes. Each write stands or falls alone, under a savepoint of its own.
 */
import { TidelockError } from "@tidelock/core/errors";
import type { VaultWrite } from "../store.ts";
import { type Db, sqliteCode } from "./file.ts";
import type { Writes } from "./writes.ts";

export interface Job {
  readonly name: keyof Writes;
  readonly args: readonly unknown[];
  readonly done: (value: unknown) => void;
  readonly failed: (error: unknown) => void;
}

export interface GroupOptions {
  /** Called once, when nothing more will be written. */
  readonly failed?: (error: TidelockError) => void;
  /** All jobs of a transaction have been answered, and what comes next takes its time. */
  readonly answered?: () => void;
  /** Runs a turn after what is arriving now, so that what came together is written together. */
  readonly soon?: (turn: () => void) => void;
}

/** So that one transaction stays some tens of ms, and what failed with it is little. */
const MOST = { jobs: 1024, rows: 4096, bytes: 16 << 20 };
/** Pages in the write-ahead file before it is written back, between two transactions. */
const CHECKPOINT_PAGES = 1000;
const PAGE = 4096;
const PAGES_PER_WRITE = 4;

export class GroupWriter {
  readonly #db: Db;
  readonly #writes: Writes;
  readonly #sql: ReturnType<typeof transactionWords>;
  readonly #queue: Job[] = [];
  #scheduled = false;
  #unwritten = 0;
  #broken: TidelockError | undefined;

  readonly #failed: NonNullable<GroupOptions["failed"]>;
  readonly #answered: NonNullable<GroupOptions["answered"]>;
  readonly #soon: NonNullable<GroupOptions["soon"]>;

  constructor(db: Db, writes: Writes, options: GroupOptions = {}) {
    const { failed, answered, soon } = options;
    this.#db = db;
    this.#writes = writes;
    this.#failed = failed ?? (() => undefined);
    this.#answered = answered ?? (() => undefined);
    this.#soon = soon ?? setImmediate;
    this.#sql = transactionWords(db);
    // By hand instead, so that no append waits for it.
    db.pragma("wal_autocheckpoint = 0");
  }

  add(job: Job): void {
    if (this.#broken !== undefined) {
      job.failed(this.#broken);
      return;
    }
    this.#queue.push(job);
    this.#schedule();
  }

  /** Everything that was added is answered when it returns. */
  drain(): void {
    while (this.#queue.length > 0) this.#turn();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#soon(() => {
      this.#scheduled = false;
      this.#turn();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #turn(): void {
    const jobs = this.#next();
    if (jobs.length === 0) return;
    const answers: (() => void)[] = [];
    try {
      this.#sql.begin.run();
      for (const job of jobs) answers.push(this.#run(job));
      this.#sql.commit.run();
    } catch (cause) {
      const error = this.#fault(cause);
      for (const job of jobs) job.failed(error);
      return;
    }
    // Only now: an answer is a promise that this survives a power cut.
    for (const answer of answers) answer();
    this.#answered();
    this.#checkpoint(jobs);
  }

  /** At least one, and no more than one transaction should hold. */
  #next(): readonly Job[] {
    let [count, rows, bytes] = [0, 0, 0];
    for (const job of this.#queue) {
      for (const { frame } of entriesOf(job)) {
        rows++;
        bytes += frame.length;
      }
      if (count > 0 && (count >= MOST.jobs || rows > MOST.rows || bytes > MOST.bytes)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #run(job: Job): () => void {
    this.#sql.save.run();
    try {
      const value = (this.#writes[job.name] as (...args: readonly unknown[]) => unknown)(...job.args);
      this.#sql.release.run();
      return () => job.done(value);
    } catch (error) {
      // SQLite has ended the whole transaction by itself: nothing of this turn stands.
      if (!this.#db.inTransaction) throw error;
      this.#sql.undo.run();
      this.#sql.release.run();
      return () => job.failed(error);
    }
  }

  #fault(cause: unknown): unknown {
    if (this.#db.inTransaction) this.#sql.rollback.run();
    const code = sqliteCode(cause);
    if (code.startsWith("SQLITE_FULL"))
      return new TidelockError("disk-full", { why: "the server's disk is full", cause });
    if (!/^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(code)) return cause;
    // What the kernel dropped after a failed flush cannot be flushed again (fsync(2), EIO): nothing
    // more is answered until the file was opened anew and read back.
    this.#broken = new TidelockError("internal", {
      why: `the server's disk failed (${code})`,
      next: "check the disk, then start the server again",
      cause,
    });
    for (const job of this.#queue.splice(0)) job.failed(this.#broken);
    this.#failed(this.#broken);
    return this.#broken;
  }

  /** By an estimate of what was written: asking the file would cost more than being early. */
  #checkpoint(jobs: readonly Job[]): void {
    for (const job of jobs) {
      this.#unwritten += PAGES_PER_WRITE;
      for (const { frame } of entriesOf(job)) this.#unwritten += 1 + frame.length / PAGE;
    }
    const late = this.#queue.length > 0 ? 8 : 1;
    if (this.#unwritten < late * CHECKPOINT_PAGES) return;
    this.#db.pragma("wal_checkpoint(PASSIVE)");
    this.#unwritten = 0;
  }
}

/** Prepared once: they are said several times for every write. */
function transactionWords(db: Db) {
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    save: db.prepare("SAVEPOINT job"),
    release: db.prepare("RELEASE job"),
    undo: db.prepare("ROLLBACK TO job"),
  };
}

function entriesOf({ name, args }: Job): VaultWrite["entries"] {
  return name === "commit" ? (args[0] as VaultWrite).entries : [];
}
