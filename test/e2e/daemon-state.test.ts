import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { founded, type Home, joined, makeDatabase, sql } from "./homes.ts";

let cli: Cli;
let a: Home & { readonly words: string };
let b: Home;

beforeAll(async () => {
  cli = await createCli();
  const remote = join(cli.folder, "remote");
  a = await founded(cli, "laptop", remote);
  b = await joined(cli, "phone", remote, a.words);
  makeDatabase(file("a.db"), "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, line TEXT)");
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
}, 60_000);

afterAll(() => cli.remove());

const file = (name: string): string => join(cli.folder, name);
const code = (found: unknown): string => (found as { error: { code: string } }).error.code;
const lines = (path: string, who: string): unknown[] =>
  sql(path, `SELECT line FROM log WHERE who = '${who}' ORDER BY line`).map((row) => row["line"]);
const paused = { code: "offline", label: "Offline", detail: "Paused by you", action: "Resume", exit: 14 };

describe("pause and resume", { timeout: 60_000 }, () => {
  test("[IFC34] paused, edits are kept and nothing goes or comes, also after a restart; resumed, all of it does", async () => {
    let daemon = await cli.daemon(a.home);
    expect(await cli.json("Status", [...a.at, "pause"])).toMatchObject(paused);
    sql(file("a.db"), "INSERT INTO log (who, line) VALUES ('pause', 'mine')");
    sql(file("b.db"), "INSERT INTO log (who, line) VALUES ('pause', 'theirs')");
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    const captured = (): Promise<true | undefined> =>
      cli
        .json<{ items: unknown[] }>("QueueList", [...a.at, "queue", "ls"])
        .then(({ items }) => (items.length > 0 ? true : undefined));
    await until("the edit is durable", captured);
    // Killed and started again: the word of a person outlives it.
    await daemon.kill();
    daemon = await cli.daemon(a.home);
    try {
      expect(await cli.json("Status", [...a.at, "status"], 14)).toMatchObject(paused);
      expect(code(await cli.json("Error", [...a.at, "sync"], 14))).toBe("paused");
      await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
      expect([lines(file("a.db"), "pause"), lines(file("b.db"), "pause")]).toEqual([["mine"], ["theirs"]]);
      expect(await cli.json<{ code: string }>("Status", [...a.at, "resume"])).not.toMatchObject(paused);
      await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
      await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
      expect([lines(file("a.db"), "pause"), lines(file("b.db"), "pause")]).toEqual([
        ["mine", "theirs"],
        ["mine", "theirs"],
      ]);
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
  });

  test("[IFC34] without a daemon too, for a while or until resumed", async () => {
    const { pausedUntil } = await cli.json<{ pausedUntil: string }>("Status", [
      ...b.at,
      "pause",
      "--for",
      "2h",
    ]);
    expect(Date.parse(pausedUntil) - Date.now()).toBeGreaterThan(7_000_000);
    expect(await cli.json("Status", [...b.at, "status"], 14)).toMatchObject({ ...paused, pausedUntil });
    expect(code(await cli.json("Error", [...b.at, "sync"], 14))).toBe("paused");
    await cli.json("Status", [...b.at, "resume"]);
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    // It ends by itself, also for who was not there.
    await cli.json("Status", [...b.at, "pause", "--for", "1s"]);
    await until("the pause has run out", async () => {
      const ran = await cli.run([...b.at, "sync"]);
      return ran.code === 0 ? true : undefined;
    });
    for (const bad of ["", "2", "h", "-1h", "1.5h", "0s", "1e3s", "99999d", "2 h", "２h"])
      expect(code(await cli.json("Error", [...b.at, "pause", "--for", bad], 2)), bad).toBe("usage");
  });
});

describe("keys and vaults that are not there", { timeout: 60_000 }, () => {
  test("[IFC9] M-45 not configured, a missing key and a key of another vault have codes of their own", async () => {
    const fails = async (args: readonly string[], exit: number, env = {}): Promise<string> =>
      code(await cli.json("Error", args, exit, { env }));
    for (const args of [["sync"], ["status"], ["db", "ls"], ["daemon", "run"]])
      expect(await fails(["--home", file("empty"), ...args], 15)).toBe("not-configured");
    const lost = await founded(cli, "lost", file("lost-remote"));
    const [vault] = readdirSync(join(lost.home, "data", "vaults"));
    const keys = join(lost.home, "data", "vaults", vault as string, "keys");
    const others = join(
      a.home,
      "data",
      "vaults",
      readdirSync(join(a.home, "data", "vaults"))[0] as string,
      "keys",
    );
    copyFileSync(keys, file("kept"));
    rmSync(keys);
    for (const args of [["sync"], ["log"], ["daemon", "run"]])
      expect(await fails([...lost.at, ...args], 13)).toBe("key-missing");
    // The keys of another device of another vault: they open, and are not the ones.
    copyFileSync(others, keys);
    chmodSync(keys, 0o600);
    for (const args of [["sync"], ["status"], ["daemon", "run"]])
      expect(await fails([...lost.at, ...args], 13)).toBe("key-mismatch");
    copyFileSync(file("kept"), keys);
    await cli.json("SyncResult", [...lost.at, "sync"]);
    const foreign = { WORDS: a.words };
    const join24 = ["join", "--remote", file("lost-remote"), "--words-from-env", "WORDS"];
    expect(await fails(["--home", file("anew"), "--insecure-key-file", ...join24], 13, foreign)).toBe(
      "key-mismatch",
    );
  });
});

describe("issues and devices", { timeout: 60_000 }, () => {
  test("[IFC36] status and issues tell the same: code, since when, why, what to do", async () => {
    const { issues } = await cli.json<{ issues: { code: string }[] }>("Status", [...a.at, "status"]);
    expect(issues.map((issue) => issue.code)).toEqual(["insecure-key-file", "recovery-sheet"]);
    expect(await cli.json("IssueList", [...a.at, "issues", "ls"])).toMatchObject({ issues });
    expect(code(await cli.json("Error", [...a.at, "issues", "dismiss", "recovery-sheet"], 2))).toBe("usage");
    expect(code(await cli.json("Error", [...a.at, "issues", "dismiss", "__proto__"], 15))).toBe("not-found");
    rmSync(file("b.db"));
    expect(await cli.json("IssueList", [...b.at, "issues", "ls"])).toMatchObject({
      issues: [{ code: "insecure-key-file" }, { code: "file-missing", dismissed: false }],
    });
    await cli.json("IssueList", [...b.at, "issues", "dismiss", "file-missing"]);
    // Told away, not mended: the state stays what it is.
    const status = await cli.json<{ issues: unknown[] }>("Status", [...b.at, "status"], 3);
    expect(status.issues).toHaveLength(1);
    expect(await cli.json("IssueList", [...b.at, "issues", "ls", "--all"])).toMatchObject({
      issues: [{}, { code: "file-missing", dismissed: true }],
    });
  });

  test("[IFC38] the devices, with names and when each was last heard of", async () => {
    const { devices } = await cli.json<{ devices: { lastSeen: string }[] }>("DeviceList", [
      ...a.at,
      "device",
      "ls",
    ]);
    expect(devices).toMatchObject([
      { device: 0, name: "laptop", own: true },
      { device: 1, name: "phone", own: false },
    ]);
    for (const one of devices) expect(Math.abs(Date.parse(one.lastSeen) - Date.now())).toBeLessThan(600_000);
  });
});

describe("a database that another program holds", { timeout: 60_000 }, () => {
  test("[IFC35] held locked by a program that was stopped, it is told of after 30 s, and goes on when it is free", async () => {
    rmSync(file("faults"), { recursive: true, force: true });
    mkdirSync(file("faults"));
    const env = {
      NODE_OPTIONS: `--require ${fileURLToPath(new URL("stuck.cjs", import.meta.url))}`,
      TIDELOCK_TEST_FAULTS: file("faults"),
      TIDELOCK_TEST_FOLDER: file("nothing"),
    };
    const daemon = await cli.daemon(a.home, { env });
    const holder = spawn("sqlite3", [file("a.db")], { stdio: ["pipe", "pipe", "ignore"] });
    try {
      holder.stdin.write(
        "INSERT INTO log (who, line) VALUES ('held', 'before');\nBEGIN IMMEDIATE;\nSELECT 'locked';\n",
      );
      await new Promise((resolve) => holder.stdout.once("data", resolve));
      holder.kill("SIGSTOP");
      const status = async (): Promise<{ code: string; detail?: string }> =>
        JSON.parse((await cli.run([...a.at, "status", "--json"])).stdout) as { code: string };
      // It must have looked while the database was held: it does every other second.
      const from = performance.now();
      await until("some looks", () =>
        status().then(() => (performance.now() - from > 1500 ? true : undefined)),
      );
      writeFileSync(join(file("faults"), "later"), "");
      await until("the stall is told", async () => {
        const { code: now, detail } = await status();
        return now === "error" && detail?.includes("another program holds it locked") === true
          ? true
          : undefined;
      });
      holder.kill("SIGCONT");
      holder.kill("SIGTERM");
      await until("it goes on", async () => ((await status()).code === "live" ? true : undefined));
    } finally {
      holder.kill("SIGKILL");
      expect(await daemon.stop()).toBe(0);
    }
  });
});

describe("taking a device out", { timeout: 120_000 }, () => {
  test("[IFC42] T-26 it says No access without a restart, keeps its data, and reads nothing that comes after", async () => {
    const remote = file("shared");
    const first = await founded(cli, "first", remote);
    const second = await joined(cli, "second", remote, first.words);
    const third = await joined(cli, "third", remote, first.words);
    makeDatabase(file("first.db"), "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, line TEXT)");
    for (const [home, db] of [
      [first, "first.db"],
      [second, "second.db"],
      [third, "third.db"],
    ] as const)
      await cli.json("Attachment", [...home.at, "db", "attach", file(db)]);
    sql(file("first.db"), "INSERT INTO log (who, line) VALUES ('x', 'before')");
    await cli.json("SyncResult", [...first.at, "sync", "--wait"]);
    const daemon = await cli.daemon(second.home);
    try {
      await until("it has the row", () => (lines(file("second.db"), "x").length === 1 ? true : undefined));
      const rm = [...first.at, "device", "rm"];
      expect(code(await cli.json("Error", [...rm, "second"], 2))).toBe("usage");
      for (const bad of ["nobody", "7", "", "0x1", "__proto__"])
        expect(code(await cli.json("Error", ["--yes", ...rm, bad], 15)), bad).toBe("not-found");
      expect(code(await cli.json("Error", ["--yes", ...rm, "first"], 2))).toBe("usage");
      const late = ["--certified-since", "2999-01-01"];
      expect(code(await cli.json("Error", ["--yes", ...rm, "second", ...late], 2))).toBe("usage");
      const since = ["--certified-since", "2020-01-01"];
      expect(await cli.json("DeviceActed", ["--yes", ...rm, "second", ...since])).toMatchObject({
        device: 1,
        state: "accepted",
      });
      expect(code(await cli.json("Error", ["--yes", ...rm, "second"], 15))).toBe("not-found");
      sql(file("first.db"), "INSERT INTO log (who, line) VALUES ('x', 'after')");
      await cli.json("SyncResult", [...first.at, "sync", "--wait"]);
      const status = (): Promise<{ code: number }> => cli.run([...second.at, "status"]);
      await until("it has seen that it is out", async () =>
        (await status()).code === 12 ? true : undefined,
      );
      expect(await cli.json("Status", [...second.at, "status"], 12)).toMatchObject({ label: "No access" });
      sql(file("second.db"), "INSERT INTO log (who, line) VALUES ('x', 'of one who is out')");
      expect(code(await cli.json("Error", [...second.at, "sync"], 12))).toBe("device-removed");
      expect(lines(file("second.db"), "x")).toEqual(["before", "of one who is out"]);
      await cli.json("LogPage", [...second.at, "log"]);
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
    await cli.json("SyncResult", [...third.at, "sync", "--wait"]);
    expect(lines(file("third.db"), "x")).toEqual(["after", "before"]);
    const { devices } = await cli.json<{ devices: object[] }>("DeviceList", [...third.at, "device", "ls"]);
    expect(devices).toMatchObject([{ name: "first" }, { removed: expect.any(String) }, { name: "third" }]);
    expect(devices.map((one) => "removed" in one)).toEqual([false, true, false]);
  });

  test("[IFC42] another name arrives everywhere; without the remote it waits", async () => {
    expect(await cli.json("DeviceActed", [...a.at, "device", "rename", "Léas Rechner"])).toMatchObject({
      device: 0,
      state: "accepted",
    });
    // Its database is gone, which this is not about.
    await cli.run([...b.at, "sync"]);
    expect(await cli.json("DeviceList", [...b.at, "device", "ls"])).toMatchObject({
      devices: [{ name: "Léas Rechner" }, {}],
    });
    for (const bad of ["", "a\nb", "x".repeat(256), "\u0007"])
      expect(code(await cli.json("Error", [...a.at, "device", "rename", bad], 2)), bad).toBe("bad-name");
    await cli.json("Status", [...a.at, "pause"]);
    expect(await cli.json("DeviceActed", [...a.at, "device", "rename", "later"])).toMatchObject({
      state: "waits",
    });
    await cli.json("Status", [...a.at, "resume"]);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(await cli.json("DeviceList", [...a.at, "device", "ls"])).toMatchObject({
      devices: [{ name: "later" }, {}],
    });
  });
});
