import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CreateStore, describeStore } from "@tidelock/testkit/suites/store-contract";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type FileValues, withFileValues } from "./file-values.ts";
import { openSqlStore } from "./sql-store.ts";

const SPACE = "o.blob";
const OTHER = "t.row";
const large = (fill: number): Uint8Array => new Uint8Array(100_000).fill(fill);
const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);

function temporary(): string {
  return mkdtempSync(join(tmpdir(), "tidelock-values-"));
}

function opened(folder: string, spaces: readonly string[] = [OTHER]): FileValues {
  const store = openSqlStore(join(folder, "replica.db"), { spaces: [...spaces, SPACE] });
  return withFileValues(store, SPACE, join(folder, "spool"));
}

const onDisk: CreateStore = (names) => {
  const folder = temporary();
  const stores = [opened(folder, names)];
  return {
    store: stores[0] as FileValues,
    crash() {
      const copy = temporary();
      cpSync(folder, copy, { recursive: true });
      const after = opened(copy, names);
      stores.push(after);
      return after;
    },
    dispose() {
      for (const one of stores) one.close();
      rmSync(folder, { recursive: true });
    },
  };
};

describeStore("with large values as files", onDisk);

describe("large values", () => {
  let folder: string;
  let store: FileValues;
  const files = (): readonly string[] => readdirSync(join(folder, "spool"));

  beforeEach(() => {
    folder = temporary();
    store = opened(folder);
    onTestFinished(() => {
      store.close();
      rmSync(folder, { recursive: true, force: true });
    });
  });

  test("lie in a file each while a row names them, and read as if they stood in it", () => {
    store.transaction(() => {
      store.put(SPACE, key(1), large(1));
      store.put(SPACE, key(2), new Uint8Array(5).fill(2));
      store.put(OTHER, key(3), large(3));
    });
    expect(files().length).toBe(1);
    expect(store.get(SPACE, key(1))).toEqual(large(1));
    expect(store.scan(SPACE, new Uint8Array(0), undefined).map(([, value]) => value.length)).toEqual([
      100_000, 5,
    ]);
    expect(store.last(SPACE, new Uint8Array(0), key(2))?.[1]).toEqual(large(1));
    expect(store.count(SPACE)).toBe(2);
    store.delete(SPACE, key(1));
    expect(files()).toEqual([]);
    expect(store.get(SPACE, key(1))).toBeUndefined();
  });

  test("[P2] of a transaction that failed nothing is left, and nothing that was there is gone", () => {
    store.put(SPACE, key(1), large(1));
    expect(() =>
      store.transaction(() => {
        store.put(SPACE, key(2), large(2));
        store.delete(SPACE, key(1));
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(files().length).toBe(1);
    expect(store.get(SPACE, key(1))).toEqual(large(1));
    store.transaction(() => {
      store.delete(SPACE, key(1));
      store.put(SPACE, key(1), large(1));
    });
    expect(store.get(SPACE, key(1))).toEqual(large(1));
  });

  test("[P1] killed before the commit it is a file without a row, which the next start removes", () => {
    store.put(SPACE, key(1), large(1));
    const copy = temporary();
    store.transaction(() => {
      store.put(SPACE, key(2), large(2));
      cpSync(folder, copy, { recursive: true });
    });
    writeFileSync(join(copy, "spool", "half.123.tmp"), "half");
    const after = opened(copy);
    after.sweep();
    expect(readdirSync(join(copy, "spool")).length).toBe(1);
    expect([after.get(SPACE, key(1)), after.get(SPACE, key(2))]).toEqual([large(1), undefined]);
    after.close();
    rmSync(copy, { recursive: true });
  });

  test("a row whose file is gone is damage, and is said", () => {
    store.put(SPACE, key(1), large(1));
    rmSync(join(folder, "spool"), { recursive: true });
    expect(() => store.get(SPACE, key(1))).toThrowError(expect.objectContaining({ code: "replica-damaged" }));
  });
});
