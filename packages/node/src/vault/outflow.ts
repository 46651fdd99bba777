/** Packs that leave while more is cut: what waits here for the remote is bounded, also while it is away. */
import type { Engine } from "@tidelock/core/engine/api";
import type { Replica } from "@tidelock/core/engine/replica";
import type { Clock, Remote, Scheduler } from "@tidelock/core/ports";

/** Bytes of packs that may wait here to be sent. Then cutting waits for the remote. */
const SPOOL = 512 << 20;

/** A wait ends in which nothing leaves for so long, ms: whoever cuts holds a file open. */
const STANDSTILL = 30_000;
const LOOK = 250;
/** What is sent together. */
const BATCH = 64 << 20;

interface Filling {
  readonly replica: Pick<Replica, "spooledBytes">;
  readonly remote: Remote | undefined;
  /** In place of `SPOOL`, where a test shall not write so much. */
  readonly spool?: number;
}

interface Outflow extends Filling {
  readonly engine: Pick<Engine, "syncNow" | "facts">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** A vault of this device alone keeps all of it here, for good. */
export function isFull({ replica, remote, spool = SPOOL }: Filling): boolean {
  return remote !== undefined && replica.spooledBytes() >= spool;
}

/** Enough of it to begin anew with what was given up: each time all of a file is read again. */
export function hasRoom({ replica, spool = SPOOL }: Filling): boolean {
  return replica.spooledBytes() <= spool / 2;
}

/** False where none comes: the remote is away or does not move, it is paused, or nobody wants it any more. */
export async function roomComes(flow: Outflow, stopped: () => boolean): Promise<boolean> {
  const { replica, engine, clock, scheduler } = flow;
  let [least, since, over] = [replica.spooledBytes(), clock.mono(), false];
  const sent = engine.syncNow().then(() => {
    over = true;
  });
  while (isFull(flow)) {
    const now = replica.spooledBytes();
    if (now < least) [least, since] = [now, clock.mono()];
    if (over || stopped() || clock.mono() - since > STANDSTILL) return false;
    await Promise.race([sent, new Promise<void>((resolve) => void scheduler.after(LOOK, resolve))]);
  }
  return true;
}

/**
 * From time to time all that waits leaves before more is cut, while it does leave: only then go the changes that name
 * it, and others' are read.
 */
export async function drained(flow: Outflow, stopped: () => boolean): Promise<void> {
  const { replica, engine, clock, scheduler, remote } = flow;
  if (remote === undefined || replica.spooledBytes() < BATCH) return;
  let [least, since] = [replica.spooledBytes(), clock.mono()];
  while (replica.spooledBytes() > 0 && engine.facts().transition === "syncing" && !stopped()) {
    const now = replica.spooledBytes();
    if (now < least) [least, since] = [now, clock.mono()];
    if (clock.mono() - since > STANDSTILL) return;
    await new Promise<void>((resolve) => void scheduler.after(LOOK, resolve));
  }
}
