import { describe, expect, test } from "vitest";
import type { Device } from "../../../../../../test/reference/plan-device.ts";
import { profiles } from "../../../../../../test/reference/plan-disk.ts";
import { dir, file, item, move, remove, Two, thing } from "../../../../../../test/reference/plan-kit.ts";
import { ROOT } from "../names.ts";
import { textOf } from "../spaces.ts";

/** `d/x` and `y` on both disks. */
function agreed(): Two {
  const two = new Two();
  dir(two.a, "d");
  file(two.a, "d/x", "1");
  file(two.a, "y", "2");
  two.settle();
  expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
  return two;
}

function deselect(device: Device, path: string): void {
  const { id } = item(device, path);
  device.rules.set(textOf(id), { id, selected: false });
}

/** What B changed is in A's view, and not yet on its disk. */
function heard(two: Two): void {
  two.pass(two.b);
  two.place(two.b);
  two.read(two.a);
  two.read(two.b);
}

describe("each row of the table", () => {
  test("[PLN3] as agreed on both sides: nothing", () => {
    const two = agreed();
    expect(two.plan(two.a)).toEqual({ steps: [], issues: [] });
  });

  test("[PLN3] changed here: a write from the revision that was agreed on", () => {
    const two = agreed();
    const { rev } = item(two.a, "y");
    file(two.a, "y", "changed");
    const { steps } = two.plan(two.a);
    expect(steps).toMatchObject([{ do: "write", rev, id: item(two.a, "y").id }]);
  });

  test("[PLN3] changed on both sides: the log decides, and both are kept", () => {
    const two = agreed();
    file(two.b, "y", "theirs");
    heard(two);
    file(two.a, "y", "ours");
    expect(two.pass(two.a)).toContain("write");
    two.settle();
    const tree = { d: "/", "d/x": "1", y: "theirs", "y (D1 conflict 2026-11-20)": "ours" };
    expect(two.a.disk.tree()).toEqual(tree);
    expect(two.b.disk.tree()).toEqual(tree);
  });

  test("[PLN3] changed on both sides to the same: only noted", () => {
    const two = agreed();
    file(two.b, "y", "3");
    heard(two);
    file(two.a, "y", "3");
    expect(two.pass(two.a)).toEqual([]);
    expect(two.plan(two.a).steps).toEqual([]);
  });

  test("[PLN3] changed there: replaced, and what was there goes to the trash", () => {
    const two = agreed();
    file(two.b, "y", "theirs");
    heard(two);
    expect(two.pass(two.a)).toEqual(["replaceFile"]);
    expect(two.a.disk.tree()["y"]).toBe("theirs");
    expect(two.a.disk.trash).toEqual(["2"]);
  });

  test("[PLN3] gone here, as agreed there: deleted there", () => {
    const two = agreed();
    remove(two.a, "y");
    expect(two.pass(two.a)).toEqual(["delete"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1" });
    expect(two.b.disk.trash).toEqual(["2"]);
  });

  test("[PLN3] gone here, changed there: brought back, and said", () => {
    const two = agreed();
    file(two.b, "y", "theirs");
    heard(two);
    remove(two.a, "y");
    expect(two.plan(two.a).issues).toMatchObject([{ kind: "brought-back" }]);
    two.settle();
    expect(two.a.disk.tree()["y"]).toBe("theirs");
  });

  test("[PLN3] as agreed here, deleted there: to the trash", () => {
    const two = agreed();
    remove(two.b, "d");
    heard(two);
    expect(two.pass(two.a)).toEqual(["toTrash", "removeDir"]);
    expect(two.a.disk.tree()).toEqual({ y: "2" });
    expect(two.a.disk.trash).toEqual(["1"]);
  });

  test("[PLN3] changed here, deleted there: a write, which revives it", () => {
    const two = agreed();
    remove(two.b, "d");
    heard(two);
    file(two.a, "d/x", "changed");
    expect(two.pass(two.a)).toContain("write");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "changed", y: "2" });
  });

  test("[PLN3, PLN2] moved here: a move, and its content by itself", () => {
    const two = agreed();
    move(two.a, "y", "d/z");
    file(two.a, "d/z", "moved and changed");
    expect(two.pass(two.a)).toEqual(["move", "write"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", "d/z": "moved and changed" });
  });

  test("[PLN3] moved there: renamed", () => {
    const two = agreed();
    move(two.b, "d", "e");
    heard(two);
    expect(two.pass(two.a)).toEqual(["rename"]);
    expect(two.a.disk.tree()).toEqual({ e: "/", "e/x": "1", y: "2" });
  });

  test("[PLN3] moved on both sides: the first in the log wins, and nothing is there twice", () => {
    const two = agreed();
    move(two.a, "y", "ours");
    move(two.b, "y", "d/theirs");
    heard(two);
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/x": "1", "d/theirs": "2" });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN3] new here: made there", () => {
    const two = agreed();
    dir(two.a, "n");
    file(two.a, "n/f", "3");
    two.a.disk.make(two.a.disk.top, "l", "link", "y");
    expect(two.pass(two.a)).toEqual(["symlink", "mkdir", "create"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2", n: "/", "n/f": "3", l: "-> y" });
  });

  test("[PLN3] new on both sides: one, if it is the same or a folder; else a copy", () => {
    const two = agreed();
    for (const device of [two.a, two.b]) {
      dir(device, "n");
      file(device, "n/same", "same");
      file(device, "n/other", `of ${device.index}`);
    }
    heard(two);
    two.settle();
    expect(two.a.disk.tree()).toEqual({
      d: "/",
      "d/x": "1",
      y: "2",
      n: "/",
      "n/same": "same",
      "n/other": "of 2",
      "n/other (D1 conflict 2026-11-20)": "of 1",
    });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN3] the executable bit goes both ways, and not to a disk without it", () => {
    const two = agreed();
    two.a.disk.setExecutable(thing(two.a, "y"), true);
    expect(two.pass(two.a)).toContain("meta");
    two.settle();
    expect(two.b.disk.tree()["y"]).toBe("2 *");
    const plain = new Two(profiles.ext4, profiles.exfat);
    plain.a.disk.setExecutable(file(plain.a, "y", "2"), true);
    plain.settle();
    file(plain.b, "y", "3");
    plain.settle();
    expect(plain.a.disk.tree()).toEqual({ y: "3 *" });
  });

  test("[PLN3] a time that changed and bytes that did not are noted, and sent nowhere", () => {
    const two = agreed();
    file(two.a, "y", "2");
    expect(two.plan(two.a).steps).toMatchObject([{ do: "hash" }]);
    expect(two.pass(two.a)).toEqual([]);
    expect(two.plan(two.a).steps).toEqual([]);
  });
});

describe("which entry is which item", () => {
  test("[PLN2] M-12 a renamed tree is one move of one change", () => {
    const two = agreed();
    dir(two.a, "d/deep");
    for (let i = 0; i < 30; i++) file(two.a, `d/deep/f${i}`, `${i}`);
    two.settle();
    move(two.a, "d", "e");
    expect(two.pass(two.a)).toEqual(["move"]);
  });

  test("[PLN2] a new file in the place of the old is a write", () => {
    const two = agreed();
    file(two.a, "y.tmp", "saved");
    remove(two.a, "y");
    move(two.a, "y.tmp", "y");
    expect(two.pass(two.a)).toEqual(["write"]);
  });

  test("[PLN2] the old put aside and a new one made: a write, and something new", () => {
    const two = agreed();
    move(two.a, "y", "y~");
    file(two.a, "y", "saved");
    const { id } = item(two.a, "y");
    expect(two.plan(two.a).steps).toMatchObject([
      { do: "write", id },
      { do: "create", name: "y~" },
    ]);
  });

  test("[PLN2] moved and saved anew meanwhile: by what it holds", () => {
    const two = agreed();
    remove(two.a, "y");
    file(two.a, "d/z", "2");
    expect(two.pass(two.a)).toEqual(["move"]);
  });

  test("[PLN2] another kind under an old name: a deletion, and something new", () => {
    const two = agreed();
    remove(two.a, "d");
    file(two.a, "d", "a file now");
    expect(two.pass(two.a)).toEqual(["delete", "create"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "a file now", y: "2" });
  });

  test("[PLN2] without numbers that stay, folders are known by their names", () => {
    const two = new Two(profiles.exfat, profiles.ext4);
    dir(two.a, "d");
    file(two.a, "d/x", "1");
    two.settle();
    remove(two.a, "d");
    dir(two.a, "d");
    file(two.a, "d/x", "1");
    expect(two.pass(two.a)).toEqual([]);
  });
});

describe("what an absence means", () => {
  test("[PLN4] a folder is deleted as one change, if all in it was seen", () => {
    const two = agreed();
    dir(two.a, "d/e");
    file(two.a, "d/e/f", "3");
    two.settle();
    remove(two.a, "d");
    expect(two.pass(two.a)).toEqual(["delete"]);
  });

  test("[PLN4] of a folder in which something came meanwhile, the rest goes one by one", () => {
    const two = agreed();
    file(two.b, "d/new", "unseen");
    heard(two);
    remove(two.a, "d");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/new": "unseen", y: "2" });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN4] what was moved out of it goes first, the folder after that as one", () => {
    const two = agreed();
    move(two.a, "d/x", "x");
    remove(two.a, "d");
    expect(two.pass(two.a)).toEqual(["move"]);
    expect(two.pass(two.a)).toEqual(["delete"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ x: "1", y: "2" });
  });

  test("[PLN6] nothing is deleted for not being selected", () => {
    const two = agreed();
    deselect(two.a, "d");
    expect(two.pass(two.a)).toEqual(["toTrash", "removeDir"]);
    expect(two.pass(two.a)).toEqual([]);
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
    two.a.rules.clear();
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
  });

  test("[PLN6] a folder with something in it that is not selected is not deleted whole", () => {
    const two = agreed();
    file(two.a, "d/z", "3");
    two.settle();
    deselect(two.a, "d/x");
    two.settle();
    remove(two.a, "d");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
  });

  test("[PLN6] what is edited and deselected is sent before it leaves", () => {
    const two = agreed();
    file(two.a, "d/x", "edited");
    deselect(two.a, "d");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ y: "2" });
    expect(two.b.disk.tree()["d/x"]).toBe("edited");
  });

  test("[PLN6] what is made in a folder that is not selected is selected by itself", () => {
    const two = agreed();
    deselect(two.a, "d");
    two.settle();
    dir(two.a, "d");
    file(two.a, "d/own", "3");
    expect(two.plan(two.a).steps).toMatchObject([{ do: "create", select: true }]);
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/own": "3", y: "2" });
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/own": "3", "d/x": "1", y: "2" });
  });

  test("[PLN6] no deletion is inferred for what was deselected and left the disk before anybody noted that", () => {
    const two = agreed();
    deselect(two.a, "d");
    remove(two.a, "d");
    expect([two.a.rows.size, two.pass(two.a)]).toEqual([3, []]);
    expect(two.a.rows.size).toBe(1);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
  });

  test("[PLN6] what is deselected stays until the log has said what became of it", () => {
    const two = agreed();
    file(two.a, "d/x", "edited");
    deselect(two.a, "d");
    expect(two.pass(two.a)).toEqual(["write"]);
    expect(two.pass(two.a)).toEqual([]);
    two.place(two.a);
    two.read(two.a);
    expect(two.pass(two.a)).toEqual(["toTrash", "removeDir"]);
  });

  test("[PLN6] any number of things may be deselected at once, and no deletion is told or asked about", () => {
    const two = agreed();
    for (let i = 0; i < 150; i++) file(two.a, `d/${i}`, `text ${i}`);
    two.settle();
    deselect(two.a, "d");
    const { steps, issues } = two.plan(two.a);
    expect([steps.filter(({ do: what }) => what === "toTrash").length, issues]).toEqual([151, []]);
    two.settle();
    expect(Object.keys(two.b.disk.tree()).length).toBe(153);
  });

  test("[PLN6] what is foreign in a folder that was deselected stays, and keeps the folder", () => {
    const two = agreed();
    two.a.isIgnored = (name) => name === "foreign";
    file(two.a, "d/foreign", "1");
    deselect(two.a, "d");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/foreign": "1", y: "2" });
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
  });

  test("[PLN13] the nearest rule above decides, and a selected thing brings the folders above it alone", () => {
    const two = agreed();
    dir(two.a, "d/e");
    file(two.a, "d/e/f", "3");
    two.settle();
    const { id } = item(two.a, "d/e");
    deselect(two.a, "d");
    two.a.rules.set(textOf(id), { id, selected: true });
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/e": "/", "d/e/f": "3", y: "2" });
    // Also what is made in a folder that is only on the way.
    file(two.a, "d/own", "4");
    expect(two.plan(two.a).steps).toMatchObject([{ do: "create", select: true }]);
    two.settle();
    expect(Object.keys(two.a.disk.tree())).toContain("d/own");
    remove(two.a, "d");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "2" });
    expect(two.a.disk.tree()).toEqual({ y: "2" });
  });

  test("[PLN13] what moves into a folder that is not selected leaves, unless it was moved there here", () => {
    const two = agreed();
    dir(two.a, "e");
    file(two.a, "z", "3");
    two.settle();
    deselect(two.a, "d");
    two.settle();
    move(two.b, "y", "d/y");
    dir(two.a, "d");
    move(two.a, "z", "d/z");
    expect(two.plan(two.a).steps).toContainEqual(expect.objectContaining({ do: "move", select: true }));
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/z": "3", e: "/" });
    move(two.b, "d/x", "e/x");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/z": "3", e: "/", "e/x": "1" });
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/y": "2", "d/z": "3", e: "/", "e/x": "1" });
  });

  test("[PLN13] rules are on ids: a folder that is renamed elsewhere stays away, one of its name comes", () => {
    const two = agreed();
    deselect(two.a, "d");
    two.settle();
    move(two.b, "d", "renamed");
    dir(two.b, "d");
    file(two.b, "d/new", "3");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/new": "3", y: "2" });
  });

  test("[PLN13] who works on something that is selected by itself sees what lost against it", () => {
    const two = agreed();
    deselect(two.a, "d");
    two.settle();
    dir(two.a, "d");
    file(two.a, "d/own", "first");
    two.settle();
    file(two.b, "d/own", "theirs");
    heard(two);
    file(two.a, "d/own", "ours");
    two.settle();
    const own = { "d/own": "theirs", "d/own (D1 conflict 2026-11-20)": "ours" };
    expect(two.a.disk.tree()).toEqual({ d: "/", ...own, y: "2" });
    expect(two.b.disk.tree()).toEqual({ d: "/", ...own, "d/x": "1", y: "2" });
  });

  test("[PLN13] folders that are made on the way to a thing bring nothing else of what the vault has in them", () => {
    const two = agreed();
    dir(two.a, "d/e");
    file(two.a, "d/e/f", "3");
    two.settle();
    deselect(two.a, "d");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ y: "2" });
    for (const path of ["d", "d/e", "d/e/made"]) dir(two.a, path);
    expect(two.plan(two.a).steps).toMatchObject([{ do: "mkdir", name: "made", select: true }]);
    file(two.a, "d/e/own", "4");
    file(two.a, "d/e/made/own", "5");
    two.settle();
    const own = { d: "/", "d/e": "/", "d/e/made": "/", "d/e/made/own": "5", "d/e/own": "4", y: "2" };
    expect(two.a.disk.tree()).toEqual(own);
    expect(two.b.disk.tree()).toEqual({ ...own, "d/e/f": "3", "d/x": "1" });
  });

  test("[PLN13] where nothing is selected but what was named, what is made at the top is", () => {
    const two = agreed();
    two.a.rules.set("", { id: ROOT, selected: false });
    two.settle();
    expect(two.a.disk.tree()).toEqual({});
    file(two.a, "own", "3");
    two.settle();
    file(two.b, "theirs", "4");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ own: "3" });
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", own: "3", theirs: "4", y: "2" });
  });

  test("[PLN13] what was made here and became one with what others made is still selected", () => {
    const two = agreed();
    deselect(two.a, "d");
    two.settle();
    dir(two.a, "d");
    dir(two.a, "d/both");
    file(two.a, "d/both/a", "3");
    dir(two.b, "d/both");
    file(two.b, "d/both/b", "4");
    two.pass(two.b);
    two.place(two.b);
    two.settle();
    expect(two.a.disk.tree()).toEqual({ d: "/", "d/both": "/", "d/both/a": "3", "d/both/b": "4", y: "2" });
  });

  test("[PLN6] what becomes ignored is deleted nowhere", () => {
    const two = agreed();
    two.a.isIgnored = (name) => name === "y";
    two.settle();
    expect(two.a.rows.size).toBe(2);
    for (const { disk } of [two.a, two.b]) expect(disk.tree()["y"]).toBe("2");
  });

  test("[PLN6] what could not be read, or is being written, is not gone", () => {
    const two = agreed();
    const entries = two.a.scan();
    const closed = entries
      .filter(({ parent }) => parent === 0)
      .map((entry) => ({
        ...entry,
        apart: entry.kind === "dir" ? ("closed" as const) : ("unsettled" as const),
      }));
    expect(two.a.plan(closed)).toEqual({ steps: [], issues: [] });
  });
});

