/** Writes down what a change to truth replaced, who lost to whom, and what had no effect. */
import type { At, Effect, Recorder } from "./apply.ts";
import { type HistoryCell, runAt, writeHistory } from "./history.ts";
import { hasOpen, type Judged, type NoopReason, settleOpen, writeConflict, writeNoop } from "./journal.ts";
import { bornKey } from "./key.ts";
import { type Clock, decodeRow, hlcOf, isAlive, newestClock } from "./row.ts";
import type { Session, Table } from "./session.ts";
import { confirmed, tableKey } from "./spaces.ts";
import type { Cell, ConflictSide, RowKey } from "./types.ts";
import { sameCell } from "./value.ts";

export class RunRecorder implements Recorder {
  readonly #session: Session;
  /** Of the section whose changes are being reduced. */
  at: At;
  /** Of the change being reduced, among those of its run. */
  index = 0;
  #history = 0;
  #conflicts = 0;
  readonly #open = new Map<Table, boolean>();

  constructor(session: Session, at: At) {
    this.#session = session;
    this.at = at;
  }

  noop(table: string, reason: NoopReason): void {
    writeNoop(this.#session.tx, { seq: this.at.seq, index: this.index, table, reason });
  }

  effect(effect: Effect): void {
    const { table, key, before, op } = effect;
    const { tx } = this.#session;
    const id = table.id as number;
    if (op !== "found" && this.#hasOpen(table)) settleOpen(tx, id, key, this.at.seen);
    if (before !== undefined || op === "delete") {
      const place = { seq: this.at.seq, i: this.#history++ };
      writeHistory(tx, id, key, place, { op, clock: effect.clock, cells: effect.cells });
    }
    if (before !== undefined) this.#judge(effect, before);
    if (effect.lostNumber !== undefined) this.#judgeNumber(effect, effect.lostNumber);
  }

  leftBehind(table: Table, key: RowKey, clock: Clock, cells: readonly HistoryCell[]): void {
    for (const group of this.#bySeq(cells.filter((c) => this.#concurrent(c.before?.clock.seq)))) {
      this.#conflict(table, key, {
        reason: "edit",
        columns: group.map((c) => c.column),
        winner: this.#mine(
          clock,
          group.map((c) => c.after),
        ),
        loser: this.#theirs(
          group[0]?.before?.clock as Clock,
          group.map((c) => c.before?.cell),
        ),
      });
    }
  }

  #judge(effect: Effect, before: NonNullable<Effect["before"]>): void {
    const { op, after } = effect;
    const lived = isAlive(before);
    const lives = isAlive(after);
    if (op === "delete") {
      if (lived) this.#judgeDelete(effect, before, lives);
      return;
    }
    if (lived && lives) this.#judgeCells(effect);
    else if (before.del !== undefined && this.#concurrent(before.del.seq))
      this.#judgeDeleted(effect, before.del, lives);
  }

  /** Two edits of a cell. */
  #judgeCells(effect: Effect): void {
    const found = effect.op === "found";
    const differing = effect.cells.filter(
      (c) =>
        c.before !== undefined &&
        !sameCell(c.before.cell, c.after) &&
        (found || this.#concurrent(c.before.clock.seq)),
    );
    for (const won of [true, false]) {
      for (const group of this.#bySeq(differing.filter((c) => c.won === won))) {
        const mine = this.#mine(
          effect.clock,
          group.map((c) => c.after),
        );
        const theirs = this.#theirs(
          group[0]?.before?.clock as Clock,
          group.map((c) => c.before?.cell),
        );
        this.#conflict(effect.table, effect.key, {
          reason: found ? "first-attach" : "edit",
          columns: group.map((c) => c.column),
          winner: won ? mine : theirs,
          loser: won ? theirs : mine,
        });
      }
    }
  }

  /** A deletion by someone who had not seen the newest edits. */
  #judgeDelete(effect: Effect, before: NonNullable<Effect["before"]>, lives: boolean): void {
    const deletion = this.#mine(effect.clock, undefined);
    const unseen: HistoryCell[] = [];
    before.cells.forEach((state, column) => {
      if (state !== undefined && this.#concurrent(state.clock.seq))
        unseen.push({ column, before: state, after: state.cell, won: !lives });
    });
    if (lives) {
      const newest = newestClock(before) as Clock;
      if (!this.#concurrent(newest.seq)) return;
      const cells = unseen.filter((c) => c.before?.clock.seq === newest.seq);
      this.#conflict(effect.table, effect.key, {
        reason: "delete",
        columns: cells.map((c) => c.column),
        winner: this.#theirs(
          newest,
          cells.map((c) => c.after),
        ),
        loser: deletion,
      });
      return;
    }
    for (const group of this.#bySeq(unseen)) {
      this.#conflict(effect.table, effect.key, {
        reason: "delete",
        columns: group.map((c) => c.column),
        winner: deletion,
        loser: this.#theirs(
          group[0]?.before?.clock as Clock,
          group.map((c) => c.after),
        ),
      });
    }
  }

  /** An edit of a row whose deletion its author had not seen. */
  #judgeDeleted(effect: Effect, del: Clock, lives: boolean): void {
    // A new row under the key of a deleted one takes nothing from anybody.
    if (lives && (effect.op === "insert" || effect.op === "found")) return;
    const mine = this.#mine(
      effect.clock,
      effect.cells.map((c) => c.after),
    );
    const deletion = this.#theirs(del, undefined);
    this.#conflict(effect.table, effect.key, {
      reason: "delete",
      columns: effect.cells.map((c) => c.column),
      winner: lives ? mine : deletion,
      loser: lives ? deletion : mine,
    });
  }

  #judgeNumber(effect: Effect, lost: NonNullable<Effect["lostNumber"]>): void {
    const { table, key, clock } = effect;
    const holder = this.#session.tx.get(confirmed.row, tableKey(table.id as number, bornKey(lost.born)));
    const column = table.truth?.declaration.key[0] as number;
    const ins = holder === undefined ? undefined : decodeRow(holder).ins;
    this.#conflict(table, key, {
      reason: "number",
      columns: [column],
      winner: this.#theirs(ins ?? clock, [lost.asked]),
      loser: this.#mine(clock, [lost.asked]),
    });
  }

  #conflict(table: Table, key: RowKey, judged: Judged): void {
    const place = { seq: this.at.seq, i: this.#conflicts++ };
    writeConflict(this.#session.tx, table.id as number, key, place, judged);
    if (judged.reason === "first-attach") this.#open.set(table, true);
  }

  /** TBL12, of what stands in the log and the change being reduced. */
  #concurrent(seq: number | undefined): boolean {
    if (seq === undefined || seq <= this.at.seen) return false;
    return runAt(this.#session.tx, seq).device !== this.at.device;
  }

  #bySeq(cells: readonly HistoryCell[]): HistoryCell[][] {
    const groups = new Map<number, HistoryCell[]>();
    for (const cell of cells) {
      const seq = cell.before?.clock.seq ?? 0;
      const group = groups.get(seq);
      if (group === undefined) groups.set(seq, [cell]);
      else group.push(cell);
    }
    return [...groups.values()];
  }

  #mine(clock: Clock, cells: ConflictSide["cells"]): ConflictSide {
    return { device: this.at.device, hlc: hlcOf(clock), cells };
  }

  #theirs(clock: Clock, cells: readonly (Cell | undefined)[] | undefined): ConflictSide {
    return { device: runAt(this.#session.tx, clock.seq).device, hlc: hlcOf(clock), cells };
  }

  #hasOpen(table: Table): boolean {
    let open = this.#open.get(table);
    if (open === undefined) {
      open = hasOpen(this.#session.tx, table.id as number);
      this.#open.set(table, open);
    }
    return open;
  }
}
