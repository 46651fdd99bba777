import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "replica-not-flushed",
  bug: "commits of the replica do not wait for the disk",
  oracle: "outbox",
  file: "packages/node/src/store/sql-store.ts",
  find: '=== "wal" ? "FULL"',
  replace: '=== "wal" ? "NORMAL"',
  layer: 3,
  seed: 141,
};
