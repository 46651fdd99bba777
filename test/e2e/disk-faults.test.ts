/** Synced folders on real disks that fail: kills at each write, full, read-only, gone, another one. Linux, as root. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { draws, seeds } from "@tidelock/testkit/suites/seeds";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { type TwoDisks, twoDisks, type Who } from "./two-disks.ts";
import { makeVolume, skipped, type Volume, whyNotStrace, whyNotVolumes } from "./volume.ts";

const noVolumes = whyNotVolumes();
const noStrace = whyNotStrace();
const long = Number(process.env["TIDELOCK_RUNS"] ?? 1) > 1;
const [seed = 1] = seeds(1);
const MIB = 24;

let cli: Cli;
let folder: string;
let volumes: Volume[];
beforeEach(async () => {
  cli = await createCli();
  folder = mkdtempSync(join(tmpdir(), "tidelock-disk-"));
  volumes = [];
}, 60_000);
afterEach(async () => {
  await cli.remove();
  for (const volume of volumes) volume.remove();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function volume(name: string, path?: string): Volume {
  const made = makeVolume(folder, name, MIB, path);
  volumes.push(made);
  return made;
}

function save({ disk, ledger }: TwoDisks, who: Who, name: string, text: string): void {
  writeFileSync(join(disk(who), name), text);
  ledger.saved(text, `${name} by ${who}`);
}

interface Listed {
  readonly folders: readonly { state: string; code?: string; why?: string }[];
}
const stateOf = async (two: TwoDisks, who: Who): Promise<Listed["folders"][number] | undefined> =>
  (await cli.json<Listed>("FolderList", ["--home", two.home(who), "drive", "folders"])).folders[0];

/** `sync` of one home as a process whose calls are tampered with. */
function tampered(two: TwoDisks, who: Who, inject: string, log = "/dev/null"): ReturnType<typeof spawnSync> {
  const [command, env] = cli.command(["--home", two.home(who), "sync", "--wait"]);
  const strace = [
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    log,
    ...inject.split(" ").flatMap((one) => ["-e", one]),
  ];
  // One thread for files: its calls are counted together.
  return spawnSync("strace", [...strace, ...command], {
    env: { ...env, UV_THREADPOOL_SIZE: "1" },
    timeout: 120_000,
  });
}

const CHANGING =
  "link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,rmdir,fsync,fdatasync,utimensat,fchmodat,chmod,symlink";

describe.skipIf(noStrace !== undefined)(skipped("calls that fail", noStrace), { timeout: 600_000 }, () => {
  test("[FLD10][FLD6][P2][P7] killed at a write of one sync, whichever it is, a folder goes on and loses nothing", async () => {
    const two = await twoDisks(folder);
    const random = draws(seed);
    let turn = 0;
    /** Something of everything, on both sides. */
    const change = (): void => {
      turn++;
      for (let i = 0; i < 3; i++) save(two, "a", `${turn} ${i}`, `new ${turn} ${i}`);
      const old = join(two.disk("a"), "kept");
      if (turn > 1) two.ledger.destroyed(readFileSync(old));
      save(two, "a", "kept", `kept ${turn}`);
      save(two, "b", `own ${turn}`, `of b ${turn}`);
      if (turn < 2) return;
      renameSync(join(two.disk("a"), `${turn - 1} 0`), join(two.disk("a"), `moved ${turn}`));
      two.ledger.destroyed(`new ${turn - 1} 1`);
      rmSync(join(two.disk("a"), `${turn - 1} 1`));
      mkdirSync(join(two.disk("a"), `folder ${turn}`));
      save(two, "a", `folder ${turn}/deep`, `deep ${turn}`);
    };
    change();
    await two.meet();
    // How many there are.
    change();
    await two.sync("a");
    const log = join(folder, "calls");
    expect(tampered(two, "b", `trace=${CHANGING}`, log).status).toBe(0);
    const calls = readFileSync(log, "utf8").split("\n").length;
    expect(calls).toBeGreaterThan(20);
    const points = long
      ? Array.from({ length: 60 }, (_, i) => i + 1)
      : Array.from({ length: 4 }, () => 1 + Math.floor(random() * 30));
    let killed = 0;
    for (const point of points) {
      change();
      await two.sync("a");
      const { signal, status } = tampered(two, "b", `inject=${CHANGING}:signal=KILL:when=${point}`);
      if (signal === "SIGKILL" || status === 137) killed++;
      await two.meet();
      expect(await two.wrong(), `killed at ${point}`).toEqual([]);
      expect(two.ledger.strange(two.disk("b"))).toEqual([]);
    }
    expect(killed).toBeGreaterThan(0);
  });

  test("[FLD6][FLD10][P2] a disk that fails a write, a flush or a rename once, or from then on, makes nothing half and loses nothing", async () => {
    const two = await twoDisks(folder);
    save(two, "a", "kept", "kept");
    await two.meet();
    const faults = ["rename:error=EIO:when=1+", "fsync:error=EIO:when=2", "link:error=EIO:when=1"];
    if (long)
      faults.push("fsync:error=EIO:when=1+", "utimensat:error=EIO:when=1", "unlink:error=EIO:when=1+");
    for (const [turn, fault] of faults.entries()) {
      two.ledger.destroyed(readFileSync(join(two.disk("a"), "kept")));
      save(two, "a", "kept", `kept ${turn}`);
      save(two, "a", `new ${turn}`, `new ${turn}`);
      save(two, "b", `own ${turn}`, `of b ${turn}`);
      await two.sync("a");
      tampered(two, "b", `inject=${fault}`);
      expect(two.ledger.strange(two.disk("b")), fault).toEqual([]);
      await two.meet();
      expect(await two.wrong(), fault).toEqual([]);
    }
  });
});

