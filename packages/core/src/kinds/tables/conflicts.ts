/** Rows that the constraints hide or put a NULL in: open conflicts for as long as they do (TBL35). */
import { equalBytes, toHex } from "../../bytes/bytes.ts";
import { cellAt, entriesOf, holderOf, parentKey } from "./claims.ts";
import { Overlay } from "./ground.ts";
import { runAt } from "./history.ts";
import { bornKey, keyCells } from "./key.ts";
import { decodeProjection, isHidden, type Projection } from "./projection.ts";
import { type Clock, decodeRow, hlcOf, isAlive, newestClock, PENDING, type Row } from "./row.ts";
import { KEY_SET, type Schema } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import { local, NOTHING, readU16, rowOf } from "./spaces.ts";
import type { Cell, Conflict, ConflictSide, RowKey } from "./types.ts";
import { numberOf } from "./view.ts";

export function constraintConflicts(session: Session): Conflict[] {
  return session.tx.scan(local.proj, NOTHING, undefined).flatMap(([at, bytes]) => {
    const table = session.tableByLid(readU16(at)) as Table;
    const schema = table.view;
    const key = rowOf(at);
    const stored = session.viewBytes(table, key);
    if (schema === undefined || stored === undefined) return [];
    const made = decodeProjection(bytes);
    const row = decodeRow(stored);
    const found = [
      uniqueConflict(session, table, schema, key, row, made),
      parentConflict(session, table, schema, key, row, made),
    ];
    return found.filter((one) => one !== undefined);
  });
}

function uniqueConflict(
  session: Session,
  table: Table,
  schema: Schema,
  key: RowKey,
  row: Row,
  made: Projection,
): Conflict | undefined {
  if (!made.hiddenByUnique && made.nulledByUnique.length === 0) return undefined;
  const { claims } = entriesOf(session.suite, table, schema, key, row, made.returned && !isAlive(row));
  for (const { set, group } of claims) {
    const holder =
      (set.index === KEY_SET && schema.minted ? taker(session, table, row) : undefined) ??
      holderOf(session, group);
    if (holder === undefined || equalBytes(holder, key)) continue;
    const other = session.viewBytes(table, holder);
    if (other === undefined) continue;
    return {
      ...conflict(table, schema, key, "unique", set.columns),
      winner: side(session, schema, holder, decodeRow(other), set.columns),
      loser: side(session, schema, key, row, set.columns),
      seq: judgedAt(row, decodeRow(other)),
    };
  }
  return undefined;
}

/** Who has the number of a returned row now. */
function taker(session: Session, table: Table, row: Row): RowKey | undefined {
  const holder = row.number === undefined ? undefined : new Overlay(session).holder(table, row.number);
  if (holder === undefined) return undefined;
  const shown = numberOf(session, table, holder.born);
  return shown === row.number ? bornKey(holder.born) : undefined;
}

function parentConflict(
  session: Session,
  table: Table,
  schema: Schema,
  key: RowKey,
  row: Row,
  made: Projection,
): Conflict | undefined {
  if (!made.hiddenByParent && made.nulledByParent.length === 0) return undefined;
  const own = keyCells(key);
  for (const fk of schema.foreignKeys) {
    const cells = fk.columns.map((column) => cellAt(schema, own, row, column));
    if (cells.some((cell) => cell === undefined)) continue;
    const parent = parentKey(session, fk, cells as Cell[]);
    const stored = parent === undefined ? undefined : session.viewBytes(parent.table, parent.key);
    if (parent === undefined || stored === undefined) continue;
    const parentMade = decodeProjection(session.projection(parent.table, parent.key));
    const parentRow = decodeRow(stored);
    const present = isAlive(parentRow) || parentMade.returned;
    if (present && !isHidden(parentMade)) continue;
    // The parent's own entry is the root: what hangs below it is not listed again.
    if (present) return undefined;
    const winner = { device: deviceOf(session, parentRow.del), hlc: hlcOf(parentRow.del), cells: undefined };
    return {
      ...conflict(table, schema, key, "parent", fk.columns),
      winner,
      loser: side(session, schema, key, row, fk.columns),
      seq: judgedAt(row, parentRow),
    };
  }
  return undefined;
}

function conflict(
  table: Table,
  schema: Schema,
  key: RowKey,
  reason: "unique" | "parent",
  columns: readonly number[],
): Pick<Conflict, "id" | "table" | "key" | "columns" | "reason" | "state"> {
  return {
    id: `${reason}.${table.lid}.${toHex(key)}`,
    table: table.name,
    key,
    columns: columns.map((c) => schema.declaration.columns[c]?.name ?? ""),
    reason,
    state: "open",
  };
}

function side(
  session: Session,
  schema: Schema,
  key: RowKey,
  row: Row,
  columns: readonly number[],
): ConflictSide {
  const own = keyCells(key);
  const newest = newestClock(row);
  return {
    device: deviceOf(session, newest),
    hlc: hlcOf(newest),
    cells: columns.map((column) => cellAt(schema, own, row, column)),
  };
}

function deviceOf(session: Session, clock: Clock | undefined): number {
  return clock === undefined ? 0 : runAt(session.tx, clock.seq).device;
}

/** The later of the two rows' newest confirmed positions. */
function judgedAt(a: Row, b: Row): number {
  const seqs = [newestClock(a), newestClock(b)].map((clock) => clock?.seq ?? 0);
  return Math.max(0, ...seqs.filter((seq) => seq < PENDING));
}
