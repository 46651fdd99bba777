/** What happens in the middle of a step: a death, an edit, a link put in the way. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import { createHomes, folderOver, type TestHome, type TestHomes, treeOf } from "./testing/homes.ts";
import { disturbedFs, dyingFs } from "./testing/hooked.ts";

let all: TestHomes;
let a: TestHome;
let b: TestHome;

beforeEach(async () => {
  all = await createHomes(["a", "b"]);
  [a, b] = all.homes as [TestHome, TestHome];
}, 60_000);
afterEach(() => all.remove(), 60_000);

const write = (home: TestHome, path: string, text: string): void =>
  writeFileSync(join(home.folder, path), text);
const meet = async (): Promise<void> => {
  for (const home of [a, b, a]) await home.sync();
};
const contents = (home: TestHome): string[] =>
  Object.keys(treeOf(home.folder))
    .filter((path) => !treeOf(home.folder)[path]?.startsWith("dir"))
    .map((path) => readFileSync(join(home.folder, path), "utf8"))
    .sort();
/** Takes in what the other sent, without touching the disk. */
const receive = async (home: TestHome): Promise<void> => {
  await home.session.engine.syncNow();
};

/** Each turn makes, replaces, renames and deletes. */
function change(home: TestHome, turn: number): void {
  write(home, "replaced.txt", `replaced ${turn}`);
  write(home, `made ${turn}.txt`, `made ${turn}`);
  rmSync(join(home.folder, `made ${turn - 1}.txt`), { force: true });
  const [old] = readdirSync(home.folder).filter((name) => name.startsWith("folder"));
  if (old === undefined) mkdirSync(join(home.folder, `folder ${turn}`));
  else renameSync(join(home.folder, old), join(home.folder, `folder ${turn}`));
  write(home, `folder ${turn}/inside.txt`, `inside ${turn}`);
}

