/** Compares what the replica believes of a file with the file, row by row. */
import { sameCell } from "@tidelock/core/kinds/tables/value";
import { lensOf } from "../core.ts";
import { AppFile } from "../file.ts";
import { planCore } from "../open.ts";
import { records } from "../registry.ts";
import { countRows, keyOfRow, scanRows } from "../rows.ts";
import { loadDriver } from "../sqlite.ts";
import type { Device } from "./device.ts";

/** Every disagreement; empty when the outbox is and all is well. */
export function audit(device: Device): string[] {
  const file = new AppFile(loadDriver(), device.path, device.deps);
  try {
    const record = device.engine.read((tx) => records(tx))[0];
    if (record === undefined) return ["no record"];
    const planned = planCore({ engine: device.engine, tables: device.kind, deps: device.deps }, file, record);
    if (planned.kind === "changed") return [planned.why];
    const { core } = planned;
    return device.engine.read((tx) => {
      const wrong: string[] = [];
      const lens = lensOf(core, tx);
      for (const plan of core.plans) {
        const name = plan.vault.name;
        const aside = core.registry.asides(tx).filter((a) => a.table === plan.number);
        const held = core.registry.helds(tx, plan.number).length;
        const hidden = aside.filter(
          (a) => device.kind.shown(tx, name, a.key).cells === undefined && a.aside.reason === "row-too-large",
        ).length;
        if (countRows(file, plan) !== core.registry.rows(tx, plan.number) - held + hidden) {
          wrong.push(`${name}: ${countRows(file, plan)} rows, known ${core.registry.rows(tx, plan.number)}`);
        }
        for (const row of scanRows(file, plan, undefined, 100_000)) {
          const key = lens.keyOf(plan, keyOfRow(plan, row));
          if (key === undefined) {
            wrong.push(`${name}: a row without a key`);
            continue;
          }
          if (core.registry.aside(tx, plan.number, key)?.reason === "row-too-large") continue;
          const shown = lens.resolved(device.kind.shown(tx, name, key)).cells;
          const cells = lens.cellsOf(plan, row, shown);
          if (shown === undefined)
            wrong.push(`${name} ${String(keyOfRow(plan, row))}: in the file, not shown`);
          else if (!cells.every((cell, i) => sameCell(cell, shown[i])))
            wrong.push(`${name} ${String(keyOfRow(plan, row))}: shown otherwise`);
        }
      }
      return wrong;
    });
  } finally {
    file.close();
  }
}
