/**
 * Keeps an attachment's record and its file together: opens, scans, and before every step finds
 * out what became of the file meanwhile. Rules ATT4, ATT20, ATT22, ATT23, ATT27.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { goBack } from "./back.ts";
import { type Core, point, positionOf, recordOf, settleToken } from "./core.ts";
import type { AppFile } from "./file.ts";
import type { Skipped } from "./inspect.ts";
import type { IssueCode } from "./issues.ts";
import { Numbers } from "./numbers.ts";
import {
  type AttachOptions,
  becomeLive,
  findRecord,
  type Host,
  installIn,
  openFileAt,
  planCore,
  register,
  shapesOf,
  startOver,
} from "./open.ts";
import { type AttachmentRecord, putRecord, Registry } from "./registry.ts";
import { scanFile } from "./scan.ts";
import { isInstalled, readMeta } from "./triggers.ts";

/** `went-back` and `replaced` last as long as it takes to mend them; capture goes on in every state. */
export type BindingState = "attaching" | "live" | "went-back" | "replaced" | "paused";

export interface Pause {
  readonly code: IssueCode;
  readonly text: string;
}

export class Binding {
  readonly #host: Host;
  readonly path: string;
  /** Called with new plans: what was known of tables may be out of date. */
  readonly #planned: (core: Core, anew: boolean) => void;
  file: AppFile;
  core: Core | undefined;
  state: BindingState = "attaching";
  paused: Pause | undefined;
  skipped: readonly Skipped[] = [];

  constructor(host: Host, path: string, planned: (core: Core, anew: boolean) => void) {
    this.#host = host;
    this.path = path;
    this.#planned = planned;
    this.file = openFileAt(host, path);
  }

