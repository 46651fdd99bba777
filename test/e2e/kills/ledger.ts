/** What one writer was told, as its witness has it, and what its database must therefore show. */
import { closeSync, openSync, readSync } from "node:fs";
import type Database from "better-sqlite3";
import { type Edit, parseLine, shared } from "./edits.ts";

/** `maybe`: a shared row was written over before anybody could look. */
type Fate = "done" | "maybe" | "undone";

export class Ledger {
  readonly who: string;
  readonly #path: string;
  readonly #descriptor: number;
  /** What stands in each own row. */
  readonly #valueByRow = new Map<string, string>();
  readonly fateByEdit = new Map<number, { readonly edit: Edit; readonly fate: Fate }>();
  #open: Edit | undefined;
  #read = 0;
  #rest = "";
  next = 1;
  acknowledged = 0;

  constructor(who: string, path: string) {
    this.who = who;
    this.#path = path;
    this.#descriptor = openSync(path, "a+");
  }

  /** For the writer: what it has written there outlives it. */
  get descriptor(): number {
    return this.#descriptor;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Its file, kept as evidence. */
  get path(): string {
    return this.#path;
  }

  /** Takes up what was told since. At most one edit is then under way. */
  take(): void {
    const piece = Buffer.alloc(1 << 16);
    for (;;) {
      const size = readSync(this.#descriptor, piece, 0, piece.length, this.#read);
      if (size === 0) return;
      this.#read += size;
      const lines = (this.#rest + piece.toString("utf8", 0, size)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#heard(line);
    }
  }

  #heard(line: string): void {
    const { state, edit } = parseLine(line);
    if (state === "i") {
      if (this.#open !== undefined)
        throw new Error(`edit ${edit.n} began while ${this.#open.n} was under way`);
      this.#open = edit;
      this.next = edit.n + 1;
      return;
    }
    if (this.#open?.n !== edit.n) throw new Error(`edit ${edit.n} ended and had not begun`);
    this.acknowledged++;
    this.#settle("done");
  }

  /** Its writer is dead or rests: an edit that was under way has happened, for good, or it never does. */
  look(db: Database.Database): readonly string[] {
    this.take();
    const edit = this.#open;
    if (edit !== undefined) {
      const value = db.prepare("SELECT v FROM entry WHERE op = ?").pluck().get(edit.row) as
        | string
        | undefined;
      const name = `${this.who}${edit.n}`;
      const happened = edit.what === "delete" ? value === undefined : value === name;
      this.#settle(happened ? "done" : shared().includes(edit.row) ? "maybe" : "undone");
    }
    return this.differences(db);
  }

  #settle(fate: Fate): void {
    const edit = this.#open as Edit;
    this.#open = undefined;
    this.fateByEdit.set(edit.n, { edit, fate });
    if (fate !== "done" || shared().includes(edit.row)) return;
    if (edit.what === "delete") this.#valueByRow.delete(edit.row);
    else this.#valueByRow.set(edit.row, `${this.who}${edit.n}`);
  }

  /** Where a database that has everything of this writer differs from what it was told. */
  differences(db: Database.Database): readonly string[] {
    const found: string[] = [];
    const left = new Map(this.#valueByRow);
    for (const [op, v, parts] of rowsOf(db, this.who)) {
      const expected = left.get(op);
      if (expected === undefined)
        found.push(`${op} is there ${this.#valueByRow.has(op) ? "twice" : "and must not be"}`);
      else if (expected !== v) found.push(`${op} says ${v}, expected ${expected}`);
      if (parts !== 1) found.push(`${op} has ${parts} parts`);
      left.delete(op);
    }
    for (const op of left.keys()) found.push(`${op} is lost`);
    return found;
  }
}

/** Entries of one writer: edit, value and number of parts. */
function rowsOf(db: Database.Database, who: string): readonly (readonly [string, string, number])[] {
  return db
    .prepare(
      "SELECT e.op, e.v, (SELECT count(*) FROM part p WHERE p.entry = e.id AND p.op = e.op) FROM entry e WHERE e.op LIKE ? || '%'",
    )
    .raw()
    .all(who) as [string, string, number][];
}

/** A database that one writer's rows arrive in: what was shown there is never taken back. */
export class Onlooker {
  readonly #ledger: Ledger;
  readonly #newestByRow = new Map<string, number>();
  readonly #gone = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  look(db: Database.Database): readonly string[] {
    const found: string[] = [];
    const { who } = this.#ledger;
    const left = new Set(this.#newestByRow.keys());
    for (const [op, v] of rowsOf(db, who)) {
      const version = Number(v.slice(who.length));
      const before = this.#newestByRow.get(op);
      if (before !== undefined && !left.delete(op)) found.push(`${op} is there twice`);
      if (this.#gone.has(op)) found.push(`${op} was deleted and is back`);
      if (!v.startsWith(who)) found.push(`${op} says ${v}`);
      if (before !== undefined && version < before)
        found.push(`${op} went back from ${before} to ${version}`);
      this.#newestByRow.set(op, version);
    }
    for (const op of left) {
      this.#newestByRow.delete(op);
      this.#gone.add(op);
    }
    this.#ledger.take();
    for (const op of this.#newestByRow.keys())
      if (Number(op.slice(who.length)) >= this.#ledger.next) found.push(`${op} was never written`);
    return found;
  }
}
