/** What lives, dies and comes back together, and what one change is another name of. */
import { describe, expect, test } from "vitest";
import { type Author, idOf, made, op, Scene } from "../../../../../test/reference/files-kit.ts";
import { RECOVERED, ROOT } from "./names.ts";
import type { FileChange, Item, ItemId } from "./types.ts";

describe("what was made twice", () => {
  test("[FIL5] a folder made by two is one, under both names, for what is put into it, moved and removed", () => {
    const s = new Scene();
    s.say(1, (a) => a.mkdir("d"));
    let other = op(0);
    expect(s.say(2, (a) => note(a.mkdir("D")), 0)).toEqual({ kind: "same" });
    function note(change: FileChange): FileChange {
      other = change.op;
      return change;
    }
    s.say(2, (a) => a.create("f", "x", idOf(other)), 0);
    expect(s.replica.tree()).toEqual({ d: "/", "d/f": "x" });
    // The place that the second named is the folder's place too.
    const seen = { ...s.at("d"), id: idOf(other), place: other };
    expect(s.say(2, (a) => a.move(seen, "e"), 1)).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({ e: "/", "e/f": "x" });
  });

  test("[FIL5, FIL9] who made an equal file goes on writing to it", () => {
    const s = new Scene();
    s.say(1, (a) => a.create("f", "x"));
    let mine = s.at("f");
    s.say(
      2,
      (a) => {
        const change = a.create("f", "x");
        mine = { ...mine, id: idOf(change.op), rev: change.op };
        return change;
      },
      0,
    );
    expect(s.say(2, (a) => a.write(mine, "y"), 0)).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({ f: "y" });
  });

  test("[FIL9] a write of what already stands there counts as the same revision", () => {
    const s = new Scene();
    s.say(1, (a) => a.create("f", "x"));
    const before = s.at("f");
    s.say(1, (a) => a.write(before, "y"));
    let same = before;
    const outcome = s.say(
      2,
      (a) => {
        const change = a.write(before, "y");
        same = { ...before, rev: change.op };
        return change;
      },
      1,
    );
    expect(outcome).toEqual({ kind: "same" });
    expect(s.say(2, (a) => a.write(same, "z"), 1)).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({ f: "z" });
  });

  test("[FIL10] a move to where it is counts as the same place", () => {
    const s = made();
    const g = s.at("d", "g");
    const seen = s.seq;
    s.say(1, (a) => a.move(g, "g"));
    let place = g.place;
    const outcome = s.say(
      2,
      (a) => {
        const change = a.move(g, "g");
        place = change.op;
        return change;
      },
      seen,
    );
    expect(outcome).toEqual({ kind: "same" });
    expect(s.say(2, (a) => a.move({ ...g, place }, "h"), seen)).toEqual({ kind: "ok" });
    expect(Object.keys(s.replica.tree())).toContain("h");
  });

  test("[FIL5] an op that was used makes nothing", () => {
    const s = made();
    const again: FileChange = { ...s.author(1).mkdir("z"), op: s.at("d").id as Uint8Array as Item["rev"] };
    expect(s.say(1, () => again)).toEqual({ kind: "void", reason: "bad" });
    for (const name of ["", "..", "a/b"])
      expect(s.say(1, (a) => a.mkdir(name))).toEqual({ kind: "void", reason: "bad" });
  });

  test("[FIL5] nothing is made under an id that every tree has, or under the op of what was told", () => {
    const s = made();
    const before = s.replica.tree();
    const last = (n: number): Item["rev"] => Uint8Array.of(...new Uint8Array(15), n) as Item["rev"];
    for (const reserved of [ROOT as Uint8Array as Item["rev"], last(1), last(2)])
      expect(s.say(1, (a) => ({ ...a.mkdir("z"), op: reserved }))).toEqual({ kind: "void", reason: "bad" });
    const stale: FileChange = { ...s.author(1).move(s.at("d", "g"), "h"), place: op(99) } as FileChange;
    expect(s.say(1, () => stale)).toEqual({ kind: "void", reason: "moved" });
    expect(s.say(1, (a) => ({ ...a.delete(s.at("d", "g")), op: stale.op }))).toEqual({
      kind: "void",
      reason: "bad",
    });
    expect(s.replica.tree()).toEqual(before);
  });
});