  async open(options: AttachOptions): Promise<void> {
    let record = findRecord(this.#host, this.file);
    if (record?.phase === "detaching") {
      if (readMeta(this.file.db, this.path) === undefined) {
        this.forget(record);
        record = undefined;
      } else {
        // The last detach was stopped before it touched the file: it is as if it had not begun.
        const resumed: AttachmentRecord = { ...record, phase: "live" };
        this.#host.engine.write((tx) => putRecord(tx, resumed));
        record = resumed;
      }
    }
    if (record === undefined) {
      record = register(this.#host, this.file, options);
      point(this.#host, "attach-registered");
    }
    try {
      if (record.phase === "attaching") await this.#attach(record);
    } catch (error) {
      // Nothing of ours came into the file: nothing is left of it here either.
      if (error instanceof TidelockError && !this.#carriesOurs()) this.forget(record);
      throw error;
    }
    await this.#check(record);
  }

  #carriesOurs(): boolean {
    try {
      return readMeta(this.file.db, this.path) !== undefined;
    } catch {
      return true; // cannot be read now: the next start looks again
    }
  }

  /** True when both directions may work. The first thing every step asks. */
  ready(): Promise<Core | undefined> {
    return this.#check(undefined);
  }

  /** Installs and scans; may be called again at any point of its own way. */
  async #attach(record: AttachmentRecord): Promise<void> {
    this.state = this.state === "replaced" ? "replaced" : "attaching";
    const meta = readMeta(this.file.db, this.path);
    if (meta === undefined) {
      await installIn(this.#host, this.file, record);
      point(this.#host, "attach-installed");
    }
    const core = this.#plan(record);
    if (core === undefined) return;
    this.#host.engine.write((tx) =>
      core.registry.putPosition(tx, { ...positionOf(core, tx), schema: this.file.pragma("schema_version") }),
    );
    const verdict = settleToken(core);
    if (verdict.kind !== "current") {
      await this.#replace(record, meta !== undefined);
      return;
    }
    if ((await scanFile(core)) !== "done") {
      throw new TidelockError("database-busy", { why: `${this.path} stays locked by another program` });
    }
    becomeLive(core);
  }

  /** Another file stands at the path: merged as at first, with the numbers kept if it is a copy of this one. */
  async #replace(record: AttachmentRecord, copy: boolean): Promise<void> {
    this.state = "replaced";
    this.#host.deps.log?.event("database.replaced", { copy });
    const anew = startOver(this.#host, record, copy);
    this.core = undefined;
    await installIn(this.#host, this.file, anew);
    point(this.#host, "attach-installed");
    await this.#attach(anew);
  }

  async #check(opened: AttachmentRecord | undefined): Promise<Core | undefined> {
    const there = this.file.stillThere();
    if (there === "missing") return this.pause("file-missing", `${this.path} is gone`);
    if (there === "other") {
      this.file.close();
      this.file = openFileAt(this.#host, this.path);
      this.core = undefined;
    }
    const record = opened ?? this.record();
    if (record === undefined) return this.pause("detached", `${this.path} is not attached`);
    const meta = readMeta(this.file.db, this.path);
    if (meta === undefined) {
      // In the very file that was open, somebody took it out on purpose.
      if (there === "same" && opened === undefined) {
        return this.pause("detached", "its triggers and tables were taken out of the file");
      }
      await this.#replace(record, false);
      return this.#check(this.record());
    }
    if (!equalBytes(meta.attachment, record.id)) {
      throw new TidelockError("attached-elsewhere", { why: `another attached file stands at ${this.path}` });
    }
    const core = this.#current(record);
    if (core === undefined) return undefined;
    const verdict = settleToken(core);
    if (verdict.kind === "unknown") {
      await this.#replace(record, true);
      return this.#check(this.record());
    }
    if (verdict.kind === "older") {
      this.state = "went-back";
      this.#host.deps.log?.event("database.went-back", { counter: verdict.counter });
      const done = await goBack(core, verdict.counter);
      if (done.kind !== "done")
        return this.pause("database-busy", "the file went back and cannot be read now");
    }
    // A first attach that was stopped, and now the file is the one it had begun with.
    if (this.#host.engine.read((tx) => recordOf(core, tx).phase) === "attaching") await this.#attach(record);
    this.paused = undefined;
    this.state = "live";
    return this.core;
  }

  record(): AttachmentRecord | undefined {
    const slot = this.core?.registry.slot;
    if (slot !== undefined) return this.#host.engine.read((tx) => new Registry(slot).record(tx));
    return findRecord(this.#host, this.file);
  }

  /** The plans, read anew if the file's schema or the vault's declarations moved. */
  #current(record: AttachmentRecord): Core | undefined {
    const core = this.core;
    if (core === undefined) return this.#plan(record);
    const { schema, grown } = this.#host.engine.read((tx) => ({
      schema: positionOf(core, tx).schema,
      grown: core.plans.some(
        (p) => this.#host.tables.declaration(tx, p.vault.name)?.columns.length !== p.vault.columns.length,
      ),
    }));
    const now = this.file.pragma("schema_version");
    if (schema === now && !grown && this.paused === undefined) return core;
    const fresh = this.#plan(record, shapesOf(core));
    if (fresh !== undefined && schema !== now) {
      this.#host.engine.write((tx) =>
        fresh.registry.putPosition(tx, { ...positionOf(fresh, tx), schema: now }),
      );
    }
    return fresh;
  }

  #plan(record: AttachmentRecord, shapes?: ReadonlyMap<string, string>): Core | undefined {
    const planned = planCore(this.#host, this.file, record, shapes);
    if (planned.kind === "changed") return this.pause("schema-changed", planned.why);
    const { core } = planned;
    const numbered = core.plans.map((p) => ({ number: p.number, table: p.file }));
    if (readMeta(this.file.db, this.path) !== undefined && !isInstalled(this.file.db, numbered)) {
      return this.pause("schema-changed", "triggers of the attachment are missing");
    }
    const anew = this.core === undefined;
    this.core = core;
    this.skipped = planned.skipped;
    this.#planned(core, anew);
    return core;
  }

  pause(code: IssueCode, text: string): undefined {
    if (this.paused?.code !== code) this.#host.deps.log?.event("database.paused", { code });
    this.paused = { code, text };
    this.state = "paused";
    return undefined;
  }

  forget(record: AttachmentRecord): void {
    this.#host.engine.write((tx) => {
      for (const t of record.tables) this.#host.tables.untrack(tx, t.name);
      new Numbers(record.slot).forget(
        tx,
        record.tables.map((t) => t.number),
      );
      new Registry(record.slot).forgetAll(tx);
    });
  }
}
