import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "content-asks-too-soon",
  bug: "who reads content asks a remote again before the time that it has named",
  oracle: "bounded",
  file: "packages/core/src/engine/engine.ts",
  find: "remote: turns?.remote,",
  replace: "remote: options.remote,",
  profile: "drive",
  seed: 163,
};
