/**
 * Rows whose attached file does not show what the view says (TBL30, TBL31). Only those are kept,
 * with what the file shows; of every other row of a tracked table the view tells it.
 */
import { equalBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { children } from "./claims.ts";
import { extendsDeclaration } from "./declaration.ts";
import { Overlay } from "./ground.ts";
import { hlcAt, hlcCount, hlcMs } from "./hlc.ts";
import { bornKey, bornOfKey } from "./key.ts";
import { resolveCell } from "./minted.ts";
import type { Schema } from "./schema.ts";
import type { Session, Table, Touched } from "./session.ts";
import { local, metaKeys, NOTHING, numberKey, readU16, rowOf, tableKey, tableRange } from "./spaces.ts";
import type { Born, Cell, RowKey, ShownRow } from "./types.ts";
import { integerOf, NULL_CELL, readCell, sameCell } from "./value.ts";
import { bornOfNumber, isShown, NO_ROW, resolveIn, showRow, stored, viewRow } from "./view.ts";

interface Mark {
  readonly shown: ShownRow;
  /** Dirty though its cells are equal: a number it shows through a reference is another one now. */
  readonly forced: boolean;
}

function readMark(session: Session, table: Table, key: RowKey): Mark | undefined {
  // Mostly no row is dirty, and nothing has to be looked up.
  if (dirtyCount(session) === 0) return undefined;
  const bytes = session.tx.get(local.dirty, tableKey(table.lid, key));
  if (bytes === undefined) return undefined;
  const reader = new Reader(bytes);
  const flags = reader.u8();
  const clock = hlcAt(reader.u48(), reader.v());
  if ((flags & 1) === 0) return { shown: { clock, cells: undefined }, forced: false };
  const cells: Cell[] = [];
  for (let n = reader.v(); n > 0; n--) cells.push(readCell(reader));
  return { shown: { clock, cells }, forced: (flags & 2) !== 0 };
}

/** Every change of a mark goes through here: it keeps the count and the numbers still shown. */
function writeMark(
  session: Session,
  table: Table,
  key: RowKey,
  old: Mark | undefined,
  mark: Mark | undefined,
): void {
  const { tx } = session;
  const place = tableKey(table.lid, key);
  if (table.view?.minted === true) {
    const was = shownNumber(table.view, old?.shown);
    const is = shownNumber(table.view, mark?.shown);
    if (was !== is) {
      if (was !== undefined) forgetNumber(session, table, was, key);
      if (is !== undefined) tx.put(local.snum, tableKey(table.lid, numberKey(is)), key);
    }
  }
  if (mark === undefined) {
    if (old === undefined) return;
    tx.delete(local.dirty, place);
    count(session, -1);
    return;
  }
  const { clock, cells } = mark.shown;
  const writer = session.writer
    .reset()
    .u8((cells === undefined ? 0 : 1) | (mark.forced ? 2 : 0))
    .u48(hlcMs(clock))
    .v(hlcCount(clock));
  if (cells !== undefined) {
    writer.v(cells.length);
    for (const cell of cells) writer.fixed(cell ?? NULL_CELL);
  }
  tx.put(local.dirty, place, writer.view());
  if (old === undefined) count(session, 1);
}

function forgetNumber(session: Session, table: Table, number: bigint, key: RowKey): void {
  const place = tableKey(table.lid, numberKey(number));
  const now = session.tx.get(local.snum, place);
  if (now !== undefined && equalBytes(now, key)) session.tx.delete(local.snum, place);
}

function shownNumber(schema: Schema, shown: ShownRow | undefined): bigint | undefined {
  return integerOf(shown?.cells?.[schema.declaration.key[0] as number]);
}

export function dirtyCount(session: Session): number {
  if (session.dirtyCount === undefined) {
    const bytes = session.tx.get(local.meta, metaKeys.dirty);
    session.dirtyCount = bytes === undefined ? 0 : new Reader(bytes).v();
  }
  return session.dirtyCount;
}

function count(session: Session, step: number): void {
  session.dirtyCount = dirtyCount(session) + step;
}

export function saveDirtyCount(session: Session): void {
  if (session.dirtyCount === undefined) return;
  const bytes = new Writer(8).v(session.dirtyCount).done();
  const old = session.tx.get(local.meta, metaKeys.dirty);
  if (old === undefined || !equalBytes(old, bytes)) session.tx.put(local.meta, metaKeys.dirty, bytes);
}

/** Compares what was touched with what the files show. Ends a transaction's work on rows. */
export function settleDirty(session: Session): void {
  for (const table of session.redeclared)
    if (table.tracked && adapter(table) !== undefined) touchMarked(session, table);
  moveRenamed(session);
  forceReferring(session);
  for (const table of session.touchedTables) {
    if (!table.tracked) continue;
    const adapt = adapter(table);
    for (const [text, touched] of table.touched)
      if (!table.told.has(text)) settleRow(session, table, touched, adapt);
  }
  for (const table of session.toldTables)
    for (const [text, { key, shown }] of table.told)
      compareShown(session, table, key, shown, table.touched.get(text)?.now);
}

function settleRow(session: Session, table: Table, touched: Touched, adapt: Adapter | undefined): void {
  const { key } = touched;
  const mark = readMark(session, table, key);
  const told = touched.shown;
  let shown = told ?? mark?.shown;
  shown ??= showRow(table.viewBefore, key, touched.before, touched.projection);
  if (mark === undefined && shown.cells === undefined) {
    // The common case of a load: nothing was there, and now something is.
    if (isShown(session, table, key, touched.now))
      writeMark(session, table, key, mark, { shown, forced: false });
    return;
  }
  if (adapt !== undefined && told === undefined && shown.cells !== undefined)
    shown = { clock: shown.clock, cells: adapt(shown.cells) };
  const view = viewRow(session, table, key, touched.now);
  const forced =
    (touched.forced || (mark?.forced === true && told === undefined)) &&
    shown.cells !== undefined &&
    view.cells !== undefined;
  const clean = !forced && sameRow(session, shown, view);
  if (clean && mark === undefined) return;
  writeMark(session, table, key, mark, clean ? undefined : { shown, forced });
}

type Adapter = (cells: readonly Cell[]) => readonly Cell[];

/** Where the declaration was replaced by one that does not extend it: columns by name. */
function adapter(table: Table): Adapter | undefined {
  const [old, now] = [table.viewBefore, table.view];
  return old === undefined || now === undefined ? undefined : adapterOf(old, now);
}

function adapterOf(old: Schema, now: Schema): Adapter | undefined {
  if (old === now) return undefined;
  if (extendsDeclaration(old.declaration, now.declaration)) return undefined;
  const places = now.declaration.columns.map((column) => old.columnByName.get(column.name) ?? -1);
  return (cells) => places.map((place) => cells[place] ?? NULL_CELL);
}

function touchMarked(session: Session, table: Table): void {
  for (const [at] of session.tx.scan(local.dirty, ...tableRange(table.lid))) session.touch(table, rowOf(at));
}

export function sameRow(session: Session, shown: ShownRow, view: ShownRow): boolean {
  if (shown.cells === undefined || view.cells === undefined) return shown.cells === view.cells;
  const n = Math.max(shown.cells.length, view.cells.length);
  const overlay = session.aliases ? new Overlay(session) : undefined;
  for (let i = 0; i < n; i++) {
    const [a, b] = [shown.cells[i], view.cells[i]];
    if (sameCell(a, b)) continue;
    // A file that showed an alias shows the row it stands for.
    if (overlay === undefined || a === undefined || b === undefined) return false;
    if (!sameCell(resolveCell(overlay, a), resolveCell(overlay, b))) return false;
  }
  return true;
}

/** A file's row under a key that became an alias is from now on the row it stands for. */
function moveRenamed(session: Session): void {
  for (const { table, from, to } of session.renamed) {
    if (!table.tracked || equalBytes(from, to)) continue;
    const [was, is] = [shownNow(session, table, from), shownNow(session, table, to)];
    if (was.cells === undefined || is.cells !== undefined) continue;
    session.touch(table, to).shown = was;
    session.touch(table, from).shown = NO_ROW;
  }
  session.renamed = [];
}

/** What the file shows, in the middle of a transaction. */
function shownNow(session: Session, table: Table, key: RowKey): ShownRow {
  const touched = session.touch(table, key);
  return (
    touched.shown ??
    readMark(session, table, key)?.shown ??
    showRow(table.viewBefore, key, touched.before, touched.projection)
  );
}

/** Where a row's number changed, the rows that refer to it show another number though their cells are equal. */
function forceReferring(session: Session): void {
  // What is touched on the way is walked too: it has the number it had.
  for (const table of session.touchedTables) {
    if (table.view?.minted !== true || session.kids(table).length === 0) continue;
    for (const touched of table.touched.values()) {
      if (touched.before === undefined) continue;
      const before = shownNumber(
        table.view,
        showRow(table.viewBefore, touched.key, touched.before, touched.projection),
      );
      const now = shownNumber(table.view, viewRow(session, table, touched.key));
      if (before !== undefined && now !== undefined && before !== now)
        forceChildren(session, table, touched.key);
    }
  }
}

function forceChildren(session: Session, table: Table, key: RowKey): void {
  for (const kid of session.kids(table)) {
    for (const child of children(session, table, key, kid)) {
      const touched = session.touch(kid.table, child);
      if (touched.forced) continue;
      touched.forced = true;
      // Its own key shows the number: those that refer to it show it too.
      if (kid.table.view?.foreignKeys[kid.index]?.inKey === true)
        forceChildren(session, kid.table, touched.key);
    }
  }
}

/** The row is compared with what its mark says the file shows; without one the file does not show it. */
export function touchShown(session: Session, table: Table, key: RowKey): void {
  const mark = readMark(session, table, key);
  const touched = session.touch(table, key);
  touched.shown = mark?.shown ?? NO_ROW;
  touched.forced = mark?.forced === true;
}

/** Marks that were written in terms of another declaration: their columns by name. */
export function adaptMarks(session: Session, table: Table, old: Schema): void {
  const adapt = table.view === undefined ? undefined : adapterOf(old, table.view);
  if (adapt === undefined) return;
  for (const [at] of session.tx.scan(local.dirty, ...tableRange(table.lid))) {
    const mark = readMark(session, table, rowOf(at)) as Mark;
    const { clock, cells } = mark.shown;
    if (cells === undefined) continue;
    writeMark(session, table, rowOf(at), mark, { ...mark, shown: { clock, cells: adapt(cells) } });
  }
}

/** Where a file shows another number for a row than the view, those that refer to it show it too. */
export function forceRenumbered(session: Session, table: Table): void {
  const { view } = table;
  if (view?.minted !== true || session.kids(table).length === 0) return;
  for (const [at] of session.tx.scan(local.dirty, ...tableRange(table.lid))) {
    const key = rowOf(at);
    const shown = shownNumber(view, readMark(session, table, key)?.shown);
    const now = shownNumber(view, viewRow(session, table, key));
    if (shown !== undefined && now !== undefined && shown !== now) forceChildren(session, table, key);
  }
}

/** Has a tracked row marked with what the file shows, also where that is what the view says. */
export function keepMark(session: Session, table: Table, key: RowKey): void {
  if (readMark(session, table, key) !== undefined) return;
  const shown = viewRow(session, table, key);
  if (shown.cells !== undefined) writeMark(session, table, key, undefined, { shown, forced: false });
}

/** Of a table that was not tracked, and so has no marks. */
export function startTracking(session: Session, table: Table): void {
  session.tx.put(local.track, tableKey(table.lid), NOTHING);
  for (let from: RowKey | undefined; ; ) {
    const batch = stored(session, table, from, 1000);
    for (const [key, bytes] of batch) {
      from = key;
      if (isShown(session, table, key, bytes))
        writeMark(session, table, key, undefined, { shown: NO_ROW, forced: false });
    }
    if (batch.length === 0) break;
  }
}

export function stopTracking(session: Session, table: Table): void {
  session.tx.delete(local.track, tableKey(table.lid));
  for (const [at] of session.tx.scan(local.dirty, ...tableRange(table.lid))) {
    session.tx.delete(local.dirty, at);
    count(session, -1);
  }
  for (const [at] of session.tx.scan(local.snum, ...tableRange(table.lid))) session.tx.delete(local.snum, at);
}

export function shownRow(session: Session, table: Table, key: RowKey): ShownRow {
  if (!table.tracked) return NO_ROW;
  const resolved = resolveIn(session, table, key);
  return readMark(session, table, resolved)?.shown ?? viewRow(session, table, resolved);
}

/** What is settled already is compared at once where a key may stand for another row. */
export function putShown(session: Session, table: Table, key: RowKey, shown: ShownRow): void {
  if (!table.tracked) return;
  if (session.aliases) compareShown(session, table, resolveIn(session, table, key), shown, undefined);
  else session.tell(table, key, shown);
}

function compareShown(
  session: Session,
  table: Table,
  key: RowKey,
  shown: ShownRow,
  now: Uint8Array | undefined,
): void {
  const old = readMark(session, table, key);
  const clean = sameRow(session, shown, viewRow(session, table, key, now));
  if (clean && old === undefined) return;
  writeMark(session, table, key, old, clean ? undefined : { shown, forced: false });
}

/** Tables that others refer to first; within a circle, in the order of the log. */
export function dirtyRows(session: Session, limit: number): { table: string; key: RowKey }[] {
  const tables: Table[] = [];
  for (let from: Uint8Array | undefined = NOTHING; from !== undefined; ) {
    const [next] = session.tx.scan(local.dirty, from, undefined, 1);
    if (next === undefined) break;
    const lid = readU16(next[0]);
    tables.push(session.tableByLid(lid) as Table);
    from = tableRange(lid)[1];
  }
  const rows: { table: string; key: RowKey }[] = [];
  for (const table of parentsFirst(session, tables)) {
    const [from, to] = tableRange(table.lid);
    for (const [at] of session.tx.scan(local.dirty, from, to, limit - rows.length))
      rows.push({ table: table.name, key: rowOf(at) });
    if (rows.length >= limit) break;
  }
  return rows;
}

function parentsFirst(session: Session, tables: readonly Table[]): Table[] {
  const wanted = new Set(
    [...tables].sort((a, b) => (a.id ?? limits.tables + a.lid) - (b.id ?? limits.tables + b.lid)),
  );
  const ordered: Table[] = [];
  const visited = new Set<Table>();
  const visit = (table: Table): void => {
    if (visited.has(table)) return;
    visited.add(table);
    for (const fk of table.view?.foreignKeys ?? []) {
      const parent = session.table(fk.parent);
      if (parent !== undefined) visit(parent);
    }
    if (wanted.has(table)) ordered.push(table);
  };
  for (const table of wanted) visit(table);
  return ordered;
}

/** The number a file shows for a row; the view's where the row is not dirty. */
export function shownNumberOf(session: Session, table: Table, born: Born): bigint | undefined {
  if (table.view?.minted !== true) return undefined;
  return shownNumber(table.view, shownRow(session, table, bornKey(born)));
}

/** The row a file shows under a number, which the view may have given to another since. */
export function shownBornOf(session: Session, table: Table, number: bigint): Born | undefined {
  const kept = session.tx.get(local.snum, tableKey(table.lid, numberKey(number)));
  if (kept !== undefined) return bornOfKey(kept as RowKey);
  const born = bornOfNumber(session, table, number);
  if (born === undefined || readMark(session, table, bornKey(born)) !== undefined) return undefined;
  return born;
}
