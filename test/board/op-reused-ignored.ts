import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "op-reused-ignored",
  bug: "frames of another copy of this device pass for its own",
  oracle: "outbox",
  file: "packages/core/src/engine/settle.ts",
  find: "  return at === undefined || !equalBytes(at.id, entry.id);",
  replace: "  return at === undefined && equalBytes(entry.id, entry.link.hash);",
  seed: 107,
};
