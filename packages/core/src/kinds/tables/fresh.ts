/**
 * The bulk of every load: new rows whose values nobody else claims, whose parents are there, and to
 * which nobody refers yet. The passes can change nothing about them nor through them, so they go
 * straight into the indexes. Everything else is left to the passes.
 */
import { anyReturnedNumber, cellAt, children, entriesOf, holderOf, parentKey } from "./claims.ts";
import { keyCells } from "./key.ts";
import { aliveBytes, decodeRow, knownBytes, type Row } from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Session, Table, Touched } from "./session.ts";
import { local, NOTHING, textOf } from "./spaces.ts";
import type { Cell } from "./types.ts";

export interface TouchedRow {
  readonly table: Table;
  readonly touched: Touched;
}

/** Indexes the rows that meet nobody; answers the touched rows that the passes have to look at. */
export function settleFresh(session: Session): TouchedRow[] {
  const rest: TouchedRow[] = [];
  const claims: Uint8Array[] = [];
  const refs: Uint8Array[] = [];
  const taken = new Set<string>();
  const present = new Map<string, boolean>();
  for (const table of session.touchedTables) {
    const schema = table.view;
    const kids = session.kids(table);
    const quiet = schema !== undefined && !(schema.minted && anyReturnedNumber(session, table));
    for (const touched of table.touched.values()) {
      if (!session.constrained(table, touched.key)) continue;
      const fresh = quiet && touched.before === undefined && touched.projection === undefined;
      const bytes = fresh ? session.viewBytes(table, touched.key) : undefined;
      const row = aliveBytes(bytes) ? decodeRow(bytes as Uint8Array) : undefined;
      const entries =
        row !== undefined && parentsAreThere(session, table, touched, row, present)
          ? entriesOf(session.suite, table, schema as Schema, touched.key, row, false)
          : undefined;
      const groups = entries?.claims.map((claim) => textOf(claim.group));
      const met =
        groups === undefined ||
        groups.some((group) => taken.has(group)) ||
        entries?.claims.some((claim) => holderOf(session, claim.group) !== undefined) ||
        kids.some((kid) => children(session, table, touched.key, kid, 1).length > 0);
      if (met || entries === undefined) {
        rest.push({ table, touched });
        continue;
      }
      for (const group of groups) taken.add(group);
      for (const { entry } of entries.claims) claims.push(entry);
      for (const { entry } of entries.refs) refs.push(entry);
    }
  }
  // After all reads: a store that sorts when it is read sorts once.
  for (const entry of claims) session.tx.put(local.claim, entry, NOTHING);
  for (const entry of refs) session.tx.put(local.ref, entry, NOTHING);
  return rest;
}

/** Whether each row it refers to is shown, or one the vault never knew. */
function parentsAreThere(
  session: Session,
  table: Table,
  { key }: Touched,
  row: Row,
  present: Map<string, boolean>,
): boolean {
  const schema = table.view as Schema;
  if (schema.foreignKeys.length === 0) return true;
  const own = keyCells(key);
  return schema.foreignKeys.every((fk) => {
    const cells = fk.columns.map((column) => cellAt(schema, own, row, column));
    const parent = cells.includes(undefined) ? undefined : parentKey(session, fk, cells as Cell[]);
    if (parent === undefined) return true;
    const text = `${parent.table.lid} ${textOf(parent.key)}`;
    let there = present.get(text);
    if (there === undefined) {
      const bytes = session.viewBytes(parent.table, parent.key);
      const untouched = session.projection(parent.table, parent.key) === undefined;
      there = !knownBytes(bytes) || (aliveBytes(bytes) && untouched);
      present.set(text, there);
    }
    return there;
  });
}
