/** The log that the triggers keep in the app's file. Rules ATT7, ATT24. */

import { encodeValue } from "@tidelock/core/kinds/tables/value";
import type { AppFile } from "./file.ts";
import { text } from "./lens.ts";
import { type FileValue, select } from "./rows.ts";

/** A key that a statement touched, with the time of the last one. Values in the order of the file's key. */
export interface Touched {
  readonly table: number;
  readonly values: readonly FileValue[];
  readonly time: number;
}

/** A row whose key changed: where it was and where it went. */
export interface Moved {
  readonly table: number;
  readonly from: readonly FileValue[];
  readonly to: readonly FileValue[];
  readonly time: number;
}

export interface Outbox {
  /** The highest entry read: what may be deleted once it is safe. */
  readonly last: number;
  readonly touched: readonly Touched[];
  readonly moved: readonly Moved[];
  /** How many entries there were. */
  readonly entries: number;
  /** Rows of tables that were not asked for. */
  readonly strange: ReadonlySet<string>;
  /** Tables with entries whose key holds a NULL. */
  readonly nullKeys: ReadonlySet<number>;
}

export function outboxIsEmpty(file: AppFile): boolean {
  return file.statement("SELECT 1 FROM _tl_out LIMIT 1").get() === undefined;
}

/** Groups by table and key. `widths`: how many key columns a table has; entries of other tables are only counted. */
export function readOutbox(
  file: AppFile,
  widths: ReadonlyMap<number, number>,
  limit: number | undefined,
): Outbox {
  const columns = (file.db.pragma("table_info(_tl_out)") as { name: string }[]).map((c) => c.name);
  const rows = select(
    file,
    columns,
    `FROM _tl_out ORDER BY seq ${limit === undefined ? "" : `LIMIT ${limit}`}`,
    [],
  );
  const touched = new Map<string, Touched>();
  const moved: Moved[] = [];
  const nullKeys = new Set<number>();
  const strange = new Set<string>();
  let last = 0;
  rows.forEach((row, i) => {
    const [seq, tbl, t] = row;
    last = Number(seq);
    const table = Math.abs(Number(tbl));
    const width = widths.get(table);
    if (width === undefined) {
      strange.add(slot(table, row.slice(3)));
      return;
    }
    const values = row.slice(3, 3 + width);
    const time = typeof t === "bigint" ? Number(t) : 0;
    if (values.includes(null)) {
      nullKeys.add(table);
      return;
    }
    touched.set(slot(table, values), { table, values, time });
    const next = rows[i + 1];
    // The old key of an update stands directly before the new one: see `captureTriggers`.
    if (Number(tbl) < 0 && next !== undefined && next[1] === BigInt(table)) {
      const to = next.slice(3, 3 + width);
      if (!to.includes(null)) moved.push({ table, from: values, to, time });
    }
  });
  return { last, entries: rows.length, touched: [...touched.values()], moved, nullKeys, strange };
}

export function slot(table: number, values: readonly FileValue[]): string {
  return `${table}:${values.map((v) => text(encodeValue(v))).join()}`;
}
