import { describe, expect, test } from "vitest";
import { openSqlStore } from "../store/sql-store.ts";
import { createIssueBook, type Matter } from "./issues.ts";
import { HOME_SPACE } from "./place.ts";

const matter = (code: string, count?: number): Matter => ({
  code,
  why: `${code} happened`,
  next: "look",
  ...(count === undefined ? {} : { count }),
});

function world() {
  let now = Date.UTC(2026, 0, 1);
  const store = openSqlStore(":memory:", { spaces: [HOME_SPACE] });
  const clock = { now: () => now, mono: () => now };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { store, book: () => createIssueBook(store, clock), pass };
}

describe("issues", () => {
  test("[IFC36] an issue keeps the moment it was first seen, also for another process", () => {
    const { book, pass } = world();
    book().list([matter("rejected")]);
    pass(60_000);
    expect(book().list([matter("rejected"), matter("stalled")])).toMatchObject([
      { code: "rejected", since: "2026-01-01T00:00:00.000Z", count: 1, dismissed: false },
      { code: "stalled", since: "2026-01-01T00:01:00.000Z" },
    ]);
  });

  test("[IFC36] gone and back it is a new one", () => {
    const { book, pass } = world();
    book().list([matter("rejected")]);
    book().list([]);
    pass(1000);
    expect(book().list([matter("rejected")])[0]?.since).toBe("2026-01-01T00:00:01.000Z");
  });

  test("[IFC36] one code is one issue, with the sum of what it concerns", () => {
    const { book } = world();
    expect(book().list([matter("row-refused", 2), matter("row-refused", 3)])).toMatchObject([{ count: 5 }]);
  });

  test("[IFC36] dismissed it is told again when it grows, not when it shrinks", () => {
    const { book } = world();
    book().list([matter("rejected", 3)]);
    book().dismiss("rejected");
    const dismissed = (count: number) => book().list([matter("rejected", count)])[0]?.dismissed;
    expect([dismissed(3), dismissed(2), dismissed(3), dismissed(4), dismissed(3)]).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test("[IFC36] what a person chose or must settle cannot be told away; what is not there is not found", () => {
    const { book } = world();
    const standing = ["insecure-key-file", "recovery-sheet", "guard-deletion", "stalled"];
    book().list(standing.map((code) => matter(code)));
    for (const code of standing)
      expect(() => book().dismiss(code)).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => book().dismiss("rejected")).toThrow(expect.objectContaining({ code: "not-found" }));
  });

  test("[IFC36] a store that cannot be written, or holds nonsense, takes no issue away", () => {
    const { store, book } = world();
    book().list([matter("rejected")]);
    const [[key]] = store.scan(HOME_SPACE, new Uint8Array(0), undefined) as [[Uint8Array, Uint8Array]];
    for (const bytes of [
      Uint8Array.of(255),
      Uint8Array.of(),
      new TextEncoder().encode('{"since":1e99,"count":1}'),
    ]) {
      store.put(HOME_SPACE, key, bytes);
      expect(book().list([matter("rejected")])).toHaveLength(1);
    }
    const open = book();
    store.close();
    expect(() => open.list([matter("rejected")])).toThrow();
    const full = {
      ...store,
      scan: () => [],
      transaction: () => {
        throw new Error("full");
      },
    };
    const clock = { now: () => 0, mono: () => 0 };
    expect(createIssueBook(full as never, clock).list([matter("rejected")])).toHaveLength(1);
  });
});
