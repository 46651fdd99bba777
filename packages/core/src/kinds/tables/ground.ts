/**
 * Where a change is reduced: into truth, or into the overlay of unconfirmed changes above it. The
 * reducer is the same; what it reads falls through from the overlay to truth.
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { getOver, type Over, putOver, withNote } from "./over.ts";
import { decodeRow, encodeRow, type Row } from "./row.ts";
import type { Schema } from "./schema.ts";
import type { Session, Table } from "./session.ts";
import { confirmed, local, numberKey, tableKey } from "./spaces.ts";
import type { Born, RowKey } from "./types.ts";

/** Who holds a number, and since when it no longer needs it. */
export interface Holder {
  readonly born: Born;
  readonly released: { readonly seq: number; readonly device: number } | undefined;
}

/** The highest number given in a table; past 2^63 - 1, `low` is the lowest given from the top. */
export interface High {
  readonly high: bigint;
  readonly low: bigint | undefined;
}

export interface Loaded {
  readonly bytes: Uint8Array | undefined;
  readonly row: Row | undefined;
  /** What stands over the row, where the overlay was asked. */
  readonly over?: Over | undefined;
}

export interface Ground {
  readonly session: Session;
  schema(table: Table): Schema | undefined;
  load(table: Table, key: RowKey): Loaded;
  /** `loaded` is what `load` answered for this key just before. */
  store(table: Table, key: RowKey, loaded: Loaded, row: Row): void;
  holder(table: Table, number: bigint): Holder | undefined;
  setHolder(table: Table, number: bigint, holder: Holder): void;
  high(table: Table): High | undefined;
  setHigh(table: Table, high: High): void;
  /** Notes that a row's number is not one it asked for: it depends on every other. */
  displaced(table: Table): void;
  /** Notes that a verdict depends on what another row holds. */
  consult(table: Table, key: RowKey): void;
  alias(born: Born): Born | undefined;
  setAlias(born: Born, target: Born): void;
}

export class Truth implements Ground {
  readonly session: Session;
  readonly #highs = new Map<Table, High>();

  constructor(session: Session) {
    this.session = session;
  }

  schema(table: Table): Schema | undefined {
    return table.truth;
  }

  load(table: Table, key: RowKey): Loaded {
    return loaded(this.session.tx.get(confirmed.row, tableKey(table.id as number, key)));
  }

  store(table: Table, key: RowKey, old: Loaded, row: Row): void {
    const { session } = this;
    const bytes = encodeRow(row, session.writer);
    if (session.pending) {
      session.touch(table, key).now = undefined;
      session.markStale(table, key);
    } else if (session.watched(table, key)) {
      session.touch(table, key, old).now = bytes.slice();
    }
    session.tx.put(confirmed.row, tableKey(table.id as number, key), bytes, old);
  }

  holder(table: Table, number: bigint): Holder | undefined {
    const bytes = this.session.tx.get(confirmed.num, tableKey(table.id as number, numberKey(number)));
    return bytes === undefined ? undefined : decodeHolder(bytes);
  }

  setHolder(table: Table, number: bigint, holder: Holder): void {
    if (this.session.pending) this.session.noteNumber(table, number);
    this.session.tx.put(confirmed.num, tableKey(table.id as number, numberKey(number)), encodeHolder(holder));
  }

  high(table: Table): High | undefined {
    const kept = this.#highs.get(table);
    if (kept !== undefined) return kept;
    const bytes = this.session.tx.get(confirmed.high, tableKey(table.id as number));
    return bytes === undefined ? undefined : decodeHigh(new Reader(bytes));
  }

  setHigh(table: Table, high: High): void {
    this.#highs.set(table, high);
  }

  /** At the end of a run: each new row raises the highest number, and one write of it will do. */
  flush(): void {
    for (const [table, high] of this.#highs)
      this.session.tx.put(
        confirmed.high,
        tableKey(table.id as number),
        encodeHigh(new Writer(24), high).done(),
      );
    this.#highs.clear();
  }

  displaced(): void {}

  consult(): void {}

  alias(born: Born): Born | undefined {
    return this.session.tx.get(confirmed.alias, born) as Born | undefined;
  }

  setAlias(born: Born, target: Born): void {
    const { session } = this;
    session.tx.put(confirmed.alias, born, target);
    session.aliases = true;
    // Unconfirmed changes may name it.
    if (session.pending) session.redo = true;
  }
}

/** The overlay: rows of run `id` as if confirmed after all that is. */
export class Overlay implements Ground {
  readonly session: Session;
  readonly #truth: Truth;
  /** What judging one change stored and what else it looked at; emptied by who asks. */
  stored: { readonly table: Table; readonly key: RowKey }[] = [];
  consulted: { readonly table: Table; readonly key: RowKey }[] = [];
  /** Where the change waits that is judged for the first time: noted with what it stores. */
  place: Uint8Array | undefined;

