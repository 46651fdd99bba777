/** The main job on a real tree: two devices with a folder each, by the real command over real disks. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { draws } from "@tidelock/testkit/suites/seeds";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, until } from "./cli.ts";
import { founded, type Home, joined } from "./homes.ts";
import { growTree } from "./tree/grow.ts";
import { Ledger, saves } from "./tree/ledger.ts";
import { act, doings, prepare, table, tell } from "./tree/table.ts";

const LONG = process.env["TIDELOCK_RUNS"] !== undefined;
const FILES = LONG ? 10_000 : 1500;
const KILLS = LONG ? 60 : 8;
const PATIENCE = LONG ? 900_000 : 300_000;
const SEED = Number(process.env["TIDELOCK_SEED"] ?? 1);

let cli: Cli;
let remote: string;
let a: Home;
let b: Home;
let left: string;
let right: string;
let daemons: Running[] = [];

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  const first = await founded(cli, "a", remote);
  a = first;
  b = await joined(cli, "b", remote, first.words);
  [left, right] = ["left", "right"].map((name) => join(cli.folder, name)) as [string, string];
  for (const folder of [left, right]) mkdirSync(folder);
  growTree(left, FILES);
}, PATIENCE);

afterEach(() => rest());
afterAll(() => cli.remove(), PATIENCE);

async function rest(): Promise<void> {
  for (const daemon of daemons.splice(0)) await daemon.stop();
}

const sync = (home: Home): Promise<unknown> => cli.json("SyncResult", [...home.at, "sync", "--wait"]);
const bothSync = async (): Promise<void> => {
  for (const home of [a, b, a]) await sync(home);
};
const headOf = async (home: Home): Promise<number> => {
  const { entries } = await cli.json<{ entries: { seq: number }[] }>("LogPage", [
    ...home.at,
    "log",
    "--limit",
    "1",
  ]);
  return entries[0]?.seq ?? 0;
};
interface Conflicts {
  readonly conflicts: readonly {
    readonly id: string;
    readonly current: { readonly path: string; readonly deviceName: string };
    readonly other: { readonly path: string; readonly deviceName: string };
  }[];
}
const conflicts = async (home: Home): Promise<Conflicts["conflicts"]> =>
  (await cli.json<Conflicts>("FileConflictList", [...home.at, "conflicts", "ls", "--kind", "files"]))
    .conflicts;

describe("a real tree", { timeout: PATIENCE }, () => {
  test("[FLD1, PLN12] Y-1, M-27: it arrives byte for byte, with times, programs, links, deep paths and every odd name, and nothing comes back", async () => {
    for (const [home, folder] of [
      [a, left],
      [b, right],
    ] as const)
      await cli.json("Folder", [...home.at, "drive", "add", folder]);
    await bothSync();
    const tree = treeOf(left);
    expect(Object.values(tree).filter((what) => what !== "dir").length).toBeGreaterThan(FILES);
    expect(treeOf(right)).toEqual(tree);
    const head = await headOf(b);
    await bothSync();
    expect(await headOf(a)).toBe(head);
  });

  test("[FLD1, FLD13, PLN5] M-12: edits of every kind by daemons: renames of big folders, another case, deletions, and saves as editors do them", async () => {
    daemons = [await cli.daemon(a.home), await cli.daemon(b.home)];
    const modules = join(left, "modules 1");
    const big = readdirSync(modules, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const before = await headOf(b);
    renameSync(modules, join(left, "renamed modules"));
    await same(treeOf(left));
    // All of it in one entry of the log.
    expect(await headOf(b)).toBe(before + 1);
    const { entry } = await cli.json<{ entry: { bytes: number } }>("LogEntry", [
      ...b.at,
      "log",
      "show",
      String(before + 1),
    ]);
    expect(entry.bytes).toBeLessThan(1024);
    for (const { name } of big.slice(0, 3))
      renameSync(join(left, "renamed modules", name), join(left, `top ${name}`));
    renameSync(join(left, "odd names", "run me"), join(left, "odd names", "RUN me"));
    renameSync(join(left, "odd names"), join(left, "Odd Names"));
    for (const name of ["CON", "a:b", "link to nothing"]) rmSync(join(left, "Odd Names", name));
    rmSync(join(left, "Odd Names", "empty folder"), { recursive: true });
    const text = join(left, "Odd Names", "...");
    appendFileSync(text, " appended");
    writeFileSync(`${text}.new`, "saved beside it, and renamed over it");
    renameSync(`${text}.new`, text);
    const other = join(left, "Odd Names", "-rf");
    renameSync(other, `${other}~`);
    writeFileSync(other, "saved after the old was put aside");
    rmSync(`${other}~`);
    const wanted = treeOf(left);
    await same(wanted);
    await rest();
    expect(treeOf(left)).toEqual(wanted);
    expect(await conflicts(a)).toEqual([]);
  });

  test("[FIL5, FIL9, FIL10, FIL11, FIL12, PLN3] Y-8, Y-9, Y-29, M-13: each two edits that did not see each other end as the table says, and each copy is listed", async () => {
    const cells = doings.flatMap((first) =>
      doings.map((second) => ({ first, second, at: `table/${first} ${second}` })),
    );
    for (const { at } of cells) prepare(join(left, at));
    const extra = join(left, "table", "extra");
    for (const name of ["x", "y"]) mkdirSync(join(extra, name), { recursive: true });
    writeFileSync(join(extra, "x", "in.txt"), "old");
    await bothSync();
    for (const [folder, who] of [
      [left, "a"],
      [right, "b"],
    ] as const) {
      for (const { first, second, at } of cells) act(join(folder, at), who === "a" ? first : second, who);
      const at = (path: string): string => join(folder, "table", "extra", path);
      // Into each other; alike; and of one name and two kinds.
      if (who === "a") renameSync(at("x"), at("y/x"));
      else renameSync(at("y"), at("x/y"));
      writeFileSync(at("alike.txt"), "alike");
      utimesSync(at("alike.txt"), 1_700_000_000, 1_700_000_000);
      mkdirSync(at("folder"));
      writeFileSync(at(`folder/${who}.txt`), who);
      if (who === "a") mkdirSync(at("kinds"));
      else writeFileSync(at("kinds"), "a file");
    }
    await bothSync();
    const found = Object.fromEntries(cells.map(({ at }) => [at, tell(join(left, at))]));
    expect(found).toEqual(
      Object.fromEntries(cells.map(({ first, second, at }) => [at, table[first][second]])),
    );
    expect(tell(extra)).toBe("alike:e folder/a:a folder/b:b kinds':e kinds/ y/x/in");
    expect(treeOf(right)).toEqual(treeOf(left));
    const listed = await conflicts(b);
    expect(
      listed.map(({ current, other }) => [current.path, current.deviceName, other.deviceName]).sort(),
    ).toEqual([
      ["table/create create/p/n.txt", "a", "b"],
      ["table/write write/p/x.txt", "a", "b"],
    ]);
    for (const { id, other } of listed) {
      expect(other.path).toMatch(/^table\/.*\/p\/[nx] \(b conflict \d{4}-\d\d-\d\d\)\.txt$/);
      expect(existsSync(join(right, other.path))).toBe(true);
      await cli.json("FileSettled", [...a.at, "conflicts", "settle", id, "keep-both"]);
    }
    await bothSync();
  });

  test("[FLD10, FIL16] killed at random moments while people work on both sides, no content that was saved is lost", async () => {
    const random = draws(SEED);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const ledger = new Ledger();
    daemons = [await cli.daemon(a.home), await cli.daemon(b.home)];
    const work = (): void => {
      const folder = pick([left, right]);
      const path = join(folder, "work", pick(["", "", "sub"]), `${Math.floor(random() * 25)}.txt`);
      const kind = random();
      if (kind < 0.06) ledger.delete(path);
      else if (kind < 0.12) {
        const sub = join(folder, "work", "sub");
        if (existsSync(sub)) renameSync(sub, join(folder, "work", `sub ${Math.floor(random() * 1e9)}`));
      } else
        ledger.save(path, pick(saves), Math.floor(random() ** 4 * (random() < 0.05 ? 2_000_000 : 20_000)));
    };
    for (let kill = 0; kill < KILLS; kill++) {
      const until = performance.now() + 50 + random() * 700;
      while (performance.now() < until) {
        for (let n = 0; n < 5; n++) work();
        await sleep(20);
      }
      const which = random() < 0.5 ? 0 : 1;
      await daemons[which]?.kill();
      for (let n = 0; n < 10; n++) work();
      daemons[which] = await cli.daemon([a, b][which]?.home ?? "");
    }
    await rest();
    await bothSync();
    expect(treeOf(right)).toEqual(treeOf(left));
    expect(ledger.saved).toBeGreaterThan(KILLS * 15);
    expect(await ledger.lost([left, right], a.home), `TIDELOCK_SEED=${SEED}`).toEqual([]);
    for (const { current, other } of await conflicts(a))
      expect([current, other].filter(({ path }) => !existsSync(join(left, path)))).toEqual([]);
  });

  test("[FIL11, FLD9, FLD10] M-10: a big folder is deleted by one entry; on a disk it goes step by step, asks first, and goes on after each kill", async () => {
    const gone = (folder: string): boolean => !existsSync(join(folder, "renamed modules"));
    const kept = Object.entries(treeOf(left)).filter(([path]) => !path.startsWith("renamed modules"));
    const before = await headOf(a);
    await cli.json("DriveActed", [...a.at, "drive", "delete", "renamed modules", "--yes"]);
    expect(await headOf(a)).toBe(before + 1);
    await bothSync();
    expect([gone(left), gone(right)]).toEqual([false, false]);
    await cli.json("Approved", [...a.at, "drive", "approve", left]);
    for (let tries = 0; !gone(right); tries++) {
      const daemon = await cli.daemon(b.home);
      const approved = cli.run([...b.at, "drive", "approve", right]);
      // The first ones die in the middle of it.
      if (tries < 3) await Promise.race([approved, sleep(100 + 150 * tries)]);
      else await approved;
      await (tries < 3 ? daemon.kill() : daemon.stop());
      await approved;
      expect(tries).toBeLessThan(5);
    }
    await bothSync();
    for (const folder of [left, right]) expect(Object.entries(treeOf(folder))).toEqual(kept);
    expect(await headOf(b)).toBe(before + 1);
  });
});

/** The other folder shows this, by itself. */
async function same(wanted: Record<string, string>): Promise<void> {
  const text = JSON.stringify(wanted);
  const count = Object.keys(wanted).length;
  await until(
    "the other folder is the same",
    async () => {
      // Names first: bytes are read where those are alike.
      try {
        if (readdirSync(right, { recursive: true }).length < count) return await pause();
        return JSON.stringify(treeOf(right)) === text ? true : await pause();
      } catch {
        return pause(); // it changed while it was read
      }
    },
    PATIENCE,
  );
}

async function pause(): Promise<undefined> {
  await sleep(200);
}
