/**
 * Rows whose number is presentation: their identity is `born`, and the log's order decides who
 * shows which number. Rules TBL18..TBL22.
 */
import { equalBytes } from "../../bytes/bytes.ts";
import type { Ground, Holder } from "./ground.ts";
import { bornKey, joinKey, keyCells } from "./key.ts";
import { isAlive, PENDING, type Row } from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Table } from "./session.ts";
import type { Born, Cell, RowKey } from "./types.ts";
import { bornOf, integerOf, referenceCell, sameCell, tags } from "./value.ts";

const MAX = 0x7fff_ffff_ffff_ffffn;

export interface Author {
  readonly seq: number;
  readonly device: number;
  readonly seen: number;
}

/** The number a row asks for; undefined leaves the choice to the log. */
export function wantedNumber(schema: Schema, row: Row | undefined): bigint | undefined {
  return integerOf(row?.cells[schema.declaration.key[0] as number]?.cell);
}

/**
 * Gives `row` its number after a change, in the order of the log. Returns the row with it, and
 * the holder in whose favour it did not get the one it asked for.
 */
export function settleNumber(
  ground: Ground,
  table: Table,
  born: Born,
  before: Row | undefined,
  row: Row,
  author: Author,
): { readonly row: Row; readonly lostTo: Holder | undefined } {
  const schema = ground.schema(table) as Schema;
  const had = before?.number;
  if (row.ins === undefined) return { row, lostTo: undefined };
  const wasAlive = before !== undefined && isAlive(before);
  const lives = isAlive(row);
  const wanted = wantedNumber(schema, row);
  const asksAnew = had === undefined || (lives && wanted !== wantedNumber(schema, before));
  if (!asksAnew && lives === wasAlive) return { row: { ...row, number: had }, lostTo: undefined };
  let number = had;
  let lostTo: Holder | undefined;
  if (lives || had === undefined) {
    const claimed = claim(ground, table, born, asksAnew ? wanted : had, author);
    number = claimed.number;
    if (had !== undefined && had !== number) {
      release(ground, table, born, had, author);
      ground.consult(table, bornKey(born));
    }
    if (number !== wanted) ground.displaced(table);
    if (asksAnew) lostTo = claimed.lostTo;
  }
  // A row that comes deleted has a number too: it may return because others refer to it.
  if (!lives) release(ground, table, born, number as bigint, author);
  return { row: { ...row, number }, lostTo };
}

function claim(
  ground: Ground,
  table: Table,
  born: Born,
  asked: bigint | undefined,
  author: Author,
): { readonly number: bigint; readonly lostTo: Holder | undefined } {
  const holder = asked === undefined ? undefined : ground.holder(table, asked);
  const free = asked !== undefined && (holder === undefined || yields(holder, born, author));
  const number = free ? (asked as bigint) : nextNumber(ground, table);
  ground.setHolder(table, number, { born, released: undefined });
  const high = ground.high(table);
  if (high === undefined || number > high.high) ground.setHigh(table, { high: number, low: high?.low });
  return { number, lostTo: free ? undefined : holder };
}

/** TBL18: a deleted row keeps its number against who could not know that it is free. */
function yields(holder: Holder, born: Born, author: Author): boolean {
  if (equalBytes(holder.born, born)) return true;
  const { released } = holder;
  if (released === undefined) return false;
  // What is not confirmed yet was done here, whatever this device is called in the vault.
  return released.seq <= author.seen || released.device === author.device || released.seq >= PENDING;
}

function nextNumber(ground: Ground, table: Table): bigint {
  const high = ground.high(table);
  if (high === undefined) return 1n;
  if (high.high < MAX) return high.high + 1n;
  // Full to the top: downwards, never looking at a number twice.
  let low = (high.low ?? MAX) - 1n;
  while (ground.holder(table, low) !== undefined) low--;
  ground.setHigh(table, { high: MAX, low });
  return low;
}

function release(ground: Ground, table: Table, born: Born, number: bigint, author: Author): void {
  const holder = ground.holder(table, number);
  if (holder === undefined || !equalBytes(holder.born, born)) return;
  ground.setHolder(table, number, { born, released: { seq: author.seq, device: author.device } });
}

/**
 * TBL21: the live row that a found one repeats. The same run cannot hold both: two rows of one
 * file never share a number.
 */
export function findTwin(
  ground: Ground,
  table: Table,
  cells: readonly (Cell | undefined)[],
  seq: number,
): Born | undefined {
  const { declaration } = ground.schema(table) as Schema;
  const place = declaration.key[0] as number;
  const number = integerOf(cells[place]);
  const holder = number === undefined ? undefined : ground.holder(table, number);
  if (holder === undefined) return undefined;
  ground.consult(table, bornKey(holder.born));
  const { row } = ground.load(table, bornKey(holder.born));
  if (row === undefined || !isAlive(row) || row.ins?.seq === seq) return undefined;
  const same = declaration.columns.every((_, i) => i === place || sameCell(cells[i], row.cells[i]?.cell));
  return same ? holder.born : undefined;
}

/** TBL22. Aliases point at rows that are no aliases, so one step is enough. */
export function resolveCell(ground: Ground, cell: Cell): Cell {
  if (cell[0] !== tags.reference) return cell;
  const target = ground.alias(bornOf(cell) as Born);
  return target === undefined ? cell : referenceCell(target);
}

export function resolveKey(ground: Ground, key: RowKey): RowKey {
  const cells = keyCells(key);
  if (!cells.some((cell) => cell[0] === tags.reference && ground.alias(bornOf(cell) as Born) !== undefined))
    return key;
  return joinKey(cells.map((cell) => resolveCell(ground, cell)));
}
