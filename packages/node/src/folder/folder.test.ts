import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { putRun, runs } from "@tidelock/core/engine/outbox";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { DiskFacts, FolderFs } from "@tidelock/core/ports-fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import {
  createHomes,
  folderOver,
  keptAside,
  type TestHome,
  type TestHomes,
  treeOf,
} from "./testing/homes.ts";

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
const read = (home: TestHome, path: string): string => readFileSync(join(home.folder, path), "utf8");
const names = (home: TestHome): string[] => Object.keys(treeOf(home.folder));
const meet = async (): Promise<void> => {
  for (const home of [a, b, a]) await home.sync();
};
const head = (home: TestHome): number => home.session.replica.cursor().applied;

describe("a folder", { timeout: 120_000 }, () => {
  test("[FLD1] Y-1: what is made, written, renamed and deleted in one folder happens in the other", async () => {
    mkdirSync(join(a.folder, "docs"));
    write(a, "docs/a.txt", "one");
    write(a, "b.txt", "two");
    await meet();
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
    write(b, "docs/a.txt", "one and more");
    renameSync(join(b.folder, "docs"), join(b.folder, "papers"));
    rmSync(join(b.folder, "b.txt"));
    await meet();
    await meet();
    expect(treeOf(a.folder)).toEqual(treeOf(b.folder));
    expect(names(a)).toEqual(["papers", "papers/a.txt"]);
    expect(read(a, "papers/a.txt")).toBe("one and more");
  });

  test("[FLD7] M-27: what came from the vault is never sent back", async () => {
    for (let i = 0; i < 20; i++) write(a, `${i}.txt`, `text ${i}`);
    await a.sync();
    await b.sync();
    const before = head(b);
    await b.sync();
    const again = await b.again();
    await again.sync();
    await again.session.folders.scan(undefined);
    await a.sync();
    expect([head(a), head(again)]).toEqual([before, before]);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD6] both edit one file: one stands, the other lies beside it under a name that says whose it is", async () => {
    write(a, "report.txt", "old");
    await meet();
    write(a, "report.txt", "by a");
    write(b, "report.txt", "by b");
    await meet();
    await meet();
    expect(treeOf(a.folder)).toEqual(treeOf(b.folder));
    const [copy, ...rest] = names(a);
    expect(rest).toEqual(["report.txt"]);
    expect(copy).toMatch(/^report \(b conflict \d{4}-\d\d-\d\d\)\.txt$/);
    expect([read(b, "report.txt"), read(b, copy as string)]).toEqual(["by a", "by b"]);
  });

  test("[FLD2] M-11: a folder that is gone, emptied or another one is paused, and nothing is deleted", async () => {
    for (const name of ["x", "y", "z"]) write(a, name, name);
    await meet();
    const before = head(a);
    const away = `${a.folder}-away`;
    renameSync(a.folder, away);
    const paused = async (): Promise<void> => {
      await a.sync();
      expect(a.session.folders.list()).toMatchObject([{ state: "paused", code: "folder-missing" }]);
      expect(a.session.facts().pausedFolders).toBe(1);
    };
    await paused();
    // Unmounted: an empty place.
    mkdirSync(a.folder);
    await paused();
    // Somebody else's folder, or a copy of ours.
    writeFileSync(join(a.folder, "other"), "other");
    await paused();
    mkdirSync(join(a.folder, ".tidelock"));
    writeFileSync(join(a.folder, ".tidelock", "root"), readFileSync(join(away, ".tidelock", "root")));
    await paused();
    rmSync(a.folder, { recursive: true });
    renameSync(away, a.folder);
    await meet();
    expect(a.session.folders.list()).toMatchObject([{ state: "live", items: 3 }]);
    expect([names(a), names(b), head(b)]).toEqual([["x", "y", "z"], ["x", "y", "z"], before]);
  });

  test("[FLD8] M-69: two folders that were both full before merge: equal files are one, different ones both stay", async () => {
    await all.remove();
    all = await createHomes(["a", "b"], false);
    [a, b] = all.homes as [TestHome, TestHome];
    for (const home of [a, b]) {
      write(home, "same.txt", "same");
      write(home, "differs.txt", `of ${home === a ? "a" : "b"}`);
      write(home, `only ${home === a ? "a" : "b"}.txt`, "only");
      await home.session.folders.add(home.folder, false);
    }
    await meet();
    await meet();
    expect(names(a)).toEqual(names(b));
    for (const name of names(a)) expect(read(a, name)).toBe(read(b, name));
    expect(names(a).length).toBe(5);
    expect([read(a, "differs.txt"), read(a, names(a)[0] as string)].sort()).toEqual(["of a", "of b"]);
  });

  test("[FLD9] M-68: much that is gone at once waits for a word, and all else goes on", async () => {
    for (let i = 0; i < 140; i++) write(a, `${i}.txt`, `text ${i}`);
    await meet();
    for (let i = 0; i < 105; i++) rmSync(join(a.folder, `${i}.txt`));
    write(a, "new.txt", "new");
    await meet();
    expect(names(b).length).toBe(141);
    expect(a.session.facts().withheldDeletions).toBe(105);
    expect(await a.session.folders.approve(a.folder)).toEqual({ approved: 105 });
    await a.sync();
    await b.sync();
    // The other device asks too: there it is as much.
    expect(names(b).length).toBe(141);
    await b.session.folders.approve(b.folder);
    expect(names(b).length).toBe(36);
    expect(keptAside(b.folder)).toBe(105);
  });

  test("[FLD9] M-68: the other answer brings all of it back", async () => {
    for (let i = 0; i < 120; i++) write(a, `${i}.txt`, `text ${i}`);
    await meet();
    const before = treeOf(a.folder);
    for (let i = 0; i < 110; i++) rmSync(join(a.folder, `${i}.txt`));
    await a.sync();
    expect(a.session.facts().withheldDeletions).toBe(110);
    expect(await a.session.folders.bringBack(a.folder)).toEqual({ restored: 110 });
    await meet();
    expect([treeOf(a.folder), treeOf(b.folder)]).toEqual([before, before]);
  });

  test("[FLD5] a save that takes the file away for a moment is a save: the same file with one version more", async () => {
    write(a, "x.txt", "one");
    await meet();
    const idOf = (): string => {
      const { kinds, replica } = a.session;
      return toHex(replica.read((tx) => kinds.files.child(tx, ROOT, "x.txt"))?.id ?? new Uint8Array(0));
    };
    const id = idOf();
    rmSync(join(a.folder, "x.txt"));
    await a.session.folders.settle(true);
    write(a, "x.txt", "another");
    await meet();
    expect([idOf(), read(b, "x.txt")]).toEqual([id, "another"]);
  });

  test("[FLD4] Y-25: temporary files and what a rule names stay here, and a rule added later deletes nothing", async () => {
    write(a, ".tidelockignore", "*.log\nbuild/\n");
    mkdirSync(join(a.folder, "build"));
    for (const path of ["x.log", "build/out", "~$a.docx", ".DS_Store", "kept.txt"]) write(a, path, path);
    await meet();
    expect(names(b)).toEqual([".tidelockignore", "kept.txt"]);
    write(b, ".tidelockignore", "*.log\nbuild/\nkept.txt\n");
    await b.sync();
    await meet();
    expect([existsSync(join(a.folder, "kept.txt")), existsSync(join(b.folder, "kept.txt"))]).toEqual([
      true,
      true,
    ]);
    write(b, "kept.txt", "changed");
    await b.sync();
    await meet();
    expect(read(a, "kept.txt")).toBe("kept.txt");
  });

  test("[FLD1] M-14: a time alone sends nothing, and a false one orders nothing", async () => {
    write(a, "x.txt", "x");
    await meet();
    const before = head(a);
    utimesSync(join(a.folder, "x.txt"), 1_000_000_000, 1_000_000_000);
    await meet();
    expect(head(a)).toBe(before);
    write(b, "x.txt", "newer");
    utimesSync(join(b.folder, "x.txt"), 500_000_000, 500_000_000);
    await meet();
    expect([read(a, "x.txt"), statSync(join(a.folder, "x.txt")).mtimeMs]).toEqual(["newer", 500_000_000_000]);
  });

  test("[FLD3] a folder in, around or beside what is ours is refused, and one of another vault is not entered", async () => {
    const { session } = a;
    const codeOf = (path: string): Promise<string> =>
      session.folders.add(path, false).then(
        () => "added",
        (error: { code?: string }) => String(error.code),
      );
    mkdirSync(join(a.folder, "inside"));
    const wanted = [
      join(a.folder, "inside"),
      all.root,
      join(all.root, "a", "data"),
      join(all.root, "remote"),
    ];
    for (const path of wanted) expect([path, await codeOf(path)]).toEqual([path, "nested-vault"]);
    expect(await codeOf(b.folder)).toBe("attached-elsewhere");
    expect(await codeOf(join(all.root, "nowhere"))).toBe("not-found");
    // Another vault's folder that somebody moved in.
    mkdirSync(join(a.folder, "theirs", ".tidelock"), { recursive: true });
    write(a, "theirs/.tidelock/root", "tidelock folder 1\nvault 00\nattachment 00\n");
    write(a, "theirs/private.txt", "private");
    await meet();
    expect(names(b)).toEqual(["inside"]);
    expect(session.folders.list()[0]?.aside).toMatchObject([{ code: "nested-vault", path: "theirs" }]);
  });

  test("[FLD5] Y-26: a hundred saves in a row are at most three versions", async () => {
    const path = join(a.folder, "busy.txt");
    const folder = folderOver(a);
    for (let i = 0; i < 100; i++) {
      writeFileSync(path, `save ${i} ${"x".repeat(i)}`);
      if (i % 10 === 0) await folder.scan();
    }
    await a.sync();
    const { kinds, replica } = a.session;
    const versions = replica.read((tx) => {
      const item = kinds.files.child(tx, ROOT, "busy.txt");
      return item === undefined ? [] : kinds.files.history(tx, item.id);
    });
    expect(versions.length).toBeLessThan(3);
    await b.sync();
    expect(read(b, "busy.txt")).toBe(`save 99 ${"x".repeat(99)}`);
  });

  test("[FLD5] Y-26: a file that is written to without a pause is told of, holds nobody up, and goes when its writer rests", async () => {
    let now = Date.now();
    const folder = folderOver(a, { clock: { now: () => now, mono: () => now } });
    for (let i = 0; i < 80; i++, now += 1000) {
      writeFileSync(join(a.folder, "log.txt"), "line\n".repeat(i + 1));
      utimesSync(join(a.folder, "log.txt"), (now - 5) / 1000, now / 1000);
      await folder.scan();
    }
    expect(folder.issues()).toMatchObject([{ code: "file-keeps-changing", path: "log.txt" }]);
    expect([folder.due, a.session.replica.waiting().pending]).toEqual([0, 0]);
    now += 3000;
    await folder.pump();
    now += 3000;
    await folder.pump();
    await a.session.engine.syncNow();
    await b.sync();
    expect(read(b, "log.txt")).toBe("line\n".repeat(80));
  });

  test("[FLD7] an edit that left size and stamps as they were is found, once the stamp could hide it", async () => {
    write(a, "x.txt", "one");
    await meet();
    // What a coarse clock does: another content under the very same fingerprint.
    const path = join(a.folder, "x.txt");
    const facts = await createNodeFolderFs().look(path);
    writeFileSync(path, "two");
    const real = createNodeFolderFs();
    const same = (now: DiskFacts): DiskFacts =>
      now.ino === facts.ino ? { ...now, mtimeNs: facts.mtimeNs, ctimeNs: facts.ctimeNs } : now;
    const coarse: FolderFs = {
      ...real,
      look: async (at) => same(await real.look(at)),
      list: async (at) => {
        const { entries, notText } = await real.list(at);
        return { notText, entries: entries.map((one) => ({ ...same(one), name: one.name })) };
      },
      readPieces: async (at, most, take) => {
        const read = await real.readPieces(at, most, take);
        return { ...read, before: same(read.before), after: same(read.after) };
      },
    };
    let now = Date.now();
    const folder = folderOver(a, { fs: coarse, clock: { now: () => now, mono: () => now } });
    now += 10_000;
    await folder.scan();
    await a.session.engine.syncNow();
    await b.sync();
    expect(read(b, "x.txt")).toBe("two");
  });

  test("[FLD12] what the vault refuses pauses the folder, and a look of a person sends what the disk holds", async () => {
    write(a, "x.txt", "one");
    const { engine, replica, folders } = a.session;
    for (await folders.settle(true); replica.waiting().pending === 0; ) await folders.settle(false);
    engine.write((tx) => {
      for (const run of runs(tx)) {
        for (const kind of a.session.kinds.all) kind.release(tx, run.id);
        putRun(tx, { ...run, parked: "role" });
      }
    });
    await a.session.folders.settle(true);
    expect(a.session.folders.list()).toMatchObject([{ state: "paused", code: "rejected" }]);
    expect(replica.waiting()).toEqual({ pending: 0, parked: 1 });
    expect(read(a, "x.txt")).toBe("one");
    await a.session.folders.scan(a.folder);
    await a.session.sync({ wait: true });
    await b.sync();
    expect([read(a, "x.txt"), read(b, "x.txt")]).toEqual(["one", "one"]);
  });

  test("[CNT16] a file whose content the log has lost is read again from the disk, by itself", async () => {
    write(a, "x.txt", "one");
    await meet();
    write(a, "x.txt", "two");
    write(a, "y.txt", "new");
    const { engine, replica, folders } = a.session;
    for (await folders.settle(true); replica.waiting().pending === 0; ) await folders.settle(false);
    engine.write((tx) => {
      for (const run of runs(tx)) {
        for (const kind of a.session.kinds.all) kind.release(tx, run.id);
        putRun(tx, { ...run, parked: "content" });
      }
    });
    await meet();
    expect(replica.waiting()).toEqual({ pending: 0, parked: 0 });
    for (const home of [a, b]) {
      const held = readdirSync(home.folder).flatMap((name) => (name === ".tidelock" ? [] : read(home, name)));
      expect(held).toEqual(expect.arrayContaining(["two", "new"]));
    }
  });

  test("[FLD13] M-12: renaming a folder of any size is one frame below 1 KiB", async () => {
    mkdirSync(join(a.folder, "many"));
    for (let i = 0; i < 100; i++) write(a, `many/${i}.txt`, `text ${i}`);
    await meet();
    const before = head(a);
    renameSync(join(a.folder, "many"), join(a.folder, "renamed"));
    await a.sync();
    expect(head(a)).toBe(before + 1);
    const page = await a.session.remote?.read(before, { frames: 1, bytes: 1 });
    const frames =
      page?.kind === "ok" ? page.value.objects.flatMap((o) => (o.kind === "page" ? o.entries : [])) : [];
    expect(frames.map(({ frame }) => frame.length < 1024)).toEqual([true]);
    await b.sync();
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });
});
