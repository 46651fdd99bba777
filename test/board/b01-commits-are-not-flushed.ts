import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b01-commits-are-not-flushed",
  bug: "the server's database answers commits that a power cut takes back",
  oracle: "acked",
  file: "packages/server/src/sqlite/file.ts",
  find: '  db.pragma("synchronous = FULL");',
  replace: '  db.pragma("synchronous = NORMAL");',
  profile: "server",
  seed: 22,
};
