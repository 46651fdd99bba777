import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { dump, sql } from "./homes.ts";

interface Demo {
  readonly remote: string;
  readonly rows: number;
  readonly equal: boolean;
  readonly vault: string;
}

let cli: Cli;

beforeAll(async () => {
  cli = await createCli();
}, 60_000);

afterAll(() => cli.remove());

const at = (folder: string, name: string): string => join(cli.folder, folder, name);
const demo = (folder: string, ...more: string[]): Promise<Demo> =>
  cli.json<Demo>("Demo", ["demo", folder, ...more], 0, { cwd: cli.folder });

/** Whether something can listen where that server did. */
function isFree(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(Number(new URL(url).port), "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

describe("demo", { timeout: 120_000 }, () => {
  test("[IFC21] a server and two devices, ended by itself; a second start goes on, and what it says to type works", async () => {
    const first = await cli.run(["demo"], { cwd: cli.folder });
    expect([first.code, first.stderr]).toEqual([0, expect.stringContaining("--insecure-key-file")]);
    const folder = join(".tidelock", "demo");
    const second = await demo(folder);
    expect(second).toMatchObject({ equal: true, rows: 7, remote: expect.stringMatching(/^http:\/\/127/) });
    expect(first.stdout).toContain(second.remote);
    expect(dump(at(folder, "laptop.db"))).toEqual(dump(at(folder, "phone.db")));
    expect(await isFree(second.remote)).toBe(true);

    const lines = first.stdout
      .split("\n")
      .flatMap((line) => /npx tidelock (.+?)(?: {3}\(.*\))?$/.exec(line)?.[1] ?? []);
    expect(lines.length).toBeGreaterThan(3);
    const typed = (word: string): string[] => (lines.find((line) => line.includes(word)) ?? "").split(" ");
    expect((await cli.run(typed("history"), { cwd: cli.folder })).code).toBe(0);
    const up = await cli.begin(typed(" up "), /Tidelock is running/, { cwd: cli.folder });
    const phone = await cli.begin(typed(`phone daemon`), /in sync/, { cwd: cli.folder });
    try {
      sql(at(folder, "laptop.db"), "UPDATE task SET done = 1 WHERE id = 1");
      await until("the phone has it", () => sql(at(folder, "phone.db"), "SELECT 1 FROM task WHERE done")[0]);
    } finally {
      await phone.stop();
      await up.stop();
    }
  });

  test("[IFC21] where its port is taken it goes on at another one, and both devices with it", async () => {
    const before = await demo("moved");
    const other = createServer();
    await new Promise<void>((resolve) =>
      other.listen(Number(new URL(before.remote).port), "127.0.0.1", resolve),
    );
    try {
      const after = await demo("moved");
      expect(after).toMatchObject({ vault: before.vault, rows: before.rows + 2 });
      expect(after.remote).not.toBe(before.remote);
      // It stays there.
      expect(await demo("moved")).toMatchObject({ remote: after.remote });
    } finally {
      other.close();
    }
  });

  test("[IFC21] it stays where it is told to, with both devices in sync; Ctrl-C ends all of it", async () => {
    const stays = await cli.begin(["demo", "stay", "--stay"], /attach your own/, { cwd: cli.folder });
    const url = /http:\S+/.exec(stays.stdout())?.[0] ?? "";
    try {
      sql(at("stay", "phone.db"), "UPDATE task SET title = 'seen' WHERE id = 2");
      const seen = "SELECT 1 FROM task WHERE title = 'seen'";
      await until("the laptop has it", () => sql(at("stay", "laptop.db"), seen)[0]);
      const status = await cli.run(["--home", at("stay", "phone"), "status"]);
      expect(status.code, status.stdout).toBe(0);
      const again = await cli.run(["demo", "stay"], { cwd: cli.folder });
      expect([again.code, again.stderr]).toEqual([16, expect.stringContaining("in-use")]);
    } finally {
      expect(await stays.stop("SIGINT")).toBe(0);
    }
    expect(await isFree(url)).toBe(true);
  });

  test("[IFC21] [IFC6] cut short at any moment, the next start goes on", async () => {
    const marks = [
      "laptop/data/server/server.db",
      "laptop/config.toml",
      "phone/data",
      "phone/config.toml",
      "phone.db",
    ];
    for (const mark of marks) {
      const [[node = "", ...args], env, cwd] = cli.command(["demo", "cut"]);
      const child = spawn(node, args, { env: { ...env }, cwd, stdio: "ignore" });
      const gone = once(child, "exit");
      await until(mark, () => existsSync(at("cut", mark)) || undefined);
      child.kill("SIGKILL");
      await gone;
    }
    expect(await demo("cut")).toMatchObject({ equal: true });
    expect(dump(at("cut", "laptop.db"))).toEqual(dump(at("cut", "phone.db")));
  });

  test("[IFC21] by a folder, in place of the server; the two are not mixed up", async () => {
    expect(await demo("folder", "--folder")).toMatchObject({ equal: true, rows: 5 });
    expect(await demo("folder", "--folder")).toMatchObject({ equal: true, rows: 7 });
    const mixed = await cli.run(["demo", "folder"], { cwd: cli.folder });
    expect([mixed.code, mixed.stderr]).toEqual([2, expect.stringContaining("exists")]);
  });
});