describe("names that change hands", () => {
  test("[PLN5] two files change places: two writes", () => {
    const two = agreed();
    file(two.a, "z", "3");
    two.settle();
    move(two.a, "y", "t");
    move(two.a, "z", "y");
    move(two.a, "t", "z");
    expect(two.pass(two.a)).toEqual(["write", "write"]);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", y: "3", z: "2" });
  });

  test("[PLN5] two folders change places: one steps aside, in the log and on the disk", () => {
    const two = agreed();
    dir(two.a, "e");
    file(two.a, "e/x", "other");
    two.settle();
    move(two.a, "d", "t");
    move(two.a, "e", "d");
    move(two.a, "t", "e");
    expect(two.pass(two.a)).toEqual(["move", "move", "move"]);
    heard(two);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "other", e: "/", "e/x": "1", y: "2" });
    expect(two.a.disk.tree()).toEqual(two.b.disk.tree());
  });

  test("[PLN5] a row of folders moves up by one: as many moves as folders", () => {
    const two = new Two();
    for (const n of [1, 2, 3]) file(two.a, `${dir(two.a, `log${n}`) && `log${n}/f`}`, `${n}`);
    two.settle();
    for (const n of [3, 2, 1]) move(two.a, `log${n}`, `log${n + 1}`);
    expect(two.pass(two.a)).toEqual(["move", "move", "move"]);
    two.settle();
    expect(two.b.disk.tree()["log4/f"]).toBe("3");
    expect(two.b.disk.tree()["log1"]).toBeUndefined();
  });

  test("[PLN5] a folder into what was in it", () => {
    const two = agreed();
    dir(two.a, "d/e");
    two.settle();
    move(two.a, "d/e", "e");
    move(two.a, "d", "e/d");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ e: "/", "e/d": "/", "e/d/x": "1", y: "2" });
  });

  test("[PLN5] Y-28 another case of the same letters, also where the disk takes them for one", () => {
    for (const profile of [profiles.ext4, profiles.apfs, profiles.ntfs]) {
      const two = new Two(profiles.ext4, profile);
      file(two.a, "readme", "1");
      two.settle();
      move(two.a, "readme", "README");
      two.settle();
      expect(two.b.disk.tree()).toEqual({ README: "1" });
    }
  });

  test("[PLN5] a folder made here where one was renamed to there: one folder, with all of both", () => {
    const two = agreed();
    move(two.b, "d", "n");
    dir(two.a, "n");
    file(two.a, "n/own", "3");
    heard(two);
    two.settle();
    expect(two.a.disk.tree()).toEqual({ n: "/", "n/own": "3", "n/x": "1", y: "2" });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN5] a folder moved here into one that takes the name it was given there", () => {
    const two = agreed();
    move(two.b, "d", "n");
    dir(two.a, "n");
    move(two.a, "d", "n/d");
    heard(two);
    two.settle();
    expect(two.a.disk.tree()).toEqual({ n: "/", "n/x": "1", y: "2" });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN5] something new here, of the name of what was changed there and is gone here: both", () => {
    const two = agreed();
    file(two.b, "y", "theirs");
    heard(two);
    remove(two.a, "y");
    dir(two.a, "y");
    two.settle();
    expect(two.a.disk.tree()).toMatchObject({ y: "theirs", "y (D1 conflict 2026-11-20)": "/" });
    expect(two.b.disk.tree()).toEqual(two.a.disk.tree());
  });

  test("[PLN5] deep trees need no deep calls", () => {
    const two = new Two();
    let folder = two.a.disk.top;
    for (let i = 0; i < 2000; i++) folder = two.a.disk.make(folder, "d", "dir");
    const { steps } = two.plan(two.a);
    expect(steps).toHaveLength(2000);
  });
});

