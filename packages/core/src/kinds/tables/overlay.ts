/**
 * Unconfirmed changes above truth (TBL28, TBL29). Each is noted under the keys it stores, so that when truth changes only those keys are judged again. Where judging a
 * change looked beyond its own row (moves, numbers that were taken, aliases, declarations), the
 * whole overlay is made anew instead: rare, and plainly right.
 */
import { equalBytes, u64Key } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { type At, type DataChange, reduceChange } from "./apply.ts";
import { encodeDeclaration, extendsDeclaration } from "./declaration.ts";
import { decodeHolder, Overlay, readMeta } from "./ground.ts";
import { bornKey, bornOfKey } from "./key.ts";
import { getOver, notedUnder, type Over, putOver, stateOver, withNote, withoutNote } from "./over.ts";
import {
  anyNotes,
  anyWaiting,
  frames,
  type Note,
  notesOfRun,
  placeOf,
  putNotes,
  putSection,
  waiting,
  waitingAt,
} from "./pending.ts";
import { decodeRow, isAlive, PENDING, type Row } from "./row.ts";
import type { Session, Stale, Table } from "./session.ts";
import {
  confirmed,
  local,
  metaKeys,
  NOTHING,
  numberKey,
  readU16,
  rowOf,
  tableKey,
  textOf,
} from "./spaces.ts";
import type { Born, RowKey, TableChange, TableDeclaration, TablesSection } from "./types.ts";

/** Before this device has an index; no device ever has this one. */
const NO_DEVICE = 2 ** 32;
/** Where a table's declaration stands among its rows. */
const NO_KEY = NOTHING as RowKey;
const NOTHING_OVER: Over = { first: undefined, more: false, state: undefined };

export function holdRun(session: Session, run: number, sections: readonly TablesSection[]): void {
  releaseRun(session, run);
  syncOverlay(session);
  session.pending = true;
  const overlay = new Overlay(session);
  for (const [frame, section] of frames(sections).entries()) {
    putSection(session, run, frame, section);
    const where = at(session, run, section.seen);
    for (const [i, change] of section.changes.entries())
      keep(session, overlay, placeOf(run, frame, i), change, where);
  }
}

export function releaseRun(session: Session, run: number): void {
  const { tx } = session;
  const [from, to] = [u64Key(run), u64Key(run + 1)];
  if (tx.scan(local.pend, from, to, 1).length === 0) return;
  if (isAlone(session, from, to)) {
    for (const [at] of tx.scan(local.pend, from, to)) tx.delete(local.pend, at);
    session.sections.clear();
    session.stale.clear();
    session.redo = false;
    remake(session);
    return;
  }
  const notes = notesOfRun(session, run);
  for (const { place, change } of waiting(session, run)) {
    const written = notes.size === 0 ? undefined : notes.get(textOf(place));
    if (written !== undefined) tx.delete(local.pnote, place);
    if (change.op === "schema") {
      session.declared.add(session.ensure(change.declaration.name));
      continue;
    }
    session.redo ||= written !== undefined;
    for (const { table, key } of written ?? [{ table: session.ensure(change.table), key: change.key }])
      if (key.length > 0) unnote(session, table, key, place);
  }
  for (const [at] of tx.scan(local.pend, from, to)) tx.delete(local.pend, at);
  session.sections.clear();
}

/**
 * Whether nothing else waits and no declaration does: then the overlay goes as a whole, and what the log
 * says next needs not ask it row by row.
 */
function isAlone(session: Session, from: Uint8Array, to: Uint8Array): boolean {
  const { tx } = session;
  if (tx.scan(local.pend, NOTHING, from, 1).length > 0 || tx.scan(local.pend, to, undefined, 1).length > 0)
    return false;
  return session.tables().every((table) => table.view === table.truth);
}

/** Takes a change from what stands over a row. What is left is written when the overlay is brought up to date. */
function unnote(session: Session, table: Table, key: RowKey, place: Uint8Array): void {
  const stale = session.markStale(table, key);
  const over = session.over(table, key) ?? NOTHING_OVER;
  session.touch(table, key, over.state === undefined ? undefined : { bytes: over.state });
  stale.over = { row: withoutNote(session, table, key, over, place) };
}

