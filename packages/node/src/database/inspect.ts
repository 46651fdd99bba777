/**
 * What a database file holds, read with PRAGMAs only: SQL text is never parsed for meaning, so a
 * schema of any age and style reads the same. Rules ATT1 to ATT5.
 */
import { limits } from "@tidelock/core/bytes/limits";
import type {
  Collation,
  ColumnDeclaration,
  ForeignKeyAction,
  ForeignKeyDeclaration,
  TableDeclaration,
  UniqueDeclaration,
} from "@tidelock/core/kinds/tables/types";
import { type Affinity, affinityOf } from "./affinity.ts";
import { type AppTrigger, classifyTriggers } from "./app-triggers.ts";
import type { FileValue } from "./rows.ts";
import { type Db, fold, quote } from "./sqlite.ts";
import { tokens } from "./tokens.ts";
import { isOurTable } from "./triggers.ts";

export interface FileTable {
  /** As this file declares it; `minted` and foreign keys as seen among the tables that are attached. */
  readonly declaration: TableDeclaration;
  /** UNIQUE constraints a BEFORE trigger can ask about, as indexes into `declaration.columns`. */
  readonly probes: readonly UniqueDeclaration[];
  /** Whether rows can vanish in a way no trigger sees, so that they must be counted. */
  readonly blind: boolean;
  /** A name of the hidden row number that no column shadows, where rows have one beside their key. */
  readonly rowid: string | undefined;
  /** A constraint of it has a conflict clause, such as UNIQUE ON CONFLICT REPLACE. */
  readonly conflictClause: boolean;
  readonly triggers: readonly AppTrigger[];
  /** What a column makes of values; by column. */
  readonly affinities: readonly Affinity[];
  /** By column, what stands in it for NULL: the constant default of one that takes no NULL. */
  readonly standIns: readonly FileValue[];
}

export interface Refusal {
  readonly table: string;
  readonly code: "table-no-key" | "table-key-unsupported" | "table-needs-function" | "bad-name" | "not-found";
  readonly why: string;
}

export interface Skipped {
  readonly name: string;
  /** `reserved`: its name begins as our own do. */
  readonly why: "view" | "virtual" | "shadow" | "not chosen" | "reserved";
}

export interface Inspection {
  readonly tables: readonly FileTable[];
  readonly skipped: readonly Skipped[];
  readonly refused: readonly Refusal[];
  /** Nothing but the empty schema: tables may be made in it. */
  readonly empty: boolean;
}

export interface InspectOptions {
  /** Only these, else all. */
  readonly tables?: readonly string[] | undefined;
  /** Tables whose INTEGER PRIMARY KEY is an identity of its own, not a number given on insert. */
  readonly natural?: readonly string[] | undefined;
  /** Tables that the vault knows as minted, whatever this file says of their foreign keys. */
  readonly minted?: readonly string[] | undefined;
}

interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly notnull: bigint;
  readonly dflt_value: string | null;
  readonly pk: bigint;
  readonly hidden: bigint;
}

interface IndexInfo {
  readonly name: string;
  readonly unique: bigint;
  readonly origin: string;
  readonly partial: bigint;
}

interface IndexColumn {
  readonly cid: bigint;
  readonly name: string | null;
  readonly coll: string;
  readonly key: bigint;
}

interface Raw {
  readonly name: string;
  readonly info: readonly ColumnInfo[];
  readonly columns: readonly ColumnDeclaration[];
  readonly key: readonly number[];
  readonly keyCollations: readonly string[];
  /** The key is the row number itself. */
  readonly alias: boolean;
  readonly withoutRowid: boolean;
  readonly strict: boolean;
  readonly indexes: readonly { readonly index: IndexInfo; readonly columns: readonly IndexColumn[] }[];
}

const collations: readonly string[] = ["BINARY", "NOCASE", "RTRIM"];

export function inspect(db: Db, options: InspectOptions = {}): Inspection {
  const skipped: Skipped[] = [];
  const refused: Refusal[] = [];
  const raws: Raw[] = [];
  const chosen = options.tables === undefined ? undefined : new Set(options.tables.map(fold));
  const listed = listTables(db);
  const names = listed.map((t) => t.name);
  for (const { name, type, wr, strict } of listed) {
    if (/^_tl_/i.test(name)) skipped.push({ name, why: "reserved" });
    else if (type !== "table") skipped.push({ name, why: type as "view" | "virtual" | "shadow" });
    else if (chosen !== undefined && !chosen.has(fold(name))) skipped.push({ name, why: "not chosen" });
    else {
      const raw = readTable(db, name, wr === 1n, strict === 1n);
      const refusal = badName(raw, names) ?? refuse(raw) ?? missingFunction(db, raw);
      if (refusal === undefined) raws.push(raw);
      else refused.push(refusal);
    }
  }
  const missing = (options.tables ?? []).filter((t) => !raws.some((r) => fold(r.name) === fold(t)));
  for (const table of missing) {
    if (!refused.some((r) => fold(r.table) === fold(table))) {
      const view = skipped.find((s) => fold(s.name) === fold(table));
      refused.push({
        table,
        code: view === undefined ? "not-found" : "table-no-key",
        why: view === undefined ? "there is no such table" : `it is a ${view.why}`,
      });
    }
  }
  return { tables: build(db, raws, options), skipped, refused, empty: listed.length === 0 };
}

