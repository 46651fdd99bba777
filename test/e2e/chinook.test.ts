/** The main job on real data: two devices, one folder, a database of a music shop, and programs that know nothing of it. */
import { chmodSync, copyFileSync, existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../repo.ts";
import { type Cli, createCli, type Running, shell, until } from "./cli.ts";
import { dump, founded, type Home, joined, schemaText, sql } from "./homes.ts";

const REAL = join(root, "..", "shared", "data", "chinook.sqlite");

let cli: Cli;
let remote: string;
let a: Home & { readonly words: string };
let b: Home;
let before: string;
const daemons: Running[] = [];

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  if (existsSync(REAL)) {
    copyFileSync(REAL, file("a.db"));
    chmodSync(file("a.db"), 0o600);
  } else {
    process.stderr.write(`made up: ${REAL} is not here, so a database of the same shape is made\n`);
    makeShop(file("a.db"));
  }
  before = schemaText(file("a.db"));
  a = await founded(cli, "laptop", remote);
}, 180_000);

afterAll(async () => {
  for (const daemon of daemons) await daemon.stop();
  await cli.remove();
}, 60_000);

const file = (name: string): string => join(cli.folder, name);
const cell = (path: string, statement: string): unknown => Object.values(sql(path, statement)[0] ?? {})[0];

/** Both files hold the same, and both devices say that nothing waits. */
async function settled(): Promise<void> {
  for (const home of [a, b, a, b])
    await cli.json("SyncResult", [...home.at, "--timeout", "60", "sync", "--wait"]);
  expect(dump(file("b.db"))).toEqual(dump(file("a.db")));
  const [ours, theirs] = await Promise.all([a, b].map(({ at }) => cli.json("Status", [...at, "status"])));
  expect(theirs?.["fingerprint"]).toBe(ours?.["fingerprint"]);
}

/** Edits by a program of another language, in transactions of its own. */
const python = (
  path: string,
  statements: readonly (readonly [string, readonly (string | number | null)[]])[],
): Promise<string> =>
  shell(
    "python3",
    [
      "-c",
      "import json, sqlite3, sys\npath, statements = json.load(sys.stdin)\ndb = sqlite3.connect(path, timeout=10)\nfor sql, args in statements:\n  with db: db.execute(sql, args)\ndb.close()",
    ],
    JSON.stringify([path, statements]),
  );

test("[IFC13] a database with numbered rows attaches without a flag and stands on the second device as it is", async () => {
  const rows = Object.values(dump(file("a.db"))).reduce((sum, table) => sum + table.length, 0);
  expect(rows).toBeGreaterThan(15_000);
  const started = performance.now();
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  b = await joined(cli, "phone", remote, a.words);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
  const took = performance.now() - started;
  expect(dump(file("b.db"))).toEqual(dump(file("a.db")));
  process.stderr.write(`${rows} rows from one file to the other: ${(took / 1000).toFixed(1)} s\n`);
}, 180_000);

test("[IFC19] edits by other programs on both sides arrive on the other while daemons run", async () => {
  daemons.push(await cli.daemon(a.home), await cli.daemon(b.home));
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const [from, to] = i % 2 === 0 ? [file("a.db"), file("b.db")] : [file("b.db"), file("a.db")];
    const name = `Edit ${i}`;
    // One process an edit, as a script would; the clock starts when it has committed.
    await shell("sqlite3", [
      from,
      ".timeout 10000",
      `UPDATE Artist SET Name = '${name}' WHERE ArtistId = ${i + 1}`,
    ]);
    const started = performance.now();
    const reader = new Database(to, { readonly: true, timeout: 10_000 });
    const look = reader.prepare("SELECT Name FROM Artist WHERE ArtistId = ?").pluck();
    await until(name, () => (look.get(i + 1) === name ? true : undefined));
    reader.close();
    times.push(performance.now() - started);
  }
  const sorted = times.toSorted((x, y) => x - y);
  const at = (share: number): string =>
    `${(sorted[Math.ceil(sorted.length * share) - 1] as number).toFixed(0)} ms`;
  process.stderr.write(`an edit by another process on the other side: p50 ${at(0.5)}, p95 ${at(0.95)}\n`);
  await settled();
}, 180_000);

