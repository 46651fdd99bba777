/** What real programs, real names and real clocks do to synced folders of real disks. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { ROOT } from "@tidelock/core/kinds/files/names";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { differences, type TwoDisks, twoDisks, type Who } from "./two-disks.ts";
import { skipped, whyNotUserns } from "./volume.ts";

const long = Number(process.env["TIDELOCK_RUNS"] ?? 1) > 1;
const noUserns = whyNotUserns();
const DAY = 86_400_000;

let cli: Cli;
let folder: string;
let two: TwoDisks;
beforeEach(async () => {
  cli = await createCli();
  folder = mkdtempSync(join(tmpdir(), "tidelock-programs-"));
  two = await twoDisks(folder);
}, 60_000);
afterEach(async () => {
  await cli.remove();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function save(who: Who, name: string, text: string): void {
  writeFileSync(join(two.disk(who), name), text);
  two.ledger.saved(text, `${name} by ${who}`);
}

const read = (who: Who, name: string): string => readFileSync(join(two.disk(who), name), "utf8");

/** Of the root of the vault: who each file is, by its name. */
async function items(): Promise<Record<string, string>> {
  const session = await two.open("a", false);
  try {
    const { files } = session.kinds;
    const all = session.replica.read((tx) => files.list(tx, ROOT, undefined, 1000));
    return Object.fromEntries(all.map(({ name, id }) => [name, toHex(id)]));
  } finally {
    await session.close();
  }
}

interface Listed {
  readonly folders: readonly {
    readonly state: string;
    readonly aside: readonly { readonly code: string; readonly count: number }[];
  }[];
}
const asideOf = async (who: Who): Promise<Listed["folders"][number]["aside"]> =>
  (await cli.json<Listed>("FolderList", ["--home", two.home(who), "drive", "folders"])).folders[0]?.aside ??
  [];

describe("names", { timeout: 120_000 }, () => {
  test("[FLD1] two files that change their names with each other change their bytes; two folders their places; a changed case is a move", async () => {
    for (const name of ["a", "b", "c"]) {
      save("a", `${name}.txt`, `text of ${name}`);
      mkdirSync(join(two.disk("a"), `folder ${name}`));
      save("a", `folder ${name}/in it`, `in ${name}`);
    }
    await two.meet();
    const before = await items();
    const at = (name: string): string => join(two.disk("a"), name);
    for (const [one, other] of [
      ["a.txt", "b.txt"],
      ["folder a", "folder b"],
    ] as const) {
      renameSync(at(one), at("between"));
      renameSync(at(other), at(one));
      renameSync(at("between"), at(other));
    }
    renameSync(at("c.txt"), at("C.TXT"));
    renameSync(at("folder c"), at("FOLDER C"));
    await two.meet();
    // A file is who its name says, so that a save by way of another name is a save; a folder is who its number says.
    expect(await items()).toEqual({
      "a.txt": before["a.txt"],
      "b.txt": before["b.txt"],
      "C.TXT": before["c.txt"],
      "folder a": before["folder b"],
      "folder b": before["folder a"],
      "FOLDER C": before["folder c"],
    });
    expect(await two.wrong()).toEqual([]);
    expect(["a.txt", "b.txt", "folder a/in it"].map((name) => read("b", name))).toEqual([
      "text of b",
      "text of a",
      "in b",
    ]);
  });

  test("[FLD1] Y-28: a name in decomposed letters stays as it is on its disk, and is one file with the composed one elsewhere", async () => {
    save("a", "cafe\u0301.txt", "by a");
    await two.meet();
    const [there = ""] = readdirSync(two.disk("b")).filter((name) => name.startsWith("caf"));
    two.ledger.destroyed("by a");
    save("b", there, "by b");
    await two.meet();
    expect(readdirSync(two.disk("a")).filter((name) => name.startsWith("caf"))).toEqual(["cafe\u0301.txt"]);
    expect(read("a", "cafe\u0301.txt")).toBe("by b");
    expect(await two.wrong()).toEqual([]);
  });

  test("[FLD6] Y-28: what no vault can name is told of and left alone, and all else goes on", async () => {
    const raw = Buffer.concat([Buffer.from(`${two.disk("a")}/`), Buffer.from([0x66, 0xff, 0x2e])]);
    writeFileSync(raw, "not text");
    save("a", "cafe\u0301", "one");
    save("a", "caf\u00e9", "other");
    save("a", "plain", "plain");
    await two.meet();
    expect(read("b", "plain")).toBe("plain");
    expect(readdirSync(two.disk("b")).length).toBe(3);
    // What is aside is said by whoever looks.
    const daemon = await cli.daemon(two.home("a"));
    const codes = await until("what is aside", async () => {
      const found = (await asideOf("a")).map(({ code }) => code).sort();
      return found.length === 2 ? found : undefined;
    });
    await daemon.stop();
    expect(codes).toEqual(["name-clash", "name-not-text"]);
    rmSync(join(two.disk("a"), "plain"));
    two.ledger.destroyed("plain");
    await two.meet();
    expect(existsSync(join(two.disk("b"), "plain"))).toBe(false);
    expect(readFileSync(raw, "utf8")).toBe("not text");
    expect(["cafe\u0301", "caf\u00e9"].map((name) => read("a", name))).toEqual(["one", "other"]);
  });
});

