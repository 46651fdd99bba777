import { existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, until } from "./cli.ts";
import { founded, type Home, joined, makeDatabase, sql } from "./homes.ts";

let cli: Cli;
let a: Home & { readonly words: string };
let b: Home;

interface Item {
  readonly id: number;
  readonly state: string;
  readonly cause: string;
  readonly summary: string;
  readonly nextTry?: string;
}

const file = (name: string): string => join(cli.folder, name);
const code = (found: unknown): string => (found as { error: { code: string } }).error.code;
const listed = (home: Home): Promise<readonly Item[]> =>
  cli.json<{ items: Item[] }>("QueueList", [...home.at, "queue", "ls"]).then(({ items }) => items);
const texts = (name: string): unknown[] =>
  sql(file(name), "SELECT text FROM note ORDER BY id").map((row) => row["text"]);
const settled = async (): Promise<void> => {
  for (const { at } of [a, b, a]) await cli.json("SyncResult", [...at, "sync", "--wait"]);
};

beforeAll(async () => {
  cli = await createCli();
  a = await founded(cli, "laptop", file("remote"));
  b = await joined(cli, "phone", file("remote"), a.words);
  makeDatabase(
    file("a.db"),
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO note (text) VALUES ('one'), ('two')",
  );
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
  await settled();
}, 60_000);

afterAll(() => cli.remove());

describe("the queue", { timeout: 120_000 }, () => {
  test("[IFC43] S-16 a waiting edit is listed with what holds it up; dropped, the file shows the row without it, and a copy is kept", async () => {
    await cli.json("Status", [...a.at, "pause"]);
    sql(file("a.db"), "UPDATE note SET text = 'a mistake' WHERE id = 1");
    expect(code(await cli.json("Error", [...a.at, "sync"], 14))).toBe("paused");
    const [item, ...others] = await listed(a);
    expect([item, others]).toMatchObject([{ state: "unsent", cause: "paused", summary: "set note" }, []]);
    const id = String(item?.id);
    // Nobody can be asked here: a missing yes is wrong usage, and nothing has changed.
    expect(code(await cli.json("Error", [...a.at, "queue", "drop", id], 2))).toBe("usage");
    expect(code(await cli.json("Error", [...a.at, "queue", "retry", id], 2))).toBe("usage");
    const kept = await cli.json<{ path: string }>("QueueActed", [...a.at, "queue", "save", id]);
    expect(await listed(a)).toHaveLength(1);
    const done = await cli.json<{ path: string }>("QueueActed", [...a.at, "queue", "drop", id, "--yes"]);
    expect(done).toMatchObject({ id: item?.id, state: "discarded" });
    for (const { path } of [kept, done]) {
      expect(path.startsWith(join(a.home, "data", "saved-edits"))).toBe(true);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const saved = readFileSync(path, "utf8").trimEnd().split("\n");
      expect(saved.map((line) => JSON.parse(line) as unknown)).toMatchObject([
        { type: "tidelock-edit", v: 1, id: item?.id, state: "unsent" },
        { op: "set", table: "note", key: 1, cells: { text: "a mistake" } },
      ]);
    }
    expect(await listed(a)).toEqual([]);
    await cli.json("Status", [...a.at, "resume"]);
    await settled();
    expect([texts("a.db"), texts("b.db")]).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
  });

  test("[IFC43] [IFC19] S-15, S-16 while the remote is away each says so, and when it is tried next; back, all of it goes", async () => {
    const daemon = await cli.daemon(a.home);
    try {
      renameSync(file("remote"), file("away"));
      sql(file("a.db"), "INSERT INTO note (text) VALUES ('kept')");
      const item = await until("it is tried again", async () => {
        const [first] = await listed(a);
        return first?.nextTry === undefined || first.cause !== "offline" ? undefined : first;
      });
      expect(item.state).toMatch(/unsent|sent/);
      expect(code(await cli.json("Error", [...a.at, "sync"], 14))).toBe("unreachable");
      expect(await cli.json("Status", [...a.at, "status"], 14)).toMatchObject({ label: "Offline" });
      renameSync(file("away"), file("remote"));
      await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
      expect(await listed(a)).toEqual([]);
      await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
      expect(texts("b.db")).toContain("kept");
    } finally {
      if (existsSync(file("away"))) renameSync(file("away"), file("remote"));
      await daemon.stop();
    }
  });

  test("[IFC43] what is not there has its code, and its words", async () => {
    for (const verb of ["retry", "save", "drop"]) {
      expect(code(await cli.json("Error", [...a.at, "queue", verb, "999", "--yes"], 15))).toBe("not-found");
      expect(code(await cli.json("Error", [...a.at, "queue", verb, "one", "--yes"], 2))).toBe("usage");
    }
  });
});
