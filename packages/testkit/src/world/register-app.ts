/**
 * A small kind of its own: rows of one value, the later clock stays, ties by seq. It needs no more
 * than the engine gives every kind, so a history with it is about the engine alone.
 */

import { decodeWith, Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { RunFrame } from "@tidelock/core/engine/api";
import type { Kind, Position } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import { type App, CANARY, type Edit, type EditKind, type Moment } from "./app.ts";

const SECTION = 2;
const ROWS = "x.row";
const PENDING = "x.pending";
/** Rows of this table are only ever written all at once, so that a view of a part of a run shows. */
const WHOLE = 0;
const WHOLE_ROWS = 4;
const KEYS = 6;
const LEAD = 60_000;
const EMPTY = new Uint8Array(0);

interface Change {
  readonly table: number;
  readonly key: number;
  readonly ms: number;
  /** 0 for a deletion. */
  readonly marker: number;
}

interface Section {
  readonly bytes: Uint8Array;
  readonly changes: readonly Change[];
}

interface Row {
  readonly ms: number;
  readonly seq: number;
  readonly marker: number;
}

const rowKey = (table: number, key: number): Uint8Array => Uint8Array.of(table, key);
const runKey = (id: number): Uint8Array => new Writer(4).u32(id).done();

function encode(changes: readonly Change[], canary: boolean): Uint8Array {
  const w = new Writer(64).v(changes.length);
  for (const c of changes) w.u8(c.table).u8(c.key).u48(c.ms).u48(c.marker);
  return w.fixed(canary ? CANARY : EMPTY).done();
}

function decode(bytes: Uint8Array): { changes: number; value: Section } | null {
  return decodeWith(bytes, (r) => {
    const changes: Change[] = [];
    for (let n = r.v(256); n > 0; n--)
      changes.push({ table: r.u8(), key: r.u8(), ms: r.u48(), marker: r.u48() });
    r.fixed(r.left);
    return { changes: changes.length, value: { bytes, changes } };
  });
}

function getRow(tx: Tx, table: number, key: number): Row | undefined {
  const bytes = tx.get(ROWS, rowKey(table, key));
  if (bytes === undefined) return undefined;
  const r = new Reader(bytes);
  return { ms: r.u48(), seq: r.v(), marker: r.u48() };
}

function apply(tx: Tx, sections: readonly Section[], at: Position): void {
  for (const { changes } of sections) {
    for (const change of changes) {
      const ms = Math.min(change.ms, at.time + LEAD);
      const old = getRow(tx, change.table, change.key);
      if (old !== undefined && (old.ms > ms || (old.ms === ms && old.seq > at.seq))) continue;
      const row = new Writer(24).u48(ms).v(at.seq).u48(change.marker).done();
      tx.put(ROWS, rowKey(change.table, change.key), row);
    }
  }
}

function createKind(): Kind<Section> {
  return {
    section: SECTION,
    name: "register",
    spaces: [
      { name: ROWS, digested: true },
      { name: PENDING, digested: false },
    ],
    decode,
    apply,
    hold: (tx, id, sections) => {
      const w = new Writer(256);
      for (const { bytes } of sections) w.bytes(bytes);
      tx.put(PENDING, runKey(id), w.done());
    },
    release: (tx, id) => tx.delete(PENDING, runKey(id)),
    settle: () => undefined,
  };
}

/** Truth with the unconfirmed changes of one key above it. */
function view(tx: Tx, table: number, key: number): Row | undefined {
  let shown = getRow(tx, table, key);
  for (const [, bytes] of tx.scan(PENDING, EMPTY, undefined)) {
    const r = new Reader(bytes);
    while (r.left > 0) {
      for (const change of decode(r.bytes(1 << 20))?.value.changes ?? []) {
        if (change.table !== table || change.key !== key) continue;
        if (shown === undefined || change.ms >= shown.ms)
          shown = { ms: change.ms, seq: Number.POSITIVE_INFINITY, marker: change.marker };
      }
    }
  }
  return shown;
}

export function createRegisterApp(): App {
  return { kind: createKind() as Kind, edit, halfShown, state };
}

function edit(tx: Tx, what: EditKind, moment: Moment): Edit {
  return what === "small"
    ? small(tx, moment)
    : whole(tx, moment, what === "big" ? moment.random.int(5, 80) : 1);
}

function small(tx: Tx, { random, now, marker }: Moment): Edit {
  const changes: Change[] = [];
  for (let n = random.int(1, 3); n > 0; n--) {
    const [table, key] = [random.int(1, 2), random.int(0, KEYS - 1)];
    const ms = Math.max(Math.floor(now), (view(tx, table, key)?.ms ?? 0) + 1, 0);
    changes.push({ table, key, ms, marker: random.chance(0.15) ? 0 : marker });
  }
  const last = changes.at(-1) as Change;
  return {
    frames: [frame(changes, marker)],
    shown: (after) => view(after, last.table, last.key)?.marker === last.marker,
  };
}

function whole(tx: Tx, { now, marker }: Moment, framesPerRow: number): Edit {
  let ms = Math.max(Math.floor(now), 0);
  for (let key = 0; key < WHOLE_ROWS; key++) ms = Math.max(ms, (view(tx, WHOLE, key)?.ms ?? 0) + 1);
  const frames: RunFrame[] = [];
  for (let i = 0; i < framesPerRow * WHOLE_ROWS; i++)
    frames.push(frame([{ table: WHOLE, key: i % WHOLE_ROWS, ms, marker }], marker * 0x1000 + i));
  return { frames, shown: (after) => view(after, WHOLE, 0)?.marker === marker };
}

/** `unique` makes the frame's bytes differ from those of every other edit. */
function frame(changes: readonly Change[], unique: number): RunFrame {
  const note: Change = { table: 255, key: 0, ms: 0, marker: unique };
  return { sections: new Map([[SECTION, encode([...changes, note], true)]]) };
}

function state(tx: Tx): string {
  const rows: string[] = [];
  for (let table = 0; table < 3; table++)
    for (let key = 0; key < KEYS; key++) rows.push(`${table}/${key}=${view(tx, table, key)?.marker ?? 0}`);
  return rows.join(" ");
}

function halfShown(tx: Tx): string | undefined {
  const markers = new Set<number>();
  for (let key = 0; key < WHOLE_ROWS; key++) markers.add(view(tx, WHOLE, key)?.marker ?? 0);
  return markers.size === 1 ? undefined : `rows written together show ${[...markers].join(", ")}`;
}
