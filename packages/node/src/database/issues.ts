/** What of an attachment waits for a person, or for a cause to go away. */
import { toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { RowKey } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { Core } from "./core.ts";

export type IssueCode =
  | "guard-deletion"
  | "null-key"
  | "row-too-large"
  | "row-refused"
  | "trigger-fights"
  | "went-back"
  | "schema-changed"
  | "file-missing"
  | "detached"
  | "database-busy"
  | "attached-elsewhere"
  | "not-sqlite"
  | "read-only"
  | "disk-full"
  | "internal";

/** The issue that an error of a step is. */
export function issueOf(error: unknown): IssueCode {
  const code = error instanceof TidelockError ? error.code : "internal";
  return told.find((known) => known === code) ?? "internal";
}

/** Errors of a step that a person is told by their own name. */
const told = ["database-busy", "attached-elsewhere", "not-sqlite", "read-only", "disk-full"] as const;

export interface Issue {
  /** Names it for `approve` and `undo`; stays the same while it lasts. */
  readonly id: string;
  readonly code: IssueCode;
  readonly table: string | undefined;
  readonly key: RowKey | undefined;
  /** How many rows. */
  readonly count: number;
  /** SQLite's or our own words, with no value of a row in ours. */
  readonly text: string;
}

export function rowIssues(core: Core, tx: Tx, nullKeys: ReadonlyMap<number, number>): readonly Issue[] {
  const nameOf = (table: number): string => core.byNumber.get(table)?.vault.name ?? String(table);
  const issues: Issue[] = [];
  const held = new Map<number, number>();
  for (const h of core.registry.helds(tx)) held.set(h.table, (held.get(h.table) ?? 0) + 1);
  for (const [number, count] of held) {
    const table = nameOf(number);
    issues.push({
      id: `guard-deletion:${table}`,
      code: "guard-deletion",
      table,
      key: undefined,
      count,
      text: `${count} deletions wait for your word`,
    });
  }
  for (const [number, count] of nullKeys) {
    if (count === 0) continue;
    const table = nameOf(number);
    issues.push({
      id: `null-key:${table}`,
      code: "null-key",
      table,
      key: undefined,
      count,
      text: `${count} rows have a NULL in their key and are not synced`,
    });
  }
  for (const { table: number, key, aside } of core.registry.asides(tx)) {
    const table = nameOf(number);
    issues.push({
      id: `${aside.reason}:${table}:${toHex(key)}`,
      code: aside.reason,
      table,
      key,
      count: 1,
      text: aside.text,
    });
  }
  for (const { table: number, key } of core.registry.kept(tx)) {
    const table = nameOf(number);
    issues.push({
      id: `went-back:${table}:${toHex(key)}`,
      code: "went-back",
      table,
      key,
      count: 1,
      text: "edited on an older copy of the file, deleted elsewhere since",
    });
  }
  return issues;
}
