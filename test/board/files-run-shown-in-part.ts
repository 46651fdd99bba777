import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "files-run-shown-in-part",
  bug: "of an edit of several frames only the first is shown while it waits",
  oracle: "reads",
  file: "packages/core/src/kinds/files/session.ts",
  find: "else for (const [frame, section] of sections.entries())",
  replace: "else for (const [frame, section] of sections.slice(0, 1).entries())",
  profile: "files",
  seed: 1,
};
