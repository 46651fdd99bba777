/**
 * The first look at a file with rows: they are merged with what the vault has, and nothing on
 * either side is lost. A row of the file has no write time, so it never beats a live edit: it is
 * sent as *found*. Rules ATT20, ATT21, ATT23.
 */

import { bornKey } from "@tidelock/core/kinds/tables/key";
import type { Born, Cell, RowKey, ShownRow, TableChange } from "@tidelock/core/kinds/tables/types";
import { isNull, NULL_CELL, sameCell } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { commitWork } from "./commit.ts";
import { type Core, lensOf, point, positionOf, runsOf } from "./core.ts";
import { namedCells, tooLarge } from "./diff.ts";
import type { Known, Lens } from "./lens.ts";
import type { Effect } from "./note.ts";
import type { TablePlan } from "./plan.ts";
import { type FileKey, type FileRow, hasRow, keyOfRow, scanRows } from "./rows.ts";
import { encodeToken } from "./token.ts";

/** Rows per step: one transaction in each of the two files. */
const STEP = 4000;
const PAGE = 500;

/** Scans all tables, parents first. Started anew after a stop it finds the same and says it once. */
export async function scanFile(core: Core): Promise<"done" | "busy" | "moved"> {
  const matched = await core.file.read(() => core.engine.read((tx) => match(core, tx)));
  if (matched.kind === "busy") return "busy";
  for (const plan of core.plans) {
    const seen = core.engine.read((tx) => core.registry.seen(tx));
    // Of a file that is known again, rows may have gone since.
    const fresh = seen === undefined && core.engine.read((tx) => isEmpty(core, tx, plan));
    let after: FileKey | undefined;
    for (;;) {
      const from = after;
      const read = await core.file.read(() =>
        core.engine.read((tx) => step(core, tx, plan, from, matched.value, fresh)),
      );
      if (read.kind === "busy") return "busy";
      const { changes, effects, last } = read.value;
      point(core, "flush-read");
      if (effects.length > 0) {
        const expected = core.engine.read((tx) => encodeToken(positionOf(core, tx).token));
        const runs = runsOf(core, changes, 0, false);
        const committed = await commitWork(core, { runs, effects, outbox: undefined, expected });
        if (committed.kind !== "done") return committed.kind;
      }
      if (last === undefined) break;
      after = last;
    }
  }
  return "done";
}

/** The vault has no row of the table: the usual case of a first device, which spares a look-up per row. */
function isEmpty(core: Core, tx: Tx, plan: TablePlan): boolean {
  return core.tables.scanView(tx, plan.vault.name, undefined, 1).length === 0;
}

/**
 * Which rows are the vault's already: those at a number this attachment has shown, and those
 * equal in number and all cells. A row refers to others, so it is equal only if they are: what
 * is not falls out until nothing more does.
 */
function match(core: Core, tx: Tx): Known {
  const now = lensOf(core, tx);
  const known = new Map<number, Map<bigint, Born>>();
  const pinned = new Set<string>();
  const minted = core.plans.filter((p) => p.vault.minted && !isEmpty(core, tx, p));
  for (const plan of minted) {
    const here = new Map<bigint, Born>();
    for (const row of pages(core, plan)) {
      const number = row[plan.key[0] as number] as bigint;
      // A number that this attachment itself gave is that row, whatever its cells say now.
      if (now.liveAt(plan.number, number) !== undefined) continue;
      const last = now.meantAt(plan.number, number);
      if (last !== undefined && !standsElsewhere(core, now, plan, last, number)) {
        here.set(number, last);
        pinned.add(`${plan.number}:${number}`);
        continue;
      }
      const born = core.tables.bornOf(tx, plan.vault.name, number);
      if (born !== undefined) here.set(number, born);
    }
    if (here.size > 0) known.set(plan.number, here);
  }
  let again: ReadonlySet<number> = new Set(minted.map((p) => p.number));
  while (again.size > 0) {
    const lens = lensOf(core, tx, known);
    const fell = new Set<number>();
    for (const plan of minted.filter((p) => again.has(p.number))) {
      const here = known.get(plan.number);
      if (here === undefined) continue;
      for (const row of pages(core, plan)) {
        const number = row[plan.key[0] as number] as bigint;
        const born = here.get(number);
        if (born === undefined || pinned.has(`${plan.number}:${number}`)) continue;
        if (sameAsView(lens, plan, bornKey(born), row)) continue;
        here.delete(number);
        fell.add(plan.number);
      }
    }
    again = new Set(
      minted.filter((p) => p.refers.some((r) => r !== undefined && fell.has(r))).map((p) => p.number),
    );
  }
  return known;
}

/** In this file too the row stands at a later number of its own. */
function standsElsewhere(core: Core, now: Lens, plan: TablePlan, born: Born, number: bigint): boolean {
  const other = now.numberOf(plan.number, born);
  return other !== undefined && other !== number && hasRow(core.file, plan, [other]);
}

function sameAsView(lens: Lens, plan: TablePlan, key: RowKey, row: FileRow): boolean {
  const { cells } = lens.tables.view(lens.tx, plan.vault.name, key);
  return cells !== undefined && lens.cellsOf(plan, row, cells).every((cell, i) => sameCell(cell, cells[i]));
}

