import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b25-removed-device-still-writes",
  bug: "a removed device's frame is accepted when it arrives late",
  oracle: "access",
  file: "packages/core/src/engine/judge.ts",
  find: `  if (signer.standing === "removed") return voided("removed");`,
  replace: `  if (signer.standing === "removed" && frame.epoch === 0) return voided("removed");`,
  profile: "members",
  seed: 72,
};
