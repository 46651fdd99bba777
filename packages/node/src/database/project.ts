/** From the vault to the app's file, slice by slice. Rules ATT15 to ATT17, ATT26, ATT29. */
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import { sameCell } from "@tidelock/core/kinds/tables/value";
import type { Tx } from "@tidelock/core/log/tx";
import { applySlice, hasFighters, type Outcome, RowRollsBack } from "./apply.ts";
import {
  adoptNote,
  type Core,
  carries,
  lensOf,
  point,
  positionOf,
  runsOf,
  seenNow,
  writeNote,
} from "./core.ts";
import type { Draft } from "./diff.ts";
import { putRight } from "./fighters.ts";
import { flushOnce, keyWidths, startDiff } from "./flush.ts";
import { text } from "./lens.ts";
import type { Effect, Note } from "./note.ts";
import { outboxIsEmpty, readOutbox } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { type Op, planSlice, type Slice } from "./slice.ts";
import { suspendTriggers } from "./suspend.ts";
import { encodeToken, nextToken } from "./token.ts";
import { readMeta, writeToken } from "./triggers.ts";

/** Up to here all that waits is one transaction of the file: the app sees it whole (20 to 50 ms). */
export const WHOLE = 2000;
/** Beyond, slices aim at this many ms of the app's write lock. */
const TARGET = 20;
const START = 500;
const SMALLEST = 50;
/** At least this long between slices, ms: a waiting writer of SQLite's sleeps up to 100. */
const REST = 10;
/** How often an unflushed edit sends a slice back before the flush happens inside it. */
const TRIES = 3;

export interface ProjectResult {
  readonly kind: "done" | "busy" | "moved";
  readonly rows: number;
  readonly slices: number;
  readonly refused: number;
  /** Runs of edits that were met on the way and flushed. */
  readonly runs: readonly number[];
}

/** What one attachment remembers between slices, in memory only. */
export interface Pace {
  /** Rows per slice of a long projection. */
  size: number;
  /** Per table, how often it was touched: a refused row is tried again after that. */
  readonly touches: Map<number, number>;
  /** When a row set aside was tried last, in touches of its table. */
  readonly tried: Map<string, number>;
}

export function newPace(): Pace {
  return { size: START, touches: new Map(), tried: new Map() };
}

export function touch(pace: Pace, table: number): void {
  pace.touches.set(table, (pace.touches.get(table) ?? 0) + 1);
}

type Attempt =
  | { readonly kind: "nothing" | "busy" | "moved" | "unflushed" }
  | {
      readonly kind: "done";
      readonly outcome: Outcome;
      readonly runs: readonly number[];
      readonly complete: boolean;
      readonly strays: number;
      /** How long the app could not write, ms. */
      readonly locked: number;
    };

export async function project(core: Core, pace: Pace): Promise<ProjectResult> {
  const total = { rows: 0, slices: 0, refused: 0 };
  const runs: number[] = [];
  const postponed = new Set<string>();
  /** How often a row was written: one that stays dirty all the same is left for the next time. */
  const written = new Map<string, number>();
  const stuck = new Set<string>();
  let unflushed = 0;
  let rowsBefore = -1;
  let alone = false;
  for (;;) {
    const given = new Set([...postponed, ...stuck]);
    const attempt = await oneSlice(core, pace, given, { join: unflushed >= TRIES - 1, alone });
    switch (attempt.kind) {
      case "busy":
      case "moved":
        return { kind: attempt.kind, ...total, runs };
      case "nothing":
        if (postponed.size === 0) {
          forgive(core);
          return { kind: "done", ...total, runs };
        }
        // Only blocked rows are left. If another pass over them moves none, they have nobody to wait for.
        alone = total.rows === rowsBefore;
        rowsBefore = total.rows;
        postponed.clear();
        continue;
      case "unflushed": {
        unflushed++;
        const flushed = await flushOnce(core);
        if (flushed.kind !== "done") return { kind: flushed.kind, ...total, runs };
        for (const table of flushed.tables) touch(pace, table);
        runs.push(...flushed.runs);
        continue;
      }
      case "done":
        break;
    }
    unflushed = 0;
    const { outcome } = attempt;
    runs.push(...attempt.runs);
    total.rows += outcome.done.length;
    total.refused += outcome.refused.length;
    total.slices++;
    for (const table of new Set(outcome.done.map((op) => op.plan.number))) touch(pace, table);
    for (const { op } of outcome.refused)
      pace.tried.set(slotOf(op.plan, op.key), pace.touches.get(op.plan.number) ?? 0);
    for (const { op } of outcome.blocked) postponed.add(slotOf(op.plan, op.key));
    for (const op of outcome.done) {
      const slot = slotOf(op.plan, op.key);
      const times = (written.get(slot) ?? 0) + 1;
      written.set(slot, times);
      if (times >= TRIES) stuck.add(slot);
    }
    if (outcome.done.length + outcome.refused.length + outcome.blocked.length + attempt.strays === 0) {
      return { kind: "done", ...total, runs };
    }
    if (!attempt.complete) {
      adapt(pace, attempt.locked);
      await core.file.rest(Math.max(attempt.locked, REST));
    }
  }
}

