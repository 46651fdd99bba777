/**
 * The words of the reference for docs/spec/tables.md. A value is a string: "n" NULL, "i5", "r0.5", "tabc",
 * "b00ff", "@<born>" a row reference.
 */
export interface Clock {
  ms: number;
  n: number;
  seq: number;
}
export interface Decl {
  columns: { name: string; notNull: boolean }[];
  key: string[];
  collations: string[];
  minted: boolean;
  unique: { columns: string[]; collations: string[] }[];
  fks: { columns: string[]; parent: string; parentColumns: string[]; onDelete: string }[];
}
export interface Data {
  op: "set" | "insert" | "delete" | "move" | "found";
  table: string;
  key: string[];
  to?: string[];
  ms?: number;
  n?: number;
  cells?: Record<string, string>;
}
export type Change = { op: "schema"; table: string; decl: Decl } | Data;
export interface Run {
  seq: number;
  time: number;
  device: number;
  seen: number;
  changes: Change[];
}
export interface Row {
  key: string[];
  ins?: Clock;
  del?: Clock;
  move?: Clock;
  to?: string[];
  cells: Map<string, { clock: Clock; v: string }>;
  number?: bigint;
  returned?: boolean;
  hidden?: boolean;
  nulls?: Set<string>;
}
export interface Table {
  decl: Decl;
  rows: Map<string, Row>;
  holders: Map<bigint, { row: Row; gone?: { seq: number; device: number } }>;
  high?: bigint;
}
/** A minted row before a change. */
export interface Was {
  alive: boolean;
  wanted: bigint | undefined;
  number: bigint | undefined;
}
/** Table, key, column: value. */
export type Shown = Record<string, Record<string, Record<string, string>>>;

export const after = (a: Clock, b: Clock): boolean =>
  (a.ms - b.ms || a.n - b.n || (a.ms + a.n === 0 ? b.seq - a.seq : a.seq - b.seq)) > 0;

export const clocks = (r: Row): Clock[] =>
  [r.ins, ...[...r.cells.values()].map((c) => c.clock)].filter((c) => c !== undefined);

export const alive = (r: Row): boolean => {
  if (!r.ins || (r.move && !after(r.ins, r.move))) return false;
  return !r.del || clocks(r).some((c) => after(c, r.del as Clock));
};

/** Sorts like the bytes of short values do: by tag, then length, then content. */
export const rank = (v: string): string =>
  `${"nirtb@".indexOf(v[0] as string)}${String.fromCharCode(v.length)}${v}`;