describe("programs", { timeout: 240_000 }, () => {
  test("[FLD5][FLD6] editors that save beside, after a backup or in place, and a log that grows, make versions of one file each", async () => {
    const names = ["vim.txt", "sed.txt", "office.txt", "place.txt", "app.log"];
    for (const name of names) save("a", name, `first line of ${name}\n`);
    await two.meet();
    const before = await items();
    const daemons = [await cli.daemon(two.home("a")), await cli.daemon(two.home("b"))];
    const at = (name: string): string => join(two.disk("a"), name);
    editor(at("vim.txt"));
    run("sed", ["-i", "s/first/sed/", at("sed.txt")]);
    office(at("office.txt"));
    run("dd", [`of=${at("place.txt")}`, "conv=notrunc", "status=none"], "place");
    for (let i = 0; i < 50; i++) appendFileSync(at("app.log"), `line ${i}\n`);
    await until(
      "the other disk",
      () =>
        differences(two.disk("a"), two.disk("b")).length === 0 &&
        "vim.txt" in treeOf(two.disk("b")) &&
        read("b", "app.log").endsWith("line 49\n")
          ? true
          : undefined,
      90_000,
    );
    for (const daemon of daemons) await daemon.stop();
    const after = await items();
    expect(Object.fromEntries(names.map((name) => [name, after[name]]))).toEqual(before);
    expect(Object.keys(after).filter((name) => name.includes("conflict") || name.startsWith("."))).toEqual(
      [],
    );
    expect(read("b", "sed.txt")).toBe("sed line of sed.txt\n");
    expect(read("b", "place.txt")).toBe("place line of place.txt\n");
  });

  test(`[FLD1] ${long ? 2000 : 200} files that are put into a new folder at once arrive, each once`, async () => {
    const count = long ? 2000 : 200;
    const daemons = [await cli.daemon(two.home("a")), await cli.daemon(two.home("b"))];
    const made = join(two.disk("a"), "new");
    mkdirSync(made);
    for (let i = 0; i < count; i++) save("a", `new/${i}`, `file ${i}`);
    await until(
      "all of them",
      () =>
        existsSync(join(two.disk("b"), "new")) && readdirSync(join(two.disk("b"), "new")).length === count
          ? true
          : undefined,
      180_000,
    );
    for (const daemon of daemons) await daemon.stop();
    expect(await two.wrong()).toEqual([]);
  });

  test("[IFC19][FLD3] a second daemon of the home, and another home on the same folder, are refused", async () => {
    save("a", "one", "one");
    await two.meet();
    const daemon = await cli.daemon(two.home("a"));
    expect((await cli.run(["--home", two.home("a"), "daemon", "run"])).code).not.toBe(0);
    const refused = await cli.run(["--home", two.home("b"), "drive", "add", two.disk("a")]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/attached/);
    await daemon.stop();
    await two.meet();
    expect(await two.wrong()).toEqual([]);
  });
});

