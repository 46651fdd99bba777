import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b09-unknown-is-refused",
  bug: "an unknown outcome is taken as refused, and the edit sealed anew under the next device seq",
  oracle: "acked",
  file: "packages/core/src/engine/sync.ts",
  find: '    if (result.kind !== "committed") return noteFailure(result);',
  replace: `    if (result.kind === "unknown") {
      (placed as unknown as { doubt: boolean }).doubt = true;
      return send(current);
    }
    if (result.kind !== "committed") return noteFailure(result);`,
  also: [
    {
      file: "packages/core/src/engine/seal.ts",
      find: "  return inFlight > 0 ? out : sealNew(deps, tx);",
      replace: `  if (out.length > 0 && (placed as unknown as { doubt: boolean }).doubt) {
    (placed as unknown as { doubt: boolean }).doubt = false;
    for (const { deviceSeq } of out) {
      const at = sealedAt(tx, deviceSeq);
      tx.delete(SEQS, u64Key(deviceSeq));
      if (at !== undefined) unseal(tx, at.run);
    }
    return sealNew(deps, tx);
  }
  return inFlight > 0 ? out : sealNew(deps, tx);`,
    },
  ],
  seed: 14,
};
