import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { homePaths } from "./paths.ts";

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tidelock-paths-")));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("[IFC1] the caller is stronger than the variable, and that than the project's file", async () => {
  writeFileSync(join(folder, "tidelock.toml"), 'home = "project"\n');
  const env = { TIDELOCK_HOME: "variable" };
  expect((await homePaths({ home: "flag", env, cwd: folder })).root).toBe(join(folder, "flag"));
  expect((await homePaths({ env, cwd: folder })).root).toBe(join(folder, "variable"));
  expect((await homePaths({ env: {}, cwd: folder })).root).toBe(join(folder, "project"));
  writeFileSync(join(folder, "tidelock.toml"), "home = ");
  await expect(homePaths({ env: {}, cwd: folder })).rejects.toMatchObject({ code: "usage" });
});

test("[IFC1] all of a named home lies in it, and two homes share nothing", async () => {
  const [a, b] = await Promise.all(["a", "b"].map((home) => homePaths({ home, env: {}, cwd: folder })));
  for (const path of [a?.config, a?.data, a?.state, a?.run, a?.lock, a?.owner, a?.socket])
    expect(path?.startsWith(join(folder, "a", ""))).toBe(true);
  expect(a?.id).toMatch(/^[0-9a-f]{16}$/);
  expect(a?.id).not.toBe(b?.id);
});

test("[IFC1] one folder is one home, by whatever link it is reached", async () => {
  mkdirSync(join(folder, "real"));
  symlinkSync(join(folder, "real"), join(folder, "link"));
  const [a, b] = await Promise.all(["real", "link"].map((home) => homePaths({ home, env: {}, cwd: folder })));
  expect(a).toEqual(b);
});

test("[IFC1] without a word the account's own folders are used, and the lock lies with the data", async () => {
  const env = { XDG_RUNTIME_DIR: join(folder, "runtime") };
  const paths = await homePaths({ env, cwd: folder });
  expect(paths.run).toBe(join(folder, "runtime", "tidelock"));
  expect(paths.lock.startsWith(paths.data)).toBe(true);
  expect((await homePaths({ env: {}, cwd: folder })).lock).toBe(paths.lock);
});

test("[IFC3] a socket's path never outgrows what the system takes", async () => {
  const deep = await homePaths({ home: join(folder, "d".repeat(120)), env: {}, cwd: folder });
  expect(Buffer.byteLength(deep.socket)).toBeLessThanOrEqual(100);
  expect(deep.socket).toContain(deep.id);
});
