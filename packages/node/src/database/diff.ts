/**
 * From touched keys to changes: each row is read as it is now and compared, value by value, with
 * what the file was last known to show. Entries of the outbox say only where to look, so too many
 * of them do no harm. Rules ATT11, ATT19, ATT24, ATT25.
 */
import type { Seq } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { changeBytes } from "@tidelock/core/kinds/tables/codec";
import { nextHlc } from "@tidelock/core/kinds/tables/hlc";
import { bornKey, bornOfKey } from "@tidelock/core/kinds/tables/key";
import type {
  Born,
  Cell,
  Hlc,
  NamedCell,
  RowKey,
  ShownRow,
  TableChange,
} from "@tidelock/core/kinds/tables/types";
import { sameCell } from "@tidelock/core/kinds/tables/value";
import type { AppFile } from "./file.ts";
import { type Lens, text } from "./lens.ts";
import type { Effect } from "./note.ts";
import { type Moved, type Outbox, slot } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import type { Registry } from "./registry.ts";
import { type FileKey, type FileValue, hasRow, keyOfRow, readRow } from "./rows.ts";

/** Deletions of one table beyond both are withheld until a person has looked. */
export const GUARD_ROWS = 100;
export const GUARD_SHARE = 0.2;

export interface DiffContext {
  readonly file: AppFile;
  readonly lens: Lens;
  readonly registry: Registry;
  /** Parents first. */
  readonly plans: readonly TablePlan[];
  readonly random: (n: number) => Uint8Array;
  /** What the author of these edits had seen. */
  readonly seen: Seq;
  /** Tables whose withheld deletions a person approved. */
  readonly approve: ReadonlySet<number>;
}

export interface Draft {
  readonly changes: readonly TableChange[];
  readonly approved: readonly TableChange[];
  readonly effects: readonly Effect[];
  readonly seen: Seq;
}

interface Deletion {
  readonly key: RowKey;
  readonly time: number;
  readonly clock: Hlc;
}

interface Subject {
  readonly key: RowKey;
  readonly time: number;
}

type Insert = Extract<TableChange, { op: "insert" }>;

/** Collects what one flush has to say. */
export class Differ {
  readonly #c: DiffContext;
  readonly #changes: TableChange[] = [];
  readonly #deletes: TableChange[][] = [];
  readonly #approved: TableChange[] = [];
  readonly effects: Effect[] = [];
  readonly #subjects = new Map<number, Map<string, Subject>>();
  readonly #moves: { readonly table: number; readonly from: FileKey; readonly to: FileKey }[] = [];
  #seen: Seq;
  /** Whether any row is withheld or set aside, and whether any is dirty: mostly none is, and no row need be asked for. */
  readonly #spares: boolean;
  readonly #dirty: boolean;

  constructor(context: DiffContext) {
    this.#c = context;
    this.#seen = context.seen;
    this.#spares = context.registry.sparesAny(context.lens.tx);
    this.#dirty = context.lens.tables.dirtyCount(context.lens.tx) > 0;
  }

  /** A row to look at; the last time given counts. */
  look(table: number, key: RowKey, time: number): void {
    let subjects = this.#subjects.get(table);
    if (subjects === undefined) {
      subjects = new Map();
      this.#subjects.set(table, subjects);
    }
    subjects.set(text(key), { key, time });
  }

  /** A row of the file, whichever row of the vault it is. */
  lookAt(plan: TablePlan, at: FileKey, time: number): void {
    if (plan.vault.minted) this.#meet(plan, at, time);
    else {
      const key = this.#c.lens.keyOf(plan, at);
      if (key !== undefined) this.look(plan.number, key, time);
    }
  }

