import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "removal-without-rotation",
  bug: "who was removed keeps a key that opens what comes after",
  oracle: "access",
  file: "packages/core/src/vault/roster.ts",
  find: `    this.#put({ ...target, removedAt: this.#act.seq });
    this.#cancelInvites(gone);
    this.#rotationDue = true;`,
  replace: `    this.#put({ ...target, removedAt: this.#act.seq });
    this.#cancelInvites(gone);`,
  profile: "members",
  seed: 24,
};
