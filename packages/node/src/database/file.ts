/**
 * The app's file with the manners we keep there: never wait inside SQLite, because its busy
 * handler would block the whole process; try again from outside, a bounded number of times.
 */
import { statSync } from "node:fs";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, Scheduler } from "@tidelock/core/ports";
import { identityOf } from "./memory.ts";
import type { Point } from "./points.ts";
import type { FileIdentity } from "./registry.ts";
import { type Db, type Driver, isBusy, openFile, type Statement, wrap } from "./sqlite.ts";

export interface FileDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Random bytes: identities of rows, branches of the token, jitter. */
  readonly random: (n: number) => Uint8Array;
  readonly point?: Point;
}

/** The longest a lock is asked for, ms: after that the answer is `busy`, and the next pump tries anew. */
const PATIENCE = 5000;
const STATEMENTS = 400;

export type Locked<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "busy" };

export class AppFile {
  readonly path: string;
  readonly db: Db;
  readonly #deps: FileDeps;
  readonly #inode: string;
  /** Which file was opened. */
  readonly identity: FileIdentity | undefined;
  readonly #statements = new Map<string, Statement>();
  /** TEXT is stored as UTF-8: its bytes can be read back as they are. */
  readonly utf8: boolean;
  #stopped = false;

  constructor(driver: Driver, path: string, deps: FileDeps) {
    this.path = path;
    this.#deps = deps;
    this.db = openFile(driver, path);
    this.#inode = inodeOf(path) ?? "";
    this.identity = identityOf(path);
    this.utf8 = this.db.pragma("encoding", { simple: true }) === "UTF-8";
  }

  /** The app may change its journal mode at any time. */
  get wal(): boolean {
    return this.db.pragma("journal_mode", { simple: true }) === "wal";
  }

  /** Whether the path still names the file that is open here. */
  stillThere(): "same" | "other" | "missing" {
    const now = inodeOf(this.path);
    if (now === undefined) return "missing";
    return now === this.#inode ? "same" : "other";
  }

  statement(sql: string): Statement {
    let found = this.#statements.get(sql);
    if (found === undefined) {
      if (this.#statements.size >= STATEMENTS) this.#statements.clear();
      found = this.db.prepare(sql) as Statement;
      this.#statements.set(sql, found);
    }
    return found;
  }

  pragma(name: "schema_version" | "data_version"): number {
    return Number(this.db.pragma(name, { simple: true }));
  }

  /** Runs `work` in a transaction; what it throws rolls back. */
  read<T>(work: () => T): Promise<Locked<T>> {
    return this.#locked("BEGIN", work);
  }

  /** Runs `work` holding the write lock from the start. */
  write<T>(work: () => T): Promise<Locked<T>> {
    return this.#locked("BEGIN IMMEDIATE", work);
  }

  async #locked<T>(begin: string, work: () => T): Promise<Locked<T>> {
    const until = this.#deps.clock.mono() + PATIENCE;
    for (;;) {
      try {
        this.db.exec(begin);
        const value = work();
        await this.#commit(until);
        return { kind: "done", value };
      } catch (error) {
        if (this.db.open && this.db.inTransaction) this.db.exec("ROLLBACK");
        if (!isBusy(error))
          return wrap(this.path, () => {
            throw error;
          });
        if (this.#deps.clock.mono() >= until) return { kind: "busy" };
        await this.pause();
      }
    }
  }

  /** With a rollback journal a reader can hold a commit up; the transaction stays and is committed later. */
  async #commit(until: number): Promise<void> {
    for (;;) {
      try {
        this.db.exec("COMMIT");
        return;
      } catch (error) {
        if (!isBusy(error) || !this.db.inTransaction || this.#deps.clock.mono() >= until) throw error;
        await this.pause();
      }
    }
  }

  /** 5 to 50 ms, so that two who wait do not meet again. */
  pause(): Promise<void> {
    const ms = 5 + ((this.#deps.random(1)[0] ?? 0) * 45) / 255;
    return this.rest(ms);
  }

  async rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#deps.scheduler.after(ms, resolve);
    });
    if (this.#stopped) throw new TidelockError("cancelled", { why: `${this.path} is being closed` });
  }

  /** Whoever waits gives up at the end of the wait. */
  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#statements.clear();
    if (this.db.open) this.db.close();
  }
}

function inodeOf(path: string): string | undefined {
  try {
    const s = statSync(path, { bigint: true });
    return `${s.dev}:${s.ino}`;
  } catch {
    return undefined; // gone, or not to be looked at: both mean that it is not there for us
  }
}
