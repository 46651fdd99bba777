import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { expect, test } from "vitest";
import { homePaths } from "../home/paths.ts";
import { dropSheet, entropyOf, hasSheet, phraseOf, readSheet, sheetPath, writeSheet } from "./words.ts";

const words = phraseOf(new Uint8Array(32).map((_, i) => i * 7));

function errorOf(text: string): TidelockError {
  try {
    entropyOf(text);
  } catch (error) {
    if (error instanceof TidelockError) return error;
  }
  throw new Error("no error");
}

test("[IFC7] what is wrong with typed words is said without repeating them", () => {
  expect(entropyOf(words.join(" "))).toEqual(new Uint8Array(32).map((_, i) => i * 7));
  const one = errorOf(words.with(6, "secretword").join(" "));
  expect([one.code, one.details["position"]]).toEqual(["phrase-word", 7]);
  const two = errorOf(words.with(1, "zzzz").with(23, "yyyy").join(" "));
  expect([two.code, two.details["positions"]]).toEqual(["phrase-word", "2,24"]);
  expect(errorOf(words.slice(2).join(" "))).toMatchObject({ code: "phrase-length", details: { count: 22 } });
  expect(errorOf(words.with(0, words[1] as string).join(" ")).code).toBe("phrase-checksum");
  for (const error of [one, two])
    expect(`${error.message}${error.why}${error.next}`).not.toMatch(/secretword|zzzz|yyyy/);
});

test("[IFC6] a sheet is private and gives the words back", async () => {
  const home = mkdtempSync(join(tmpdir(), "tidelock-sheet-"));
  try {
    const paths = await homePaths({ home, env: {} });
    expect([hasSheet(paths), readSheet(paths)]).toEqual([false, undefined]);
    writeSheet(paths, words);
    expect(statSync(sheetPath(paths)).mode & 0o777).toBe(0o600);
    expect(readSheet(paths)).toBe(words.join(" "));
    expect(readFileSync(sheetPath(paths), "utf8")).toContain("nobody can open it");
    dropSheet(paths);
    expect(hasSheet(paths)).toBe(false);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
