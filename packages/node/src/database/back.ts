/**
 * The file stands where it was some tokens ago: a backup was put in its place, or a disk lost
 * what it had promised. What was covered since is written again and never taken for an edit;
 * what the app edited on the older copy is kept for a person. Rule ATT22.
 */
import { bornKey, bornOfKey } from "@tidelock/core/kinds/tables/key";
import type { Born, Cell, RowKey, TableChange } from "@tidelock/core/kinds/tables/types";
import { sameCell } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { type Committed, commitWork } from "./commit.ts";
import { type Core, lensOf, point, positionOf, recordOf, runsOf } from "./core.ts";
import { type Draft, namedCells } from "./diff.ts";
import { keyWidths, startDiff } from "./flush.ts";
import { type Lens, text } from "./lens.ts";
import type { Effect } from "./note.ts";
import { type Outbox, readOutbox, slot } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { putRecord } from "./registry.ts";
import { type FileRow, keyOfRow, readRow } from "./rows.ts";
import { readMeta } from "./triggers.ts";

export async function goBack(core: Core, counter: number): Promise<Committed> {
  core.engine.write((tx) => {
    const record = recordOf(core, tx);
    const { token, schema } = positionOf(core, tx);
    putRecord(tx, { ...record, past: [...record.past, { branch: token.branch, last: token.counter }] });
    // Counters go on: "covered later" must mean the same on every branch.
    const branch = core.deps.random(8);
    core.registry.putPosition(tx, { token: { branch, counter: token.counter + 1 }, schema });
    core.registry.dropNote(tx);
  });
  const locked = await core.file.read(() => {
    const meta = readMeta(core.file.db, core.file.path);
    const outbox = readOutbox(core.file, keyWidths(core.plans), undefined);
    return core.engine.read((tx) => ({
      ...review(core, tx, counter, meta?.projected ?? 0, outbox),
      outbox,
      meta,
    }));
  });
  if (locked.kind === "busy") return { kind: "busy" };
  const { draft, found, effects, outbox, meta } = locked.value;
  if (meta === undefined) return { kind: "moved" };
  point(core, "flush-read");
  return commitWork(core, {
    runs: runsOf(core, [...found, ...draft.changes], draft.seen, false),
    effects: [...effects, ...draft.effects],
    outbox: outbox.last,
    expected: meta.token,
  });
}

interface Review {
  readonly draft: Draft;
  readonly found: readonly TableChange[];
  readonly effects: readonly Effect[];
}

function review(core: Core, tx: Tx, counter: number, projected: number, outbox: Outbox): Review {
  const { registry, numbers } = core;
  const lens = lensOf(core, tx);
  const effects: Effect[] = [];
  const found: TableChange[] = [];
  const edited = new Set(outbox.touched.map((t) => slot(t.table, t.values)));
  const covered = new Set<string>();
  const seen = new Set<string>();

  /** The file shows this for a row that is to be written again. */
  const shows = (plan: TablePlan, key: RowKey, row: FileRow | undefined): void => {
    const table = plan.number;
    const id = `${table}:${text(key)}`;
    if (seen.has(id)) return;
    seen.add(id);
    if (registry.aside(tx, table, key) !== undefined) effects.push({ kind: "retake", table, key });
    if (row === undefined) {
      effects.push({ kind: "shown", table, key, clock: 0n, cells: undefined });
      return;
    }
    if (registry.held(tx, table, key) !== undefined) effects.push({ kind: "release", table, key });
    const view = core.tables.view(tx, plan.vault.name, key);
    const cells = lens.cellsOf(plan, row, view.cells);
    const at = slot(table, keyOfFile(plan, row));
    covered.add(at);
    if (edited.has(at) && !sameCells(cells, view.cells)) {
      if (view.cells === undefined) effects.push({ kind: "kept", table, key, cells });
      else
        found.push({
          op: "found",
          table: plan.vault.name,
          key,
          cells: namedCells(plan, cells).map(([, c]) => c),
        });
    }
    effects.push({ kind: "shown", table, key, clock: 0n, cells });
  };

  // Numbers first: what stands at them decides what every reference in the file means. A row that
  // is not at the number it had later may stand at an earlier one; what is then left over at
  // earlier numbers is a second image of a row that stands elsewhere.
  const minted = core.plans
    .filter((p) => p.vault.minted)
    .flatMap((plan) =>
      numbers.coveredAfter(tx, plan.number, counter).map(({ number, holder }) => ({
        plan,
        number,
        live: holder.live,
        born: core.tables.resolve(tx, holder.born),
        row: readRow(core.file, plan, [number]),
      })),
    );
  const setNumber = (table: number, born: Born, number: bigint | undefined): void => {
    lens.set(table, born, number);
    effects.push({ kind: "number", table, born, number });
  };
  for (const { plan, number, live, born, row } of minted) {
    if (live) setNumber(plan.number, born, row === undefined ? undefined : number);
  }
  for (const { plan, number, live, born, row } of minted) {
    if (live || row === undefined) continue;
    const table = plan.number;
    if (lens.numberOf(table, born) === undefined) {
      setNumber(table, born, number);
      continue;
    }
    covered.add(slot(table, [number]));
    effects.push({ kind: "stray", table, number, there: true });
    if (edited.has(slot(table, [number]))) {
      effects.push({ kind: "kept", table, key: bornKey(born), cells: lens.cellsOf(plan, row, undefined) });
    }
  }
  for (const { plan, born } of minted) {
    const number = lens.numberOf(plan.number, born);
    shows(plan, bornKey(born), number === undefined ? undefined : readRow(core.file, plan, [number]));
  }
  for (const { table, key: old } of registry.coveredAfter(tx, counter)) {
    const plan = core.byNumber.get(table);
    if (plan !== undefined) shows(plan, lens.resolveKey(old), rowOf(core, lens, plan, lens.resolveKey(old)));
  }
  for (const { table, key } of registry.helds(tx)) {
    const plan = core.byNumber.get(table);
    const row = plan === undefined ? undefined : rowOf(core, lens, plan, key);
    if (plan !== undefined && row !== undefined) shows(plan, key, row);
  }
  const rest: Outbox = {
    ...outbox,
    touched: outbox.touched.filter((t) => !covered.has(slot(t.table, t.values))),
    moved: outbox.moved.filter(
      (m) => !covered.has(slot(m.table, m.from)) && !covered.has(slot(m.table, m.to)),
    ),
  };
  const differ = startDiff(core, lens, projected);
  differ.lookAll(rest);
  return { draft: differ.finish(), found, effects };
}

function rowOf(core: Core, lens: Lens, plan: TablePlan, key: RowKey): FileRow | undefined {
  const at = lens.fileKeyOf(plan, key);
  const row = at === undefined ? undefined : readRow(core.file, plan, at);
  if (row === undefined || bornOfKey(key) !== undefined) return row;
  const own = lens.keyOf(plan, keyOfRow(plan, row));
  return own !== undefined && text(own) === text(key) ? row : undefined;
}

/** As the outbox names it: in the file's order of key columns. */
function keyOfFile(plan: TablePlan, row: FileRow): FileRow {
  return plan.file.declaration.key.map((column) => row[column] ?? null);
}

function sameCells(a: readonly Cell[], b: readonly Cell[] | undefined): boolean {
  return b !== undefined && a.every((cell, i) => sameCell(cell, b[i]));
}
