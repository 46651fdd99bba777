import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "replaced-unseen",
  bug: "a file is replaced whatever it has become since it was looked at",
  oracle: "ledger",
  file: "packages/node/src/folder/hands.ts",
  find: "if (!samePrint(await fs.look(target), expected)) return MOVED;\n      if (hardLinks) {",
  replace:
    "if (expected !== undefined) {\n        await fs.rename(made, target);\n        return await this.#done(key);\n      }\n      if (hardLinks) {",
  profile: "drive",
  seed: 70,
};
