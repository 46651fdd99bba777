/**
 * Triggers of the app that write synced tables only rest while rows of theirs are projected: what
 * they did when the row was first written came as rows of its own. Rule ATT16.
 */
import type { AppFile } from "./file.ts";
import type { TablePlan } from "./plan.ts";
import { fold, quote } from "./sqlite.ts";

interface StoredTrigger {
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string;
}

/** Inside the slice's transaction. The answer puts every trigger back, to be called before its commit. */
export function suspendTriggers(file: AppFile, plans: Iterable<TablePlan>): (() => void) | undefined {
  const tables = [...plans].filter((p) => p.file.triggers.some((t) => t.kind === "synced"));
  if (tables.length === 0) return undefined;
  const names = new Set(tables.map((p) => fold(p.file.declaration.name)));
  const all = (
    file
      .statement("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid")
      .all() as StoredTrigger[]
  ).filter((t) => names.has(fold(t.tbl_name)));
  const resting = new Set(
    tables.flatMap((p) => p.file.triggers.filter((t) => t.kind === "synced").map((t) => t.name)),
  );
  for (const t of all) if (resting.has(t.name)) file.db.exec(`DROP TRIGGER ${quote(t.name)}`);
  return () => {
    // Firing order follows the order of creation, so all of them are made again in theirs, ours too.
    for (const t of all) if (!resting.has(t.name)) file.db.exec(`DROP TRIGGER ${quote(t.name)}`);
    for (const t of all) file.db.exec(t.sql);
  };
}
