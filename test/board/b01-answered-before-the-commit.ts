import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b01-answered-before-the-commit",
  bug: "the server's store answers when a write is in the transaction, not when that is durable",
  oracle: "acked",
  file: "packages/server/src/sqlite/group.ts",
  find: "      return () => job.done(value);",
  replace: `      job.done(value);
      return () => undefined;`,
  profile: "server",
  seed: 59,
};
