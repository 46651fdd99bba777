/** The local indexes, made anew from the confirmed rows and the runs not confirmed yet (TBL36). */
import { equalBytes } from "../../bytes/bytes.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { projectConstraints } from "./constraints.ts";
import { adaptMarks, forceRenumbered, keepMark, saveDirtyCount, settleDirty, touchShown } from "./dirty.ts";
import { rebuildOpen } from "./journal.ts";
import { syncOverlay } from "./overlay.ts";
import { compileSchema } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import {
  confirmed,
  local,
  metaKeys,
  NOTHING,
  readU16,
  rowOf,
  tableKey,
  tableRange,
  textOf,
} from "./spaces.ts";
import type { RowKey } from "./types.ts";
import { stored } from "./view.ts";

/** Rows worked on at a time: bounds memory, not the result. */
const BATCH = 4096;

/** `stale` is what the transaction knew until now: it is forgotten. */
export function rebuild(session: Session, stale: Session): void {
  const { tx } = session;
  const projections = tx.scan(local.proj, NOTHING, undefined);
  for (const space of [local.claim, local.ref, local.proj, local.kid])
    for (const [at] of tx.scan(space, NOTHING, undefined)) tx.delete(space, at);
  rebuildOpen(tx);
  for (const [at] of tx.scan(confirmed.decl, NOTHING, undefined)) session.tableById(readU16(at));
  for (const table of session.tables()) {
    table.plain = true;
    const view = table.view;
    session.setView(table, undefined);
    session.setView(table, view);
  }
  session.redo = true;
  syncOverlay(session);
  session.clearTouched();
  for (const table of session.tables()) {
    eachBatch(session, table, (keys) => {
      // As rows that no index knew.
      for (const key of keys) session.touchAs(table, key, undefined, session.projection(table, key));
      projectConstraints(session);
      session.clearTouched();
    });
  }
  if (tx.get(local.meta, metaKeys.kept) === undefined) compareProjections(session, projections);
  else compareKept(session);
  saveDirtyCount(session);
  session.clearTouched();
  stale.forget();
}

/** Where a constraint says something else than before, the file may show something else than the view. */
function compareProjections(session: Session, before: readonly [Uint8Array, Uint8Array][]): void {
  const now = session.tx.scan(local.proj, NOTHING, undefined);
  const old = new Map(before.map(([at, bytes]) => [textOf(at), bytes]));
  for (const [at] of [...before, ...now]) {
    const table = session.tableByLid(readU16(at)) as Table;
    const key = rowOf(at);
    const was = old.get(textOf(at));
    const is = session.projection(table, key);
    if (was !== undefined && is !== undefined && equalBytes(was, is)) continue;
    session.touchAs(table, key, session.viewBytes(table, key), was);
  }
  settleDirty(session);
}

/** After `keepShown`: what is not marked is not in the file. */
function compareKept(session: Session): void {
  const { tx } = session;
  const tracked = session.tables().filter((table) => table.tracked);
  for (const table of tracked) {
    const compare = (keys: readonly RowKey[]): void => {
      for (const key of keys) touchShown(session, table, key);
      settleDirty(session);
      session.clearTouched();
    };
    eachBatch(session, table, compare);
    compare(tx.scan(local.dirty, ...tableRange(table.lid)).map(([at]) => rowOf(at)));
  }
  for (const table of tracked) forceRenumbered(session, table);
  settleDirty(session);
  session.clearTouched();
  tx.delete(local.meta, metaKeys.kept);
}

/**
 * Before the log is replayed from its first entry: what the files show is written down, in terms of
 * the declarations of now, and is compared with nothing until the replay is done.
 */
export function suspendTracking(session: Session): void {
  const { tx } = session;
  keepShown(session);
  const tracked = session.tables().filter((table) => table.tracked);
  const writer = new Writer(64).v(tracked.length);
  for (const { lid, view } of tracked) {
    writer.fixed(tableKey(lid)).bytes(view?.bytes ?? NOTHING);
    tx.delete(local.track, tableKey(lid));
  }
  tx.put(local.meta, metaKeys.suspended, writer.done());
  // Who this device is shows again in the first own run.
  tx.delete(local.meta, metaKeys.self);
}

export function resumeTracking(session: Session): void {
  const { tx } = session;
  const bytes = tx.get(local.meta, metaKeys.suspended);
  if (bytes === undefined) return;
  const reader = new Reader(bytes);
  const before: [number, Uint8Array][] = [];
  for (let n = reader.v(); n > 0; n--) before.push([readU16(reader.fixed(2)), reader.bytes(bytes.length)]);
  for (const [lid] of before) tx.put(local.track, tableKey(lid), NOTHING);
  tx.delete(local.meta, metaKeys.suspended);
  session.forget();
  for (const [lid, declaration] of before) {
    const table = session.tableByLid(lid) as Table;
    if (declaration.length > 0) adaptMarks(session, table, compileSchema(declaration.slice()));
  }
  compareKept(session);
  saveDirtyCount(session);
}

export function keepShown(session: Session): void {
  for (const table of session.tables()) {
    if (table.tracked)
      eachBatch(session, table, (keys) => {
        for (const key of keys) keepMark(session, table, key);
      });
  }
  session.tx.put(local.meta, metaKeys.kept, NOTHING);
  saveDirtyCount(session);
}

function eachBatch(session: Session, table: Table, work: (keys: readonly RowKey[]) => void): void {
  for (let from: RowKey | undefined; ; ) {
    const batch = stored(session, table, from, BATCH);
    work(batch.map(([key]) => key));
    from = batch.at(-1)?.[0];
    if (from === undefined) break;
  }
}
