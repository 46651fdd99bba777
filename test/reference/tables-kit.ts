/** What the tests of the tables kind share: a replica in memory, and the plain words of the reference. */
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { hlcAt } from "@tidelock/core/kinds/tables/hlc";
import { keyCells, keyOf } from "@tidelock/core/kinds/tables/key";
import { createTablesKind, type TablesKind } from "@tidelock/core/kinds/tables/tables";
import {
  type Born,
  type Cell,
  type Collation,
  type ForeignKeyAction,
  InvalidText,
  type RowKey,
  RowReference,
  type ShownRow,
  type TableChange,
  type TableDeclaration,
  type TablesSection,
  type Value,
} from "@tidelock/core/kinds/tables/types";
import { decodeCell, encodeValue } from "@tidelock/core/kinds/tables/value";
import { digestedSpaces, Tx } from "@tidelock/core/log/tx";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import type { Change, Decl, Run, Shown } from "./tables.ts";

export const fastSuite = createFastSuite((n) => new Uint8Array(n));

/** One device's tables: the kind over a store in memory, settled before each transaction commits. */
export class Replica {
  readonly kind: TablesKind = createTablesKind(fastSuite);
  readonly store: MapReplicaStore = new MapReplicaStore(this.kind.spaces.map((s) => s.name));
  readonly #digested = digestedSpaces(this.kind.spaces);
  digest = 0n;

  tx<T>(work: (tx: Tx) => T): T {
    return this.store.transaction(() => {
      const tx = new Tx(this.store, fastSuite, this.#digested, this.digest);
      const result = work(tx);
      this.kind.settle(tx);
      this.digest = tx.digest;
      return result;
    });
  }

  apply(run: Run, own = false): void {
    this.tx((tx) => this.applyIn(tx, run, own));
  }

  applyIn(tx: Tx, run: Run, own = false): void {
    const { seq, time, device } = run;
    this.kind.apply(tx, [sectionOf(run)], { seq, time, device, own });
  }

  hold(id: number, run: Run): void {
    this.tx((tx) => this.kind.hold(tx, id, [sectionOf(run)]));
  }

  shown(): Shown {
    return this.tx((tx) => {
      const tables = this.kind.declarations(tx).map((d) => {
        const rows = this.kind
          .scanView(tx, d.name, undefined, 1e6)
          .map(({ key, row }) => [
            plainKey(key).join(),
            Object.fromEntries(d.columns.map((c, i) => [c.name, plainCell(row.cells?.[i])])),
          ]);
        return [d.name, Object.fromEntries(rows)];
      });
      return Object.fromEntries(tables) as Shown;
    });
  }

  /** Every entry of every space, for comparing two replicas or two states of one. */
  dump(digested: boolean): Record<string, string[]> {
    const spaces = this.kind.spaces.filter((s) => s.digested === digested);
    return Object.fromEntries(
      spaces.map(({ name }) => [
        name,
        this.store.scan(name, new Uint8Array(0), undefined).map(([k, v]) => `${toHex(k)}=${toHex(v)}`),
      ]),
    );
  }
}

export function sectionOf(run: {
  readonly seen: number;
  readonly changes: readonly Change[];
}): TablesSection {
  return { seen: run.seen, approved: false, changes: run.changes.map(coreChange) };
}

export function coreChange(c: Change): TableChange {
  if (c.op === "schema") return { op: "schema", declaration: coreDeclaration(c.table, c.decl) };
  const { table } = c;
  const key = coreKey(c.key);
  const hlc = hlcAt(c.ms ?? 0, c.n ?? 0);
  const cells = Object.entries(c.cells ?? {}).map(([name, v]) => [name, coreCell(v)] as const);
  switch (c.op) {
    case "delete":
      return { op: "delete", table, key, hlc };
    case "found":
      return { op: "found", table, key, cells };
    case "move":
      return { op: "move", table, key, to: coreKey(c.to ?? c.key), hlc, cells };
    case "insert":
    case "set":
      return { op: c.op, table, key, hlc, cells };
  }
}

export function coreDeclaration(name: string, decl: Decl): TableDeclaration {
  const index = (column: string): number => decl.columns.findIndex((c) => c.name === column);
  return {
    name,
    columns: decl.columns.map((c) => ({ name: c.name, type: "", notNull: c.notNull })),
    key: decl.key.map(index),
    keyCollations: decl.collations as Collation[],
    minted: decl.minted,
    unique: decl.unique.map((u) => ({
      columns: u.columns.map(index),
      collations: u.collations as Collation[],
    })),
    foreignKeys: decl.fks.map((fk) => ({
      columns: fk.columns.map(index),
      parent: fk.parent,
      parentColumns: fk.parentColumns,
      onDelete: fk.onDelete as ForeignKeyAction,
    })),
    compressOff: false,
  };
}

export function coreKey(key: readonly string[]): RowKey {
  return keyOf(...key.map(coreValue));
}

export function plainKey(key: RowKey): string[] {
  return keyCells(key).map(plainCell);
}

export function coreCell(v: string): Cell {
  return encodeValue(coreValue(v));
}

export function coreValue(v: string): Value {
  const rest = v.slice(1);
  switch (v[0]) {
    case "i":
      return BigInt(rest);
    case "r":
      return Number(rest);
    case "t":
      return rest;
    case "b":
      return fromHex(rest) ?? new Uint8Array(0);
    case "@":
      return new RowReference(born(rest));
    default:
      return null;
  }
}

export function plainCell(cell: Cell | undefined): string {
  if (cell === undefined) return "n";
  const value = decodeCell(cell);
  if (value === null) return "n";
  if (typeof value === "bigint") return `i${value}`;
  if (typeof value === "number") return `r${value}`;
  if (typeof value === "string") return `t${value}`;
  if (value instanceof RowReference) return `@${toHex(value.born).replace(/^0+/, "")}`;
  return value instanceof InvalidText ? `?${toHex(value.bytes)}` : `b${toHex(value)}`;
}

/** Hexadecimal digits, padded in front to eight bytes. */
export function born(digits: string): Born {
  return fromHex(digits.padStart(16, "0")) as Born;
}

export function plainRow(row: ShownRow): string[] | undefined {
  return row.cells?.map(plainCell);
}

/** How often the long properties run; `TIDELOCK_RUNS` multiplies. */
export function runs(ordinary: number): { numRuns: number } {
  const factor = process.env["TIDELOCK_RUNS"] ?? "1";
  if (!/^[1-9]\d{0,5}$/.test(factor)) throw new RangeError("TIDELOCK_RUNS is a positive number");
  return { numRuns: ordinary * Number(factor) };
}

/** A replica that is told one run after the other, in few words. */
export class Told extends Replica {
  seq = 0;
  /** Log time, ms. */
  time = 1_000_000;

