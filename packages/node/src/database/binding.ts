import { statSync } from "node:fs";
/**
 * Keeps an attachment's record and its file together: opens, scans, and before every step finds
 * out what became of the file meanwhile. Rules ATT4, ATT20, ATT22, ATT23, ATT27.
 */
import type { Seq } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import { goBack } from "./back.ts";
import { type Core, point, positionOf, recordOf, settleToken } from "./core.ts";
import type { AppFile } from "./file.ts";
import type { Skipped } from "./inspect.ts";
import type { IssueCode } from "./issues.ts";
import { retire } from "./memory.ts";
import { catchUp, type Mended, recapture, refit } from "./mend.ts";
import {
  type AttachOptions,
  becomeLive,
  findRecord,
  type Host,
  installIn,
  openFileAt,
  planCore,
  register,
  rememberShapes,
  shapesOf,
  startOver,
} from "./open.ts";
import { type AttachmentRecord, putRecord, Registry, sameFile } from "./registry.ts";
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
    const fresh = record === undefined;
    if (record === undefined) {
      record = register(this.#host, this.file, options);
      // One flush a commit instead of four, and the app's readers stay out of its way. Not every disk can.
      if (statSync(this.path, { throwIfNoEntry: false })?.size === 0)
        this.file.db.pragma("journal_mode = WAL");
      point(this.#host, "attach-registered");
    }
    try {
      // A copy made while it was attached and attached again: its marks are of then.
      if (fresh && this.#carriesOurs()) await installIn(this.#host, this.file, record);
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
      await this.#replace(record, this.#isKnownFile(record));
      return this.#check(this.record());
    }
    if (!equalBytes(meta.attachment, record.id)) {
      throw new TidelockError("attached-elsewhere", { why: `another attached file stands at ${this.path}` });
    }
    this.#remember(record);
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

  /**
   * At a person's word a paused file goes on with its tables as they are. To attach it all of them must
   * fit; to detach it those that do are made ready for a last flush. Answers the others.
   */
  async mend(to: "attach" | "detach"): Promise<Mended> {
    const strange = new Set<string>();
    const nothing = { unfit: [], strange };
    if ((await this.ready()) !== undefined) return nothing;
    const { paused } = this;
    const record = this.record();
    if (paused === undefined || record === undefined) return nothing;
    if (paused.code === "detached") {
      if (to === "detach") return nothing;
      await this.#replace(record, true);
      await this.#check(this.record());
      return nothing;
    }
    if (paused.code !== "schema-changed") throw pausedError(paused, this.path);
    const shapes = this.#host.engine.read((tx) => shapesOf(tx, record));
    const { fit, unfit } = refit(this.#host, this.file, record, to === "detach");
    const [first] = unfit;
    if (first !== undefined && to === "attach")
      throw new TidelockError(first.code, {
        why: `${first.table}: ${first.why}`,
        next: `tidelock db detach ${this.path}, then attach it as it is now`,
        details: { table: first.table },
      });
    if (!(await recapture(this.#host, this.file, record, fit))) return { unfit, strange };
    const core = this.#plan({ ...record, tables: fit }, "anew");
    if (core === undefined) return { unfit, strange };
    this.paused = undefined;
    this.#host.engine.write((tx) =>
      core.registry.putPosition(tx, { ...positionOf(core, tx), schema: this.file.pragma("schema_version") }),
    );
    const ready = await this.#check(record);
    if (ready === undefined) return { unfit, strange };
    try {
      // The shapes of before go last: stopped until then, the next try does all of it again.
      await catchUp(ready, shapes, strange);
      rememberShapes(ready);
    } catch (error) {
      this.planAgain();
      throw error;
    }
    return { unfit, strange };
  }

  /** The plans were made for some of the tables, or not all was done for them: the next step asks anew. */
  planAgain(): void {
    this.core = undefined;
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
    const fresh = this.#plan(record);
    if (fresh !== undefined && schema !== now) {
      this.#host.engine.write((tx) =>
        fresh.registry.putPosition(tx, { ...positionOf(fresh, tx), schema: now }),
      );
    }
    return fresh;
  }

  /** `anew`: a person said that the tables as they are now are meant. */
  #plan(record: AttachmentRecord, anew?: "anew"): Core | undefined {
    const shapes = anew === undefined ? this.#host.engine.read((tx) => shapesOf(tx, record)) : undefined;
    const planned = planCore(this.#host, this.file, record, shapes);
    if (planned.kind === "changed") return this.pause("schema-changed", planned.why);
    const { core } = planned;
    const numbered = core.plans.map((p) => ({ number: p.number, table: p.file }));
    if (readMeta(this.file.db, this.path) !== undefined && !isInstalled(this.file.db, numbered)) {
      return this.pause("schema-changed", "triggers of the attachment are missing");
    }
    if (anew === undefined) rememberShapes(core);
    const first = this.core === undefined;
    this.core = core;
    this.skipped = planned.skipped;
    this.#planned(core, first);
    return core;
  }

  pause(code: IssueCode, text: string): undefined {
    if (this.paused?.code !== code) this.#host.deps.log?.event("database.paused", { code });
    this.paused = { code, text };
    this.state = "paused";
    return undefined;
  }

  forget(record: AttachmentRecord, seen?: Seq): void {
    this.#host.engine.write((tx) => retire(tx, this.#host.tables, record, seen));
  }

  #isKnownFile(record: AttachmentRecord): boolean {
    const known = this.#host.engine.read((tx) => new Registry(record.slot).identity(tx));
    const { identity } = this.file;
    return known !== undefined && identity !== undefined && sameFile(known, identity);
  }

  /** The file at the path carries our marks: whatever becomes of them, this is the one. */
  #remember(record: AttachmentRecord): void {
    const { identity } = this.file;
    if (identity === undefined || this.#isKnownFile(record)) return;
    this.#host.engine.write((tx) => new Registry(record.slot).putIdentity(tx, identity));
  }
}

function pausedError({ code, text }: Pause, path: string): TidelockError {
  if (code === "file-missing")
    return new TidelockError("not-found", {
      why: text,
      next: `put the file back; if it is lost: tidelock db detach ${path} --force`,
    });
  return new TidelockError(code in errorKinds ? (code as ErrorCode) : "internal", { why: text });
}
