export interface Row {
  readonly id: string;
  readonly element: string;
}

export interface Result {
  readonly file: string;
  /** The titles of the enclosing groups, then the test's own. */
  readonly titles: readonly string[];
  readonly passed: boolean;
}

/** Rows of the page's tables: `| T-13 | what is promised | …`. */
export function rowsIn(page: string): Row[] {
  return [...page.matchAll(/^\|\s*([A-Z]-\d+)\s*\|\s*((?:\\\||[^|\n])*?)\s*\|/gm)].map((match) => ({
    id: match[1] ?? "",
    element: match[2] ?? "",
  }));
}

/** A title names its rows first: "T-13 …", "T-13, T-14 …", "[FRM3] T-13 …". Later words ("P-256") are words. */
export function idsIn(title: string): string[] {
  const head = /^(?:\[[^\]]*\]\s*|[A-Z]-\d+(?:[,:;]\s*|\s+|$))*/.exec(title)?.[0] ?? "";
  return head.match(/[A-Z]-\d+/g) ?? [];
}

/** Reads vitest's JSON report. */
export function parseReport(text: string): Result[] {
  const report = JSON.parse(text) as {
    testResults: {
      name: string;
      assertionResults: { ancestorTitles: string[]; title: string; status: string }[];
    }[];
  };
  return report.testResults.flatMap((file) =>
    file.assertionResults.map((one) => ({
      file: file.name,
      titles: [...one.ancestorTitles, one.title],
      passed: one.status === "passed",
    })),
  );
}

/** Rows without a passing test; ids that are unknown, or stand twice on the page, in one title, or over one test twice. */
export function compare(
  rows: readonly Row[],
  results: readonly Result[],
): { readonly open: readonly Row[]; readonly wrong: readonly string[] } {
  const known = new Set<string>();
  const wrong = new Set<string>();
  for (const { id } of rows) {
    if (known.has(id)) wrong.add(`${id} is two rows of the page`);
    known.add(id);
  }
  const proved = new Set<string>();
  const failed = new Set<string>();
  const named = new Set<string>();
  for (const { file, titles, passed } of results) {
    const ids = titles.flatMap(idsIn);
    const title = titles.join(" > ");
    for (const id of ids) {
      if (!known.has(id)) wrong.add(`${id} is no row: "${title}" in ${file}`);
      (passed ? proved : failed).add(id);
    }
    if (new Set(ids).size < ids.length) wrong.add(`an id twice in "${title}" in ${file}`);
    if (ids.length > 0 && named.has(title)) wrong.add(`two tests are called "${title}"`);
    named.add(title);
  }
  // A row with one passing and one failing test is not done.
  return { open: rows.filter(({ id }) => !proved.has(id) || failed.has(id)), wrong: [...wrong] };
}
