import { randomBytes } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, shell, until } from "./cli.ts";
import { founded, type Home, joined, makeDatabase, PLAIN, sql, writePrivate } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home & { readonly words: string };
let b: Home;

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  a = await founded(cli, "laptop", remote);
  b = await joined(cli, "phone", remote, a.words);
  makeDatabase(file("a.db"), "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, line TEXT)");
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
}, 60_000);

afterAll(() => cli.remove());

const file = (name: string): string => join(cli.folder, name);
const live = (home: Home) =>
  until(`${home.home} is Live`, async () => {
    const ran = await cli.run([...home.at, "status", "--json"]);
    const status = JSON.parse(ran.stdout) as { label?: string };
    return status.label === "Live" ? status : undefined;
  });

describe("a daemon", { timeout: 60_000 }, () => {
  test("[IFC2] it owns its home: a second one is refused by name, and its commands go through it", async () => {
    const daemon = await cli.daemon(a.home);
    try {
      const second = await cli.run([...a.at, "daemon", "run"]);
      expect(second.code).toBe(16);
      expect(second.stderr).toContain(`process ${daemon.pid} (daemon)`);
      expect(await cli.json("Daemon", [...a.at, "daemon", "status"])).toMatchObject({
        running: true,
        pid: daemon.pid,
      });
      await live(a);
      for (const [shape, args] of [
        ["AttachmentList", ["db", "ls"]],
        ["LogPage", ["log"]],
        ["QueueList", ["queue", "ls"]],
        ["ConflictList", ["conflicts", "ls"]],
        ["SyncResult", ["sync", "--wait"]],
        ["VerifyReport", ["verify"]],
        ["LogEntry", ["log", "show", "1"]],
      ] as const)
        await cli.json(shape, [...a.at, ...args]);
      expect(
        (await cli.json<{ error: { code: string } }>("Error", [...a.at, "history", "log/77"], 15)).error.code,
      ).toBe("not-found");
      const extra = file("extra.db");
      makeDatabase(extra, "CREATE TABLE extra (id TEXT PRIMARY KEY)");
      await cli.json("Attachment", [...a.at, "db", "attach", extra]);
      expect(await cli.json("Attachment", [...a.at, "db", "detach", extra])).toMatchObject({
        database: { state: "detached" },
      });
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
  });

  test("[IFC3] its socket is this user's alone, also where a long path moves it", async () => {
    const deep = join(cli.folder, "d".repeat(60), "e".repeat(60));
    mkdirSync(deep, { recursive: true });
    const home = join(deep, "home");
    await cli.json("Init", ["--home", home, ...PLAIN, "init", "--remote", file("deep-remote")]);
    for (const one of [a.home, home]) {
      const daemon = await cli.daemon(one);
      try {
        const { since } = await cli.json<{ since: string }>("Daemon", ["--home", one, "daemon", "status"]);
        expect(Date.parse(since)).toBeGreaterThan(0);
        const owner = JSON.parse(await shell("cat", [join(one, "run", "lock.owner")])) as { socket: string };
        expect(statSync(owner.socket).mode & 0o777).toBe(0o600);
        expect(statSync(join(owner.socket, "..")).mode & 0o777).toBe(0o700);
        expect(owner.socket.startsWith(one)).toBe(one === a.home);
      } finally {
        await daemon.stop("SIGINT");
      }
    }
  });

  test("[IFC20] it ends in order by signal and by command, and leaves the home free", async () => {
    const daemon = await cli.daemon(a.home);
    const ended = cli.json("Daemon", [...a.at, "daemon", "stop"]);
    expect(await ended).toMatchObject({ running: false });
    expect(await cli.json("Daemon", [...a.at, "daemon", "status"])).toMatchObject({ running: false });
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(join(a.home, "run", "daemon.sock"))).toBe(false);
    await cli.json("Status", [...a.at, "status"]);
    expect((await cli.run(["--home", file("nowhere"), "daemon", "run"])).code).toBe(15);
  });

  test("[IFC2] killed, it leaves the home free at once, and the next command cleans up after it", async () => {
    const daemon = await cli.daemon(a.home);
    await daemon.kill();
    expect(existsSync(join(a.home, "run", "daemon.sock"))).toBe(true);
    await cli.json("SyncResult", [...a.at, "sync"]);
    const again = await cli.daemon(a.home);
    await again.stop();
  });

  test("[IFC19] M-27 an edit by another program arrives within moments, and comes back as no entry of its own", async () => {
    const daemons = [await cli.daemon(a.home), await cli.daemon(b.home)];
    try {
      await shell("sqlite3", [
        file("a.db"),
        ".timeout 5000",
        "INSERT INTO log (who, line) VALUES ('shell', 'one')",
      ]);
      await until("the row on b", () => sql(file("b.db"), "SELECT * FROM log WHERE line = 'one'")[0]);
      await Promise.all([live(a), live(b)]);
      const { entries } = await cli.json<{ entries: unknown[] }>("LogPage", [...a.at, "log"]);
      await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
      await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
      expect((await cli.json<{ entries: unknown[] }>("LogPage", [...a.at, "log"])).entries).toHaveLength(
        entries.length,
      );
    } finally {
      for (const daemon of daemons) await daemon.stop();
    }
  });

  test("[IFC19] S-15 while the folder is away edits wait; when it is back they go by themselves", async () => {
    const daemons = [await cli.daemon(a.home), await cli.daemon(b.home)];
    try {
      await live(a);
      renameSync(remote, `${remote}-away`);
      sql(file("a.db"), "INSERT INTO log (who, line) VALUES ('away', 'a')");
      sql(file("b.db"), "INSERT INTO log (who, line) VALUES ('away', 'b')");
      await until("a says Offline", async () =>
        (await cli.run([...a.at, "status"])).code === 14 ? true : undefined,
      );
      renameSync(`${remote}-away`, remote);
      const count = (path: string) => sql(path, "SELECT * FROM log WHERE who = 'away'").length;
      await until(
        "both rows on both",
        () => (count(file("a.db")) === 2 && count(file("b.db")) === 2 ? true : undefined),
        30_000,
      );
    } finally {
      for (const daemon of daemons) await daemon.stop();
    }
  });
});