/** A row set aside that the vault no longer asks for: its cause went away by itself. */
function forgive(core: Core): void {
  const gone = core.engine.read((tx) =>
    core.registry.asides(tx).filter(({ table, key, aside }) => {
      const name = core.byNumber.get(table)?.vault.name;
      if (name === undefined || aside.reason === "row-too-large") return false;
      const [shown, view] = [core.tables.shown(tx, name, key).cells, core.tables.view(tx, name, key).cells];
      if (shown === undefined || view === undefined) return shown === view;
      return view.every((cell, i) => sameCell(cell, shown[i]));
    }),
  );
  if (gone.length === 0) return;
  core.engine.write((tx) => {
    for (const { table, key } of gone) core.registry.dropAside(tx, table, key);
  });
}

function adapt(pace: Pace, took: number): void {
  const factor = Math.min(2, Math.max(0.5, TARGET / Math.max(took, 1)));
  pace.size = Math.min(WHOLE, Math.max(SMALLEST, Math.round(pace.size * factor)));
}

async function oneSlice(
  core: Core,
  pace: Pace,
  postponed: ReadonlySet<string>,
  how: { readonly join: boolean; readonly alone: boolean },
): Promise<Attempt> {
  const { engine, file } = core;
  const refusedNow = new Set<string>();
  for (;;) {
    const skip = skipper(core, pace, new Set([...postponed, ...refusedNow]));
    const expected = engine.read((tx) => encodeToken(positionOf(core, tx).token));
    const slice = engine.read((tx) => {
      const limit = core.tables.dirtyCount(tx) <= WHOLE ? WHOLE : pace.size;
      return planSlice(core, tx, { limit, skip: (plan, key) => skip(tx, plan, key) });
    });
    if (slice.ops.length === 0 && slice.strays.length === 0) return { kind: "nothing" };
    point(core, "slice-planned");
    const note = noteFor(core, slice.ops, []);
    writeNote(core, note);
    point(core, "slice-noted");
    try {
      const last = how.alone || (postponed.size === 0 && slice.complete);
      let begun = 0;
      const locked = await file.write(() => {
        begun = core.deps.clock.mono();
        return inFile(core, slice, expected, note, { join: how.join, last, skip });
      });
      const held = core.deps.clock.mono() - begun;
      if (locked.kind === "busy" || locked.value === "unflushed" || locked.value === "moved") {
        engine.write((tx) => core.registry.dropNote(tx));
        return { kind: locked.kind === "busy" ? "busy" : (locked.value as "unflushed" | "moved") };
      }
      const written = locked.value;
      point(core, "slice-committed");
      const runs = engine.write((tx) => adoptNote(core, tx, written.note));
      point(core, "slice-adopted");
      const strays = slice.strays.length;
      return { kind: "done", outcome: written.outcome, runs, complete: slice.complete, strays, locked: held };
    } catch (error) {
      if (!(error instanceof RowRollsBack)) throw error;
      // Alone it goes into the list of refused rows, so that the others can be written.
      const { plan, key, clock } = error.place;
      if (key === undefined) throw error;
      refusedNow.add(slotOf(plan, key));
      engine.write((tx) => {
        core.registry.dropNote(tx);
        const aside = { reason: "row-refused", text: error.message, clock, seen: slice.applied } as const;
        core.registry.putAside(tx, plan.number, key, aside);
      });
      pace.tried.set(slotOf(plan, key), pace.touches.get(plan.number) ?? 0);
    }
  }
}

type Skip = (tx: Tx, plan: TablePlan, key: RowKey) => boolean;

interface Writing {
  readonly join: boolean;
  /** Nothing else waits: a row that is still blocked has nobody to wait for. */
  readonly last: boolean;
  readonly skip: Skip;
}

