/**
 * The tables section of a frame: one encoding each (TBL2). Names stand in a dictionary in the
 * order of their first use, so a frame decodes alone and a column name costs one byte a cell.
 * Docs: docs/format.md, "Tables section".
 */
import { encodeUtf8 } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { TidelockError } from "../../errors.ts";
import { readDeclaration, readName, writeDeclaration, writeName } from "./declaration.ts";
import { hlcAt, hlcCount, hlcMs } from "./hlc.ts";
import { readKey } from "./key.ts";
import type { Cell, Hlc, NamedCell, TableChange, TablesSection } from "./types.ts";
import { readCell } from "./value.ts";

const VERSION = 1;
/** 6 is kept for settling a conflict; it is not read yet, so a run that holds one is void. */
const ops = { set: 0, insert: 1, delete: 2, move: 3, schema: 4, found: 5 } as const;
/** Largest section `packRun` makes, bytes: with head, padding and signature still below a frame's 1 MiB. */
export const SECTION_BYTES: number = 768 << 10;

export interface PackedSection {
  readonly section: Uint8Array;
  readonly changes: number;
  readonly compressOff: boolean;
}

export interface PackOptions {
  readonly seen: number;
  readonly approved: boolean;
  /** Whether a table was declared so before this run; a schema change in the run is seen here. */
  readonly compressOff?: (table: string) => boolean;
}

/** Throws for a change that has no encoding; what came out of `decodeSection` always has one. */
export function encodeSection(section: TablesSection): Uint8Array {
  const builder = new SectionBuilder(section.seen, section.approved);
  for (const change of section.changes) builder.add(change);
  return builder.done();
}

/** TBL3. Each change must be within `limits.change`: see `changeBytes`. */
export function packRun(changes: readonly TableChange[], options: PackOptions): PackedSection[] {
  const whole = new Set<string>();
  for (const c of changes) if (c.op === "schema" && c.declaration.compressOff) whole.add(c.declaration.name);
  const ordered = [...changes.filter((c) => c.op === "schema"), ...changes.filter((c) => c.op !== "schema")];
  const packed: PackedSection[] = [];
  let builder = new SectionBuilder(options.seen, options.approved);
  let compressOff = false;
  const finish = (): void => {
    if (builder.changes > 0) packed.push({ section: builder.done(), changes: builder.changes, compressOff });
    builder = new SectionBuilder(options.seen, options.approved);
    compressOff = false;
  };
  for (const change of ordered) {
    if (builder.changes === limits.changesPerFrame) finish();
    if (!builder.addIfWithin(change, SECTION_BYTES)) {
      finish();
      if (!builder.addIfWithin(change, SECTION_BYTES))
        throw new TidelockError("too-large", { why: "One change is larger than a frame." });
    }
    const table = tableOf(change);
    compressOff ||= whole.has(table) || options.compressOff?.(table) === true;
  }
  finish();
  return packed;
}

/** Bytes of a change alone; above `limits.change` it would be listed without effect. */
export function changeBytes(change: TableChange): number {
  return new SectionBuilder(0, false).add(change);
}

function tableOf(change: TableChange): string {
  return change.op === "schema" ? change.declaration.name : change.table;
}

class SectionBuilder {
  readonly #seen: number;
  readonly #approved: boolean;
  readonly #body = new Writer(1024);
  readonly #indexByName = new Map<string, number>();
  #nameBytes = 0;
  #baseMs: number | undefined;
  /** Set once a change did not fit: what of the body and of the names stays. */
  #kept: { readonly bytes: number; readonly names: number; readonly baseMs: number | undefined } | undefined;
  changes = 0;

  constructor(seen: number, approved: boolean) {
    this.#seen = seen;
    this.#approved = approved;
  }

  /** How many bytes it took. */
  add(change: TableChange): number {
    const before = this.#body.length;
    this.#write(change);
    this.changes++;
    return this.#body.length - before;
  }

