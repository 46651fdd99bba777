import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openVault, type Prompt, type Vault } from "./open.ts";

let folder: string;
let open: Vault[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-sdk-"));
  open = [];
});

afterEach(async () => {
  for (const vault of open) await vault.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);
const start = async (name: string, more: Parameters<typeof openVault>[0] = {}): Promise<Vault> => {
  const vault = await openVault({ home: at(name), insecureKeyFile: true, device: { name }, ...more });
  open.push(vault);
  return vault;
};
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) => (error instanceof TidelockError ? error.code : String(error)),
  );

function makeNotes(path: string): void {
  const db = new Database(path);
  db.exec("CREATE TABLE note (id TEXT PRIMARY KEY, text TEXT)");
  db.close();
}

describe("openVault", () => {
  test("[IFC17] founds, joins and reopens; the words are handed out once", async () => {
    const prompts: Prompt[] = [];
    const onPrompt = async (prompt: Prompt): Promise<undefined> => void prompts.push(prompt);
    const a = await start("a", { remote: at("remote"), name: "Notes", onPrompt });
    const [phrase] = prompts;
    if (phrase?.kind !== "phrase") throw new Error("no words were shown");
    expect([prompts.length, phrase.words.length]).toEqual([1, 24]);
    expect(existsSync(join(at("a"), "recovery-sheet.txt"))).toBe(false);
    expect(a.name).toBe("Notes");

    expect(await codeOf(openVault({ home: at("b"), remote: at("remote"), insecureKeyFile: true }))).toBe(
      "key-missing",
    );
    expect(existsSync(at("b"))).toBe(false);
    const b = await start("b", {
      remote: at("remote"),
      onPrompt: async (p) => (p.kind === "words" ? phrase.words.join(" ") : undefined),
    });
    expect([b.id, b.name]).toEqual([a.id, "Notes"]);
    await b.close();
    const again = await start("b");
    expect(again.id).toBe(a.id);
    await again.syncNow({ wait: true });
    expect(again.status()).toMatchObject({ label: "Live", devices: 2, device: 1 });
  });

  test("[IFC17] reopens and works with the remote away; another remote or a second program is refused", async () => {
    const first = await start("a", { remote: at("remote") });
    expect(await codeOf(openVault({ home: at("a"), waitMs: 50 }))).toBe("in-use");
    await first.close();
    expect(await codeOf(openVault({ home: at("a"), remote: at("elsewhere") }))).toBe("exists");
    renameSync(at("remote"), at("away"));
    const vault = await start("a");
    makeNotes(at("notes.db"));
    const db = await vault.database(at("notes.db"));
    await db.transaction((tx) => tx.run("INSERT INTO note VALUES ('1', 'offline')"));
    expect(await db.query("SELECT text FROM note")).toEqual([{ text: "offline" }]);
    expect(await codeOf(vault.syncNow())).toBe("unreachable");
    expect(vault.status()).toMatchObject({ label: "Offline" });
    expect(vault.queue.list().length).toBeGreaterThan(0);
    renameSync(at("away"), at("remote"));
    await vault.syncNow({ wait: true });
    expect([vault.queue.list(), vault.status().label]).toEqual([[], "Live"]);
  });

  test("[IFC34] what a program paused stays so when it opens the vault again, until it resumes", async () => {
    const first = await start("a", { remote: at("remote") });
    first.pause();
    expect(first.status()).toMatchObject({ label: "Offline", detail: "Paused by you" });
    await first.close();
    const again = await start("a");
    makeNotes(at("notes.db"));
    const db = await again.database(at("notes.db"));
    await db.transaction((tx) => tx.run("INSERT INTO note VALUES ('1', 'kept')"));
    expect(await codeOf(again.syncNow())).toBe("paused");
    expect(again.queue.list().length).toBeGreaterThan(0);
    again.resume();
    await again.syncNow({ wait: true });
    expect([again.queue.list(), again.status().label]).toEqual([[], "Live"]);
  });

  test("[IFC17] a vault without a remote stays here and says Local", async () => {
    const vault = await start("alone");
    expect(vault.status()).toMatchObject({ label: "Local" });
    expect(vault.status().issues.map((issue) => issue.code)).toEqual(["insecure-key-file", "recovery-sheet"]);
  });
});

