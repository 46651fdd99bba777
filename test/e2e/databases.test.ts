import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli } from "./cli.ts";
import { dump, founded, type Home, joined, makeDatabase, PLAIN, schemaText, sql } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home & { readonly words: string };
let b: Home;
/** A home for what fails, so that nothing of it shows in the vault of the others. */
let c: Home;
/** Takes as long as an attach is patient: other tests run meanwhile. */
let busy: Promise<string>;

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  c = await founded(cli, "tablet", join(cli.folder, "tablet-remote"));
  makeDatabase(
    file("locked.db"),
    "CREATE TABLE held (id TEXT PRIMARY KEY, v TEXT); INSERT INTO held VALUES ('a', 'b')",
  );
  const other = new Database(file("locked.db"));
  other.exec("BEGIN IMMEDIATE");
  busy = fails([...c.at, "db", "attach", file("locked.db")], 16).finally(() => other.close());
  busy.catch(() => undefined);
  a = await founded(cli, "laptop", remote);
  b = await joined(cli, "phone", remote, a.words);
}, 60_000);

afterAll(() => cli.remove());

const file = (name: string): string => join(cli.folder, name);
const settle = async (...homes: Home[]): Promise<void> => {
  for (const { at } of homes) await cli.json("SyncResult", [...at, "sync", "--wait"]);
};
interface Failure {
  readonly error: { readonly code: string };
}
const fails = async (args: readonly string[], exit: number): Promise<string> =>
  (await cli.json<Failure>("Error", args, exit)).error.code;