/** Brings the overlay up to date with truth and with what is left unconfirmed. */
export function syncOverlay(session: Session): void {
  const { stale } = session;
  session.redo ||= !declarationsHold(session);
  session.redo ||= !numbersHold(session);
  // Nothing left on top: all of the overlay goes, without asking row by row.
  session.redo ||= stale.size > 0 && !anyWaiting(session);
  session.numbers.clear();
  if (!session.redo) {
    for (const [table, rows] of stale) {
      for (const row of rows.values()) {
        session.redo = !resync(session, table, row);
        if (session.redo) break;
      }
      if (session.redo) break;
    }
  }
  stale.clear();
  if (!session.redo) return;
  session.redo = false;
  remake(session);
}

/** Judges one row again; false if that is not enough. */
function resync(session: Session, table: Table, { key }: Stale): boolean {
  const over = session.over(table, key);
  if (over === undefined) return true;
  const notes = notedUnder(session, table, key, over);
  if (notes.some((note) => note.entangled)) return false;
  const [first] = notes;
  if (first !== undefined && over.first === undefined)
    session.tx.delete(local.pkey, tableKey(table.lid, key, first.place));
  putOver(session, table, key, { first, more: notes.length > 1, state: undefined });
  const touched = table.touched.get(textOf(key));
  if (touched !== undefined) touched.now = undefined;
  if (first !== undefined) {
    const overlay = new Overlay(session);
    for (const { place } of notes) {
      const { run, seen, change } = waitingAt(session, place);
      overlay.stored = [];
      overlay.consulted = [];
      reduceChange(overlay, change as DataChange, at(session, run, seen), undefined);
      if (overlay.consulted.length > 0) return false;
      if (overlay.stored.some((s) => s.table !== table || !equalBytes(s.key, key))) return false;
    }
  }
  if (table.view?.minted !== true) return true;
  const before = over.state === undefined ? undefined : decodeRow(over.state);
  return keepsNumber(session, table, key, before, first !== undefined);
}

/**
 * Whether tables are still declared as what waits was judged by: an own declaration that came
 * through as it was, the usual case, changes nothing.
 */
function declarationsHold(session: Session): boolean {
  const { declared } = session;
  if (declared.size === 0) return true;
  let hold = !anyNotes(session);
  for (const table of declared) {
    hold &&= table.view !== undefined && table.truth !== undefined;
    hold &&= equalBytes(table.view?.bytes as Uint8Array, table.truth?.bytes as Uint8Array);
    if (!hold) break;
    session.tx.delete(local.over, tableKey(table.lid));
    table.view = table.truth;
  }
  declared.clear();
  return hold;
}

/** Whether the numbers that the log gave or took are those we took them for, or none that matter to us. */
function numbersHold(session: Session): boolean {
  const { tx } = session;
  for (const [table, numbers] of session.numbers) {
    const meta = readMeta(session, table);
    if (meta === undefined) continue;
    for (const number of numbers) {
      const ours = tx.get(local.vnum, tableKey(table.lid, numberKey(number)));
      const truth = tx.get(confirmed.num, tableKey(table.id as number, numberKey(number))) as Uint8Array;
      const born = decodeHolder(truth).born;
      const foreseen = ours !== undefined && equalBytes(decodeHolder(ours).born, born);
      // A row that did not get its own number depends on every number given before it.
      const free =
        meta.displaced === 0
          ? ours === undefined || foreseen
          : foreseen && !isNoted(session, table, bornKey(born));
      if (!free) return false;
    }
  }
  return true;
}

function isNoted(session: Session, table: Table, key: RowKey): boolean {
  return notedUnder(session, table, key, session.over(table, key)).length > 0;
}

