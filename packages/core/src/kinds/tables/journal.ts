/** Losing edits, kept whole beside what won (TBL33, TBL34), and changes without effect (TBL5). */
import { decodeUtf8, readU64Key } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Tx } from "../../log/tx.ts";
import { writeName } from "./declaration.ts";
import { hlcAt, hlcCount, hlcMs } from "./hlc.ts";
import type { Session } from "./session.ts";
import { confirmed, endOf, local, NOTHING, placeKey, readU16, tableKey, tableRange } from "./spaces.ts";
import type { Cell, Conflict, ConflictSide, RowKey } from "./types.ts";
import { readCell } from "./value.ts";

const reasons = ["edit", "delete", "unique", "parent", "number", "first-attach"] as const;

export interface Judged {
  readonly reason: "edit" | "delete" | "number" | "first-attach";
  /** Indexes of columns; the sides' cells are in this order. */
  readonly columns: readonly number[];
  readonly winner: ConflictSide;
  readonly loser: ConflictSide;
}

export interface Place {
  readonly seq: number;
  readonly i: number;
}

export function writeConflict(tx: Tx, id: number, key: RowKey, place: Place, judged: Judged): void {
  const at = placeKey(place.seq, place.i);
  const open = judged.reason === "first-attach";
  tx.put(confirmed.journal, at, encodeEntry(id, key, open, judged));
  if (open) tx.put(local.open, tableKey(id, key, at), NOTHING);
}

function encodeEntry(id: number, key: RowKey, open: boolean, judged: Judged): Uint8Array {
  const writer = new Writer(128)
    .u8(reasons.indexOf(judged.reason))
    .u8(open ? 1 : 0)
    .fixed(tableKey(id))
    .bytes(key)
    .v(judged.columns.length);
  for (const column of judged.columns) writer.v(column);
  writeSide(writer, judged.winner);
  writeSide(writer, judged.loser);
  return writer.done();
}

/** Whether any entry of the table is open: most tables never have one, and are not asked per row. */
export function hasOpen(tx: Tx, id: number): boolean {
  const [from, to] = tableRange(id);
  return tx.last(local.open, from, to) !== undefined;
}

/** An edit of the row by an author who had seen the entry settles it. */
export function settleOpen(tx: Tx, id: number, key: RowKey, seen: number): void {
  const prefix = tableKey(id, key);
  for (const [at] of tx.scan(local.open, prefix, endOf(prefix))) {
    if (readU64Key(at, prefix.length) > seen) continue;
    const place = at.slice(prefix.length);
    const entry = (tx.get(confirmed.journal, place) as Uint8Array).slice();
    entry[1] = 0;
    tx.put(confirmed.journal, place, entry);
    tx.delete(local.open, at);
  }
}

/** After the journal itself was loaded from elsewhere. */
export function rebuildOpen(tx: Tx): void {
  for (const [at] of tx.scan(local.open, NOTHING, undefined)) tx.delete(local.open, at);
  for (const [place, bytes] of tx.scan(confirmed.journal, NOTHING, undefined)) {
    if (bytes[1] !== 1) continue;
    const { id, key } = readHead(new Reader(bytes));
    tx.put(local.open, tableKey(id, key, place), NOTHING);
  }
}

export function journal(session: Session, onlyOpen: boolean): Conflict[] {
  const { tx } = session;
  const places = onlyOpen
    ? tx.scan(local.open, NOTHING, undefined).map(([at]) => at.subarray(at.length - 12))
    : tx.scan(confirmed.journal, NOTHING, undefined).map(([at]) => at);
  return places.map((place) => {
    const reader = new Reader(tx.get(confirmed.journal, place) as Uint8Array);
    const { reason, open, id, key } = readHead(reader);
    const { name, truth } = session.tableById(id);
    const columns: string[] = [];
    for (let n = reader.v(); n > 0; n--) columns.push(truth?.declaration.columns[reader.v()]?.name ?? "");
    const seq = readU64Key(place);
    return {
      id: `${seq}.${new Reader(place.subarray(8)).u32()}`,
      table: name,
      key,
      columns,
      reason,
      state: open ? "open" : "settled",
      winner: readSide(reader, columns.length),
      loser: readSide(reader, columns.length),
      seq,
    };
  });
}

function readHead(reader: Reader): {
  readonly reason: Conflict["reason"];
  readonly open: boolean;
  readonly id: number;
  readonly key: RowKey;
} {
  const reason = reasons[reader.u8()] as Conflict["reason"];
  const open = reader.u8() === 1;
  return { reason, open, id: readU16(reader.fixed(2)), key: reader.bytes(limits.row) as RowKey };
}

function writeSide(writer: Writer, side: ConflictSide): void {
  writer.v(side.device).u48(hlcMs(side.hlc)).v(hlcCount(side.hlc));
  if (side.cells === undefined) {
    writer.u8(0);
    return;
  }
  writer.u8(1);
  for (const cell of side.cells) {
    if (cell === undefined) writer.u8(0);
    else writer.u8(1).fixed(cell);
  }
}

function readSide(reader: Reader, columns: number): ConflictSide {
  const device = reader.v();
  const hlc = hlcAt(reader.u48(), reader.v());
  if (reader.u8() === 0) return { device, hlc, cells: undefined };
  const cells: (Cell | undefined)[] = [];
  for (let i = 0; i < columns; i++) cells.push(reader.u8() === 0 ? undefined : readCell(reader));
  return { device, hlc, cells };
}

/** Why a change had no effect. */
export type NoopReason =
  | "unknown-table"
  | "unknown-column"
  | "key"
  | "number"
  | "too-large"
  | "declaration"
  | "too-many-tables";

export interface Noop {
  readonly seq: number;
  /** Place of the change among those of its run. */
  readonly index: number;
  readonly table: string;
  readonly reason: NoopReason;
}

export function writeNoop(tx: Tx, noop: Noop): void {
  const writer = new Writer(64);
  writeName(writer, noop.table);
  writeName(writer, noop.reason);
  tx.put(confirmed.noop, placeKey(noop.seq, noop.index), writer.done());
}

/** Changes in the log that had no effect, oldest first. */
export function noops(tx: Tx): Noop[] {
  return tx.scan(confirmed.noop, NOTHING, undefined).map(([place, bytes]) => {
    const reader = new Reader(bytes);
    const text = (): string => decodeUtf8(reader.bytes(bytes.length)) as string;
    const [table, reason] = [text(), text() as NoopReason];
    return { seq: readU64Key(place), index: new Reader(place.subarray(8)).u32(), table, reason };
  });
}
