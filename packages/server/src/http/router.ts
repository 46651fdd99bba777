/** From method and path to a route. A malformed id is as absent as a foreign one. */
import { fromBase64Url } from "@tidelock/core/bytes/base64url";
import type { Route } from "./route.ts";

export type Found =
  | { readonly kind: "route"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: "method"; readonly allow: string }
  | { readonly kind: "none" };

const sizes: Readonly<Record<string, readonly number[]>> = {
  v: [32],
  b: [32],
  d: [32],
  p: [32],
  g: [16],
  /** A person or a group. */
  s: [16, 32],
  r: [16],
};

/** A part of a path: a word of the route's, or a parameter. */
type Part = { readonly word: string } | { readonly name: string };

export function createRouter(routes: readonly Route[]): (method: string, path: string) => Found {
  const byLength = new Map<number, { readonly route: Route; readonly parts: readonly Part[] }[]>();
  for (const route of routes) {
    const parts = route.path.split("/").map(partOf);
    byLength.set(parts.length, [...(byLength.get(parts.length) ?? []), { route, parts }]);
  }
  return (method, path) => {
    const given = path.split("/");
    const allow: string[] = [];
    for (const { route, parts } of byLength.get(given.length) ?? []) {
      if (!sameWords(parts, given)) continue;
      const params = paramsOf(parts, given);
      if (params === undefined) continue;
      if (route.method === method) return { kind: "route", route, params };
      allow.push(route.method);
    }
    return allow.length > 0 ? { kind: "method", allow: allow.join(", ") } : { kind: "none" };
  };
}

function partOf(text: string): Part {
  const name = /^\{(\w+)\}$/.exec(text)?.[1];
  return name === undefined ? { word: text } : { name };
}

/** Before any parameter is looked at: most addresses differ in a word. */
function sameWords(parts: readonly Part[], given: readonly string[]): boolean {
  return parts.every((part, i) => !("word" in part) || part.word === given[i]);
}

function paramsOf(parts: readonly Part[], given: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const text = given[i] as string;
    if ("word" in part) continue;
    if (!isParam(part.name, text)) return undefined;
    params[part.name] = text;
  }
  return params;
}

function isParam(name: string, text: string): boolean {
  if (name === "slot") return text === "1" || text === "2";
  const length = text.length < 64 ? fromBase64Url(text)?.length : undefined;
  return length !== undefined && sizes[name]?.includes(length) === true;
}
