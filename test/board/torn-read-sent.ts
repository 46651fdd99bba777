import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "torn-read-sent",
  bug: "a file is sent as it was read, whoever wrote into it meanwhile",
  oracle: "ledger",
  file: "packages/node/src/folder/up.ts",
  find: "    if (samePrint(before, entry.print) && samePrint(after, entry.print) && length === after.size) return got;",
  replace:
    "    if (before.ino === entry.print.ino && length <= Number.MAX_SAFE_INTEGER && after.size >= 0) return got;",
  // Its stamp would show it two seconds later.
  also: [
    {
      file: "packages/node/src/folder/up.ts",
      find: "book.put(tx, work.rows, said.time);",
      replace: "book.put(tx, work.rows, said.time + 60_000);",
    },
  ],
  profile: "drive",
  seed: 22,
};
