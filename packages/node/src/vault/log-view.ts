/** The log as a person with the key reads it: one line an entry, or one entry whole. */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { type Entry, entriesAfter, getCursor, getEntry } from "@tidelock/core/engine/entries";
import { getVerdict } from "@tidelock/core/engine/verdicts";
import { TidelockError } from "@tidelock/core/errors";
import { decodeSection as decodeFiles } from "@tidelock/core/kinds/files/codec";
import { decodeSection } from "@tidelock/core/kinds/tables/codec";
import { hlcMs } from "@tidelock/core/kinds/tables/hlc";
import type { RowKey, TableChange, TableDeclaration } from "@tidelock/core/kinds/tables/types";
import { integerCell } from "@tidelock/core/kinds/tables/value";
import { type Frame, frameFlags, frameKinds, openFrame, parseFrame } from "@tidelock/core/log/frame";
import { createHousekeeping, HOUSEKEEPING } from "@tidelock/core/log/housekeeping";
import { decodePlaintext, decodeSections, type Sections } from "@tidelock/core/log/plaintext";
import type { Tx } from "@tidelock/core/log/tx";
import { parseBody } from "@tidelock/core/vault/records";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";
import { type JsonValue, jsonOfCell, jsonOfKey } from "./values.ts";

export const TABLES_SECTION = 2;
const FILES_SECTION = 3;

export interface LogLine {
  readonly seq: number;
  /** When the remote received it, RFC 3339; absent for garbage. */
  readonly time?: string;
  readonly device?: number;
  readonly deviceName?: string;
  readonly kind: "data" | "membership" | "garbage";
  /** `accepted`, `waiting` for its turn, or why it has no effect. */
  readonly verdict: string;
  readonly changes: number;
  readonly summary: string;
}

export interface LogChange {
  readonly op: TableChange["op"];
  readonly table: string;
  readonly key?: JsonValue | readonly JsonValue[];
  /** The author's clock. */
  readonly time?: string;
  readonly cells?: Readonly<Record<string, JsonValue>>;
}

export interface LogEntry extends LogLine {
  readonly bytes: number;
  readonly id: string;
  readonly chain: string;
  readonly deviceSeq?: number;
  readonly epoch?: number;
  /** The newest entry its author had verified. */
  readonly anchor?: number;
  readonly run?: "alone" | "first" | "middle" | "last";
  readonly records?: readonly string[];
  /** Present where this device has the key. */
  readonly content?: readonly LogChange[];
}

/** From an entry on, or the newest ones. */
export function logLines(session: Session, from: number | undefined, limit: number): readonly LogLine[] {
  return session.replica.read((tx) => {
    const after = from === undefined ? getCursor(tx).read - limit : from - 1;
    return entriesAfter(tx, Math.max(0, after), limit).map((entry) => lineOf(session, tx, entry));
  });
}

export function logEntry(session: Session, seq: number): LogEntry {
  return session.replica.read((tx) => {
    const entry = getEntry(tx, seq);
    if (entry === undefined)
      throw new TidelockError("not-found", {
        why: `this device holds entries 1 to ${getCursor(tx).read}`,
        next: "tidelock log",
      });
    const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
    const content = frame === null ? undefined : changesOf(session, tx, frame);
    return {
      ...lineOf(session, tx, entry),
      bytes: entry.frame?.length ?? 0,
      id: toHex(entry.id),
      chain: toHex(entry.link.hash),
      ...optional("deviceSeq", frame?.deviceSeq),
      ...optional("epoch", frame?.epoch),
      ...optional("anchor", frame?.anchorSeq),
      ...(frame?.kind === frameKinds.data ? { run: runPart(frame) } : {}),
      ...optional("records", frame === null ? undefined : recordsOf(frame)),
      ...optional(
        "content",
        content?.map((change) => describeChange(session, tx, change)),
      ),
    };
  });
}

/** Reads the whole log, so only where no row has the number now. */
export function onceNumbered(
  session: Session,
  tx: Tx,
  d: TableDeclaration,
  number: bigint,
): readonly RowKey[] {
  const column = d.columns[d.key[0] as number]?.name;
  const wanted = integerCell(number);
  const found: RowKey[] = [];
  for (let seq = 0; ; ) {
    const batch = entriesAfter(tx, seq, 256);
    for (const entry of batch) {
      seq = entry.seq;
      const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
      for (const change of (frame === null ? undefined : changesOf(session, tx, frame)) ?? []) {
        if (change.op === "schema" || change.op === "delete" || change.table !== d.name) continue;
        if (change.cells.some(([name, cell]) => name === column && equalBytes(cell, wanted)))
          found.unshift(change.key.slice() as RowKey);
      }
    }
    if (batch.length === 0) return found;
  }
}

