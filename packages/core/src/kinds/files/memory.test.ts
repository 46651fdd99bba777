import { expect, test } from "vitest";
import { Author, idOf, Replica } from "../../../../../test/reference/files-kit.ts";
import { spaces } from "./spaces.ts";
import type { FileChange } from "./types.ts";

function made(): { replica: Replica; author: Author; file: ReturnType<Author["create"]> } {
  const [replica, author] = [new Replica(), new Author(0)];
  const file = author.create("a", "first");
  replica.apply({ seq: 1, device: 1, changes: [file] });
  return { replica, author, file };
}

test("[ENG1] what a transaction remembered that was undone is not shown", () => {
  const { replica, author, file } = made();
  const item = replica.item(idOf(file.op));
  if (item === undefined) throw new Error("no item");
  const undone = (): void =>
    void replica.store.transaction(() => {
      replica.apply({ seq: 2, device: 1, changes: [author.move(item, "b")] });
      expect(replica.item(item.id)?.name).toBe("b");
      throw new Error("undone");
    });
  const { digest } = replica;
  for (let i = 0; i < 2; i++) {
    expect(undone).toThrow("undone");
    replica.digest = digest;
    expect(replica.item(item.id)?.name).toBe("a");
  }
  author.base = 1;
  replica.apply({ seq: 2, device: 1, changes: [author.move(item, "c")] });
  expect(replica.tree()).toEqual({ c: "first" });
});

test("[ENG1] what was emptied for a replay is not remembered", () => {
  const { replica, file } = made();
  expect(replica.item(idOf(file.op))?.name).toBe("a");
  const emptied = (): void => {
    for (const { name, kept } of spaces)
      if (kept !== true)
        for (const [key] of replica.store.scan(name, new Uint8Array(0), undefined))
          replica.store.delete(name, key);
    replica.digest = 0n;
  };
  const { digest } = replica;
  // Undone after as many steps as there were before.
  const undone = (): void =>
    void replica.store.transaction(() => {
      emptied();
      replica.apply({ seq: 1, device: 1, changes: [{ ...file, name: "b" } as FileChange] });
      throw new Error("undone");
    });
  expect(undone).toThrow("undone");
  replica.digest = digest;
  expect(replica.item(idOf(file.op))?.name).toBe("a");
  emptied();
  expect(replica.item(idOf(file.op))).toBeUndefined();
});
