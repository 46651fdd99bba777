/** What did not go as it was meant, and how a person ends it. */
import { describe, expect, test } from "vitest";
import { Author, idOf, made, op, Replica } from "../../../../../test/reference/files-kit.ts";
import { ROOT } from "./names.ts";
import type { Entry, FileChange, Item, Pick } from "./types.ts";

interface Scene {
  readonly replica: Replica;
  readonly author: Author;
  readonly original: Item;
  readonly copy: Item;
  readonly entry: Entry;
  /** The next place in the log, of an author who has seen everything. */
  readonly say: (change: FileChange) => void;
}

/** A file that two devices wrote to at once. */
function scene(): Scene {
  const replica = new Replica();
  const author = new Author(0);
  const made = author.create("a.txt", "old");
  replica.apply({ seq: 1, device: 0, changes: [made] });
  const item = replica.item(idOf(made.op)) as Item;
  const [one, two] = [new Author(100), new Author(200)];
  one.base = two.base = 1;
  replica.apply({ seq: 2, device: 1, changes: [one.write(item, "one")] });
  replica.apply({ seq: 3, device: 2, label: "Ben", changes: [two.write(item, "two")] });
  const [entry] = replica.tx((tx) => replica.kind.conflicts(tx, { open: true })) as [Entry];
  let seq = 3;
  author.base = 3;
  return {
    replica,
    author,
    entry,
    original: replica.item(entry.item) as Item,
    copy: replica.item(entry.sides?.copy as Item["id"]) as Item,
    say: (change) => {
      replica.apply({ seq: ++seq, device: 0, changes: [change] });
      author.base = seq;
    },
  };
}

function settle({ author, entry, original, copy }: Scene, pick: Pick): FileChange {
  return author.settle(entry, pick, original, copy);
}

const copyName = "a (Ben conflict 2026-11-20).txt";

describe("conflicts", () => {
  test("[FIL9, FIL12] the first keeps the file, the second is a copy beside it, and both are named", () => {
    const { replica, entry, original, copy } = scene();
    expect(replica.tree()).toEqual({ "a.txt": "one", [copyName]: "two" });
    expect(entry).toMatchObject({
      why: "write",
      by: { device: 2 },
      sides: { other: { device: 1 }, size: 3, otherSize: 3, ended: undefined },
    });
    expect(copy.copyOf?.item).toEqual(original.id);
  });

  const ends: readonly (readonly [Pick, Readonly<Record<string, string>>])[] = [
    ["keep-current", { "a.txt": "one" }],
    ["use-other", { "a.txt": "two" }],
    ["keep-both", { "a.txt": "one", [copyName]: "two" }],
  ];
  for (const [pick, tree] of ends)
    test(`[FIL13] settled by ${pick}, once, and nothing is lost`, () => {
      const s = scene();
      s.say(settle(s, pick));
      expect(s.replica.outcomes).toEqual([{ kind: "ok" }]);
      expect(s.replica.tree()).toEqual(tree);
      expect(s.replica.open()).toBe(0);
      expect(s.replica.item(s.copy.id)?.copyOf).toBeUndefined();
      s.say(settle(s, "keep-current"));
      expect(s.replica.outcomes).toEqual([{ kind: "void", reason: "settled" }]);
      const kept = s.replica.tx((tx) => s.replica.kind.history(tx, s.original.id)).map((v) => v.content.size);
      expect(kept).toEqual(pick === "use-other" ? [3, 3] : [3]);
    });

  test("[FIL9, FIL13] who wrote what then stood there anyway has seen that revision", () => {
    const s = scene();
    const before = s.author.write(s.original, "newer");
    const same = s.author.write(s.original, "newer");
    s.say(before);
    s.say(same);
    s.say(s.author.settle(s.entry, "use-other", { ...s.original, rev: same.op }, s.copy));
    expect(s.replica.outcomes).toEqual([{ kind: "ok" }]);
    expect(s.replica.tree()).toEqual({ "a.txt": "two" });
  });

  test("[FIL13] what has moved on since a person looked stays open", () => {
    const s = scene();
    const seen = settle(s, "use-other");
    s.say(s.author.write(s.original, "newer"));
    s.say(seen);
    expect(s.replica.outcomes).toEqual([{ kind: "void", reason: "touched" }]);
    expect(s.replica.tree()).toEqual({ "a.txt": "newer", [copyName]: "two" });
    expect(s.replica.open()).toBe(1);
  });

  test("[FIL9, FIL13] who goes on from the copy that was taken goes on with the file", () => {
    const s = scene();
    const later = s.author.write(s.copy, "three");
    s.say(settle(s, "use-other"));
    s.say(later);
    expect(s.replica.tree()).toEqual({ "a.txt": "three" });
    expect(s.replica.open()).toBe(0);
  });

  const goneOn: readonly (readonly [string, (s: Scene) => FileChange, number])[] = [
    ["writing the copy", (s) => s.author.write(s.copy, "more"), 0],
    ["moving the copy", (s) => s.author.move(s.copy, "b.txt"), 0],
    ["deleting the copy", (s) => s.author.delete(s.copy), 0],
    ["deleting the original", (s) => s.author.delete(s.original), 0],
    ["writing the original", (s) => s.author.write(s.original, "more"), 1],
    ["moving the original", (s) => s.author.move(s.original, "b.txt"), 1],
  ];
  for (const [what, change, open] of goneOn)
    test(`[FIL12] ${what} ${open === 0 ? "ends it" : "does not"}`, () => {
      const s = scene();
      s.say(change(s));
      expect(s.replica.open()).toBe(open);
    });

  test("[FIL12] two files of one name that were made at once; equal ones are one file", () => {
    const replica = new Replica();
    const [one, two, three] = [new Author(0), new Author(100), new Author(200)];
    replica.apply({ seq: 1, device: 1, changes: [one.create("a", "x")] });
    replica.apply({ seq: 2, device: 2, changes: [two.create("A", "x")] });
    expect(replica.outcomes).toEqual([{ kind: "same" }]);
    expect(replica.open()).toBe(0);
    replica.apply({ seq: 3, device: 3, label: "Cleo", changes: [three.create("a", "y")] });
    expect(replica.outcomes[0]?.kind).toBe("copy");
    expect(replica.tree()).toEqual({ a: "x", "a (Cleo conflict 2026-11-20)": "y" });
    expect(replica.open()).toBe(1);
  });
});

