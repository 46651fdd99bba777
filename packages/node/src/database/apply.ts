/** Writes a slice's rows inside the open transaction of the file. Rules ATT17, ATT26. */
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { type Affinity, storedAs } from "./affinity.ts";
import { type Core, lensOf } from "./core.ts";
import type { AppFile } from "./file.ts";
import type { Lens } from "./lens.ts";
import type { TablePlan } from "./plan.ts";
import {
  bound,
  type FileKey,
  type FileRow,
  type FileValue,
  keyOfRow,
  namesOf,
  place,
  sameValue,
  whereKey,
} from "./rows.ts";
import { currentRow, type Op, type Slice } from "./slice.ts";
import { sqliteCode } from "./sqlite.ts";

export interface Outcome {
  readonly done: readonly Op[];
  /** Rows that SQLite, or a trigger of the app, does not let in. */
  readonly refused: readonly { readonly op: Op; readonly text: string }[];
  /** Rows whose place or unique value another row of the file still has. */
  readonly blocked: readonly { readonly op: Op; readonly text: string }[];
}

/** A row that is written, as far as it is known. */
export interface Place {
  readonly plan: TablePlan;
  readonly key: RowKey | undefined;
  /** The view's clock of it. */
  readonly clock: bigint;
}

/** A trigger rolled the whole transaction back: the slice starts over without this row. */
export class RowRollsBack extends Error {
  readonly place: Place;
  constructor(place: Place, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.place = place;
  }
}

type Written = { readonly kind: "ok" } | { readonly kind: "taken" | "refused"; readonly text: string };
const OK: Written = { kind: "ok" };

export function applySlice(core: Core, tx: Tx, slice: Slice): Outcome {
  const { file } = core;
  const now = lensOf(core, tx);
  const done: Op[] = [];
  const refused: { op: Op; text: string }[] = [];
  const waiting: { op: Op; text: string }[] = [];
  const settle = (op: Op, written: Written): void => {
    if (written.kind === "ok") done.push(op);
    else (written.kind === "taken" ? waiting : refused).push({ op, text: written.text });
  };

  for (const { plan, number } of slice.strays) {
    file.statement(`DELETE FROM ${namesOf(plan).table} WHERE ${whereKey(plan, [number])}`).run(number);
  }
  const order = new Map(core.plans.map((p, i) => [p.number, i]));
  const rank = (op: Op): number => order.get(op.plan.number) ?? 0;
  const parentsFirst = [...slice.ops].sort((a, b) => rank(a) - rank(b));
  // Places are given up before they are taken: deletions, then rows that stay, then new ones.
  for (const op of parentsFirst.filter((o) => o.to === undefined).reverse())
    settle(op, remove(core, now, op));
  for (const op of parentsFirst.filter((o) => o.to !== undefined && o.from !== undefined))
    settle(op, update(core, now, op));
  for (const op of parentsFirst.filter((o) => o.to !== undefined && o.from === undefined))
    settle(op, insert(core, now, op));

  const blocked: { op: Op; text: string }[] = [];
  if (waiting.length > 0) swap(core, now, waiting, done, refused, blocked);
  return { done, refused, blocked };
}

/** Rows that hold one another's unique values: all are taken out, then all put in. */
function swap(
  core: Core,
  now: Lens,
  waiting: readonly { op: Op; text: string }[],
  done: Op[],
  refused: { op: Op; text: string }[],
  blocked: { op: Op; text: string }[],
): void {
  const { file } = core;
  let rest = waiting;
  while (rest.length > 0) {
    file.db.exec("SAVEPOINT tl_swap");
    const out: { op: Op; text: string }[] = [];
    const olds = rest.map(({ op }) => takeOut(core, now, op));
    rest.forEach(({ op }, i) => {
      const written = put(file, op, op.to as FileRow, olds[i]?.rowid);
      if (written.kind === "taken") out.push({ op, text: written.text });
      else if (written.kind === "refused") {
        out.push({ op, text: written.text });
        refused.push({ op, text: written.text });
      }
    });
    if (out.length === 0) {
      file.db.exec("RELEASE tl_swap");
      done.push(...rest.map((r) => r.op));
      return;
    }
    // Each round leaves at least one row as it was, so this ends.
    file.db.exec("ROLLBACK TO tl_swap");
    file.db.exec("RELEASE tl_swap");
    const left = new Set(out.map((o) => o.op));
    blocked.push(...out.filter((o) => !refused.some((r) => r.op === o.op)));
    rest = rest.filter((r) => !left.has(r.op));
  }
}

