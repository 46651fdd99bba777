export interface Text {
  readonly path: string;
  readonly text: string;
}

interface Found {
  readonly id: string;
  readonly at: string;
}

const id = "[A-Z]{2,5}[0-9]+";
const promise = "P[0-9]+";

/** Rules stand at the start of a paragraph: `**FRM3** text`. */
function rulesIn({ path, text }: Text, pattern: string): Found[] {
  const rule = new RegExp(`^\\*\\*(${pattern})\\*\\*(.*)$`);
  return text.split("\n").flatMap((line, index) => {
    const match = rule.exec(line);
    return match?.[1] === undefined ? [] : [{ id: match[1], at: `${path}:${index + 1}` }];
  });
}

/** Citations stand in a string, in brackets: "[FRM3] …", also "[FRM3, FRM4]". A skipped test proves nothing. */
function citationsIn({ path, text }: Text, pattern: string): Found[] {
  const citation = new RegExp(`(?<=["'\`][^"'\`]*)\\[(${pattern}(?:, ?${pattern})*)\\](?!\\()`, "g");
  return text.split("\n").flatMap((line, index) => {
    if (/^\s*(?:\/\/|\*|\/\*)/.test(line) || /\.(?:skip|todo)\(/.test(line)) return [];
    return [...line.matchAll(citation)].flatMap((match) =>
      (match[1] ?? "").split(/, ?/).map((one) => ({ id: one, at: `${path}:${index + 1}` })),
    );
  });
}

/** Every disagreement between the rules of the specification and the titles that cite them. */
export function disagreements(spec: readonly Text[], tests: readonly Text[]): string[] {
  const promises = spec.filter((one) => one.path.endsWith("/promises.md"));
  const rules = spec.filter((one) => !promises.includes(one)).flatMap((one) => rulesIn(one, id));
  const cited = tests.flatMap((one) => citationsIn(one, id));
  const placesById = new Map<string, string[]>();
  for (const rule of rules) placesById.set(rule.id, [...(placesById.get(rule.id) ?? []), rule.at]);
  const citedIds = new Set(cited.map((one) => one.id));
  const promised = new Set(promises.flatMap((one) => rulesIn(one, promise)).map((one) => one.id));
  const citedPromises = promised.size > 0 ? tests.flatMap((one) => citationsIn(one, promise)) : [];
  return [
    ...[...placesById].filter(([, at]) => at.length > 1).map(([one, at]) => `${one} twice: ${at.join(", ")}`),
    ...[...placesById]
      .filter(([one]) => !citedIds.has(one))
      .map(([one, at]) => `${one} without a test: ${at[0]}`),
    ...cited.filter((one) => !placesById.has(one.id)).map((one) => `${one.id} is no rule: ${one.at}`),
    ...citedPromises
      .filter((one) => !promised.has(one.id))
      .map((one) => `${one.id} is no promise: ${one.at}`),
  ];
}
