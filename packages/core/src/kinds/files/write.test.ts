/** Where new content goes. */
import { describe, expect, test } from "vitest";
import { fastSuite, idOf, made, op, Scene } from "../../../../../test/reference/files-kit.ts";
import { withCtx } from "../../crypto/labels.ts";
import type { FileChange, Op } from "./types.ts";

const COPY = "f (D2 conflict 2026-11-20)";

describe("a write that lost", () => {
  test("[FIL9, FIL11] keeps its item from a delete that had not seen it, whichever came first", () => {
    for (const first of ["write", "delete"]) {
      const s = new Scene();
      s.say(1, (a) => a.create("f", "old"));
      const old = s.at("f");
      s.say(1, (a) => a.write(old, "one"));
      const write = () => s.say(2, (a) => a.write(old, "two"), 1);
      const remove = () => s.say(1, (a) => a.delete(old), 2);
      const outcomes = (first === "write" ? [write, remove] : [remove, write]).map((step) => step().kind);
      expect(outcomes).toContain("copy");
      expect(s.replica.tree()).toEqual({ f: "one", [COPY]: "two" });
      // Both are there to choose from.
      const [entry] = s.replica.tx((tx) => s.replica.kind.conflicts(tx, { open: true }));
      s.say(3, (a) => a.settle(entry as never, "use-other", s.at("f"), s.at(COPY)));
      expect(s.replica.tree()).toEqual({ f: "two" });
    }
  });

  test("[FIL9] can be run if what it lost against can", () => {
    const s = new Scene();
    s.say(1, (a) => a.create("f", "old"));
    const old = s.at("f");
    s.say(1, (a) => ({ do: "meta", ...a.said(), id: old.id, set: { key: "executable", value: true } }));
    s.say(1, (a) => a.write(old, "one"));
    s.say(2, (a) => a.write(old, "two"), 1);
    expect(s.at(COPY).executable).toBe(true);
  });

  test("[FIL5, FIL9] makes nothing where its copy would be something that is there", () => {
    const s = made();
    const mine = s.author(2).write({ ...s.at("d", "g"), id: idOf(op(50)), rev: op(51) }, "x");
    const taken = fastSuite.sha256(withCtx("tl1/copy", mine.op)).slice(0, 16) as Op;
    s.say(2, (a) => ({ ...a.mkdir("z"), op: taken }));
    const before = s.replica.tree();
    expect(s.say(2, () => mine)).toEqual({ kind: "void", reason: "bad" });
    expect(s.replica.tree()).toEqual(before);
  });
});

test("[FIL8, FIL9, FIL11] a write of what stood there already keeps it from a delete that had not seen it", () => {
  const s = new Scene();
  s.say(1, (a) => a.create("f", "old"));
  const old = s.at("f");
  s.say(1, (a) => a.write(old, "one"));
  expect(s.say(2, (a) => a.write(old, "one"), 1)).toEqual({ kind: "same" });
  expect(s.say(1, (a) => a.delete(s.at("f")), 2)).toEqual({ kind: "void", reason: "touched" });
});

test("[FIL9, FIL13] a copy that was settled away and restored takes its own writes", () => {
  const s = new Scene();
  s.say(1, (a) => a.create("f", "old"));
  const old = s.at("f");
  s.say(1, (a) => a.write(old, "one"));
  s.say(2, (a) => a.write(old, "two"), 1);
  const copy = s.at(COPY);
  const [entry] = s.replica.tx((tx) => s.replica.kind.conflicts(tx, { open: true }));
  s.say(1, (a) => a.settle(entry as never, "use-other", s.at("f"), copy));
  s.say(1, (a) => a.restore(copy));
  expect(s.say(1, (a) => a.write(copy, "three"))).toEqual({ kind: "ok" });
  expect(s.replica.tree()).toEqual({ f: "two", [COPY]: "three" });
});

test("[FIL14] what a device wrote twice before it was sent is all in the history it shows", () => {
  const s = new Scene();
  s.say(1, (a) => a.create("f", "old"));
  const author = s.author(1);
  const first = author.write(s.at("f"), "one");
  s.replica.hold(1, { device: 1, changes: [first] });
  const second: FileChange = author.write({ ...s.at("f"), rev: first.op }, "two");
  s.replica.hold(2, { device: 1, changes: [second] });
  const kept = (): number[] =>
    s.replica.tx((tx) => s.replica.kind.history(tx, s.at("f").id)).map(({ content }) => content.size);
  expect(kept()).toEqual([3, 3]);
  s.say(2, (a) => a.mkdir("d"));
  expect(kept()).toEqual([3, 3]);
});