function takeOut(core: Core, now: Lens, op: Op): { readonly rowid: bigint | undefined } {
  const current = currentRow(core, now, op);
  if (current === undefined || op.from === undefined) return { rowid: undefined };
  const { table } = namesOf(op.plan);
  const name = op.plan.file.rowid;
  const where = whereKey(op.plan, op.from);
  const params = op.from.map(bound);
  const rowid =
    name === undefined
      ? undefined
      : (
          core.file.statement(`SELECT ${name} AS r FROM ${table} WHERE ${where}`).get(...params) as {
            r: bigint;
          }
        ).r;
  guarded(
    core.file,
    op,
    () => core.file.statement(`DELETE FROM ${table} WHERE ${where}`).run(...params).changes,
  );
  return { rowid };
}

function remove(core: Core, now: Lens, op: Op): Written {
  if (currentRow(core, now, op) === undefined) return OK;
  return deleteAt(core.file, op, op.from as FileKey);
}

export function deleteAt(file: AppFile, op: Place, at: FileKey): Written {
  const sql = `DELETE FROM ${namesOf(op.plan).table} WHERE ${whereKey(op.plan, at)}`;
  return guarded(file, op, () => file.statement(sql).run(...at.map(bound)).changes);
}

function update(core: Core, now: Lens, op: Op): Written {
  const current = currentRow(core, now, op);
  return current === undefined
    ? insert(core, now, op)
    : change(core.file, op, op.from as FileKey, current, op.to as FileRow);
}

export function change(file: AppFile, op: Place, at: FileKey, from: FileRow, to: FileRow): Written {
  if (!hasKey(op.plan, to)) return NO_PARENT;
  const { table, columns } = namesOf(op.plan);
  const changed = to.flatMap((value, i) =>
    sameValue(value, from[i]) ? [] : [{ name: columns[i] as string, value }],
  );
  if (changed.length === 0) return OK;
  const sets = changed.map(({ name, value }) => `${name} = ${place(value)}`).join();
  const sql = `UPDATE${orAbort(op.plan)} ${table} SET ${sets} WHERE ${whereKey(op.plan, at)}`;
  const params = [...changed.map((c) => bound(c.value)), ...at.map(bound)];
  return guarded(file, op, () => file.statement(sql).run(...params).changes);
}

function insert(core: Core, now: Lens, op: Op): Written {
  const to = op.to as FileRow;
  const affinities = op.plan.file.affinities;
  if (
    op.plan.key.some(
      (c) => !sameValue(storedAs(core.file, affinities[c] as Affinity, to[c] as FileValue), to[c]),
    )
  )
    return { kind: "refused", text: "a column of its key has another type here and would change it" };
  const written = put(core.file, op, to, undefined);
  if (written.kind !== "taken") return written;
  // A natural row the file holds though nobody said so is still that row.
  const at = keyOfRow(op.plan, to);
  const there = currentRow(core, now, { ...op, from: at });
  return there === undefined ? written : change(core.file, op, at, there, to);
}

export function put(file: AppFile, op: Place, row: FileRow, rowid: bigint | undefined): Written {
  if (!hasKey(op.plan, row)) return NO_PARENT;
  const { table, columns } = namesOf(op.plan);
  const names = rowid === undefined ? columns : [op.plan.file.rowid as string, ...columns];
  const values: FileValue[] = rowid === undefined ? [...row] : [rowid, ...row];
  const sql = `INSERT${orAbort(op.plan)} INTO ${table}(${names.join()}) VALUES(${values.map(place).join()})`;
  return guarded(file, op, () => file.statement(sql).run(...values.map(bound)).changes);
}

const NO_PARENT: Written = { kind: "refused", text: "a row that its key refers to is not known here" };

function hasKey(plan: TablePlan, row: FileRow): boolean {
  return plan.key.every((column) => row[column] !== null);
}

/**
 * A conflict clause in the table's own declaration must not evict other rows. Elsewhere there is
 * none, because one of ours would replace those of statements in the app's triggers.
 */
function orAbort(plan: TablePlan): string {
  return plan.file.conflictClause ? " OR ABORT" : "";
}

/** Runs one statement for one row and says what SQLite made of it. */
function guarded(file: AppFile, op: Place, run: () => number): Written {
  try {
    if (run() === 1) return OK;
    return { kind: "refused", text: "a trigger ignored the row" };
  } catch (error) {
    const code = sqliteCode(error);
    const text = error instanceof Error ? error.message : String(error);
    if (!file.db.inTransaction) throw new RowRollsBack(op, error);
    if (/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID)$/.test(code)) return { kind: "taken", text };
    if (/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|ERROR)/.test(code)) return { kind: "refused", text };
    throw error;
  }
}

/** Tables of a slice whose triggers write synced and other tables alike. */
export function hasFighters(plans: Iterable<TablePlan>): boolean {
  return [...plans].some((p) => p.file.triggers.some((t) => t.kind === "both"));
}
