import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "old-name-removed-unseen",
  bug: "when a file is renamed, whatever lies under its old name by then is removed",
  oracle: "ledger",
  file: "packages/node/src/folder/hands.ts",
  find: `        await fs.link(old, target);
        if (!(await this.#takeName(old, expected))) return MOVED;`,
  replace: `        await fs.link(old, target);
        await fs.unlink(old);`,
  profile: "drive",
  seed: 855,
};