describe("what wants a person", () => {
  function many(): Two {
    const two = new Two();
    dir(two.a, "d");
    for (let i = 0; i < 101; i++) file(two.a, `d/${i}`, `${i}`);
    file(two.a, "y", "stays");
    two.settle();
    return two;
  }

  test("[PLN7] M-68 many deletions here wait, everything else goes on, and both answers work", () => {
    const two = many();
    remove(two.a, "d");
    file(two.a, "y", "goes on");
    const { steps, issues } = two.plan(two.a);
    expect(steps.map((step) => step.do)).toEqual(["write"]);
    expect(issues).toEqual([{ kind: "guard-deletion", direction: "up", count: 102, of: 103 }]);
    two.settle();
    expect(Object.keys(two.b.disk.tree())).toHaveLength(103);
    // Yes: they go.
    two.a.approved = ["up"];
    two.b.approved = ["down"];
    two.settle();
    expect(two.b.disk.tree()).toEqual({ y: "goes on" });
    // No: their rows are dropped, and they come back.
    const other = many();
    remove(other.a, "d");
    other.a.rows.clear();
    other.settle();
    expect(Object.keys(other.a.disk.tree())).toHaveLength(103);
  });

  test("[PLN7] M-68 many deletions from elsewhere wait as well", () => {
    const two = many();
    remove(two.b, "d");
    two.b.approved = ["up"];
    heard(two);
    file(two.b, "y", "goes on");
    heard(two);
    const { issues } = two.plan(two.a);
    expect(issues).toEqual([{ kind: "guard-deletion", direction: "down", count: 102, of: 103 }]);
    two.settle();
    expect(two.a.disk.tree()["y"]).toBe("goes on");
    expect(Object.keys(two.a.disk.tree())).toHaveLength(103);
    two.a.approved = ["down"];
    two.settle();
    expect(two.a.disk.tree()).toEqual({ y: "goes on" });
  });

  test("[PLN7] a hundred are not asked for; a view without anything is", () => {
    const two = many();
    remove(two.a, "d/0");
    remove(two.a, "d/1");
    two.settle();
    for (let i = 2; i < 101; i++) remove(two.a, `d/${i}`);
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", y: "stays" });
    remove(two.b, "d");
    remove(two.b, "y");
    heard(two);
    expect(two.plan(two.a).issues).toMatchObject([{ kind: "guard-deletion", direction: "down" }]);
  });

  test("[PLN8] of two names that are one the second is left alone, and what is no text", () => {
    const two = agreed();
    file(two.a, "Y", "twin");
    two.a.disk.make(two.a.disk.top, Uint8Array.of(0xff), "dir");
    two.a.disk.make(two.a.disk.top, Uint8Array.of(0xfe), "special");
    two.a.disk.make(two.a.disk.top, "pipe", "special");
    const { steps, issues } = two.plan(two.a);
    expect(steps).toEqual([]);
    expect(issues.map(({ kind }) => kind).sort()).toEqual([
      "name-clash",
      "name-not-text",
      "name-not-text",
      "special-file",
    ]);
    remove(two.b, "y");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", Y: "twin" });
  });
});

