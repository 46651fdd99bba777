/** The app's own triggers on synced tables, sorted by what they write. Rule ATT16. */
import { type Db, fold } from "./sqlite.ts";
import { writtenTables } from "./tokens.ts";

export type TriggerClass =
  /** Writes nothing, or only what is not synced (search indexes, counters): fires while we project. */
  | "outside"
  /** Writes only synced tables: its effects arrive as rows, so it rests while we project. */
  | "synced"
  /** Writes both: fires, and what it did to synced rows is put right again. */
  | "both";

export interface AppTrigger {
  readonly name: string;
  readonly kind: TriggerClass;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

/** By table name, in the order of the schema. What a trigger sets off further on counts as its own. */
export function classifyTriggers(db: Db, tables: readonly string[]): Map<string, AppTrigger[]> {
  const synced = new Map(tables.map((t) => [fold(t), t]));
  const rows = db
    .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid")
    .all() as SchemaRow[];
  const own = rows.filter((r) => !/^_tl_/i.test(r.name));
  const byTable = new Map<string, SchemaRow[]>();
  for (const row of own) byTable.set(fold(row.tbl_name), [...(byTable.get(fold(row.tbl_name)) ?? []), row]);

  const reach = (row: SchemaRow, seen: Set<string>, out: Set<string>): void => {
    for (const target of writtenTables(row.sql ?? "").map(fold)) {
      out.add(target);
      // A synced row that it writes is projected as itself, and that sets off what it sets off.
      if (seen.has(target) || synced.has(target)) continue;
      seen.add(target);
      for (const next of byTable.get(target) ?? []) reach(next, seen, out);
    }
  };

  const views = new Set(
    (db.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'").all() as { name: string }[]).map((v) =>
      fold(v.name),
    ),
  );
  const out = new Map<string, AppTrigger[]>();
  for (const row of own) {
    const table = synced.get(fold(row.tbl_name));
    if (table === undefined) continue;
    const written = new Set<string>();
    reach(row, new Set(), written);
    const targets = [...written].filter((t) => !views.has(t));
    const inside = targets.filter((t) => synced.has(t)).length;
    const kind: TriggerClass = inside === 0 ? "outside" : inside === targets.length ? "synced" : "both";
    out.set(table, [...(out.get(table) ?? []), { name: row.name, kind }]);
  }
  return out;
}
