/**
 * What no trigger can see: a REPLACE that evicts through an index that is no constraint, a
 * generated column or the hidden row number. Such tables are counted, and where the count is not
 * what it should be every key is looked up. Rule ATT13.
 */
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { type Core, dirtyKeys } from "./core.ts";
import type { Differ } from "./diff.ts";
import { type FlushResult, flushOnce } from "./flush.ts";
import { outboxIsEmpty } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { countNullKeys, countRows, type FileKey, keyOfRow, scanRows } from "./rows.ts";

const PAGE = 1000;

/** Tables among these that hold another number of rows than was last shown. */
export async function miscounted(core: Core, plans: readonly TablePlan[]): Promise<readonly TablePlan[]> {
  const { file, registry } = core;
  const locked = await file.read(() => {
    // With entries waiting the shown rows are behind: the flush that reads them counts again.
    if (!outboxIsEmpty(file)) return [];
    return core.engine.read((tx) =>
      plans.filter((plan) => {
        const known =
          registry.rows(tx, plan.number) - registry.helds(tx, plan.number).length + unsent(core, tx, plan);
        return countRows(file, plan) !== known + countNullKeys(file, plan);
      }),
    );
  });
  return locked.kind === "busy" ? [] : locked.value;
}

/** Rows over the limit stand in the file and are not shown to the vault. */
function unsent(core: Core, tx: Tx, plan: TablePlan): number {
  return core.registry
    .asides(tx)
    .filter((a) => a.table === plan.number && a.aside.reason === "row-too-large")
    .filter((a) => core.tables.shown(tx, plan.vault.name, a.key).cells === undefined).length;
}

/** Looks at every key of the table on both sides; what differs is an edit made now. */
export function reconcile(core: Core, plan: TablePlan): Promise<FlushResult> {
  const time = core.deps.clock.now();
  return flushOnce(core, { look: (differ, tx) => lookEverywhere(core, tx, plan, differ, time) });
}

function lookEverywhere(core: Core, tx: Tx, plan: TablePlan, differ: Differ, time: number): void {
  let after: RowKey | undefined;
  for (;;) {
    const rows = core.tables.scanView(tx, plan.vault.name, after, PAGE);
    for (const { key } of rows) differ.look(plan.number, key, time);
    after = rows.at(-1)?.key;
    if (rows.length < PAGE) break;
  }
  // Rows the file shows and the view does not.
  const total = core.tables.dirtyCount(tx);
  for (const { key } of dirtyKeys(core, tx, total, (p) => p !== plan)) differ.look(plan.number, key, time);
  let from: FileKey | undefined;
  for (;;) {
    const rows = scanRows(core.file, plan, from, PAGE);
    for (const row of rows) differ.lookAt(plan, keyOfRow(plan, row), time);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) break;
    from = keyOfRow(plan, last);
  }
}