describe("databases that cannot be attached", { timeout: 60_000 }, () => {
  let d: Home;

  beforeAll(async () => {
    d = await founded(cli, "watch", join(cli.folder, "watch-remote"));
  });

  test("[IFC9] each is refused with its own code, and left as it was", async () => {
    makeDatabase(
      file("keyless.db"),
      "CREATE TABLE loose (a TEXT, b TEXT); INSERT INTO loose VALUES ('x', 'y')",
    );
    writeFileSync(file("text.db"), "this is a letter, not a database, and long enough to be looked at");
    makeDatabase(
      file("damaged.db"),
      "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('a', 'b')",
    );
    truncateSync(file("damaged.db"), 1500);
    const before = ["keyless.db", "text.db", "damaged.db"].map((name) => readFileSync(file(name)));
    expect(await fails([...d.at, "db", "attach", file("keyless.db")], 2)).toBe("table-no-key");
    expect(await fails([...d.at, "db", "attach", file("text.db")], 2)).toBe("not-sqlite");
    expect(await fails([...d.at, "db", "attach", file("damaged.db")], 2)).toBe("not-sqlite");
    expect(["keyless.db", "text.db", "damaged.db"].map((name) => readFileSync(file(name)))).toEqual(before);
    expect(
      (await cli.json<{ databases: unknown[] }>("AttachmentList", [...d.at, "db", "ls"])).databases,
    ).toEqual([]);
    expect(await fails([...d.at, "db", "detach", file("keyless.db")], 15)).toBe("not-found");
  });

  test("[IFC9] a replica that cannot be read is 17, says what to do, and is left where it lies", async () => {
    const ruined = await founded(cli, "ruined", file("ruined-remote"));
    const replica = filesUnder(ruined.home).find((path) => path.endsWith("replica.db")) as string;
    writeFileSync(replica, "not a replica any more, but long enough to be looked at");
    for (const suffix of ["-wal", "-shm"]) rmSync(`${replica}${suffix}`, { force: true });
    const { error } = await cli.json<Failure & { error: { next: string } }>(
      "Error",
      [...ruined.at, "sync"],
      17,
    );
    expect(error).toMatchObject({ code: "replica-damaged", next: expect.stringContaining("join") });
    expect(readFileSync(replica, "utf8")).toContain("not a replica any more");
  });

  test("[IFC9] a full disk is 19 and loses nothing", async (ctx) => {
    const disk = file("small-disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], { stdio: "pipe" });
    } catch {
      process.stderr.write("skipped: no small disk can be mounted here (needs root)\n");
      return ctx.skip();
    }
    try {
      const home = join(disk, "home");
      const code = await fails(["--home", home, ...PLAIN, "init", "--remote", file("full-remote")], 19);
      expect(code).toBe("disk-full");
      expect(existsSync(join(home, "config.toml"))).toBe(false);
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });
});

describe("two devices", { timeout: 60_000 }, () => {
  const schema = `CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, born INTEGER, photo BLOB);
    CREATE TABLE visit (id INTEGER PRIMARY KEY, person TEXT REFERENCES person (id), note TEXT);
    CREATE INDEX visit_person ON visit (person);
    CREATE VIEW recent AS SELECT * FROM visit ORDER BY id DESC`;
  let before: string;

  test("[IFC13] X-4 what one attached, the other shows; history names the devices", async () => {
    makeDatabase(
      file("a.db"),
      `${schema}; INSERT INTO person VALUES ('p1', 'Ada', 1815, x'00ff'); INSERT INTO visit (person, note) VALUES ('p1', 'first')`,
    );
    before = schemaText(file("a.db"));
    await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
    await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
    expect(dump(file("b.db"))).toEqual(dump(file("a.db")));
    sql(file("b.db"), "UPDATE person SET name = 'Ada L.' WHERE id = 'p1'");
    await settle(b, a);
    expect(dump(file("a.db"))).toEqual(dump(file("b.db")));
    const history = await cli.json<{
      versions: { deviceName: string; cells: { column: string; after: unknown }[] }[];
    }>("HistoryList", [...a.at, "history", "person/p1"]);
    expect(history.versions.map((v) => v.deviceName)).toEqual(["laptop", "phone"]);
    expect(history.versions[1]?.cells).toEqual([
      expect.objectContaining({ column: "name", after: "Ada L." }),
    ]);
    const why = await cli.json<{ cells: { column: string; deviceName: string }[] }>("Why", [
      ...a.at,
      "why",
      'person/["p1"]',
    ]);
    expect(Object.fromEntries(why.cells.map((c) => [c.column, c.deviceName]))).toMatchObject({
      name: "phone",
      born: "laptop",
    });
    sql(file("b.db"), "DELETE FROM visit WHERE id = 1");
    await settle(b, a);
    const deleted = await cli.json<{ versions: { op: string }[] }>("HistoryList", [
      ...a.at,
      "history",
      "visit/1",
    ]);
    expect(deleted.versions.map((v) => v.op)).toEqual(["found", "delete"]);
    expect(await cli.json("Why", [...a.at, "why", "visit/1"])).toMatchObject({ alive: false });
    expect(await fails([...a.at, "history", "visit/99"], 15)).toBe("not-found");
    expect(await fails([...a.at, "history", "person/nobody"], 15)).toBe("not-found");
    expect(await fails([...a.at, "history", "no-slash"], 15)).toBe("not-found");
  });

  test("[IFC13] M-69 two files that both have rows are merged: neither side loses one", async () => {
    makeDatabase(
      file("m1.db"),
      "CREATE TABLE city (name TEXT PRIMARY KEY, n INT); INSERT INTO city VALUES ('Rome', 1), ('Oslo', 2)",
    );
    makeDatabase(
      file("m2.db"),
      "CREATE TABLE city (name TEXT PRIMARY KEY, n INT); INSERT INTO city VALUES ('Oslo', 3), ('Bern', 4)",
    );
    await cli.json("Attachment", [...a.at, "db", "attach", file("m1.db")]);
    await cli.json("Attachment", [...b.at, "db", "attach", file("m2.db")]);
    await settle(a);
    expect(sql(file("m1.db"), "SELECT name FROM city ORDER BY name").map((r) => r["name"])).toEqual([
      "Bern",
      "Oslo",
      "Rome",
    ]);
    expect(dump(file("m1.db"))).toEqual(dump(file("m2.db")));
    const { conflicts } = await cli.json<{ conflicts: object[] }>("ConflictList", [
      ...a.at,
      "conflicts",
      "ls",
    ]);
    expect(conflicts).toEqual([
      expect.objectContaining({
        table: "city",
        key: "Oslo",
        reason: "first-attach",
        state: "open",
        winner: expect.objectContaining({ deviceName: "laptop" }),
        loser: expect.objectContaining({ deviceName: "phone" }),
      }),
    ]);
    expect(await cli.json("Status", [...a.at, "status"], 3)).toMatchObject({
      label: "Error",
      detail: "1 conflict to review",
    });
    sql(file("m1.db"), "UPDATE city SET n = 5 WHERE name = 'Oslo'");
    await settle(a, b);
    expect(await cli.json("ConflictList", [...b.at, "conflicts", "ls"])).toMatchObject({ conflicts: [] });
  });

  test("[IFC16] T-6, T-8 no name and no value stands in the folder, the log files or the status", async () => {
    const names = ["Ada", "visit", "person", "photo", "recent", "Test vault", "laptop", "phone", "m1.db"];
    const planted = "CANARY-5f1e-value";
    sql(file("a.db"), `INSERT INTO visit (person, note) VALUES ('p1', '${planted}')`);
    await settle(a, b);
    expect(sql(file("b.db"), `SELECT 1 FROM visit WHERE note = '${planted}'`)).toHaveLength(1);
    const status = (await Promise.all([a, b].map(({ at }) => cli.run([...at, "status", "--verbose"]))))
      .map((ran) => ran.stdout)
      .join("");
    const stored = filesUnder(remote).concat(
      filesUnder(join(a.home, "state")),
      filesUnder(join(b.home, "state")),
    );
    const text = Buffer.concat([
      ...stored.map((path) => readFileSync(path)),
      Buffer.from(stored.map((p) => p.slice(cli.folder.length)).join("\n")),
    ]).toString("latin1");
    for (const canary of [...names, planted])
      for (const form of forms(canary)) {
        expect(text.includes(form), `${canary} in the folder or a log file`).toBe(false);
        expect(status.replaceAll(cli.folder, "").includes(form), `${canary} in the status`).toBe(false);
      }
    expect(stored.length).toBeGreaterThan(5);
  });

  test("[IFC12] log, queue, conflicts and status speak of the same vault", async () => {
    const page = await cli.json<{ entries: { seq: number; verdict: string }[] }>("LogPage", [...a.at, "log"]);
    expect(page.entries.map((e) => e.seq)).toEqual(page.entries.map((_, i) => i + 1));
    expect(new Set(page.entries.map((e) => e.verdict))).toEqual(new Set(["accepted"]));
    const last = page.entries.at(-1)?.seq as number;
    expect(await cli.json("LogEntry", [...a.at, "log", "show", String(last)])).toMatchObject({
      entry: { kind: "data", content: expect.any(Array) },
    });
    expect(await fails([...a.at, "log", "show", String(last + 1)], 15)).toBe("not-found");
    expect(await cli.json("LogPage", [...a.at, "log", "--from", String(last)])).toMatchObject({
      entries: [{ seq: last }],
    });
    expect(await cli.json("QueueList", [...a.at, "queue", "ls"])).toMatchObject({ items: [] });
    const [one, other] = await Promise.all([a, b].map(({ at }) => cli.json("Status", [...at, "status"])));
    expect(one?.["fingerprint"]).toBe(other?.["fingerprint"]);
    expect(one?.["head"]).toBe(other?.["head"]);
  });

  test("[IFC14] a mass deletion waits for a person's word; with it, it goes", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => `('r${i}')`).join();
    makeDatabase(file("many.db"), `CREATE TABLE many (id TEXT PRIMARY KEY); INSERT INTO many VALUES ${rows}`);
    await cli.json("Attachment", [...a.at, "db", "attach", file("many.db")]);
    sql(file("many.db"), "DELETE FROM many");
    await settle(a);
    expect(await cli.json("Status", [...a.at, "status"], 3)).toMatchObject({
      label: "Error",
      detail: "300 deletions withheld",
    });
    expect(await cli.json("Approved", [...a.at, "db", "approve", file("many.db")])).toMatchObject({
      approved: 300,
    });
    await settle(a);
    expect(await cli.json("Status", [...a.at, "status"])).toMatchObject({
      label: "Live",
      withheldDeletions: 0,
    });
  });

  test("[IFC14] X-13, C-26 detached, the file is as before: schema text byte for byte, rows kept", async () => {
    const rows = dump(file("a.db"));
    expect(schemaText(file("a.db"))).not.toBe(before);
    expect(await cli.json("Attachment", [...a.at, "db", "detach", file("a.db")])).toMatchObject({
      database: { state: "detached" },
    });
    expect(schemaText(file("a.db"))).toBe(before);
    expect(dump(file("a.db"))).toEqual(rows);
  });

  test("[IFC14] by force a copy is cleaned too, without the vault that it belongs to", async () => {
    const copy = file("copy.db");
    execFileSync("sqlite3", [file("b.db"), `VACUUM INTO '${copy}'`]);
    const other = await founded(cli, "other", file("other-remote"));
    expect(await fails([...other.at, "db", "attach", copy], 2)).toBe("attached-elsewhere");
    await cli.json("Attachment", [...other.at, "db", "detach", copy, "--force"]);
    expect(schemaText(copy)).not.toContain("_tl_");
    await cli.json("Attachment", [...other.at, "db", "attach", copy]);
  });

  test("[IFC13] a database whose file is gone is paused and named; nothing waits for it, and it can be let go", async () => {
    renameSync(file("m2.db"), file("m2-elsewhere.db"));
    sql(file("m1.db"), "INSERT INTO city VALUES ('Lima', 6)");
    await settle(a);
    // It ends, and says by its exit code that a person must look.
    expect(await cli.json("SyncResult", [...b.at, "sync", "--wait"], 3)).toMatchObject({ paused: 1 });
    expect(await cli.json("Status", [...b.at, "status"], 3)).toMatchObject({ detail: "1 database paused" });
    const { databases } = await cli.json<{ databases: { path: string; state: string; code?: string }[] }>(
      "AttachmentList",
      [...b.at, "db", "ls"],
    );
    expect(databases.find((one) => one.path === file("m2.db"))).toMatchObject({
      state: "paused",
      code: "file-missing",
    });
    expect(existsSync(file("m2.db"))).toBe(false);
    expect(await fails([...b.at, "db", "detach", file("m2.db")], 15)).toBe("not-found");
    await cli.json("Attachment", [...b.at, "db", "detach", file("m2.db"), "--force"]);
    expect(await cli.json("Status", [...b.at, "status"])).toMatchObject({ pendingDown: 0 });
  });

  test("[IFC15] M-41 verify finds everything sound, and names what is not", async () => {
    await settle(b);
    expect(await cli.json("VerifyReport", [...b.at, "verify"])).toMatchObject({ sound: true });
    const objects = readdirSync(join(remote, "log")).sort();
    const last = join(remote, "log", objects.at(-1) as string);
    const kept = readFileSync(last);
    rmSync(last);
    expect(await cli.json("VerifyReport", [...b.at, "verify"], 17)).toMatchObject({
      sound: false,
      checks: expect.arrayContaining([
        expect.objectContaining({ name: "remote", state: "failed", code: "rollback" }),
      ]),
    });
    expect(await fails([...b.at, "sync"], 17)).toBe("rollback");
    expect(await cli.json("Status", [...b.at, "status"], 17)).toMatchObject({
      code: "halted",
      issues: expect.arrayContaining([
        expect.objectContaining({ code: "rollback", next: expect.stringContaining("tidelock sync") }),
      ]),
    });
    writeFileSync(last, kept);
    chmodSync(last, 0o600);
    await settle(b);
    const replica = filesUnder(b.home).find((path) => path.endsWith("replica.db")) as string;
    const db = new Database(replica);
    const table = db
      .prepare(`SELECT name FROM sqlite_schema WHERE name LIKE 't.row%' OR name LIKE 't.r%'`)
      .pluck()
      .get() as string;
    const row = db.prepare(`SELECT k FROM "${table}" LIMIT 1`).pluck().get();
    db.prepare(`UPDATE "${table}" SET v = v || x'00' WHERE k = ?`).run(row);
    db.close();
    expect(await cli.json("VerifyReport", [...b.at, "verify"], 17)).toMatchObject({
      checks: expect.arrayContaining([
        expect.objectContaining({ name: "digest", state: "failed", code: "replica-damaged" }),
      ]),
    });
  });
});

test("[IFC9] a database that another program holds locked is busy, and attaches once it is free", async () => {
  expect(await busy).toBe("database-busy");
  await cli.json("Attachment", [...c.at, "db", "attach", file("locked.db")]);
});

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => statSync(path).isFile());
}

/** Raw, in hexadecimal either way, and in base64 at each of its three alignments. */
function forms(text: string): string[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    // What depends on the bytes around it is left out.
    return whole.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
  const wide = Buffer.from(text, "utf16le").toString("latin1");
  return [
    text,
    wide,
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    encodeURIComponent(text),
    ...base64.filter((form) => form.length >= 6),
  ];
}
