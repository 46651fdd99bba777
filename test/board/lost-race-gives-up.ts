import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "lost-race-gives-up",
  bug: "an act that lost a race is given up",
  oracle: "outbox",
  file: "packages/core/src/engine/settle.ts",
  find: `"content", "member-race"]);`,
  replace: `"content"]);`,
  profile: "members",
  seed: 36,
};
