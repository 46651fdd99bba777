/** A folder that shows a part of the vault alone. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import { listPresent } from "../vault/drive.ts";
import {
  createHomes,
  folderOver,
  keptAside,
  type TestHome,
  type TestHomes,
  treeOf,
} from "./testing/homes.ts";
import { disturbedFs, dyingFs } from "./testing/hooked.ts";

let all: TestHomes;
let a: TestHome;
let b: TestHome;

beforeEach(async () => {
  all = await createHomes(["a", "b"]);
  [a, b] = all.homes as [TestHome, TestHome];
  mkdirSync(join(a.folder, "photos", "2024"), { recursive: true });
  write(a, "photos/one.jpg", "one");
  write(a, "photos/run.sh", "#!/bin/sh");
  chmodSync(join(a.folder, "photos/run.sh"), 0o755);
  write(a, "photos/2024/two.jpg", "two");
  write(a, "notes.txt", "notes");
  await meet();
}, 60_000);
afterEach(() => all.remove(), 60_000);

const write = (home: TestHome, path: string, text: string): void =>
  writeFileSync(join(home.folder, path), text);
const read = (home: TestHome, path: string): string => readFileSync(join(home.folder, path), "utf8");
const names = (home: TestHome): string[] => Object.keys(treeOf(home.folder));
const meet = async (): Promise<void> => {
  for (const home of [a, b, a]) await home.sync();
};
const PHOTOS = ["photos", "photos/2024", "photos/2024/two.jpg", "photos/one.jpg", "photos/run.sh"];
const select = (home: TestHome, path: string, selected: boolean): Promise<unknown> =>
  home.session.folders.select(path, undefined, selected);
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code?: string }) => String(error.code),
  );
const idOf = (home: TestHome, name: string): ItemId =>
  home.session.replica.read((tx) => home.session.kinds.files.child(tx, ROOT, name))?.id as ItemId;

describe("selection", { timeout: 120_000 }, () => {
  test("[FLD14] what is deselected leaves this disk alone, whatever others do with it, and comes back as it is then", async () => {
    const before = treeOf(b.folder);
    const head = b.session.replica.cursor().applied;
    await select(b, "photos", false);
    expect(names(b)).toEqual(["notes.txt"]);
    await meet();
    expect([b.session.replica.cursor().applied, names(a)]).toEqual([head, ["notes.txt", ...PHOTOS]]);
    expect(b.session.folders.list()).toMatchObject([{ state: "live", excluded: ["photos"], selected: [] }]);
    await select(b, "photos", true);
    expect(treeOf(b.folder)).toEqual(before);
    await select(b, "photos", false);
    write(a, "photos/one.jpg", "another");
    rmSync(join(a.folder, "photos/2024"), { recursive: true });
    renameSync(join(a.folder, "photos"), join(a.folder, "pictures"));
    await meet();
    expect(names(b)).toEqual(["notes.txt"]);
    expect(b.session.folders.list()).toMatchObject([{ excluded: ["pictures"] }]);
    await select(b, "pictures", true);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD14] the listing says what is not shown here, and the folder may be named by its place on the disk", async () => {
    await b.session.folders.select("photos", join(b.folder, "photos"), false);
    const states = async (path: string): Promise<unknown> =>
      (await listPresent(b.session, path)).map((one) => [one.path, one.state]);
    expect(await states("")).toEqual([
      ["notes.txt", "present"],
      ["photos", "excluded"],
    ]);
    expect(await states("photos/2024")).toEqual([["photos/2024/two.jpg", "excluded"]]);
    await b.session.folders.select("2024", join(b.folder, "photos/2024"), true);
    expect(names(b)).toEqual(["notes.txt", "photos", "photos/2024", "photos/2024/two.jpg"]);
    expect(b.session.folders.list()).toMatchObject([{ excluded: ["photos"], selected: ["photos/2024"] }]);
    // What is said of a folder holds for all in it, whatever was said of that before.
    await select(b, "photos", false);
    expect(names(b)).toEqual(["notes.txt"]);
    expect(b.session.folders.list()).toMatchObject([{ excluded: ["photos"], selected: [] }]);
    const wrong = ["nowhere", "notes.txt"].map((path) => codeOf(select(b, path, false)));
    expect(await Promise.all(wrong)).toEqual(["not-found", "not-found"]);
    await b.session.folders.remove(b.folder);
    expect(await codeOf(select(b, "photos", true))).toBe("not-found");
  });

  test("[FLD14] a folder of which something is only here is not deselected", async () => {
    const refused = async (): Promise<void> => {
      expect(await codeOf(select(a, "photos", false))).toBe("not-uploaded");
      expect(names(a)).toContain("photos/one.jpg");
    };
    // Being written, not sent, without a verdict.
    write(a, "photos/new.jpg", "new");
    await refused();
    const { folders, replica } = a.session;
    for (await folders.settle(true); replica.waiting().pending === 0; ) await folders.settle(false);
    await refused();
    await a.sync();
    // A deletion that nobody was told of.
    rmSync(join(a.folder, "photos/one.jpg"));
    expect(await codeOf(select(a, "photos", false))).toBe("not-uploaded");
    await a.sync();
    // Something else that waits holds nothing up.
    write(a, "notes.txt", "more notes");
    await select(a, "photos", false);
    await meet();
    expect([names(a), names(b)]).toEqual([
      ["notes.txt"],
      ["notes.txt", "photos", "photos/2024", "photos/2024/two.jpg", "photos/new.jpg", "photos/run.sh"],
    ]);
  });

  test("[FLD14] an edit at the moment a file leaves is sent", async () => {
    const path = join(b.folder, "photos/one.jpg");
    const fs = disturbedFs(createNodeFolderFs(), "rename", (from) => {
      if (from === path) appendFileSync(path, " and more");
    });
    await folderOver(b, { fs }).select({ id: idOf(b, "photos"), selected: false });
    await meet();
    await meet();
    expect([names(b), read(a, "photos/one.jpg")]).toEqual([["notes.txt"], "one and more"]);
  });

  test("[FLD14] what is not synced stays and keeps its folder, and what is made there is selected by itself", async () => {
    write(b, ".tidelockignore", "*.raw\n");
    write(b, "photos/foreign.raw", "foreign");
    await meet();
    await meet();
    await select(b, "photos", false);
    const left = [".tidelockignore", "notes.txt", "photos", "photos/foreign.raw"];
    expect(names(b)).toEqual(left);
    write(b, "photos/own.jpg", "own");
    renameSync(join(b.folder, "notes.txt"), join(b.folder, "photos/notes.txt"));
    await meet();
    await meet();
    const own = [".tidelockignore", "photos", "photos/foreign.raw", "photos/notes.txt", "photos/own.jpg"];
    expect(names(b)).toEqual(own);
    expect(names(a)).toEqual([
      ".tidelockignore",
      ...PHOTOS.slice(0, 3),
      "photos/notes.txt",
      "photos/one.jpg",
      "photos/own.jpg",
      "photos/run.sh",
    ]);
    expect(b.session.folders.list()).toMatchObject([{ selected: ["photos/notes.txt", "photos/own.jpg"] }]);
  });

  test("[FLD14] a folder that holds one that is not here is never deleted whole by who does not hold it", async () => {
    mkdirSync(join(a.folder, "all"));
    renameSync(join(a.folder, "photos"), join(a.folder, "all/photos"));
    write(a, "all/more.txt", "more");
    await meet();
    await select(b, "all/photos", false);
    rmSync(join(b.folder, "all"), { recursive: true });
    for (let i = 0; i < 2; i++) await meet();
    const kept = ["all", ...PHOTOS.map((path) => `all/${path}`)];
    expect(names(a)).toEqual([...kept, "notes.txt"]);
    expect(names(b)).toEqual(["all", "notes.txt"]);
  });

  test("[FLD14, FLD9] any number may be deselected at once: nothing is withheld, and nothing deleted", async () => {
    for (let i = 0; i < 120; i++) write(a, `photos/${i}.jpg`, `photo ${i}`);
    await meet();
    await select(b, "photos", false);
    expect(names(b)).toEqual(["notes.txt"]);
    expect(b.session.facts().withheldDeletions).toBe(0);
    await meet();
    expect(names(a).length).toBe(126);
    expect(keptAside(b.folder)).toBe(123);
  });

  test("[FLD14] killed at any call while it is deselected or selected, a folder goes on, and nothing is lost", async () => {
    const whole = treeOf(b.folder);
    const tree = { "notes.txt": whole["notes.txt"] };
    const head = b.session.replica.cursor().applied;
    const step = process.env["TIDELOCK_RUNS"] === undefined ? 4 : 1;
    for (const selected of [false, true]) {
      for (let [n, last] = [1, false]; !last; n += step) {
        await select(b, "photos", !selected);
        const dying = dyingFs(createNodeFolderFs(), n);
        await folderOver(b, { fs: dying.fs })
          .select({ id: idOf(b, "photos"), selected })
          .catch(() => 0);
        last = dying.count() < n;
        b = await b.again();
        await b.sync();
        const isSelected = b.session.folders.list()[0]?.excluded.length === 0;
        expect(treeOf(b.folder), `killed at call ${n}`).toEqual(isSelected ? whole : tree);
        expect([last, b.session.replica.cursor().applied]).toEqual([last && isSelected === selected, head]);
      }
    }
  });

  test("[FLD14] what left the disk unnoted is not deleted where it is selected while nobody can look", async () => {
    const whole = treeOf(b.folder);
    const rule = { id: idOf(b, "photos") };
    const point = (name: string): void => {
      if (name === "folder-flushed") throw new Error("the process is dead");
    };
    await folderOver(b, { point }).select({ ...rule, selected: false });
    expect(names(b)).not.toContain("photos/one.jpg");
    const full = disturbedFs(createNodeFolderFs(), "chmod", () => {
      throw Object.assign(new Error(), { code: "ENOSPC" });
    });
    await folderOver(b, { fs: full }).select({ ...rule, selected: true });
    b = await b.again();
    await meet();
    await meet();
    expect([treeOf(a.folder), treeOf(b.folder)]).toEqual([whole, whole]);
  });

  test("[FLD14] what was said outlives a look at everything anew, and ends with the folder", async () => {
    await select(b, "photos", false);
    b = await b.again();
    expect(await b.session.folders.bringBack(b.folder)).toEqual({ restored: 0 });
    rmSync(join(b.folder, ".tidelock/root"));
    await b.session.folders.add(b.folder, true);
    await b.sync();
    expect(names(b)).toEqual(["notes.txt"]);
    expect(existsSync(join(a.folder, "photos/one.jpg"))).toBe(true);
    await b.session.folders.remove(b.folder);
    await b.session.folders.add(b.folder, false);
    await b.sync();
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });
});
