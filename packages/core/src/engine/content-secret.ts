/** What content of a vault is cut and sealed under. */
import { concat, u64Key } from "../bytes/bytes.ts";
import { kdfLabels } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import type { ChunkSecret } from "../log/chunk.ts";
import { type Gear, gearOf } from "../log/cut.ts";
import type { Tx } from "../log/tx.ts";
import type { Replica } from "./replica.ts";

/** Undefined while the newest epoch's key, or the vault's settings, are not here. */
export function contentSecret(
  suite: Suite,
  replica: Replica,
  tx: Tx,
): { readonly secret: ChunkSecret; readonly gear: Gear } | undefined {
  const { vault, membership, ring } = replica;
  const epoch = membership.newestEpoch(tx)?.n;
  const key = epoch === undefined ? undefined : ring.epochKey(tx, epoch);
  const seed = membership.settings(tx)?.chunkerSeed;
  if (epoch === undefined || key === undefined || seed === undefined) return undefined;
  const content = suite.kdf(key, kdfLabels.content, concat(vault, u64Key(epoch)), 32);
  return { secret: { vault, content }, gear: gearOf(suite, seed) };
}
