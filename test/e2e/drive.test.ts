/** Files of a vault by command: on one device, then on another, offline, over a remote that loses them. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli } from "./cli.ts";
import { founded, type Home, joined } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home;
let b: Home;
const SECRET = "a name that nobody else may read";

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  const first = await founded(cli, "a", remote);
  a = first;
  b = await joined(cli, "b", remote, first.words);
}, 60_000);

afterAll(() => cli.remove());

interface Listed {
  readonly items: readonly { readonly path: string; readonly kind: string; readonly size?: number }[];
}

const ls = async (home: Home, ...path: readonly string[]): Promise<readonly string[]> =>
  (await cli.json<Listed>("DriveList", [...home.at, "drive", "ls", ...path])).items.map((item) => item.path);
const does = (home: Home, ...args: readonly string[]): Promise<{ readonly state: string }> =>
  cli.json("DriveActed", [...home.at, "drive", ...args]);
const fails = (home: Home, exit: number, ...args: readonly string[]): Promise<{ error: { code: string } }> =>
  cli.json("Error", [...home.at, "drive", ...args], exit);
const sync = (home: Home): Promise<unknown> => cli.json("SyncResult", [...home.at, "sync", "--wait"]);

/** What a file's row says, and how many edits wait. */
async function shown(home: Home, path: string): Promise<readonly unknown[]> {
  const { items } = await cli.json<{ items: { state?: string }[] }>("DriveList", [
    ...home.at,
    "drive",
    "ls",
    path,
  ]);
  const { pending } = await waiting(home);
  return [items[0]?.state, pending];
}

async function waiting(home: Home): Promise<{ readonly pending: number }> {
  const { items } = await cli.json<{ items: object[] }>("QueueList", [...home.at, "queue", "ls"]);
  return { pending: items.length };
}

