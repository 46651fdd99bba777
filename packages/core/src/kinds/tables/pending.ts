/**
 * Where unconfirmed changes wait: whole sections by run and frame. Each row knows the changes that
 * touch it (`over.ts`). Most changes store the one row they name; the few that do more have all
 * their rows written down (`notes`).
 */
import { readU64Key, u64Key } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { decodeSection, encodeSection } from "./codec.ts";
import type { Session, Table } from "./session.ts";
import { local, placeKey, readU16, tableKey, textOf } from "./spaces.ts";
import type { RowKey, TableChange, TablesSection } from "./types.ts";

/** A row that has to be judged again with a change. */
export interface Note {
  readonly table: Table;
  readonly key: RowKey;
}

/** A change that waits. Its place is its run and, in four bytes, frame and number in the frame. */
export interface Waiting {
  readonly run: number;
  readonly place: Uint8Array;
  readonly seen: number;
  readonly change: TableChange;
}

/** Decoded sections kept at a time within a transaction. */
const KEPT = 64;
const FRAME = 0x1_0000;

/** Sections as frames would have them: what is put can be read back. */
export function frames(sections: readonly TablesSection[]): TablesSection[] {
  return sections.flatMap((section) => {
    const parts: TablesSection[] = [];
    for (let i = 0; i < section.changes.length; i += limits.changesPerFrame)
      parts.push({ ...section, changes: section.changes.slice(i, i + limits.changesPerFrame) });
    return parts;
  });
}

export function putSection(session: Session, run: number, frame: number, section: TablesSection): void {
  session.tx.put(local.pend, placeKey(run, frame), encodeSection(section));
}

export function placeOf(run: number, frame: number, i: number): Uint8Array {
  return placeKey(run, frame * FRAME + i);
}

/** Writes down the rows of a change that looked beyond the one it names. */
export function putNotes(session: Session, place: Uint8Array, notes: readonly Note[]): void {
  const writer = new Writer(64).v(notes.length);
  for (const { table, key } of notes) writer.fixed(tableKey(table.lid)).bytes(key);
  session.tx.put(local.pnote, place, writer.done());
}

/** What `putNotes` wrote for the changes of a run, by their places as text. */
export function notesOfRun(session: Session, run: number): ReadonlyMap<string, readonly Note[]> {
  const written = session.tx.scan(local.pnote, u64Key(run), u64Key(run + 1));
  return new Map(written.map(([place, bytes]) => [textOf(place), readNotes(session, bytes)]));
}

function readNotes(session: Session, bytes: Uint8Array): readonly Note[] {
  const reader = new Reader(bytes);
  const notes: Note[] = [];
  for (let n = reader.v(); n > 0; n--) {
    const table = session.tableByLid(readU16(reader.fixed(2))) as Table;
    notes.push({ table, key: reader.bytes(limits.row) as RowKey });
  }
  return notes;
}

/** All changes that wait, or those of one run, in their order. */
export function* waiting(session: Session, run?: number): Generator<Waiting> {
  const from = u64Key(run ?? 0);
  const to = run === undefined ? undefined : u64Key(run + 1);
  for (const [at, bytes] of session.tx.scan(local.pend, from, to)) {
    const { seen, changes } = decodeSection(bytes) as TablesSection;
    const id = readU64Key(at);
    const frame = new Reader(at.subarray(8)).u32();
    for (const [i, change] of changes.entries())
      yield { run: id, place: placeOf(id, frame, i), seen, change };
  }
}

/** The change that waits at a place. */
export function waitingAt(session: Session, place: Uint8Array): Waiting {
  const run = readU64Key(place);
  const ord = new Reader(place.subarray(8)).u32();
  const at = placeKey(run, Math.floor(ord / FRAME));
  const text = textOf(at);
  let section = session.sections.get(text);
  if (section === undefined) {
    section = decodeSection(session.tx.get(local.pend, at) as Uint8Array) as TablesSection;
    if (session.sections.size >= KEPT) session.sections.clear();
    session.sections.set(text, section);
  }
  return { run, place, seen: section.seen, change: section.changes[ord % FRAME] as TableChange };
}

/** Whether any change that waits looked beyond the row it names. */
export function anyNotes(session: Session): boolean {
  return session.tx.last(local.pnote, u64Key(0), undefined) !== undefined;
}

export function anyWaiting(session: Session): boolean {
  return session.tx.last(local.pend, u64Key(0), undefined) !== undefined;
}