describe("what a machine does", { timeout: 240_000 }, () => {
  test("[FLD1][FLD7] a clock that is two days ahead or behind that of the disk neither loses, repeats nor reorders anything", async () => {
    save("a", "kept", "kept 0");
    await two.meet();
    for (const [turn, days] of [2, -2].entries()) {
      const shift = `const now = Date.now; Date.now = () => now() + ${days * DAY};`;
      const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shift)}` };
      two.ledger.destroyed(read("a", "kept"));
      save("a", "kept", `kept ${turn + 1}`);
      save("b", `own ${turn}`, `of b ${turn}`);
      await two.sync("a");
      expect((await cli.run(["--home", two.home("b"), "sync", "--wait"], { env })).code).toBe(0);
      expect(read("b", "kept")).toBe(`kept ${turn + 1}`);
      // An edit in the same second, of the same length.
      two.ledger.destroyed(read("b", "kept"));
      save("b", "kept", `Kept ${turn + 1}`);
      expect((await cli.run(["--home", two.home("b"), "sync", "--wait"], { env })).code).toBe(0);
      await two.meet();
      expect(await two.wrong()).toEqual([]);
      expect(read("a", "kept")).toBe(`Kept ${turn + 1}`);
      expect(readdirSync(two.disk("a")).filter((name) => name.includes("conflict"))).toEqual([]);
    }
  });

  test("[FLD8] M-69: without its home a folder is merged anew: what was saved since is sent, nothing is deleted", async () => {
    for (const name of ["same", "theirs", "mine", "gone"]) save("a", name, `text of ${name}`);
    await two.meet();
    two.ledger.destroyed(read("a", "theirs"));
    save("a", "theirs", "newer by a");
    await two.sync("a");
    two.ledger.destroyed(read("b", "mine"));
    save("b", "mine", "newer by b");
    rmSync(join(two.disk("b"), "gone"));
    rmSync(two.home("b"), { recursive: true });
    await two.enrol("b");
    const add = ["--home", two.home("b"), "drive", "add", two.disk("b")];
    expect((await cli.run(add)).code).not.toBe(0);
    expect((await cli.run([...add, "--force"])).code).toBe(0);
    await two.meet();
    expect(await two.wrong()).toEqual([]);
    // Nobody knows any more that it was deleted.
    expect(read("b", "gone")).toBe("text of gone");
    const texts = Object.keys(treeOf(two.disk("a"))).map((name) => read("a", name));
    expect(texts).toEqual(expect.arrayContaining(["newer by a", "newer by b", "text of same"]));
  });

  test.skipIf(noUserns !== undefined)(
    skipped(
      "[FLD5] where the system has no watches left, that is said, and a look from time to time finds what comes",
      noUserns,
    ),
    async () => {
      for (let i = 0; i < 12; i++) {
        mkdirSync(join(two.disk("a"), `folder ${i}`));
        save("a", `folder ${i}/file`, `file ${i}`);
      }
      await two.meet();
      const [command, env] = cli.command(["--home", two.home("a"), "daemon", "run"]);
      const few = `echo 4 > /proc/sys/user/max_inotify_watches; exec "$@"`;
      const daemon = spawn("unshare", ["-U", "-r", "sh", "-c", few, "sh", ...command], {
        env,
        stdio: "ignore",
      });
      const ended = once(daemon, "exit");
      await until("the word", async () =>
        (await asideOf("a")).some(({ code }) => code === "watching-limited") ? true : undefined,
      );
      save("a", "folder 11/late", "late");
      // A look at everything comes after a minute.
      if (long) {
        await until(
          "the late file",
          async () => {
            await two.sync("b");
            return existsSync(join(two.disk("b"), "folder 11/late")) ? true : undefined;
          },
          150_000,
        );
      }
      daemon.kill("SIGTERM");
      await ended;
      await two.meet();
      expect(await two.wrong()).toEqual([]);
    },
  );
});

function run(program: string, args: readonly string[], input = ""): void {
  const ran = spawnSync(program, [...args], { input });
  if (ran.status !== 0) throw new Error(`${program}: ${ran.error?.message ?? ran.stderr.toString()}`);
}

/** Vim where there is one, else as it does: the old file under another name, a new one, the old one away. */
function editor(path: string): void {
  if (spawnSync("vim", ["--version"]).status === 0) {
    const commands = ["set writebackup backupcopy=no", "normal Ovim", "wq"];
    run("vim", ["-es", "-u", "NONE", ...commands.flatMap((one) => ["-c", one]), path]);
    return;
  }
  const old = readFileSync(path, "utf8");
  renameSync(path, `${path}~`);
  writeFileSync(path, `vim\n${old}`);
  rmSync(`${path}~`);
}

/** As an office program: a lock beside it, a new file under a temporary name, renamed over the old one. */
function office(path: string): void {
  const [beside, name] = [path.slice(0, path.lastIndexOf("/")), path.slice(path.lastIndexOf("/") + 1)];
  const lock = join(beside, `.~lock.${name}#`);
  const made = join(beside, "lu1234abcd.tmp");
  writeFileSync(lock, ",user,host,;");
  writeFileSync(made, "by an office program\n");
  renameSync(made, path);
  rmSync(lock);
}
