import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "rollback-not-checked",
  bug: "a remote may show less than it did before",
  oracle: "ghost",
  file: "packages/core/src/engine/ingest.ts",
  find: `  if (page.head < Math.max(promised, cursor.applied)) return halt("rollback");
  if (page.head < cursor.read) {`,
  replace: `  if (page.head < Math.max(promised, cursor.applied)) return { kind: "ok", fresh: 0, replaced: false };
  if (page.head < cursor.read) {`,
  seed: 108,
};
