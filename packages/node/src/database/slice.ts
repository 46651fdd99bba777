/**
 * What a slice will write: for each dirty key where the file has the row now and what it should
 * hold. Planned outside the file's transaction, so that the app is kept waiting for writes only.
 * Rules ATT15, ATT21, ATT26.
 */
import type { Seq } from "@tidelock/core/bytes/brand";
import { getCursor } from "@tidelock/core/engine/entries";
import { bornOfKey } from "@tidelock/core/kinds/tables/key";
import type { RowKey, ShownRow } from "@tidelock/core/kinds/tables/types";
import { NULL_CELL } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { type Core, dirtyKeys, lensOf } from "./core.ts";
import { type Lens, text } from "./lens.ts";
import type { Effect } from "./note.ts";
import type { TablePlan } from "./plan.ts";
import {
  bound,
  type FileKey,
  type FileRow,
  type FileValue,
  keyOfRow,
  namesOf,
  readRow,
  select,
} from "./rows.ts";

export interface Op {
  readonly plan: TablePlan;
  readonly key: RowKey;
  /** Where the file shows the row. */
  readonly from: FileKey | undefined;
  /** What it should hold there; undefined: nothing. */
  readonly to: FileRow | undefined;
  /** What is true once the file holds it. */
  readonly effects: readonly Effect[];
  /** The view's clock, by which a refused row is known later. */
  readonly clock: bigint;
  /** Only its foreign keys follow a parent's new number; its values are nobody's business now. */
  readonly refsOnly: boolean;
}

export interface Slice {
  readonly ops: readonly Op[];
  readonly strays: readonly { readonly plan: TablePlan; readonly number: bigint }[];
  /** Nothing dirty is left after it. */
  readonly complete: boolean;
  readonly applied: Seq;
}

export interface SliceOptions {
  readonly limit: number;
  readonly skip: (plan: TablePlan, key: RowKey) => boolean;
  /** Rows keep the numbers they have: a flush in the same transaction has read them so. */
  readonly keepNumbers?: boolean;
}

export function planSlice(core: Core, tx: Tx, options: SliceOptions): Slice {
  const { registry, tables } = core;
  const found = dirtyKeys(core, tx, options.limit + 1, options.skip);
  const complete = found.length <= options.limit;
  const now = lensOf(core, tx);
  const keys = new Map<string, { plan: TablePlan; key: RowKey }>();
  for (const { plan, key } of found.slice(0, options.limit))
    keys.set(`${plan.number}:${text(key)}`, { plan, key });
  const drafts = [...keys.values()].map(({ plan, key }) => {
    const was = tables.shown(tx, plan.vault.name, key).cells !== undefined;
    const from = was ? now.fileKeyOf(plan, key) : undefined;
    return { plan, key, was, from, view: tables.view(tx, plan.vault.name, key) };
  });
  const then = lensOf(core, tx);
  const strays = (options.keepNumbers === true ? [] : registry.strays(tx)).map((s) => ({
    plan: then.plan(s.table),
    number: s.number,
  }));
  const renumbered = new Map<TablePlan, bigint[]>();
  const moves = (plan: TablePlan, from: bigint): unknown =>
    renumbered.set(plan, [...(renumbered.get(plan) ?? []), from]);
  for (const { plan, number } of strays) moves(plan, number);
  const kept = drafts.filter(({ plan, key, from, view }) => {
    const born = plan.vault.minted ? bornOfKey(key) : undefined;
    if (born === undefined) return true;
    const [old] = from ?? [];
    const number = view.cells === undefined ? undefined : tables.numberOf(tx, plan.vault.name, born);
    if (typeof old === "bigint" && number !== undefined && old !== number) {
      if (options.keepNumbers === true) return false;
      moves(plan, old);
    }
    then.set(plan.number, born, number);
    return true;
  });
  const spares = registry.sparesAny(tx);
  const ops = kept.map((d) => opFor(core, then, d, d.was, spares));
  for (const { plan, key, row } of dependents(core, now, renumbered)) {
    if (keys.has(`${plan.number}:${text(key)}`)) continue;
    if (options.skip(plan, key)) ops.push(followOp(now, then, plan, key, row));
    else {
      const draft = { plan, key, from: keyOfRow(plan, row), view: tables.view(tx, plan.vault.name, key) };
      ops.push(opFor(core, then, draft, undefined, spares));
    }
  }
  return { ops, strays, complete, applied: getCursor(tx).applied };
}

