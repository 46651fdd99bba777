/** What is written: rows of about 120 B, the same shape on every side. */
import { randomBytes } from "node:crypto";
import Database from "better-sqlite3";

export const COLUMNS = ["id", "a", "b", "c", "n", "r"] as const;
export const SCHEMA = "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, n INTEGER, r REAL)";

export interface Row {
  readonly id: string;
  readonly a: string;
  readonly b: string;
  readonly c: string;
  readonly n: number;
  readonly r: number;
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

export function text(length: number): string {
  return Array.from(randomBytes(length), (b) => letters[b % 36]).join("");
}

export function makeRows(count: number): readonly Row[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${String(i).padStart(8, "0")}${text(8)}`,
    a: text(30),
    b: text(30),
    c: text(20),
    n: i * 7919,
    r: Math.sqrt(i),
  }));
}

/** The floor: the rows in one transaction of a bare table, durable when it returns. ms */
export function insertBare(path: string, rows: readonly Row[]): number {
  const db = new Database(path);
  db.pragma("journal_mode=WAL");
  db.pragma("synchronous=FULL");
  db.exec(SCHEMA);
  const insert = db.prepare("INSERT INTO t VALUES(?,?,?,?,?,?)");
  const start = performance.now();
  db.transaction(() => {
    for (const row of rows) insert.run(...COLUMNS.map((c) => row[c]));
  })();
  const took = performance.now() - start;
  db.close();
  return took;
}

export function sameRows(there: readonly Row[], rows: readonly Row[]): boolean {
  return (
    there.length === rows.length &&
    rows.every((row, i) => COLUMNS.every((c) => (there[i] as Row)[c] === row[c]))
  );
}
