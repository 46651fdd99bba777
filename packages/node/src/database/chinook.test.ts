import { copyFileSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(devices: number): World {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  return w;
}

const sample = fileURLToPath(new URL("../../../../../shared/data/chinook.sqlite", import.meta.url));
const here = existsSync(sample);
/** All of its 15,607 rows in long runs; ordinary ones leave out most of two tables. */
const whole = process.env["TIDELOCK_RUNS"] !== undefined;
if (!here)
  console.warn("SKIPPED LOUDLY: the Chinook sample is not here, a database of its shape stands in for it");

/** The sample, or a smaller one of the same shape: numbers, references, a self-reference, a composite key. */
function place(path: string): void {
  if (here) {
    copyFileSync(sample, path);
    return;
  }
  const db = new Database(path);
  db.pragma("foreign_keys = OFF");
  db.exec(`
    CREATE TABLE [Artist]([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120), CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]));
    CREATE TABLE [Album]([AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL, [ArtistId] INTEGER NOT NULL,
      CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]), FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId]));
    CREATE TABLE [Employee]([EmployeeId] INTEGER NOT NULL, [LastName] NVARCHAR(20), [ReportsTo] INTEGER,
      CONSTRAINT [PK_Employee] PRIMARY KEY ([EmployeeId]), FOREIGN KEY ([ReportsTo]) REFERENCES [Employee] ([EmployeeId]));
    CREATE TABLE [Playlist]([PlaylistId] INTEGER NOT NULL, [Name] NVARCHAR(120), CONSTRAINT [PK_Playlist] PRIMARY KEY ([PlaylistId]));
    CREATE TABLE [Track]([TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200), [AlbumId] INTEGER, [UnitPrice] NUMERIC(10,2),
      CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]), FOREIGN KEY ([AlbumId]) REFERENCES [Album] ([AlbumId]));
    CREATE TABLE [PlaylistTrack]([PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
      CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]),
      FOREIGN KEY ([PlaylistId]) REFERENCES [Playlist] ([PlaylistId]), FOREIGN KEY ([TrackId]) REFERENCES [Track] ([TrackId]));
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
      INSERT INTO Artist SELECT i, 'artist ' || i FROM n;
    INSERT INTO Album SELECT ArtistId, 'album ' || ArtistId, ArtistId FROM Artist;
    INSERT INTO Track SELECT AlbumId, 'track', AlbumId, 0.99 FROM Album;
    INSERT INTO Employee VALUES(1,'a',NULL),(2,'b',1),(3,'c',2),(4,'d',8),(8,'e',1);
    INSERT INTO Playlist VALUES(1,'all'); INSERT INTO PlaylistTrack SELECT 1, TrackId FROM Track;`);
  db.close();
}

const schema = (d: Device): unknown =>
  d.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");
const playlists = here ? 18n : 1n;

test("[ATT20] a second device with the same file already knows the rows: nothing is sent, nothing is written", async () => {
  const { devices, settle, log } = world(2);
  const [a, b] = devices as [Device, Device];
  for (const d of devices) {
    place(d.path);
    if (here && !whole)
      d.app(
        "DELETE FROM PlaylistTrack WHERE TrackId > 500; DELETE FROM InvoiceLine WHERE InvoiceLineId > 500",
      );
  }
  const before = a.dump();
  await a.attach();
  await settle();
  const sent = log.entries.length;
  b.engine.pull();
  await b.attach();
  await settle();
  expect(log.entries.length).toBe(sent);
  expect(a.dump()).toBe(before);
  expect(b.dump()).toBe(before);
  expect(b.rows("SELECT max(PlaylistId) FROM Playlist")).toEqual([[playlists]]);
});

test("[ATT20, ATT10] attached on two devices before either knew of the other, no row doubles and detaching leaves the schema", async () => {
  const { devices, settle } = world(3);
  const [a, b, c] = devices as [Device, Device, Device];
  for (const d of [a, b]) {
    place(d.path);
    // Fewer rows: while unconfirmed, each is judged anew with every run that comes.
    if (here)
      d.app(
        "DELETE FROM PlaylistTrack WHERE TrackId > 99; DELETE FROM InvoiceLine; DELETE FROM Invoice; DELETE FROM Track WHERE TrackId > 300; DELETE FROM Album WHERE AlbumId > 300",
      );
  }
  const [before, text] = [a.dump(), schema(a)];
  await Promise.all([a.attach(), b.attach()]);
  await settle();
  expect(a.dump()).toBe(before);
  expect(b.dump()).toBe(before);
  await c.attach();
  await settle();
  expect(c.dump()).toBe(before);
  b.app(
    "UPDATE Track SET Name='changed' WHERE TrackId=3; INSERT INTO Artist VALUES(9000,'new'); DELETE FROM PlaylistTrack WHERE TrackId=1",
  );
  a.app("INSERT INTO Artist VALUES(9000,'newer'); INSERT INTO Album VALUES(9000,'of newer',9000)");
  await settle();
  expect(b.dump()).toBe(a.dump());
  expect(c.dump()).toBe(a.dump());
  expect(a.rows("SELECT a.Name FROM Album JOIN Artist a USING(ArtistId) WHERE Title='of newer'")).toEqual([
    ["newer"],
  ]);
  for (const d of devices) await d.attachment?.detach();
  expect(schema(a)).toEqual(text);
  expect(schema(b)).toEqual(text);
}, 60_000);