describe("what a disk cannot hold", () => {
  test("[PLN9] Y-28 names that Windows does not take are spelled another way, and come back as they were", () => {
    const two = new Two(profiles.ext4, profiles.ntfs);
    for (const name of ["a:b", "q?%", "con", "Com1.txt", "dot.", "n".repeat(255)]) file(two.a, name, name);
    two.settle();
    expect(Object.keys(two.b.disk.tree()).sort()).toEqual(
      ["%43om1.txt", "%63on", "a%3Ab", "dot%2E", "n".repeat(255), "q%3F%25"].sort(),
    );
    expect(two.plan(two.b).issues.map(({ kind }) => kind)).toEqual(Array(5).fill("name-spelled"));
    dir(two.b, "d");
    move(two.b, "a%3Ab", "d/a%3Ab");
    file(two.b, "%63on", "edited");
    two.settle();
    const { "d/a:b": moved, con } = two.a.disk.tree();
    expect([moved, con]).toEqual(["a:b", "edited"]);
  });

  test("[PLN9] a spelling that somebody has is told apart by the id; a name that looks like one is a name", () => {
    const two = new Two(profiles.ext4, profiles.ntfs);
    file(two.a, "a%3Ab", "real");
    file(two.a, "a:b", "spelled");
    two.settle();
    const names = Object.entries(two.b.disk.tree());
    expect(names.find(([, text]) => text === "real")?.[0]).toBe("a%3Ab");
    expect(names.find(([, text]) => text === "spelled")?.[0]).toMatch(/^a%3Ab~[0-9a-f]{8}$/);
    two.b.rows.clear();
    two.settle();
    expect(Object.keys(two.a.disk.tree()).sort()).toEqual(["a%3Ab", "a:b"]);
  });

  test("[PLN9] Y-28 a decomposed name stays as it is on its disk, and is one name everywhere", () => {
    const two = new Two(profiles.hfs, profiles.ext4);
    file(two.a, "é", "1");
    two.settle();
    expect([...two.b.disk.top.kids.keys()]).toEqual(["\u00e9"]);
    file(two.b, "é", "2");
    two.settle();
    expect(two.a.disk.tree()).toEqual({ é: "2" });
    expect(two.pass(two.a)).toEqual([]);
  });

  test("[PLN10] links that stay inside are made, others are said; none leads out later", () => {
    const two = agreed();
    two.a.disk.make(two.a.disk.top, "in", "link", "d/x");
    two.a.disk.make(two.a.disk.top, "out", "link", "../x");
    two.a.disk.make(two.a.disk.top, "abs", "link", "/etc");
    two.a.disk.make(thing(two.a, "d"), "up", "link", "../y");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", "d/up": "-> ../y", in: "-> d/x", y: "2" });
    expect(two.plan(two.b).issues.map(({ kind }) => kind)).toEqual(["link-not-created", "link-not-created"]);
    move(two.a, "d/up", "up");
    two.settle();
    expect(two.b.disk.tree()).toEqual({ d: "/", "d/x": "1", in: "-> d/x", y: "2" });
    expect(two.a.disk.tree()["up"]).toBe("-> ../y");
  });
});

