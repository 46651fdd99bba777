/** Vaults and databases as the tests of the command line need them. */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Cli } from "./cli.ts";

export interface Home {
  readonly home: string;
  /** What every command of this home begins with. */
  readonly at: readonly string[];
}

export const PLAIN: readonly string[] = ["--insecure-key-file"];

/** A home that founded a vault, and the vault's words. */
export async function founded(
  cli: Cli,
  name: string,
  remote: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Home & { readonly words: string }> {
  const home = join(cli.folder, name);
  const vault = ["init", "--remote", remote, "--device", name, "--name", "Test vault"];
  await cli.json("Init", ["--home", home, ...PLAIN, ...vault], 0, { env });
  return { home, at: ["--home", home], words: wordsOn(join(home, "recovery-sheet.txt")) };
}

/** A further home in it. */
export async function joined(cli: Cli, name: string, remote: string, words: string): Promise<Home> {
  const home = join(cli.folder, name);
  const env = { WORDS: words };
  await cli.json(
    "Join",
    ["--home", home, ...PLAIN, "join", "--remote", remote, "--device", name, "--words-from-env", "WORDS"],
    0,
    { env },
  );
  return { home, at: ["--home", home] };
}

export function wordsOn(sheet: string): string {
  return readFileSync(sheet, "utf8")
    .split("\n")
    .flatMap((line) => /^\s*\d+ ([a-z]+)$/.exec(line)?.[1] ?? [])
    .join(" ");
}

/** A database as an app makes it. */
export function makeDatabase(path: string, sql: string): void {
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.exec(sql);
  db.close();
}

export function sql<T = Record<string, unknown>>(path: string, statement: string): T[] {
  const db = new Database(path, { timeout: 10_000 });
  try {
    db.pragma("foreign_keys = OFF");
    const prepared = db.prepare(statement);
    if (prepared.reader) return prepared.all() as T[];
    prepared.run();
    return [];
  } finally {
    db.close();
  }
}

/** Every table of the app's own, row by row, types and all: two files are equal when these are. */
export function dump(path: string): Record<string, string[]> {
  const db = new Database(path, { readonly: true, timeout: 10_000 });
  try {
    db.defaultSafeIntegers(true);
    const tables = db
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_tl\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
      )
      .pluck()
      .all() as string[];
    return Object.fromEntries(tables.map((table) => [table, rowsOf(db, table)]));
  } finally {
    db.close();
  }
}

function rowsOf(db: Database.Database, table: string): string[] {
  const names = (db.prepare(`PRAGMA table_info("${table}")`).all() as { name: string }[])
    .map((c) => c.name)
    .sort();
  const list = names.map((name) => `typeof("${name}") || ':' || quote("${name}")`).join(` || ' ' || `);
  return (db.prepare(`SELECT ${list} FROM "${table}"`).pluck().all() as string[]).sort();
}

/** The schema's text, without what an attachment adds. */
export function schemaText(path: string): string {
  const db = new Database(path, { readonly: true });
  try {
    const rows = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").all();
    return JSON.stringify(rows);
  } finally {
    db.close();
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

export function writePrivate(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
