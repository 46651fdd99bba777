/**
 * What the replica knows of an attachment: which file it is, where its token stands, which key a
 * number in the file means, and what waits for a person. Local state of this device only; every
 * entry here is written in one replica transaction with what it belongs to.
 */

import type { Seq } from "@tidelock/core/bytes/brand";
import { concat, decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { Cell, Hlc, RowKey } from "@tidelock/core/kinds/tables/types";
import type { Space } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import { encodeToken, type PastBranch, parseToken, type Token } from "./token.ts";

const DB = "a.db";
const HELD = "a.held";

/** Spaces a replica's store must have for attachments. None is confirmed state. */
export const attachmentSpaces: readonly Space[] = [DB, HELD, "a.num"].map((name) => ({
  name,
  digested: false,
}));

/** First byte of a key in `a.db`. Never reused. */
const area = {
  record: 1,
  position: 2,
  gen: 3,
  note: 4,
  aside: 5,
  kept: 6,
  stray: 7,
  rows: 8,
  file: 9,
  shape: 10,
  seen: 11,
} as const;

export interface TableEntry {
  /** Number in this file; never given twice. */
  readonly number: number;
  /** As the vault spells it. */
  readonly name: string;
}

export interface AttachmentRecord {
  /** 16 random bytes, also in the file. */
  readonly id: Uint8Array;
  /** A small number of this replica, prefix of the attachment's keys. */
  readonly slot: number;
  readonly path: string;
  /**
   * `detached`: a memory of what the file's row numbers stood for, in case it is attached again.
   * `former`: the same of a file that the device this home was before may still have attached.
   */
  readonly phase: "attaching" | "live" | "detaching" | "detached" | "former";
  readonly tables: readonly TableEntry[];
  /** Tables whose INTEGER PRIMARY KEY is natural by the person's wish. */
  readonly natural: readonly string[];
  readonly past: readonly PastBranch[];
  /** Counter when the attachment became live: of an older file nothing is known. */
  readonly base: number;
}

export interface Position {
  readonly token: Token;
  /** `PRAGMA schema_version` as we left or accepted it. */
  readonly schema: number;
}

/** Why a row is left as it is in this file, until the cause is gone. */
export interface Aside {
  readonly reason: "row-refused" | "row-too-large" | "trigger-fights";
  readonly text: string;
  /** The view's clock then: a newer row is tried again. */
  readonly clock: Hlc;
  readonly seen: Seq;
}

export interface Held {
  readonly time: number;
  readonly seen: Seq;
}

/** An edit made on an older copy of the file, kept for a person to look at. */
export interface Kept {
  readonly table: number;
  readonly key: RowKey;
  readonly cells: readonly Cell[];
}

/** Which file of the file system it was: a copy put in its place is another one. */
export interface FileIdentity {
  readonly inode: bigint;
  /** When it was made, ns since 1970; 0 where the file system does not tell. */
  readonly made: bigint;
}

const phases = ["attaching", "live", "detaching", "detached", "former"] as const;

export function putRecord(tx: Tx, r: AttachmentRecord): void {
  const w = new Writer(256)
    .u8(1)
    .fixed(r.id)
    .u32(r.slot)
    .bytes(encodeUtf8(r.path))
    .u8(phases.indexOf(r.phase))
    .v(r.base);
  w.v(r.tables.length);
  for (const t of r.tables) w.v(t.number).bytes(encodeUtf8(t.name));
  w.v(r.natural.length);
  for (const n of r.natural) w.bytes(encodeUtf8(n));
  w.v(r.past.length);
  for (const p of r.past) w.fixed(p.branch).v(p.last);
  tx.put(DB, concat(Uint8Array.of(area.record), r.id), w.done());
}

/** What is attached. */
export function records(tx: Tx): readonly AttachmentRecord[] {
  return allRecords(tx).filter((r) => r.phase !== "detached" && r.phase !== "former");
}

/** With those that are only remembered. */
export function allRecords(tx: Tx): readonly AttachmentRecord[] {
  return tx
    .scan(DB, Uint8Array.of(area.record), Uint8Array.of(area.record + 1))
    .map(([, bytes]) => parseRecord(bytes));
}

function parseRecord(bytes: Uint8Array): AttachmentRecord {
  const r = new Reader(bytes);
  const text = (): string => decodeUtf8(r.bytes(1 << 16)) ?? "";
  const list = <T>(one: () => T): T[] => Array.from({ length: r.v() }, one);
  if (r.u8() !== 1) throw new RangeError("an attachment's record of another version");
  const [id, slot, path] = [r.fixed(16).slice(), r.u32(), text()];
  const [phase, base] = [phases[r.u8()] ?? "attaching", r.v()];
  const tables = list(() => ({ number: r.v(), name: text() }));
  const natural = list(text);
  const past = list(() => ({ branch: r.fixed(8).slice(), last: r.v() }));
  return { id, slot, path, phase, base, tables, natural, past };
}

/** The part of the replica that belongs to one attachment. */
export class Registry {
  readonly slot: number;
  constructor(slot: number) {
    this.slot = slot;
  }

  record(tx: Tx): AttachmentRecord | undefined {
    return allRecords(tx).find((r) => r.slot === this.slot);
  }

  /** Columns and keys of a table of the file, as they were when it was last planned (`shapeOf`). */
  shape(tx: Tx, table: number): string | undefined {
    const bytes = tx.get(DB, this.#tableKey(area.shape, table));
    return bytes === undefined ? undefined : decodeUtf8(bytes);
  }

  putShape(tx: Tx, table: number, shape: string): void {
    if (this.shape(tx, table) !== shape) tx.put(DB, this.#tableKey(area.shape, table), encodeUtf8(shape));
  }

  /** When the file was detached: what it showed was the vault's state at this seq. */
  seen(tx: Tx): Seq | undefined {
    const bytes = tx.get(DB, this.#key(area.seen));
    return bytes === undefined ? undefined : new Reader(bytes).v();
  }

  putSeen(tx: Tx, seq: Seq | undefined): void {
    if (seq === undefined) tx.delete(DB, this.#key(area.seen));
    else tx.put(DB, this.#key(area.seen), new Writer(8).v(seq).done());
  }

  identity(tx: Tx): FileIdentity | undefined {
    const bytes = tx.get(DB, this.#key(area.file));
    if (bytes === undefined) return undefined;
    const r = new Reader(bytes);
    return { inode: r.z(), made: r.z() };
  }

  putIdentity(tx: Tx, file: FileIdentity): void {
    const now = this.identity(tx);
    if (now !== undefined && sameFile(now, file)) return;
    tx.put(DB, this.#key(area.file), new Writer(24).z(file.inode).z(file.made).done());
  }

  position(tx: Tx): Position | undefined {
    const bytes = tx.get(DB, this.#key(area.position));
    if (bytes === undefined) return undefined;
    const r = new Reader(bytes);
    return { token: parseToken(r.fixed(16)) as Token, schema: r.v() };
  }

  putPosition(tx: Tx, p: Position): void {
    tx.put(DB, this.#key(area.position), new Writer(32).fixed(encodeToken(p.token)).v(p.schema).done());
  }

  /** The counter that last covered a key; 0 for one the first attach found and nothing touched since. */
  putGen(tx: Tx, table: number, key: RowKey, counter: number): void {
    tx.put(DB, this.#rowKey(area.gen, table, key), new Writer(8).v(counter).done());
  }

  coveredAfter(tx: Tx, counter: number): readonly { readonly table: number; readonly key: RowKey }[] {
    return this.#rows(tx, DB, area.gen).flatMap(({ table, key, value }) =>
      new Reader(value).v() > counter ? [{ table, key }] : [],
    );
  }

  /** Live rows of the file as we know it: what a count of the table must give. */
  rows(tx: Tx, table: number): number {
    const bytes = tx.get(DB, this.#tableKey(area.rows, table));
    return bytes === undefined ? 0 : new Reader(bytes).v();
  }

  putRows(tx: Tx, table: number, count: number): void {
    tx.put(DB, this.#tableKey(area.rows, table), new Writer(8).v(count).done());
  }

  /** Whether any row is withheld or set aside: mostly none is, which spares two look-ups a row. */
  sparesAny(tx: Tx): boolean {
    const some = (space: string, from: Uint8Array): boolean => tx.scan(space, from, end(from), 1).length > 0;
    return some(HELD, this.#key(0)) || some(DB, this.#key(area.aside));
  }

  aside(tx: Tx, table: number, key: RowKey): Aside | undefined {
    const bytes = tx.get(DB, this.#rowKey(area.aside, table, key));
    return bytes === undefined ? undefined : parseAside(bytes);
  }

  asides(tx: Tx): readonly { readonly table: number; readonly key: RowKey; readonly aside: Aside }[] {
    return this.#rows(tx, DB, area.aside).map(({ table, key, value }) => ({
      table,
      key,
      aside: parseAside(value),
    }));
  }

  putAside(tx: Tx, table: number, key: RowKey, a: Aside): void {
    const w = new Writer(64)
      .u8(reasons.indexOf(a.reason))
      .bytes(encodeUtf8(a.text))
      .z(BigInt.asIntN(64, a.clock))
      .v(a.seen);
    tx.put(DB, this.#rowKey(area.aside, table, key), w.done());
  }

  dropAside(tx: Tx, table: number, key: RowKey): void {
    tx.delete(DB, this.#rowKey(area.aside, table, key));
  }

  held(tx: Tx, table: number, key: RowKey): Held | undefined {
    const bytes = tx.get(HELD, this.#rowKey(0, table, key));
    return bytes === undefined ? undefined : parseHeld(bytes);
  }

  /** Withheld deletions, of one table or of all. */
  helds(
    tx: Tx,
    of?: number,
  ): readonly { readonly table: number; readonly key: RowKey; readonly held: Held }[] {
    return this.#rows(tx, HELD, 0, of).map(({ table, key, value }) => ({
      table,
      key,
      held: parseHeld(value),
    }));
  }

  putHeld(tx: Tx, table: number, key: RowKey, held: Held): void {
    tx.put(HELD, this.#rowKey(0, table, key), new Writer(16).u48(held.time).v(held.seen).done());
  }

  dropHeld(tx: Tx, table: number, key: RowKey): void {
    tx.delete(HELD, this.#rowKey(0, table, key));
  }

  kept(tx: Tx): readonly Kept[] {
    return this.#rows(tx, DB, area.kept).map(({ table, key, value }) => {
      const r = new Reader(value);
      const cells = Array.from({ length: r.v() }, () => r.bytes(Number.MAX_SAFE_INTEGER).slice() as Cell);
      return { table, key, cells };
    });
  }

  putKept(tx: Tx, { table, key, cells }: Kept): void {
    const w = new Writer(256).v(cells.length);
    for (const cell of cells) w.bytes(cell);
    tx.put(DB, this.#rowKey(area.kept, table, key), w.done());
  }

  dropKept(tx: Tx, table: number, key: RowKey): void {
    tx.delete(DB, this.#rowKey(area.kept, table, key));
  }

  /** Numbers under which an older copy of the file holds rows that stand elsewhere by now. */
  strays(tx: Tx): readonly { readonly table: number; readonly number: bigint }[] {
    return this.#rows(tx, DB, area.stray).map(({ table, key }) => ({ table, number: new Reader(key).z() }));
  }

  hasStray(tx: Tx, table: number, number: bigint): boolean {
    return tx.get(DB, this.#rowKey(area.stray, table, new Writer(10).z(number).done())) !== undefined;
  }

  putStray(tx: Tx, table: number, number: bigint, there: boolean): void {
    const key = this.#rowKey(area.stray, table, new Writer(10).z(number).done());
    if (there) tx.put(DB, key, Uint8Array.of(1));
    else tx.delete(DB, key);
  }

  noteParts(tx: Tx): readonly Uint8Array[] {
    const from = this.#key(area.note);
    return tx.scan(DB, from, end(from)).map(([, bytes]) => bytes);
  }

  hasNote(tx: Tx): boolean {
    const from = this.#key(area.note);
    return tx.scan(DB, from, end(from), 1).length > 0;
  }

  putNoteParts(tx: Tx, parts: readonly Uint8Array[]): void {
    this.dropNote(tx);
    parts.forEach((part, i) => {
      tx.put(DB, this.#tableKey(area.note, i), part);
    });
  }

  dropNote(tx: Tx): void {
    const from = this.#key(area.note);
    for (const [key] of tx.scan(DB, from, end(from))) tx.delete(DB, key);
  }

  /** What a memory holds beside the record and the numbers. */
  copyMemory(from: Tx, to: Tx): void {
    for (const a of [area.position, area.kept, area.file]) {
      const prefix = this.#key(a);
      for (const [key, value] of from.scan(DB, prefix, end(prefix))) to.put(DB, key, value);
    }
  }

  /** Everything that told of the file's rows: it is another file now. */
  forgetRows(tx: Tx): void {
    for (const a of [area.gen, area.note, area.aside, area.stray, area.rows, area.shape, area.seen])
      clear(tx, DB, this.#key(a));
    clear(tx, HELD, this.#key(0));
  }

  forgetAll(tx: Tx): void {
    const record = this.record(tx);
    this.forgetRows(tx);
    for (const a of [area.position, area.kept, area.file]) clear(tx, DB, this.#key(a));
    if (record !== undefined) tx.delete(DB, concat(Uint8Array.of(area.record), record.id));
  }

  #key(a: number): Uint8Array {
    return new Writer(5).u8(a).u32(this.slot).done();
  }

  #tableKey(a: number, table: number): Uint8Array {
    return new Writer(9).u8(a).u32(this.slot).u32(table).done();
  }

  #rowKey(a: number, table: number, key: Uint8Array): Uint8Array {
    return new Writer(64).u8(a).u32(this.slot).u32(table).fixed(key).done();
  }

  #rows(
    tx: Tx,
    space: string,
    a: number,
    table?: number,
  ): { table: number; key: RowKey; value: Uint8Array }[] {
    const from = table === undefined ? this.#key(a) : this.#tableKey(a, table);
    return tx.scan(space, from, end(from)).map(([k, value]) => {
      const r = new Reader(k);
      r.fixed(5);
      return { table: r.u32(), key: k.slice(9) as RowKey, value };
    });
  }
}

export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inode === b.inode && a.made === b.made;
}

const reasons = ["row-refused", "row-too-large", "trigger-fights"] as const;

function parseAside(bytes: Uint8Array): Aside {
  const r = new Reader(bytes);
  const reason = reasons[r.u8()] ?? "row-refused";
  return { reason, text: decodeUtf8(r.bytes(1 << 16)) ?? "", clock: BigInt.asUintN(64, r.z()), seen: r.v() };
}

function parseHeld(bytes: Uint8Array): Held {
  const r = new Reader(bytes);
  return { time: r.u48(), seen: r.v() };
}

/** The least key above all that begin with these five or nine bytes. */
function end(prefix: Uint8Array): Uint8Array {
  const out = prefix.slice();
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = ((out[i] as number) + 1) & 0xff;
    if (out[i] !== 0) break;
  }
  return out;
}

function clear(tx: Tx, space: string, prefix: Uint8Array): void {
  for (const [key] of tx.scan(space, prefix, end(prefix))) tx.delete(space, key);
}
