/** The shipped tables kind, and an app that uses it: keyed and numbered rows, references, deletes, moves. */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { getCursor } from "@tidelock/core/engine/entries";
import { packRun } from "@tidelock/core/kinds/tables/codec";
import { hlcMs, nextHlc } from "@tidelock/core/kinds/tables/hlc";
import { bornKey, bornOfKey, keyOf } from "@tidelock/core/kinds/tables/key";
import { createTablesKind, type TablesKind } from "@tidelock/core/kinds/tables/tables";
import {
  type Born,
  type Hlc,
  type NamedCell,
  type RowKey,
  RowReference,
  type TableChange,
  type TableDeclaration,
  type Value,
} from "@tidelock/core/kinds/tables/types";
import { encodeValue, sameCell } from "@tidelock/core/kinds/tables/value";
import type { Kind } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import { type App, CANARY, type Edit, type EditKind, type Moment } from "./app.ts";
import type { Stream } from "./random.ts";

const SECTION = 2;
/** Rows of `pair` are only ever written all at once, so that a view of a part of a run shows. */
const PAIRS = ["north", "east", "south", "west"];
const NOTES = 6;
const MAILS = 3;

const column = (name: string, type = "", notNull = false): TableDeclaration["columns"][number] => ({
  name,
  type,
  notNull,
});

const schema: readonly TableDeclaration[] = [
  {
    name: "pair",
    columns: [column("side", "TEXT", true), column("mark")],
    key: [0],
    keyCollations: ["BINARY"],
    minted: false,
    unique: [],
    foreignKeys: [],
    compressOff: false,
  },
  {
    name: "person",
    columns: [column("id", "INTEGER", true), column("mail", "TEXT"), column("mark")],
    key: [0],
    keyCollations: ["BINARY"],
    minted: true,
    unique: [{ columns: [1], collations: ["NOCASE"] }],
    foreignKeys: [],
    compressOff: false,
  },
  {
    name: "note",
    columns: [column("id", "TEXT", true), column("owner", "INTEGER"), column("mark"), column("n", "INTEGER")],
    key: [0],
    keyCollations: ["BINARY"],
    minted: false,
    unique: [],
    foreignKeys: [{ columns: [1], parent: "person", parentColumns: ["id"], onDelete: "set null" }],
    compressOff: true,
  },
];

export function createTablesApp(suite: Suite): App & { readonly tables: TablesKind } {
  const tables = createTablesKind(suite);
  return {
    kind: tables as Kind,
    tables,
    edit: (tx, what, moment) => edit(tables, tx, what, moment),
    state: (tx) => state(tables, tx),
    halfShown: (tx) => halfShown(tables, tx),
  };
}

function edit(tables: TablesKind, tx: Tx, what: EditKind, moment: Moment): Edit {
  const { random, marker } = moment;
  const mark = marked(marker);
  const changes: TableChange[] = [];
  if (tables.declaration(tx, "note") === undefined)
    for (const declaration of schema) changes.push({ op: "schema", declaration });
  if (what === "small") {
    for (let n = random.int(1, 3); n > 0; n--) {
      // One change a row: all of an edit see the rows as they were before it.
      const made = change(tables, tx, moment, mark);
      if (made !== undefined && !touches(changes, made)) changes.push(made);
    }
    // Two devices may delete the same row in the same words: one change of each edit is its own.
    if (!changes.some((c) => "cells" in c && c.cells.some(([, cell]) => cell === mark)))
      changes.push(note(tables, tx, moment, `extra${random.int(0, 2)}`, mark));
    return finish(tables, tx, [changes], mark, moment.now);
  }
  const keys = PAIRS.map((side) => keyOf(side));
  const hlc = clockAfter(
    tables,
    tx,
    moment.now,
    keys.map((key) => ["pair", key] as const),
  );
  const frames: TableChange[][] = [changes];
  const rows = what === "big" ? random.pick([8, 20, 60, 300]) : PAIRS.length;
  for (let i = 0; i < rows; i++) {
    const frame = i === 0 ? changes : [];
    const cells: NamedCell[] = [
      ["side", encodeValue(PAIRS[i % PAIRS.length] as string)],
      ["mark", mark],
    ];
    frame.push({ op: "insert", table: "pair", key: keys[i % PAIRS.length] as RowKey, hlc, cells });
    // What makes the frames of one run differ.
    frame.push(note(tables, tx, moment, `run${i}`, marked(marker * 0x1000 + i)));
    if (i > 0) frames.push(frame);
  }
  return finish(tables, tx, frames, mark, moment.now);
}

function finish(
  tables: TablesKind,
  tx: Tx,
  frames: readonly (readonly TableChange[])[],
  mark: NamedCell[1],
  now: number,
): Edit {
  const seen = getCursor(tx).applied;
  const compressOff = (table: string): boolean => tables.declaration(tx, table)?.compressOff === true;
  const packed = frames.flatMap((changes) => packRun(changes, { seen, approved: false, compressOff }));
  return {
    frames: packed.map(({ section, compressOff: stored }) => ({
      sections: new Map([[SECTION, section]]),
      compressOff: stored,
    })),
    wrong: frames.flat().some((c) => "hlc" in c && hlcMs(c.hlc) > bound(tables, tx, now, c))
      ? "an edit's clock is later than its time and one past the row it saw"
      : undefined,
    shown: (after) => {
      const last = frames.flat().findLast((c) => "cells" in c && c.cells.some(([, cell]) => cell === mark));
      if (last === undefined || !("key" in last)) return true;
      const { table } = last;
      const index = schema.find((d) => d.name === table)?.columns.findIndex((c) => c.name === "mark") ?? -1;
      const row = tables.view(after, table, last.op === "move" ? last.to : last.key);
      return last.op !== "insert" || sameCell(row.cells?.[index], mark);
    },
  };
}

