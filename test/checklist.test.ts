import { expect, test } from "vitest";
import { compare, idsIn, parseReport, rowsIn } from "./checklist.ts";

const page =
  "| id | element |\n|---|---|\n| T-1 | One | x |\n| T-2 | Two \\| and a half | x |\n| Y-10 | Ten | x |\n";

test("rows and ids are read from the page and from the head of a title", () => {
  expect(rowsIn(page)).toEqual([
    { id: "T-1", element: "One" },
    { id: "T-2", element: "Two \\| and a half" },
    { id: "Y-10", element: "Ten" },
  ]);
  expect(idsIn("T-1 works")).toEqual(["T-1"]);
  expect(idsIn("T-1, T-2: work")).toEqual(["T-1", "T-2"]);
  expect(idsIn("[A1] Y-10 works")).toEqual(["Y-10"]);
  expect(idsIn("[T-1] works")).toEqual(["T-1"]);
  expect(idsIn("agrees with P-256 and UTF-8")).toEqual([]);
});

test("open rows and wrong ids are told", () => {
  const one = (title: string, status: string): unknown => ({ ancestorTitles: ["group"], title, status });
  const results = parseReport(
    JSON.stringify({
      testResults: [
        {
          name: "a.test.ts",
          assertionResults: [
            one("T-1 passes", "passed"),
            one("T-1 passes otherwise", "passed"),
            one("T-2 passes", "passed"),
            one("T-2 fails", "failed"),
            one("Y-10 waits", "skipped"),
            one("Z-1 is unknown", "passed"),
            one("T-1, T-1 twice", "passed"),
            one("T-1 passes", "passed"),
          ],
        },
      ],
    }),
  );
  const { open, wrong } = compare(rowsIn(page), results);
  expect(open.map((row) => row.id)).toEqual(["T-2", "Y-10"]);
  expect(wrong).toEqual([
    'Z-1 is no row: "group > Z-1 is unknown" in a.test.ts',
    'an id twice in "group > T-1, T-1 twice" in a.test.ts',
    'two tests are called "group > T-1 passes"',
  ]);
  expect(compare([...rowsIn(page), { id: "T-1", element: "" }], []).wrong).toEqual([
    "T-1 is two rows of the page",
  ]);
});
