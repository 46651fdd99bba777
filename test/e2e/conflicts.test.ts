/** What a person is told of conflicts, of the past and of the trash of files, by command, on two devices. */
import { randomBytes } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli } from "./cli.ts";
import { founded, type Home, joined } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home;
let b: Home;

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  const first = await founded(cli, "a", remote);
  a = first;
  b = await joined(cli, "b", remote, first.words);
}, 60_000);

afterAll(() => cli.remove());

interface Side {
  readonly path: string;
  readonly deviceName: string;
  readonly size: number;
  readonly time: string;
  readonly revision: string;
}
interface Conflict {
  readonly id: string;
  readonly state: string;
  readonly current: Side;
  readonly other: Side;
}
interface Items {
  readonly items: readonly { readonly path: string; readonly id: string; readonly revision: string }[];
}

const does = (home: Home, ...args: readonly string[]): Promise<{ readonly state: string }> =>
  cli.json("DriveActed", [...home.at, ...args]);
const sync = (home: Home): Promise<unknown> => cli.json("SyncResult", [...home.at, "sync", "--wait"]);
const bothSync = async (): Promise<void> => {
  for (const home of [a, b, a]) await sync(home);
};
const ls = async (home: Home, path = ""): Promise<readonly string[]> =>
  (await cli.json<Items>("DriveList", [...home.at, "drive", "ls", path])).items.map((item) => item.path);
const cat = async (home: Home, path: string): Promise<string> =>
  (await cli.run([...home.at, "drive", "cat", path])).stdout;
const conflicts = async (home: Home, ...more: readonly string[]): Promise<readonly Conflict[]> =>
  (await cli.json<{ files: Conflict[] }>("ConflictList", [...home.at, "conflicts", "ls", ...more])).files;
const settle = (home: Home, id: string, choice: string, exit = 0): Promise<Conflict> =>
  cli.json("FileSettled", [...home.at, "conflicts", "settle", id, choice], exit);
const show = (home: Home, id: string): Promise<Conflict & { preview?: object; without?: string }> =>
  cli.json("FileConflict", [...home.at, "conflicts", "show", id]);

async function put(home: Home, path: string, bytes: string | Uint8Array): Promise<void> {
  const file = join(cli.folder, "put");
  writeFileSync(file, bytes);
  await does(home, "drive", "put", file, path);
}

/** Neither hears of the other until it is over. */
async function apart(work: () => Promise<unknown>): Promise<void> {
  renameSync(remote, `${remote}-away`);
  await work();
  renameSync(`${remote}-away`, remote);
  await bothSync();
}

/** A file that both wrote to at once; the conflict's id. */
async function meet(path: string, ofA: string | Uint8Array, ofB: string | Uint8Array): Promise<string> {
  await put(a, path, "as it was before\n");
  await bothSync();
  await apart(async () => {
    await put(a, path, ofA);
    await put(b, path, ofB);
  });
  const found = (await conflicts(a)).find(({ current }) => current.path === path);
  return found?.id ?? "";
}