describe.skipIf(noVolumes !== undefined)(skipped("a volume", noVolumes), { timeout: 240_000 }, () => {
  test("[FLD2] that is unmounted under a daemon pauses its folder; mounted again, it goes on, and nothing was deleted", async () => {
    const disk = volume("disk");
    const two = await twoDisks(folder, { b: disk.path });
    for (const name of ["one", "two", "three"]) save(two, "a", name, `text of ${name}`);
    await two.meet();
    const before = treeOf(disk.path);
    const daemon = await cli.daemon(two.home("b"));
    disk.unmount();
    // The empty folder under it is no emptied one, and what is made there meanwhile is not ours.
    writeFileSync(join(disk.path, "under it"), "not of the vault");
    await until(
      "the pause",
      async () => ((await stateOf(two, "b"))?.code === "folder-missing" ? true : undefined),
      60_000,
    );
    save(two, "a", "four", "meanwhile");
    await two.sync("a");
    expect(Object.keys(treeOf(two.disk("a")))).toEqual(["four", "one", "three", "two"]);
    rmSync(join(disk.path, "under it"));
    disk.mount();
    expect(treeOf(disk.path)).toEqual(before);
    await until("what came meanwhile", () => ("four" in treeOf(disk.path) ? true : undefined), 60_000);
    await daemon.stop();
    await two.meet();
    expect(await two.wrong()).toEqual([]);
  });

  test("[FLD2] with another one mounted over it, a copy with marker and all, is not taken for it", async () => {
    const disk = volume("disk");
    const two = await twoDisks(folder, { b: disk.path });
    save(two, "a", "one", "text");
    await two.meet();
    const copy = volume("copy");
    cpSync(disk.path, copy.path, { recursive: true, preserveTimestamps: true });
    rmSync(join(copy.path, "one"));
    copy.unmount();
    disk.unmount();
    const other = volume("copy", disk.path);
    cpSync(copy.path, other.path, { recursive: true });
    await cli.run(["--home", two.home("b"), "sync", "--wait"]);
    expect(await stateOf(two, "b")).toMatchObject({ state: "paused", code: "folder-missing" });
    await two.sync("a");
    expect(Object.keys(treeOf(two.disk("a")))).toEqual(["one"]);
    other.unmount();
    disk.mount();
    await two.meet();
    expect(await two.wrong()).toEqual([]);
  });

  test("[FLD6][P9] that is full says so and shows no half file; with room, all of it arrives", async () => {
    const disk = volume("disk");
    const two = await twoDisks(folder, { b: disk.path });
    save(two, "a", "small", "small");
    await two.meet();
    save(two, "a", "large", "x".repeat((MIB + 2) << 20));
    save(two, "b", "own", "of b");
    await two.sync("a");
    const ran = await cli.run(["--home", two.home("b"), "sync", "--wait"]);
    expect(ran.code).not.toBe(0);
    expect(JSON.stringify(await stateOf(two, "b"))).toMatch(/disk-full/);
    expect(two.ledger.strange(disk.path)).toEqual([]);
    // What this disk has is sent all the same.
    await two.sync("a");
    expect(treeOf(two.disk("a"))).toHaveProperty("own");
    two.ledger.destroyed(readFileSync(join(two.disk("a"), "large")));
    save(two, "a", "large", "x".repeat(1 << 20));
    await two.meet();
    expect(await two.wrong()).toEqual([]);
  });

  test("[FLD2][P2] that the system made read-only is left alone, says so, and goes on both ways once it can be written", async () => {
    const disk = volume("disk");
    const two = await twoDisks(folder, { b: disk.path });
    save(two, "a", "one", "text");
    await two.meet();
    save(two, "b", "own", "of b");
    disk.readOnly(true);
    save(two, "a", "two", "meanwhile");
    await two.sync("a");
    const ran = await cli.run(["--home", two.home("b"), "sync", "--wait"]);
    expect(ran.code).not.toBe(0);
    expect(await stateOf(two, "b")).toMatchObject({ state: "paused" });
    disk.readOnly(false);
    await two.meet();
    expect(await two.wrong()).toEqual([]);
  });
});
