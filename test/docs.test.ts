import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { expect, test } from "vitest";
import { anchorsIn, linksIn } from "./docs.ts";
import { assertNone, filesUnder, read, root } from "./repo.ts";

test("relative links in the documents lead somewhere", () => {
  const pages = filesUnder(".", /^(?:[A-Z]+|docs\/.*|changes\/.*|packages\/[^/]+\/README|examples\/.*)\.md$/);
  expect(pages.length).toBeGreaterThan(0);
  const problems = pages.flatMap((page) =>
    linksIn(read(page)).flatMap((link) => {
      if (/^[a-z][a-z+.-]*:/i.test(link)) return [];
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : posix.join(posix.dirname(page), decodeURIComponent(path));
      if (!existsSync(join(root, target))) return [`${page}: ${link}`];
      const known = anchor === undefined || !target.endsWith(".md") || anchorsIn(read(target)).has(anchor);
      return known ? [] : [`${page}: ${link} (no such heading)`];
    }),
  );
  assertNone("dead links", problems);
});

test("Y-11: the guide says that nothing is merged inside a file", () => {
  expect(read("docs/guide/drive.md")).toMatch(/^Nothing is merged inside a file\./m);
});

test("Y-32: the scope page says what is there and what comes later, each once", () => {
  const [, now = "", later = ""] = read("docs/guide/scope.md").split(/^## .*$/m);
  const there = [
    "end-to-end encrypted",
    "versions",
    "trash",
    "restor",
    "which folders",
    "piece by piece",
    "conflict",
  ];
  expect(there.filter((word) => !now.includes(word))).toEqual([]);
  const missing = [
    "LAN",
    "mobile",
    "co-editing",
    "append at an offset",
    "key groups",
    "mounts",
    "public links",
  ];
  expect(missing.filter((word) => !later.includes(word) || now.includes(word))).toEqual([]);
});

test("links and anchors are read as a code host reads them", () => {
  expect(linksIn('[a](b.md#c) `[x](y)`\n```\n[no](no)\n```\n[r]: d.md\n![p](e.png "t")')).toEqual([
    "b.md#c",
    "e.png",
    "d.md",
  ]);
  expect([...anchorsIn("# A b, c!\n## `code` x\n## A b, c!")]).toEqual(["a-b-c", "code-x", "a-b-c-1"]);
});
