import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../bytes/bytes.ts";
import { fold } from "./fold.ts";
import { freeName, isName, isNameIn, labelOf, RECOVERED, ROOT } from "./names.ts";

const made = { label: "Laptop", time: Date.UTC(2026, 10, 20, 23, 59) };

/** The name that is free beside these. */
function beside(name: string, ...there: readonly string[]): string {
  const taken = new Set(there.map(fold));
  return freeName(name, made, (wanted) => taken.has(fold(wanted)));
}

describe("names", () => {
  test("[FIL3] what is no name", () => {
    const bad = ["", ".", "..", "a/b", "a\0", "\ud800", "e\u0301", "x".repeat(256), "ü".repeat(128)];
    for (const name of bad) expect(isName(name)).toBe(false);
    const good = ["a", " ", "CON", "a:b", "x".repeat(255), "é", "\u202e", "-rf", ".tidelock", "a\n"];
    for (const name of good) expect(isName(name)).toBe(true);
  });

  test("[FIL3] under the root nothing is called as what every disk keeps there", () => {
    expect(isNameIn(ROOT, ".Tidelock")).toBe(false);
    expect(isNameIn(RECOVERED, ".tidelock")).toBe(true);
  });
});

describe("free names", () => {
  test("[FIL4] its own if that is free, else with the author's device and day", () => {
    expect(beside("a.txt")).toBe("a.txt");
    expect(beside("a.txt", "A.TXT")).toBe("a (Laptop conflict 2026-11-20).txt");
    expect(beside("a.txt", "a.txt", "a (Laptop conflict 2026-11-20).txt")).toBe(
      "a (Laptop conflict 2026-11-20) 2.txt",
    );
  });

  test("[FIL4] an earlier group is dropped, whoever it names", () => {
    const once = "a (Phone conflict 2026-01-01) 3.txt";
    expect(beside(once, once)).toBe("a (Laptop conflict 2026-11-20).txt");
    expect(beside("a (draft).txt", "a (draft).txt")).toBe("a (draft) (Laptop conflict 2026-11-20).txt");
  });

  test("[FIL4] the extension is the last part, .tar.* whole; a leading dot is none", () => {
    expect(beside("a.tar.gz", "a.tar.gz")).toBe("a (Laptop conflict 2026-11-20).tar.gz");
    expect(beside(".bashrc", ".bashrc")).toBe(".bashrc (Laptop conflict 2026-11-20)");
    expect(beside("a.b.c", "a.b.c")).toBe("a.b (Laptop conflict 2026-11-20).c");
  });

  test("[FIL4] never above 255 bytes, cut between characters", () => {
    for (const name of ["ü".repeat(127), `${"x".repeat(251)}.txt`, `a.${"😀".repeat(60)}`]) {
      const free = beside(name, name);
      expect(encodeUtf8(free).length).toBeLessThanOrEqual(255);
      expect(isName(free)).toBe(true);
    }
  });

  test("[FIL4] a year that nobody means is left out, and a label is made harmless", () => {
    for (const time of [0, Date.UTC(2019, 11, 31), Date.UTC(2100, 0, 1), 2 ** 48 - 1])
      expect(freeName("a", { label: "x", time }, (name) => name === "a")).toBe("a (x conflict)");
    for (let time = Date.UTC(2020, 0, 1); time < Date.UTC(2100, 0, 1); time += 86_400_000) {
      const day = new Date(time).toISOString().slice(0, 10);
      expect(freeName("a", { label: "x", time }, (name) => name === "a")).toBe(`a (x conflict ${day})`);
    }
    expect(labelOf("../\u0007(A) ")).toBe("..A");
    expect(labelOf(" / ")).toBe("device");
    expect(encodeUtf8(labelOf("ü".repeat(40))).length).toBe(32);
  });
});