  /** A run of `device`, whose author had seen everything up to `seen` (all, if not said). Answers its seq. */
  say(device: number, changes: readonly Change[], seen: number = this.seq): number {
    this.seq++;
    this.apply({ seq: this.seq, time: this.time, device, seen, changes: [...changes] });
    return this.seq;
  }

  row(table: string, ...key: string[]): Record<string, string> | undefined {
    return this.shown()[table]?.[key.join()];
  }

  conflicts(): { reason: string; state: string; columns: string; winner: string; loser: string }[] {
    const side = (s: { device: number; cells: readonly (Cell | undefined)[] | undefined }): string =>
      `${s.device}:${s.cells === undefined ? "deleted" : s.cells.map(plainCell).join()}`;
    return this.tx((tx) => this.kind.conflicts(tx, { open: false })).map((c) => ({
      reason: c.reason,
      state: c.state,
      columns: c.columns.join(),
      winner: side(c.winner),
      loser: side(c.loser),
    }));
  }

  noops(): string[] {
    return this.tx((tx) => this.kind.noops(tx)).map((n) => `${n.seq}.${n.index} ${n.table} ${n.reason}`);
  }
}

/** A table of texts: a key and some columns, all of which may be NULL. */
export function plainTable(name: string, columns: readonly string[], over: Partial<Decl> = {}): Change {
  const decl: Decl = {
    columns: [{ name: "id", notNull: true }, ...columns.map((c) => ({ name: c, notNull: false }))],
    key: ["id"],
    collations: ["BINARY"],
    minted: false,
    unique: [],
    fks: [],
    ...over,
  };
  return { op: "schema", table: name, decl };
}