describe("a home that is not where it was made", { timeout: 60_000 }, () => {
  interface Failure {
    readonly error: { readonly code: string; readonly next: string };
  }

  test("[IFC5] S-11 a copied home sends nothing; joined anew it is a device of its own, with its unsent edits", async () => {
    const copy = file("copied");
    // An edit that waits: made while the folder is away.
    renameSync(remote, `${remote}-away`);
    sql(file("b.db"), "INSERT INTO log (who, line) VALUES ('unsent', 'kept')");
    expect((await cli.json<Failure>("Error", [...b.at, "sync"], 14)).error.code).toBe("unreachable");
    writeFileSync(file("unsent.bin"), randomBytes(400_000));
    await cli.json("DriveActed", [...b.at, "drive", "put", file("unsent.bin")]);
    cpSync(b.home, copy, { recursive: true });
    renameSync(`${remote}-away`, remote);

    expect(await cli.json("Status", ["--home", copy, "status"], 17)).toMatchObject({ label: "Error" });
    for (const args of [["sync"], ["daemon", "run"], ["db", "attach", file("b.db")]]) {
      const failed = await cli.json<Failure>("Error", ["--home", copy, ...args], 17);
      expect(failed.error).toMatchObject({
        code: "op-reused",
        next: expect.stringContaining("tidelock join"),
      });
    }
    const words = writePrivate(file("words"), a.words);
    const anew = [
      "--home",
      copy,
      ...PLAIN,
      "join",
      "--remote",
      remote,
      "--device",
      "copy",
      "--words-file",
      words,
    ];
    expect(await cli.json("Join", anew)).toMatchObject({ device: 2, deviceName: "copy" });
    await cli.json("SyncResult", ["--home", copy, "sync", "--wait"]);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(sql(file("a.db"), "SELECT line FROM log WHERE who = 'unsent'")).toEqual([{ line: "kept" }]);
    await cli.json("DriveActed", [...a.at, "drive", "get", "unsent.bin", file("unsent.out")]);
    expect(readFileSync(file("unsent.out")).equals(readFileSync(file("unsent.bin")))).toBe(true);
    // The device it was copied from sends the same edit: once is enough.
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(sql(file("a.db"), "SELECT line FROM log WHERE who = 'unsent'")).toEqual([{ line: "kept" }]);
    expect((await cli.json<Failure>("Error", anew, 2)).error.code).toBe("exists");
  });

  test("[IFC5] S-11 a restored home is refused by the log at the latest, and enrols anew", async () => {
    const saved = file("saved");
    cpSync(join(b.home, "data"), saved, { recursive: true });
    sql(file("b.db"), "INSERT INTO log (who, line) VALUES ('later', 'one')");
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    rmSync(join(b.home, "data"), { recursive: true });
    renameSync(saved, join(b.home, "data"));
    const failed = await cli.json<Failure>("Error", [...b.at, "sync"], 17);
    expect(failed.error.code).toBe("op-reused");
    const words = writePrivate(file("words"), a.words);
    expect(
      await cli.json("Join", [
        ...b.at,
        ...PLAIN,
        "join",
        "--remote",
        remote,
        "--device",
        "restored",
        "--words-file",
        words,
      ]),
    ).toMatchObject({ deviceName: "restored" });
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
  });

  test("[IFC5, ATT30] a database of the device that the home was before: only a person knows that nobody else uses it, then no row doubles", async () => {
    const rows = sql<{ n: number }>(file("b.db"), "SELECT count(*) AS n FROM log");
    sql(file("b.db"), "UPDATE log SET line = 'edited since' WHERE who = 'later'");
    const { error } = await cli.json<Failure>("Error", [...b.at, "db", "attach", file("b.db")], 2);
    expect(error).toMatchObject({
      code: "attached-elsewhere",
      next: expect.stringContaining(`tidelock db detach ${file("b.db")} --force`),
    });
    const detached = await cli.json<{ database: { notes: readonly string[] } }>("Attachment", [
      ...b.at,
      "db",
      "detach",
      file("b.db"),
      "--force",
    ]);
    expect(detached.database.notes.join()).toContain("1 row");
    await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    expect(sql(file("b.db"), "SELECT count(*) AS n FROM log")).toEqual(rows);
    const { conflicts } = await cli.json<{ conflicts: readonly unknown[] }>("ConflictList", [
      ...b.at,
      "conflicts",
      "ls",
    ]);
    expect(JSON.stringify(conflicts)).toContain("edited since");
  });
});
