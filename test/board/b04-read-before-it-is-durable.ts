import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b04-read-before-it-is-durable",
  bug: "readers are served from a tail in memory that holds what is still being written",
  oracle: "ghost",
  file: "packages/server/src/log/queue.ts",
  find: "      const [taken] = await store.commit([write]);",
  replace: `      this.tail.set(toHex(vault), write.entries);
      const [taken] = await store.commit([write]);`,
  also: [
    {
      file: "packages/server/src/log/queue.ts",
      find: "  #bytes = 0;\n",
      replace: '  #bytes = 0;\n  readonly tail = new Map<string, VaultWrite["entries"]>();\n',
    },
    {
      file: "packages/server/src/routes/frames.ts",
      find: '      const head = standing.kind === "removed" ? standing.at : row.head.seq;',
      replace: `      const tail = services.queue.tail.get(Buffer.from(row.vault).toString("hex")) ?? [];
      const head = standing.kind === "removed" ? standing.at : Math.max(row.head.seq, tail.at(-1)?.seq ?? 0);`,
    },
    {
      file: "packages/server/src/routes/frames.ts",
      find: "      const pages = readPages(services.store, row.vault, after, { frames, bytes });",
      replace: `      const store = {
        ...services.store,
        entries: async (...args: Parameters<LogStore["entries"]>) => {
          const found = await services.store.entries(...args);
          const last = found.at(-1)?.seq ?? args[1];
          return [...found, ...tail.filter((one) => one.seq > last)];
        },
      };
      const pages = readPages(store, row.vault, after, { frames, bytes });`,
    },
  ],
  profile: "server",
  seed: 2,
};
