/** What stands in the log, counted by the edits that it names. Read through a device that was never killed. */
import { type LogChange, logEntry } from "../../../packages/node/src/vault/log-view.ts";
import type { Session } from "../../../packages/node/src/vault/session.ts";
import type { Ledger } from "./ledger.ts";

export class LogBook {
  readonly #whoByDevice: readonly string[];
  #read = 0;
  /** `entry a7`, `part a7`: inserts. `v a7`: a value. `gone a`: deletes of entries by a writer. */
  readonly #times = new Map<string, number>();
  readonly #wrong: string[] = [];

  constructor(whoByDevice: readonly string[]) {
    this.#whoByDevice = whoByDevice;
  }

  take(session: Session): void {
    const { applied } = session.replica.cursor();
    while (this.#read < applied) {
      const entry = logEntry(session, ++this.#read);
      if (entry.kind !== "data") continue;
      if (entry.verdict !== "accepted" || entry.content === undefined) {
        this.#wrong.push(`entry ${entry.seq} is ${entry.verdict}`);
        continue;
      }
      for (const change of entry.content) this.#count(entry.seq, entry.device ?? -1, change);
    }
  }

  #count(seq: number, device: number, { op, table, cells }: LogChange): void {
    // Set-up; and a row that was there before anybody edited.
    if (op === "schema" || op === "found") return;
    const who = this.#whoByDevice[device] ?? "?";
    if (op === "delete") {
      if (table === "entry") this.#add(`gone ${who}`);
      return;
    }
    if (op === "move") {
      this.#wrong.push(`entry ${seq} moves a row, and nobody did`);
      return;
    }
    const [name, value] = [cells?.["op"], cells?.["v"]];
    for (const said of [name, value])
      if (said !== undefined && !String(said).startsWith(who))
        this.#wrong.push(`entry ${seq} of ${who} repeats ${JSON.stringify(said)}`);
    if (op === "insert") this.#add(`${table} ${String(name)}`);
    if (value !== undefined) this.#add(`v ${String(value)}`);
  }

  #add(what: string): void {
    this.#times.set(what, (this.#times.get(what) ?? 0) + 1);
  }

  /** `exact`: each edit was sent by itself, so each that was done is there once; else edits of one row may be one. */
  differences(ledger: Ledger, exact: boolean): readonly string[] {
    const found = this.#wrong.splice(0);
    let deleted = 0;
    const expect = (what: string, least: number, most: number): void => {
      const times = this.#times.get(what) ?? 0;
      if (times < least || times > most) found.push(`${what} is in the log ${times} times`);
    };
    for (const { edit, fate } of ledger.fateByEdit.values()) {
      const name = `${ledger.who}${edit.n}`;
      const most = fate === "undone" ? 0 : 1;
      const least = exact && fate === "done" ? 1 : 0;
      if (edit.what === "delete") deleted += most;
      else expect(`v ${name}`, least, most);
      if (edit.what === "insert")
        for (const table of ["entry", "part"]) expect(`${table} ${name}`, least, most);
    }
    expect(`gone ${ledger.who}`, exact ? deleted : 0, deleted);
    return found;
  }
}
