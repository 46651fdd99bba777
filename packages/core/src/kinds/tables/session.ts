/**
 * What one transaction knows: tables by name, and the rows whose view may have changed with what
 * they were before. Everything here can be read again from the replica; it lives in the `Tx`.
 */
import { decodeUtf8, encodeUtf8, equalBytes } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Suite } from "../../crypto/suite.ts";
import type { Tx } from "../../log/tx.ts";
import { readName } from "./declaration.ts";
import { getOver, type Over, stateOver } from "./over.ts";
import { compileSchema, keysMayMeet, type Schema } from "./schema.ts";
import { confirmed, endOf, local, NOTHING, readU16, tableKey, tableRange, textOf } from "./spaces.ts";
import type { RowKey, ShownRow, TablesSection } from "./types.ts";

export interface Table {
  readonly name: string;
  readonly lid: number;
  /** Its number in the log, once declared there. */
  id: number | undefined;
  /** As the log declares it, and with unconfirmed declarations. */
  truth: Schema | undefined;
  view: Schema | undefined;
  /** The view's declaration at the start of the transaction: what `Touched.before` is in terms of. */
  viewBefore: Schema | undefined;
  readonly touched: Map<string, Touched>;
  /** What its file was said to show, and was not compared with the view yet. */
  readonly told: Map<string, Told>;
  readonly tracked: boolean;
  /** Constraints act on none of its rows: saves a look-up per row. */
  plain: boolean;
  /** Nothing declared acts on its rows, nor do others refer to them. Undefined: to be found out. */
  free: boolean | undefined;
}

/** A row whose view may differ from what it was when the transaction began. */
export interface Touched {
  readonly key: RowKey;
  /** Its state in the view then, and what constraints made of it. */
  readonly before: Uint8Array | undefined;
  readonly projection: Uint8Array | undefined;
  /** A number it shows through a reference is another one now. */
  forced: boolean;
  /** What the file shows, where that became known or moved here under another key. */
  shown: ShownRow | undefined;
  /** Its state in the view now, where it was just stored: saves reading it back. */
  now: Uint8Array | undefined;
}

/** A row that a file shows so, as an attachment says. */
export interface Told {
  readonly key: RowKey;
  readonly shown: ShownRow;
}

/** A row whose part of the overlay has to be looked at. */
export interface Stale {
  readonly key: RowKey;
  /** What stands over it, as far as that was read; it may be ahead of what is stored. */
  over: { readonly row: Over | undefined } | undefined;
}

/** A foreign key that refers to a table. */
export interface Kid {
  readonly table: Table;
  readonly index: number;
}

export class Session {
  readonly tx: Tx;
  readonly suite: Suite;
  /** Compiled schemas by name, kept between transactions and checked by their bytes. */
  readonly #schemas: Map<string, Schema>;
  readonly #tables = new Map<string, Table | undefined>();
  readonly #kids = new Map<string, readonly Kid[]>();
  /** Tables with touched rows, and those whose declaration changed. */
  readonly touchedTables: Set<Table> = new Set();
  readonly toldTables: Set<Table> = new Set();
  readonly redeclared: Set<Table> = new Set();
  /** Rows whose truth or unconfirmed changes changed since the overlay was last brought up to date. */
  readonly stale: Map<Table, Map<string, Stale>> = new Map();
  /** Tables that the log declared, or whose unconfirmed declaration went, since then. */
  readonly declared: Set<Table> = new Set();
  readonly numbers: Map<Table, Set<bigint>> = new Map();
  /** The overlay has to be made anew. */
  redo = false;
  /** Keys that now mean another row: what the file shows under the first belongs to the second. */
  renamed: { readonly table: Table; readonly from: RowKey; readonly to: RowKey }[] = [];
  /** Writers for small things, so that the hot path does not allocate them. */
  readonly writer: Writer = new Writer(1024);
  dirtyCount: number | undefined;
  /** Decoded sections of runs that wait, by run and frame. */
  readonly sections: Map<string, TablesSection> = new Map();
  readonly #tablesByLid = new Map<number, Table | undefined>();
  #pending: boolean | undefined;
  #aliases: boolean | undefined;

  constructor(tx: Tx, suite: Suite, schemas: Map<string, Schema>) {
    this.tx = tx;
    this.suite = suite;
    this.#schemas = schemas;
  }

  /** Whether any change waits for confirmation. */
  get pending(): boolean {
    this.#pending ??= this.tx.last(local.pend, NOTHING, undefined) !== undefined;
    return this.#pending;
  }

  set pending(some: boolean) {
    this.#pending = some;
  }

  get aliases(): boolean {
    this.#aliases ??=
      this.tx.last(confirmed.alias, NOTHING, undefined) !== undefined ||
      this.tx.last(local.valias, NOTHING, undefined) !== undefined;
    return this.#aliases;
  }