/** TBL6: the latest that an edit's clock may be. */
function bound(tables: TablesKind, tx: Tx, now: number, c: Exclude<TableChange, { op: "schema" }>): number {
  const rows =
    c.table === "pair" ? PAIRS.map((side) => keyOf(side)) : c.op === "move" ? [c.key, c.to] : [c.key];
  return Math.max(now, ...rows.map((key) => hlcMs(tables.view(tx, c.table, key).clock) + 1));
}

function change(tables: TablesKind, tx: Tx, moment: Moment, mark: NamedCell[1]): TableChange | undefined {
  const { random, now } = moment;
  const id = `n${random.int(0, NOTES - 1)}`;
  const key = keyOf(id);
  switch (random.int(0, 9)) {
    case 0:
    case 1: {
      const born = random.bytes(8) as Born;
      const cells: NamedCell[] = [
        ["id", encodeValue(random.chance(0.5) ? BigInt(random.int(1, 4)) : null)],
        ["mail", encodeValue(mail(random))],
        ["mark", mark],
      ];
      const row = bornKey(born);
      return { op: "insert", table: "person", key: row, hlc: nextHlc(now, 0n), cells };
    }
    case 2: {
      const row = pickPerson(tables, tx, random);
      if (row === undefined) return undefined;
      const hlc = clockAfter(tables, tx, now, [["person", row]]);
      if (random.chance(0.4)) return { op: "delete", table: "person", key: row, hlc };
      return { op: "set", table: "person", key: row, hlc, cells: [["mail", encodeValue(mail(random))]] };
    }
    case 3:
      return { op: "delete", table: "note", key, hlc: clockAfter(tables, tx, now, [["note", key]]) };
    case 4: {
      const row = tables.view(tx, "note", key);
      const to = keyOf(`n${random.int(0, NOTES - 1)}x`);
      if (row.cells === undefined) return undefined;
      const cells: NamedCell[] = [["n", encodeValue(BigInt(random.int(0, 9)))]];
      const hlc = clockAfter(tables, tx, now, [
        ["note", key],
        ["note", to],
      ]);
      return { op: "move", table: "note", key, to, hlc, cells };
    }
    case 5:
    case 6: {
      const hlc = clockAfter(tables, tx, now, [["note", key]]);
      return { op: "set", table: "note", key, hlc, cells: [["n", encodeValue(BigInt(random.int(0, 9)))]] };
    }
    case 7:
      return { op: "found", table: "note", key, cells: [["mark", mark]] };
    default:
      return note(tables, tx, moment, id, mark);
  }
}

function touches(changes: readonly TableChange[], one: TableChange): boolean {
  const keys = (c: TableChange): string[] =>
    c.op === "schema"
      ? []
      : [c.key, ...(c.op === "move" ? [c.to] : [])].map((key) => `${c.table} ${key.join()}`);
  const mine = keys(one);
  return changes.some((c) => keys(c).some((key) => mine.includes(key)));
}

function note(
  tables: TablesKind,
  tx: Tx,
  { random, now }: Moment,
  id: string,
  mark: NamedCell[1],
): TableChange {
  const key = keyOf(id);
  const owner = random.chance(0.4) ? pickPerson(tables, tx, random) : undefined;
  const born = owner === undefined ? undefined : bornOfKey(owner);
  const cells: NamedCell[] = [
    ["id", encodeValue(id)],
    ["owner", encodeValue(born === undefined ? null : new RowReference(born))],
    ["mark", mark],
  ];
  return { op: "insert", table: "note", key, hlc: clockAfter(tables, tx, now, [["note", key]]), cells };
}

function pickPerson(tables: TablesKind, tx: Tx, random: Stream): RowKey | undefined {
  if (tables.declaration(tx, "person") === undefined) return undefined;
  const rows = tables.scanView(tx, "person", undefined, 8);
  return rows.length === 0 ? undefined : random.pick(rows).key;
}

function clockAfter(
  tables: TablesKind,
  tx: Tx,
  now: number,
  rows: readonly (readonly [table: string, key: RowKey])[],
): Hlc {
  let newest = 0n;
  for (const [table, key] of rows) {
    const { clock } = tables.view(tx, table, key);
    if (clock > newest) newest = clock;
  }
  return nextHlc(now, newest);
}

function mail(random: Stream): Value {
  return random.chance(0.3) ? null : `${random.pick(["a", "A", "b"])}${random.int(1, MAILS)}@example.org`;
}

/** A value that no other edit writes, and that must not be found on any remote. */
function marked(n: number): NamedCell[1] {
  const bytes = new Uint8Array(CANARY.length + 6);
  bytes.set(CANARY);
  new DataView(bytes.buffer).setUint16(CANARY.length, Math.floor(n / 2 ** 32));
  new DataView(bytes.buffer).setUint32(CANARY.length + 2, n % 2 ** 32);
  return encodeValue(bytes);
}

function state(tables: TablesKind, tx: Tx): string {
  const rows: string[] = [];
  for (const { name } of tables.declarations(tx))
    for (const { key, row } of tables.scanView(tx, name, undefined, 10_000))
      rows.push(`${name} ${toHex(key)}: ${(row.cells ?? []).map((cell) => toHex(cell)).join(" ")}`);
  return rows.join("\n");
}

function halfShown(tables: TablesKind, tx: Tx): string | undefined {
  const shown = PAIRS.map((side) => tables.view(tx, "pair", keyOf(side)).cells?.[1]);
  const first = shown[0];
  return shown.every((cell) => sameCell(cell, first))
    ? undefined
    : "rows written together show different edits";
}
