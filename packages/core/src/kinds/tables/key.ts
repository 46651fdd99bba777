/**
 * Row keys as canonical bytes: a count and the key's cells. No key is a prefix of another, so a
 * key followed by something else can be scanned by prefix.
 */
import { limits } from "../../bytes/limits.ts";
import { Malformed, Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Born, Cell, RowKey, Value } from "./types.ts";
import { BORN, bornOf, encodeValue, isNull, readCell, referenceCell, tags } from "./value.ts";

/** Throws for a key of no or more than eight cells, or with a NULL: such rows are not synced. */
export function encodeKey(cells: readonly Cell[]): RowKey {
  if (cells.length < 1 || cells.length > limits.keyColumns || cells.some(isNull))
    throw new RangeError("a row key is 1 to 8 cells, none NULL");
  return joinKey(cells);
}

export function keyOf(...values: readonly Value[]): RowKey {
  return encodeKey(values.map(encodeValue));
}

/** The key of a minted row: its identity. */
export function bornKey(born: Born): RowKey {
  return joinKey([referenceCell(born)]);
}

/** The identity in a minted row's key; undefined for any other key. */
export function bornOfKey(key: RowKey): Born | undefined {
  return key.length === 2 + BORN && key[0] === 1 ? bornOf(key.subarray(1) as Cell) : undefined;
}

/** Views into the key. */
export function keyCells(key: RowKey): Cell[] {
  const reader = new Reader(key);
  const cells: Cell[] = [];
  for (let n = reader.v(limits.keyColumns); n > 0; n--) cells.push(readCell(reader));
  return cells;
}

/** The next key, a view into the reader's input. */
export function readKey(reader: Reader): RowKey {
  const from = reader.at;
  const count = reader.v(limits.keyColumns);
  if (count === 0) throw new Malformed("key without cells");
  for (let n = count; n > 0; n--) if (readCell(reader)[0] === tags.null) throw new Malformed("NULL in a key");
  return reader.slice(from) as RowKey;
}

export function joinKey(cells: readonly Cell[]): RowKey {
  const writer = new Writer(32).v(cells.length);
  for (const cell of cells) writer.fixed(cell);
  return writer.done() as RowKey;
}
