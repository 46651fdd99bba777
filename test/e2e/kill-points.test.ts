/**
 * SIGKILL at every named point of the engine and of an attached database, with real processes,
 * real files and a real folder: what was committed in the app's file arrives, once, on both sides.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EnginePoint } from "../../packages/core/src/engine/points.ts";
import { encodePage, objectAt } from "../../packages/core/src/log/page.ts";
import type { DatabasePoint } from "../../packages/node/src/database/points.ts";
import { root } from "../repo.ts";

type PointName = EnginePoint | DatabasePoint;
type Scenario = "found" | "attach" | "edit" | "rebuild" | "detach";

/** Where each point is met. A new point does not compile until it stands here. */
const scenarioOf: Readonly<Record<PointName, Scenario>> = {
  "submit.before-commit": "edit",
  "submit.after-commit": "edit",
  "ingest.before-commit": "edit",
  "apply.before-kinds": "edit",
  "apply.between-kinds-and-cursor": "edit",
  "apply.before-commit": "edit",
  "apply.after-commit": "edit",
  "rebuild.before-commit": "rebuild",
  "rebuild.after-commit": "rebuild",
  "seal.before-commit": "edit",
  "seal.after-commit": "edit",
  "append.before-send": "edit",
  "append.after-answer": "edit",
  "found.after-genesis": "found",
  "found.after-blobs": "found",
  "attach-registered": "attach",
  "attach-installed": "attach",
  "attach-live": "attach",
  "flush-read": "edit",
  "flush-noted": "edit",
  "flush-begun": "edit",
  "flush-written": "edit",
  "flush-committed": "edit",
  "flush-adopted": "edit",
  "slice-planned": "edit",
  "slice-noted": "edit",
  "slice-begun": "edit",
  "slice-suspended": "edit",
  "slice-written": "edit",
  "slice-restored": "edit",
  "slice-committed": "edit",
  "slice-adopted": "edit",
  "detach-flushed": "detach",
  "detach-marked": "detach",
  "detach-dropped": "detach",
  "detach-forgotten": "detach",
};

const SCHEMA = `
  CREATE TABLE team(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE task(id TEXT PRIMARY KEY, team INTEGER REFERENCES team(id), title TEXT, done INTEGER) WITHOUT ROWID;
  CREATE TRIGGER touched AFTER UPDATE ON task BEGIN UPDATE team SET name = name WHERE id = NEW.team; END;
  INSERT INTO team VALUES (1, 'north'), (2, 'south');
  INSERT INTO task SELECT 't' || value, 1 + value % 2, 'title ' || value, 0 FROM (
    WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 40) SELECT value FROM n);`;

/** Which time a point is met: the first, and in long runs later ones too. */
const occurrences = Number(process.env["TIDELOCK_RUNS"] ?? 1) > 1 ? [1, 2, 4] : [1];

let base: string;
let script: string;
let out: string;

function device(directory: string, role: string, action: string, until?: string): NodeJS.Signals | null {
  const args = [script, directory, role, action, ...(until === undefined ? [] : [until])];
  const ran = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
  if (ran.signal === null && ran.status !== 0) throw new Error(`${role} ${action} ${until}: ${ran.stderr}`);
  return ran.signal;
}

function sql(directory: string, role: string, text: string): void {
  const db = new Database(join(directory, role, "app.db"));
  db.exec(`BEGIN; ${text} COMMIT`);
  db.close();
}

function look(directory: string, role: string, query: string): unknown[] {
  const db = new Database(join(directory, role, "app.db"), { readonly: true });
  const rows = db.prepare(query).raw().all();
  db.close();
  return rows;
}

const dump = (directory: string, role: string): unknown[] => [
  look(directory, role, "SELECT id, name FROM team ORDER BY id"),
  look(directory, role, "SELECT id, team, title, done FROM task ORDER BY id"),
];
const schemaOf = (directory: string, role: string): unknown[] =>
  look(directory, role, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");

/** Every history happens in one place, because an attachment knows its file by its path. */
function fresh(from: string | undefined): string {
  const directory = join(base, "current");
  rmSync(directory, { recursive: true, force: true });
  if (from !== undefined) cpSync(from, directory, { recursive: true });
  else for (const part of ["a", "b", "remote"]) mkdirSync(join(directory, part), { recursive: true });
  return directory;
}

function keep(directory: string, name: string): string {
  const kept = join(base, name);
  cpSync(directory, kept, { recursive: true });
  return kept;
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "tidelock-kill-"));
  out = mkdtempSync(join(root, "node_modules", ".cache-kill-"));
  script = join(out, "kill-device.mjs");
  await build({
    entryPoints: [join(root, "test/e2e/kill-device.ts")],
    outfile: script,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@tidelock/source"],
    external: ["better-sqlite3", "sodium-native", "libsodium-wrappers-sumo"],
    banner: {
      js: `import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);`,
    },
    logLevel: "warning",
  });
}, 60_000);

