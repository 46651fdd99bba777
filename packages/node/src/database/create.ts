/** Tables for a file that has none: columns and keys as the vault declares them, nothing else. Rule ATT5. */
import type { Collation, TableDeclaration } from "@tidelock/core/kinds/tables/types";
import { type Db, quote } from "./sqlite.ts";

/** Words that would make a declared type say more than a type. */
const clauses =
  /\b(?:CONSTRAINT|PRIMARY|KEY|NOT|NULL|UNIQUE|CHECK|DEFAULT|COLLATE|REFERENCES|GENERATED|ALWAYS|AS|ON|AUTOINCREMENT|DEFERRABLE|INITIALLY|STORED|VIRTUAL|MATCH)\b/i;
const type = /^[A-Za-z_]\w*(?: [A-Za-z_]\w*)*(?: ?\( ?[+-]?\d+ ?(?:, ?[+-]?\d+ ?)?\))?$/;

/** A declaration came from whoever may write to the vault: only a plain type gets into SQL as it is. */
function typeOf(declared: string): string {
  return type.test(declared) && !clauses.test(declared) ? ` ${declared}` : "";
}

export function createTableSql(d: TableDeclaration): string {
  const name = (i: number): string => quote(d.columns[i]?.name as string);
  const list = (columns: readonly number[], collations: readonly Collation[]): string =>
    columns
      .map((c, i) => `${name(c)}${collations[i] === "BINARY" ? "" : ` COLLATE ${collations[i]}`}`)
      .join(", ");
  const parts = d.columns.map((c, i) =>
    d.minted && d.key[0] === i
      ? `${name(i)} INTEGER PRIMARY KEY`
      : `${name(i)}${typeOf(c.type)}${c.notNull ? " NOT NULL" : ""}`,
  );
  if (!d.minted) parts.push(`PRIMARY KEY(${list(d.key, d.keyCollations)})`);
  for (const u of d.unique) parts.push(`UNIQUE(${list(u.columns, u.collations)})`);
  for (const fk of d.foreignKeys) {
    const parent = `${quote(fk.parent)}(${fk.parentColumns.map(quote).join(", ")})`;
    parts.push(
      `FOREIGN KEY(${fk.columns.map(name).join(", ")}) REFERENCES ${parent} ON DELETE ${fk.onDelete.toUpperCase()}`,
    );
  }
  // An INTEGER key that is no row number must not become one: other files may hold text in it.
  const lone =
    !d.minted &&
    d.key.length === 1 &&
    typeOf(d.columns[d.key[0] as number]?.type ?? "")
      .trim()
      .toUpperCase() === "INTEGER";
  return `CREATE TABLE ${quote(d.name)}(${parts.join(", ")})${lone ? " WITHOUT ROWID" : ""}`;
}

/** Inside a transaction. */
export function createTables(db: Db, declarations: readonly TableDeclaration[]): void {
  for (const d of declarations) db.exec(createTableSql(d));
}
