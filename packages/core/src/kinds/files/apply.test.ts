/** Two devices that did not see each other's change, in both orders: what becomes of both. */
import { describe, expect, test } from "vitest";
import { Author, idOf, Replica } from "../../../../../test/reference/files-kit.ts";
import type { FileChange, Item } from "./types.ts";

interface Scene {
  readonly replica: Replica;
  readonly a: Author;
  readonly b: Author;
  /** By path. */
  readonly item: (path: string) => Item;
}

/** A folder `d` with a file `x` in it, an empty folder `e`, and a file `f`: all seen by both. */
function scene(): Scene {
  const replica = new Replica();
  const maker = new Author(0);
  const [d, e] = [maker.mkdir("d"), maker.mkdir("e")];
  const changes = [d, e, maker.create("x", "old", idOf(d.op)), maker.create("f", "old")];
  replica.apply({ seq: 1, device: 9, changes });
  const [a, b] = [new Author(100), new Author(200)];
  a.base = 1;
  b.base = 1;
  const names: Record<string, number> = { d: 0, e: 1, "d/x": 2, f: 3 };
  return {
    replica,
    a,
    b,
    item: (path) => replica.item(idOf((changes[names[path] as number] as FileChange).op)) as Item,
  };
}

type Say = (author: Author, scene: Scene) => FileChange;

const says: Readonly<Record<string, Say>> = {
  "create x": (author, { item }) => author.create("x", `by ${author.base}`, item("d").id),
  "write x": (author, { item }) => author.write(item("d/x"), "new"),
  "move x": (author, { item }) => author.move(item("d/x"), "x", item("e").id),
  "delete x": (author, { item }) => author.delete(item("d/x")),
  "delete d": (author, { item }) => author.delete(item("d")),
  "move d": (author, { item }) => author.move(item("d"), "d", item("e").id),
};

function both(first: Say, second: Say): Replica {
  const s = scene();
  const [one, two] = [first(s.a, s), second(s.b, s)];
  s.replica.apply({ seq: 2, device: 1, label: "Ann", changes: [one] });
  s.replica.apply({ seq: 3, device: 2, label: "Ben", changes: [two] });
  return s.replica;
}

const rest = { d: "/", e: "/", f: "old" };

describe("concurrent pairs", () => {
  const cases: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
    ["write x", "delete x", { ...rest, "d/x": "new" }],
    ["write x", "move x", { ...rest, "e/x": "new" }],
    ["write x", "delete d", { ...rest, "d/x": "new" }],
    ["write x", "move d", { e: "/", f: "old", "e/d": "/", "e/d/x": "new" }],
    ["write x", "write x", { ...rest, "d/x": "new" }],
    ["move x", "delete x", { ...rest, "e/x": "old" }],
    ["move x", "move x", { ...rest, "e/x": "old" }],
    ["move x", "delete d", { e: "/", f: "old", "e/x": "old" }],
    ["move x", "move d", { e: "/", f: "old", "e/d": "/", "e/x": "old" }],
    ["delete x", "delete x", rest],
    ["delete x", "delete d", { e: "/", f: "old" }],
    ["delete x", "move d", { e: "/", f: "old", "e/d": "/" }],
    ["delete d", "move d", { e: "/", f: "old", "e/d": "/", "e/d/x": "old" }],
    ["delete d", "delete d", { e: "/", f: "old" }],
  ];
  for (const [one, two, tree] of cases)
    test(`[FIL9, FIL10, FIL11] Y-9: ${one}, ${two}: the same tree in both orders`, () => {
      const orders = [
        [one, two],
        [two, one],
      ] as const;
      for (const [first, second] of orders) {
        expect(both(says[first] as Say, says[second] as Say).tree()).toEqual(tree);
      }
    });
});