test("[IFC19] X-4 the same cells edited on both sides apart: all devices agree, and what lost is in the history", async () => {
  renameSync(remote, `${remote}-away`);
  await python(file("a.db"), [
    ["UPDATE Track SET Name = ?, UnitPrice = ? WHERE TrackId = ?", ["From A", 1.5, 1]],
    ["UPDATE Track SET Composer = ? WHERE TrackId = ?", ["A alone", 2]],
    ["INSERT INTO Artist (Name) VALUES (?)", ["Only on A"]],
    ["DELETE FROM PlaylistTrack WHERE PlaylistId = ? AND TrackId < ?", [1, 20]],
  ]);
  await shell("sqlite3", [
    file("b.db"),
    ".timeout 10000",
    `UPDATE Track SET Name = 'From B' WHERE TrackId = 1;
     UPDATE Track SET Milliseconds = 1 WHERE TrackId = 2;
     INSERT INTO Artist (Name) VALUES ('Only on B');
     UPDATE Customer SET Email = NULLIF(Email, Email) WHERE 0;`,
  ]);
  await until(
    "a is Offline",
    async () => ((await cli.run([...a.at, "status"])).code === 14 ? true : undefined),
    20_000,
  );
  renameSync(`${remote}-away`, remote);
  await settled();

  const names = [
    cell(file("a.db"), "SELECT Name FROM Track WHERE TrackId = 1"),
    cell(file("b.db"), "SELECT Name FROM Track WHERE TrackId = 1"),
  ];
  expect(names).toEqual(["From B", "From B"]);
  expect(cell(file("b.db"), "SELECT UnitPrice FROM Track WHERE TrackId = 1")).toBe(1.5);
  expect(sql(file("a.db"), "SELECT Composer, Milliseconds FROM Track WHERE TrackId = 2")).toEqual([
    { Composer: "A alone", Milliseconds: 1 },
  ]);
  // Both devices numbered a new row alike: one of them moved on.
  const added = sql(
    file("a.db"),
    "SELECT ArtistId, Name FROM Artist WHERE Name LIKE 'Only on%' ORDER BY Name",
  );
  expect(added.map((row) => row["Name"])).toEqual(["Only on A", "Only on B"]);
  expect(new Set(added.map((row) => row["ArtistId"])).size).toBe(2);
  expect(cell(file("b.db"), "SELECT count(*) FROM PlaylistTrack WHERE PlaylistId = 1 AND TrackId < 20")).toBe(
    0,
  );

  const { versions } = await cli.json<{
    versions: { deviceName: string; cells: { column: string; after: unknown; won: boolean }[] }[];
  }>("HistoryList", [...b.at, "history", "Track/1"]);
  const values = versions.flatMap((v) =>
    v.cells.filter((c) => c.column === "Name").map((c) => `${v.deviceName}: ${String(c.after)}`),
  );
  expect(values).toContain("laptop: From A");
  expect(values).toContain("phone: From B");
}, 180_000);

test("[IFC14] X-13, C-26 detached on both sides, the schema's text is as before and the rows stay", async () => {
  for (const daemon of daemons.splice(0)) expect(await daemon.stop()).toBe(0);
  const rows = dump(file("a.db"));
  for (const [home, name] of [
    [a, "a.db"],
    [b, "b.db"],
  ] as const)
    await cli.json("Attachment", [...home.at, "db", "detach", file(name)]);
  expect(schemaText(file("a.db"))).toBe(before);
  expect(schemaText(file("b.db"))).not.toContain("_tl_");
  expect(dump(file("a.db"))).toEqual(rows);
  expect(dump(file("b.db"))).toEqual(rows);
}, 180_000);

/** Equal in shape: eleven tables, numbered keys, references, decimals, dates as text, and as many rows. */
function makeShop(path: string): void {
  const db = new Database(path);
  db.exec(`
    CREATE TABLE Artist (ArtistId INTEGER NOT NULL PRIMARY KEY, Name NVARCHAR(120));
    CREATE TABLE Album (AlbumId INTEGER NOT NULL PRIMARY KEY, Title NVARCHAR(160) NOT NULL, ArtistId INTEGER NOT NULL REFERENCES Artist (ArtistId));
    CREATE TABLE Customer (CustomerId INTEGER NOT NULL PRIMARY KEY, Email NVARCHAR(60));
    CREATE TABLE Track (TrackId INTEGER NOT NULL PRIMARY KEY, Name NVARCHAR(200) NOT NULL, AlbumId INTEGER REFERENCES Album (AlbumId),
      Composer NVARCHAR(220), Milliseconds INTEGER NOT NULL, UnitPrice NUMERIC(10,2) NOT NULL);
    CREATE TABLE Playlist (PlaylistId INTEGER NOT NULL PRIMARY KEY, Name NVARCHAR(120));
    CREATE TABLE PlaylistTrack (PlaylistId INTEGER NOT NULL REFERENCES Playlist (PlaylistId), TrackId INTEGER NOT NULL REFERENCES Track (TrackId),
      PRIMARY KEY (PlaylistId, TrackId));
    CREATE INDEX TrackAlbum ON Track (AlbumId);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3503)
      INSERT INTO Track SELECT i, 'Track ' || i, NULL, NULL, i * 1000, 0.99 FROM n;
    INSERT INTO Artist SELECT TrackId, 'Artist ' || TrackId FROM Track WHERE TrackId <= 275;
    INSERT INTO Album SELECT TrackId, 'Album ' || TrackId, 1 + TrackId % 275 FROM Track WHERE TrackId <= 347;
    UPDATE Track SET AlbumId = 1 + TrackId % 347;
    INSERT INTO Customer SELECT TrackId, 'person' || TrackId || '@example.org' FROM Track WHERE TrackId <= 59;
    INSERT INTO Playlist SELECT TrackId, 'List ' || TrackId FROM Track WHERE TrackId <= 18;
    INSERT INTO PlaylistTrack SELECT 1 + TrackId % 18, TrackId FROM Track UNION SELECT 1, TrackId FROM Track UNION SELECT 2, TrackId FROM Track UNION SELECT 3, TrackId FROM Track;
  `);
  db.close();
}
