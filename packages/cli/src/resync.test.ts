import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Streams } from "./output.ts";
import { runProgram } from "./program.ts";

const SLOW = 300_000;
let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-resync-"));
  change(at("a.db"), "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)");
  change(at("a.db"), "INSERT INTO note (text) VALUES ('one'), ('two'), ('three')");
  const init = ["--insecure-key-file", "init", "--remote", at("remote")];
  for (const args of [init, ["db", "attach", at("a.db")]])
    expect(await run(...args)).toMatchObject({ code: 0, said: { ok: true } });
}, SLOW);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** One command line, in this process. */
async function run(...args: string[]): Promise<{ readonly code: number; readonly said: unknown }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const streams = { stdin, stdout, stderr } as unknown as Streams;
  const code = await runProgram(["--home", at("home"), "--json", ...args], {}, streams);
  return { code, said: JSON.parse(String(stdout.read())) };
}

function change(file: string, statement: string): void {
  const db = new Database(file);
  db.exec(statement);
  db.close();
}

function texts(): unknown[] {
  const db = new Database(at("a.db"));
  try {
    return db.prepare("SELECT text FROM note ORDER BY id").pluck().all();
  } finally {
    db.close();
  }
}

test(
  "[IFC60] [ENG19] M-24 a copy that verify finds wrong is made anew; what was just written is kept, nothing is deleted",
  async () => {
    const { said } = await run("status");
    const { vault } = said as { vault: string };
    const replica = join(at("home"), "data", "vaults", vault.slice(0, 16), "replica.db");
    // Rows of the state, as a fault would have left them.
    change(replica, 'DELETE FROM "t.row" WHERE k = (SELECT max(k) FROM "t.row")');
    expect(await run("verify")).toMatchObject({ code: 17 });
    change(at("a.db"), "INSERT INTO note (text) VALUES ('just now')");
    change(at("a.db"), "UPDATE note SET text = 'two, changed' WHERE id = 2");

    expect(await run("resync")).toMatchObject({ code: 0, said: { ok: true, pendingUp: 0, pendingDown: 0 } });
    expect(await run("verify")).toMatchObject({ code: 0, said: { ok: true } });
    expect(texts()).toEqual(["one", "two, changed", "three", "just now"]);
  },
  SLOW,
);

test(
  "[IFC60] [ENG19] without the remote nothing changes, and it says so",
  async () => {
    change(at("a.db"), "INSERT INTO note (text) VALUES ('waits')");
    const away = at("away");
    renameSync(at("remote"), away);
    expect(await run("resync")).toMatchObject({ code: 14, said: { error: { code: "unreachable" } } });
    renameSync(away, at("remote"));
    expect(await run("sync", "--wait")).toMatchObject({ code: 0 });
    expect(texts()).toContain("waits");
  },
  SLOW,
);
