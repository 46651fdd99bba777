import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { type CreateStore, describeStore } from "@tidelock/testkit/suites/store-contract";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { openSqlStore, type SqlStore } from "./sql-store.ts";

const spaces = ["t.row", "e.log"];
const key = (n: number): Uint8Array => Uint8Array.of(n >> 16, n >> 8, n);
const NONE = new Uint8Array(0);

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "tidelock-store-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof TidelockError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

const onDisk: CreateStore = (names) => {
  const directory = mkdtempSync(join(tmpdir(), "tidelock-store-"));
  const store = openSqlStore(join(directory, "replica.db"), { spaces: names });
  const opened = [store];
  return {
    store,
    // The files as a killed process leaves them, while the writer still has them open.
    crash() {
      const copy = join(directory, `crash-${opened.length}`);
      cpSync(directory, copy, {
        recursive: true,
        filter: (from) => from === directory || /replica/.test(from),
      });
      const after = openSqlStore(join(copy, "replica.db"), { spaces: names });
      opened.push(after);
      return after;
    },
    dispose() {
      for (const one of opened) one.close();
      rmSync(directory, { recursive: true });
    },
  };
};

describeStore("better-sqlite3", onDisk);

test("[P1] a commit waits for the disk: WAL and synchronous=FULL", () => {
  const path = join(temporaryDirectory(), "r.db");
  const store = openSqlStore(path, { spaces });
  store.put("t.row", key(1), key(2));
  store.close();
  const db = new Database(path, { readonly: true });
  expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
  db.close();
  // The pragma is the connection's own, so it is asked of the connection the store uses.
  let level: unknown;
  class Watched extends Database {
    override close(): this {
      level = this.pragma("synchronous", { simple: true });
      return super.close();
    }
  }
  openSqlStore(path, { spaces, load: () => Watched as unknown as typeof Database }).close();
  expect(level).toBe(2);
});

test("spaces that are new get their table, what was there stays", () => {
  const path = join(temporaryDirectory(), "r.db");
  const first = openSqlStore(path, { spaces: ["a"] });
  first.put("a", key(1), key(2));
  first.close();
  const second = openSqlStore(path, { spaces: ["a", "b"] });
  expect(second.get("a", key(1))).toEqual(key(2));
  second.put("b", key(3), key(4));
  expect(second.quickCheck()).toEqual([]);
  second.close();
});

test("a full disk undoes the transaction, also if the error is caught inside, and the store goes on", () => {
  const directory = temporaryDirectory();
  const opened: Database.Database[] = [];
  class Small extends Database {
    constructor(path: string) {
      super(path);
      opened.push(this);
    }
  }
  const load = (): typeof Database => Small as unknown as typeof Database;
  const store = openSqlStore(join(directory, "r.db"), { spaces, load });
  store.put("t.row", key(0), key(0));
  opened[0]?.pragma("max_page_count = 20");
  const fill = (): void => {
    for (let n = 1; n < 100; n++) store.put("t.row", key(n), new Uint8Array(3000));
  };
  expect(codeOf(() => store.transaction(fill))).toBe("disk-full");
  expect(codeOf(() => store.transaction(() => codeOf(fill)))).toBe("disk-full");
  expect(store.count("t.row")).toBe(1);
  store.transaction(() => store.put("t.row", key(1), key(1)));
  expect(store.count("t.row")).toBe(2);
  store.close();
});

test("another process that holds the replica is named", () => {
  const path = join(temporaryDirectory(), "r.db");
  const store = openSqlStore(path, { spaces, busyMs: 0 });
  const other = new Database(path);
  other.exec("BEGIN IMMEDIATE");
  expect(codeOf(() => store.put("t.row", key(1), key(1)))).toBe("in-use");
  expect(codeOf(() => store.transaction(() => 1))).toBe("in-use");
  expect(codeOf(() => openSqlStore(path, { spaces, busyMs: 0 }))).toBe("in-use");
  other.exec("COMMIT");
  store.put("t.row", key(1), key(1));
  other.close();
  store.close();
});

test("damage is named, and nothing is answered after it", () => {
  const path = join(temporaryDirectory(), "r.db");
  const first = openSqlStore(path, { spaces });
  first.transaction(() => {
    for (let n = 0; n < 2000; n++) first.put("t.row", key(n), new Uint8Array(100).fill(n));
  });
  first.close();
  const size = readFileSync(path).length;
  const file = openSync(path, "r+");
  for (let at = 4096 * 4; at < size; at += 4096) writeSync(file, new Uint8Array(64).fill(0xee), 0, 64, at);
  const store = openSqlStore(path, { spaces });
  expect(store.quickCheck()).not.toEqual([]);
  expect(codeOf(() => store.scan("t.row", NONE, undefined))).toBe("replica-damaged");
  expect(codeOf(() => store.put("e.log", key(1), key(1)))).toBe("replica-damaged");
  store.close();
});

test("a file that is no replica, or of a later program, is left as it is", () => {
  const directory = temporaryDirectory();
  const open = (path: string): SqlStore => openSqlStore(path, { spaces });
  const text = join(directory, "text");
  writeFileSync(text, "not a database, but longer than a header ".repeat(9));
  expect(codeOf(() => open(text))).toBe("replica-damaged");
  const other = join(directory, "other");
  const db = new Database(other);
  db.exec("CREATE TABLE mine (a)");
  db.close();
  const before = readFileSync(other);
  expect(codeOf(() => open(other))).toBe("replica-damaged");
  expect(readFileSync(other).equals(before)).toBe(true);
  const later = join(directory, "later");
  open(later).close();
  const raised = new Database(later);
  raised.pragma("user_version = 2");
  raised.close();
  expect(codeOf(() => open(later))).toBe("update-needed");
  expect(codeOf(() => open(join(directory, "absent", "r.db")))).toBe("not-found");
});

test("a driver that is not built says what to run", () => {
  const absent = (error: Error): unknown => {
    try {
      openSqlStore(":memory:", {
        spaces,
        load: () => {
          throw error;
        },
      });
    } catch (caught) {
      return caught instanceof TidelockError ? [caught.code, caught.next] : caught;
    }
    return undefined;
  };
  const remedy = ["internal", "npm rebuild better-sqlite3"];
  expect(absent(new Error("Cannot find module 'better-sqlite3'"))).toEqual(remedy);
  const late = (): typeof Database =>
    class {
      constructor() {
        throw Object.assign(new Error("wrong ELF class"), { code: "ERR_DLOPEN_FAILED" });
      }
    } as unknown as typeof Database;
  try {
    openSqlStore(":memory:", { spaces, load: late });
    expect.unreachable();
  } catch (error) {
    expect([(error as TidelockError).code, (error as TidelockError).next]).toEqual(remedy);
  }
});