  constructor(session: Session) {
    this.session = session;
    this.#truth = new Truth(session);
  }

  schema(table: Table): Schema | undefined {
    return table.view;
  }

  load(table: Table, key: RowKey): Loaded {
    const over = this.session.pending ? getOver(this.session, table, key) : undefined;
    if (over?.state !== undefined) return { ...loaded(over.state), over };
    return table.id === undefined ? { ...NOT_THERE, over } : { ...this.#truth.load(table, key), over };
  }

  store(table: Table, key: RowKey, old: Loaded, row: Row): void {
    const { session, place } = this;
    const touched = session.touch(table, key, old);
    this.stored.push({ table, key });
    const noted =
      place === undefined ? old.over : withNote(session, table, key, old.over, { place, entangled: false });
    const state = encodeRow(row, session.writer);
    touched.now = putOver(session, table, key, { first: noted?.first, more: noted?.more === true, state });
  }

  holder(table: Table, number: bigint): Holder | undefined {
    const bytes = this.session.tx.get(local.vnum, tableKey(table.lid, numberKey(number)));
    if (bytes !== undefined) return decodeHolder(bytes);
    return table.id === undefined ? undefined : this.#truth.holder(table, number);
  }

  setHolder(table: Table, number: bigint, holder: Holder): void {
    const { tx } = this.session;
    tx.put(local.vnum, tableKey(table.lid, numberKey(number)), encodeHolder(holder));
    if (readMeta(this.session, table) === undefined)
      this.#writeMeta(table, { high: undefined, displaced: 0 });
  }

  high(table: Table): High | undefined {
    const mine = readMeta(this.session, table)?.high;
    const truth = table.id === undefined ? undefined : this.#truth.high(table);
    if (mine === undefined || truth === undefined) return mine ?? truth;
    const low =
      mine.low === undefined || truth.low === undefined
        ? (mine.low ?? truth.low)
        : mine.low < truth.low
          ? mine.low
          : truth.low;
    return { high: mine.high > truth.high ? mine.high : truth.high, low };
  }

  setHigh(table: Table, high: High): void {
    this.#writeMeta(table, { high, displaced: readMeta(this.session, table)?.displaced ?? 0 });
  }

  displaced(table: Table): void {
    const meta = readMeta(this.session, table);
    this.#writeMeta(table, { high: meta?.high, displaced: (meta?.displaced ?? 0) + 1 });
  }

  consult(table: Table, key: RowKey): void {
    this.consulted.push({ table, key });
  }

  alias(born: Born): Born | undefined {
    return (this.session.tx.get(local.valias, born) as Born | undefined) ?? this.#truth.alias(born);
  }

  setAlias(born: Born, target: Born): void {
    this.session.tx.put(local.valias, born, target);
    this.session.aliases = true;
  }

  #writeMeta(table: Table, meta: OverlayMeta): void {
    writeMeta(this.session, table, meta);
  }
}

export interface OverlayMeta {
  readonly high: High | undefined;
  /** Unconfirmed rows that did not get the number they asked for. */
  readonly displaced: number;
}

export function readMeta(session: Session, table: Table): OverlayMeta | undefined {
  const bytes = session.tx.get(local.vmeta, tableKey(table.lid));
  if (bytes === undefined) return undefined;
  const reader = new Reader(bytes);
  return { displaced: reader.v(), high: reader.left === 0 ? undefined : decodeHigh(reader) };
}

export function writeMeta(session: Session, table: Table, meta: OverlayMeta): void {
  const writer = new Writer(32).v(meta.displaced);
  if (meta.high !== undefined) encodeHigh(writer, meta.high);
  session.tx.put(local.vmeta, tableKey(table.lid), writer.done());
}

const NOT_THERE: Loaded = { bytes: undefined, row: undefined };

function loaded(bytes: Uint8Array | undefined): Loaded {
  return { bytes, row: bytes === undefined ? undefined : decodeRow(bytes) };
}

export function encodeHolder(holder: Holder): Uint8Array {
  const writer = new Writer(24).fixed(holder.born);
  if (holder.released !== undefined) writer.v(holder.released.seq).v(holder.released.device);
  return writer.done();
}

export function decodeHolder(bytes: Uint8Array): Holder {
  const reader = new Reader(bytes);
  const born = reader.fixed(8) as Born;
  return { born, released: reader.left === 0 ? undefined : { seq: reader.v(), device: reader.v() } };
}

function encodeHigh(writer: Writer, high: High): Writer {
  writer.z(high.high);
  if (high.low !== undefined) writer.z(high.low);
  return writer;
}

function decodeHigh(reader: Reader): High {
  const high = reader.z();
  return { high, low: reader.left === 0 ? undefined : reader.z() };
}
