/**
 * One name against one pattern of an ignore file: `*`, `?`, `[a-z]`, `\` before what is meant as
 * it stands. No regular expressions: an ignore file comes from other members, and a pattern of
 * many stars must cost no more than its length times the name's.
 */

type Token =
  | { readonly kind: "char"; readonly char: string }
  | { readonly kind: "any" }
  | { readonly kind: "many" }
  | {
      readonly kind: "class";
      readonly not: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

export type Glob = readonly Token[];

export function parseGlob(text: string): Glob {
  const chars = Array.from(text);
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === "*") {
      if (tokens.at(-1)?.kind !== "many") tokens.push({ kind: "many" });
    } else if (char === "?") tokens.push({ kind: "any" });
    else if (char === "\\" && at + 1 < chars.length)
      tokens.push({ kind: "char", char: chars[++at] as string });
    else {
      const found = char === "[" ? parseClass(chars, at) : undefined;
      tokens.push(found?.token ?? { kind: "char", char });
      at = found?.end ?? at;
    }
  }
  return tokens;
}

/** Undefined where the bracket is never closed: then it stands for itself. */
function parseClass(chars: readonly string[], open: number): { token: Token; end: number } | undefined {
  const not = chars[open + 1] === "!" || chars[open + 1] === "^";
  const first = open + (not ? 2 : 1);
  const ranges: (readonly [string, string])[] = [];
  for (let at = first; at < chars.length; at++) {
    if (chars[at] === "]" && at > first) return { token: { kind: "class", not, ranges }, end: at };
    const from = chars[at] as string;
    const to = chars[at + 2];
    if (chars[at + 1] === "-" && to !== undefined && to !== "]") {
      ranges.push([from, to]);
      at += 2;
    } else ranges.push([from, from]);
  }
  return undefined;
}

export function matchesGlob(glob: Glob, name: string): boolean {
  const chars = Array.from(name);
  let [at, token] = [0, 0];
  // Where the last star stood, and how much of the name it has taken: only that one is ever tried again.
  let [star, taken] = [-1, 0];
  while (at < chars.length) {
    const now = glob[token];
    if (now?.kind === "many") {
      [star, taken] = [token, at];
      token++;
    } else if (now !== undefined && takes(now, chars[at] as string)) {
      at++;
      token++;
    } else if (star >= 0) {
      taken++;
      [at, token] = [taken, star + 1];
    } else return false;
  }
  while (glob[token]?.kind === "many") token++;
  return token === glob.length;
}

function takes(token: Token, char: string): boolean {
  if (token.kind === "any") return true;
  if (token.kind === "char") return token.char === char;
  if (token.kind === "many") return false;
  return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.not;
}
