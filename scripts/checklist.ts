// npm run checklist -- PATH: which rows of the page at PATH have no passing test.
import { existsSync, readFileSync } from "node:fs";
import { compare, parseReport, rowsIn } from "../test/checklist.ts";

const report = "test-results/vitest.json";

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

const page = process.argv[2] ?? fail("npm run checklist -- PATH: the page with the rows is missing.");
if (!existsSync(page)) fail(`There is no page at ${page}.`);
if (!existsSync(report)) fail(`There is no test report (${report}). Run npm run test:unit first.`);

const rows = rowsIn(readFileSync(page, "utf8"));
if (rows.length === 0) fail(`${page} holds no rows of the form "| T-1 | … |".`);
const { open, wrong } = compare(rows, parseReport(readFileSync(report, "utf8")));

for (const row of open) process.stdout.write(`${row.id}  ${row.element}\n`);
for (const problem of wrong) process.stderr.write(`wrong: ${problem}\n`);
process.stdout.write(`${rows.length - open.length} of ${rows.length} rows have a passing test\n`);
process.exitCode = open.length + wrong.length === 0 ? 0 : 1;