/** Inside the file's transaction: nothing is written over an edit that was not read. */
function inFile(
  core: Core,
  planned: Slice,
  expected: Uint8Array,
  plannedNote: Note,
  w: Writing,
): { readonly note: Note; readonly outcome: Outcome } | "unflushed" | "moved" {
  const { file, engine } = core;
  point(core, "slice-begun");
  if (!carries(core, expected)) return "moved";
  // What was planned, and what the outbox names, is of the tables as they were.
  if (file.pragma("schema_version") !== plannedNote.schema) return "moved";
  let slice = planned;
  let draft: Draft | undefined;
  if (!outboxIsEmpty(file)) {
    if (!w.join) return "unflushed";
    // The lock is ours, so nothing can come after this: what is in the outbox is flushed here, and
    // the rows it names are left for the next slice.
    draft = engine.read((tx) => {
      const differ = startDiff(
        core,
        lensOf(core, tx),
        seenNow(core, tx, readMeta(file.db, file.path)?.projected ?? 0),
      );
      differ.lookAll(readOutbox(file, keyWidths(core.plans), undefined));
      return differ.finish();
    });
    const read = new Set(draft.effects.flatMap((e) => ("key" in e ? [`${e.table}:${text(e.key)}`] : [])));
    slice = engine.read((tx) =>
      planSlice(core, tx, {
        limit: planned.ops.length,
        skip: (plan, key) => w.skip(tx, plan, key) || read.has(slotOf(plan, key)),
        keepNumbers: true,
      }),
    );
    file.db.exec("DELETE FROM _tl_out");
  }
  const plans = new Set(slice.ops.map((op) => op.plan));
  const fighting = hasFighters(plans);
  if (!fighting) file.db.exec("UPDATE _tl_flag SET cap = 0");
  const restore = suspendTriggers(file, fighting ? core.plans : plans);
  point(core, "slice-suspended");
  const { outcome, fights } = engine.read((tx) => {
    const result = applySlice(core, tx, slice);
    return { outcome: result, fights: fighting ? putRight(core, tx, result.done, slice.applied) : [] };
  });
  point(core, "slice-written");
  restore?.();
  if (!fighting) file.db.exec("UPDATE _tl_flag SET cap = 1");
  point(core, "slice-restored");
  const refused = w.last && draft === undefined ? [...outcome.refused, ...outcome.blocked] : outcome.refused;
  const blocked = w.last && draft === undefined ? [] : outcome.blocked;
  const effects: Effect[] = refused.map(({ op, text: words }) => ({
    kind: "aside",
    table: op.plan.number,
    key: op.key,
    aside: { reason: "row-refused", text: words, clock: op.clock, seen: slice.applied },
  }));
  for (const { plan, number } of slice.strays)
    effects.push({ kind: "stray", table: plan.number, number, there: false });
  const all = slice.complete && blocked.length === 0 && draft === undefined;
  const asPlanned =
    slice === planned &&
    restore === undefined &&
    effects.length === 0 &&
    fights.length === 0 &&
    outcome.done.length === slice.ops.length;
  let note = plannedNote;
  if (!asPlanned) {
    // The note must say what was written, not what was meant, before the file can say that it was.
    const also = [...(draft?.effects ?? []), ...effects, ...fights];
    note = { ...noteFor(core, outcome.done, also), schema: file.pragma("schema_version") };
    if (draft !== undefined) {
      note = {
        ...note,
        runs: [
          ...runsOf(core, draft.changes, draft.seen, false),
          ...runsOf(core, draft.approved, draft.seen, true),
        ],
      };
    }
    writeNote(core, note);
  }
  writeToken(file.db, encodeToken(note.token), all ? slice.applied : undefined);
  return { note, outcome: { done: outcome.done, refused, blocked } };
}

function noteFor(core: Core, done: readonly Op[], also: readonly Effect[]): Note {
  const { token, schema } = core.engine.read((tx) => positionOf(core, tx));
  return {
    token: nextToken(token),
    schema,
    runs: [],
    effects: [...done.flatMap((op) => op.effects), ...also],
  };
}

/** Rows to leave alone: withheld deletions, rows set aside whose cause is still there, and those given. */
function skipper(core: Core, pace: Pace, given: ReadonlySet<string>): Skip {
  const spares = core.engine.read((tx) => core.registry.sparesAny(tx));
  return (tx, plan, key) => {
    if (!spares && given.size === 0) return false;
    const slot = slotOf(plan, key);
    if (given.has(slot) || core.registry.held(tx, plan.number, key) !== undefined) return true;
    const aside = core.registry.aside(tx, plan.number, key);
    if (aside === undefined) return false;
    if (aside.reason === "row-too-large") return true;
    const newer = core.tables.view(tx, plan.vault.name, key).clock !== aside.clock;
    if (newer) return false;
    if (aside.reason === "trigger-fights") return true;
    const tried = pace.tried.get(slot);
    return tried !== undefined && tried >= (pace.touches.get(plan.number) ?? 0);
  };
}

function slotOf(plan: TablePlan, key: RowKey): string {
  return `${plan.number}:${text(key)}`;
}