  set aliases(some: boolean) {
    this.#aliases = some;
  }

  /** A table that was ever declared, tracked or edited here. */
  table(name: string): Table | undefined {
    if (this.#tables.has(name)) return this.#tables.get(name);
    const lid = this.tx.get(local.lid, nameKey(name));
    const table = lid === undefined ? undefined : this.#load(name, readU16(lid));
    this.#tables.set(name, table);
    return table;
  }

  tableByLid(lid: number): Table | undefined {
    const known = this.#tablesByLid.get(lid);
    if (known !== undefined) return known;
    const name = this.tx.get(local.lname, tableKey(lid));
    const table = name === undefined ? undefined : this.table(nameOf(name));
    this.#tablesByLid.set(lid, table);
    return table;
  }

  tableById(id: number): Table {
    const decl = this.tx.get(confirmed.decl, tableKey(id)) as Uint8Array;
    return this.ensure(readName(new Reader(decl)));
  }

  /** The same, made known to this device if it was not. */
  ensure(name: string): Table {
    const known = this.table(name);
    if (known !== undefined) return known;
    const last = this.tx.last(local.lname, NOTHING, undefined);
    const lid = last === undefined ? 1 : readU16(last[0]) + 1;
    if (lid > 0xfffe) throw new RangeError("too many tables on this device");
    this.tx.put(local.lid, nameKey(name), tableKey(lid));
    this.tx.put(local.lname, tableKey(lid), nameKey(name));
    const table = this.#load(name, lid);
    this.#tables.set(name, table);
    return table;
  }

  #load(name: string, lid: number): Table {
    const idBytes = this.tx.get(confirmed.name, nameKey(name));
    const id = idBytes === undefined ? undefined : readU16(idBytes);
    const decl = id === undefined ? undefined : this.tx.get(confirmed.decl, tableKey(id));
    const truth = decl === undefined ? undefined : this.schema(name, decl);
    const over = this.pending ? this.tx.get(local.over, tableKey(lid)) : undefined;
    const view = over === undefined ? truth : this.schema(`${name}\0`, over);
    return {
      name,
      lid,
      id,
      truth,
      view,
      viewBefore: view,
      touched: new Map(),
      told: new Map(),
      tracked: this.tx.get(local.track, tableKey(lid)) !== undefined,
      plain: this.tx.last(local.proj, ...tableRange(lid)) === undefined,
      free: undefined,
    };
  }

  schema(slot: string, bytes: Uint8Array): Schema {
    const kept = this.#schemas.get(slot);
    if (kept !== undefined && equalBytes(kept.bytes, bytes)) return kept;
    const schema = compileSchema(bytes.slice());
    this.#schemas.set(slot, schema);
    return schema;
  }

  /** All tables known here, in the order of the log, then those it does not know. */
  tables(): Table[] {
    const all = this.tx
      .scan(local.lname, NOTHING, undefined, undefined)
      .map(([, name]) => this.table(nameOf(name)) as Table);
    return all.sort((a, b) => (a.id ?? limits.tables + a.lid) - (b.id ?? limits.tables + b.lid));
  }

  /** What the view shows for tables became something else: foreign keys are found anew. */
  setView(table: Table, schema: Schema | undefined): void {
    if (table.view === schema) return;
    for (const fk of table.view?.foreignKeys ?? [])
      this.tx.delete(local.kid, kidKey(fk.parent, table.lid, fk.index));
    for (const fk of schema?.foreignKeys ?? [])
      this.tx.put(local.kid, kidKey(fk.parent, table.lid, fk.index), NOTHING);
    table.view = schema;
    this.redeclared.add(table);
    this.#kids.clear();
    for (const known of this.#tables.values()) if (known !== undefined) known.free = undefined;
  }

  /** The foreign keys, of any table, that refer to this one. */
  kids(table: Table): readonly Kid[] {
    let kids = this.#kids.get(table.name);
    if (kids === undefined) {
      const prefix = kidPrefix(table.name);
      kids = this.tx.scan(local.kid, prefix, endOf(prefix)).map(([key]) => ({
        table: this.tableByLid(readU16(key, key.length - 4)) as Table,
        index: readU16(key, key.length - 2),
      }));
      this.#kids.set(table.name, kids);
    }
    return kids;
  }

  /** The row's state in the view. */
  viewBytes(table: Table, key: RowKey): Uint8Array | undefined {
    if (this.pending) {
      const over = this.tx.get(local.over, tableKey(table.lid, key));
      const state = over === undefined ? undefined : stateOver(over);
      if (state !== undefined) return state;
    }
    return table.id === undefined ? undefined : this.tx.get(confirmed.row, tableKey(table.id, key));
  }

  /** To be called before anything about a row's view changes. `known` saves the look-up of its state. */
  touch(table: Table, key: RowKey, known?: { readonly bytes: Uint8Array | undefined }): Touched {
    const text = textOf(key);
    let touched = table.touched.get(text);
    if (touched === undefined) {
      touched = {
        // Keys are often views into a frame that must not be kept alive, nor change under us.
        key: key.slice() as RowKey,
        before: known === undefined ? this.viewBytes(table, key) : known.bytes,
        projection: this.projection(table, key),
        forced: false,
        shown: undefined,
        now: undefined,
      };
      table.touched.set(text, touched);
      this.touchedTables.add(table);
    }
    return touched;
  }

  /** Marks a row as if it had been this before. */
  touchAs(
    table: Table,
    key: RowKey,
    before: Uint8Array | undefined,
    projection: Uint8Array | undefined,
  ): void {
    const own = key.slice() as RowKey;
    const fresh = { key: own, before, projection, forced: false, shown: undefined, now: undefined };
    table.touched.set(textOf(own), fresh);
    this.touchedTables.add(table);
  }

  /** What a file shows is compared with the view once, when the transaction settles. */
  tell(table: Table, key: RowKey, shown: ShownRow): void {
    table.told.set(textOf(key), { key, shown });
    this.toldTables.add(table);
  }

  projection(table: Table, key: RowKey): Uint8Array | undefined {
    if (table.plain) return undefined;
    return this.tx.get(local.proj, tableKey(table.lid, key));
  }

  /** Notes that a row's part of the overlay has to be looked at. */
  markStale(table: Table, key: RowKey): Stale {
    let rows = this.stale.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.stale.set(table, rows);
    }
    const text = textOf(key);
    let stale = rows.get(text);
    if (stale === undefined) {
      stale = { key, over: undefined };
      rows.set(text, stale);
    }
    return stale;
  }

