import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { VaultWrite } from "../store.ts";
import { type Db, openFile } from "./file.ts";
import { GroupWriter, type Job } from "./group.ts";
import type { Writes } from "./writes.ts";

let folder: string;
let db: Db;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
  db = openFile(join(folder, "server.db"));
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Counts transactions by what SQLite says at each write. */
function group(): { writer: GroupWriter; groups: number[][] } {
  const groups: number[][] = [];
  let open = false;
  const take = (n: number): void => {
    if (!open) groups.push([]);
    open = true;
    groups.at(-1)?.push(n);
    queueMicrotask(() => {
      open = false;
    });
  };
  const writes = {
    sweep: take,
    commit: (write: VaultWrite) => {
      take(write.entries.length);
      return true;
    },
  } as unknown as Writes;
  return { writer: new GroupWriter(db, writes), groups };
}

/** Resolves when it was answered. */
function add(writer: GroupWriter, what: Pick<Job, "name" | "args">, told: string[] = []): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      told.push("done");
      resolve();
    };
    writer.add({ ...what, done, failed: reject });
  });
}

const commitOf = (entries: number, size: number): Pick<Job, "name" | "args"> => ({
  name: "commit",
  args: [{ entries: Array.from({ length: entries }, () => ({ frame: new Uint8Array(size) })) }],
});

test("[SRV2] [SRV5] what came in one turn is one transaction, and nobody is told before it is committed", async () => {
  const { writer, groups } = group();
  const told: string[] = [];
  const all = Array.from({ length: 10 }, (_, n) => add(writer, { name: "sweep", args: [n] }, told));
  expect(told).toEqual([]);
  await Promise.all(all);
  expect(groups).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
  expect(told).toEqual(Array(10).fill("done"));
});

test("[SRV5] one transaction holds so many writes, rows and bytes; the rest is the next one's", async () => {
  const { writer, groups } = group();
  await Promise.all(Array.from({ length: 1_100 }, (_, n) => add(writer, { name: "sweep", args: [n] })));
  expect(groups.map((one) => one.length)).toEqual([1024, 76]);
  groups.length = 0;
  const sizes = [
    [2_000, 1],
    [2_000, 1],
    [2_000, 1],
    [10, 1 << 20],
    [10, 1 << 20],
    [40, 1 << 20],
    [1, 1],
  ] as const;
  await Promise.all(sizes.map(([entries, size]) => add(writer, commitOf(entries, size))));
  // By rows, then by bytes; one that is larger than all of it goes alone.
  expect(groups).toEqual([[2_000, 2_000], [2_000, 10], [10], [40], [1]]);
});
