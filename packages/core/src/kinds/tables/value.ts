/**
 * Values as canonical bytes: a tag and its payload. One value has one encoding, so equality is
 * byte equality, and cells can be stored, hashed and compared without being understood.
 */
import { decodeUtf8, encodeUtf8, equalBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Malformed, Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { type Born, type Cell, type Collation, InvalidText, RowReference, type Value } from "./types.ts";

/** 5 and 6 are kept for values whose bytes live outside the frame. */
export const tags = { null: 0, integer: 1, real: 2, text: 3, blob: 4, reference: 7 } as const;

/** Bytes of a row's identity. */
export const BORN = 8;

export const NULL_CELL: Cell = Uint8Array.of(tags.null) as Cell;

/** Throws for what SQLite could not hold: an integer beyond 64 bits. */
export function encodeValue(value: Value): Cell {
  if (value === null) return NULL_CELL;
  if (typeof value === "bigint") return integerCell(value);
  if (typeof value === "number") return realCell(value);
  if (typeof value === "string") return blockCell(tags.text, encodeUtf8(value));
  if (value instanceof InvalidText) return blockCell(tags.text, value.bytes);
  if (value instanceof RowReference) return referenceCell(value.born);
  return blockCell(tags.blob, value);
}

export function decodeCell(cell: Cell): Value {
  const reader = new Reader(cell);
  switch (reader.u8()) {
    case tags.integer:
      return reader.z();
    case tags.real:
      return new DataView(cell.buffer, cell.byteOffset, cell.byteLength).getFloat64(1);
    case tags.text: {
      const bytes = reader.bytes(cell.length);
      return decodeUtf8(bytes) ?? new InvalidText(bytes.slice());
    }
    case tags.blob:
      return reader.bytes(cell.length).slice();
    case tags.reference:
      return new RowReference(reader.fixed(BORN).slice() as Born);
    default:
      return null;
  }
}

export function integerCell(n: bigint): Cell {
  if (n !== BigInt.asIntN(64, n)) throw new RangeError("integer beyond 64 bits");
  return new Writer(11).u8(tags.integer).z(n).done() as Cell;
}

export function referenceCell(born: Born): Cell {
  return new Writer(1 + BORN).u8(tags.reference).fixed(born).done() as Cell;
}

/** The integer in a cell of that tag; undefined for any other. */
export function integerOf(cell: Cell | undefined): bigint | undefined {
  if (cell === undefined || cell[0] !== tags.integer) return undefined;
  // Most are small: one byte holds -64 .. 63, two hold 14 bits.
  const low = cell[1] as number;
  if (low < 0x80) return BigInt((low >> 1) ^ -(low & 1));
  const reader = new Reader(cell);
  reader.u8();
  return reader.z();
}

export function bornOf(cell: Cell | undefined): Born | undefined {
  return cell?.[0] === tags.reference ? (cell.subarray(1) as Born) : undefined;
}

export function isNull(cell: Cell | undefined): boolean {
  return cell === undefined || cell[0] === tags.null;
}

/** Absent and NULL are the same value. */
export function sameCell(a: Cell | undefined, b: Cell | undefined): boolean {
  return equalBytes(a ?? NULL_CELL, b ?? NULL_CELL);
}

/** The next cell, a view into the reader's input. */
export function readCell(reader: Reader): Cell {
  const from = reader.at;
  switch (reader.u8()) {
    case tags.null:
      break;
    case tags.integer:
      skipInteger(reader);
      break;
    case tags.real:
      if (isNan(reader.fixed(8))) throw new Malformed("not a number is NULL");
      break;
    case tags.text:
    case tags.blob:
      reader.bytes(limits.inflated);
      break;
    case tags.reference:
      reader.fixed(BORN);
      break;
    default:
      throw new Malformed("unknown tag");
  }
  return reader.slice(from) as Cell;
}

/**
 * The representative of all values that SQLite holds equal under a collation: what a UNIQUE set
 * compares. 1 and 1.0 are equal there, NOCASE folds the 26 ASCII letters, RTRIM drops spaces.
 */
export function foldCell(cell: Cell, collation: Collation): Cell {
  if (cell[0] === tags.real) return foldReal(cell);
  if (cell[0] !== tags.text || collation === "BINARY") return cell;
  const reader = new Reader(cell);
  reader.u8();
  const bytes = reader.bytes(cell.length);
  return blockCell(tags.text, collation === "NOCASE" ? lowerAscii(bytes) : trimEnd(bytes));
}

function foldReal(cell: Cell): Cell {
  const real = new DataView(cell.buffer, cell.byteOffset, cell.byteLength).getFloat64(1);
  // 2^63 itself is no 64-bit integer, and every double below it that is whole is one.
  const whole = Number.isInteger(real) && real >= -(2 ** 63) && real < 2 ** 63;
  return whole ? integerCell(BigInt(real)) : cell;
}

function lowerAscii(bytes: Uint8Array): Uint8Array {
  return bytes.map((b) => (b >= 0x41 && b <= 0x5a ? b + 32 : b));
}

function trimEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end--;
  return bytes.subarray(0, end);
}

function realCell(n: number): Cell {
  if (Number.isNaN(n)) return NULL_CELL;
  const out = new Uint8Array(9);
  out[0] = tags.real;
  new DataView(out.buffer).setFloat64(1, n);
  return out as Cell;
}

function blockCell(tag: number, bytes: Uint8Array): Cell {
  return new Writer(bytes.length + 6).u8(tag).bytes(bytes).done() as Cell;
}

/** Minimal LEB128 of at most 64 bits, without making a bigint of it. */
function skipInteger(reader: Reader): void {
  for (let n = 1; ; n++) {
    const b = reader.u8();
    if (n === 10 && b > 1) throw new Malformed("integer out of range");
    if (b >= 0x80) continue;
    if (b === 0 && n > 1) throw new Malformed("integer not minimal");
    return;
  }
}

function isNan(bytes: Uint8Array): boolean {
  if (((bytes[0] as number) & 0x7f) !== 0x7f || ((bytes[1] as number) & 0xf0) !== 0xf0) return false;
  let mantissa = (bytes[1] as number) & 0x0f;
  for (let i = 2; i < 8; i++) mantissa |= bytes[i] as number;
  return mantissa !== 0;
}
