/** An attached database for the program that holds the vault: SQL as ever, and word of what became of it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Verdict } from "@tidelock/core/engine/api";
import { getOwn, getRun } from "@tidelock/core/engine/outbox";
import { TidelockError } from "@tidelock/core/errors";
import type Database from "better-sqlite3";
import type { DatabaseAttachment } from "../database/attachment.ts";
import { loadSqlite } from "../home/driver.ts";
import { errnoOf } from "../home/files.ts";
import type { Session } from "./session.ts";

export type SqlValue = null | number | bigint | string | Uint8Array;

export interface Transaction {
  run(
    sql: string,
    params?: readonly SqlValue[],
  ): { readonly changes: number; readonly lastInsertRowid: number | bigint };
  all<T = Record<string, SqlValue>>(sql: string, params?: readonly SqlValue[]): T[];
}

export interface Committed<T> {
  readonly value: T;
  /**
   * Resolves when the log has taken the transaction, rejects with `rejected` where it did not: then
   * the edit waits in the queue. Nothing need be done with it: it is durable here either way.
   */
  readonly confirmed: Promise<void>;
}

export interface VaultDatabase {
  readonly path: string;
  /** The attachment itself: its state, issues and counts. */
  readonly attachment: DatabaseAttachment;
  query<T = Record<string, SqlValue>>(sql: string, params?: readonly SqlValue[]): Promise<T[]>;
  /**
   * One SQL transaction, sent as one run: other devices see all of it or nothing. Resolves once it
   * is durable in the database and on its way; what `work` throws undoes it.
   */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>): Promise<Committed<T>>;
  /** Called after something was captured from or written to the database. */
  onChange(listener: () => void): () => void;
  /** Leaves the database as it was before it was attached. */
  detach(): Promise<void>;
}

/** How long another program may hold the database, ms. */
const PATIENCE = 5000;

export function openDatabase(
  session: Session,
  attachment: DatabaseAttachment,
): VaultDatabase & { close(): void } {
  const db = new (loadSqlite())(attachment.path, { timeout: 0 });
  let queue: Promise<unknown> = Promise.resolve();

  async function once<T>(work: (tx: Transaction) => T | Promise<T>): Promise<Committed<T>> {
    // What others wrote before goes on its own: a run of ours is this transaction and no more.
    await attachment.flush();
    const from = session.replica.read((tx) => getOwn(tx).nextRun);
    await patiently(() => db.exec("BEGIN IMMEDIATE"));
    let value: T;
    try {
      value = await work(handle(db));
      await patiently(() => db.exec("COMMIT"));
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
    await attachment.flush();
    const to = session.replica.read((tx) => getOwn(tx).nextRun);
    const confirmed = verdicts(session, from, to);
    // Nobody has to look at it.
    confirmed.catch(() => undefined);
    return { value, confirmed };
  }

  return {
    path: attachment.path,
    attachment,
    query: <T>(sql: string, params: readonly SqlValue[] = []) =>
      patiently(() => db.prepare(sql).all(...params) as T[]),
    transaction: (work) => {
      const next = queue.then(() => once(work));
      queue = next.catch(() => undefined);
      return next;
    },
    onChange: (listener) => attachment.onChange(listener),
    detach: () => {
      db.close();
      return session.attachments.detach(attachment.path, false).then(() => undefined);
    },
    close: () => db.close(),
  };
}

/** Statements of one transaction that are kept: the same one is mostly run many times. */
const STATEMENTS = 100;

function handle(db: Database.Database): Transaction {
  const statements = new Map<string, Database.Statement>();
  const prepared = (sql: string): Database.Statement => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    if (statements.size === STATEMENTS) statements.clear();
    const statement = db.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  return {
    run: (sql, params = []) => prepared(sql).run(...params),
    all: <T>(sql: string, params: readonly SqlValue[] = []) => prepared(sql).all(...params) as T[],
  };
}

/** Runs of the outbox `from` <= id < `to`; one that is gone has been accepted. */
async function verdicts(session: Session, from: number, to: number): Promise<void> {
  const waiting: Promise<Verdict>[] = [];
  for (let id = from; id < to; id++) {
    const run = session.replica.read((tx) => getRun(tx, id));
    if (run?.parked !== undefined) throw rejected(run.parked);
    if (run !== undefined) waiting.push(session.engine.verdict(id));
  }
  for (const verdict of await Promise.all(waiting))
    if (verdict.kind === "void") throw rejected(verdict.reason);
}

function rejected(reason: string): TidelockError {
  return new TidelockError("rejected", {
    why: `the log's verdict is ${reason}; the edit is kept`,
    details: { reason },
  });
}

/** Waits outside of SQLite, whose own waiting would hold up the whole process. */
async function patiently<T>(work: () => T): Promise<T> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!/^SQLITE_(BUSY|LOCKED)/.test(errnoOf(error))) throw error;
      if (performance.now() >= until)
        throw new TidelockError("database-busy", { why: "it stays locked by another program", cause: error });
    }
    await sleep(5);
  }
}
