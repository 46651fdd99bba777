/**
 * The tables kind: rows and cells, merged by clocks in the order of the log, with the declared
 * constraints projected. What an attachment may ask is `TablesView`. Rules: docs/spec/tables.md.
 */
import { encodeUtf8 } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Suite } from "../../crypto/suite.ts";
import type { Decoded, Kind, Position } from "../../log/kind.ts";
import type { Tx } from "../../log/tx.ts";
import type { RowVersion, TablesView } from "./api.ts";
import { reduceChange } from "./apply.ts";
import { decodeSection } from "./codec.ts";
import { constraintConflicts } from "./conflicts.ts";
import { projectConstraints } from "./constraints.ts";
import { encodeDeclaration, extendsDeclaration } from "./declaration.ts";
import {
  dirtyCount,
  dirtyRows,
  putShown,
  saveDirtyCount,
  settleDirty,
  shownBornOf,
  shownNumberOf,
  shownRow,
  startTracking,
  stopTracking,
} from "./dirty.ts";
import { Truth } from "./ground.ts";
import { putRun, rowHistory } from "./history.ts";
import { journal, type Noop, noops } from "./journal.ts";
import { holdRun, releaseRun, syncOverlay } from "./overlay.ts";
import { keepShown, rebuild, resumeTracking, suspendTracking } from "./rebuild.ts";
import { RunRecorder } from "./recorder.ts";
import type { Schema } from "./schema.ts";
import { Session } from "./session.ts";
import { confirmed, local, metaKeys, NOTHING, readU16, spaces, tableKey } from "./spaces.ts";
import type { TableDeclaration, TablesSection } from "./types.ts";
import { bornOfNumber, NO_ROW, numberOf, resolveBorn, resolveIn, scanRows, viewRow } from "./view.ts";

export interface TablesKind extends Kind<TablesSection>, TablesView {
  /** Changes in the log that had no effect, with the reason. */
  noops(tx: Tx): readonly Noop[];
  /**
   * Makes every local index anew from the confirmed rows and the unconfirmed runs. After the
   * confirmed spaces were replaced (a checkpoint), `keepShown` must have run before that.
   */
  rebuildDerived(tx: Tx): void;
  /** Writes out what each tracked file shows, so that it outlives the rows it is otherwise read from. */
  keepShown(tx: Tx): void;
}

