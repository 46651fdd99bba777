/** Changes of the tree on their way: durable here in one transaction, with the packs that they name. */
import { randomBytes } from "node:crypto";
import type { RunFrame } from "@tidelock/core/engine/api";
import { encodeSection } from "@tidelock/core/kinds/files/codec";
import type { FileChange, Op } from "@tidelock/core/kinds/files/types";
import type { Pack } from "@tidelock/core/log/pack";
import type { Tx } from "@tidelock/core/log/tx";
import { storedFrame } from "./content.ts";
import type { Session } from "./session.ts";

const FILES = 3;

/** What every change says of itself. */
export type Made = () => { readonly op: Op; readonly base: number; readonly time: number };

export function madeNow(session: Session): Made {
  const said = { base: session.replica.cursor().applied, time: Math.max(0, Math.floor(session.clock.now())) };
  return () => ({ op: new Uint8Array(randomBytes(16)) as Op, ...said });
}

/** The run's id. */
export function submitFiles(
  session: Session,
  packs: readonly Pack[],
  changes: (tx: Tx) => readonly FileChange[],
): number {
  const { engine, replica } = session;
  return engine.write((tx) => {
    const section = { label: session.deviceName(), approved: false, changes: changes(tx) };
    for (const { stored, bytes } of packs) replica.spool(tx, stored.pack, bytes);
    const last: RunFrame = { sections: new Map([[FILES, encodeSection(section)]]) };
    return engine.submit(tx, { frames: [...packs.map(storedFrame), last] });
  });
}
