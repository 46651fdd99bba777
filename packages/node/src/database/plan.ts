/** A table of the file beside the vault's declaration of it: which column is which. */
import { TidelockError } from "@tidelock/core/errors";
import type { TableDeclaration } from "@tidelock/core/kinds/tables/types";
import { affinityOf } from "./affinity.ts";
import type { FileTable } from "./inspect.ts";
import { fold } from "./sqlite.ts";

export interface TablePlan {
  /** In this file. */
  readonly number: number;
  readonly file: FileTable;
  /** As the vault declares it; columns the file lacks are in it too. */
  readonly vault: TableDeclaration;
  /** By column of the file, its index in the vault's declaration. */
  readonly toVault: readonly number[];
  /** By column of the vault, its index in the file. */
  readonly toFile: readonly (number | undefined)[];
  /** Columns of the file in the order of the vault's key. */
  readonly key: readonly number[];
  /**
   * By column of the file: the minted table whose rows its numbers name, as the *vault* declares it,
   * because on every device a cell must be read the same way, whatever foreign keys the files have.
   */
  readonly refers: readonly (number | undefined)[];
  /** The same for a table that is not attached here: its numbers are those of the vault. */
  readonly refersOutside: readonly (string | undefined)[];
}

/**
 * What the vault should declare so that this file fits: its own declaration if it has none, else
 * the vault's with the file's further columns at the end, which is all that may be added.
 */
export function declarationFor(
  file: TableDeclaration,
  vault: TableDeclaration | undefined,
): TableDeclaration {
  if (vault === undefined) return { ...file, columns: file.columns.map(tame) };
  const known = new Set(vault.columns.map((c) => fold(c.name)));
  const more = file.columns.filter((c) => !known.has(fold(c.name))).map(tame);
  const keyNames = (d: TableDeclaration): string =>
    JSON.stringify(d.key.map((k) => fold(d.columns[k]?.name ?? "")).sort());
  if (keyNames(file) !== keyNames(vault) || file.minted !== vault.minted) {
    throw new TidelockError("table-key-unsupported", {
      why: `the table ${file.name} has another primary key here than in the vault`,
      next: "leave the table out with --tables, or give it the same key",
      details: { table: file.name, reason: "key-changed" },
    });
  }
  for (const k of file.key) {
    const column = file.columns[k] as TableDeclaration["columns"][number];
    const there = vault.columns.find((c) => fold(c.name) === fold(column.name));
    const types = [affinityOf(column.type, false), affinityOf(there?.type ?? "", false)];
    if (types.includes("NONE") || types[0] === types[1]) continue;
    throw new TidelockError("table-key-unsupported", {
      why: `the key of ${file.name} has another type here than in the vault`,
      next: "leave the table out with --tables, or give its key the same type",
      details: { table: file.name, reason: "key-type" },
    });
  }
  // A row of the vault without the new column has none to show: it cannot be demanded.
  return more.length === 0
    ? vault
    : { ...vault, columns: [...vault.columns, ...more.map((c) => ({ ...c, notNull: false }))] };
}

/** Longest declared type a declaration carries, bytes of UTF-8; SQLite itself has no limit. */
const LONGEST_TYPE = 255;

function tame<T extends { readonly type: string }>(column: T): T {
  return column.type.length > LONGEST_TYPE ? { ...column, type: "" } : column;
}

export function planTable(
  number: number,
  file: FileTable,
  vault: TableDeclaration,
  declared: readonly TableDeclaration[],
  numberOf: (table: string) => number | undefined,
): TablePlan {
  const inVault = new Map(vault.columns.map((c, i) => [fold(c.name), i]));
  const inFile = new Map(file.declaration.columns.map((c, i) => [fold(c.name), i]));
  const toVault = file.declaration.columns.map((c) => inVault.get(fold(c.name)) as number);
  const refersTo = toVault.map((column) => referredTable(declared, vault, column));
  return {
    number,
    file,
    vault,
    toVault,
    toFile: vault.columns.map((c) => inFile.get(fold(c.name))),
    key: vault.key.map((k) => inFile.get(fold(vault.columns[k]?.name as string)) as number),
    refers: refersTo.map((t) => (t === undefined ? undefined : numberOf(t))),
    refersOutside: refersTo.map((t) => (t === undefined || numberOf(t) !== undefined ? undefined : t)),
  };
}

/** The minted table whose numbers a column holds, be it through foreign keys of foreign keys. */
export function referredTable(
  declared: readonly TableDeclaration[],
  table: TableDeclaration,
  column: number,
  seen: ReadonlySet<string> = new Set(),
): string | undefined {
  if (seen.has(table.name) || (table.minted && table.key[0] === column)) return undefined;
  for (const fk of table.foreignKeys) {
    const at = fk.columns.indexOf(column);
    const parent = at < 0 ? undefined : declared.find((d) => fold(d.name) === fold(fk.parent));
    if (parent === undefined) continue;
    const target = parent.columns.findIndex((c) => fold(c.name) === fold(fk.parentColumns[at] ?? ""));
    if (target < 0) continue;
    if (parent.minted && parent.key[0] === target) return parent.name;
    const through = referredTable(declared, parent, target, new Set([...seen, table.name]));
    if (through !== undefined) return through;
  }
  return undefined;
}

/** Parents before children; tables that refer to each other in a circle in any order. */
export function parentsFirst(plans: readonly TablePlan[]): readonly TablePlan[] {
  const byName = new Map(plans.map((p) => [fold(p.vault.name), p]));
  const out = new Set<TablePlan>();
  const visit = (plan: TablePlan, path: ReadonlySet<TablePlan>): void => {
    if (out.has(plan) || path.has(plan)) return;
    const next = new Set([...path, plan]);
    for (const fk of plan.vault.foreignKeys) {
      const parent = byName.get(fold(fk.parent));
      if (parent !== undefined) visit(parent, next);
    }
    out.add(plan);
  };
  for (const plan of plans) visit(plan, new Set());
  return [...out];
}

/** The columns that a shape names. */
export function columnsOf(shape: string): readonly string[] {
  return (JSON.parse(shape) as [string[]])[0];
}

/** What of a file's table a plan rests on: as long as it stays, rows mean what they meant. */
export function shapeOf(file: FileTable): string {
  const d = file.declaration;
  return JSON.stringify([d.columns.map((c) => c.name), d.key, d.keyCollations, d.minted, file.probes]);
}
