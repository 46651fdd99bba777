/**
 * What stands in the app's file while it is attached: three tables without constraints and a few
 * triggers of plain SQL, so that any program in any language can go on writing. Rules ATT6 to ATT10.
 *
 * Nothing here may ever make a statement of the app fail, so no trigger names a column the app
 * could drop: those under its key and its constraints cannot be dropped anyway.
 */
import { TidelockError } from "@tidelock/core/errors";
import type { UniqueDeclaration } from "@tidelock/core/kinds/tables/types";
import type { FileTable } from "./inspect.ts";
import { type Db, quote, rawBytes } from "./sqlite.ts";

/** An emptied flag table still captures: NULL is not 0. */
const GUARD = "(SELECT cap FROM _tl_flag) IS NOT 0";
/**
 * Milliseconds since 1970 in every SQLite: `unixepoch('subsec')` is NULL before 3.42 and an error
 * before 3.38. The time is taken here because the flush may run days later.
 */
const TIME = "CAST((julianday('now')-2440587.5)*86400000.0+0.5 AS INTEGER)";

export const LAYOUT = 1;
const TRIGGER = /^_tl_\d+_(?:[iudk]|p\d+[iu])$/;
const TABLES = ["_tl_out", "_tl_flag", "_tl_meta"];

export interface NumberedTable {
  /** The table's number in this file: what `_tl_out` calls it. */
  readonly number: number;
  readonly table: FileTable;
}

export interface FileMeta {
  readonly layout: number;
  readonly attachment: Uint8Array;
  readonly vault: Uint8Array;
  readonly token: Uint8Array;
  /** Everything the log confirmed up to here stood in the file when the token moved last. */
  readonly projected: number;
}

/** The capture triggers of one table, in the order they are made. */
export function captureTriggers({ number: n, table }: NumberedTable): readonly string[] {
  const d = table.declaration;
  const on = quote(d.name);
  const key = d.key.map((k) => quote(d.columns[k]?.name as string));
  const into = `INSERT INTO _tl_out(tbl,t,${key.map((_, i) => `k${i + 1}`).join()})`;
  const log = (tbl: number, row: "NEW" | "OLD"): string =>
    `BEGIN ${into} VALUES(${tbl},${TIME},${key.map((k) => `${row}.${k}`).join()}); END`;
  const changed = key
    .map((k) => `OLD.${k} IS NOT NEW.${k} COLLATE BINARY OR typeof(OLD.${k})<>typeof(NEW.${k})`)
    .join(" OR ");
  const make = (suffix: string, when: string, condition: string, body: string): string =>
    `CREATE TRIGGER "_tl_${n}_${suffix}" ${when} ON ${on} WHEN ${condition} ${body}`;
  const out = [
    make("i", "AFTER INSERT", GUARD, log(n, "NEW")),
    make("u", "AFTER UPDATE", GUARD, log(n, "NEW")),
    // Made right after `u`: SQLite fires the newer one first, so an old key always stands directly
    // before its new one.
    make("k", `AFTER ${updateOf(d.key)}`, `(${changed}) AND ${GUARD}`, log(-n, "OLD")),
    make("d", "AFTER DELETE", GUARD, log(n, "OLD")),
  ];
  table.probes.forEach((set, i) => {
    const [insert, update] = probe(set);
    out.push(make(`p${i + 1}i`, "BEFORE INSERT", GUARD, insert));
    out.push(make(`p${i + 1}u`, `BEFORE ${updateOf(set.columns)}`, update.condition, update.body));
  });
  return out;

  /** An UPDATE that sets none of these columns then does not even compile the trigger. */
  function updateOf(columns: readonly number[]): string {
    // `SET rowid = 9` moves an INTEGER PRIMARY KEY and matches no list.
    const alias = d.key.length === 1 && d.columns[d.key[0] as number]?.type.toUpperCase() === "INTEGER";
    if (alias && columns.includes(d.key[0] as number)) return "UPDATE";
    return `UPDATE OF ${columns.map((c) => quote(d.columns[c]?.name as string)).join()}`;
  }

  /** REPLACE evicts the holder of a unique value without a delete trigger: its key is logged before. */
  function probe(set: UniqueDeclaration): [string, { condition: string; body: string }] {
    const columns = set.columns.map((c) => quote(d.columns[c]?.name as string));
    const clash = columns.map((c, i) => `${c} = NEW.${c} COLLATE ${set.collations[i]}`).join(" AND ");
    const select = `BEGIN ${into} SELECT ${n},${TIME},${key.join()} FROM ${on} WHERE ${clash}`;
    const other = `NOT (${key.map((k) => `${k} IS OLD.${k}`).join(" AND ")})`;
    const moved = columns.map((c) => `OLD.${c} IS NOT NEW.${c} COLLATE BINARY`).join(" OR ");
    return [`${select}; END`, { condition: `(${moved}) AND ${GUARD}`, body: `${select} AND ${other}; END` }];
  }
}

