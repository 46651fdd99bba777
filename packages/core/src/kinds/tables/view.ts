/** What a table should show: the view's rows as the constraints leave them. */
import { compareBytes } from "../../bytes/bytes.ts";
import { anyReturnedNumber, claimantsOf, numberGroup } from "./claims.ts";
import { Overlay } from "./ground.ts";
import { bornKey, bornOfKey, keyCells } from "./key.ts";
import { resolveKey } from "./minted.ts";
import { stateOver } from "./over.ts";
import { decodeProjection, isHidden } from "./projection.ts";
import { aliveBytes, decodeRow, hlcOf, isAlive, newestClock } from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import { confirmed, local, rowOf, tableKey, tableRange } from "./spaces.ts";
import type { Born, Cell, RowKey, ShownRow } from "./types.ts";
import { integerCell, NULL_CELL } from "./value.ts";

export const NO_ROW: ShownRow = { clock: 0n, cells: undefined };

/** The row that stored bytes and their projection show. */
export function showRow(
  schema: Schema | undefined,
  key: RowKey,
  bytes: Uint8Array | undefined,
  projection: Uint8Array | undefined,
): ShownRow {
  if (schema === undefined || bytes === undefined) return NO_ROW;
  const row = decodeRow(bytes);
  const clock = hlcOf(newestClock(row));
  const made = decodeProjection(projection);
  if (isHidden(made) || !(made.returned || isAlive(row))) return { clock, cells: undefined };
  const own = schema.minted ? [] : keyCells(key);
  const cells = schema.declaration.columns.map((_, column): Cell => {
    const place = schema.keyPlace[column] as number;
    if (place >= 0 && schema.minted) return row.number === undefined ? NULL_CELL : integerCell(row.number);
    return (place >= 0 ? own[place] : row.cells[column]?.cell) ?? NULL_CELL;
  });
  for (const column of made.nulledByUnique) cells[column] = NULL_CELL;
  for (const column of made.nulledByParent) cells[column] = NULL_CELL;
  return { clock, cells };
}

/** `now` is its state in the view, where that is known. */
export function viewRow(session: Session, table: Table, key: RowKey, now?: Uint8Array): ShownRow {
  return showRow(table.view, key, now ?? session.viewBytes(table, key), session.projection(table, key));
}

/** Whether the view shows a row there, without making it. */
export function isShown(session: Session, table: Table, key: RowKey, now?: Uint8Array): boolean {
  const bytes = table.view === undefined ? undefined : (now ?? session.viewBytes(table, key));
  const made = decodeProjection(session.projection(table, key));
  return !isHidden(made) && bytes !== undefined && (aliveBytes(bytes) || made.returned);
}

export function scanRows(
  session: Session,
  table: Table,
  after: RowKey | undefined,
  limit: number,
): { key: RowKey; row: ShownRow }[] {
  const found: { key: RowKey; row: ShownRow }[] = [];
  let from = after;
  while (found.length < limit) {
    const batch = stored(session, table, from, Math.max(limit - found.length, 16));
    for (const [key, bytes] of batch) {
      from = key;
      const row = showRow(table.view, key, bytes, session.projection(table, key));
      if (row.cells !== undefined && found.length < limit) found.push({ key, row });
    }
    if (batch.length === 0) break;
  }
  return found;
}

/** The next rows stored after a key, live or not, unconfirmed states before confirmed ones. */
export function stored(
  session: Session,
  table: Table,
  after: RowKey | undefined,
  limit: number,
): [RowKey, Uint8Array][] {
  const range = (space: string, id: number): [RowKey, Uint8Array][] => {
    // Every key is longer than the two bytes where a declaration may stand.
    const from = tableKey(
      id,
      after ?? Uint8Array.of(0),
      after === undefined ? Uint8Array.of() : Uint8Array.of(0),
    );
    return session.tx.scan(space, from, tableRange(id)[1], limit).map(([at, bytes]) => [rowOf(at), bytes]);
  };
  const truth = table.id === undefined ? [] : range(confirmed.row, table.id);
  if (!session.pending) return truth;
  const over = range(local.over, table.lid);
  const merged: [RowKey, Uint8Array][] = [];
  for (let i = 0, j = 0; merged.length < limit; ) {
    const [a, b] = [truth[i], over[j]];
    // Records without a state add nothing: behind the last one read there may be more.
    if (b === undefined && j === limit) break;
    const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a[0], b[0]);
    const state = order < 0 || b === undefined ? undefined : stateOver(b[1]);
    if (state !== undefined) merged.push([(b as [RowKey, Uint8Array])[0], state]);
    else if (order <= 0 && a !== undefined) merged.push(a);
    if (a === undefined && b === undefined) break;
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  const last = over.at(-1);
  return merged.length === 0 && over.length === limit && last !== undefined
    ? stored(session, table, last[0], limit)
    : merged;
}

export function resolveBorn(session: Session, born: Born): Born {
  return session.aliases ? (new Overlay(session).alias(born) ?? born) : born;
}

/**
 * The key that a question about a row means. A row that stands under the very key is meant, even
 * if its key names what became an alias later: only who knew a `born` before its row can make one.
 */
export function resolveIn(session: Session, table: Table, key: RowKey): RowKey {
  if (!session.aliases || session.viewBytes(table, key) !== undefined) return key;
  if (session.tx.get(local.dirty, tableKey(table.lid, key)) !== undefined) return key;
  return resolveKey(new Overlay(session), key);
}

export function numberOf(session: Session, table: Table, born: Born): bigint | undefined {
  const key = bornKey(resolveBorn(session, born));
  const bytes = session.viewBytes(table, key);
  if (bytes === undefined || viewRow(session, table, key).cells === undefined) return undefined;
  return decodeRow(bytes).number;
}

export function bornOfNumber(session: Session, table: Table, number: bigint): Born | undefined {
  const shows = (born: Born): boolean => numberOf(session, table, born) === number;
  const holder = new Overlay(session).holder(table, number)?.born;
  if (holder !== undefined && shows(holder)) return holder;
  if (!anyReturnedNumber(session, table)) return undefined;
  for (const key of claimantsOf(session, numberGroup(table, number))) {
    const born = bornOfKey(key) as Born;
    if (shows(born)) return born;
  }
  return undefined;
}