interface OpDraft {
  readonly plan: TablePlan;
  readonly key: RowKey;
  readonly from: FileKey | undefined;
  readonly view: ShownRow;
}

/** `was`: whether the file shows the row, where that was asked. */
function opFor(
  core: Core,
  then: Lens,
  { plan, key, from, view }: OpDraft,
  was: boolean | undefined,
  spares: boolean,
): Op {
  const table = plan.number;
  const { clock, cells } = view;
  const effects: Effect[] = [
    { kind: "shown", table, key, clock, cells, ...(was === undefined ? {} : { was }) },
  ];
  if (spares && core.registry.aside(then.tx, table, key) !== undefined)
    effects.push({ kind: "retake", table, key });
  const born = plan.vault.minted ? bornOfKey(key) : undefined;
  if (born !== undefined) effects.push({ kind: "number", table, born, number: then.numberOf(table, born) });
  if (cells === undefined) return { plan, key, from, to: undefined, effects, clock, refsOnly: false };
  const to = plan.toVault.map((i, column) => then.writtenValueOf(plan, column, cells[i] ?? NULL_CELL));
  if (born !== undefined) to[plan.key[0] as number] = then.numberOf(table, born) ?? null;
  return { plan, key, from, to, effects, clock, refsOnly: false };
}

/** A row set aside: its values stay as the app left them, its references follow. */
function followOp(now: Lens, then: Lens, plan: TablePlan, key: RowKey, row: FileRow): Op {
  const to = row.map((value, column) => then.valueOf(plan, column, now.cellOf(plan, column, value)));
  return { plan, key, from: keyOfRow(plan, row), to, effects: [], clock: 0n, refsOnly: true };
}

/** Rows of the file that refer to a row whose number changes: they change in the same transaction. */
function dependents(
  core: Core,
  now: Lens,
  renumbered: ReadonlyMap<TablePlan, readonly bigint[]>,
): readonly { readonly plan: TablePlan; readonly key: RowKey; readonly row: FileRow }[] {
  const out: { plan: TablePlan; key: RowKey; row: FileRow }[] = [];
  for (const [parent, numbers] of renumbered) {
    for (const plan of core.plans) {
      const { table, columns } = namesOf(plan);
      plan.refers.forEach((refers, column) => {
        if (refers !== parent.number) return;
        for (const row of whereIn(core, columns, table, columns[column] as string, numbers)) {
          const key = now.keyOf(plan, keyOfRow(plan, row));
          if (key !== undefined) out.push({ plan, key, row });
        }
      });
    }
  }
  return out;
}

function whereIn(
  core: Core,
  columns: readonly string[],
  table: string,
  column: string,
  numbers: readonly bigint[],
): FileValue[][] {
  const out: FileValue[][] = [];
  for (let i = 0; i < numbers.length; i += 500) {
    const some = numbers.slice(i, i + 500);
    const list = some.map(() => "?").join();
    out.push(...select(core.file, columns, `FROM ${table} WHERE ${column} IN (${list})`, some.map(bound)));
  }
  return out;
}

/** The row that stands where an op says, if it is that very row: with NOCASE another may answer. */
export function currentRow(
  core: Core,
  now: Lens,
  op: Pick<Op, "plan" | "key" | "from">,
): FileRow | undefined {
  if (op.from === undefined) return undefined;
  const row = readRow(core.file, op.plan, op.from);
  if (row === undefined) return undefined;
  const own = now.keyOf(op.plan, keyOfRow(op.plan, row));
  return own !== undefined && text(own) === text(now.resolveKey(op.key)) ? row : undefined;
}