function* pages(core: Core, plan: TablePlan): Generator<FileRow> {
  let after: FileKey | undefined;
  for (;;) {
    const rows = scanRows(core.file, plan, after, PAGE);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = keyOfRow(plan, last);
  }
}

interface Step {
  readonly changes: readonly TableChange[];
  readonly effects: readonly Effect[];
  /** Where the next step goes on; undefined: the table is done. */
  readonly last: FileKey | undefined;
}

function step(
  core: Core,
  tx: Tx,
  plan: TablePlan,
  after: FileKey | undefined,
  known: Known,
  fresh: boolean,
): Step {
  const lens = lensOf(core, tx, known);
  const effects: Effect[] = [];
  const changes: TableChange[] = [];
  const rows = scanRows(core.file, plan, after, STEP);
  const meet = (table: TablePlan, number: bigint): Born => {
    let born = lens.liveAt(table.number, number);
    if (born === undefined) {
      born = core.deps.random(8) as Born;
      lens.set(table.number, born, number);
    }
    return born;
  };
  const told = new Set<string>();
  const tell = (table: TablePlan, number: bigint): void => {
    const born = meet(table, number);
    const slot = `${table.number}:${number}`;
    // Told once it is named: after a stop the row must get the identity that is already in the log.
    if (!told.has(slot)) effects.push({ kind: "number", table: table.number, born, number });
    told.add(slot);
  };
  for (const row of rows) {
    if (plan.vault.minted) tell(plan, row[plan.key[0] as number] as bigint);
    plan.refers.forEach((refers, column) => {
      const number = row[column];
      const parent = refers === undefined ? undefined : lens.plan(refers);
      if (parent === undefined || typeof number !== "bigint" || !parent.vault.minted) return;
      if (lens.liveAt(parent.number, number) === undefined && hasRow(core.file, parent, [number]))
        tell(parent, number);
    });
  }
  for (const row of rows) {
    const key = lens.keyOf(plan, keyOfRow(plan, row));
    if (key !== undefined) findRow(core, lens, plan, key, row, fresh, changes, effects);
  }
  const last = rows.length < STEP ? undefined : keyOfRow(plan, rows[rows.length - 1] as FileRow);
  return { changes, effects, last };
}

function findRow(
  core: Core,
  lens: Lens,
  plan: TablePlan,
  key: RowKey,
  row: FileRow,
  fresh: boolean,
  changes: TableChange[],
  effects: Effect[],
): void {
  const { tx } = lens;
  const table = plan.vault.name;
  if (!fresh && core.tables.shown(tx, table, key).cells !== undefined) return; // an earlier start had got here
  const view: ShownRow = fresh ? NO_ROW : core.tables.view(tx, table, key);
  const cells = lens.cellsOf(plan, row, view.cells);
  const equal = view.cells !== undefined && cells.every((cell, i) => sameCell(cell, view.cells?.[i]));
  if (!equal) {
    const before = fresh ? undefined : shownBefore(core, lens, plan, key);
    const all = namedCells(plan, cells);
    // A number is presentation: it is nobody's edit.
    const edited = all.filter(([i, [, cell]]) =>
      before?.[i] === undefined ? !isNull(cell) : !plan.vault.key.includes(i) && !sameCell(before[i], cell),
    );
    // A new column's value brings no row back that was deleted elsewhere.
    const idle =
      view.cells === undefined ? edited.every(([i]) => before?.[i] === undefined) : edited.length === 0;
    if (before !== undefined && idle) {
      effects.push(shownEffect(plan, key, 0n, cells));
      return;
    }
    // A row that was deleted elsewhere comes back whole.
    const told = before === undefined || view.cells === undefined ? all : edited;
    const change: TableChange = {
      op: "found",
      table,
      key,
      cells: told.map(([, named]) => named),
    };
    const text = tooLarge(change);
    if (text !== undefined) {
      effects.push({
        kind: "aside",
        table: plan.number,
        key,
        aside: { reason: "row-too-large", text, clock: 0n, seen: 0 },
      });
      return;
    }
    changes.push(change);
  }
  effects.push(shownEffect(plan, key, equal ? view.clock : 0n, cells));
}

/**
 * What the file showed of a row when it was detached, by column; undefined for a column it had not, and
 * where that is not known. What differs from it now was edited here, and all else was done elsewhere.
 */
function shownBefore(
  core: Core,
  lens: Lens,
  plan: TablePlan,
  key: RowKey,
): readonly (Cell | undefined)[] | undefined {
  const seen = core.registry.seen(lens.tx);
  if (seen === undefined) return undefined;
  const then = new Map<string, Cell>();
  for (const version of core.tables.history(lens.tx, plan.vault.name, key)) {
    if (version.seq > seen) break;
    if (version.op === "delete") then.clear();
    for (const { column, after, won } of version.cells) if (won) then.set(column, after);
  }
  if (then.size === 0) return undefined;
  const cells = plan.vault.columns.map((c) => then.get(c.name) ?? NULL_CELL);
  const shown = lens.resolved({ clock: 0n, cells }).cells;
  return plan.vault.columns.map((c, i) => (then.has(c.name) ? shown?.[i] : undefined));
}

const NO_ROW: ShownRow = { clock: 0n, cells: undefined };

function shownEffect(plan: TablePlan, key: RowKey, clock: bigint, cells: readonly Cell[]): Effect {
  return { kind: "shown", table: plan.number, key, clock, cells };
}
