/** Table declarations: their bytes, what a later one may change, and the form the reducer works with. */
import { decodeUtf8, encodeUtf8 } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type {
  Collation,
  ColumnDeclaration,
  ForeignKeyAction,
  ForeignKeyDeclaration,
  TableDeclaration,
  UniqueDeclaration,
} from "./types.ts";

const collations: readonly Collation[] = ["BINARY", "NOCASE", "RTRIM"];
const actions: readonly ForeignKeyAction[] = ["no action", "restrict", "set null", "set default", "cascade"];

/** Longest declared type, in bytes of UTF-8. */
export const MAX_TYPE = 1024;
/** UNIQUE sets or foreign keys of one table. */
const MAX_SETS = 1000;

/** How a name is written: inline, or as an entry of a section's dictionary. */
export type NameWriter = (writer: Writer, name: string) => void;
export type NameReader = (reader: Reader) => string;

/** SQLite compares names byte by byte but for ASCII case: kept verbatim, never normalised. */
export function writeName(writer: Writer, name: string): void {
  writer.bytes(encodeUtf8(name));
}

export function readName(reader: Reader): string {
  const name = decodeUtf8(reader.bytes(limits.name));
  if (name === undefined || name === "") throw new Malformed("a name is 1 to 255 bytes of UTF-8");
  return name;
}

export function writeDeclaration(writer: Writer, d: TableDeclaration, name: NameWriter): void {
  writer.v(d.columns.length);
  for (const column of d.columns) {
    name(writer, column.name);
    writer.bytes(encodeUtf8(column.type)).u8(column.notNull ? 1 : 0);
  }
  writeSet(writer, d.key, d.keyCollations);
  writer.u8((d.minted ? 1 : 0) | (d.compressOff ? 2 : 0)).v(d.unique.length);
  for (const set of d.unique) writeSet(writer, set.columns, set.collations);
  writer.v(d.foreignKeys.length);
  for (const fk of d.foreignKeys) {
    writer.v(fk.columns.length);
    for (const column of fk.columns) writer.v(column);
    name(writer, fk.parent);
    for (const column of fk.parentColumns) name(writer, column);
    writer.u8(actions.indexOf(fk.onDelete));
  }
}

export function readDeclaration(reader: Reader, table: string, name: NameReader): TableDeclaration {
  const columns: ColumnDeclaration[] = [];
  const names = new Set<string>();
  for (let n = reader.v(limits.columns); n > 0; n--) {
    const column = { name: name(reader), type: readType(reader), notNull: readFlags(reader, 1) === 1 };
    names.add(column.name);
    columns.push(column);
  }
  if (names.size !== columns.length) throw new Malformed("column named twice");
  const key = readSet(reader, columns.length, limits.keyColumns);
  const flags = readFlags(reader, 3);
  const minted = (flags & 1) !== 0;
  if (minted && key.columns.length !== 1) throw new Malformed("a minted key has one column");
  const unique: UniqueDeclaration[] = [];
  for (let n = reader.v(MAX_SETS); n > 0; n--) unique.push(readSet(reader, columns.length, limits.columns));
  const foreignKeys: ForeignKeyDeclaration[] = [];
  for (let n = reader.v(MAX_SETS); n > 0; n--) foreignKeys.push(readForeignKey(reader, columns.length, name));
  return {
    name: table,
    columns,
    key: key.columns,
    keyCollations: key.collations,
    minted,
    unique,
    foreignKeys,
    compressOff: (flags & 2) !== 0,
  };
}

function readForeignKey(reader: Reader, columns: number, name: NameReader): ForeignKeyDeclaration {
  const own = readColumns(reader, columns, limits.columns);
  const parent = name(reader);
  const parentColumns = own.map(() => name(reader));
  const onDelete = actions[reader.u8()];
  if (onDelete === undefined) throw new Malformed("unknown action");
  return { columns: own, parent, parentColumns, onDelete };
}

function writeSet(writer: Writer, columns: readonly number[], by: readonly Collation[]): void {
  writer.v(columns.length);
  for (const column of columns) writer.v(column);
  for (const collation of by) writer.u8(collations.indexOf(collation));
}

function readSet(reader: Reader, columns: number, max: number): UniqueDeclaration {
  const own = readColumns(reader, columns, max);
  const by = own.map(() => {
    const collation = collations[reader.u8()];
    if (collation === undefined) throw new Malformed("unknown collation");
    return collation;
  });
  return { columns: own, collations: by };
}

/** At least one column, none twice. */
function readColumns(reader: Reader, columns: number, max: number): number[] {
  const own: number[] = [];
  for (let n = reader.v(Math.min(max, columns)); n > 0; n--) own.push(reader.v(columns - 1));
  if (own.length === 0 || new Set(own).size !== own.length) throw new Malformed("no columns, or one twice");
  return own;
}

function readType(reader: Reader): string {
  const type = decodeUtf8(reader.bytes(MAX_TYPE));
  if (type === undefined) throw new Malformed("type not UTF-8");
  return type;
}

function readFlags(reader: Reader, known: number): number {
  const flags = reader.u8();
  if ((flags & ~known) !== 0) throw new Malformed("unknown flag");
  return flags;
}

/** On its own, for the replica: name first, names inline. */
export function encodeDeclaration(d: TableDeclaration): Uint8Array {
  const writer = new Writer(256);
  writeName(writer, d.name);
  writeDeclaration(writer, d, writeName);
  return writer.done();
}

export function decodeDeclaration(bytes: Uint8Array): TableDeclaration | null {
  return decodeWith(bytes, (reader) => readDeclaration(reader, readName(reader), readName));
}

/** TBL4: the same table, perhaps with more columns at the end. */
export function extendsDeclaration(old: TableDeclaration, next: TableDeclaration): boolean {
  const cut = { ...next, columns: next.columns.slice(0, old.columns.length) };
  const [a, b] = [encodeDeclaration(old), encodeDeclaration(cut)];
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
