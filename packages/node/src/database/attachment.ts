/**
 * An app's own SQLite file, kept the same as the vault's tables: what any program writes there is
 * captured and sent, what comes from the vault is written there. Rules: docs/spec/attach.md.
 */
import type { Engine } from "@tidelock/core/engine/api";
import { TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { Cell, RowKey } from "@tidelock/core/kinds/tables/types";
import { goBack } from "./back.ts";
import { type AttachDeps, type Core, point, positionOf, recordOf, settleToken } from "./core.ts";
import { miscounted, reconcile } from "./count.ts";
import type { AppFile } from "./file.ts";
import { type FlushResult, flushOnce } from "./flush.ts";
import { type Issue, type IssueCode, rowIssues } from "./issues.ts";
import { Numbers } from "./numbers.ts";
import {
  type AttachOptions,
  becomeLive,
  findRecord,
  type Host,
  installIn,
  openFileAt,
  pathOf,
  planCore,
  register,
  shapesOf,
  startOver,
} from "./open.ts";
import { outboxIsEmpty } from "./outbox.ts";
import { newPace, type Pace, type ProjectResult, project, touch } from "./project.ts";
import { type AttachmentRecord, putRecord, Registry } from "./registry.ts";
import { countNullKeys } from "./rows.ts";
import { scanFile } from "./scan.ts";
import { isInstalled, readMeta, uninstall } from "./triggers.ts";
import { watchFile } from "./watch.ts";

export type { AttachDeps } from "./core.ts";
export type { FlushResult } from "./flush.ts";
export type { Issue, IssueCode } from "./issues.ts";
export type { AttachOptions } from "./open.ts";
export type { ProjectResult } from "./project.ts";

/** `went-back` and `replaced` last as long as it takes to mend them; capture goes on in every state. */
export type AttachmentState = "attaching" | "live" | "went-back" | "replaced" | "paused" | "closed";

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
  issues(): readonly Issue[];
  /** Sends the deletions an issue withholds; other devices do not ask again. */
  approve(id: string): Promise<FlushResult>;
  /** Puts the rows back whose deletion an issue withholds. */
  undo(id: string): Promise<void>;
  /** Rows of the vault the file does not show yet; deletions that wait for a person. */
  counts(): { readonly unprojected: number; readonly withheld: number };
  onChange(listener: () => void): () => void;
  /** One last flush, then the file is as if it had never been attached. */
  detach(): Promise<void>;
  /** Lets a running step end. Nothing durable is lost by not calling it. */
  close(): void;
}

/** How often pump goes round before it lets others have a turn. */
const ROUNDS = 20;
/** Counting a table of a million rows takes 6 to 17 ms: at most once a second. */
const COUNT_EVERY = 1000;

export async function attachDatabase(
  engine: Engine,
  tables: TablesView,
  path: string,
  options: AttachOptions,
  deps: AttachDeps,
): Promise<DatabaseAttachment> {
  const host: Host = { engine, tables, deps };
  const attachment = new Attachment(host, pathOf(path), options);
  try {
    await attachment.open();
  } catch (error) {
    attachment.close();
    throw error;
  }
  return attachment;
}

class Attachment implements DatabaseAttachment {
  readonly #host: Host;
  readonly #options: AttachOptions;
  readonly path: string;
  #file: AppFile;
  #core: Core | undefined;
  #state: AttachmentState = "attaching";
  #paused: { readonly code: IssueCode; readonly text: string } | undefined;
  #pace: Pace = newPace();
  #nullKeys = new Map<number, number>();
  /** Tables to count when it is quiet, and when that was done last. */
  readonly #suspect = new Set<number>();
  #counted = Number.NEGATIVE_INFINITY;
  #queue: Promise<unknown> = Promise.resolve();
  #running = false;
  #pumping = false;
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #closed = false;

  constructor(host: Host, path: string, options: AttachOptions) {
    this.#host = host;
    this.#options = options;
    this.path = path;
    this.#file = openFileAt(host, path);
  }

  get state(): AttachmentState {
    return this.#closed ? "closed" : this.#state;
  }

