/**
 * Rows of the file as the vault means them, and back. The two differ in one thing: a row number
 * in the file, as a key or in a foreign key, is a reference to a row in the vault. One lens serves
 * one replica transaction and knows beside the index what this flush is about to say. Rule ATT21.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import { bornKey, bornOfKey, encodeKey, keyCells } from "@tidelock/core/kinds/tables/key";
import {
  type Born,
  type Cell,
  type RowKey,
  RowReference,
  type ShownRow,
} from "@tidelock/core/kinds/tables/types";
import {
  bornOf,
  decodeCell,
  encodeValue,
  integerOf,
  isNull,
  NULL_CELL,
  referenceCell,
} from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { type Affinity, storedAs } from "./affinity.ts";
import type { AppFile } from "./file.ts";
import type { Numbers } from "./numbers.ts";
import type { TablePlan } from "./plan.ts";
import { type FileKey, type FileRow, type FileValue, sameValue } from "./rows.ts";

/** Numbers of the file that are known to be rows of the vault before any index says so, by table. */
export type Known = ReadonlyMap<number, ReadonlyMap<bigint, Born>>;

export class Lens {
  readonly tx: Tx;
  readonly tables: TablesView;
  readonly #plans: ReadonlyMap<number, TablePlan>;
  readonly #numbers: Numbers;
  /** What this flush or slice is about to make true: number → row, row → number. */
  readonly #at = new Map<string, Born | undefined>();
  readonly #of = new Map<string, bigint | undefined>();

  readonly #known: Known | undefined;
  readonly #file: AppFile;

  constructor(
    tx: Tx,
    tables: TablesView,
    plans: ReadonlyMap<number, TablePlan>,
    numbers: Numbers,
    file: AppFile,
    known?: Known,
  ) {
    this.tx = tx;
    this.#file = file;
    this.#known = known;
    this.tables = tables;
    this.#plans = plans;
    this.#numbers = numbers;
  }

  plan(table: number): TablePlan {
    const plan = this.#plans.get(table);
    if (plan === undefined) throw new RangeError(`no table ${table}`);
    return plan;
  }