export function createTablesKind(suite: Suite): TablesKind {
  // A pure cache: a schema is used only for the very bytes it was compiled from.
  const schemas = new Map<string, Schema>();
  const within = (tx: Tx): Session => tx.scratch("tables", () => new Session(tx, suite, schemas));
  /** For questions: with everything said in this transaction settled. */
  const settled = (tx: Tx): Session => {
    const session = within(tx);
    if (session.unsettled) settle(session);
    return session;
  };

  /** For what the log or this device says next: what a file was said to show before it is compared first. */
  const further = (tx: Tx): Session => {
    const session = within(tx);
    if (session.toldTables.size > 0) settle(session);
    return session;
  };

  return {
    section: 2,
    name: "tables",
    spaces,
    decode(section): Decoded<TablesSection> | null {
      const value = decodeSection(section);
      return value === null ? null : { changes: value.changes.length, value };
    },
    apply: (tx, sections, at) => applyRun(further(tx), sections, at),
    hold: (tx, id, sections) => holdRun(further(tx), id, sections),
    release: (tx, id) => releaseRun(further(tx), id),
    settle: (tx) => {
      const session = tx.known<Session>("tables");
      if (session !== undefined) settle(session);
    },
    reset: (tx) => suspendTracking(settled(tx)),
    replayed: (tx) => resumeTracking(settled(tx)),

    declarations: (tx) =>
      settled(tx)
        .tables()
        .flatMap((table) => (table.view === undefined ? [] : [table.view.declaration])),
    declaration: (tx, table) => settled(tx).table(table)?.view?.declaration,
    view(tx, name, key) {
      const session = settled(tx);
      const table = session.table(name);
      return table === undefined ? NO_ROW : viewRow(session, table, resolveIn(session, table, key));
    },
    scanView(tx, name, after, limit) {
      const session = settled(tx);
      const table = session.table(name);
      return table === undefined ? [] : scanRows(session, table, after, limit);
    },
    numberOf(tx, name, born) {
      const session = settled(tx);
      const table = session.table(name);
      return table?.view?.minted === true ? numberOf(session, table, born) : undefined;
    },
    bornOf(tx, name, number) {
      const session = settled(tx);
      const table = session.table(name);
      return table?.view?.minted === true ? bornOfNumber(session, table, number) : undefined;
    },
    resolve: (tx, born) => resolveBorn(settled(tx), born),

    track(tx, name) {
      const session = settled(tx);
      const table = session.ensure(name);
      if (table.tracked) stopTracking(session, table);
      startTracking(session, table);
      saveDirtyCount(session);
    },
    untrack(tx, name) {
      const session = settled(tx);
      const table = session.table(name);
      if (table === undefined || !table.tracked) return;
      stopTracking(session, table);
      saveDirtyCount(session);
    },
    shown(tx, name, key) {
      const session = settled(tx);
      const table = session.table(name);
      return table === undefined ? NO_ROW : shownRow(session, table, key);
    },
    setShown(tx, name, key, row) {
      // What the file shows is said in terms of what went before, and of each row of a flush or a slice: it is
      // compared with the view where that changes names, else once, when the transaction settles.
      const session = within(tx);
      if (session.aliases ? session.unsettled : !session.steady) settle(session);
      const table = session.table(name);
      if (table !== undefined) putShown(session, table, key, row);
    },
    shownNumberOf(tx, name, born) {
      const session = settled(tx);
      const table = session.table(name);
      return table === undefined ? undefined : shownNumberOf(session, table, born);
    },
    shownBornOf(tx, name, number) {
      const session = settled(tx);
      const table = session.table(name);
      return table?.view?.minted === true ? shownBornOf(session, table, number) : undefined;
    },
    dirty: (tx, limit) => dirtyRows(settled(tx), limit),
    dirtyCount: (tx) => dirtyCount(settled(tx)),

    history(tx, name, key): readonly RowVersion[] {
      const session = settled(tx);
      const table = session.table(name);
      return table === undefined ? [] : rowHistory(session, table, resolveIn(session, table, key));
    },
    conflicts(tx, filter) {
      const session = settled(tx);
      return [...journal(session, filter.open), ...constraintConflicts(session)];
    },
    noops,
    // Not settled first: what a transaction touched means nothing after its rows were replaced.
    rebuildDerived: (tx) => rebuild(new Session(tx, suite, schemas), within(tx)),
    keepShown: (tx) => keepShown(settled(tx)),
  };
}

function settle(session: Session): void {
  syncOverlay(session);
  projectConstraints(session);
  settleDirty(session);
  saveDirtyCount(session);
  session.clearTouched();
}

function applyRun(session: Session, sections: readonly TablesSection[], at: Position): void {
  putRun(session.tx, at.seq, at.device, at.time);
  if (at.own) rememberSelf(session.tx, at.device);
  const truth = new Truth(session);
  const position = { seq: at.seq, time: at.time, device: at.device };
  const recorder = new RunRecorder(session, { ...position, seen: 0 });
  for (const { seen, changes } of sections) {
    recorder.at = { ...position, seen };
    for (const change of changes) {
      if (change.op === "schema") declare(session, change.declaration, recorder);
      else reduceChange(truth, change, recorder.at, recorder);
      recorder.index++;
    }
  }
  truth.flush();
}

/** TBL4. */
function declare(session: Session, declaration: TableDeclaration, recorder: RunRecorder): void {
  const { tx } = session;
  const table = session.ensure(declaration.name);
  if (table.truth === undefined) {
    const last = tx.last(confirmed.decl, NOTHING, undefined);
    const id = last === undefined ? 1 : readU16(last[0]) + 1;
    if (id > limits.tables) {
      recorder.noop(declaration.name, "too-many-tables");
      return;
    }
    table.id = id;
    tx.put(confirmed.name, encodeUtf8(declaration.name), tableKey(id));
  } else if (!extendsDeclaration(table.truth.declaration, declaration)) {
    recorder.noop(declaration.name, "declaration");
    return;
  }
  const bytes = encodeDeclaration(declaration);
  tx.put(confirmed.decl, tableKey(table.id as number), bytes);
  table.truth = session.schema(declaration.name, bytes);
  // Unconfirmed changes may be in terms of it, and unconfirmed declarations beside it.
  if (session.pending) session.declared.add(table);
  else session.setView(table, table.truth);
}

/** Which device this is shows in the first own run that comes back; only the overlay asks. */
function rememberSelf(tx: Tx, device: number): void {
  if (tx.get(local.meta, metaKeys.self) === undefined)
    tx.put(local.meta, metaKeys.self, new Writer(8).v(device).done());
}