  get tables(): readonly AttachedTable[] {
    return (this.#core?.plans ?? [])
      .map((p) => ({ name: p.vault.name, minted: p.vault.minted, triggers: p.file.triggers }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async open(): Promise<void> {
    await this.#run(async () => {
      let record = findRecord(this.#host, this.#file);
      if (record?.phase === "detaching") {
        if (readMeta(this.#file.db, this.path) === undefined) {
          this.#forget(record);
          record = undefined;
        } else {
          // The last detach was stopped before it touched the file: it is as if it had not begun.
          const resumed: AttachmentRecord = { ...record, phase: "live" };
          this.#host.engine.write((tx) => putRecord(tx, resumed));
          record = resumed;
        }
      }
      if (record === undefined) {
        record = register(this.#host, this.#file, this.#options);
        point(this.#host, "attach-registered");
      }
      if (record.phase === "attaching") await this.#attach(record);
      await this.#ready(record);
    });
    if (this.#options.watch !== false) this.#watch();
  }

  /** Installs and scans; may be called again at any point of its own way. */
  async #attach(record: AttachmentRecord): Promise<void> {
    this.#state = this.#state === "replaced" ? "replaced" : "attaching";
    const meta = readMeta(this.#file.db, this.path);
    if (meta === undefined) {
      await installIn(this.#host, this.#file, record);
      point(this.#host, "attach-installed");
    }
    const core = this.#plan(record);
    if (core === undefined) return;
    this.#host.engine.write((tx) =>
      core.registry.putPosition(tx, { ...positionOf(core, tx), schema: this.#file.pragma("schema_version") }),
    );
    const verdict = settleToken(core);
    if (verdict.kind !== "current") {
      await this.#replace(record, verdict.kind !== "unknown" || meta !== undefined);
      return;
    }
    const scanned = await scanFile(core);
    if (scanned !== "done")
      throw new TidelockError("database-busy", { why: `${this.path} stays locked by another program` });
    becomeLive(core);
  }

  /** Another file stands at the path: merged as at first, with the numbers kept if it is a copy of this one. */
  async #replace(record: AttachmentRecord, copy: boolean): Promise<void> {
    this.#state = "replaced";
    this.#host.deps.log?.event("database.replaced", { copy });
    const anew = startOver(this.#host, record, copy);
    this.#core = undefined;
    this.#pace = newPace();
    await installIn(this.#host, this.#file, anew);
    point(this.#host, "attach-installed");
    await this.#attach(anew);
  }

  /** True when both directions may work. The first thing every step asks. */
  async #ready(opened?: AttachmentRecord): Promise<Core | undefined> {
    const there = this.#file.stillThere();
    if (there === "missing") return this.#pause("file-missing", `${this.path} is gone`);
    if (there === "other") {
      this.#file.close();
      this.#file = openFileAt(this.#host, this.path);
      this.#core = undefined;
    }
    const record = opened ?? this.#record();
    if (record === undefined) return this.#pause("detached", `${this.path} is not attached`);
    const meta = readMeta(this.#file.db, this.path);
    if (meta === undefined && there === "same" && opened === undefined) {
      return this.#pause("detached", "its triggers and tables were taken out of the file");
    }
    if (meta === undefined) {
      await this.#replace(record, false);
      return this.#ready(this.#record());
    }
    const core = this.#current(record);
    if (core === undefined) return undefined;
    const verdict = settleToken(core);
    switch (verdict.kind) {
      case "current":
      case "next":
        break;
      case "older": {
        this.#state = "went-back";
        this.#host.deps.log?.event("database.went-back", { counter: verdict.counter });
        const done = await goBack(core, verdict.counter);
        if (done.kind !== "done")
          return this.#pause("database-busy", "the file went back and cannot be read now");
        break;
      }
      case "unknown":
        await this.#replace(record, true);
        return this.#ready(this.#record());
    }
    // A first attach that was stopped, and now the file is the one it had begun with.
    if (this.#host.engine.read((tx) => recordOf(core, tx).phase) === "attaching") await this.#attach(record);
    this.#paused = undefined;
    this.#state = "live";
    return this.#core;
  }

  #record(): AttachmentRecord | undefined {
    const slot = this.#core?.registry.slot;
    if (slot !== undefined) return this.#host.engine.read((tx) => new Registry(slot).record(tx));
    return findRecord(this.#host, this.#file);
  }

  /** The plans, read anew if the file's schema or the vault's declarations moved. */
  #current(record: AttachmentRecord): Core | undefined {
    const core = this.#core;
    if (core === undefined) return this.#plan(record);
    const { schema, grown } = this.#host.engine.read((tx) => ({
      schema: positionOf(core, tx).schema,
      grown: core.plans.some(
        (p) => this.#host.tables.declaration(tx, p.vault.name)?.columns.length !== p.vault.columns.length,
      ),
    }));
    const now = this.#file.pragma("schema_version");
    if (schema === now && !grown && this.#paused === undefined) return core;
    const fresh = this.#plan(record, shapesOf(core));
    if (fresh !== undefined && schema !== now) {
      this.#host.engine.write((tx) =>
        fresh.registry.putPosition(tx, { ...positionOf(fresh, tx), schema: now }),
      );
      // What a row was refused for may be gone with the old schema.
      for (const p of fresh.plans) touch(this.#pace, p.number);
    }
    return fresh;
  }

  #plan(record: AttachmentRecord, shapes?: ReadonlyMap<string, string>): Core | undefined {
    const planned = planCore(this.#host, this.#file, record, shapes);
    if (planned.kind === "changed") return this.#pause("schema-changed", planned.why);
    const { core } = planned;
    const numbered = core.plans.map((p) => ({ number: p.number, table: p.file }));
    if (readMeta(this.#file.db, this.path) !== undefined && !isInstalled(this.#file.db, numbered)) {
      return this.#pause("schema-changed", "triggers of the attachment are missing");
    }
    this.#core = core;
    this.#nullKeys = new Map(core.plans.map((p) => [p.number, countNullKeys(this.#file, p)]));
    for (const p of core.plans) if (p.file.blind) this.#suspect.add(p.number);
    return core;
  }

  #pause(code: IssueCode, text: string): undefined {
    if (this.#paused?.code !== code) this.#host.deps.log?.event("database.paused", { code });
    this.#paused = { code, text };
    this.#state = "paused";
    return undefined;
  }

  flush(): Promise<FlushResult> {
    return this.#run(async () => {
      const core = await this.#ready();
      return core === undefined ? pausedFlush() : this.#flush(core);
    });
  }

  async #flush(core: Core, approve?: ReadonlySet<number>): Promise<FlushResult> {
    const runs: number[] = [];
    let changes = 0;
    for (let round = 0; ; round++) {
      const result = await flushOnce(core, approve === undefined ? {} : { approve });
      runs.push(...result.runs);
      changes += result.changes;
      this.#note(core, result);
      if (!result.more || result.kind !== "done" || round >= ROUNDS) return { ...result, runs, changes };
    }
  }

  #note(core: Core, result: FlushResult): void {
    for (const table of result.tables) {
      touch(this.#pace, table);
      if (core.byNumber.get(table)?.file.blind === true) this.#suspect.add(table);
    }
    for (const table of result.nullKeys) {
      const plan = core.byNumber.get(table);
      if (plan !== undefined) this.#nullKeys.set(table, countNullKeys(this.#file, plan));
    }
    if (result.changes > 0) this.#host.deps.log?.event("database.flushed", { changes: result.changes });
  }

  project(): Promise<ProjectResult> {
    return this.#run(async () => {
      const core = await this.#ready();
      if (core === undefined) return { kind: "busy", rows: 0, slices: 0, refused: 0, runs: [] };
      return this.#project(core);
    });
  }

  async #project(core: Core): Promise<ProjectResult> {
    const result = await project(core, this.#pace);
    if (result.rows > 0)
      this.#host.deps.log?.event("database.projected", { rows: result.rows, slices: result.slices });
    return result;
  }

  pump(): Promise<PumpResult> {
    return this.#run(async () => {
      const runs: number[] = [];
      let projected = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const core = await this.#ready();
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
        if (flushed.changes + written.rows + counted.changes === 0 && outboxIsEmpty(this.#file)) break;
      }
      return { kind: "quiet", runs, projected };
    });
  }

  /** At most once a second: rows that vanished without a trace. */
  async #count(core: Core): Promise<{ readonly runs: readonly number[]; readonly changes: number }> {
    const none = { runs: [], changes: 0 };
    const now = this.#host.deps.clock.mono();
    if (this.#suspect.size === 0 || now - this.#counted < COUNT_EVERY) return none;
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
    const core = this.#core;
    const rows =
      core === undefined ? [] : this.#host.engine.read((tx) => rowIssues(core, tx, this.#nullKeys));
    const paused = this.#paused;
    if (paused === undefined) return rows;
    return [
      { id: paused.code, code: paused.code, table: undefined, key: undefined, count: 1, text: paused.text },
      ...rows,
    ];
  }

  approve(id: string): Promise<FlushResult> {
    return this.#run(async () => {
      const core = await this.#ready();
      if (core === undefined) return pausedFlush();
      return this.#flush(core, new Set([this.#withheldBy(core, id)]));
    });
  }

  undo(id: string): Promise<void> {
    return this.#run(async () => {
      const core = await this.#ready();
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

  counts(): { readonly unprojected: number; readonly withheld: number } {
    const core = this.#core;
    if (core === undefined) return { unprojected: 0, withheld: 0 };
    return this.#host.engine.read((tx) => {
      const withheld = core.registry.helds(tx).length;
      return {
        unprojected: Math.max(0, this.#host.tables.dirtyCount(tx) - core.registry.asides(tx).length),
        withheld,
      };
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  detach(): Promise<void> {
    return this.#run(async () => {
      const core = await this.#ready();
      const record = this.#record();
      if (core === undefined || record === undefined) {
        throw new TidelockError("attached-elsewhere", {
          why: `${this.path} cannot be detached now: ${this.#paused?.text ?? "it is not attached"}`,
        });
      }
      for (let round = 0; ; round++) {
        const flushed = await this.#flush(core);
        point(core, "detach-flushed");
        if (flushed.kind === "busy" || round > ROUNDS)
          throw new TidelockError("database-busy", { why: `${this.path} stays locked by another program` });
        this.#host.engine.write((tx) => putRecord(tx, { ...record, phase: "detaching" }));
        point(core, "detach-marked");
        const dropped = await this.#file.write(() => {
          if (!outboxIsEmpty(this.#file)) return false;
          uninstall(this.#file.db);
          return true;
        });
        if (dropped.kind === "done" && dropped.value) break;
        this.#host.engine.write((tx) => putRecord(tx, { ...record, phase: "live" }));
      }
      point(core, "detach-dropped");
      this.#forget(record);
      point(core, "detach-forgotten");
      this.close();
    });
  }

  #forget(record: AttachmentRecord): void {
    this.#host.engine.write((tx) => {
      for (const t of record.tables) this.#host.tables.untrack(tx, t.name);
      new Numbers(record.slot).forget(
        tx,
        record.tables.map((t) => t.number),
      );
      new Registry(record.slot).forgetAll(tx);
    });
  }

  #watch(): void {
    const { deps, engine } = this.#host;
    const dataVersion = (): number | undefined => {
      try {
        return this.#closed || this.#file.db.inTransaction ? undefined : this.#file.pragma("data_version");
      } catch {
        return undefined; // locked just now: the next poll sees it
      }
    };
    this.#stops.push(watchFile(deps, this.path, dataVersion, () => this.#wake()));
    this.#stops.push(engine.onChange(() => this.#wake()));
    this.#wake();
  }

  /** Pumps once more when something happened; many wakes while one waits are one. */
  #wake(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    this.#host.deps.scheduler.after(0, () => {
      this.#pumping = false;
      if (this.#closed) return;
      this.pump().then(
        (result) => {
          // Busy or counted too lately: come back without being called.
          if (result.kind === "busy" || this.#suspect.size > 0)
            this.#stops.push(this.#host.deps.scheduler.after(COUNT_EVERY, () => this.#wake()));
        },
        (error: unknown) => {
          if (this.#closed) return;
          const code = error instanceof TidelockError ? error.code : "internal";
          this.#host.deps.log?.event("database.failed", { code });
          this.#pause("database-busy", error instanceof Error ? error.message : String(error));
        },
      );
    });
  }

  /** One thing at a time: both directions use one connection. */
  #run<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(async () => {
      if (this.#closed) throw new TidelockError("not-found", { why: `${this.path} is closed` });
      this.#running = true;
      try {
        return await work();
      } finally {
        this.#running = false;
        if (this.#closed) this.#file.close();
        this.#tell();
      }
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops.splice(0)) stop();
    this.#file.stop();
    if (!this.#running) this.#file.close();
  }

  /** For tests that look inside: cells an older copy of the file was edited to. */
  kept(): readonly { readonly table: string; readonly key: RowKey; readonly cells: readonly Cell[] }[] {
    const core = this.#core;
    if (core === undefined) return [];
    return this.#host.engine.read((tx) =>
      core.registry.kept(tx).map((k) => ({ ...k, table: core.byNumber.get(k.table)?.vault.name ?? "" })),
    );
  }
}

function pausedFlush(): FlushResult {
  return { kind: "busy", runs: [], changes: 0, tables: new Set(), nullKeys: new Set(), more: false };
}
