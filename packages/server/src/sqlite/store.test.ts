import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { describeCases } from "@tidelock/testkit/suites/cases";
import { describeLogStore, logStoreCases } from "@tidelock/testkit/suites/log-store-contract";
import type { CreateLogStore } from "@tidelock/testkit/suites/log-store-kit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { migrations } from "./migrations.ts";
import { openSqliteStore } from "./store.ts";

describeLogStore("SQLite", onDisk("inline"));
// The same writes behind a thread: what can differ is when they are answered, and with what.
describeCases(
  "LogStore: SQLite, in a thread",
  logStoreCases.filter(({ title }) => title.includes("[SRV2]") || title.includes("[SRV23]")),
  onDisk("thread"),
);

function onDisk(writer: "inline" | "thread"): CreateLogStore {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
    const path = join(folder, "server.db");
    const store = await openSqliteStore(path, { writer });
    const copies: string[] = [folder];
    return {
      store,
      // What another process would find: the file and its log as they lie there, with nothing closed.
      crash: async () => {
        const copy = mkdtempSync(join(tmpdir(), "tidelock-server-"));
        copies.push(copy);
        cpSync(folder, copy, { recursive: true });
        return openSqliteStore(join(copy, "server.db"), { writer: "inline" });
      },
      dispose: async () => {
        await store.close();
        for (const one of copies) rmSync(one, { recursive: true, force: true });
      },
    };
  };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const codeOf = async (path: string, writer: "inline" | "thread"): Promise<string> => {
  try {
    await openSqliteStore(path, { writer });
  } catch (error) {
    if (error instanceof TidelockError) return error.code;
    throw error;
  }
  return "none";
};

test("[SRV8] a database of another program is left as it is", async () => {
  const path = join(folder, "other.db");
  const other = new Database(path);
  other.exec("CREATE TABLE notes (text)");
  other.close();
  expect(await codeOf(path, "inline")).toBe("usage");
  expect(await codeOf(path, "thread")).toBe("usage");
});

test("[SRV8] a newer layout is not touched", async () => {
  const path = join(folder, "server.db");
  await (await openSqliteStore(path, { writer: "inline" })).close();
  const db = new Database(path);
  db.pragma("user_version = 99");
  db.close();
  expect(await codeOf(path, "inline")).toBe("update-needed");
});

test("[SRV8] a database of the layout before is brought up to this one with all that is in it", async () => {
  const path = join(folder, "server.db");
  const old = new Database(path);
  const [founder, owner, vault] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)];
  old.exec(migrations[0] as string);
  old.pragma("application_id = 0x544c5331");
  old.pragma("user_version = 1");
  old
    .prepare("INSERT INTO vaults VALUES (7, ?, ?, ?, 5, 0, ?, ?, 5, 0, 9)")
    .run(vault, vault, founder, vault, vault);
  // It was handed over.
  const member = old.prepare("INSERT INTO members VALUES (7, ?, ?, 0, NULL)");
  member.run(founder, "admin");
  member.run(owner, "owner");
  old.prepare("INSERT INTO audit VALUES (1, 7, 5, ?, 'found', NULL)").run(founder);
  old.prepare("INSERT INTO persons VALUES (?, ?, ?, 5)").run(owner, owner, owner);
  old.close();
  const store = await openSqliteStore(path, { writer: "inline" });
  const row = await store.vault(vault);
  expect([row?.owner, row?.blobBytes, row?.deleted]).toEqual([new Uint8Array(owner), 9, undefined]);
  expect((await store.person(owner))?.closed).toBeUndefined();
  expect(await store.audit(vault, 9, 9)).toMatchObject([{ action: "found", address: "unknown" }]);
  expect(await store.usageOf(owner)).toMatchObject({ vaults: 1, bytes: 9 });
  await store.close();
});

test.each(["inline", "thread"] as const)(
  "[SRV2] a write that fails leaves those beside it alone (%s)",
  async (writer) => {
    const store = await openSqliteStore(join(folder, "server.db"), { writer });
    const id = new Uint8Array(32);
    const results = await Promise.allSettled([
      store.addChallenge(id, id, 10),
      store.putNote(id, { device: id, time: 1, note: id }),
      store.addChallenge(id, id, 10),
      store.addRegistration(id, 1, 10),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(await store.takeChallenge(id, id, 1)).toBe(true);
    expect(await store.takeRegistration(id, 1)).toBe(true);
    await store.close();
  },
);