describe("conflicts of files", { timeout: 120_000 }, () => {
  test("[IFC55] Y-10: both sides by device, time and size, where two texts begin to differ, and what to do", async () => {
    const id = await meet("notes.txt", "one\ntwo by a\nend\n", "one\ntwo by b!\nend\n");
    for (const home of [a, b]) {
      expect(await show(home, id.slice(0, 8))).toMatchObject({
        id,
        state: "open",
        current: { path: "notes.txt", deviceName: "a", size: 17 },
        other: { path: expect.stringMatching(/^notes \(b conflict .*\)\.txt$/), deviceName: "b", size: 18 },
        preview: {
          line: 2,
          current: ["two by a", "end"],
          other: ["two by b!", "end"],
        },
      });
      expect(await cli.json("Status", [...home.at, "status"], 3)).toMatchObject({
        label: "Error",
        detail: "1 conflict to review",
        conflicts: 1,
      });
    }
    const text = (await cli.run([...b.at, "conflicts", "ls"])).stdout;
    expect(text).toContain(`${id}  open\n    current: notes.txt  17 B  a  20`);
    expect(text).toContain("conflicts settle ID");
    // Only the original was edited: the copy still waits for somebody to look, at what both are now.
    await put(a, "notes.txt", "one\nrewritten\n");
    await sync(b);
    expect((await show(b, id)).current).toMatchObject({ size: 14 });
    await settle(b, id, "keep-both");
    await sync(a);
    expect(await conflicts(a)).toEqual([]);
    expect((await ls(a)).length).toBe(2);
    expect((await cli.json("Status", [...a.at, "status"]))["conflicts"]).toBe(0);
  });

  test("[IFC55] Y-10: what is no text has no preview, and says so", async () => {
    const id = await meet("picture.bin", randomBytes(60_000), randomBytes(50_000));
    expect((await show(b, id)).without).toBe("not-text");
    expect((await cli.run([...b.at, "conflicts", "show", id])).stdout).toContain("no preview: not-text");
    await settle(a, id, "keep-current");
    await cli.json("Error", [...a.at, "conflicts", "settle", id, "use-other"], 2);
    await cli.json("Error", [...a.at, "conflicts", "show", "0000"], 15);
    await cli.json("Error", [...a.at, "conflicts", "settle", id, "mine"], 2);
  });

  test("[IFC55] Y-10: later leaves it open; two settle at once: the first in the log holds on both, no content is lost", async () => {
    const id = await meet("plan.txt", "by a\n", "by b!\n");
    expect((await settle(b, id, "later")).state).toBe("open");
    expect((await conflicts(a)).map((one) => one.id)).toEqual([id]);
    await apart(async () => {
      expect((await settle(a, id, "keep-current")).state).toBe("keep-current");
      expect((await settle(b, id, "use-other")).state).toBe("use-other");
    });
    for (const home of [a, b]) {
      expect(await conflicts(home)).toEqual([]);
      expect((await conflicts(home, "--all")).find((one) => one.id === id)?.state).toBe("keep-current");
      expect([await cat(home, "plan.txt"), (await ls(home)).filter((p) => p.startsWith("plan"))]).toEqual([
        "by a\n",
        ["plan.txt"],
      ]);
    }
    const { items } = await cli.json<Items>("TrashList", [...b.at, "trash"]);
    const copy = items.find(({ path }) => path.startsWith("plan (b conflict"));
    await does(b, "restore", copy?.id ?? "");
    expect(await cat(b, copy?.path ?? "")).toBe("by b!\n");
    await sync(a);
  });

  test("[IFC63] no name and no text of others reaches the terminal as a command to it", async () => {
    const command = "\u001b]0;owned\u0007\u001b[2J";
    const id = await meet("log.txt", `a ${command}\u202e\n`, `b ${command}\u009b\n`);
    await put(b, `in${command}\nvoice.txt`, "x");
    await sync(a);
    const path = "in\\x1b]0;owned\\x07\\x1b[2J\\nvoice.txt";
    const said = await Promise.all(
      [["conflicts", "show", id], ["drive", "ls"], ["trash"], ["drive", "ls", "no\u001b[31mthing"]].map(
        (args) => cli.run([...a.at, ...args]),
      ),
    );
    for (const { stdout, stderr } of said)
      expect((stdout + stderr).replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(said[0]?.stdout).toContain("current | a \\x1b]0;owned\\x07\\x1b[2J\\u202e");
    expect(said[1]?.stdout).toContain(path);
    expect(said[3]?.stderr).toContain("no\\x1b[31mthing");
    // A program gets them as they are.
    expect(await ls(a)).toContain(`in${command}\nvoice.txt`);
    await settle(a, id, "keep-current");
  });
});

describe("the past of files", { timeout: 120_000 }, () => {
  test("[IFC55] every version by device, time and size, without saying which kind; also of what was deleted", async () => {
    for (const text of ["1", "22", "333"]) await put(text === "22" ? b : a, "draft.txt", text).then(bothSync);
    interface History {
      readonly deleted?: true;
      readonly versions: readonly { size: number; deviceName: string; revision: string; current: boolean }[];
    }
    const history = (of: string): Promise<History> => cli.json("FileHistory", [...b.at, "history", of]);
    const sizes = async (of: string): Promise<unknown> =>
      (await history(of)).versions.map((v) => [v.size, v.deviceName, v.current]);
    expect(await sizes("draft.txt")).toEqual([
      [3, "a", true],
      [2, "b", false],
      [1, "a", false],
    ]);
    const oldest = (await history("draft.txt")).versions.at(-1)?.revision.slice(0, 12) ?? "";
    await cli.json("Error", [...b.at, "restore", "draft.txt"], 2);
    await does(b, "restore", "draft.txt", "--at", oldest);
    await bothSync();
    expect(await cat(a, "draft.txt")).toBe("1");
    await does(a, "drive", "delete", "draft.txt");
    await bothSync();
    expect((await history("draft.txt")).deleted).toBe(true);
    expect((await sizes("draft.txt")) as unknown[]).toHaveLength(4);
    await cli.json("Error", [...b.at, "history", "nothing/at all"], 15);
  });

  test("[IFC55] a folder that was deleted lies in the trash with who and when, and comes back whole", async () => {
    for (const path of ["deep/one.txt", "deep/er/two.txt"]) await put(a, path, path);
    await does(a, "drive", "delete", "deep", "--yes");
    await bothSync();
    const { items } = await cli.json<Items>("TrashList", [...b.at, "trash"]);
    expect(items.filter(({ path }) => path.startsWith("deep"))).toMatchObject([
      { path: "deep", kind: "dir", deviceName: "a", time: expect.stringMatching(/^20/) },
    ]);
    await does(b, "restore", "deep");
    await bothSync();
    expect([await cat(a, "deep/one.txt"), await cat(a, "deep/er/two.txt")]).toEqual([
      "deep/one.txt",
      "deep/er/two.txt",
    ]);
  });

  test("[IFC62] why a file is as it is: which entry made its content and its place, and what was not done", async () => {
    await put(a, "moved.txt", "x");
    await bothSync();
    await apart(async () => {
      await does(a, "drive", "mv", "moved.txt", "by a.txt");
      await does(b, "drive", "mv", "moved.txt", "by b.txt");
      await put(b, "by b.txt", "written by b");
    });
    interface Why {
      readonly path: string;
      readonly parts: readonly { part: string; deviceName: string; seq: number; rule: string }[];
      readonly told: readonly { why: string; deviceName: string; seq: number }[];
    }
    const why = (home: Home, of: string): Promise<Why> => cli.json("FileWhy", [...home.at, "why", of]);
    const found = await why(b, "by a.txt");
    expect(found).toMatchObject({
      path: "by a.txt",
      parts: [
        { part: "content", deviceName: "b", rule: expect.stringContaining("the newest write") },
        { part: "place", deviceName: "a", rule: expect.stringContaining("the first move") },
      ],
      told: [{ why: "moved", deviceName: "b" }],
    });
    expect(await why(a, "by a.txt")).toEqual(found);
    const [content] = found.parts;
    await cli.json("LogEntry", [...a.at, "log", "show", String(content?.seq)]);
    await does(a, "drive", "delete", "by a.txt");
    expect((await why(a, "by a.txt")).parts.map(({ part }) => part)).toContain("deletion");
    expect((await cli.run([...a.at, "why", "by a.txt"])).stdout).toContain("by a.txt is deleted");
    await cli.json("Error", [...a.at, "why", "nothing"], 15);
  });
});