function lineOf(session: Session, tx: Tx, entry: Entry): LogLine {
  const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
  const verdict = getVerdict(tx, entry.seq);
  const judged = verdict === undefined ? "waiting" : verdict.reason === "" ? "accepted" : verdict.reason;
  if (frame === null)
    return { seq: entry.seq, kind: "garbage", verdict: judged, changes: 0, summary: "not an entry" };
  const name = session.replica.membership.deviceName(tx, frame.device);
  const head = {
    seq: entry.seq,
    time: new Date(entry.time).toISOString(),
    device: frame.device,
    ...optional("deviceName", name),
    verdict: judged,
  };
  if (frame.kind === frameKinds.membership) {
    const records = recordsOf(frame) ?? [];
    return { ...head, kind: "membership", changes: records.length, summary: records.join(", ") };
  }
  const sections = sectionsOf(session, tx, frame);
  const [changes, others] = [tablesIn(sections), sections === undefined ? [] : otherChanges(sections)];
  return {
    ...head,
    kind: "data",
    changes: (changes?.length ?? 0) + others.length,
    summary: changes === undefined ? "sealed" : summarise(changes, others),
  };
}

function recordsOf(frame: Frame): readonly string[] | undefined {
  return frame.kind === frameKinds.membership ? parseBody(frame.body)?.records.map((r) => r.type) : undefined;
}

function runPart(frame: Frame): NonNullable<LogEntry["run"]> {
  const more = (frame.flags & frameFlags.more) !== 0;
  const continues = (frame.flags & frameFlags.continues) !== 0;
  if (more) return continues ? "middle" : "first";
  return continues ? "last" : "alone";
}

function changesOf(session: Session, tx: Tx, frame: Frame): readonly TableChange[] | undefined {
  return tablesIn(sectionsOf(session, tx, frame));
}

function tablesIn(sections: Sections | undefined): readonly TableChange[] | undefined {
  const section = sections?.get(TABLES_SECTION);
  if (sections === undefined) return undefined;
  return section === undefined ? [] : decodeSection(section)?.changes;
}

/** What is done to files, and said of what is stored: words without a name. */
export function otherChanges(sections: Sections): readonly string[] {
  const [files, stored] = [sections.get(FILES_SECTION), sections.get(HOUSEKEEPING)];
  const records = stored === undefined ? undefined : createHousekeeping().decode(stored)?.value;
  return [
    ...(records ?? []).map((record) => (record.kind === "stored" ? "store pack" : "give up packs")),
    ...((files === undefined ? undefined : decodeFiles(files)?.changes) ?? []).map(
      (change) => `${change.do} ${change.do === "mkdir" ? "folder" : "file"}`,
    ),
  ];
}

/** Undefined for a frame that this device cannot open or read. */
function sectionsOf(session: Session, tx: Tx, frame: Frame): Sections | undefined {
  const { replica, suite } = session;
  if (frame.kind !== frameKinds.data) return undefined;
  const author = replica.membership.device(tx, frame.device);
  const key =
    author === undefined ? undefined : replica.ring.frameKey(tx, frame.epoch, author.id, frame.device);
  const plain = key === undefined ? null : openFrame(suite, replica.vault, frame, key);
  const text = plain === null ? undefined : decodePlaintext(suite, plain);
  return (text?.kind === "ok" ? decodeSections(text.changes) : null) ?? undefined;
}

/** What is done how often to which table; no value. */
export function summarise(changes: readonly TableChange[], others: readonly string[] = []): string {
  const countByWhat = new Map<string, number>();
  for (const what of [...changes.map((change) => `${verbs[change.op]} ${tableOf(change)}`), ...others]) {
    countByWhat.set(what, (countByWhat.get(what) ?? 0) + 1);
  }
  const parts = [...countByWhat].map(([what, n]) => (n === 1 ? what : `${what} ×${n}`));
  return parts.length === 0 ? "attests the log" : parts.join(", ");
}

const verbs: Readonly<Record<TableChange["op"], string>> = {
  set: "set",
  insert: "insert",
  delete: "delete",
  move: "move",
  schema: "declare",
  found: "found",
};

function tableOf(change: TableChange): string {
  return change.op === "schema" ? change.declaration.name : change.table;
}

export function describeChange(session: Session, tx: Tx, change: TableChange): LogChange {
  const table = tableOf(change);
  if (change.op === "schema") return { op: change.op, table };
  const cells =
    change.op === "delete"
      ? undefined
      : Object.fromEntries(change.cells.map(([column, cell]) => [column, jsonOfCell(cell)]));
  return {
    op: change.op,
    table,
    key: jsonOfKey(tx, session.tables, table, change.key),
    ...(change.op === "found" ? {} : { time: new Date(hlcMs(change.hlc)).toISOString() }),
    ...optional("cells", cells),
  };
}
