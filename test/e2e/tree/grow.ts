/** A tree as people have it: this workspace's own dependencies, with their links and programs, and names that few think of. */
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** Larger ones say nothing more, and there are few. */
const LARGEST = 2 << 20;
/** What tools keep for themselves changes while it is copied. */
const UNSTEADY = /^\.(?:cache|vite|vite-temp|package-lock\.json)$/;

/** `files` of them under `root`, spread over the whole tree; once more under another name where there are not enough. */
export function growTree(root: string, files: number): void {
  const { plain, links } = entriesOf(SOURCE);
  for (let left = files, copy = 1; left > 0; copy++) {
    const wanted = Math.min(left, plain.length);
    const into = join(root, `modules ${copy}`);
    for (let i = 0; i < wanted; i++) copyFile(plain[Math.floor((i * plain.length) / wanted)] as string, into);
    for (const path of links) {
      mkdirSync(dirname(join(into, path)), { recursive: true });
      symlinkSync(readlinkSync(join(SOURCE, path)), join(into, path));
    }
    left -= wanted;
  }
  oddNames(join(root, "odd names"));
}

function copyFile(path: string, into: string): void {
  const [from, to] = [join(SOURCE, path), join(into, path)];
  const stat = lstatSync(from);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, (stat.mode & 0o100) === 0 ? 0o644 : 0o755);
  utimesSync(to, stat.atime, stat.mtime);
}

interface Entries {
  readonly plain: string[];
  readonly links: string[];
}

function entriesOf(root: string, under = "", found: Entries = { plain: [], links: [] }): Entries {
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    if (under === "" && UNSTEADY.test(entry.name)) continue;
    const path = under === "" ? entry.name : `${under}/${entry.name}`;
    if (entry.isSymbolicLink()) found.links.push(path);
    else if (entry.isDirectory()) entriesOf(root, path, found);
    else if (entry.isFile() && lstatSync(join(root, path)).size <= LARGEST) found.plain.push(path);
  }
  return found;
}

/** Legal on a disk and in the log, and a trap for whoever builds paths, patterns or command lines of them. */
const ODD: readonly string[] = [
  "漢字 かな 한글.txt",
  "naïve café ÅÄÖ.txt",
  "👩‍👩‍👧‍👦 family.txt",
  "עברית العربية.txt",
  "-rf",
  "--help",
  " leading and trailing ",
  "two\nlines",
  "tab\tand\u0007bell",
  "$(touch owned) `id` ; & | > <",
  "quote ' and \" and \\",
  "* ? [a-z] {x,y} !not #hash %41 ~home",
  "CON",
  "nul.txt",
  "trailing dot.",
  "a:b",
  `long ${"ü".repeat(125)}`,
  `${"x".repeat(251)}.txt`,
  "...",
  "..hidden",
  ".gitignore",
  "a (Laptop conflict 2026-11-20).txt",
];

function oddNames(root: string): void {
  const deep = join(root, ...Array.from({ length: 60 }, (_, i) => `tief ${i} ÿ`));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "leaf"), "leaf");
  mkdirSync(join(root, "empty folder", "and another"), { recursive: true });
  writeFileSync(join(root, "empty file"), "");
  for (const [i, name] of ODD.entries()) {
    writeFileSync(join(root, name), `${i} ${name}`);
    utimesSync(join(root, name), 1_000_000_000 + i, 1_000_000_000.123456 + i);
  }
  writeFileSync(join(root, "run me"), "#!/bin/sh\n");
  chmodSync(join(root, "run me"), 0o755);
  for (const [name, target] of [
    ["link to a file", "run me"],
    ["link to a folder", "empty folder"],
    ["link to nothing", "nowhere/at all"],
    ["link with a trap", "$(id)\n-rf"],
  ] as const)
    symlinkSync(target, join(root, name));
}