describe("a step", { timeout: 120_000 }, () => {
  test("[FLD10] killed at any call while it takes in what came, a folder goes on, and nothing counts as deleted", async () => {
    change(a, 0);
    await meet();
    const step = process.env["TIDELOCK_RUNS"] === undefined ? 5 : 1;
    let [last, turn] = [false, 0];
    for (let n = 1; !last; n += step) {
      change(a, ++turn);
      await a.sync();
      await receive(b);
      const dying = dyingFs(createNodeFolderFs(), n);
      await folderOver(b, { fs: dying.fs }).pump();
      last = dying.count() < n;
      const head = b.session.replica.cursor().applied;
      b = await b.again();
      await b.sync();
      expect(treeOf(b.folder), `killed at call ${n}`).toEqual(treeOf(a.folder));
      // It had nothing to say: what it found was all from the vault.
      expect([n, b.session.replica.cursor().applied]).toEqual([n, head]);
    }
    expect(turn).toBeGreaterThan(3);
  });

  test("[FLD10] killed at any call while it sends, a folder sends all of it once", async () => {
    change(a, 0);
    await meet();
    for (const point of ["folder-read", "folder-submitted"] as const) {
      change(a, point.length);
      const folder = folderOver(a, {
        point: (name) => {
          if (name === point) throw new Error("the process is dead");
        },
      });
      await folder.pump();
      a = await a.again();
      await meet();
      expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
      expect(a.session.replica.read((tx) => a.session.kinds.files.conflicts(tx, { open: true }))).toEqual([]);
    }
  });

  test("[FLD6] M-11: a save in place at the moment a file is replaced is kept: beside it, as a conflict", async () => {
    write(a, "x.txt", "first");
    await meet();
    write(a, "x.txt", "by a, longer");
    await a.sync();
    await receive(b);
    const path = join(b.folder, "x.txt");
    // Between the look and the rename: the same inode, so that only the stage can tell.
    const fs = disturbedFs(createNodeFolderFs(), "link", (from) => {
      if (from === path) appendFileSync(path, " and by b");
    });
    await folderOver(b, { fs }).pump();
    await meet();
    await meet();
    expect(contents(b)).toEqual(contents(a));
    expect(contents(b)).toEqual(["by a, longer", "first and by b"]);
  });

  test("[FLD6] a program that still holds the old file open writes into it after the replace: that is sent too", async () => {
    write(a, "x.txt", "first");
    await meet();
    write(a, "x.txt", "by a, longer");
    await a.sync();
    await receive(b);
    let now = Date.now();
    const clock = { now: () => now, mono: () => now };
    const folder = folderOver(b, { clock });
    await folder.pump();
    const [staged] = readdirSync(join(b.folder, ".tidelock", "stage"));
    appendFileSync(join(b.folder, ".tidelock", "stage", staged as string), " and late by b");
    now += 11_000;
    await folder.pump();
    await meet();
    await meet();
    expect(contents(a)).toEqual(["by a, longer", "first and late by b"]);
    expect(readdirSync(join(b.folder, ".tidelock", "stage"))).toEqual([]);
  });

  test("[FLD6] each time a program writes into a file that gave way, it is kept aside as long again, and all of it is sent", async () => {
    write(a, "x.txt", "first");
    await meet();
    write(a, "x.txt", "by a, longer");
    await a.sync();
    await receive(b);
    let now = Date.now();
    const clock = { now: () => now, mono: () => now };
    const folder = folderOver(b, { clock });
    await folder.pump();
    const [name] = readdirSync(join(b.folder, ".tidelock", "stage"));
    const staged = join(b.folder, ".tidelock", "stage", name as string);
    for (const text of [" and b", " and b again"]) {
      appendFileSync(staged, text);
      now += 11_000;
      await folder.pump();
    }
    now += 9_000;
    await folder.pump();
    expect(existsSync(staged)).toBe(true);
    now += 2_000;
    await folder.pump();
    expect(existsSync(staged)).toBe(false);
    await meet();
    await meet();
    expect(contents(a)).toEqual(["by a, longer", "first and b and b again"]);
  });

  test("[FLD6] a program that holds a file open writes into it after it was deleted elsewhere: the file comes back with that", async () => {
    write(a, "kept.txt", "kept");
    write(a, "x.txt", "first");
    await meet();
    rmSync(join(a.folder, "x.txt"));
    await a.sync();
    await receive(b);
    const open = openSync(join(b.folder, "x.txt"), "a");
    let now = Date.now();
    const clock = { now: () => now, mono: () => now };
    const folder = folderOver(b, { clock });
    await folder.pump();
    expect(contents(b)).toEqual(["kept"]);
    writeSync(open, " and late by b");
    closeSync(open);
    now += 11_000;
    await folder.pump();
    await meet();
    await meet();
    expect([contents(a), contents(b)]).toEqual([
      ["first and late by b", "kept"],
      ["first and late by b", "kept"],
    ]);
  });

  test("[FLD6] a save at the moment a file is taken away for its item died is sent, also after a death in between", async () => {
    write(a, "kept.txt", "kept");
    for (const dies of [false, true]) {
      write(a, "x.txt", "first");
      await meet();
      rmSync(join(a.folder, "x.txt"));
      await a.sync();
      await receive(b);
      const path = join(b.folder, "x.txt");
      // After the last look at it; a dead process takes no second one.
      const fs = disturbedFs(createNodeFolderFs(), "rename", (from) => {
        if (from === path) appendFileSync(path, " and by b");
      });
      const dying = disturbedFs(fs, "look", (at) => {
        if (dies && !existsSync(path) && at.includes("/.tidelock/"))
          throw Object.assign(new Error(), { code: "EIO" });
      });
      await folderOver(b, { fs: dying }).pump();
      b = await b.again();
      for (let i = 0; i < 2; i++) await meet();
      expect([dies, contents(a), contents(b)]).toEqual([
        dies,
        ["first and by b", "kept"],
        ["first and by b", "kept"],
      ]);
      rmSync(join(a.folder, "x.txt"));
      await a.sync();
      await meet();
    }
  });

  test("[FLD6] a save at the moment a file is renamed is no part of what was agreed: the next version does not drop it", async () => {
    write(a, "x.txt", "first");
    await meet();
    renameSync(join(a.folder, "x.txt"), join(a.folder, "y.txt"));
    await a.sync();
    await receive(b);
    const fs = disturbedFs(createNodeFolderFs(), "link", (from) => {
      if (from === join(b.folder, "x.txt")) appendFileSync(from, " and by b");
    });
    let now = Date.now();
    const folder = folderOver(b, { fs, clock: { now: () => now, mono: () => now } });
    await folder.pump();
    write(a, "y.txt", "by a, longer");
    await a.sync();
    await receive(b);
    // Before anybody has had time to read it once more.
    await folder.pump();
    now += 11_000;
    await folder.pump();
    await meet();
    await meet();
    expect(contents(b)).toEqual(contents(a));
    expect(contents(b)).toEqual(["by a, longer", "first and by b"]);
  });

  test("[FLD6] a file that was renamed and saved is agreed on under its name alone, as long as its bytes cannot be read", async () => {
    write(a, "x.txt", "first");
    await meet();
    renameSync(join(b.folder, "x.txt"), join(b.folder, "y.txt"));
    appendFileSync(join(b.folder, "y.txt"), " and by b");
    // Long after, so that no stamp is looked at twice.
    const later = Date.now() + 3_600_000;
    const clock = { now: () => later, mono: () => later };
    const unread = disturbedFs(createNodeFolderFs(), "readPieces", () => {
      throw Object.assign(new Error(), { code: "EFBIG" });
    });
    await folderOver(b, { fs: unread, clock }).pump();
    await b.session.engine.syncNow();
    await a.sync();
    expect(readFileSync(join(a.folder, "y.txt"), "utf8")).toBe("first");
    write(a, "y.txt", "by a, longer");
    await a.sync();
    await receive(b);
    await folderOver(b, { clock }).pump();
    await meet();
    await meet();
    expect(contents(b)).toEqual(contents(a));
    expect(contents(b)).toEqual(["by a, longer", "first and by b"]);
  });

  test("[FLD6] a file that a program puts under the old name while one is renamed stays", async () => {
    write(a, "x.txt", "first");
    await meet();
    renameSync(join(a.folder, "x.txt"), join(a.folder, "y.txt"));
    await a.sync();
    await receive(b);
    const path = join(b.folder, "x.txt");
    const fs = disturbedFs(createNodeFolderFs(), "rename", (from) => {
      if (from !== path) return;
      writeFileSync(`${path}.new`, "saved by b");
      renameSync(`${path}.new`, path);
    });
    await folderOver(b, { fs }).pump();
    await meet();
    await meet();
    expect(contents(b)).toEqual(contents(a));
    expect(contents(b)).toContain("saved by b");
  });

  test("[FLD6] what is saved in a file at the moment it came is sent, also where the clock went back", async () => {
    write(a, "x.txt", "first");
    await meet();
    write(a, "x.txt", "by a, longer");
    await a.sync();
    await receive(b);
    const path = join(b.folder, "x.txt");
    let came = false;
    const real = createNodeFolderFs();
    // As long as before, so that only the stamp tells; and to this clock that stamp lies far ahead.
    const fs = disturbedFs(
      disturbedFs(real, "rename", (from) => {
        if (from.includes("/tmp/")) came = true;
      }),
      "look",
      (at) => {
        if (came && at === path) writeFileSync(path, "by b, longer");
        if (came && at === path) came = false;
      },
    );
    let now = Date.now() - 3_600_000;
    const folder = folderOver(b, { fs, clock: { now: () => now, mono: () => now } });
    await folder.pump();
    now += 5000;
    await folder.scan();
    await meet();
    expect(contents(a)).toEqual(["by b, longer"]);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD6] a file that somebody made where one is to come is not overwritten", async () => {
    write(a, "x.txt", "by a");
    await a.sync();
    await receive(b);
    const path = join(b.folder, "x.txt");
    const fs = disturbedFs(createNodeFolderFs(), "link", () => {
      if (!existsSync(path)) writeFileSync(path, "by b");
    });
    await folderOver(b, { fs }).pump();
    expect(readFileSync(path, "utf8")).toBe("by b");
    await meet();
    await meet();
    expect(contents(a)).toEqual(["by a", "by b"]);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD11] nothing is written through a link that somebody put in the place of a folder", async () => {
    mkdirSync(join(a.folder, "d"));
    write(a, "d/x.txt", "first");
    await meet();
    write(a, "d/x.txt", "second, longer");
    write(a, "d/new.txt", "new");
    await a.sync();
    await receive(b);
    const outside = join(all.root, "outside");
    mkdirSync(outside);
    const d = join(b.folder, "d");
    const fs = disturbedFs(createNodeFolderFs(), "syncFile", () => {
      if (existsSync(`${d}-away`)) return;
      renameSync(d, `${d}-away`);
      symlinkSync(outside, d);
    });
    await folderOver(b, { fs }).pump();
    expect(readdirSync(outside)).toEqual([]);
  });
});
