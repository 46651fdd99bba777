// node scripts/count.mjs REPORT STATUS: prints "N passed, N failed, N skipped" and ends with STATUS.
import { existsSync, readFileSync } from "node:fs";

const [report = "", status = "1"] = process.argv.slice(2);
const results = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")).testResults : [];
const tests = results.flatMap((file) => file.assertionResults.map((one) => one.status));
const passed = tests.filter((one) => one === "passed").length;
const failedTests = tests.filter((one) => one === "failed").length;
// A file that does not load, or whose hooks fail, has no failed test of its own.
const failedFiles = results.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((one) => one.status === "failed"),
).length;
const failed = failedTests + failedFiles;
const skipped = tests.length - passed - failedTests;
const exit = Number(status) || (failed > 0 || tests.length === 0 ? 1 : 0);
// A failed install, type check or lint is a failure too, though no test says so.
console.log(`${passed} passed, ${exit !== 0 && failed === 0 ? 1 : failed} failed, ${skipped} skipped`);
process.exitCode = exit;
