/** Rows of the app's file, read and written with every value as it is. Rule ATT12. */
import { decodeUtf8 } from "@tidelock/core/bytes/bytes";
import { InvalidText } from "@tidelock/core/kinds/tables/types";
import type { AppFile } from "./file.ts";
import type { TablePlan } from "./plan.ts";
import { quote, type Raw, rawBytes } from "./sqlite.ts";

/** A value as the file holds it: INTEGER is `bigint`, REAL `number`. */
export type FileValue = null | bigint | number | string | InvalidText | Uint8Array;
/** By column of the file's declaration. */
export type FileRow = readonly FileValue[];
/** In the order of the vault's key. */
export type FileKey = readonly FileValue[];

/** The driver decodes text leniently: where this stands, the bytes may have been others. */
const REPLACEMENT = "\ufffd";

/**
 * Runs a query of these columns. Rows with doubtful text are read a second time as bytes, in the
 * same transaction, so both answers are of the same rows.
 */
export function select(
  file: AppFile,
  columns: readonly string[],
  rest: string,
  params: readonly Raw[],
): readonly FileValue[][] {
  const rows = file
    .statement(`SELECT ${columns.join()} ${rest}`)
    .raw()
    .all(...params) as Raw[][];
  const doubtful = (v: Raw): boolean => typeof v === "string" && v.includes(REPLACEMENT);
  if (!file.utf8 || !rows.some((row) => row.some(doubtful))) return rows.map((row) => row.map(convert));
  const casts = columns.map((c) => `CAST(${c} AS BLOB)`).join();
  const bytes = file
    .statement(`SELECT ${casts} ${rest}`)
    .raw()
    .all(...params) as (Uint8Array | null)[][];
  return rows.map((row, i) =>
    row.map((v, j) => {
      if (!doubtful(v)) return convert(v);
      const stored = rawBytes(bytes[i]?.[j] ?? new Uint8Array(0));
      return decodeUtf8(stored) ?? new InvalidText(stored);
    }),
  );
}

function convert(value: Raw): FileValue {
  return value instanceof Uint8Array ? rawBytes(value) : value;
}

/** How a value is handed to SQLite: text that is not UTF-8 as bytes with a CAST. */
export function place(value: FileValue | undefined): string {
  return value instanceof InvalidText ? "CAST(? AS TEXT)" : "?";
}

export function bound(value: FileValue | undefined): Raw {
  if (value === undefined) return null;
  return value instanceof InvalidText ? value.bytes : value;
}

interface Names {
  readonly table: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

export function namesOf(plan: TablePlan): Names {
  const d = plan.file.declaration;
  const columns = d.columns.map((c) => quote(c.name));
  return { table: quote(d.name), columns, key: plan.key.map((k) => columns[k] as string) };
}

export function whereKey(plan: TablePlan, key: FileKey): string {
  return namesOf(plan)
    .key.map((n, i) => `${n} = ${place(key[i])}`)
    .join(" AND ");
}

/** The row that SQLite holds equal to this key: with NOCASE it may be spelt otherwise. */
export function readRow(file: AppFile, plan: TablePlan, key: FileKey): FileRow | undefined {
  const { table, columns } = namesOf(plan);
  return select(file, columns, `FROM ${table} WHERE ${whereKey(plan, key)}`, key.map(bound))[0];
}

/** Rows in key order after `after`, without those that have a NULL in their key. */
export function scanRows(
  file: AppFile,
  plan: TablePlan,
  after: FileKey | undefined,
  limit: number,
): readonly FileRow[] {
  const { table, columns, key } = namesOf(plan);
  const tuple = (list: readonly string[]): string =>
    list.length === 1 ? (list[0] as string) : `(${list.join()})`;
  const notNull = key.map((k) => `${k} IS NOT NULL`).join(" AND ");
  const from = after === undefined ? notNull : `${tuple(key)} > ${tuple(after.map(place))} AND ${notNull}`;
  return select(
    file,
    columns,
    `FROM ${table} WHERE ${from} ORDER BY ${key.join()} LIMIT ${limit}`,
    (after ?? []).map(bound),
  );
}

export function hasRow(file: AppFile, plan: TablePlan, key: FileKey): boolean {
  const sql = `SELECT 1 FROM ${namesOf(plan).table} WHERE ${whereKey(plan, key)}`;
  return file.statement(sql).get(...key.map(bound)) !== undefined;
}

export function countRows(file: AppFile, plan: TablePlan): number {
  return Number(
    (file.statement(`SELECT count(*) AS n FROM ${namesOf(plan).table}`).get() as { n: bigint }).n,
  );
}

/** Rows that cannot be synced because a column of their key is NULL. */
export function countNullKeys(file: AppFile, plan: TablePlan): number {
  if (plan.file.rowid === undefined) return 0;
  const { table, key } = namesOf(plan);
  const some = key.map((k) => `${k} IS NULL`).join(" OR ");
  return Number(
    (file.statement(`SELECT count(*) AS n FROM ${table} WHERE ${some}`).get() as { n: bigint }).n,
  );
}

export function keyOfRow(plan: TablePlan, row: FileRow): FileKey {
  return plan.key.map((k) => row[k] as FileValue);
}

export function sameValue(a: FileValue | undefined, b: FileValue | undefined): boolean {
  if (a === b) return !(a === 0 && b === 0) || Object.is(a, b);
  if (a instanceof InvalidText) return b instanceof InvalidText && sameBytes(a.bytes, b.bytes);
  return a instanceof Uint8Array && b instanceof Uint8Array && sameBytes(a, b);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