afterAll(() => {
  rmSync(base, { recursive: true, force: true });
  rmSync(out, { recursive: true, force: true });
});

/** Kills device a there, then lets both devices finish. */
function killed(directory: string, action: string, until: string): boolean {
  const reached = device(directory, "a", action, until) === "SIGKILL";
  device(directory, "a", action);
  return reached;
}

describe("SIGKILL at a named point", () => {
  let founded: string;
  let attached: string;
  /** Edits of b are on the remote, those of a in its file. */
  let edited: string;

  beforeAll(() => {
    const directory = fresh(undefined);
    device(directory, "a", "sync");
    sql(directory, "a", SCHEMA);
    founded = keep(directory, "founded");
    device(directory, "a", "attach");
    device(directory, "b", "attach");
    attached = keep(directory, "attached");
    // The two devices write different rows, so that one outcome is right whoever comes first.
    sql(
      directory,
      "b",
      `UPDATE task SET title = 'from b' WHERE id IN ('t1', 't2', 't3'); DELETE FROM task WHERE id = 't4';
       INSERT INTO team VALUES (7, 'b team'); INSERT INTO task VALUES ('b1', 7, 'new from b', 0);`,
    );
    device(directory, "b", "attach");
    sql(
      directory,
      "a",
      `UPDATE task SET done = 1 WHERE id IN ('t11', 't12'); DELETE FROM task WHERE id = 't13';
       INSERT INTO team VALUES (5, 'a team'); INSERT INTO task VALUES ('a1', 5, 'new from a', 1);`,
    );
    edited = keep(directory, "edited");
    expect(dump(attached, "b")).toEqual(dump(attached, "a"));
  }, 60_000);

  const points = Object.entries(scenarioOf) as [PointName, Scenario][];
  test.each(points.filter(([, s]) => s === "found"))("[P2] founding: %s", (name) => {
    const directory = fresh(undefined);
    expect(killed(directory, "sync", `${name}#1`)).toBe(true);
    device(directory, "b", "sync");
  });

  test.each(points.filter(([, s]) => s === "attach"))("[P2][P3] a first attach: %s", (name) => {
    const directory = fresh(founded);
    expect(killed(directory, "attach", `${name}#1`)).toBe(true);
    device(directory, "b", "attach");
    expect(dump(directory, "a")).toEqual(dump(attached, "a"));
    expect(dump(directory, "b")).toEqual(dump(attached, "a"));
  });

  test.each(points.filter(([, s]) => s === "edit"))("[P2][P3][P5] edits both ways: %s", (name) => {
    let met = 0;
    for (const occurrence of occurrences) {
      const directory = fresh(edited);
      if (killed(directory, "attach", `${name}#${occurrence}`)) met++;
      device(directory, "b", "attach");
      const [teams, tasks] = dump(directory, "a") as [unknown[][], unknown[][]];
      expect(dump(directory, "b")).toEqual([teams, tasks]);
      expect(teams).toEqual([
        [1, "north"],
        [2, "south"],
        [5, "a team"],
        [7, "b team"],
      ]);
      const [before] = [look(attached, "a", "SELECT id, team, title, done FROM task")] as unknown[][][];
      const expected = new Map((before as unknown[][]).map((row) => [row[0], [...row]]));
      for (const id of ["t1", "t2", "t3"]) (expected.get(id) as unknown[])[2] = "from b";
      for (const id of ["t11", "t12"]) (expected.get(id) as unknown[])[3] = 1;
      for (const id of ["t4", "t13"]) expected.delete(id);
      expected.set("a1", ["a1", 5, "new from a", 1]).set("b1", ["b1", 7, "new from b", 0]);
      expect(tasks).toEqual([...expected.values()].sort((x, y) => (String(x[0]) < String(y[0]) ? -1 : 1)));
    }
    expect(met).toBeGreaterThan(0);
  });

  test.each(points.filter(([, s]) => s === "rebuild"))(
    "[P2][P3][ENG14] L13: a folder whose end becomes another one, under an attached file: %s",
    (name) => {
      const directory = fresh(attached);
      const [folder, copy] = [join(directory, "remote"), join(base, "copy")];
      cpSync(folder, copy, { recursive: true });
      // Device a writes on one copy of the folder, b on another; both give the number 7 to a team.
      sql(
        directory,
        "a",
        `INSERT INTO team VALUES (7, 'a team'); INSERT INTO task VALUES ('a1', 7, 'new from a', 1);
         UPDATE task SET done = 1 WHERE id = 't11';`,
      );
      device(directory, "a", "attach");
      rmSync(folder, { recursive: true });
      cpSync(copy, folder, { recursive: true });
      sql(
        directory,
        "b",
        `INSERT INTO team VALUES (7, 'b team'); INSERT INTO task VALUES ('b1', 7, 'new from b', 0);`,
      );
      device(directory, "b", "attach");
      for (const id of ["t1", "t2", "t3", "t4"]) {
        sql(directory, "b", `UPDATE task SET title = 'from b' WHERE id = '${id}';`);
        device(directory, "b", "attach");
      }
      // In the file, and not read by anybody yet.
      sql(directory, "a", "UPDATE task SET title = 'unread' WHERE id IN ('t20', 't1');");
      expect(killed(directory, "attach", `${name}#1`)).toBe(true);
      device(directory, "b", "attach");
      expect(dump(directory, "b")).toEqual(dump(directory, "a"));
      expect(
        look(
          directory,
          "a",
          "SELECT t.id, team.name, title, done FROM task t JOIN team ON team.id = t.team WHERE t.id IN ('a1', 'b1', 't1', 't2', 't11', 't20') ORDER BY t.id",
        ),
      ).toEqual([
        ["a1", "a team", "new from a", 1],
        ["b1", "b team", "new from b", 0],
        ["t1", "south", "unread", 0],
        ["t11", "south", "title 11", 1],
        ["t2", "north", "from b", 0],
        ["t20", "north", "unread", 0],
      ]);
      expect(look(directory, "a", "SELECT id, name FROM team ORDER BY id")).toEqual([
        [1, "north"],
        [2, "south"],
        [7, "b team"],
        [8, "a team"],
      ]);
    },
  );

  test("[LOG18] L13: a receive time that somebody rewrote in the folder, and put back", () => {
    const directory = fresh(attached);
    const log = join(directory, "remote", "log");
    sql(
      directory,
      "b",
      "UPDATE task SET title = 'from b' WHERE id = 't1'; DELETE FROM task WHERE id = 't4';",
    );
    device(directory, "b", "attach");
    const [newest] = readdirSync(log).sort().reverse() as [string];
    const bytes = readFileSync(join(log, newest));
    const object = objectAt(Number(newest), bytes, (b) => createHash("sha256").update(b).digest());
    if (object.kind !== "page") throw new Error("the newest object is no page");
    const entries = object.entries.map((entry) => ({ ...entry, time: entry.time + 3_600_000 }));
    writeFileSync(join(log, newest), encodePage({ ...object, entries }));
    device(directory, "a", "attach");
    expect(dump(directory, "a")).toEqual(dump(directory, "b"));
    sql(directory, "b", "UPDATE task SET title = 'from b' WHERE id = 't2';");
    device(directory, "b", "attach");
    sql(directory, "a", "UPDATE task SET title = 'from a' WHERE id = 't3';");
    expect(() => device(directory, "a", "attach")).toThrow("sync stopped: fork");
    writeFileSync(join(log, newest), bytes);
    device(directory, "a", "attach");
    device(directory, "b", "attach");
    expect(dump(directory, "a")).toEqual(dump(directory, "b"));
    expect(look(directory, "b", "SELECT title FROM task WHERE id IN ('t1', 't2', 't3') ORDER BY id")).toEqual(
      [["from b"], ["from b"], ["from a"]],
    );
  });

  test.each(points.filter(([, s]) => s === "detach"))("[P2] a detach: %s", (name) => {
    const directory = fresh(attached);
    sql(directory, "a", "UPDATE task SET title = 'last' WHERE id = 't20';");
    const reached = device(directory, "a", "detach", `${name}#1`) === "SIGKILL";
    expect(reached).toBe(true);
    // The command again: either it goes on, or the file is free already and is attached and freed anew.
    device(directory, "a", "detach");
    device(directory, "b", "attach");
    expect(schemaOf(directory, "a")).toEqual(schemaOf(founded, "a"));
    expect(look(directory, "b", "SELECT title FROM task WHERE id = 't20'")).toEqual([["last"]]);
    expect(dump(directory, "b")).toEqual(dump(directory, "a"));
  });
});