interface Listed {
  readonly name: string;
  readonly type: string;
  readonly wr: bigint;
  readonly strict: bigint;
}

/** Ordinary tables, views and virtual tables of the file; nothing of SQLite's and nothing of ours. */
function listTables(db: Db): readonly Listed[] {
  const all = db.pragma("table_list") as (Listed & { readonly schema: string })[];
  return all
    .filter((t) => t.schema === "main" && !/^sqlite_/i.test(t.name) && !isOurTable(t.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readTable(db: Db, name: string, withoutRowid: boolean, strict: boolean): Raw {
  const info = db.pragma(`table_xinfo(${quote(name)})`) as ColumnInfo[];
  const stored = info.filter((c) => c.hidden === 0n);
  const keyInfo = info.filter((c) => c.pk > 0n).sort((a, b) => Number(a.pk - b.pk));
  const indexes = (db.pragma(`index_list(${quote(name)})`) as IndexInfo[]).map((index) => ({
    index,
    columns: (db.pragma(`index_xinfo(${quote(index.name)})`) as IndexColumn[]).filter((c) => c.key === 1n),
  }));
  const keyIndex = indexes.find(({ index }) => index.origin === "pk");
  // Only INTEGER PRIMARY KEY without an index of its own is the row number: not INT, and not
  // `INTEGER PRIMARY KEY DESC`, which SQLite keeps apart for old files.
  const alias =
    !withoutRowid &&
    keyInfo.length === 1 &&
    keyInfo[0]?.type.toUpperCase() === "INTEGER" &&
    keyIndex === undefined;
  return {
    name,
    info,
    columns: stored.map((c) => ({
      name: c.name,
      type: c.type,
      notNull: c.notnull === 1n || (withoutRowid && c.pk > 0n),
    })),
    key: keyInfo.map((c) => stored.indexOf(c)),
    keyCollations: keyInfo.map((c) => keyIndex?.columns.find((k) => k.name === c.name)?.coll ?? "BINARY"),
    alias,
    withoutRowid,
    strict,
    indexes,
  };
}

function refuse(raw: Raw): Refusal | undefined {
  const table = raw.name;
  const unsupported = (why: string): Refusal => ({ table, code: "table-key-unsupported", why });
  if (raw.key.length === 0) {
    return { table, code: "table-no-key", why: "without one SQLite may renumber its rows at any VACUUM" };
  }
  if (raw.key.includes(-1)) return unsupported("a key column is generated");
  if (raw.key.length > limits.keyColumns)
    return unsupported(`its key has more than ${limits.keyColumns} columns`);
  const strange = raw.keyCollations.find((c) => !collations.includes(c.toUpperCase()));
  if (strange !== undefined) {
    return { table, code: "table-needs-function", why: `its key is ordered by the collation ${strange}` };
  }
  return undefined;
}

/** Longest name a declaration carries, bytes of UTF-8; SQLite itself has no limit. */
const LONGEST_NAME = 255;

/** Names travel as declarations do: bounded, and normalised, so that two must not become one. */
function badName(raw: Raw, tables: readonly string[]): Refusal | undefined {
  const bad = (why: string): Refusal => ({ table: raw.name, code: "bad-name", why });
  const columns = raw.columns.map((c) => c.name);
  const long = [raw.name, ...columns].find(
    (n) => n === "" || Buffer.byteLength(n.normalize("NFC")) > LONGEST_NAME,
  );
  if (long !== undefined) return bad(`a name is empty or longer than ${LONGEST_NAME} bytes`);
  const twice = (name: string, all: readonly string[]): boolean =>
    all.filter((other) => fold(other) === fold(name)).length > 1;
  if (twice(raw.name, tables)) return bad("another table has the same name in other Unicode characters");
  const column = columns.find((name) => twice(name, columns));
  return column === undefined ? undefined : bad("two columns have the same name in other Unicode characters");
}

/** Prepares what a projection will run, which compiles every CHECK, index, generated column and trigger. */
function missingFunction(db: Db, raw: Raw): Refusal | undefined {
  const t = quote(raw.name);
  const names = raw.columns.map((c) => quote(c.name));
  const where = raw.key.map((k) => `${names[k]} = ?`).join(" AND ");
  try {
    db.prepare(`INSERT INTO ${t}(${names.join()}) VALUES(${names.map(() => "?").join()})`);
    db.prepare(`UPDATE ${t} SET ${names.map((n) => `${n} = ?`).join()} WHERE ${where}`);
    db.prepare(`DELETE FROM ${t} WHERE ${where}`);
    db.prepare(`SELECT ${names.join()} FROM ${t} WHERE ${where}`);
    return undefined;
  } catch (error) {
    return {
      table: raw.name,
      code: "table-needs-function",
      why: error instanceof Error ? error.message : String(error),
    };
  }
}

function build(db: Db, raws: readonly Raw[], options: InspectOptions): FileTable[] {
  const byName = new Map(raws.map((r) => [fold(r.name), r]));
  const keysOf = new Map(raws.map((r) => [r, foreignKeys(db, r, byName)]));
  const natural = new Set((options.natural ?? []).map(fold));
  const minted = new Set((options.minted ?? []).map(fold));
  // A row number that is itself a foreign key is its parent's number, not one of its own.
  const isMinted = (r: Raw): boolean =>
    r.alias &&
    !natural.has(fold(r.name)) &&
    (minted.has(fold(r.name)) || !(keysOf.get(r) ?? []).some((f) => f.columns.includes(r.key[0] as number)));
  const triggers = classifyTriggers(
    db,
    raws.map((r) => r.name),
  );
  return raws.map((r) => {
    const uniques = r.indexes.filter(({ index }) => index.unique === 1n && index.origin !== "pk");
    const probes: UniqueDeclaration[] = [];
    let blind = !r.alias && !r.withoutRowid;
    for (const { index, columns } of uniques) {
      const set = uniqueSet(r, columns);
      if (index.origin === "u" && set !== undefined) probes.push(set);
      else blind = true;
    }
    return {
      declaration: {
        name: r.name,
        columns: r.columns,
        key: r.key,
        keyCollations: r.keyCollations.map((c) => c.toUpperCase() as Collation),
        minted: isMinted(r),
        unique: probes,
        foreignKeys: keysOf.get(r) ?? [],
        compressOff: false,
      },
      probes,
      blind,
      rowid: r.alias || r.withoutRowid ? undefined : rowidName(r),
      conflictClause: hasConflictClause(db, r.name),
      triggers: triggers.get(r.name) ?? [],
      affinities: r.columns.map((c) => affinityOf(c.type, r.strict)),
      standIns: r.info.filter((c) => c.hidden === 0n).map((c) => standIn(db, c)),
    };
  });
}

/** Undefined where a column is an expression or generated: no trigger can name its value, so rows are counted. */
function uniqueSet(r: Raw, columns: readonly IndexColumn[]): UniqueDeclaration | undefined {
  const indexes = columns.map((c) => (c.name === null ? -1 : columnIndex(r, c.name)));
  const colls = columns.map((c) => c.coll.toUpperCase());
  if (indexes.includes(-1) || colls.some((c) => !collations.includes(c))) return undefined;
  return { columns: indexes, collations: colls as Collation[] };
}

function columnIndex(r: Raw, name: string): number {
  return r.columns.findIndex((c) => fold(c.name) === fold(name));
}

/** Those whose parent is among the attached tables: rows of another parent are in no vault. */
function foreignKeys(db: Db, r: Raw, byName: ReadonlyMap<string, Raw>): ForeignKeyDeclaration[] {
  const rows = db.pragma(`foreign_key_list(${quote(r.name)})`) as {
    id: bigint;
    seq: bigint;
    table: string;
    from: string;
    to: string | null;
    on_delete: string;
  }[];
  const groups = new Map<bigint, typeof rows>();
  for (const row of rows) groups.set(row.id, [...(groups.get(row.id) ?? []), row]);
  const out: ForeignKeyDeclaration[] = [];
  for (const [, group] of [...groups].sort(([a], [b]) => Number(a - b))) {
    const parent = byName.get(fold(group[0]?.table ?? ""));
    if (parent === undefined) continue;
    const sorted = [...group].sort((a, b) => Number(a.seq - b.seq));
    const columns = sorted.map((row) => columnIndex(r, row.from));
    const targets = sorted.map((row, i) =>
      row.to === null ? (parent.key[i] ?? -1) : columnIndex(parent, row.to),
    );
    // A generated column on either side, or a parent key that does not exist: SQLite itself refuses to use it.
    if (columns.includes(-1) || targets.includes(-1)) continue;
    out.push({
      columns,
      parent: parent.name,
      parentColumns: targets.map((t) => parent.columns[t]?.name as string),
      onDelete: (group[0]?.on_delete ?? "NO ACTION").toLowerCase() as ForeignKeyAction,
    });
  }
  return out;
}

function hasConflictClause(db: Db, name: string): boolean {
  const sql = db.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?").pluck().get(name);
  const words = tokens(String(sql)).map((t) => (t.kind === "word" ? t.text.toUpperCase() : ""));
  return words.some((word, i) => word === "ON" && words[i + 1] === "CONFLICT");
}

/** A literal only: what SQLite computes anew for each row stands for nothing. */
const constant = /^(?:[+-]?[\d.]+(?:e[+-]?\d+)?|'(?:[^']|'')*'|x'[\da-f]*'|true|false)$/i;

function standIn(db: Db, column: ColumnInfo): FileValue {
  const text = column.dflt_value;
  if (column.notnull !== 1n || column.pk > 0n || text === null || !constant.test(text)) return null;
  return db.prepare(`SELECT ${text}`).pluck().get() as FileValue;
}

function rowidName(r: Raw): string | undefined {
  const taken = new Set(r.info.map((c) => fold(c.name)));
  return ["rowid", "_rowid_", "oid"].find((n) => !taken.has(n));
}