describe("the first time", () => {
  test("[PLN11] M-69 two folders that know nothing of each other become one with all of both", () => {
    const two = new Two();
    for (const device of [two.a, two.b]) {
      dir(device, "d");
      file(device, "d/same", "same");
      file(device, "d/differs", `of ${device.index}`);
      file(device, `only${device.index}`, "1");
    }
    two.settle();
    const tree = {
      d: "/",
      "d/same": "same",
      "d/differs": "of 1",
      "d/differs (D2 conflict 2026-11-20)": "of 2",
      only1: "1",
      only2: "1",
    };
    expect(two.a.disk.tree()).toEqual(tree);
    expect(two.b.disk.tree()).toEqual(tree);
  });

  test("[PLN11] rows that are lost delete nothing", () => {
    const two = agreed();
    two.a.rows.clear();
    remove(two.a, "y");
    file(two.a, "d/x", "other");
    two.settle();
    expect(two.a.disk.tree()).toEqual({
      d: "/",
      "d/x": "1",
      "d/x (D1 conflict 2026-11-20)": "other",
      y: "2",
    });
  });

  test("[PLN3] M-27 what came from elsewhere is not sent again", () => {
    const two = agreed();
    const sent = two.b.waiting.length;
    file(two.a, "d/x", "new");
    move(two.a, "y", "d/y");
    two.settle();
    expect(two.b.waiting.length).toBe(sent);
    expect(two.plan(two.b).steps).toEqual([]);
  });
});

describe("what a plan is", () => {
  test("[PLN1] the order of the scan and of the rows does not matter", () => {
    const two = agreed();
    move(two.a, "d", "e");
    file(two.a, "e/new", "3");
    file(two.a, "y", "changed");
    const entries = two.a.scan();
    const plain = two.a.plan(entries);
    two.a.author.base = 0;
    const shuffled = two.a.plan([...entries].reverse());
    expect(shuffled.steps.map(({ do: what }) => what)).toEqual(plain.steps.map(({ do: what }) => what));
  });

  test("[PLN1] a step that no longer holds is left out, and planned again", () => {
    const two = agreed();
    file(two.b, "y", "theirs");
    heard(two);
    two.a.pass(1001, { meanwhile: () => file(two.a, "y", "just now") });
    expect(two.a.disk.tree()["y"]).toBe("just now");
    two.settle();
    expect(two.b.disk.tree()).toMatchObject({ y: "theirs", "y (D1 conflict 2026-11-20)": "just now" });
  });
});
