/** The databases of one vault on this device: which there are, and that each is kept in step. */
import { existsSync } from "node:fs";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Engine } from "@tidelock/core/engine/api";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { Tx } from "@tidelock/core/log/tx";
import type { Clock, Log, Scheduler } from "@tidelock/core/ports";
import {
  type AttachDeps,
  attachDatabase,
  type DatabaseAttachment,
  type Left,
} from "../database/attachment.ts";
import { detachForce } from "../database/detach.ts";
import { identityOf, recognise, retire } from "../database/memory.ts";
import { pathOf } from "../database/open.ts";
import { type AttachmentRecord, Registry, records } from "../database/registry.ts";
import { fold } from "../database/sqlite.ts";
import { loadSqlite } from "../home/driver.ts";
import { errnoOf } from "../home/files.ts";
import { copiedError } from "./copied.ts";
import type { Matter } from "./issues.ts";
import { optional } from "./status.ts";
import { createWatchdog } from "./watchdog.ts";

export interface DatabaseInfo {
  readonly path: string;
  readonly tables: readonly string[];
  readonly state: "live" | "paused" | "attaching" | "detached";
  /** Why it is paused: one of the codes in docs/guide/troubleshooting.md, and in words. */
  readonly code?: string;
  readonly why?: string;
  /** What then to do. */
  readonly next?: string;
  /** Rows of the vault that it does not show yet. */
  readonly waiting: number;
  /** Deletions that wait for a person's word. */
  readonly withheld: number;
  /** Rows that it does not take, or whose key holds a NULL. */
  readonly aside: number;
  /** What a person should know of it. */
  readonly notes: readonly string[];
}

export interface AttachWish {
  readonly tables?: readonly string[];
  /** Tables whose INTEGER PRIMARY KEY names the row itself. */
  readonly natural?: readonly string[];
}

export interface Attachments {
  /** Opens all that are attached; what cannot be opened is paused, and tried again. */
  resume(): Promise<void>;
  attach(path: string, wish: AttachWish): Promise<DatabaseInfo>;
  detach(path: string, force: boolean): Promise<DatabaseInfo>;
  approve(path: string): Promise<{ readonly approved: number }>;
  list(): readonly DatabaseInfo[];
  count(): number;
  /** The open attachment of a file. */
  at(path: string): DatabaseAttachment | undefined;
  /** Rows that open databases do not show yet: what a wait can end for. Those of paused ones and withheld deletions wait for a person. */
  due(): number;
  /** Captures what programs wrote and shows what the vault has; false while a file stays locked. */
  settle(): Promise<boolean>;
  /** Writes of programs that were not captured yet, also of databases that are not open here. */
  unread(): number;
  facts(): {
    readonly withheldDeletions: number;
    readonly pausedDatabases: number;
    readonly unprojected: number;
  };
  issues(): readonly Matter[];
  /** Databases where something is due and did not move for 30 s. Somebody must look every few seconds. */
  stalled(): number;
  close(): Promise<void>;
}

export interface AttachmentsDeps {
  readonly engine: Engine;
  readonly tables: TablesView;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly suite: Suite;
  /** False in a copied home: its databases belong to the device it was copied from. */
  readonly enabled: boolean;
}

/** When a database that could not be opened is tried again, ms: twice as long each time, up to a minute. */
const AGAIN = 2000;
const AGAIN_CAP = 60_000;

