import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b10-committed-is-the-verdict",
  bug: "an edit leaves the outbox when a remote took it, not at its verdict",
  oracle: "outbox",
  file: "packages/core/src/engine/replica.ts",
  find: `      const { applied } = read(getCursor);
      for (const [i, deviceSeq] of deviceSeqs.entries()) {
        if (first + i > applied)`,
  replace: `      write((tx) => {
        for (const [i, deviceSeq] of deviceSeqs.entries()) {
          const at = new Reader(tx.get(SEQS, u64Key(deviceSeq)) ?? new Uint8Array(1)).v();
          decided.push({ run: at, verdict: { kind: "accepted", seq: first + i } });
        }
      });
      const { applied } = read(getCursor);
      for (const [i, deviceSeq] of deviceSeqs.entries()) {
        if (first + i > applied)`,
  seed: 1,
};
