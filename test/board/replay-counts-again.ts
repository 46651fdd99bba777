import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "replay-counts-again",
  bug: "a frame that is placed a second time is applied a second time",
  oracle: "intent",
  file: "packages/core/src/engine/judge.ts",
  find: `  if (frame.deviceSeq <= track.seq)
    return voided(`,
  replace: `  if (frame.deviceSeq < 0)
    return voided(`,
  also: [
    {
      file: "packages/core/src/engine/judge.ts",
      find: `  if (frame.anchorSeq < track.anchorSeq) return voided("anchor");
  if (frame.deviceSeq !== track.seq + 1) return voided("device-seq");`,
      replace: '  if (frame.deviceSeq > track.seq + 1) return voided("device-seq");',
    },
  ],
  seed: 6,
};