export function createAttachments(d: AttachmentsDeps): Attachments {
  const { engine, tables, scheduler } = d;
  const deps: AttachDeps = { clock: d.clock, scheduler, log: d.log, random: (n) => d.suite.random(n) };
  const dog = createWatchdog(() => d.clock.mono());
  /** Each step forward of a database is an event of its log. */
  const depsFor = (path: string): AttachDeps => ({
    ...deps,
    log: {
      event: (name, fields) => {
        if (progress.has(name)) dog.moved(path);
        d.log.event(name, fields);
      },
    },
  });
  const openByPath = new Map<string, DatabaseAttachment>();
  const failedByPath = new Map<string, string>();
  let retry: (() => void) | undefined;
  let pause = AGAIN;
  let closed = false;
  let queue: Promise<unknown> = Promise.resolve();

  /** One thing at a time: a file must not be attached twice. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = queue.then(work);
    queue = next.catch(() => undefined);
    return next;
  }

  const known = (): readonly AttachmentRecord[] => engine.read((tx) => records(tx));

  async function resume(): Promise<void> {
    if (!d.enabled || closed) return;
    for (const record of known()) {
      if (openByPath.has(record.path)) continue;
      const failure = await reopen(record);
      if (failure === undefined) failedByPath.delete(record.path);
      else failedByPath.set(record.path, failure);
      if (closed) return;
    }
    retry?.();
    retry = undefined;
    if (failedByPath.size === 0) {
      pause = AGAIN;
      return;
    }
    retry = scheduler.after(pause, () => void inTurn(resume).catch(() => undefined));
    pause = Math.min(AGAIN_CAP, pause * 2);
  }

  async function reopen(record: AttachmentRecord): Promise<string | undefined> {
    // Opening would make an empty file, which would then count as the database put in its place.
    if (!existsSync(record.path)) return "file-missing";
    try {
      const opened = await attachDatabase(engine, tables, record.path, {}, depsFor(record.path));
      if (closed) opened.close();
      else openByPath.set(record.path, opened);
      return undefined;
    } catch (error) {
      const code = error instanceof TidelockError ? error.code : "internal";
      d.log.event("database.failed", { code });
      return code;
    }
  }

  function infoOf(record: AttachmentRecord): DatabaseInfo {
    const opened = openByPath.get(record.path);
    const { withheld, waiting } = engine.read((tx) => {
      const counts = countsOf(tx, record);
      return { ...counts, waiting: Math.max(0, tables.dirtyCount(tx) - counts.aside) };
    });
    const issues = opened?.issues() ?? [];
    const paused = opened?.state === "paused" ? issues[0] : undefined;
    const failure = failedByPath.get(record.path);
    const state =
      failure !== undefined || opened?.state === "paused"
        ? "paused"
        : opened === undefined && record.phase !== "live"
          ? "attaching"
          : "live";
    return {
      path: record.path,
      tables: record.tables.map((table) => table.name),
      state,
      ...optional("code", paused?.code ?? failure),
      ...optional("why", paused?.text ?? (failure === undefined ? undefined : words(failure))),
      ...optional("next", state === "paused" ? nextFor(paused?.code ?? failure, record.path) : undefined),
      waiting,
      withheld,
      aside: issues.filter((i) => asides.has(i.code)).reduce((sum, i) => sum + i.count, 0),
      notes: notesOf(opened),
    };
  }

  async function settle(): Promise<boolean> {
    let quiet = true;
    for (const opened of openByPath.values()) quiet = (await opened.pump()).kind !== "busy" && quiet;
    return quiet;
  }

  async function attach(path: string, wish: AttachWish): Promise<DatabaseInfo> {
    if (!d.enabled) throw copiedError();
    const real = pathOf(path);
    needSameWish(
      known().find((r) => r.path === real),
      wish,
    );
    let opened = openByPath.get(real);
    if (opened === undefined) {
      const keys = Object.fromEntries((wish.natural ?? []).map((table) => [table, "natural" as const]));
      opened = await attachDatabase(
        engine,
        tables,
        real,
        { keys, ...optional("tables", wish.tables) },
        depsFor(real),
      );
      openByPath.set(opened.path, opened);
      failedByPath.delete(opened.path);
    }
    // Asked for again: the tables as they are now are meant.
    await opened.mend();
    await opened.pump();
    const at = opened.path;
    const record = known().find((r) => r.path === at);
    if (record === undefined) throw new TidelockError("internal", { why: "an attachment without a record" });
    return infoOf(record);
  }

  async function detach(path: string, force: boolean): Promise<DatabaseInfo> {
    const real = pathOf(path);
    const record = known().find((r) => r.path === real);
    const before = record === undefined ? undefined : infoOf(record);
    const opened = openByPath.get(real);
    const notes: string[] = [];
    if (!force && !d.enabled) throw copiedError();
    if (force && record === undefined && !existsSync(real))
      throw new TidelockError("not-found", { why: `there is no file ${real}`, next: "tidelock db ls" });
    if (force) notes.push(...(await detachByForce(real, record, opened)));
    else if (record === undefined)
      throw new TidelockError("not-found", {
        why: "no database is attached from there",
        next: "tidelock db ls",
      });
    else if (opened === undefined) throw closedError(real, failedByPath.get(real));
    else notes.push(...leftNotes(await opened.detach()));
    openByPath.delete(real);
    failedByPath.delete(real);
    const names = before?.tables ?? [];
    return { path: real, tables: names, state: "detached", waiting: 0, withheld: 0, aside: 0, notes };
  }

  async function detachByForce(
    path: string,
    record: AttachmentRecord | undefined,
    opened: DatabaseAttachment | undefined,
  ): Promise<readonly string[]> {
    opened?.close();
    const done = existsSync(path) ? await detachForce(path, deps) : undefined;
    engine.write((tx) => {
      if (record !== undefined) retire(tx, tables, record);
      const file = identityOf(path);
      if (done?.attachment !== undefined && file !== undefined) recognise(tx, done.attachment, file);
    });
    const unsent = done?.unsent ?? 0;
    return unsent === 0 ? [] : [`not sent: edits since the last sync of ${rowsOf(unsent)}. ${AGAIN_KEEPS}`];
  }

  return {
    resume: () => inTurn(resume),
    attach: (path, wish) => inTurn(() => attach(path, wish)),
    detach: (path, force) => inTurn(() => detach(path, force)),
    approve: async (path) => {
      const opened = openByPath.get(pathOf(path));
      if (opened === undefined)
        throw new TidelockError("not-found", {
          why: "no database is attached from there",
          next: "tidelock db ls",
        });
      let approved = 0;
      for (const issue of opened.issues().filter((i) => i.code === "guard-deletion")) {
        await opened.approve(issue.id);
        approved += issue.count;
      }
      return { approved };
    },
    list: () => known().map(infoOf),
    count: () => known().length,
    at: (path) => openByPath.get(pathOf(path)),
    due: () =>
      [...openByPath.values()]
        .filter((opened) => opened.state === "live")
        .reduce((sum, opened) => sum + opened.counts().unprojected, 0),
    settle,
    unread: () => known().reduce((sum, record) => sum + (unreadIn(record.path) ?? 0), 0),
    facts: () =>
      engine.read((tx) => {
        const counts = records(tx).map((record) => countsOf(tx, record));
        const aside = counts.reduce((sum, c) => sum + c.aside, 0);
        return {
          withheldDeletions: counts.reduce((sum, c) => sum + c.withheld, 0),
          pausedDatabases:
            failedByPath.size + [...openByPath.values()].filter((o) => o.state === "paused").length,
          // Rows set aside stay different; nobody waits for them.
          unprojected: Math.max(0, tables.dirtyCount(tx) - aside),
        };
      }),
    issues: () => [...failedByPath.values()].map(pausedIssue).concat(issuesOf([...openByPath.values()])),
    stalled: () =>
      [...openByPath].filter(([path, opened]) => {
        // A paused one waits for a person, and is told of as such.
        if (opened.state !== "live") return dog.stalled(path, false);
        const unread = unreadIn(path);
        // Locked so that it cannot even be read: what is due there cannot be known, so it is not rest.
        return dog.stalled(path, unread === undefined || unread > 0 || opened.counts().unprojected > 0);
      }).length,
    close: async () => {
      closed = true;
      retry?.();
      for (const opened of openByPath.values()) opened.close();
      openByPath.clear();
    },
  };
}

/** As the replica has it, so that it is known without the file. */
function countsOf(tx: Tx, record: AttachmentRecord): { readonly withheld: number; readonly aside: number } {
  const registry = new Registry(record.slot);
  return { withheld: registry.helds(tx).length, aside: registry.asides(tx).length };
}

const asides: ReadonlySet<string> = new Set(["null-key", "row-refused", "row-too-large", "trigger-fights"]);

const progress: ReadonlySet<string> = new Set(["database.flushed", "database.projected"]);

/** Codes and counts alone: the words of an issue may name tables and paths. */
function issuesOf(all: readonly DatabaseAttachment[]): Matter[] {
  const countByCode = new Map<string, number>();
  for (const issue of all.flatMap((opened) => opened.issues()))
    countByCode.set(issue.code, (countByCode.get(issue.code) ?? 0) + issue.count);
  return [...countByCode].map(([code, count]) => {
    if (code === "guard-deletion")
      return { code, count, why: `${count} deletions wait for your word`, next: "tidelock db approve PATH" };
    if (asides.has(code))
      return { code, count, why: `${count} rows are not in step`, next: "tidelock db ls" };
    if (code === "went-back")
      return {
        code,
        count,
        why: `${count} rows were edited on an older copy`,
        next: "tidelock conflicts ls",
      };
    return { ...pausedIssue(code), count };
  });
}

function pausedIssue(code: string): Matter {
  return { code, why: "a database is paused", next: "tidelock db ls" };
}

function notesOf(opened: DatabaseAttachment | undefined): readonly string[] {
  if (opened === undefined) return [];
  const notes: string[] = [];
  const left = opened.skipped.flatMap(({ why }) => leftOut[why] ?? []);
  if (left.length > 0) {
    const kinds = [...new Set(left)].map((kind) => `${left.filter((one) => one === kind).length} ${kind}`);
    notes.push(`left out, because they cannot be synced: ${kinds.join(", ")}`);
  }
  const minted = opened.tables.filter((table) => table.minted).length;
  if (minted > 0)
    notes.push(
      `${minted} tables number their rows: rows that two devices add at once get other numbers, and references follow`,
    );
  return notes;
}

/** What an index of a virtual table keeps, and what nobody asked for, need no word. */
const leftOut: Readonly<Record<string, string>> = {
  view: "views",
  virtual: "virtual tables",
  reserved: "tables named _tl_…",
};

/** What the file still holds and the vault was not told: it is not lost, and a person should know. */
function leftNotes({ unfit, unsent, withheld, captured }: Left): readonly string[] {
  const names = unfit.map((u) => `${u.table} (${u.why})`).join(", ");
  return [
    ...(unfit.length > 0
      ? [`not sent: edits of ${rowsOf(unsent)} in tables that changed: ${names}. ${AGAIN_KEEPS}`]
      : []),
    ...(withheld > 0
      ? [`not sent: deletions of ${rowsOf(withheld)} that waited for your word. Attached again, they return`]
      : []),
    ...(captured ? [] : [`not sent: what was written after capture had been taken out. ${AGAIN_KEEPS}`]),
  ];
}

function rowsOf(n: number): string {
  return n === 1 ? "1 row" : `${n} rows`;
}

const AGAIN_KEEPS = "Attached again, what differs is kept as open conflicts, not written over";

/** What an attached database is synced with was said when it was attached: another wish must not pass unheard. */
function needSameWish(record: AttachmentRecord | undefined, wish: AttachWish): void {
  if (record === undefined) return;
  const have = new Set(record.tables.map((t) => fold(t.name)));
  const natural = new Set(record.natural.map(fold));
  const others =
    wish.tables !== undefined &&
    (wish.tables.length !== have.size || wish.tables.some((name) => !have.has(fold(name))));
  if (!others && (wish.natural ?? []).every((name) => natural.has(fold(name)))) return;
  throw new TidelockError("exists", {
    why: `${record.path} is attached already, with other tables or keys`,
    next: `tidelock db detach ${record.path}, then attach it with these`,
  });
}

function words(code: string): string {
  if (code === "file-missing") return "the file is gone";
  return code in errorKinds ? errorKinds[code as ErrorCode].title : code;
}

/** For a paused database. */
function nextFor(code: string | undefined, path: string): string {
  switch (code) {
    case "schema-changed":
      return `if the change is meant: tidelock db attach ${path}`;
    case "detached":
      return `tidelock db attach ${path}, or tidelock db detach ${path}`;
    case undefined:
    case "file-missing":
      return `put the file back; if it is lost: tidelock db detach ${path} --force`;
    default:
      return code in errorKinds ? errorKinds[code as ErrorCode].next : "tidelock status --verbose";
  }
}

/** The database of a record could not be opened. */
function closedError(path: string, failure: string | undefined): TidelockError {
  if (failure === undefined || failure === "file-missing")
    return new TidelockError("not-found", {
      why: `${path} is gone`,
      next: `put the file back; if it is lost: tidelock db detach ${path} --force`,
    });
  return new TidelockError(failure in errorKinds ? (failure as ErrorCode) : "internal", {
    why: `${path} cannot be opened, so its last edits cannot be sent`,
  });
}

/** A look that opens nothing for writing. Undefined while another program keeps readers out. */
function unreadIn(path: string): number | undefined {
  try {
    const db = new (loadSqlite())(path, { readonly: true, fileMustExist: true, timeout: 0 });
    try {
      return Number(db.prepare("SELECT count(*) FROM _tl_out").pluck().get());
    } finally {
      db.close();
    }
  } catch (error) {
    // Gone or taken back: nothing to tell of.
    return /^SQLITE_(BUSY|LOCKED)/.test(errnoOf(error)) ? undefined : 0;
  }
}
