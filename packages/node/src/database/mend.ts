/**
 * The tables of a paused file as they are now, at a person's word: further columns are told to the
 * vault, capture is made again where it is missing. Rules ATT31, ATT32.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import type { TableChange } from "@tidelock/core/kinds/tables/types";
import { adoptColumns } from "./columns.ts";
import { type Core, runsOf } from "./core.ts";
import { reconcile } from "./count.ts";
import type { AppFile } from "./file.ts";
import { type Host, inspectFor, numbered } from "./open.ts";
import { columnsOf, declarationFor } from "./plan.ts";
import type { AttachmentRecord, TableEntry } from "./registry.ts";
import { fold } from "./sqlite.ts";
import { install, readMeta } from "./triggers.ts";

/** How often the token may be found moved. */
const TRIES = 3;

/** A table of an attachment that the file no longer has, or has with another key. */
export interface Unfit {
  readonly table: string;
  readonly code: ErrorCode;
  readonly why: string;
}

export interface Refit {
  readonly fit: readonly TableEntry[];
  readonly unfit: readonly Unfit[];
}

export interface Mended {
  readonly unfit: readonly Unfit[];
  /** Rows of tables that do not fit, whose entries went with those of the others. */
  readonly strange: ReadonlySet<string>;
}

/** Looks at each table of a record; declares what the vault does not know of those that fit. */
export function refit(host: Host, file: AppFile, record: AttachmentRecord, partly: boolean): Refit {
  const declared = host.engine.read((tx) => host.tables.declarations(tx));
  const names = record.tables.map((t) => t.name);
  const seen = inspectFor(file, names, record.natural, declared);
  const tableByName = new Map(seen.tables.map((t) => [fold(t.declaration.name), t.declaration]));
  const fit: TableEntry[] = [];
  const unfit: Unfit[] = [];
  const changes: TableChange[] = [];
  for (const entry of record.tables) {
    const table = tableByName.get(fold(entry.name));
    const vault = declared.find((d) => d.name === entry.name);
    if (table === undefined || vault === undefined) {
      const refused = seen.refused.find((r) => fold(r.table) === fold(entry.name) && exists(file, r.table));
      unfit.push({
        table: entry.name,
        code: refused?.code ?? "not-found",
        why: refused?.why ?? "the table is gone",
      });
      continue;
    }
    try {
      const declaration = declarationFor(table, vault);
      if (declaration !== vault) changes.push({ op: "schema", declaration });
      fit.push(entry);
    } catch (error) {
      if (!(error instanceof TidelockError)) throw error;
      unfit.push({ table: entry.name, code: error.code, why: error.why });
    }
  }
  if (unfit.length === 0 || partly)
    host.engine.write((tx) => {
      for (const run of runsOf({ plans: [] }, changes, 0, false)) host.engine.submit(tx, run);
    });
  return { fit, unfit };
}

function exists(file: AppFile, table: string): boolean {
  return (file.db.pragma(`table_info("${table.replaceAll('"', '""')}")`) as unknown[]).length > 0;
}

/** Capture as it should be for the tables that fit. False where none of ours is in the file. */
export async function recapture(
  host: Host,
  file: AppFile,
  record: AttachmentRecord,
  fit: readonly TableEntry[],
): Promise<boolean> {
  const declared = host.engine.read((tx) => host.tables.declarations(tx));
  const names = fit.map((t) => t.name);
  const done = await file.write(() => {
    const meta = readMeta(file.db, file.path);
    if (meta === undefined || !equalBytes(meta.attachment, record.id)) return false;
    const { tables } = inspectFor(file, names, record.natural, declared);
    install(file.db, numbered({ ...record, tables: fit }, tables), meta);
    return true;
  });
  if (done.kind === "busy") throw busy(file.path);
  return done.value;
}

/**
 * What differs by now between file and vault, row by row, is an edit made now: capture may have been
 * gone. `shapes`: of the tables as they were, so that a migration's values are not taken for edits.
 */
export async function catchUp(
  core: Core,
  shapes: ReadonlyMap<string, string>,
  strange: Set<string>,
): Promise<void> {
  // All columns before any row: a flush reads the outbox of every table.
  for (const plan of core.plans) {
    const shape = shapes.get(plan.vault.name);
    if (shape !== undefined) await insist(core, () => adoptColumns(core, plan, columnsOf(shape)));
  }
  for (const plan of core.plans)
    await insist(core, async () => {
      const result = await reconcile(core, plan);
      for (const row of result.strange) strange.add(row);
      return result.kind;
    });
}

async function insist(core: Core, work: () => Promise<"done" | "busy" | "moved">): Promise<void> {
  for (let tries = 0; ; tries++) {
    const kind = await work();
    if (kind === "done") return;
    if (kind === "busy" || tries > TRIES) throw busy(core.file.path);
  }
}

export function busy(path: string): TidelockError {
  return new TidelockError("database-busy", { why: `${path} stays locked by another program` });
}