  /** From here on the file shows `born` at `number`; undefined: no more. */
  set(table: number, born: Born, number: bigint | undefined): void {
    const old = this.numberOf(table, born);
    if (old !== undefined && old !== number && !this.#at.has(slot(table, old)))
      this.#at.set(slot(table, old), undefined);
    this.#of.set(`${table}:${text(born)}`, number);
    if (number !== undefined) this.#at.set(slot(table, number), born);
  }

  /** The row that the file shows at a number. */
  liveAt(table: number, number: bigint): Born | undefined {
    const key = slot(table, number);
    if (this.#at.has(key)) return this.#at.get(key);
    const holder = this.#numbers.at(this.tx, table, number);
    if (holder?.live === true) return this.tables.resolve(this.tx, holder.born);
    return this.#known?.get(table)?.get(number);
  }

  /** The row a number in a foreign key means: the one that stands there, or the last that did. */
  meantAt(table: number, number: bigint): Born | undefined {
    const live = this.liveAt(table, number);
    if (live !== undefined) return live;
    const holder = this.#numbers.at(this.tx, table, number);
    return holder === undefined ? undefined : this.tables.resolve(this.tx, holder.born);
  }

  /** The number under which the file shows a row. */
  numberOf(table: number, born: Born): bigint | undefined {
    const key = `${table}:${text(born)}`;
    if (this.#of.has(key)) return this.#of.get(key);
    const plan = this.plan(table);
    const shown = this.tables.shown(this.tx, plan.vault.name, bornKey(born));
    const number = integerOf(shown.cells?.[plan.vault.key[0] as number]);
    if (number !== undefined) return number;
    // Not shown to the vault yet, such as a row over the limit: the file holds it all the same.
    const known = this.#numbers.of(this.tx, table, born);
    return known?.live === true ? known.number : undefined;
  }

  /** The same; for a row that is not in the file the number it will have, or had last. */
  writtenNumberOf(table: number, born: Born): bigint | undefined {
    return (
      this.numberOf(table, born) ??
      this.tables.numberOf(this.tx, this.plan(table).vault.name, born) ??
      this.#numbers.of(this.tx, table, born)?.number
    );
  }

  cellOf(plan: TablePlan, column: number, value: FileValue): Cell {
    const refers = plan.refers[column];
    if (refers !== undefined && typeof value === "bigint") {
      const born = this.meantAt(refers, value);
      if (born !== undefined) return referenceCell(born);
    }
    const outside = plan.refersOutside[column];
    if (outside !== undefined && typeof value === "bigint") {
      const born = this.tables.bornOf(this.tx, outside, value);
      if (born !== undefined) return referenceCell(born);
    }
    return encodeValue(value);
  }

  /** Undefined for a key with a NULL, or of a minted row that is in no index yet. */
  keyOf(plan: TablePlan, key: FileKey): RowKey | undefined {
    if (plan.vault.minted) {
      const number = key[0];
      const born = typeof number === "bigint" ? this.liveAt(plan.number, number) : undefined;
      return born === undefined ? undefined : bornKey(born);
    }
    const cells = key.map((v, i) => this.cellOf(plan, plan.key[i] as number, v ?? null));
    return cells.some(isNull) ? undefined : encodeKey(cells);
  }

  /** Where the file shows a row; undefined where nothing says a number of it. */
  fileKeyOf(plan: TablePlan, key: RowKey): FileKey | undefined {
    if (plan.vault.minted) {
      const born = bornOfKey(key);
      const number = born === undefined ? undefined : this.numberOf(plan.number, born);
      return number === undefined ? undefined : [number];
    }
    const values = keyCells(key).map((cell, i) => this.valueOf(plan, plan.key[i] as number, cell));
    return values.includes(null) ? undefined : values;
  }

  valueOf(plan: TablePlan, column: number, cell: Cell): FileValue {
    const value = decodeCell(cell);
    return value instanceof RowReference ? (this.#shownNumber(plan, column, value.born) ?? null) : value;
  }

  #shownNumber(plan: TablePlan, column: number, born: Born): bigint | undefined {
    const stands = this.tables.resolve(this.tx, born);
    const table = plan.refers[column];
    if (table !== undefined) return this.writtenNumberOf(table, stands);
    const outside = plan.refersOutside[column];
    return outside === undefined ? undefined : this.tables.numberOf(this.tx, outside, stands);
  }

  /** All cells by column of the vault; what the file has no column for stays as `rest` has it. */
  cellsOf(plan: TablePlan, row: FileRow, rest: readonly Cell[] | undefined): Cell[] {
    return plan.toFile.map((column, i) => {
      const known = rest?.[i];
      if (column === undefined) return known ?? NULL_CELL;
      const value = row[column] ?? null;
      const born = value === null ? bornOf(known) : undefined;
      // A reference to a row that has no number here stands as NULL in the file: nobody made it NULL.
      if (known !== undefined && born !== undefined && this.#shownNumber(plan, column, born) === undefined)
        return known;
      const cell = this.cellOf(plan, column, value);
      if (rest === undefined) return cell;
      const meant = known ?? NULL_CELL;
      return this.#holds(plan, column, value, cell, meant) ? meant : cell;
    });
  }

  /** What the file is given for a cell: a column that takes no NULL has its default. */
  writtenValueOf(plan: TablePlan, column: number, cell: Cell): FileValue {
    const standIn = isNull(cell) ? plan.file.standIns[column] : undefined;
    return standIn ?? this.valueOf(plan, column, cell);
  }

  /** Whether the file's value is what its column makes of the vault's. Another storage class is the mark of it. */
  #holds(plan: TablePlan, column: number, value: FileValue, cell: Cell, known: Cell): boolean {
    if (cell[0] === known[0]) return false;
    const affinity = plan.file.affinities[column] as Affinity;
    const standIn = isNull(known) ? plan.file.standIns[column] : undefined;
    if (affinity === "NONE" && (standIn ?? null) === null) return false;
    const meant = decodeCell(known);
    if (meant instanceof RowReference) return false;
    return sameValue(storedAs(this.#file, affinity, standIn ?? meant), value);
  }

  /** A shown or viewed row with every reference as what it stands for now. */
  resolved(row: ShownRow): ShownRow {
    if (row.cells === undefined || !row.cells.some((c) => bornOf(c) !== undefined)) return row;
    return { clock: row.clock, cells: row.cells.map((c) => this.#resolveCell(c)) };
  }

  resolveKey(key: RowKey): RowKey {
    const cells = keyCells(key);
    if (!cells.some((c) => bornOf(c) !== undefined)) return key;
    const mapped = cells.map((c) => this.#resolveCell(c));
    return mapped.every((c, i) => c === cells[i]) ? key : encodeKey(mapped);
  }

  #resolveCell(cell: Cell): Cell {
    const born = bornOf(cell);
    if (born === undefined) return cell;
    const stands = this.tables.resolve(this.tx, born);
    return equalBytes(stands, born) ? cell : referenceCell(stands);
  }
}

function slot(table: number, number: bigint): string {
  return `${table}:${number}`;
}

/** Bytes as the key of a map. */
export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
