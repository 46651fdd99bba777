/**
 * Unsent edits of a copied or restored home go on under its new device. The device they were made
 * on may send them too; a second time they change nothing, because merging is idempotent.
 */
import type { Sealed } from "@tidelock/core/bytes/brand";
import { concat } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { framesOf, runs } from "@tidelock/core/engine/outbox";
import type { Replica } from "@tidelock/core/engine/replica";
import { SPOOL } from "@tidelock/core/engine/spool";
import { decodeSections } from "@tidelock/core/log/plaintext";
import { Tx } from "@tidelock/core/log/tx";
import { carryMemories } from "../database/memory.ts";
import { createKinds, openStore, type VaultPlace } from "./place.ts";

/** Queues in `replica` what waits in the outbox at `from`. Answers how many runs. */
export function carryOver(suite: Suite, from: VaultPlace, replica: Replica): number {
  const store = openStore(from, createKinds(suite));
  try {
    const tx = new Tx(store, suite, new Map(), 0n);
    replica.write((to) => carryMemories(tx, to));
    // What they name waits here as well: it is stored before them.
    for (let after: Uint8Array = new Uint8Array(0); ; ) {
      const [blob] = store.scan(SPOOL, after, undefined, 1);
      if (blob === undefined) break;
      const [id, bytes] = blob;
      replica.write((to) => replica.spool(to, id, bytes as Sealed));
      after = concat(id, Uint8Array.of(0));
    }
    let carried = 0;
    for (const run of runs(tx)) {
      const frames = [...framesOf(tx, run.id)].flatMap((frame) => {
        // Empty: a frame made whole, such as this device's own admission. An act was meant in the old device's name.
        const sections =
          frame.changes.length === 0 || frame.act === true ? null : decodeSections(frame.changes);
        return sections === null ? [] : [{ sections, compressOff: frame.stored }];
      });
      if (frames.length === 0) continue;
      replica.write((to) => replica.submit(to, { frames }));
      carried++;
    }
    return carried;
  } finally {
    store.close();
  }
}
