import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inUse, readOwner, tryLock } from "./lock.ts";
import { type HomePaths, homePaths } from "./paths.ts";

let folder: string;
let paths: HomePaths;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-lock-"));
  paths = await homePaths({ home: folder, env: {} });
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = { pid: process.pid, what: "test", since: 1 };

test("[IFC2] the second to ask gets nothing until the first lets go", () => {
  const first = tryLock(paths, owner);
  expect(first).toBeDefined();
  expect(tryLock(paths, { ...owner, what: "other" })).toBeUndefined();
  expect(readOwner(paths)).toEqual(owner);
  expect(inUse(paths)).toMatchObject({
    code: "in-use",
    exit: 16,
    why: expect.stringContaining(`process ${process.pid} (test)`),
  });
  first?.release();
  expect(existsSync(paths.owner)).toBe(false);
  const again = tryLock(paths, owner);
  expect(again).toBeDefined();
  again?.release();
});

test("[IFC2] a process that is killed leaves the home free, whatever it said of itself", async () => {
  const script = `
    const db = new (require("better-sqlite3"))(${JSON.stringify(paths.lock)});
    db.exec("BEGIN EXCLUSIVE");
    process.stdout.write("held");
    setInterval(() => {}, 1000);`;
  tryLock(paths, owner)?.release();
  const child = spawn(process.execPath, ["-e", script], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  writeFileSync(
    paths.owner,
    JSON.stringify({ pid: child.pid, what: "daemon", since: 1, socket: "/nowhere" }),
  );
  expect(tryLock(paths, owner)).toBeUndefined();
  expect(inUse(paths).next).toBe("tidelock daemon stop");
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  const lock = tryLock(paths, owner);
  expect(lock).toBeDefined();
  expect(readOwner(paths)).toEqual(owner);
  lock?.release();
});

test("[IFC2] a half-written word of the owner is no word", () => {
  const lock = tryLock(paths, owner);
  writeFileSync(paths.owner, '{"pid": 1, "wha');
  expect(readOwner(paths)).toBeUndefined();
  expect(inUse(paths).why).toContain("another process");
  lock?.release();
});
