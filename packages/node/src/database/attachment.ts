/**
 * An app's own SQLite file, kept the same as the vault's tables: what any program writes there is
 * captured and sent, what comes from the vault is written there. Rules: docs/spec/attach.md.
 */
import { existsSync, rmSync, statSync } from "node:fs";
import type { Engine } from "@tidelock/core/engine/api";
import { TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import { Binding, type BindingState } from "./binding.ts";
import { type AttachDeps, type Core, dirtyKeys } from "./core.ts";
import { miscounted, reconcile } from "./count.ts";
import { type Left, leave } from "./detach.ts";
import { type FlushResult, flushOnce } from "./flush.ts";
import type { Skipped } from "./inspect.ts";
import { type Issue, issueOf, rowIssues } from "./issues.ts";
import { type AttachOptions, type Host, pathOf } from "./open.ts";
import { outboxIsEmpty } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { newPace, type Pace, type ProjectResult, project, touch } from "./project.ts";
import { countNullKeys } from "./rows.ts";
import { explain, isBusy } from "./sqlite.ts";
import { watchFile } from "./watch.ts";

export type { AttachDeps } from "./core.ts";
export type { Left } from "./detach.ts";
export type { FlushResult } from "./flush.ts";
export type { Issue, IssueCode } from "./issues.ts";
export type { AttachOptions } from "./open.ts";
export type { ProjectResult } from "./project.ts";

export type AttachmentState = BindingState | "closed";

export interface AttachedTable {
  readonly name: string;
  /** Its INTEGER PRIMARY KEY is a number given by the log: other devices' rows may change it. */
  readonly minted: boolean;
  readonly triggers: readonly { readonly name: string; readonly kind: "outside" | "synced" | "both" }[];
}

export interface PumpResult {
  readonly kind: "quiet" | "busy" | "paused";
  /** Runs given to the engine. */
  readonly runs: readonly number[];
  readonly projected: number;
}

export interface DatabaseAttachment {
  readonly path: string;
  readonly tables: readonly AttachedTable[];
  readonly state: AttachmentState;
  /** File to vault. */
  flush(): Promise<FlushResult>;
  /** Vault to file. */
  project(): Promise<ProjectResult>;
  /** Both, until neither finds anything to do. */
  pump(): Promise<PumpResult>;
  /** What of the file is not synced, and why. */
  readonly skipped: readonly Skipped[];
  issues(): readonly Issue[];
  /** Sends the deletions an issue withholds; other devices do not ask again. */
  approve(id: string): Promise<FlushResult>;
  /** Puts the rows back whose deletion an issue withholds. */
  undo(id: string): Promise<void>;
  /** Of an edit kept from an older copy of the file: it has been looked at. */
  dismiss(id: string): void;
  /** Rows of the vault the file does not show yet; deletions that wait for a person. */
  counts(): { readonly unprojected: number; readonly withheld: number };
  onChange(listener: () => void): () => void;
  /** Where it is paused: its tables as they are now are meant (ATT31). */
  mend(): Promise<void>;
  /** One last flush, then the file is as if it had never been attached. Answers what was not sent. */
  detach(): Promise<Left>;
  /** Lets a running step end. Nothing durable is lost by not calling it. */
  close(): void;
}

/** How often pump goes round before it lets others have a turn. */
const ROUNDS = 20;
/** Counting a table of a million rows takes 6 to 17 ms: at most once a second. */
const COUNT_EVERY = 1000;
/** Rows waiting to be projected are counted one by one up to here. */
const EXACT = 1000;
/** The longest between two tries of what failed, ms. */
const LATEST = 60_000;

export async function attachDatabase(
  engine: Engine,
  tables: TablesView,
  path: string,
  options: AttachOptions,
  deps: AttachDeps,
): Promise<DatabaseAttachment> {
  const host: Host = { engine, tables, deps };
  const real = pathOf(path);
  const made = !existsSync(real);
  const attachment = new Attachment(host, real, options);
  try {
    await attachment.open();
  } catch (error) {
    attachment.close();
    // SQLite made it when it was opened, and nothing came into it.
    if (made && statSync(real, { throwIfNoEntry: false })?.size === 0) rmSync(real);
    throw error;
  }
  return attachment;
}

class Attachment implements DatabaseAttachment {
  readonly #host: Host;
  readonly #options: AttachOptions;
  readonly #binding: Binding;
  readonly path: string;
  #pace: Pace = newPace();
  #nullKeys = new Map<number, number>();
  /** Tables to count when it is quiet, and when that was done last. */
  readonly #suspect = new Set<number>();
  #counted = Number.NEGATIVE_INFINITY;
  #queue: Promise<unknown> = Promise.resolve();
  #running = false;
  #waking = false;
  #failures = 0;
  #later: () => void = () => undefined;
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #closed = false;

  constructor(host: Host, path: string, options: AttachOptions) {
    this.#host = host;
    this.#options = options;
    this.path = path;
    this.#binding = new Binding(host, path, (core, anew) => this.#learn(core, anew));
  }

  /** Tables as they are now: what a row was refused for may be gone with the old schema. */
  #learn(core: Core, anew: boolean): void {
    if (anew) this.#pace = newPace();
    this.#nullKeys = new Map(core.plans.map((p) => [p.number, countNullKeys(core.file, p)]));
    for (const p of core.plans) {
      touch(this.#pace, p.number);
      if (p.file.blind) this.#suspect.add(p.number);
    }
  }

  get state(): AttachmentState {
    return this.#closed ? "closed" : this.#binding.state;
  }

  get tables(): readonly AttachedTable[] {
    return (this.#binding.core?.plans ?? [])
      .map((p) => ({ name: p.vault.name, minted: p.vault.minted, triggers: p.file.triggers }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get skipped(): readonly Skipped[] {
    return this.#binding.skipped;
  }

  async open(): Promise<void> {
    await this.#run(() => this.#binding.open(this.#options));
    if (this.#options.watch !== false) this.#watch();
  }

  flush(): Promise<FlushResult> {
    return this.#run(async () => {
      const core = await this.#binding.ready();
      return core === undefined ? pausedFlush() : this.#flush(core);
    });
  }

  async #flush(core: Core, approve?: ReadonlySet<number>): Promise<FlushResult> {
    const runs: number[] = [];
    const strange = new Set<string>();
    let changes = 0;
    for (let round = 0; ; round++) {
      const result = await flushOnce(core, approve === undefined ? {} : { approve });
      runs.push(...result.runs);
      changes += result.changes;
      for (const row of result.strange) strange.add(row);
      this.#note(core, result);
      if (!result.more || result.kind !== "done" || round >= ROUNDS)
        return { ...result, runs, changes, strange };
    }
  }

  #note(core: Core, result: FlushResult): void {
    for (const table of result.tables) {
      touch(this.#pace, table);
      if (core.byNumber.get(table)?.file.blind === true) this.#suspect.add(table);
    }
    for (const table of result.nullKeys) {
      const plan = core.byNumber.get(table);
      if (plan !== undefined) this.#nullKeys.set(table, countNullKeys(core.file, plan));
    }
    if (result.changes > 0) this.#host.deps.log?.event("database.flushed", { changes: result.changes });
  }

  project(): Promise<ProjectResult> {
    return this.#run(async () => {
      const core = await this.#binding.ready();
      if (core === undefined) return { kind: "busy", rows: 0, slices: 0, refused: 0, runs: [] };
      return this.#project(core);
    });
  }

  async #project(core: Core): Promise<ProjectResult> {
    const result = await project(core, this.#pace);
    if (result.rows > 0) {
      this.#host.deps.log?.event("database.projected", { rows: result.rows, slices: result.slices });
    }
    return result;
  }

  pump(): Promise<PumpResult> {
    return this.#run(async () => {
      const runs: number[] = [];
      let projected = 0;
      try {
        for (let round = 0; round < ROUNDS; round++) {
          const core = await this.#binding.ready();
          if (core === undefined) return { kind: "paused", runs, projected };
          const flushed = await this.#flush(core);
          runs.push(...flushed.runs);
          if (flushed.kind === "moved") continue;
          const written = await this.#project(core);
          runs.push(...written.runs);
          projected += written.rows;
          if (written.kind === "moved") continue;
          if (flushed.kind === "busy" || written.kind === "busy") return { kind: "busy", runs, projected };
          const counted = await this.#count(core);
          runs.push(...counted.runs);
          if (flushed.changes + written.rows + counted.changes === 0 && outboxIsEmpty(core.file)) break;
        }
      } catch (error) {
        // With a rollback journal a writer keeps readers out too.
        if (!isBusy(error) && !(error instanceof TidelockError && error.code === "database-busy"))
          throw error;
        return { kind: "busy", runs, projected };
      }
      return { kind: "quiet", runs, projected };
    });
  }

  /** At most once a second: rows that vanished without a trace. */
  async #count(core: Core): Promise<{ readonly runs: readonly number[]; readonly changes: number }> {
    const now = this.#host.deps.clock.mono();
    if (this.#suspect.size === 0 || now - this.#counted < COUNT_EVERY) return { runs: [], changes: 0 };
    this.#counted = now;
    const plans = core.plans.filter((p) => this.#suspect.has(p.number));
    this.#suspect.clear();
    const runs: number[] = [];
    let changes = 0;
    for (const plan of await miscounted(core, plans)) {
      const result = await reconcile(core, plan);
      runs.push(...result.runs);
      changes += result.changes;
    }
    return { runs, changes };
  }

  issues(): readonly Issue[] {
    const { core, paused } = this.#binding;
    const rows =
      core === undefined ? [] : this.#host.engine.read((tx) => rowIssues(core, tx, this.#nullKeys));
    if (paused === undefined) return rows;
    const { code, text } = paused;
    return [{ id: code, code, table: undefined, key: undefined, count: 1, text }, ...rows];
  }

  approve(id: string): Promise<FlushResult> {
    return this.#run(async () => {
      const core = await this.#binding.ready();
      if (core === undefined) return pausedFlush();
      return this.#flush(core, new Set([this.#withheldBy(core, id)]));
    });
  }

  undo(id: string): Promise<void> {
    return this.#run(async () => {
      const core = await this.#binding.ready();
      if (core === undefined) return;
      const table = this.#withheldBy(core, id);
      const name = core.byNumber.get(table)?.vault.name as string;
      core.engine.write((tx) => {
        for (const { key } of core.registry.helds(tx, table)) {
          core.registry.dropHeld(tx, table, key);
          const { clock } = core.tables.shown(tx, name, key);
          // The file shows no such row, so it is written there again.
          core.tables.setShown(tx, name, key, { clock, cells: undefined });
          core.registry.putRows(tx, table, core.registry.rows(tx, table) - 1);
        }
      });
      await this.#project(core);
    });
  }

  #withheldBy(core: Core, id: string): number {
    const issue = this.issues().find((i) => i.id === id && i.code === "guard-deletion");
    const plan = core.plans.find((p) => p.vault.name === issue?.table);
    if (plan === undefined) throw new TidelockError("not-found", { why: `nothing is withheld under ${id}` });
    return plan.number;
  }

  dismiss(id: string): void {
    const { core } = this.#binding;
    const issue = this.issues().find((i) => i.id === id && i.code === "went-back");
    const plan = core?.plans.find((p) => p.vault.name === issue?.table);
    const key = issue?.key;
    if (core === undefined || plan === undefined || key === undefined) {
      throw new TidelockError("not-found", { why: `nothing is kept under ${id}` });
    }
    core.engine.write((tx) => core.registry.dropKept(tx, plan.number, key));
  }

  counts(): { readonly unprojected: number; readonly withheld: number } {
    const { core } = this.#binding;
    if (core === undefined) return { unprojected: 0, withheld: 0 };
    return this.#host.engine.read((tx) => {
      const withheld = core.registry.helds(tx).length;
      const total = this.#host.tables.dirtyCount(tx);
      // Rows that wait for a person are not waiting for us; a long queue need not be exact.
      const spares = core.registry.sparesAny(tx);
      const skip = (plan: TablePlan, key: RowKey): boolean =>
        spares &&
        (core.registry.held(tx, plan.number, key) !== undefined ||
          core.registry.aside(tx, plan.number, key) !== undefined);
      const waiting = dirtyKeys(core, tx, EXACT, skip).length;
      return { unprojected: waiting < EXACT ? waiting : total, withheld };
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  mend(): Promise<void> {
    return this.#run(async () => {
      await this.#binding.mend("attach");
    });
  }

  detach(): Promise<Left> {
    return this.#run(async () => {
      const left = await leave(this.#host, this.#binding, (core) => this.#flush(core));
      this.close();
      return left;
    });
  }

  #watch(): void {
    const { deps, engine } = this.#host;
    const dataVersion = (): number | undefined => {
      try {
        const { file } = this.#binding;
        return this.#closed || file.db.inTransaction ? undefined : file.pragma("data_version");
      } catch {
        return undefined; // locked just now: the next poll sees it
      }
    };
    this.#stops.push(watchFile(deps, this.path, dataVersion, () => this.#wake()));
    this.#stops.push(engine.onChange(() => this.#wake()));
    this.#stops.push(() => this.#later());
    this.#wake();
  }

  /** Pumps once more when something happened; many wakes while one waits are one. */
  #wake(): void {
    if (this.#waking || this.#closed) return;
    this.#waking = true;
    this.#host.deps.scheduler.after(0, () => {
      this.#waking = false;
      if (this.#closed) return;
      this.pump().then(
        (result) => {
          this.#failures = result.kind === "quiet" ? 0 : this.#failures + 1;
          // Rows to count wait for their second; else what could not be done now is tried again.
          if (result.kind !== "quiet" || this.#suspect.size > 0) this.#wakeLater();
        },
        (error: unknown) => {
          if (this.#closed) return;
          this.#failures++;
          this.#binding.pause(issueOf(error), error instanceof Error ? error.message : String(error));
          this.#wakeLater();
        },
      );
    });
  }

  /** After a second, twice as long with each failure, at most a minute; a change wakes earlier. */
  #wakeLater(): void {
    this.#later();
    const ms = Math.min(LATEST, COUNT_EVERY * 2 ** Math.min(this.#failures, 10));
    this.#later = this.#host.deps.scheduler.after(ms, () => this.#wake());
  }

  /** One thing at a time: both directions use one connection. */
  #run<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(async () => {
      if (this.#closed) throw new TidelockError("not-found", { why: `${this.path} is closed` });
      this.#running = true;
      try {
        return await work();
      } catch (error) {
        throw explain(this.path, error);
      } finally {
        this.#running = false;
        if (this.#closed) this.#binding.file.close();
        for (const listener of this.#listeners) listener();
      }
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops.splice(0)) stop();
    this.#binding.file.stop();
    if (!this.#running) this.#binding.file.close();
  }
}

function pausedFlush(): FlushResult {
  const none = new Set<never>();
  return { kind: "busy", runs: [], changes: 0, tables: none, nullKeys: none, strange: none, more: false };
}
