/**
 * One view of the database for all reads of a turn of the loop. Opening a view takes locks, which
 * costs more than a small read does; a request reads several times, and many requests come in one turn.
 */
import type { Db } from "./file.ts";

export class SharedView {
  readonly #begin: () => void;
  readonly #end: () => void;
  readonly #endOfTurn: (work: () => void) => void;
  #open = false;
  #due = false;

  constructor(db: Db, endOfTurn: (work: () => void) => void = setImmediate) {
    this.#endOfTurn = endOfTurn;
    const [begin, end] = [db.prepare("BEGIN"), db.prepare("COMMIT")];
    this.#begin = () => void begin.run();
    this.#end = () => void end.run();
  }

  read<T>(work: () => T): T {
    if (!this.#open) {
      this.#begin();
      this.#open = true;
      this.#endSoon();
    }
    return work();
  }

  /** What is read from now on sees all that is committed: said before a write is answered. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#end();
  }

  #endSoon(): void {
    if (this.#due) return;
    this.#due = true;
    this.#endOfTurn(() => {
      this.#due = false;
      this.end();
    });
  }
}