describe("content", () => {
  test("[CNT5, FIL5, FIL9] M-16 what names a chunk that nobody stored is void, and waits for nothing", () => {
    const s = made();
    const hash = new Uint8Array(32).fill(1);
    const content = { size: 10, hash, body: { kind: "chunks", addresses: [hash] } } as const;
    const create = (a: Author): FileChange => ({
      ...(a.create("n", "") as FileChange & { do: "create" }),
      content,
    });
    const write = (a: Author): FileChange => ({
      ...(a.write(s.at("d", "g"), "") as FileChange & { do: "write" }),
      content,
    });
    const before = s.replica.tree();
    for (const make of [create, write]) expect(s.say(1, make)).toEqual({ kind: "void", reason: "content" });
    expect(s.replica.tree()).toEqual(before);
    // Whoever wrote it sees it: it is here.
    s.replica.hold(1, { device: 1, changes: [create(s.author(1))] });
    expect(Object.keys(s.replica.tree())).toContain("n");
  });
});

describe("what has to live", () => {
  test("[FIL6] brings its folders back, empty, and under free names where theirs are taken", () => {
    const s = made();
    const [d, e, seen] = [s.at("d"), s.at("d", "e"), s.seq];
    s.say(1, (a) => a.delete(d));
    s.say(1, (a) => a.create("d", "in its place"));
    expect(s.say(2, (a) => a.create("new", "x", e.id), seen)).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({
      d: "in its place",
      "d (D2 conflict 2026-11-20)": "/",
      "d (D2 conflict 2026-11-20)/e": "/",
      "d (D2 conflict 2026-11-20)/e/new": "x",
    });
  });

  test("[FIL6] goes into /Recovered where its folder is unknown or is none, and a write to nothing too", () => {
    const s = made();
    const nowhere = idOf(op(77));
    s.say(2, (a) => a.create("a", "x", nowhere));
    s.say(2, (a) => a.create("b", "y", s.at("d", "g").id));
    const unknown = { ...s.at("d", "g"), id: nowhere, rev: op(78) };
    expect(s.say(2, (a) => a.write(unknown, "z"))).toMatchObject({ kind: "copy" });
    const { tree } = { tree: s.replica.tree() };
    expect(tree).toMatchObject({ "Recovered/a": "x", "Recovered/b": "y", "Recovered/unknown": "z" });
    // It is an ordinary folder: gone, it comes back under the root.
    s.say(1, (a) => a.delete(s.replica.item(RECOVERED) as Item));
    s.say(2, (a) => a.create("c", "w", nowhere));
    expect(Object.keys(s.replica.tree()).filter((path) => path.startsWith("Recovered"))).toEqual([
      "Recovered",
      "Recovered/c",
    ]);
  });

  test("[FIL6, FIL10, FIL15] /Recovered does not go into itself", () => {
    const s = made();
    s.say(1, (a) => a.create("a", "x", idOf(op(77))));
    const folder = s.at("Recovered");
    const nowhere = { parent: idOf(op(78)), name: "r" };
    const refused = { kind: "void", reason: "cycle" };
    expect(s.say(1, (a) => a.move(folder, nowhere.name, nowhere.parent))).toEqual(refused);
    s.say(1, (a) => a.delete(folder));
    expect(s.say(1, (a) => a.restore(folder, nowhere))).toEqual(refused);
    expect(Object.keys(s.replica.tree())).not.toContain("Recovered");
    expect(s.say(1, (a) => a.restore(folder))).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toMatchObject({ "Recovered/a": "x" });
  });

  test("[FIL10] a refused move brings nothing back", () => {
    const s = made();
    const [d, e] = [s.at("d"), s.at("d", "e")];
    s.say(1, (a) => a.delete(e));
    expect(s.say(2, (a) => a.move(d, "x", e.id))).toEqual({ kind: "void", reason: "cycle" });
    expect(s.replica.tree()).toEqual({ d: "/", "d/g": "2" });
  });
});

