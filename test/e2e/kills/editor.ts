/**
 * An app as a process of its own: it edits its database and tells the witness (descriptor 3) of
 * each edit before and after. Built and started by the kill driver.
 *
 *   editor sdk   WHO FIRST SEED DB HOME     through a vault opened by the SDK
 *   editor plain WHO FIRST SEED DB PAUSE    with better-sqlite3 alone; told to `pause` and `go` on stdin
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { draws } from "@tidelock/testkit/suites/seeds";
import Database from "better-sqlite3";
import { openVault } from "../../../packages/node/src/index.ts";
import { drawEdit, type Edit, lineOf, statementsOf } from "./edits.ts";

const [how = "", who = "", first, seed, path = "", more = ""] = process.argv.slice(2);
const random = draws(Number(seed));
let n = Number(first);

await (how === "sdk" ? throughTheSdk() : alone());

async function throughTheSdk(): Promise<never> {
  const vault = await openVault({ home: more, insecureKeyFile: true });
  const database = await vault.database(path);
  const found = await database.query<{ op: string }>("SELECT op FROM entry WHERE op LIKE ? || '%'", [who]);
  const rows = new Set(found.map((row) => row.op));
  process.stdout.write("ready\n");
  for (;;) {
    const edit = next(rows);
    await database.transaction((tx) => {
      for (const [sql, values] of statementsOf(edit, who)) tx.run(sql, values);
    });
    done(edit, rows);
    await sleep(random() * 8);
  }
}

async function alone(): Promise<never> {
  const db = new Database(path, { timeout: 10_000 });
  const rows = new Set(
    db.prepare("SELECT op FROM entry WHERE op LIKE ? || '%'").pluck().all(who) as string[],
  );
  let paused = Promise.resolve();
  let go: () => void = () => undefined;
  createInterface(process.stdin).on("line", (line) => {
    if (line === "go") return go();
    paused = new Promise((resolve) => {
      go = resolve;
    });
    // Between two edits: none is under way.
    process.stdout.write("paused\n");
  });
  process.stdout.write("ready\n");
  for (;;) {
    await paused;
    const edit = next(rows);
    db.transaction(() => {
      for (const [sql, values] of statementsOf(edit, who)) db.prepare(sql).run(...values);
    }).immediate();
    done(edit, rows);
    await sleep(random() * Number(more));
  }
}

function next(rows: ReadonlySet<string>): Edit {
  const edit = drawEdit(random, who, n++, [...rows]);
  writeSync(3, lineOf("i", edit));
  return edit;
}

function done(edit: Edit, rows: Set<string>): void {
  if (edit.what === "insert") rows.add(edit.row);
  if (edit.what === "delete") rows.delete(edit.row);
  writeSync(3, lineOf("c", edit));
}
