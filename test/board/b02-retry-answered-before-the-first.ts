import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b02-retry-answered-before-the-first",
  bug: "a retry is answered with its place while the first copy is still being written",
  oracle: "acked",
  file: "packages/server/src/log/queue.ts",
  find: "    return new Promise((resolve, reject) => {\n      const key = toHex(vault);",
  replace: `    const early = this.#early.get(toHex((request.frames[0] as { id: Uint8Array }).id));
    if (early !== undefined) return Promise.resolve(early);
    return new Promise((resolve, reject) => {
      const key = toHex(vault);`,
  also: [
    {
      file: "packages/server/src/log/queue.ts",
      find: "      const [taken] = await store.commit([write]);",
      replace: `      for (const [i, { frames }] of requests.entries())
        this.#early.set(toHex((frames[0] as { id: Uint8Array }).id), answers[i] as Appended);
      const [taken] = await store.commit([write]);`,
    },
    {
      file: "packages/server/src/log/queue.ts",
      find: "  #bytes = 0;\n",
      replace: "  #bytes = 0;\n  readonly #early = new Map<string, Appended>();\n",
    },
  ],
  profile: "server",
  seed: 64,
};
