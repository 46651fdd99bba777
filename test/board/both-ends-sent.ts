import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "both-ends-sent",
  bug: "own edits that stand in both ends are made anew",
  oracle: "intent",
  file: "packages/core/src/engine/take-back.ts",
  find: `  if (mine.length > 0) putOwn(tx, { ...own, settled: Math.min(own.settled, settled) });
`,
  replace: "",
  also: [
    {
      file: "packages/core/src/engine/take-back.ts",
      find: `    putFrame(tx, { run: id, index, ...opened, deviceSeq, sealed: entry.frame as Sealed });
    if (entry.seq >= from) remember`,
      replace: `    putFrame(tx, { run: id, index, ...opened, deviceSeq: 0, sealed: undefined });
    if (from === 0) remember`,
    },
  ],
  seed: 90,
};