function local(name: string, bytes: Uint8Array | string): string {
  const path = join(cli.folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe("drive", { timeout: 60_000 }, () => {
  test("[IFC54] Y-1: a file arrives with its bytes, its time and whether it can be run", async () => {
    const large = local("large.bin", randomBytes(3_000_000));
    chmodSync(large, 0o755);
    utimesSync(large, 1_700_000_000, 1_700_000_000);
    const small = local("small.txt", `${SECRET}\n`);
    for (const file of [large, small])
      expect(await does(a, "put", file, "docs/2026/")).toMatchObject({ state: "accepted" });
    await does(a, "mkdir", SECRET);
    await sync(b);
    expect(await ls(b)).toEqual([SECRET, "docs"]);
    expect(await ls(b, "docs/2026")).toEqual(["docs/2026/large.bin", "docs/2026/small.txt"]);
    const out = join(cli.folder, "out.bin");
    await does(b, "get", "docs/2026/large.bin", out);
    expect(readFileSync(out).equals(readFileSync(large))).toBe(true);
    expect([statSync(out).mode & 0o777, statSync(out).mtimeMs]).toEqual([0o755, 1_700_000_000_000]);
    const shown = await cli.run([...b.at, "drive", "cat", "docs/2026/small.txt"]);
    expect([shown.code, shown.stdout]).toEqual([0, `${SECRET}\n`]);
  });

  test("[IFC54] Y-15: the same content again is named, not sent; another vault shares nothing with it", async () => {
    const before = blobs();
    await does(a, "put", join(cli.folder, "large.bin"), "copy.bin");
    expect(blobs()).toEqual(before);
    const c = await founded(cli, "c", join(cli.folder, "other remote"));
    await does(c, "put", join(cli.folder, "large.bin"), "copy.bin");
    const theirs = files(join(cli.folder, "other remote", "blob"));
    expect(theirs.length).toBeGreaterThan(0);
    // Neither a name nor any sixteen bytes of what is sealed.
    const pieces = new Set<string>();
    for (const path of before) for (const piece of sixteens(path)) pieces.add(piece);
    for (const path of theirs) expect(sixteens(path).filter((piece) => pieces.has(piece))).toEqual([]);
    const names = (paths: readonly string[]): string[] =>
      paths.map((path) => path.slice(path.lastIndexOf("/")));
    expect(names(theirs).filter((name) => names(before).includes(name))).toEqual([]);
  });

  test("[IFC54] Y-14, Y-27: a large file killed at half goes on where it was, and is one on the other side", async () => {
    const large = local("huge.bin", randomBytes(48 << 20));
    const before = blobs().length;
    const [[node = "", ...args], env, cwd] = cli.command([...a.at, "drive", "put", large, "huge.bin"]);
    const first = spawn(node, args, { env: { ...env }, cwd, stdio: "ignore" });
    const ended = once(first, "exit");
    while (blobs().length < before + 2 && first.exitCode === null) await pause(5);
    first.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(await does(a, "put", large, "huge.bin")).toMatchObject({ state: "accepted" });
    // What the first one had sent or put aside is not sent again, but for the pack that it was cutting.
    expect(blobs().length - before).toBeLessThanOrEqual(8);
    await sync(b);
    const out = join(cli.folder, "huge.out");
    await does(b, "get", "huge.bin", out);
    expect(readFileSync(out).equals(readFileSync(large))).toBe(true);
    await does(a, "delete", "huge.bin");
  });

  test("[IFC15] verify finds a vault with files sound", async () => {
    for (const home of [a, b])
      expect(await cli.json("VerifyReport", [...home.at, "verify"])).toMatchObject({ sound: true });
  });

  test("[IFC54] the remote holds no name and no byte of them", () => {
    const held = [...blobs(), ...files(join(remote, "log"))].map((path) =>
      readFileSync(path).toString("latin1"),
    );
    expect(held.length).toBeGreaterThan(3);
    for (const word of [SECRET, "small.txt", "docs"])
      expect(held.some((bytes) => bytes.includes(word))).toBe(false);
  });

  test("[IFC54, IFC58] Y-7, Y-31: what is done without the remote waits, is seen here at once, and arrives", async () => {
    const away = `${remote}-away`;
    renameSync(remote, away);
    const file = local("offline.bin", randomBytes(400_000));
    expect(await does(a, "put", file, "offline.bin")).toMatchObject({ state: "waits" });
    expect(await does(a, "mv", "docs/2026", "docs/old")).toMatchObject({ state: "waits" });
    expect(await ls(a, "docs")).toEqual(["docs/old"]);
    const back = join(cli.folder, "back.bin");
    await does(a, "get", "offline.bin", back);
    expect(readFileSync(back).equals(readFileSync(file))).toBe(true);
    // It says so until the log has taken it.
    expect(await shown(a, "offline.bin")).toEqual(["sending", 2]);
    // What is only there is missed, by name.
    expect(await fails(b, 14, "get", "docs/2026/large.bin", join(cli.folder, "none"))).toMatchObject({
      error: { code: "unreachable" },
    });
    renameSync(away, remote);
    await sync(a);
    expect(await shown(a, "offline.bin")).toEqual(["placeholder", 0]);
    await sync(b);
    expect(await ls(b)).toEqual([SECRET, "copy.bin", "docs", "offline.bin"]);
    expect(await ls(b, "docs/old")).toEqual(["docs/old/large.bin", "docs/old/small.txt"]);
  });

  test("[IFC58] Y-2, Y-5: what is pinned is here and stays here as others change it; freed, it is a placeholder", async () => {
    interface Item {
      readonly path: string;
      readonly state?: string;
      readonly pinned?: boolean;
    }
    const states = async (home: Home): Promise<readonly Item[]> =>
      (
        await cli.json<{ readonly items: readonly Item[] }>("DriveList", [
          ...home.at,
          "drive",
          "ls",
          "docs/old",
        ])
      ).items;
    const large = async (): Promise<Item | undefined> =>
      (await states(b)).find(({ path }) => path === "docs/old/large.bin");
    // Listed with all its attributes, and none of its bytes is here.
    expect(await large()).toMatchObject({ state: "placeholder", size: 3_000_000 });
    expect(await does(b, "pin", "docs")).toMatchObject({ path: "docs", state: "pinned" });
    expect(await large()).toMatchObject({ state: "present", pinned: true });
    const next = local("next.bin", randomBytes(500_000));
    await does(a, "put", next, "docs/old/large.bin");
    await sync(b);
    const away = `${remote}-away`;
    renameSync(remote, away);
    const out = join(cli.folder, "pinned.out");
    await does(b, "get", "docs/old/large.bin", out);
    expect(readFileSync(out).equals(readFileSync(next))).toBe(true);
    const mine = local("mine.bin", randomBytes(300_000));
    expect(await does(b, "put", mine, "docs/mine.bin")).toMatchObject({ state: "waits" });
    expect(await fails(b, 1, "free", "docs")).toMatchObject({ error: { code: "not-uploaded" } });
    renameSync(away, remote);
    await sync(b);
    expect(await does(b, "free", "docs")).toMatchObject({ path: "docs", state: "freed" });
    expect(await large()).toMatchObject({ state: "placeholder", size: 500_000 });
    expect((await large())?.pinned).toBeUndefined();
    await sync(a);
    expect(await ls(a, "docs")).toEqual(["docs/mine.bin", "docs/old"]);
    await does(a, "delete", "docs/mine.bin");
    await sync(b);
  });

  test("[IFC54] Y-8: both write at once: one stands, the other lies beside it, and nothing is lost", async () => {
    await does(a, "put", local("report.txt", "old"), "report.txt");
    await sync(b);
    const away = `${remote}-away`;
    renameSync(remote, away);
    await does(a, "put", local("report.txt", "by a"), "report.txt");
    await does(b, "put", local("report.txt", "by b"), "report.txt");
    renameSync(away, remote);
    for (const home of [a, b, a]) await sync(home);
    const names = (await ls(a)).filter((path) => path.startsWith("report"));
    expect(names).toEqual(["report (b conflict ", "report.txt"].map((name) => expect.stringContaining(name)));
    expect(await ls(b)).toEqual(await ls(a));
    const texts = await Promise.all(
      names.map(async (name) => (await cli.run([...b.at, "drive", "cat", name])).stdout),
    );
    expect(texts).toEqual(["by b", "by a"]);
  });

  test("[IFC55] Y-8: the conflict is listed with both sides, and ends on every device where one settles it", async () => {
    interface Conflicts {
      readonly conflicts: readonly { id: string; state: string; current: Side; other: Side }[];
    }
    interface Side {
      readonly path: string;
      readonly deviceName: string;
      readonly size: number;
    }
    const conflicts = (home: Home, ...more: readonly string[]): Promise<Conflicts> =>
      cli.json("FileConflictList", [...home.at, "conflicts", "ls", "--kind", "files", ...more]);
    const [one] = (await conflicts(b)).conflicts;
    expect(one).toMatchObject({
      state: "open",
      current: { path: "report.txt", deviceName: "a", size: 4 },
      other: { path: expect.stringContaining("report (b conflict "), deviceName: "b", size: 4 },
    });
    const id = one?.id ?? "";
    await cli.json("Error", [...b.at, "conflicts", "settle", id, "mine"], 2);
    const done = await cli.json("FileSettled", [...b.at, "conflicts", "settle", id, "use-other"]);
    expect(done).toMatchObject({ id, state: "use-other" });
    await sync(a);
    expect((await conflicts(a)).conflicts).toEqual([]);
    expect((await conflicts(a, "--all")).conflicts).toMatchObject([{ id, state: "use-other" }]);
    expect((await ls(a)).filter((path) => path.startsWith("report"))).toEqual(["report.txt"]);
    expect((await cli.run([...a.at, "drive", "cat", "report.txt"])).stdout).toBe("by b");
  });

  test("[IFC55, IFC68] every version is there, can be had beside the newest, and becomes the newest", async () => {
    interface History {
      readonly versions: readonly { revision: string; size: number; current: boolean; deviceName: string }[];
    }
    const history = (): Promise<History> =>
      cli.json("FileHistory", [...a.at, "history", "report.txt", "--kind", "files"]);
    const before = (await history()).versions;
    expect(before.map((version) => [version.size, version.deviceName, version.current])).toEqual([
      [4, "b", true],
      [4, "a", false],
      [3, "a", false],
    ]);
    const first = before.at(-1)?.revision ?? "";
    const at = ["--at", first.slice(0, 12)];
    expect((await cli.run([...a.at, "drive", "cat", "report.txt", ...at])).stdout).toBe("old");
    const out = join(cli.folder, "old.txt");
    await does(a, "get", "report.txt", out, ...at);
    expect(readFileSync(out, "utf8")).toBe("old");
    await fails(a, 15, "cat", "report.txt", "--at", "ffff");
    expect((await history()).versions).toEqual(before);
    await cli.json("DriveActed", [...a.at, "restore", "report.txt", "--at", first.slice(0, 12)]);
    expect((await cli.run([...a.at, "drive", "cat", "report.txt"])).stdout).toBe("old");
    expect((await history()).versions.length).toBe(4);
    await cli.json("Error", [...a.at, "restore", "report.txt", "--at", "ffff"], 15);
  });

  test("[IFC54] a folder is deleted on a yes only, with all that lies in it", async () => {
    expect(await fails(a, 2, "delete", "docs")).toMatchObject({ error: { code: "usage" } });
    await cli.json("DriveActed", [...a.at, "--yes", "drive", "delete", "docs"]);
    await sync(b);
    expect((await ls(b)).filter((path) => path.startsWith("docs"))).toEqual([]);
  });

  test("[IFC55] what was deleted lies in the trash, and comes back whole", async () => {
    const { items } = await cli.json<{ items: readonly { id: string; path: string }[] }>("TrashList", [
      ...b.at,
      "trash",
    ]);
    const docs = items.find((item) => item.path === "docs");
    expect(docs).toBeDefined();
    await cli.json("DriveActed", [...b.at, "restore", "docs", "--to", "papers"]);
    await sync(a);
    expect(await ls(a, "papers/old")).toEqual(["papers/old/large.bin", "papers/old/small.txt"]);
    await cli.json("Error", [...a.at, "restore", "docs"], 15);
  });

  test("[IFC54] nonsense is refused by name, and changes nothing", async () => {
    const before = await ls(a);
    const file = local("x", "x");
    const bad: readonly (readonly [string, number, ...string[]])[] = [
      ["usage", 2, "put", file, "a/../b"],
      ["usage", 2, "put", file, `${"x".repeat(256)}`],
      ["usage", 2, "mkdir", ".tidelock"],
      ["usage", 2, "delete", "/"],
      ["exists", 2, "put", file, "copy.bin/x"],
      ["exists", 2, "mkdir", "copy.bin"],
      ["exists", 2, "mv", "copy.bin", "offline.bin"],
      ["exists", 2, "get", "copy.bin", file],
      ["not-found", 15, "put", join(cli.folder, "nothing"), "x"],
      ["not-found", 15, "get", "nothing", join(cli.folder, "none")],
      ["not-found", 15, "ls", "nothing"],
      ["usage", 2, "cat", SECRET],
    ];
    for (const [code, exit, ...args] of bad)
      expect([args, (await fails(a, exit, ...args)).error.code]).toEqual([args, code]);
    expect(await ls(a)).toEqual(before);
    expect(existsSync(join(cli.folder, "none"))).toBe(false);
  });

  test("[IFC54] as deep as a path may be: 256 names in one go, and no more", async () => {
    const path = (names: number): string => Array(names).fill("d").join("/");
    const file = local("deep.txt", "deep");
    expect(await fails(a, 2, "put", file, path(257))).toMatchObject({ error: { code: "bad-name" } });
    expect(await does(a, "put", file, path(256))).toMatchObject({ state: "accepted" });
    await sync(b);
    const out = join(cli.folder, "deep.out");
    await does(b, "get", path(256), out);
    expect(readFileSync(out, "utf8")).toBe("deep");
  });

  test("[IFC64] Y-6: at one seq the state has one hash on all devices, and what waits here is not in it", async () => {
    const state = (home: Home): Promise<{ seq: number; hash: string }> =>
      cli.json("StateHash", [...home.at, "drive", "state-hash"]);
    await sync(a);
    await sync(b);
    const one = await state(a);
    expect(await state(b)).toEqual(one);
    await does(a, "put", local("hash.txt", "hash"), "hash.txt");
    const two = await state(a);
    expect([two.seq > one.seq, two.hash === one.hash]).toEqual([true, false]);
    await sync(b);
    expect(await state(b)).toEqual(two);
  });

  test("[IFC54] Y-14: a pack that was altered gives nothing out, and says so", async () => {
    for (const path of blobs()) writeFileSync(path, randomBytes(statSync(path).size));
    const out = join(cli.folder, "damaged");
    expect(await fails(a, 17, "get", "copy.bin", out)).toMatchObject({ error: { code: "blob-damaged" } });
    expect(existsSync(out)).toBe(false);
    rmSync(join(remote, "blob"), { recursive: true });
    expect((await fails(a, 17, "get", "copy.bin", out)).error.code).toBe("blob-damaged");
  });
});

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function sixteens(path: string): string[] {
  const text = readFileSync(path).toString("latin1");
  return Array.from({ length: Math.floor(text.length / 16) }, (_, i) => text.slice(i * 16, i * 16 + 16));
}

const blobs = (): readonly string[] => files(join(remote, "blob"));
