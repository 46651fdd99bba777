/** Values and keys as people type and read them, and as JSON. */
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import { bornKey, bornOfKey, encodeKey, keyCells } from "@tidelock/core/kinds/tables/key";
import {
  type Cell,
  InvalidText,
  type RowKey,
  RowReference,
  type TableDeclaration,
  type Value,
} from "@tidelock/core/kinds/tables/types";
import { decodeCell, encodeValue } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";

/** JSON has no 64-bit integers, blobs or row references: these stand as objects of one member. */
export type JsonValue =
  | null
  | number
  | string
  | { readonly integer: string }
  | { readonly blob: string }
  | { readonly row: string };

export function jsonOf(value: Value): JsonValue {
  if (value === null || typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "bigint") return safe(value) ? Number(value) : { integer: value.toString() };
  if (value instanceof InvalidText) return { blob: toHex(value.bytes) };
  if (value instanceof RowReference) return { row: toHex(value.born) };
  return { blob: toHex(value) };
}

export function jsonOfCell(cell: Cell | undefined): JsonValue {
  return cell === undefined ? null : jsonOf(decodeCell(cell));
}

/** A row's key: its number for a numbered row, its value, or an array of several. */
export function jsonOfKey(tx: Tx, view: TablesView, table: string, key: RowKey): JsonValue | JsonValue[] {
  const born = bornOfKey(key);
  if (born !== undefined) {
    const number = view.numberOf(tx, table, born);
    return number === undefined ? { row: toHex(born) } : jsonOf(number);
  }
  const cells = keyCells(key).map(jsonOfCell);
  return cells.length === 1 ? (cells[0] as JsonValue) : cells;
}

export interface RowObject {
  readonly table: string;
  readonly key: RowKey;
  readonly declaration: TableDeclaration;
}

/** Rows that once had a number, which nobody has now: newest first. */
export type FindNumber = (declaration: TableDeclaration, number: bigint) => readonly RowKey[];

/**
 * `TABLE/KEY`, where KEY is a JSON array of the key's values or one plain value; a numbered row by
 * its number. Throws `not-found` for a table the vault does not know.
 */
export function parseObject(tx: Tx, view: TablesView, text: string, find: FindNumber): RowObject {
  const slash = text.indexOf("/");
  if (slash < 1 || slash === text.length - 1)
    throw new TidelockError("usage", {
      why: "a row is named TABLE/KEY",
      next: "for example: tidelock why Artist/1",
    });
  const name = text.slice(0, slash);
  const declaration = view.declarations(tx).find((d) => d.name === name || same(d.name, name));
  if (declaration === undefined)
    throw new TidelockError("not-found", { why: "the vault has no such table", next: "tidelock db ls" });
  const candidates = keysFor(tx, view, declaration, text.slice(slash + 1), find);
  const key = candidates.find((k) => view.history(tx, declaration.name, k).length > 0) ?? candidates[0];
  if (key === undefined)
    throw new TidelockError("not-found", {
      why: "the vault has no such row",
      next: "check the key; several values: a JSON array",
    });
  return { table: declaration.name, key, declaration };
}

/** A plain `5` may be the text or the number; the first that the vault knows is meant. */
function keysFor(
  tx: Tx,
  view: TablesView,
  d: TableDeclaration,
  text: string,
  find: FindNumber,
): readonly RowKey[] {
  if (d.minted) {
    if (!/^-?\d+$/.test(text)) return [];
    const born = view.bornOf(tx, d.name, BigInt(text));
    return born === undefined ? find(d, BigInt(text)) : [bornKey(born)];
  }
  const values = text.startsWith("[") ? jsonArray(text) : plain(text).map((value) => [value]);
  return values.flatMap((list) => {
    if (list.length !== d.key.length) return [];
    try {
      return [encodeKey(list.map((value, i) => cellFor(tx, view, d, i, value)))];
    } catch {
      return []; // a NULL, or a number beyond 64 bits: no row has such a key
    }
  });
}

function cellFor(tx: Tx, view: TablesView, d: TableDeclaration, index: number, value: Value): Cell {
  const column = d.key[index] as number;
  const fk = d.foreignKeys.find((f) => f.columns.length === 1 && f.columns[0] === column);
  const parent = fk === undefined ? undefined : view.declaration(tx, fk.parent);
  // A key may hold a reference to a numbered row: people name it by its number.
  if (parent?.minted === true && typeof value === "bigint") {
    const born = view.bornOf(tx, parent.name, value);
    if (born !== undefined) return encodeValue(new RowReference(born));
  }
  return encodeValue(value);
}

function plain(text: string): Value[] {
  const values: Value[] = [];
  if (/^-?(0|[1-9]\d*)$/.test(text)) values.push(BigInt(text));
  else if (/^-?\d+\.\d+$/.test(text)) values.push(Number(text));
  return [...values, text];
}

function jsonArray(text: string): Value[][] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [[text]]; // a text that begins with a bracket
  }
  if (!Array.isArray(parsed)) return [];
  return [parsed.map(fromJson)];
}

function fromJson(value: unknown): Value {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  const { integer, blob } = value as { integer?: unknown; blob?: unknown };
  if (typeof integer === "string" && /^-?\d+$/.test(integer)) return BigInt(integer);
  const bytes = typeof blob === "string" ? fromHex(blob) : undefined;
  if (bytes !== undefined) return bytes;
  throw new TidelockError("usage", {
    why: "this is no value of a key",
    next: 'text, a number, {"integer":"…"} or {"blob":"hex"}',
  });
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function safe(n: bigint): boolean {
  return n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER);
}
