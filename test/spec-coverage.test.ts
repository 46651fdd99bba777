import { expect, test } from "vitest";
import { assertNone, filesUnder, read } from "./repo.ts";
import { disagreements } from "./spec-coverage.ts";

const texts = (paths: readonly string[]): { path: string; text: string }[] =>
  paths.map((path) => ({ path, text: read(path) }));

test("every rule has a citing test, every citation a rule", () => {
  const spec = texts(filesUnder("docs/spec", /\.md$/));
  // Contract suites hold cited titles in ordinary files of the test kit. This folder's own tests plant false ones.
  const tests = texts([
    ...filesUnder("packages", /\.test\.ts$|^packages\/testkit\/src\/.*\.ts$/),
    ...filesUnder("test", /\.test\.ts$/).filter((path) => !path.endsWith("/spec-coverage.test.ts")),
  ]);
  assertNone("specification and tests disagree", disagreements(spec, tests));
});

test("planted disagreements are seen", () => {
  const spec = [
    {
      path: "docs/spec/a.md",
      text: "**FRM1** one\n\n**FRM2** two\n\n**FRM2** again\n\ntext **FRM9** inside",
    },
    { path: "docs/spec/promises.md", text: "**P1** one" },
  ];
  const title = (text: string): { path: string; text: string } => ({ path: "a.test.ts", text });
  const found = disagreements(spec, [
    title(`test("[FRM1] holds", …)`),
    title(`test.skip("[FRM2] not yet", …)`),
    title(`// "[FRM2] in a comment"`),
    title(`test.for([[1]])("a [KEY4, KEY5] b", …)\ntest("[P1] and [P2]", …)`),
    title("const row = [FRM7];"),
  ]);
  expect(found).toEqual([
    "FRM2 twice: docs/spec/a.md:3, docs/spec/a.md:5",
    "FRM2 without a test: docs/spec/a.md:3",
    "KEY4 is no rule: a.test.ts:1",
    "KEY5 is no rule: a.test.ts:1",
    "P2 is no promise: a.test.ts:2",
  ]);
});