/** Whether a row that was judged again, or confirmed, is numbered as before; forgets what is confirmed. */
function keepsNumber(
  session: Session,
  table: Table,
  key: RowKey,
  before: Row | undefined,
  noted: boolean,
): boolean {
  if (before === undefined) return true;
  const { tx } = session;
  const bytes = session.viewBytes(table, key);
  if (!sameNumber(before, bytes === undefined ? undefined : decodeRow(bytes))) return false;
  if (noted || before.number === undefined) return true;
  const place = tableKey(table.lid, numberKey(before.number));
  const holder = tx.get(local.vnum, place);
  const own = bornOfKey(key) as Born;
  if (holder !== undefined && equalBytes(decodeHolder(holder).born, own)) tx.delete(local.vnum, place);
  return true;
}

function sameNumber(a: Row | undefined, b: Row | undefined): boolean {
  const live = (row: Row | undefined): boolean => row !== undefined && isAlive(row);
  return live(a) === live(b) && a?.number === b?.number;
}

/** Everything unconfirmed, judged anew in its order. */
function remake(session: Session): void {
  const { tx } = session;
  for (const [place, over] of tx.scan(local.over, NOTHING, undefined)) {
    if (place.length === 2) continue;
    const state = stateOver(over);
    const table = session.tableByLid(readU16(place)) as Table;
    session.touch(table, rowOf(place), state === undefined ? undefined : { bytes: state }).now = undefined;
  }
  for (const space of [local.over, local.pkey, local.pnote, local.vnum, local.valias, local.vmeta])
    for (const [place] of tx.scan(space, NOTHING, undefined)) tx.delete(space, place);
  for (const table of session.tables()) session.setView(table, table.truth);
  session.pending = anyWaiting(session);
  const overlay = new Overlay(session);
  for (const { run, place, seen, change } of waiting(session))
    keep(session, overlay, place, change, at(session, run, seen));
}

/** Reduces one change into the overlay; answers the rows to note it under where those are not the one it names alone. */
function judge(
  session: Session,
  overlay: Overlay,
  change: TableChange,
  where: At,
): readonly Note[] | undefined {
  overlay.stored = [];
  overlay.consulted = [];
  if (change.op === "schema") return [{ table: declare(session, change.declaration), key: NO_KEY }];
  const table = session.ensure(change.table);
  reduceChange(overlay, change, where, undefined);
  const [only] = overlay.stored;
  const alone = overlay.stored.length === 1 && overlay.consulted.length === 0;
  if (alone && only !== undefined && equalBytes(only.key, change.key)) return undefined;
  if (change.key.length > limits.key) return [{ table, key: NO_KEY }];
  const notes = [...overlay.stored, ...overlay.consulted, { table, key: change.key }];
  return notes.filter(
    (n, i) => notes.findIndex((m) => m.table === n.table && equalBytes(m.key, n.key)) === i,
  );
}

/** Judges a change for the first time and notes it under its rows. */
function keep(session: Session, overlay: Overlay, place: Uint8Array, change: TableChange, where: At): void {
  overlay.place = place;
  const notes = judge(session, overlay, change, where);
  if (notes === undefined) return;
  putNotes(session, place, notes);
  for (const { table, key } of notes) {
    if (key.length === 0) continue;
    const over = getOver(session, table, key);
    putOver(session, table, key, withNote(session, table, key, over, { place, entangled: true }));
  }
}

/** An unconfirmed declaration, as the log would take it. */
function declare(session: Session, declaration: TableDeclaration): Table {
  const table = session.ensure(declaration.name);
  const old = table.view?.declaration;
  if (old === undefined || extendsDeclaration(old, declaration)) {
    const bytes = encodeDeclaration(declaration);
    session.tx.put(local.over, tableKey(table.lid), bytes);
    session.setView(table, session.schema(`${declaration.name}\0`, bytes));
  }
  return table;
}

/** An unconfirmed run stands after everything confirmed, in the order of its id, at no log time yet. */
function at(session: Session, run: number, seen: number): At {
  const self = session.tx.get(local.meta, metaKeys.self);
  return {
    seq: PENDING + run,
    time: Number.POSITIVE_INFINITY,
    device: self === undefined ? NO_DEVICE : new Reader(self).v(),
    seen,
  };
}
