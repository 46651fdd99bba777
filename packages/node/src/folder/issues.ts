/** What of a folder a person should know, one matter a code. */
import type { PlanIssue } from "@tidelock/core/kinds/files/plan/types";
import type { Passed } from "./pass.ts";
import type { Apart, SeenTree } from "./seen.ts";
import { childKey } from "./seen.ts";

export interface FolderIssue {
  readonly code: string;
  readonly count: number;
  /** One of them, where they have paths. */
  readonly path?: string;
}

/** What is left alone on purpose, or for a moment, is no matter. */
const silent: ReadonlySet<Apart> = new Set<Apart>(["ignored", "unsettled", "special-file"]);

export function issuesFrom(
  paused: { readonly code: string } | undefined,
  last: Passed | undefined,
  tree: SeenTree | undefined,
  limited: boolean,
): readonly FolderIssue[] {
  const byCode = new Map<string, FolderIssue>();
  const add = (code: string, count: number, path?: string): void => {
    const before = byCode.get(code);
    const first = before?.path ?? path;
    byCode.set(code, {
      code,
      count: (before?.count ?? 0) + count,
      ...(first === undefined ? {} : { path: first }),
    });
  };
  if (paused !== undefined) add(paused.code, 1);
  for (const issue of last?.issues ?? [])
    add(issue.kind, issue.kind === "guard-deletion" ? issue.count : 1, nameOf(issue));
  for (const [code, count] of last?.failures ?? []) add(code, count);
  for (const [key, { entries }] of tree ?? [])
    for (const { apart, name } of entries.values())
      if (apart !== undefined && !silent.has(apart)) add(apart, 1, childKey(key, name));
  if (limited) add("watching-limited", 1);
  return [...byCode.values()];
}

function nameOf(issue: PlanIssue): string | undefined {
  return "entry" in issue ? new TextDecoder().decode(issue.entry.name) : undefined;
}
