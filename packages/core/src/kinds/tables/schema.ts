/** A declaration in the form the reducer works with. A pure function of the declaration. */
import { decodeDeclaration } from "./declaration.ts";
import { keyCells } from "./key.ts";
import type { Cell, Collation, ForeignKeyAction, RowKey, TableDeclaration } from "./types.ts";
import { tags } from "./value.ts";

export interface Schema {
  readonly declaration: TableDeclaration;
  /** As stored: what tells whether a kept schema is still the right one. */
  readonly bytes: Uint8Array;
  readonly minted: boolean;
  readonly columnByName: ReadonlyMap<string, number>;
  /** Place of a column in the key, -1 for the others. */
  readonly keyPlace: readonly number[];
  /** UNIQUE sets that rows compete for by their values; without those on a minted number. */
  readonly sets: readonly UniqueSet[];
  readonly foreignKeys: readonly ForeignKey[];
}

export interface UniqueSet {
  /** Place in the declaration; `KEY_SET` for the key itself. */
  readonly index: number;
  readonly columns: readonly number[];
  readonly collations: readonly Collation[];
  /** What a loser can show NULL in. Empty: it is hidden. */
  readonly nullable: readonly number[];
}

export interface ForeignKey {
  readonly index: number;
  readonly columns: readonly number[];
  readonly parent: string;
  readonly parentColumns: readonly string[];
  readonly onDelete: ForeignKeyAction;
  readonly nullable: readonly number[];
  /** Whether a row that refers keeps its parent from being deleted. */
  readonly holds: boolean;
  /** A column of it is part of the row's key. */
  readonly inKey: boolean;
}

/** The UNIQUE set that a key itself is. Declared ones are at most 1,000. */
export const KEY_SET = 0xffff;

export function compileSchema(bytes: Uint8Array): Schema {
  const declaration = decodeDeclaration(bytes) as TableDeclaration;
  const { columns, key, minted } = declaration;
  const nullable = (set: readonly number[]): number[] =>
    set.filter((c) => !key.includes(c) && columns[c]?.notNull === false);
  return {
    declaration,
    bytes,
    minted,
    columnByName: new Map(columns.map((c, i) => [c.name, i])),
    keyPlace: columns.map((_, i) => key.indexOf(i)),
    sets: declaration.unique.flatMap((set, index) =>
      minted && set.columns.includes(key[0] as number)
        ? []
        : [{ index, columns: set.columns, collations: set.collations, nullable: nullable(set.columns) }],
    ),
    foreignKeys: declaration.foreignKeys.map((fk, index) => ({
      index,
      columns: fk.columns,
      parent: fk.parent,
      parentColumns: fk.parentColumns,
      onDelete: fk.onDelete,
      nullable: nullable(fk.columns),
      holds: fk.onDelete === "no action" || fk.onDelete === "restrict",
      inKey: fk.columns.some((c) => key.includes(c)),
    })),
  };
}

/** The key as a UNIQUE set: what its collation or numeric equality makes equal. */
export function keySet(schema: Schema): UniqueSet {
  const { key, keyCollations } = schema.declaration;
  return { index: KEY_SET, columns: key, collations: keyCollations, nullable: [] };
}

/** Whether another key than this one could be equal to it in SQLite's eyes. */
export function keysMayMeet(schema: Schema | undefined, key: RowKey): boolean {
  if (schema === undefined || schema.minted) return false;
  // One text compared byte by byte is the common key.
  if (key[0] === 1 && key[1] === tags.text && schema.declaration.keyCollations[0] === "BINARY") return false;
  return mayMeet(schema, keyCells(key));
}

/** Numbers may be 1 and 1.0; texts differ in case or in spaces. */
export function mayMeet(schema: Schema, key: readonly Cell[]): boolean {
  return key.some((cell, place) => {
    const tag = cell[0];
    if (tag === tags.integer || tag === tags.real) return true;
    return tag === tags.text && schema.declaration.keyCollations[place] !== "BINARY";
  });
}
