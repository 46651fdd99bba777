/** Per seq its verdict and the log time after it, for `log`, `why` and `history`. Local, derived. */
import { u64Key } from "../bytes/bytes.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Tx } from "../log/tx.ts";

export const VERDICTS = "e.verdict";

export interface KeptVerdict {
  readonly time: number;
  /** Empty for an accepted entry. */
  readonly reason: string;
}

export function putVerdict(tx: Tx, seq: number, verdict: KeptVerdict): void {
  tx.put(VERDICTS, u64Key(seq), new Writer(32).u48(verdict.time).str(verdict.reason).done());
}

export function getVerdict(tx: Tx, seq: number): KeptVerdict | undefined {
  const bytes = tx.get(VERDICTS, u64Key(seq));
  if (bytes === undefined) return undefined;
  const r = new Reader(bytes);
  return { time: r.u48(), reason: r.str(64) };
}
