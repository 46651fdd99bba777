/** Changes of the tree on their way: frames of a run, durable here in one transaction with the packs that they name. */
import { randomBytes } from "node:crypto";
import { limits } from "@tidelock/core/bytes/limits";
import type { Engine, RunFrame } from "@tidelock/core/engine/api";
import { encodeSection } from "@tidelock/core/kinds/files/codec";
import type { FileChange, Op } from "@tidelock/core/kinds/files/types";
import { encodeHousekeeping, HOUSEKEEPING } from "@tidelock/core/log/housekeeping";
import type { Pack } from "@tidelock/core/log/pack";
import type { Tx } from "@tidelock/core/log/tx";
import type { Session } from "./session.ts";

const FILES = 3;
/** Bytes of the changes of one frame, below `limits.frame` with what a seal adds. */
const FRAME = 512 << 10;
/** Of one frame: their records stay well below its size. */
const CHUNKS_PER_FRAME = 2048;

/** The part of a session, or of a folder's host, that sends. */
export type Sends = Pick<Session, "replica" | "deviceName"> & {
  readonly engine: Pick<Engine, "write" | "submit" | "facts">;
};

/** What every change says of itself. */
export type Made = () => { readonly op: Op; readonly base: number; readonly time: number };

export function madeNow(session: Session): Made {
  const said = { base: session.replica.cursor().applied, time: Math.max(0, Math.floor(session.clock.now())) };
  return () => ({ op: new Uint8Array(randomBytes(16)) as Op, ...said });
}

/** Durable when it returns. The run's id. */
export function submitFiles(
  host: Sends,
  packs: readonly Pack[],
  changes: (tx: Tx) => readonly FileChange[],
): number {
  return host.engine.write((tx) => submitIn(tx, host, packs, changes(tx)));
}

/** Packs alone, before the change that names them is made; unused, they are given up in time. */
export function submitPacks(host: Sends, packs: readonly Pack[]): void {
  host.engine.write((tx) => submitIn(tx, host, packs, []));
}

/** Of a pack that the remote has. */
export function submitStored(host: Sends, pack: Pack): void {
  host.engine.write((tx) => host.engine.submit(tx, { frames: [storedFrame(pack)] }));
}

/** As one run of the transaction: the packs, then the changes in as few frames as hold them, in their order. */
export function submitIn(
  tx: Tx,
  { engine, replica, deviceName }: Sends,
  packs: readonly Pack[],
  changes: readonly FileChange[],
): number {
  for (const { stored, bytes } of packs) replica.spool(tx, stored.pack, bytes);
  return engine.submit(tx, { frames: [...packs.map(storedFrame), ...changeFrames(deviceName(), changes)] });
}

function storedFrame({ stored }: Pack): RunFrame {
  if (stored.chunks.length > CHUNKS_PER_FRAME) throw new RangeError("more chunks than a pack has");
  return { sections: new Map([[HOUSEKEEPING, encodeHousekeeping([{ kind: "stored", stored }])]]) };
}

function changeFrames(label: string, changes: readonly FileChange[]): readonly RunFrame[] {
  const sections = (some: readonly FileChange[]): Uint8Array =>
    encodeSection({ label, approved: false, changes: some });
  const frames: RunFrame[] = [];
  let some: FileChange[] = [];
  let bytes = 0;
  const close = (): void => {
    if (some.length > 0) frames.push({ sections: new Map([[FILES, sections(some)]]) });
    [some, bytes] = [[], 0];
  };
  for (const change of changes) {
    const size = sections([change]).length;
    if (some.length >= limits.changesPerFrame || bytes + size > FRAME) close();
    some.push(change);
    bytes += size;
  }
  close();
  return frames;
}
