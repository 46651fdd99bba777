/**
 * What an app does to its database while programs are killed under it, and what must then be true.
 * Two devices write rows of their own and a few shared ones, and every value names the edit that
 * wrote it: a lost, a doubled and an echoed edit can be told apart.
 */
import type { SqlValue } from "../../../packages/node/src/vault/database.ts";

/**
 * An app's own tables: numbers that clash between devices, a reference that must follow. So many rows that nobody
 * touches that no gap between two lives holds a fifth of all as deletions, which would be withheld.
 */
export const SCHEMA = `
  CREATE TABLE entry (id INTEGER PRIMARY KEY, op TEXT NOT NULL, v TEXT NOT NULL);
  CREATE TABLE part (id INTEGER PRIMARY KEY, entry INTEGER NOT NULL REFERENCES entry (id), op TEXT NOT NULL);
  INSERT INTO entry (op, v) VALUES ${shared().map((row) => `('${row}', '${row}')`)};
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    INSERT INTO entry (op, v) SELECT 'x' || i, 'x' FROM n;
  INSERT INTO part (entry, op) SELECT id, op FROM entry WHERE op LIKE 'x%';`;

export type What = "delete" | "insert" | "set";

/** The `n`-th edit of its writer. `row`: the edit that inserted it, or a shared row. */
export interface Edit {
  readonly n: number;
  readonly what: What;
  readonly row: string;
}

/** Rows that a device has at one time, about. */
const FULL = 120;

export function shared(): readonly string[] {
  return ["s0", "s1", "s2", "s3"];
}

export function drawEdit(random: () => number, who: string, n: number, rows: readonly string[]): Edit {
  const [which, at] = [random(), random()];
  const row = rows[Math.floor(at * rows.length)];
  if (row === undefined || which < (rows.length < FULL ? 0.4 : 0.05))
    return { n, what: "insert", row: `${who}${n}` };
  if (which < 0.75) return { n, what: "set", row };
  if (which < 0.9) return { n, what: "set", row: shared()[Math.floor(at * shared().length)] ?? row };
  return { n, what: "delete", row };
}

/** One transaction's statements. */
export function statementsOf(edit: Edit, who: string): readonly (readonly [string, readonly SqlValue[]])[] {
  const name = `${who}${edit.n}`;
  switch (edit.what) {
    case "insert":
      return [
        ["INSERT INTO entry (op, v) VALUES (?, ?)", [name, name]],
        ["INSERT INTO part (entry, op) VALUES (last_insert_rowid(), ?)", [name]],
      ];
    case "set":
      return [["UPDATE entry SET v = ? WHERE op = ?", [name, edit.row]]];
    case "delete":
      return [
        ["DELETE FROM part WHERE op = ?", [edit.row]],
        ["DELETE FROM entry WHERE op = ?", [edit.row]],
      ];
  }
}

/** The witness's line about an edit: `i` it is about to happen, `c` it was acknowledged. */
export function lineOf(state: "c" | "i", edit: Edit): string {
  return `${state} ${edit.n} ${edit.what} ${edit.row}\n`;
}

export function parseLine(line: string): { readonly state: "c" | "i"; readonly edit: Edit } {
  const [state, n, what, row] = line.split(" ");
  if ((state !== "i" && state !== "c") || row === undefined) throw new Error(`not a witness's line: ${line}`);
  return { state, edit: { n: Number(n), what: what as What, row } };
}
