/**
 * Triggers that write synced and other tables alike fire while we project, because the other
 * tables need it. What they did to synced rows is put right again, at most three times; then the
 * app's word stands on this device and a person is told. Rule ATT16.
 *
 * Capture stays on for such a slice, so the outbox says which rows they touched.
 */
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import { NULL_CELL } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { change, deleteAt, put } from "./apply.ts";
import { type Core, lensOf } from "./core.ts";
import { keyWidths } from "./flush.ts";
import type { Lens } from "./lens.ts";
import type { Effect } from "./note.ts";
import { readOutbox, slot } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { type FileKey, type FileRow, keyOfRow, readRow, sameValue } from "./rows.ts";
import type { Op } from "./slice.ts";

const ROUNDS = 3;

interface Wanted {
  readonly plan: TablePlan;
  readonly key: RowKey | undefined;
  readonly row: FileRow | undefined;
}

/** Inside the slice's transaction, after its writes; what could not be put right comes as effects. */
export function putRight(core: Core, tx: Tx, done: readonly Op[], seen: number): readonly Effect[] {
  const { file } = core;
  const now = lensOf(core, tx);
  const wantedAt = new Map<string, Wanted>();
  for (const op of done) {
    if (op.from !== undefined)
      wantedAt.set(slot(op.plan.number, op.from), { plan: op.plan, key: op.key, row: undefined });
  }
  for (const op of done) {
    if (op.to !== undefined)
      wantedAt.set(slot(op.plan.number, keyOfRow(op.plan, op.to)), {
        plan: op.plan,
        key: op.key,
        row: op.to,
      });
  }
  let wrong: { readonly at: FileKey; readonly wanted: Wanted; readonly is: FileRow | undefined }[] = [];
  for (let round = 0; ; round++) {
    const touched = readOutbox(file, keyWidths(core.plans), undefined).touched;
    file.db.exec("DELETE FROM _tl_out");
    wrong = touched.flatMap(({ table, values }) => {
      const plan = now.plan(table);
      const at = plan.key.map((column) => values[plan.file.declaration.key.indexOf(column)] ?? null);
      const wanted = wantedAt.get(slot(table, at)) ?? beforeSlice(core, now, plan, at);
      const is = readRow(file, plan, at);
      return same(is, wanted.row) ? [] : [{ at, wanted, is }];
    });
    if (wrong.length === 0 || round === ROUNDS) break;
    for (const { at, wanted, is } of wrong) {
      const op = { plan: wanted.plan, key: wanted.key, clock: 0n };
      if (wanted.row === undefined) deleteAt(file, op, at);
      else if (is === undefined) put(file, op, wanted.row, undefined);
      else change(file, op, at, is, wanted.row);
    }
  }
  return wrong.flatMap(({ wanted, is }) =>
    wanted.key === undefined ? [] : stands(now, wanted.plan, wanted.key, is, seen),
  );
}

/** What a row that no op names held before: what it is known to show. */
function beforeSlice(core: Core, now: Lens, plan: TablePlan, at: FileKey): Wanted {
  const key = now.keyOf(plan, at);
  if (key === undefined) return { plan, key, row: undefined };
  const { cells } = now.resolved(core.tables.shown(now.tx, plan.vault.name, key));
  if (cells === undefined) return { plan, key, row: undefined };
  return {
    plan,
    key,
    row: plan.toVault.map((i, column) => now.writtenValueOf(plan, column, cells[i] ?? NULL_CELL)),
  };
}

/** The app's word: the file shows it, the vault does not hear of it, and the row is left alone. */
function stands(
  now: Lens,
  plan: TablePlan,
  key: RowKey,
  is: FileRow | undefined,
  seen: number,
): readonly Effect[] {
  const table = plan.number;
  const shown = now.tables.shown(now.tx, plan.vault.name, key);
  const { clock } = now.tables.view(now.tx, plan.vault.name, key);
  const cells = is === undefined ? undefined : now.cellsOf(plan, is, shown.cells);
  const words = "a trigger of the app changes the row each time it is written";
  return [
    { kind: "shown", table, key, clock: shown.clock, cells },
    { kind: "aside", table, key, aside: { reason: "trigger-fights", text: words, clock, seen } },
  ];
}

function same(a: FileRow | undefined, b: FileRow | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.every((value, i) => sameValue(value, b[i]));
}
