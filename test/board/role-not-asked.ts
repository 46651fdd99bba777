import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "role-not-asked",
  bug: "a viewer's frame counts",
  oracle: "access",
  file: "packages/core/src/engine/judge.ts",
  find: `  if (signer.standing === "reader" && frame.kind === frameKinds.data) return voided("role");`,
  replace: `  if (signer.standing === "reader" && frame.flags === 255) return voided("role");`,
  profile: "members",
  seed: 3,
};
