/** One row's life, and what lost against it: for `history`, `why` and `conflicts`. */
import { getVerdict } from "@tidelock/core/engine/verdicts";
import { TidelockError } from "@tidelock/core/errors";
import type { RowVersion } from "@tidelock/core/kinds/tables/api";
import { hlcMs } from "@tidelock/core/kinds/tables/hlc";
import type { Conflict, ConflictSide } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { onceNumbered } from "./log-view.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";
import { type JsonValue, jsonOfCell, jsonOfKey, parseObject, type RowObject } from "./values.ts";

export interface VersionCell {
  readonly column: string;
  readonly before: JsonValue;
  readonly after: JsonValue;
  /** False: it lost against a later clock, and is kept only here. */
  readonly won: boolean;
}

export interface Version {
  readonly seq: number;
  /** When its author made it, by the author's clock; when the log took it, for one without a clock. */
  readonly time: string;
  readonly device: number;
  readonly deviceName?: string;
  readonly op: RowVersion["op"];
  readonly cells: readonly VersionCell[];
}

export interface RowHistory {
  readonly table: string;
  readonly key: JsonValue | readonly JsonValue[];
  readonly versions: readonly Version[];
}

export interface WhyCell {
  readonly column: string;
  readonly value: JsonValue;
  readonly seq: number;
  readonly time: string;
  readonly device: number;
  readonly deviceName?: string;
  readonly rule: string;
}

export interface RowWhy {
  readonly table: string;
  readonly key: JsonValue | readonly JsonValue[];
  readonly alive: boolean;
  readonly cells: readonly WhyCell[];
  /** Changes of the row that have no effect on it, with the reason. */
  readonly without: readonly { readonly seq: number; readonly device: number; readonly reason: string }[];
}

export interface ConflictView {
  readonly id: string;
  readonly table: string;
  readonly key: JsonValue | readonly JsonValue[];
  readonly reason: Conflict["reason"];
  readonly state: Conflict["state"];
  readonly seq: number;
  readonly winner: ConflictSideView;
  readonly loser: ConflictSideView;
}

export interface ConflictSideView {
  readonly device: number;
  readonly deviceName?: string;
  readonly time?: string;
  /** Absent: on this side the row was deleted. */
  readonly cells?: Readonly<Record<string, JsonValue>>;
}

export function rowHistory(session: Session, object: string): RowHistory {
  return session.replica.read((tx) => {
    const { row, versions } = versionsOf(session, tx, object);
    return {
      table: row.table,
      key: jsonOfKey(tx, session.tables, row.table, row.key),
      versions: versions.map((v) => versionOf(session, tx, v)),
    };
  });
}

export function rowWhy(session: Session, object: string): RowWhy {
  return session.replica.read((tx) => {
    const { row, versions } = versionsOf(session, tx, object);
    const shown = session.tables.view(tx, row.table, row.key).cells;
    const cells = row.declaration.columns.map((column, i): WhyCell | undefined => {
      const by = versions.findLast((v) => v.cells.some((c) => c.column === column.name && c.won));
      if (by === undefined || shown === undefined) return undefined;
      const others = versions.some(
        (v) => v !== by && v.cells.some((c) => c.column === column.name && !c.won),
      );
      return {
        column: column.name,
        value: jsonOfCell(shown[i]),
        ...authorOf(session, tx, by),
        rule:
          by.op === "insert" || by.op === "found"
            ? "the row came so"
            : others
              ? "the later clock of two edits"
              : "the last edit",
      };
    });
    const without = versions
      .filter((v) => v.cells.length > 0 && v.cells.every((c) => !c.won))
      .map((v) => ({
        seq: v.seq,
        device: v.device,
        reason: getVerdict(tx, v.seq)?.reason || "lost to a later clock",
      }));
    return {
      table: row.table,
      key: jsonOfKey(tx, session.tables, row.table, row.key),
      alive: shown !== undefined,
      cells: cells.flatMap((c) => (c === undefined ? [] : [c])),
      without,
    };
  });
}

export function conflictList(session: Session, open: boolean): readonly ConflictView[] {
  return session.replica.read((tx) =>
    session.tables.conflicts(tx, { open }).map((c) => conflictOf(session, tx, c)),
  );
}

function versionsOf(
  session: Session,
  tx: Tx,
  object: string,
): { row: RowObject; versions: readonly RowVersion[] } {
  const row = parseObject(tx, session.tables, object, (d, number) => onceNumbered(session, tx, d, number));
  const versions = session.tables.history(tx, row.table, row.key);
  if (versions.length === 0)
    throw new TidelockError("not-found", {
      why: "the vault knows no change of such a row",
      next: "check the key",
    });
  return { row, versions };
}

function versionOf(session: Session, tx: Tx, v: RowVersion): Version {
  return {
    ...authorOf(session, tx, v),
    op: v.op,
    cells: v.cells.map((c) => ({
      column: c.column,
      before: jsonOfCell(c.before),
      after: jsonOfCell(c.after),
      won: c.won,
    })),
  };
}

function authorOf(
  session: Session,
  tx: Tx,
  v: RowVersion,
): { seq: number; time: string; device: number; deviceName?: string } {
  // A row found at attach has no write time of its own.
  const ms = v.hlc === 0n ? v.time : hlcMs(v.hlc);
  const name = session.replica.membership.deviceName(tx, v.device);
  return { seq: v.seq, time: new Date(ms).toISOString(), device: v.device, ...optional("deviceName", name) };
}

function conflictOf(session: Session, tx: Tx, c: Conflict): ConflictView {
  return {
    id: c.id,
    table: c.table,
    key: jsonOfKey(tx, session.tables, c.table, c.key),
    reason: c.reason,
    state: c.state,
    seq: c.seq,
    winner: sideOf(session, tx, c.columns, c.winner),
    loser: sideOf(session, tx, c.columns, c.loser),
  };
}

function sideOf(session: Session, tx: Tx, columns: readonly string[], side: ConflictSide): ConflictSideView {
  const name = session.replica.membership.deviceName(tx, side.device);
  const { cells } = side;
  return {
    device: side.device,
    ...optional("deviceName", name),
    ...(side.hlc === 0n ? {} : { time: new Date(hlcMs(side.hlc)).toISOString() }),
    ...(cells === undefined
      ? {}
      : { cells: Object.fromEntries(columns.map((column, i) => [column, jsonOfCell(cells[i])])) }),
  };
}
