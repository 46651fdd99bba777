import { expect, test } from "vitest";
import { isIgnored, isTemporary, parseRules } from "./ignore.ts";

const says = (rules: string, path: string, isFolder = false): boolean =>
  isIgnored([{ depth: 0, rules: parseRules(rules) }], path.split("/"), isFolder);

test("[FLD4] Y-25: temporary and lock files of editors, office programs, browsers and desktops are left out", () => {
  const left = ["~$Report.docx", ".~lock.a.odt#", ".#a", "a/.b.swp", "4913", "x/.DS_Store", "THUMBS.DB"];
  for (const path of [...left, "big.iso.part", "a.crdownload"]) expect(says("", path), path).toBe(true);
  for (const path of ["a.tmp", "4913.txt", "swp", "lock#", "part"]) expect(says("", path), path).toBe(false);
  expect(["a.tmp", "~a", "b.temp"].map(isTemporary)).toEqual([true, true, true]);
  expect(isTemporary("a.tmpl")).toBe(false);
});

test("[FLD4] Y-25: an ignore file has the syntax of gitignore", () => {
  const table: readonly (readonly [rules: string, path: string, isFolder: boolean, ignored: boolean])[] = [
    ["*.log", "a/b/c.log", false, true],
    ["/*.log", "a/c.log", false, false],
    ["/*.log", "c.log", false, true],
    ["build/", "a/build", true, true],
    ["build/", "a/build", false, false],
    ["a/b", "a/b", false, true],
    ["a/b", "x/a/b", false, false],
    ["**/b", "x/y/b", false, true],
    ["a/**", "a", true, false],
    ["a/**", "a/x/y", false, true],
    ["a/**/z", "a/z", false, true],
    ["a/**/z", "a/x/y/z", false, true],
    ["a/**/z", "a/x/y", false, false],
    ["[a-c]?.txt", "b1.txt", false, true],
    ["[!a-c]?.txt", "b1.txt", false, false],
    ["[x", "[x", false, true],
    ["*.txt\n!keep.txt", "keep.txt", false, false],
    ["# a", "# a", false, false],
    ["\\# a", "# a", false, true],
    ["\\!a", "!a", false, true],
    ["a  ", "a", false, true],
    ["!*.part", "x.part", false, false],
    ["CAFE\u0301", "caf\u00e9", false, true],
  ];
  for (const [rules, path, isFolder, ignored] of table)
    expect(says(rules, path, isFolder), `${rules} | ${path}`).toBe(ignored);
});

test("[FLD4] Y-25: the nearest ignore file decides", () => {
  const levels = [
    { depth: 0, rules: parseRules("*.txt\nsecret") },
    { depth: 1, rules: parseRules("!a.txt") },
  ];
  expect(isIgnored(levels, ["d", "a.txt"], false)).toBe(false);
  expect(isIgnored(levels, ["d", "b.txt"], false)).toBe(true);
  expect(isIgnored(levels, ["d", "secret"], false)).toBe(true);
});

test("[FLD4] a pattern of many stars from another member costs its length times the name's", () => {
  const rules = parseRules(`${"*a".repeat(400)}b\n${"**/a/".repeat(100)}b`);
  const path = ["a".repeat(255), ...Array.from({ length: 200 }, () => "a")];
  expect(isIgnored([{ depth: 0, rules }], path, false)).toBe(false);
  expect(isIgnored([{ depth: 0, rules }], [path[0] as string], false)).toBe(false);
});
