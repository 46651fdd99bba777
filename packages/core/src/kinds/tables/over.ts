/**
 * What stands over a row while changes wait: its state with them, and the places of the changes to
 * judge again when truth changes. Most rows wait with one change: its place stands here, in the
 * record that is read anyway; further places stand in `pkey`.
 */
import { equalBytes } from "../../bytes/bytes.ts";
import type { Session, Table } from "./session.ts";
import { endOf, local, tableKey } from "./spaces.ts";
import type { RowKey } from "./types.ts";

/** A change noted under a row: where it waits, and whether judging it looked beyond that row. */
export interface Noted {
  readonly place: Uint8Array;
  readonly entangled: boolean;
}

export interface Over {
  /** The earliest change noted here. Undefined only while a run is being released. */
  readonly first: Noted | undefined;
  /** Whether `pkey` has more of them. */
  readonly more: boolean;
  /** Undefined where the changes leave the row as truth has it. */
  readonly state: Uint8Array | undefined;
}

/** Run, frame and number in the frame. */
const PLACE = 12;
const flags = { first: 1, entangled: 2, more: 4 } as const;
const SOLO = Uint8Array.of(0);
const ENTANGLED = Uint8Array.of(1);

export function decodeOver(bytes: Uint8Array): Over {
  const flag = bytes[0] as number;
  const hasFirst = (flag & flags.first) !== 0;
  const state = stateOver(bytes);
  return {
    first: hasFirst
      ? { place: bytes.subarray(1, 1 + PLACE), entangled: (flag & flags.entangled) !== 0 }
      : undefined,
    more: (flag & flags.more) !== 0,
    state,
  };
}

/** The state alone: what the hot path asks for. */
export function stateOver(bytes: Uint8Array): Uint8Array | undefined {
  const at = ((bytes[0] as number) & flags.first) === 0 ? 1 : 1 + PLACE;
  return bytes.length === at ? undefined : bytes.subarray(at);
}

export function encodeOver({ first, more, state }: Over): Uint8Array {
  const at = first === undefined ? 1 : 1 + PLACE;
  const out = new Uint8Array(at + (state?.length ?? 0));
  out[0] =
    (first === undefined ? 0 : flags.first) |
    (first?.entangled === true ? flags.entangled : 0) |
    (more ? flags.more : 0);
  if (first !== undefined) out.set(first.place, 1);
  if (state !== undefined) out.set(state, at);
  return out;
}

export function getOver(session: Session, table: Table, key: RowKey): Over | undefined {
  const bytes = session.tx.get(local.over, tableKey(table.lid, key));
  return bytes === undefined ? undefined : decodeOver(bytes);
}

/** Writes the record; none where nothing is noted. Answers the state as it is stored. */
export function putOver(session: Session, table: Table, key: RowKey, over: Over): Uint8Array | undefined {
  const at = tableKey(table.lid, key);
  if (over.first === undefined && over.state === undefined) {
    session.tx.delete(local.over, at);
    return undefined;
  }
  const bytes = encodeOver(over);
  session.tx.put(local.over, at, bytes);
  return stateOver(bytes);
}

/** The record with one more change noted, later than all before. */
export function withNote(
  session: Session,
  table: Table,
  key: RowKey,
  over: Over | undefined,
  note: Noted,
): Over {
  if (over?.first === undefined) return { first: note, more: false, state: over?.state };
  if (equalBytes(over.first.place, note.place)) return { ...over, first: note };
  session.tx.put(local.pkey, tableKey(table.lid, key, note.place), note.entangled ? ENTANGLED : SOLO);
  return over.more ? over : { ...over, more: true };
}

/** The record without a change that is noted in it. */
export function withoutNote(
  session: Session,
  table: Table,
  key: RowKey,
  over: Over,
  place: Uint8Array,
): Over {
  if (over.first !== undefined && equalBytes(over.first.place, place)) return { ...over, first: undefined };
  session.tx.delete(local.pkey, tableKey(table.lid, key, place));
  return over;
}

/** All that is noted under a row, the earliest first. */
export function notedUnder(
  session: Session,
  table: Table,
  key: RowKey,
  over: Over | undefined,
): readonly Noted[] {
  if (over === undefined) return [];
  const first = over.first === undefined ? [] : [over.first];
  if (!over.more) return first;
  const prefix = tableKey(table.lid, key);
  const more = session.tx
    .scan(local.pkey, prefix, endOf(prefix))
    .map(([at, flag]) => ({ place: at.subarray(prefix.length), entangled: flag[0] === 1 }));
  return [...first, ...more];
}
