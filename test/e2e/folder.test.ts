/** Folders of two devices that are kept equal with one vault, by the real command over real disks. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { founded, type Home, joined } from "./homes.ts";

let cli: Cli;
let a: Home;
let b: Home;
let left: string;
let right: string;

beforeAll(async () => {
  cli = await createCli();
  const remote = join(cli.folder, "remote");
  const first = await founded(cli, "a", remote);
  a = first;
  b = await joined(cli, "b", remote, first.words);
  [left, right] = ["left", "right"].map((name) => join(cli.folder, name)) as [string, string];
  for (const folder of [left, right]) mkdirSync(folder);
}, 60_000);

afterAll(() => cli.remove());

const sync = (home: Home, exit = 0): Promise<unknown> =>
  cli.json("SyncResult", [...home.at, "sync", "--wait"], exit);
const bothSync = async (): Promise<void> => {
  for (const home of [a, b, a]) await sync(home);
};

describe("folder", { timeout: 120_000 }, () => {
  test("[FLD1] Y-1: files put into one folder appear in the other, byte for byte", async () => {
    const deep = join(left, "deep", ...Array.from({ length: 20 }, (_, i) => `level ${i}`));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, "leaf.txt"), "leaf");
    writeFileSync(join(left, "na\u00efve \u6f22\u5b57 \u{1f600}.txt"), "text");
    writeFileSync(join(left, "empty"), "");
    writeFileSync(join(left, "run.sh"), "#!/bin/sh\n");
    chmodSync(join(left, "run.sh"), 0o755);
    writeFileSync(join(left, "large.bin"), Buffer.alloc(5_000_000, "0123456789abcde"));
    utimesSync(join(left, "large.bin"), 1_600_000_000, 1_600_000_000);
    symlinkSync("deep/level 0", join(left, "link"));
    mkdirSync(join(left, "nothing in it"));
    for (const [home, folder] of [
      [a, left],
      [b, right],
    ] as const) {
      const { folder: info } = await cli.json<{ folder: { state: string } }>("Folder", [
        ...home.at,
        "drive",
        "add",
        folder,
      ]);
      expect(info.state).toBe("live");
    }
    await bothSync();
    expect(treeOf(right)).toEqual(treeOf(left));
    expect(Object.keys(treeOf(right)).length).toBeGreaterThan(25);
    expect(statSync(join(right, ".tidelock")).mode & 0o777).toBe(0o700);
  });

  test("[IFC61, FLD6] Y-8: both edit one file: the same two files on both, and the conflict is listed", async () => {
    writeFileSync(join(left, "report.txt"), "by a");
    writeFileSync(join(right, "report.txt"), "by b!");
    await bothSync();
    await bothSync();
    expect(treeOf(right)).toEqual(treeOf(left));
    const reports = readdirSync(left).filter((name) => name.startsWith("report"));
    expect(reports).toEqual([expect.stringMatching(/^report \(b conflict .*\)\.txt$/), "report.txt"]);
    const { conflicts } = await cli.json<{
      conflicts: { id: string; current: { path: string }; other: { path: string } }[];
    }>("FileConflictList", [...a.at, "conflicts", "ls", "--kind", "files"]);
    expect(conflicts).toMatchObject([{ current: { path: "report.txt" }, other: { path: reports[0] } }]);
    // Both stay on the disk, and nobody is asked any more.
    await cli.json("FileSettled", [...a.at, "conflicts", "settle", conflicts[0]?.id ?? "", "keep-both"]);
    await bothSync();
    expect(readdirSync(right).filter((name) => name.startsWith("report"))).toEqual(reports);
  });

  test("[IFC61, FLD2] M-11: a folder that is away is paused: exit 3, and nothing is deleted anywhere", async () => {
    const before = treeOf(left);
    renameSync(left, `${left}-away`);
    mkdirSync(left);
    expect(await sync(a, 3)).toMatchObject({ paused: 1 });
    const status = await cli.json<{ detail: string }>("Status", [...a.at, "status"], 3);
    expect(status).toMatchObject({ code: "conflict", detail: "1 folder paused", folders: 1 });
    const { folders } = await cli.json<{ folders: object[] }>("FolderList", [...a.at, "drive", "folders"]);
    expect(folders).toMatchObject([{ path: left, state: "paused", code: "folder-missing" }]);
    rmSync(left, { recursive: true });
    renameSync(`${left}-away`, left);
    await bothSync();
    expect([treeOf(left), treeOf(right)]).toEqual([before, before]);
  });

  test("[IFC61] without a daemon status tells what the folder holds that was not sent", async () => {
    writeFileSync(join(left, "unsent.txt"), "unsent");
    const found = await cli.json<{ pendingUp: number }>("Status", [...a.at, "status"]);
    expect(found.pendingUp).toBe(1);
    await bothSync();
    expect(existsSync(join(right, "unsent.txt"))).toBe(true);
  });

  test("[FLD1, FLD10] by daemons, one of them killed again and again while it works: nothing is lost", async () => {
    const one = await cli.daemon(a.home);
    const names: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const two = await cli.daemon(b.home);
      const folder = join(turn % 2 === 0 ? left : right, `turn ${turn}`);
      mkdirSync(folder);
      for (let i = 0; i < 30; i++)
        writeFileSync(join(folder, `${i}.txt`), `${turn} ${i} ${"x".repeat(i * 100)}`);
      names.push(`turn ${turn}`);
      const first = join(right, "turn 0", "0.txt");
      await until(
        "the other folder shows the beginning",
        () => (existsSync(first) ? true : undefined),
        60_000,
      );
      await two.kill();
    }
    const two = await cli.daemon(b.home);
    await until(
      "both folders are the same",
      () => {
        const [l, r] = [treeOf(left), treeOf(right)];
        const all = names.every((name) => `${name}/29.txt` in l && `${name}/29.txt` in r);
        return all && JSON.stringify(l) === JSON.stringify(r) ? true : undefined;
      },
      90_000,
    );
    // A change of one folder comes by itself, without a command.
    writeFileSync(join(right, "turn 0", "0.txt"), "rewritten");
    await until(
      "the edit",
      () => (readFileSync(join(left, "turn 0", "0.txt"), "utf8") === "rewritten" ? true : undefined),
      60_000,
    );
    await two.stop();
    await one.stop();
    expect(treeOf(right)).toEqual(treeOf(left));
    expect(readdirSync(left).filter((name) => name.includes("conflict")).length).toBe(1);
  });

  test("[IFC64, FLD14] a folder of the drive is on one device's disk and not on the other's, and nobody loses any of it", async () => {
    const deselect = (path: string, exit = 0): Promise<{ folders: object[] }> =>
      cli.json(exit === 0 ? "FolderList" : "Error", [...b.at, "drive", "deselect", path], exit);
    mkdirSync(join(left, "films", "old"), { recursive: true });
    writeFileSync(join(left, "films", "one.mkv"), "one");
    writeFileSync(join(left, "films", "old", "two.mkv"), "two");
    await bothSync();
    const whole = treeOf(right);
    expect(await deselect("films")).toMatchObject({ folders: [{ state: "live", excluded: ["films"] }] });
    const rest = Object.fromEntries(Object.entries(whole).filter(([path]) => !path.startsWith("films")));
    expect(treeOf(right)).toEqual(rest);
    const { items } = await cli.json<{ items: { path: string; state?: string }[] }>("DriveList", [
      ...b.at,
      "drive",
      "ls",
    ]);
    expect(items.filter(({ state }) => state === "excluded").map(({ path }) => path)).toEqual(["films"]);
    // Work of the other, and a daemon here that sees it.
    const daemon = await cli.daemon(b.home);
    writeFileSync(join(left, "films", "three.mkv"), "three");
    rmSync(join(left, "films", "one.mkv"));
    await sync(a);
    await sync(b);
    expect(treeOf(right)).toEqual(rest);
    await deselect("nowhere", 15);
    // By its place on the disk, where it does not lie.
    const place = join(right, "films", "old");
    await cli.json("FolderList", [...b.at, "drive", "select", place]);
    expect(treeOf(right)).toMatchObject({ ...rest, films: "dir", "films/old/two.mkv": expect.any(String) });
    expect(existsSync(join(right, "films", "three.mkv"))).toBe(false);
    await cli.json("FolderList", [...b.at, "drive", "select", "films"]);
    await daemon.stop();
    await bothSync();
    expect(treeOf(right)).toEqual(treeOf(left));
    expect(readdirSync(join(left, "films"))).toEqual(["old", "three.mkv"]);
  });

  test("[IFC61] a folder that is given up keeps what lies in it, and can be added again", async () => {
    const before = treeOf(right);
    await cli.json("Folder", [...b.at, "drive", "rm", right]);
    expect(treeOf(right)).toEqual(before);
    await cli.json("Error", [...b.at, "drive", "scan", right], 15);
    await cli.json("Folder", [...b.at, "drive", "add", right]);
    await bothSync();
    expect([treeOf(left), treeOf(right)]).toEqual([before, before]);
  });
});
