import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { expect, test } from "vitest";
import { assertNone, filesUnder, read, root } from "./repo.ts";

/** Heading anchors as a code host makes them: lower case, punctuation dropped, spaces to hyphens, repeats counted. */
export function anchorsIn(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutCode(markdown).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const base = words.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    let anchor = base;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${base}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

export function linksIn(markdown: string): string[] {
  const text = withoutCode(markdown).replace(/`[^`\n]*`/g, "");
  return [
    ...[...text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)].map((match) => match[1] ?? ""),
    ...[...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map((match) => match[1] ?? ""),
  ];
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
}

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

test("links and anchors are read as a code host reads them", () => {
  expect(linksIn('[a](b.md#c) `[x](y)`\n```\n[no](no)\n```\n[r]: d.md\n![p](e.png "t")')).toEqual([
    "b.md#c",
    "e.png",
    "d.md",
  ]);
  expect([...anchorsIn("# A b, c!\n## `code` x\n## A b, c!")]).toEqual(["a-b-c", "code-x", "a-b-c-1"]);
});