describe("what dies together", () => {
  test("[FIL7, FIL15] comes back together, without what was deleted before", () => {
    const s = made();
    const [d, g] = [s.at("d"), s.at("d", "g")];
    s.say(1, (a) => a.delete(g));
    s.say(1, (a) => a.delete(d));
    expect(s.replica.tree()).toEqual({});
    expect(s.say(1, (a) => a.restore(d))).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({ d: "/", "d/e": "/", "d/e/f": "1" });
    expect(s.say(1, (a) => a.restore(g, { parent: ROOT, name: "h" }))).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toMatchObject({ h: "2" });
    expect(s.say(1, (a) => a.restore(g))).toEqual({ kind: "same" });
    expect(s.say(1, (a) => a.restore({ ...g, id: idOf(op(5)) }))).toEqual({ kind: "void", reason: "gone" });
  });

  test("[FIL7, FIL10] a folder that is moved after it died is whole", () => {
    const s = made();
    const [d, seen] = [s.at("d"), s.seq];
    s.say(1, (a) => a.delete(d));
    expect(s.say(2, (a) => a.move(d, "moved"), seen)).toEqual({ kind: "ok" });
    expect(s.replica.tree()).toEqual({ moved: "/", "moved/e": "/", "moved/e/f": "1", "moved/g": "2" });
  });

  test("[FIL11] a delete stops at what was moved in unseen, with all above it", () => {
    const s = made();
    s.say(1, (a) => a.mkdir("other"));
    s.say(1, (a) => a.create("kept", "3", s.at("other").id));
    const [d, seen] = [s.at("d"), s.seq];
    s.say(1, (a) => a.move(s.at("other"), "other", s.at("d", "e").id));
    expect(s.say(2, (a) => a.delete(d), seen)).toEqual({ kind: "adjusted" });
    // What lies in it was seen, but not there.
    expect(s.replica.tree()).toEqual({ d: "/", "d/e": "/", "d/e/other": "/", "d/e/other/kept": "3" });
  });

  test("[FIL8, FIL11] what another changed since is not known, what one did oneself is", () => {
    const s = made();
    const [g, seen] = [s.at("d", "g"), s.seq];
    s.say(2, (a) => a.write(g, "by two"), seen);
    // By the first device, which has not read that.
    expect(s.say(1, (a) => a.delete(g), seen)).toEqual({ kind: "void", reason: "touched" });
    // Its own writes afterwards hide nothing of the other's.
    for (const value of ["by one", "again"]) s.say(1, (a) => a.write(s.at("d", "g"), value), seen);
    expect(s.say(1, (a) => a.delete(g), seen)).toEqual({ kind: "void", reason: "touched" });
    expect(s.say(1, (a) => a.delete(g), seen + 1)).toEqual({ kind: "ok" });
    // By its own device nothing has to be read first.
    const h = s.say(3, (a) => a.create("h", "x"), 0);
    expect(h).toEqual({ kind: "ok" });
    s.say(3, (a) => a.write(s.at("h"), "y"), 0);
    expect(s.say(3, (a) => a.delete(s.at("h")), 0)).toEqual({ kind: "ok" });
  });

  test("[FIL15] what is said of an item comes in the order of the log, and keeps it from a delete that had not seen it", () => {
    const s = made();
    const [g, seen] = [s.at("d", "g"), s.seq];
    expect(s.say(2, (a) => a.pin(g), seen)).toEqual({ kind: "ok" });
    expect(s.say(1, (a) => a.delete(g), seen)).toEqual({ kind: "void", reason: "touched" });
    s.say(1, (a) => a.delete(g));
    expect(s.say(2, (a) => a.pin(g), seen)).toEqual({ kind: "adjusted" });
    expect(s.at("d", "g").pin).toBe(true);
    s.say(1, (a) => a.delete(s.at("d", "g")));
    expect(s.say(2, (a) => a.pin(g))).toEqual({ kind: "void", reason: "gone" });
    const tag = (name: string, value: string) => (a: Author) =>
      ({ do: "meta", ...a.said(), id: s.at("d").id, set: { key: "tag", name, value } }) as FileChange;
    for (const [name, value] of [
      ["b", "2"],
      ["a", "1"],
      ["b", ""],
    ] as const)
      s.say(1, tag(name, value));
    expect([...s.at("d").tags]).toEqual([["a", "1"]]);
  });

  test("[FIL15] what is said of a folder brings back the folder alone, as if it had been said before the delete", () => {
    for (const first of ["say", "delete"]) {
      const s = made();
      const [d, seen] = [s.at("d"), s.seq];
      const say = () => s.say(2, (a) => a.pin(d), seen);
      const remove = () => s.say(1, (a) => a.delete(d), seen);
      for (const step of first === "say" ? [say, remove] : [remove, say]) step();
      expect(s.replica.tree()).toEqual({ d: "/" });
    }
  });

  test("[FIL8, FIL15] nobody brings back what it deleted itself by saying something of it", () => {
    const s = made();
    const [g, seen] = [s.at("d", "g"), s.seq];
    s.say(1, (a) => a.delete(g), seen);
    expect(s.say(1, (a) => a.pin(g), seen)).toEqual({ kind: "void", reason: "gone" });
  });

  test("[FIL1] the root stays whatever is said of it", () => {
    const s = made();
    const root = { ...s.at("d"), id: ROOT as ItemId };
    for (const make of [
      (a: Author) => a.delete(root),
      (a: Author) => a.move(root, "x", s.at("d").id),
      (a: Author) => a.restore(root),
      (a: Author) => a.pin(root),
    ])
      expect(s.say(1, make)).toEqual({ kind: "void", reason: "gone" });
    expect(Object.keys(s.replica.tree())).toHaveLength(4);
  });
});