  /** What stands over a row now, read once while it is stale. */
  over(table: Table, key: RowKey): Over | undefined {
    const stale = this.stale.get(table)?.get(textOf(key));
    if (stale?.over !== undefined) return stale.over.row;
    const row = getOver(this, table, key);
    if (stale !== undefined) stale.over = { row };
    return row;
  }

  /** Notes that the log gave or took a number, while unconfirmed rows may have it too. */
  noteNumber(table: Table, number: bigint): void {
    const numbers = this.numbers.get(table);
    if (numbers === undefined) this.numbers.set(table, new Set([number]));
    else numbers.add(number);
  }

  /** Everything is read anew from the replica, which was changed beside this session. */
  forget(): void {
    this.clearTouched();
    this.#tables.clear();
    this.#tablesByLid.clear();
    this.sections.clear();
    this.#kids.clear();
    this.stale.clear();
    this.declared.clear();
    this.numbers.clear();
    this.redo = false;
    this.renamed = [];
    this.dirtyCount = undefined;
    this.#pending = undefined;
    this.#aliases = undefined;
  }

  /** The work on rows is done: what comes next in this transaction starts from here. */
  clearTouched(): void {
    for (const table of this.touchedTables) table.touched.clear();
    for (const table of this.redeclared) {
      table.viewBefore = table.view;
      table.free = undefined;
    }
    for (const table of this.toldTables) table.told.clear();
    this.touchedTables.clear();
    this.toldTables.clear();
    this.redeclared.clear();
  }

  /** Whether anything waits to hear of a row: loads of plain tables are not written down twice. */
  watched(table: Table, key: RowKey): boolean {
    return table.tracked || this.constrained(table, key);
  }

  /** Whether constraints can do something to a row, or through it to others. */
  constrained(table: Table, key: RowKey): boolean {
    table.free ??=
      this.kids(table).length === 0 &&
      [table.view, table.viewBefore].every(
        (schema) => schema === undefined || (schema.sets.length === 0 && schema.foreignKeys.length === 0),
      );
    return !table.free || keysMayMeet(table.view ?? table.viewBefore, key);
  }

  /** Whether rows and columns are called what they were called when the transaction began. */
  get steady(): boolean {
    return this.renamed.length === 0 && this.redeclared.size === 0 && this.declared.size === 0 && !this.redo;
  }

  get unsettled(): boolean {
    return (
      this.touchedTables.size > 0 ||
      this.toldTables.size > 0 ||
      this.stale.size > 0 ||
      this.redo ||
      this.redeclared.size > 0 ||
      this.declared.size > 0
    );
  }
}

function nameKey(name: string): Uint8Array {
  return encodeUtf8(name);
}

function nameOf(bytes: Uint8Array): string {
  return decodeUtf8(bytes) as string;
}

function kidPrefix(parent: string): Uint8Array {
  const name = encodeUtf8(parent);
  return new Writer(name.length + 8).bytes(name).done();
}

function kidKey(parent: string, lid: number, index: number): Uint8Array {
  const prefix = kidPrefix(parent);
  return new Writer(prefix.length + 4).fixed(prefix).fixed(tableKey(lid)).fixed(tableKey(index)).done();
}
