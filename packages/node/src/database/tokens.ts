/**
 * Just enough of SQL's grammar to know which tables a trigger writes. SQLite has parsed the text
 * before we see it, so what is here may trust that it is valid.
 */
export interface Token {
  readonly kind: "word" | "name" | "other";
  /** Words in upper case, quoted names without their quotes. */
  readonly text: string;
}

const pattern =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|\[([^\]]*)\]|'((?:[^']|'')*)'|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|[0-9][\w.]*|\s+|[\s\S]/g;

export function tokens(sql: string): Token[] {
  const out: Token[] = [];
  for (const m of sql.matchAll(pattern)) {
    const [text, double, back, bracket, single, word] = m;
    if (text.startsWith("--") || text.startsWith("/*") || text.trim() === "") continue;
    if (word !== undefined) out.push({ kind: "word", text: word });
    else if (double !== undefined) out.push({ kind: "name", text: double.replaceAll('""', '"') });
    else if (back !== undefined) out.push({ kind: "name", text: back.replaceAll("``", "`") });
    else if (bracket !== undefined) out.push({ kind: "name", text: bracket });
    else if (single !== undefined) out.push({ kind: "name", text: single.replaceAll("''", "'") });
    else out.push({ kind: "other", text });
  }
  return out;
}

/** The tables named after INSERT INTO, REPLACE INTO, UPDATE and DELETE FROM in a trigger's body, as written. */
export function writtenTables(trigger: string): string[] {
  const list = tokens(trigger);
  const is = (i: number, ...words: string[]): boolean => {
    const t = list[i];
    return t?.kind === "word" && words.includes(t.text.toUpperCase());
  };
  let at = list.findIndex((_, i) => is(i, "BEGIN"));
  const out = new Set<string>();
  for (; at >= 0 && at < list.length; at++) {
    let target = -1;
    // `UPDATE OF` and `ON UPDATE` do not occur in a body; `DO UPDATE SET` of an upsert writes the same table.
    if (is(at, "INTO")) target = at + 1;
    else if (is(at, "DELETE") && is(at + 1, "FROM")) target = at + 2;
    else if (is(at, "UPDATE") && !is(at - 1, "DO")) target = is(at + 1, "OR") ? at + 3 : at + 1;
    const name = target < 0 ? undefined : list[target];
    if (name !== undefined && name.kind !== "other") out.add(name.text);
  }
  return [...out];
}