describe("notices", () => {
  test("[FIL12] are told, and open nothing", () => {
    const { replica, author, original, say } = scene();
    const reasons = (): readonly string[] =>
      replica
        .tx((tx) => replica.kind.conflicts(tx, { open: false }))
        .filter((entry) => entry.sides === undefined)
        .map((entry) => entry.why);
    const stale = new Author(300);
    stale.base = 1;
    const late = { ...stale.move(original, "c"), place: author.said().op };
    say(late);
    say(author.mkdir("d"));
    say({ ...author.mkdir("A.txt") });
    replica.apply({ seq: 50, device: 3, changes: [stale.delete(original)] });
    expect(reasons()).toEqual(["moved", "renamed", "delete"]);
    expect(replica.open()).toBe(1);
  });

  test("[FIL6, FIL12] say so of whatever came to lie elsewhere than it was said", () => {
    const s = made();
    const nowhere = idOf(op(77));
    const [g, f] = [s.at("d", "g"), s.at("d", "e", "f")];
    const told = (change: FileChange): unknown => {
      const { kind } = s.say(1, () => change);
      const entry = s.replica.tx((tx) => s.replica.kind.entry(tx, change.op));
      return [kind, entry?.why];
    };
    const author = s.author(1);
    author.base = 100;
    expect(told(author.mkdir("a", nowhere))).toEqual(["adjusted", "recovered"]);
    expect(told(author.create("b", "x", nowhere))).toEqual(["adjusted", "recovered"]);
    expect(told(author.move(g, "g", nowhere))).toEqual(["adjusted", "recovered"]);
    expect(told(author.delete(f))).toEqual(["ok", undefined]);
    expect(told(author.restore(f, { parent: nowhere, name: "f" }))).toEqual(["adjusted", "recovered"]);
    expect(told(author.delete(f))).toEqual(["ok", undefined]);
    expect(told(author.restore(f, { parent: ROOT, name: "D" }))).toEqual(["adjusted", "renamed"]);
  });
});
