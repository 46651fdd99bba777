import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "files-run-shown-in-part",
  bug: "of an edit of several frames only the first is shown while it waits",
  oracle: "reads",
  file: "packages/core/src/kinds/files/session.ts",
  find: "else this.#showRun(sections);",
  replace: "else this.#showRun(sections.slice(0, 1));",
  profile: "files",
  seed: 1,
};
