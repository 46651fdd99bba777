/** What of a folder a person should know, one matter a code. */
import type { PlanIssue } from "@tidelock/core/kinds/files/plan/types";
import { sizeText } from "../vault/content.ts";
import { optional } from "../vault/status.ts";
import type { Passed } from "./pass.ts";
import type { Apart, SeenTree } from "./seen.ts";
import { childKey } from "./seen.ts";

export interface FolderIssue {
  readonly code: string;
  readonly count: number;
  /** One of them, where they have paths. */
  readonly path?: string;
  /** Of that one, where the code does not say it. */
  readonly why?: string;
}

/** What is left alone on purpose, or for a moment, is no matter. */
const silent: ReadonlySet<Apart> = new Set<Apart>(["ignored", "unsettled", "special-file"]);

export function issuesFrom(
  paused: { readonly code: string } | undefined,
  last: Passed | undefined,
  tree: SeenTree | undefined,
  { limited, most }: { readonly limited: boolean; readonly most: number },
): readonly FolderIssue[] {
  const byCode = new Map<string, FolderIssue>();
  const add = (code: string, count: number, path?: string, why?: string): void => {
    const before = byCode.get(code);
    const first = before ?? { ...optional("path", path), ...optional("why", why) };
    byCode.set(code, { ...first, code, count: (before?.count ?? 0) + count });
  };
  if (paused !== undefined) add(paused.code, 1);
  for (const issue of last?.issues ?? [])
    add(issue.kind, issue.kind === "guard-deletion" ? issue.count : 1, nameOf(issue));
  for (const [code, count] of last?.failures ?? []) add(code, count);
  const kept = last?.kept ?? [];
  if (kept.length > 0) add("rejected", kept.length);
  for (const [key, { entries }] of tree ?? [])
    for (const { apart, name, facts } of entries.values()) {
      if (apart === undefined || silent.has(apart)) continue;
      const why = `it has ${sizeText(facts.size)}, and the vault takes ${sizeText(most)}`;
      add(apart, 1, childKey(key, name), apart === "too-large" ? why : undefined);
    }
  if (limited) add("watching-limited", 1);
  return [...byCode.values()];
}

function nameOf(issue: PlanIssue): string | undefined {
  return "entry" in issue ? new TextDecoder().decode(issue.entry.name) : undefined;
}
