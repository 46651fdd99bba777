/**
 * Columns that an attached file did not have before. Where the vault has a value it stays, because the
 * file's was filled in by a migration and not by a person; the file's is sent as *found*. Rule ATT31.
 */
import type { NamedCell, TableChange } from "@tidelock/core/kinds/tables/types";
import { isNull, sameCell } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { commitWork } from "./commit.ts";
import { type Core, lensOf, positionOf, runsOf } from "./core.ts";
import type { AppFile } from "./file.ts";
import type { Effect } from "./note.ts";
import type { TablePlan } from "./plan.ts";
import { type FileKey, type FileValue, keyOfRow, sameValue, scanRows } from "./rows.ts";
import { fold, quote } from "./sqlite.ts";
import { encodeToken } from "./token.ts";

const STEP = 4000;

/** `before`: the columns the file had. Started anew after a stop it finds what is left to say. */
export async function adoptColumns(
  core: Core,
  plan: TablePlan,
  before: readonly string[],
): Promise<"done" | "busy" | "moved"> {
  const had = new Set(before.map(fold));
  const more = plan.file.declaration.columns.flatMap((c, i) => (had.has(fold(c.name)) ? [] : [i]));
  if (more.length === 0) return "done";
  let after: FileKey | undefined;
  for (;;) {
    const from = after;
    const read = await core.file.read(() => core.engine.read((tx) => step(core, tx, plan, more, from)));
    if (read.kind === "busy") return "busy";
    const { changes, effects, last } = read.value;
    if (effects.length > 0) {
      const expected = core.engine.read((tx) => encodeToken(positionOf(core, tx).token));
      const runs = runsOf(core, changes, 0, false);
      const done = await commitWork(core, { runs, effects, outbox: undefined, expected });
      if (done.kind !== "done") return done.kind;
    }
    if (last === undefined) return "done";
    after = last;
  }
}

interface Step {
  readonly changes: readonly TableChange[];
  readonly effects: readonly Effect[];
  readonly last: FileKey | undefined;
}

function step(
  core: Core,
  tx: Tx,
  plan: TablePlan,
  more: readonly number[],
  after: FileKey | undefined,
): Step {
  const table = plan.vault.name;
  const lens = lensOf(core, tx);
  const standard = defaultsOf(core, plan);
  const changes: TableChange[] = [];
  const effects: Effect[] = [];
  const rows = scanRows(core.file, plan, after, STEP);
  for (const row of rows) {
    const key = lens.keyOf(plan, keyOfRow(plan, row));
    const shown = key === undefined ? undefined : core.tables.shown(tx, table, key);
    // A row that is not known yet is an insert with all its cells: the flush says it.
    if (key === undefined || shown?.cells === undefined) continue;
    const inFile = lens.cellsOf(plan, row, shown.cells);
    const cells = [...shown.cells];
    const found: NamedCell[] = [];
    for (const column of more) {
      const i = plan.toVault[column] as number;
      const cell = inFile[i];
      if (cell === undefined || sameCell(cell, shown.cells[i])) continue;
      cells[i] = cell;
      const empty = shown.cells[i] === undefined || isNull(shown.cells[i]);
      if (empty || !(isNull(cell) || sameValue(row[column], standard[column])))
        found.push([plan.vault.columns[i]?.name as string, cell]);
    }
    if (found.length > 0) changes.push({ op: "found", table, key, cells: found });
    if (cells.some((cell, i) => cell !== shown.cells?.[i])) {
      for (let i = 0; i < cells.length; i++) cells[i] ??= inFile[i] as (typeof inFile)[number];
      effects.push({ kind: "shown", table: plan.number, key, clock: shown.clock, cells, was: true });
    }
  }
  const last =
    rows.length < STEP ? undefined : keyOfRow(plan, rows[rows.length - 1] as (typeof rows)[number]);
  return { changes, effects, last };
}

/** By column, what SQLite puts where nothing is said. */
function defaultsOf(core: Core, plan: TablePlan): readonly FileValue[] {
  const { file } = core;
  const info = file.db.pragma(`table_info(${quote(plan.file.declaration.name)})`) as {
    name: string;
    dflt_value: string | null;
  }[];
  const textByName = new Map(info.map((c) => [fold(c.name), c.dflt_value]));
  return plan.file.declaration.columns.map((c) => {
    const text = textByName.get(fold(c.name));
    return text === null || text === undefined ? null : evaluate(file, text);
  });
}

function evaluate(file: AppFile, expression: string): FileValue {
  try {
    return file.db.prepare(`SELECT ${expression}`).pluck().get() as FileValue;
  } catch {
    return null; // a function that is not here: then no value counts as filled in by itself
  }
}
