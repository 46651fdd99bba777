import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "second-process-overwrites",
  bug: "of two processes on one file each places its entries as if the other were not there",
  oracle: "ghost",
  file: "packages/server/src/sqlite/writes.ts",
  find: "log_bytes = log_bytes + @bytes WHERE n = @n AND head_seq = @from`",
  replace: "log_bytes = log_bytes + @bytes WHERE n = @n AND @from = @from`",
  also: [
    {
      file: "packages/server/src/sqlite/writes.ts",
      find: '"INSERT INTO log (vault_n',
      replace: '"INSERT OR REPLACE INTO log (vault_n',
    },
  ],
  profile: "server",
  seed: 18,
};
