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
import {
  anyWaiting,
  frames,
  type Note,
  notesOf,
  placeOf,
  putNotes,
  putSection,
  waiting,
  waitingAt,
} from "./pending.ts";
import { decodeRow, isAlive, PENDING, type Row } from "./row.ts";
import type { Session, Table } from "./session.ts";
import { confirmed, endOf, local, metaKeys, NOTHING, numberKey, readU16, rowOf, tableKey } from "./spaces.ts";
import type { Born, RowKey, TableChange, TableDeclaration, TablesSection } from "./types.ts";

/** Before this device has an index; no device ever has this one. */
const NO_DEVICE = 2 ** 32;
/** Where a table's declaration stands among its rows. */
const NO_KEY = NOTHING as RowKey;

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
  for (const one of waiting(session, run)) {
    const { notes, entangled } = notesOf(session, one);
    session.redo ||= entangled;
    if (entangled) tx.delete(local.pnote, one.place);
    for (const { table, key } of notes) {
      tx.delete(local.pkey, tableKey(table.lid, key, one.place));
      if (key.length === 0) continue;
      session.touch(table, key);
      session.markStale(table, key);
    }
  }
  for (const [at] of tx.scan(local.pend, u64Key(run), u64Key(run + 1))) tx.delete(local.pend, at);
  session.sections.clear();
}

/** Brings the overlay up to date with truth and with what is left unconfirmed. */
export function syncOverlay(session: Session): void {
  const { stale } = session;
  session.redo ||= !numbersHold(session);
  // Nothing left on top: all of the overlay goes, without asking row by row.
  session.redo ||= stale.size > 0 && !anyWaiting(session);
  session.numbers.clear();
  if (!session.redo) {
    for (const [table, keys] of stale) {
      for (const key of keys.values()) {
        session.redo = !resync(session, table, key);
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

/** Judges one key again; false if that is not enough. */
function resync(session: Session, table: Table, key: RowKey): boolean {
  const { tx } = session;
  const place = tableKey(table.lid, key);
  const notes = tx.scan(local.pkey, place, endOf(place));
  const over = tx.get(local.over, place);
  if (notes.some(([, flag]) => flag[0] === 1)) return false;
  const before = over === undefined ? undefined : decodeRow(over);
  if (over !== undefined) tx.delete(local.over, place);
  if (notes.length > 0) {
    const overlay = new Overlay(session);
    for (const [noted] of notes) {
      const { run, seen, change } = waitingAt(session, noted.subarray(place.length));
      overlay.stored = [];
      overlay.consulted = [];
      reduceChange(overlay, change as DataChange, at(session, run, seen), undefined);
      if (overlay.consulted.length > 0) return false;
      if (overlay.stored.some((s) => s.table !== table || !equalBytes(s.key, key))) return false;
    }
  }
  return table.view?.minted !== true || keepsNumber(session, table, key, before, notes.length > 0);
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
  const place = tableKey(table.lid, key);
  return session.tx.scan(local.pkey, place, endOf(place), 1).length > 0;
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
  for (const [place] of tx.scan(local.over, NOTHING, undefined)) {
    const table = session.tableByLid(readU16(place)) as Table;
    if (place.length > 2) session.touch(table, rowOf(place));
  }
  for (const space of [local.over, local.pkey, local.pnote, local.vnum, local.valias, local.vmeta])
    for (const [place] of tx.scan(space, NOTHING, undefined)) tx.delete(space, place);
  for (const table of session.tables()) session.setView(table, table.truth);
  session.pending = anyWaiting(session);
  const overlay = new Overlay(session);
  for (const { run, place, seen, change } of waiting(session))
    keep(session, overlay, place, change, at(session, run, seen));
}

/** Reduces one change into the overlay and says under which keys it is to be noted. */
function judge(session: Session, overlay: Overlay, change: TableChange, where: At): readonly Note[] {
  overlay.stored = [];
  overlay.consulted = [];
  overlay.entangled = false;
  if (change.op === "schema") {
    overlay.entangled = true;
    return [{ table: declare(session, change.declaration), key: NO_KEY }];
  }
  const table = session.ensure(change.table);
  reduceChange(overlay, change, where, undefined);
  const [only] = overlay.stored;
  const alone = overlay.stored.length === 1 && overlay.consulted.length === 0;
  if (alone && only !== undefined && equalBytes(only.key, change.key)) return [only];
  overlay.entangled = true;
  if (change.key.length > limits.key) return [{ table, key: NO_KEY }];
  const notes = [...overlay.stored, ...overlay.consulted, { table, key: change.key }];
  return notes.filter(
    (n, i) => notes.findIndex((m) => m.table === n.table && equalBytes(m.key, n.key)) === i,
  );
}

function keep(session: Session, overlay: Overlay, place: Uint8Array, change: TableChange, where: At): void {
  const notes = judge(session, overlay, change, where);
  putNotes(session, place, notes, overlay.entangled);
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
