import { expect, test } from "vitest";
import { importsOf, impurities, outbursts, violation } from "./layers.ts";
import { assertNone, filesUnder, read } from "./repo.ts";

const sources = filesUnder("packages", /^packages\/[^/]+\/src\/.*\.ts$/);

test("imports point down", () => {
  const imports = sources.flatMap((file) => importsOf(file, read(file)));
  const problems = imports.flatMap((one) => {
    const why = violation(one);
    return why === undefined ? [] : [`${one.from} imports ${one.to}: ${why}`];
  });
  // A pattern that stopped matching would pass in silence.
  expect(imports.length).toBeGreaterThan(20);
  expect(new Set(imports.map((one) => one.from)).size).toBeGreaterThan(sources.length / 3);
  assertNone("imports against the layers", problems);
});

test("the core asks no clock, no dice and no locale", () => {
  const core = sources.filter(
    (file) => file.startsWith("packages/core/") && !/\.(test|bench)\.ts$/.test(file),
  );
  expect(core.length).toBeGreaterThan(5);
  assertNone(
    "impure calls in core",
    core.flatMap((file) => impurities(read(file)).map((call) => `${file}: ${call}`)),
  );
});

test("M-30: nothing is said past the log and the command line, and what was planted is seen", () => {
  assertNone(
    "words in shipped source",
    sources.flatMap((file) => outbursts(file, read(file))),
  );
  for (const planted of ["console.log(row)", "process.stderr.write(name)", "  console.error(cells);"])
    expect(outbursts("packages/node/src/vault/open.ts", planted)).toHaveLength(1);
  expect(outbursts("packages/cli/src/main.ts", "process.stdout")).toEqual([]);
});

test("a planted violation is seen, and what is allowed is not", () => {
  const core = (path: string): string => `packages/core/src/${path}`;
  const refused: readonly (readonly [string, string])[] = [
    [core("log/frame.ts"), "../engine/sync.ts"],
    [core("bytes/reader.ts"), "../crypto/hash.ts"],
    [core("kinds/files/apply.ts"), "../tables/apply.ts"],
    [core("kinds/files/apply.ts"), "../../vault/members.ts"],
    [core("errors.ts"), "./log/frame.ts"],
    [core("engine/sync.ts"), "../../../node/src/index.ts"],
    [core("engine/sync.ts"), "../index.ts"],
    [core("engine/sync.ts"), "@tidelock/core/log/frame"],
    [core("engine/sync.ts"), "node:fs"],
    ["packages/node/src/sql.ts", "@tidelock/testkit"],
    ["packages/node/src/sql.ts", "tidelock"],
    ["packages/testkit/src/world/cli.ts", "@tidelock/node"],
    ["packages/unknown/src/index.ts", "zod"],
    ["packages/server/src/fetch.ts", "@tidelock/core/engine/sync"],
    ["packages/server/src/fetch.ts", "@tidelock/core/kinds/tables/codec"],
    ["packages/server/src/fetch.ts", "@tidelock/core/log/chunk"],
  ];
  const accepted: readonly (readonly [string, string])[] = [
    [core("adapters/events/index.ts"), "../../engine/sync.ts"],
    [core("kinds/files/apply.ts"), "../../log/kind.ts"],
    [core("kinds/files/apply.ts"), "./codec.ts"],
    [core("bytes/reader.ts"), "../errors.ts"],
    [core("crypto/suite.ts"), "libsodium-wrappers-sumo"],
    [core("index.ts"), "./engine/sync.ts"],
    ["packages/cli/src/main.ts", "@tidelock/node/sql"],
    ["packages/node/src/sql.test.ts", "@tidelock/testkit/suites/sql"],
  ];
  expect(refused.filter(([from, to]) => violation({ from, to }) === undefined)).toEqual([]);
  expect(accepted.filter(([from, to]) => violation({ from, to }) !== undefined)).toEqual([]);
  const forms = [
    `import { a,\n  b } from "./1.ts";`,
    `import type { A } from './2.ts';`,
    `export * from "./3.ts";`,
    `import "./4.ts";`,
    `const x = await import("./5.ts");`,
  ];
  expect(importsOf("a.ts", forms.join("\n")).map((one) => one.to)).toEqual(
    ["1", "2", "3", "4", "5"].map((name) => `./${name}.ts`),
  );
  expect(impurities("const a = Date.now() + Math.random(); // new Date(\nnew Date()")).toHaveLength(3);
});
