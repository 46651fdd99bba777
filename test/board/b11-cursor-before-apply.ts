import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b11-cursor-before-apply",
  bug: "the cursor is saved in a transaction of its own, before what it covers is applied",
  oracle: "digest",
  file: "packages/core/src/engine/replica.ts",
  find: `    const applied = write((tx) => {
      const result = applyEntries(deps, tx, budget, pass);`,
  replace: `    const before = read(getCursor);
    if (before.read > before.applied)
      write((tx) => tx.put(META, encodeUtf8("cursor"), new Writer(24).v(before.read).v(before.read).u48(before.time).done()));
    const applied = write((tx) => {
      tx.put(META, encodeUtf8("cursor"), new Writer(24).v(before.read).v(before.applied).u48(before.time).done());
      const result = applyEntries(deps, tx, budget, pass);`,
  seed: 5,
};
