/**
 * What to do so that a folder of the disk and the log say the same: a pure function of the three
 * trees. Rules: docs/spec/plan.md.
 */
import { planDown } from "./down.ts";
import { guard, judgeAbsent } from "./judge.ts";
import { pair } from "./pair.ts";
import { readDisk, readView } from "./trees.ts";
import type {
  DiskProfile,
  LocalEntry,
  Plan,
  PlanIssue,
  PlanOptions,
  PlanView,
  Step,
  SyncedRow,
} from "./types.ts";
import { planUp } from "./up.ts";
import type { Work } from "./work.ts";

export function plan(
  view: PlanView,
  local: readonly LocalEntry[],
  synced: readonly SyncedRow[],
  profile: DiskProfile,
  options: PlanOptions,
): Plan {
  const issues: PlanIssue[] = [];
  const shown = readView(view, profile);
  const disk = readDisk(local, issues);
  const pairs = pair(view, shown, disk, synced, issues);
  const absence = judgeAbsent(shown, pairs, view.self);
  const withheld = guard(shown, pairs, absence, options, issues);
  const work: Work = {
    view,
    shown,
    disk,
    pairs,
    profile,
    options,
    absence,
    withheld,
    issues,
    adopted: new Map(),
    twins: new Map(),
    unread: new Set(pairs.unread),
    book: [],
    ups: [],
    downs: [],
  };
  planUp(work);
  planDown(work);
  const reads = [...work.unread].map((node): Step => ({ do: "hash", entry: node.entry as LocalEntry }));
  return { steps: [...reads, ...work.book, ...work.ups, ...work.downs], issues };
}