describe("database", () => {
  test("[IFC18] a transaction is one run: elsewhere all of it or nothing, and confirmed by the log", async () => {
    const words: string[] = [];
    const a = await start("a", {
      remote: at("remote"),
      onPrompt: async (p) => void (p.kind === "phrase" && words.push(...p.words)),
    });
    makeNotes(at("a.db"));
    const db = await a.database(at("a.db"));
    const done = await db.transaction(async (tx) => {
      for (let i = 0; i < 600; i++) tx.run("INSERT INTO note VALUES (?, ?)", [`k${i}`, "x"]);
      await Promise.resolve();
      return tx.all("SELECT count(*) AS n FROM note");
    });
    expect(done.value).toEqual([{ n: 600 }]);
    await done.confirmed;
    expect(a.queue.list()).toEqual([]);

    const b = await start("b", { remote: at("remote"), words: words.join(" ") });
    const other = await b.database(at("b.db"));
    await b.syncNow({ wait: true });
    expect(await other.query("SELECT count(*) AS n FROM note")).toEqual([{ n: 600 }]);
    expect(a.history("note/k7").versions).toHaveLength(1);

    const failed = db.transaction((tx) => {
      tx.run("INSERT INTO note VALUES ('new', 'y')");
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    expect(await db.query("SELECT * FROM note WHERE id = 'new'")).toEqual([]);

    let told = 0;
    other.onChange(() => told++);
    const [one, two] = await Promise.all([
      db.transaction((tx) => tx.run("UPDATE note SET text = 'one' WHERE id = 'k1'")),
      db.transaction((tx) => tx.run("UPDATE note SET text = 'two' WHERE id = 'k2'")),
    ]);
    await Promise.all([one.confirmed, two.confirmed]);
    await b.syncNow({ wait: true });
    expect(await other.query("SELECT text FROM note WHERE id IN ('k1', 'k2') ORDER BY id")).toEqual([
      { text: "one" },
      { text: "two" },
    ]);
    expect(told).toBeGreaterThan(0);
    await db.detach();
    expect(a.databases()).toEqual([]);
  }, 60_000);

  test("[IFC13, ATT15] a row whose deletion is withheld waits for a person, and no sync waits for it", async () => {
    const words: string[] = [];
    const a = await start("a", {
      remote: at("remote"),
      onPrompt: async (p) => void (p.kind === "phrase" && words.push(...p.words)),
    });
    makeNotes(at("a.db"));
    const db = await a.database(at("a.db"));
    await db.transaction((tx) => {
      for (let i = 0; i < 300; i++) tx.run("INSERT INTO note VALUES (?, 'x')", [`k${i}`]);
    });
    await a.syncNow({ wait: true });
    const b = await start("b", { remote: at("remote"), words: words.join(" ") });
    const other = await b.database(at("b.db"));
    await b.syncNow({ wait: true });

    await db.transaction((tx) => tx.run("DELETE FROM note"));
    await other.transaction((tx) => tx.run("UPDATE note SET text = 'from b' WHERE id = 'k7'"));
    await b.syncNow({ wait: true });
    await a.syncNow({ wait: true, timeoutMs: 10_000 });
    expect(a.databases()).toMatchObject([{ withheld: 300 }]);
    expect(await db.query("SELECT * FROM note")).toEqual([]);
  }, 60_000);

  test("[IFC18, ATT31] a program that changed its own tables goes on; where a table is gone it is handed the database paused", async () => {
    const vault = await start("own");
    makeNotes(at("own.db"));
    const db = await vault.database(at("own.db"));
    const app = new Database(at("own.db"));
    app.exec("ALTER TABLE note ADD COLUMN more; INSERT INTO note VALUES ('k', 't', 'm')");
    await vault.syncNow();
    expect(db.attachment.state).toBe("paused");
    expect(await vault.database(at("own.db"))).toBe(db);
    expect(db.attachment.state).toBe("live");
    expect(await db.query("SELECT more FROM note")).toEqual([{ more: "m" }]);

    app.exec("ALTER TABLE note RENAME TO other");
    app.close();
    await vault.syncNow();
    expect(await vault.database(at("own.db"))).toBe(db);
    expect(db.attachment.state).toBe("paused");
    await db.detach();
    expect(vault.databases()).toEqual([]);
  });
});