/** Inside a transaction: what is ours, made or widened, for these tables. */
export function install(db: Db, tables: readonly NumberedTable[], meta: FileMeta): void {
  const width = Math.max(1, ...tables.map((t) => t.table.declaration.key.length));
  const have = columnsOf(db, "_tl_out");
  if (have.length === 0) {
    const keys = Array.from({ length: width }, (_, i) => `k${i + 1}`);
    db.exec(`CREATE TABLE _tl_out(seq INTEGER PRIMARY KEY,tbl,t,${keys.join()})`);
    db.exec("CREATE TABLE _tl_flag(cap)");
    db.exec("INSERT INTO _tl_flag VALUES(1)");
    db.exec("CREATE TABLE _tl_meta(name,value)");
    const put = db.prepare("INSERT INTO _tl_meta VALUES(?,?)");
    put.run("layout", BigInt(meta.layout));
    put.run("attachment", meta.attachment);
    put.run("vault", meta.vault);
    put.run("token", meta.token);
    put.run("projected", BigInt(meta.projected));
  } else {
    for (let k = have.length - 3; k < width; k++) db.exec(`ALTER TABLE _tl_out ADD COLUMN k${k + 1}`);
  }
  const there = new Map(ourTriggers(db).map((t) => [t.name, t.sql]));
  for (const table of tables) {
    const wanted = captureTriggers(table);
    if (wanted.every((sql) => there.get(triggerName(sql)) === sql)) continue;
    // All of a table's or none: the order in which they are made is the order of their entries.
    for (const name of there.keys())
      if (name.startsWith(`_tl_${table.number}_`)) db.exec(`DROP TRIGGER ${quote(name)}`);
    for (const sql of wanted) db.exec(sql);
  }
}

/** Whether every trigger of these tables stands as we made it. */
export function isInstalled(db: Db, tables: readonly NumberedTable[]): boolean {
  const there = new Set(ourTriggers(db).map((t) => t.sql));
  return tables.flatMap(captureTriggers).every((sql) => there.has(sql));
}

/** Inside a transaction: drops exactly what `install` made, whoever made it. */
export function uninstall(db: Db): void {
  for (const { name } of ourTriggers(db)) db.exec(`DROP TRIGGER ${quote(name)}`);
  for (const table of TABLES) db.exec(`DROP TABLE IF EXISTS ${table}`);
}

/** Undefined where the file carries nothing of ours. */
export function readMeta(db: Db, path: string): FileMeta | undefined {
  if (columnsOf(db, "_tl_meta").length === 0) {
    const rest = ourTriggers(db).length > 0 || TABLES.some((t) => columnsOf(db, t).length > 0);
    if (rest) throw new TidelockError("attached-elsewhere", { why: `${path} holds parts of an attachment` });
    return undefined;
  }
  const value = new Map(
    (db.prepare("SELECT name, value FROM _tl_meta").raw().all() as [string, unknown][]).map((r) => [
      r[0],
      r[1],
    ]),
  );
  const bytes = (name: string): Uint8Array => {
    const v = value.get(name);
    return v instanceof Uint8Array ? rawBytes(v) : new Uint8Array(0);
  };
  const int = (name: string): number => Number(value.get(name) ?? 0);
  const layout = int("layout");
  if (layout > LAYOUT)
    throw new TidelockError("update-needed", { why: `${path} was attached by a newer version` });
  return {
    layout,
    attachment: bytes("attachment"),
    vault: bytes("vault"),
    token: bytes("token"),
    projected: int("projected"),
  };
}

export function readToken(db: Db): Uint8Array {
  const v = db.prepare("SELECT value FROM _tl_meta WHERE name = 'token'").pluck().get();
  return v instanceof Uint8Array ? rawBytes(v) : new Uint8Array(0);
}

export function writeToken(db: Db, token: Uint8Array, projected: number | undefined): void {
  db.prepare("UPDATE _tl_meta SET value = ? WHERE name = 'token'").run(token);
  if (projected !== undefined) {
    db.prepare("UPDATE _tl_meta SET value = ? WHERE name = 'projected'").run(BigInt(projected));
  }
}

/** All of the schema but what is ours: what attaching and detaching must not change. */
export function foreignSchema(db: Db): string {
  const rows = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").all() as {
    type: string;
    name: string;
    tbl_name: string;
    sql: string | null;
  }[];
  return JSON.stringify(rows.filter((r) => !TRIGGER.test(r.name) && !TABLES.includes(r.tbl_name)));
}

export function isOurTable(name: string): boolean {
  return TABLES.includes(name);
}

export function isOurTrigger(name: string): boolean {
  return TRIGGER.test(name);
}

function ourTriggers(db: Db): { readonly name: string; readonly sql: string }[] {
  const rows = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid").all();
  return (rows as { name: string; sql: string }[]).filter((r) => TRIGGER.test(r.name));
}

function triggerName(sql: string): string {
  return /^CREATE TRIGGER "(_tl_\w+)"/.exec(sql)?.[1] as string;
}

function columnsOf(db: Db, table: string): readonly string[] {
  return (db.pragma(`table_info(${table})`) as { name: string }[]).map((c) => c.name);
}