  lookAll(outbox: Outbox): void {
    const { lens, plans } = this.#c;
    const byTable = new Map<number, { values: FileKey; time: number }[]>();
    for (const { table, values, time } of outbox.touched) {
      const plan = lens.plan(table);
      const list = byTable.get(table) ?? [];
      list.push({ values: inVaultOrder(plan, values), time });
      byTable.set(table, list);
    }
    // Rows as their numbers meant them before this flush: what was moved or deleted.
    for (const plan of plans) {
      for (const { values, time } of byTable.get(plan.number) ?? []) {
        const key = lens.keyOf(plan, values);
        if (key !== undefined) this.look(plan.number, key, time);
      }
    }
    this.#follow(outbox.moved);
    for (const plan of plans.filter((p) => p.vault.minted)) {
      for (const { values, time } of byTable.get(plan.number) ?? []) this.lookAt(plan, values, time);
    }
    // And as they mean them now, with the rows that came.
    for (const plan of plans.filter((p) => !p.vault.minted)) {
      for (const { values, time } of byTable.get(plan.number) ?? []) this.lookAt(plan, values, time);
    }
  }

  /** A minted row that stands at a number: known, or from now on known by a new `born`. */
  #meet(plan: TablePlan, values: FileKey, time: number): void {
    const { file, lens, random } = this.#c;
    const number = values[0];
    if (typeof number !== "bigint" || !hasRow(file, plan, values)) return;
    let born = lens.liveAt(plan.number, number);
    if (born === undefined) {
      born = random(8) as Born;
      this.#place(plan.number, born, number);
    }
    this.look(plan.number, bornKey(born), time);
  }

  /** The file shows a row at a number from now on. */
  #place(table: number, born: Born, number: bigint | undefined): void {
    this.#c.lens.set(table, born, number);
    this.effects.push({ kind: "number", table, born, number });
    // What the app wrote anew at a number is nobody's second image any more.
    if (number !== undefined && this.#c.registry.hasStray(this.#c.lens.tx, table, number)) {
      this.effects.push({ kind: "stray", table, number, there: false });
    }
  }

  /** Rows whose key changed, followed to where they stand now. */
  #follow(moved: readonly Moved[]): void {
    const { file, lens } = this.#c;
    // By where they ended so far: a long outbox is gone through once.
    const chains = new Map<string, { readonly table: number; readonly from: FileKey; to: FileKey }>();
    const ends = new Map<string, string>();
    for (const { table, from, to } of moved) {
      const [left, reached] = [slot(table, from), slot(table, to)];
      const start = ends.get(left) ?? left;
      const chain = chains.get(start);
      if (chain === undefined) chains.set(start, { table, from, to });
      else if (ends.delete(left)) chain.to = to;
      else continue; // another row, put where the first had been
      ends.set(reached, start);
    }
    for (const first of chains.values()) {
      const { to } = first;
      const plan = lens.plan(first.table);
      const [from, end] = [inVaultOrder(plan, first.from), inVaultOrder(plan, to)];
      if (hasRow(file, plan, from) || !hasRow(file, plan, end)) continue;
      if (!plan.vault.minted) {
        this.#moves.push({ table: plan.number, from, to: end });
        continue;
      }
      const [old, now] = [from[0], end[0]];
      if (typeof old !== "bigint" || typeof now !== "bigint") continue;
      const born = lens.liveAt(plan.number, old);
      if (born === undefined || lens.liveAt(plan.number, now) !== undefined) continue;
      this.#place(plan.number, born, now);
    }
  }

  finish(): Draft {
    for (const plan of this.#c.plans) this.#table(plan);
    const changes = [...this.#changes, ...this.#deletes.reverse().flat()];
    return { changes, approved: this.#approved, effects: this.effects, seen: this.#seen };
  }

  #table(plan: TablePlan): void {
    const subjects = this.#subjects.get(plan.number);
    const approving = this.#c.approve.has(plan.number);
    if (subjects === undefined && !approving) return;
    const inserts = new Map<string, Insert>();
    const gone = new Map<string, Deletion>();
    // A map may grow while it is walked: a key spelt otherwise brings the row that stands there.
    for (const subject of subjects?.values() ?? []) this.#row(plan, subject, inserts, gone);
    this.#combine(plan, inserts, gone);
    this.#changes.push(...inserts.values());
    this.#judge(plan, gone, approving);
  }

  #row(
    plan: TablePlan,
    { key, time }: Subject,
    inserts: Map<string, Insert>,
    gone: Map<string, Deletion>,
  ): void {
    const { file, lens, registry } = this.#c;
    const table = plan.number;
    const name = plan.vault.name;
    const fileKey = lens.fileKeyOf(plan, key);
    let row = fileKey === undefined ? undefined : readRow(file, plan, fileKey);
    if (row !== undefined) {
      const own = lens.keyOf(plan, keyOfRow(plan, row));
      if (own === undefined || !equalBytes(own, key)) {
        row = undefined;
        if (own !== undefined && !this.#subjects.get(table)?.has(text(own))) this.look(table, own, time);
      }
    }
    const shown = lens.resolved(lens.tables.shown(lens.tx, name, key));
    const held = this.#spares ? registry.held(lens.tx, table, key) : undefined;
    const aside = this.#spares ? registry.aside(lens.tx, table, key) : undefined;
    if (aside !== undefined) this.#seen = Math.min(this.#seen, aside.seen);
    if (row === undefined) {
      if (held !== undefined) return;
      if (aside !== undefined) this.effects.push({ kind: "retake", table, key });
      if (shown.cells !== undefined) gone.set(text(key), { key, time, clock: shown.clock });
      else this.#leave(plan, key);
      return;
    }
    if (held !== undefined) this.effects.push({ kind: "release", table, key });
    // Where nothing is dirty, the view shows no row either.
    const rest = shown.cells ?? (this.#dirty ? lens.tables.view(lens.tx, name, key).cells : undefined);
    const cells = lens.cellsOf(plan, row, rest);
    const change = this.#change(plan, key, cells, shown, time);
    if (change === undefined) {
      if (aside?.reason === "row-too-large") this.effects.push({ kind: "retake", table, key });
      return;
    }
    const why = tooLarge(change);
    if (why !== undefined) {
      this.effects.push({
        kind: "aside",
        table,
        key,
        aside: { reason: "row-too-large", text: why, clock: 0n, seen: this.#seen },
      });
      return;
    }
    if (aside?.reason === "row-too-large") this.effects.push({ kind: "retake", table, key });
    if (change.op === "insert") inserts.set(text(key), change);
    else this.#changes.push(change);
    const was = shown.cells !== undefined;
    this.effects.push({ kind: "shown", table, key, clock: change.hlc, cells, was });
  }

  #change(
    plan: TablePlan,
    key: RowKey,
    cells: readonly Cell[],
    shown: ShownRow,
    time: number,
  ): Extract<TableChange, { op: "set" | "insert" }> | undefined {
    const table = plan.vault.name;
    const hlc = nextHlc(time, shown.clock);
    const inFile = namedCells(plan, cells);
    // All columns: what an older row of this key had in them must not show through.
    if (shown.cells === undefined)
      return { op: "insert", table, key, hlc, cells: inFile.map(([, named]) => named) };
    const changed = inFile.filter(([i, [, cell]]) => !sameCell(cell, shown.cells?.[i]));
    return changed.length === 0
      ? undefined
      : { op: "set", table, key, hlc, cells: changed.map(([, named]) => named) };
  }

  /** An old key that is gone and a new one that was unknown are one move. */
  #combine(plan: TablePlan, inserts: Map<string, Insert>, gone: Map<string, Deletion>): void {
    const { lens } = this.#c;
    for (const move of this.#moves.filter((m) => m.table === plan.number)) {
      const [from, to] = [lens.keyOf(plan, move.from), lens.keyOf(plan, move.to)];
      if (from === undefined || to === undefined) continue;
      const [old, now] = [gone.get(text(from)), inserts.get(text(to))];
      if (old === undefined || now === undefined) continue;
      gone.delete(text(from));
      inserts.delete(text(to));
      const hlc = now.hlc > old.clock ? now.hlc : nextHlc(old.time, old.clock);
      this.#changes.push({ op: "move", table: now.table, key: old.key, to: now.key, hlc, cells: now.cells });
      const moved = { table: plan.number, key: old.key, clock: hlc, cells: undefined, was: true };
      this.effects.push({ kind: "shown", ...moved });
    }
  }

  #judge(plan: TablePlan, gone: ReadonlyMap<string, Deletion>, approving: boolean): void {
    const { lens, registry, file } = this.#c;
    const table = plan.number;
    const released = new Set(
      this.effects.flatMap((e) => (e.kind === "release" && e.table === table ? [text(e.key)] : [])),
    );
    const held = registry.helds(lens.tx, table).filter((h) => !released.has(text(h.key)));
    const waiting = approving ? 0 : held.length;
    const count = gone.size + waiting;
    const withhold = count > GUARD_ROWS && count > GUARD_SHARE * registry.rows(lens.tx, table);
    const deletes: TableChange[] = [];
    for (const d of gone.values()) {
      if (withhold)
        this.effects.push({ kind: "hold", table, key: d.key, time: clip(d.time), seen: this.#seen });
      else deletes.push(this.#delete(plan, d, true));
    }
    if (!withhold || approving) {
      for (const { key, held: h } of held) {
        const fileKey = lens.fileKeyOf(plan, key);
        this.effects.push({ kind: "release", table, key });
        if (fileKey !== undefined && hasRow(file, plan, fileKey)) continue;
        this.#seen = Math.min(this.#seen, h.seen);
        const { clock, cells } = lens.tables.shown(lens.tx, plan.vault.name, key);
        const deletion = this.#delete(plan, { key, time: h.time, clock }, cells !== undefined);
        (approving ? this.#approved : deletes).push(deletion);
      }
    }
    this.#deletes.push(deletes);
  }

  #delete(plan: TablePlan, { key, time, clock }: Deletion, was: boolean): TableChange {
    const hlc = nextHlc(time, clock);
    this.effects.push({ kind: "shown", table: plan.number, key, clock: hlc, cells: undefined, was });
    this.#leave(plan, key);
    return { op: "delete", table: plan.vault.name, key, hlc };
  }

  /** A minted row left its number, unless another took it in this same flush. */
  #leave(plan: TablePlan, key: RowKey): void {
    const born = plan.vault.minted ? bornOfKey(key) : undefined;
    if (born !== undefined)
      this.effects.push({ kind: "number", table: plan.number, born, number: undefined });
  }
}

/** Why a change cannot be sent; undefined for one that can. */
export function tooLarge(change: Exclude<TableChange, { readonly op: "schema" }>): string | undefined {
  if (change.key.length > limits.key)
    return `a key of ${change.key.length} bytes, the limit is ${limits.key}`;
  const cells = change.op === "delete" ? [] : change.cells;
  // Names and counts add less than this to the cells; only what is near the limit is measured.
  const about = cells.reduce(
    (sum, [name, cell]) => sum + 3 * name.length + cell.length + 8,
    1024 + change.key.length,
  );
  const bytes = about < limits.change ? 0 : changeBytes(change);
  return bytes > limits.change ? `${bytes} bytes, the limit is ${limits.change}` : undefined;
}

/** By index in the vault's declaration; the key of a natural row speaks for itself. */
export function namedCells(plan: TablePlan, cells: readonly Cell[]): (readonly [number, NamedCell])[] {
  const out: (readonly [number, NamedCell])[] = [];
  for (const i of plan.toVault) {
    if (!plan.vault.minted && plan.vault.key.includes(i)) continue;
    out.push([i, [plan.vault.columns[i]?.name as string, cells[i] as Cell]]);
  }
  return out;
}

/** The outbox names keys in the file's order of key columns. */
function inVaultOrder(plan: TablePlan, values: readonly FileValue[]): FileKey {
  const fileKey = plan.file.declaration.key;
  return plan.key.map((column) => values[fileKey.indexOf(column)] as FileValue);
}

/** A clock of an app can say anything; what is stored is ms in 48 bits. */
function clip(time: number): number {
  return Math.min(Math.max(0, Math.floor(time)), 2 ** 48 - 1);
}