  /** After the first `false` nothing may be added any more. */
  addIfWithin(change: TableChange, bytes: number): boolean {
    const kept = { bytes: this.#body.length, names: this.#indexByName.size, baseMs: this.#baseMs };
    this.#write(change);
    // 64: version, counts, base time, seen, flags.
    if (this.#body.length + this.#nameBytes + 64 > bytes) {
      this.#kept = kept;
      return false;
    }
    this.changes++;
    return true;
  }

  done(): Uint8Array {
    const { bytes, names, baseMs } = this.#kept ?? {
      bytes: this.#body.length,
      names: this.#indexByName.size,
      baseMs: this.#baseMs,
    };
    const out = new Writer(bytes + this.#nameBytes + 64).u8(VERSION).v(names);
    let left = names;
    for (const name of this.#indexByName.keys()) if (left-- > 0) writeName(out, name);
    return out
      .u48(baseMs ?? 0)
      .v(this.#seen)
      .u8(this.#approved ? 1 : 0)
      .v(this.changes)
      .fixed(this.#body.view().subarray(0, bytes))
      .done();
  }

  #write(change: TableChange): void {
    const body = this.#body.u8(ops[change.op]);
    if (change.op === "schema") {
      this.#name(body, change.declaration.name);
      writeDeclaration(body, change.declaration, (w, name) => this.#name(w, name));
      return;
    }
    this.#name(body, change.table);
    body.fixed(change.key);
    if (change.op === "move") body.fixed(change.to);
    if (change.op !== "found") this.#clock(body, change.hlc);
    if (change.op === "set" && change.cells.length === 0) throw new RangeError("a set without cells");
    if (change.op !== "delete") this.#cells(body, change.cells);
  }

  #clock(body: Writer, hlc: Hlc): void {
    const ms = hlcMs(hlc);
    this.#baseMs ??= ms;
    body.v(zigzag(ms - this.#baseMs)).v(hlcCount(hlc));
  }

  /** In the order of the dictionary: a set of cells has no order of its own, and needs one here. */
  #cells(body: Writer, cells: readonly NamedCell[]): void {
    body.v(cells.length);
    const indexed: [number, Cell][] = [];
    let sorted = true;
    let last = -1;
    for (const [column, cell] of cells) {
      const index = this.#index(column);
      sorted &&= index > last;
      last = index;
      indexed.push([index, cell]);
    }
    if (!sorted) indexed.sort((a, b) => a[0] - b[0]);
    last = -1;
    for (const [index, cell] of indexed) {
      if (index === last) throw new RangeError("one column twice in a change");
      last = index;
      body.v(index).fixed(cell);
    }
  }

  #name(body: Writer, name: string): void {
    body.v(this.#index(name));
  }

  #index(name: string): number {
    const known = this.#indexByName.get(name);
    if (known !== undefined) return known;
    const index = this.#indexByName.size;
    const length = encodeUtf8(name).length;
    if (length < 1 || length > limits.name) throw new RangeError("a name is 1 to 255 bytes");
    this.#nameBytes += length + 2;
    this.#indexByName.set(name, index);
    return index;
  }
}

/** Null for anything that is not the one encoding of its changes. Cells are views into `bytes`. */
export function decodeSection(bytes: Uint8Array): TablesSection | null {
  return decodeWith(bytes, (reader) => {
    if (reader.u8() !== VERSION) throw new Malformed("unknown version");
    const names = new Names(reader);
    const base = reader.u48();
    const seen = reader.v();
    const flags = reader.u8();
    if (flags > 1) throw new Malformed("unknown flag");
    const count = reader.v(limits.changesPerFrame);
    if (count === 0) throw new Malformed("no changes");
    const times = new Times(base);
    const changes: TableChange[] = [];
    for (let i = 0; i < count; i++) changes.push(readChange(reader, names, times));
    names.end();
    times.end();
    return { seen, approved: flags === 1, changes };
  });
}

function readChange(reader: Reader, names: Names, times: Times): TableChange {
  const op = reader.u8();
  const table = names.read(reader);
  if (op === ops.schema)
    return { op: "schema", declaration: readDeclaration(reader, table, (r) => names.read(r)) };
  const key = readKey(reader);
  switch (op) {
    case ops.set: {
      const hlc = times.read(reader);
      const cells = readCells(reader, names);
      if (cells.length === 0) throw new Malformed("a set of nothing");
      return { op: "set", table, key, hlc, cells };
    }
    case ops.insert:
      return { op: "insert", table, key, hlc: times.read(reader), cells: readCells(reader, names) };
    case ops.delete:
      return { op: "delete", table, key, hlc: times.read(reader) };
    case ops.move: {
      const to = readKey(reader);
      return { op: "move", table, key, to, hlc: times.read(reader), cells: readCells(reader, names) };
    }
    case ops.found:
      return { op: "found", table, key, cells: readCells(reader, names) };
    default:
      throw new Malformed("unknown operation");
  }
}

function readCells(reader: Reader, names: Names): NamedCell[] {
  const cells: NamedCell[] = [];
  let last = -1;
  for (let n = reader.v(limits.columns); n > 0; n--) {
    const index = names.readIndex(reader);
    if (index <= last) throw new Malformed("columns out of order");
    last = index;
    cells.push([names.at(index), readCell(reader)]);
  }
  return cells;
}

/** The dictionary: every entry distinct, used, and first used in order. */
class Names {
  readonly #names: string[] = [];
  #used = 0;

  constructor(reader: Reader) {
    // Each name is used by a change of its own at most `columns` times over; the input bounds the rest.
    for (let n = reader.v(limits.inflated); n > 0; n--) this.#names.push(readName(reader));
    if (new Set(this.#names).size !== this.#names.length) throw new Malformed("name listed twice");
  }

  readIndex(reader: Reader): number {
    const index = reader.v(this.#names.length - 1);
    if (index > this.#used) throw new Malformed("names out of order");
    if (index === this.#used) this.#used++;
    return index;
  }

  read(reader: Reader): string {
    return this.at(this.readIndex(reader));
  }

  at(index: number): string {
    return this.#names[index] as string;
  }

  end(): void {
    if (this.#used !== this.#names.length) throw new Malformed("unused name");
  }
}

/** Clocks, relative to the time of the first. */
class Times {
  readonly #base: number;
  #first = true;

  constructor(base: number) {
    this.#base = base;
  }

  read(reader: Reader): Hlc {
    const delta = unzigzag(reader.v());
    const ms = this.#base + delta;
    if ((this.#first && delta !== 0) || ms < 0 || ms >= 2 ** 48) throw new Malformed("time out of range");
    this.#first = false;
    return hlcAt(ms, reader.v(0xffff));
  }

  end(): void {
    if (this.#first && this.#base !== 0) throw new Malformed("a base time without a clock");
  }
}

function zigzag(n: number): number {
  return n < 0 ? -2 * n - 1 : 2 * n;
}

function unzigzag(n: number): number {
  return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
}
