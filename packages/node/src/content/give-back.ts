/** Once a day, while a session is at work, what nothing needs any more on the remote is given up. */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import { giveUpBlobs } from "@tidelock/core/engine/give-up";
import type { Log, Scheduler } from "@tidelock/core/ports";
import { HOME_SPACE } from "../vault/place.ts";
import type { Session } from "../vault/session.ts";

const DAY = 86_400_000;
/** Between two looks whether it is due, ms. The first comes at a moment of its own: devices are started together. */
const LOOK = 3_600_000;
const LAST = encodeUtf8("gave-back");

export function keepGivingBack(session: Session, scheduler: Scheduler, log: Log): () => void {
  const [chance] = session.suite.random(1);
  let stopped = false;
  let cancel = scheduler.after(LOOK / 4 + ((chance as number) / 256) * LOOK, look);

  function look(): void {
    void tryGivingBack(session, scheduler, log).then(() => {
      if (!stopped) cancel = scheduler.after(LOOK, look);
    });
  }

  return () => {
    stopped = true;
    cancel();
  };
}

/** Where it is due; what it could not do is tried again at the next look. */
export async function tryGivingBack(session: Session, scheduler: Scheduler, log: Log): Promise<void> {
  const { replica, engine, remote, store, clock } = session;
  const now = Math.max(0, Math.floor(clock.now()));
  const bytes = store.get(HOME_SPACE, LAST);
  const last = bytes === undefined ? undefined : new Reader(bytes).u48();
  // A clock that went back must not put it off for ever.
  const isDue = last === undefined || now < last || now - last >= DAY;
  if (!isDue || remote === undefined || session.paused() !== undefined) return;
  try {
    const given = await giveUpBlobs({ replica, engine, remote, scheduler });
    if (given.kind !== "ok") return;
    const { condemned, deleted, bytes: freed } = given;
    log.event("room.given-back", { condemned, deleted, bytes: freed });
    store.put(HOME_SPACE, LAST, new Writer(8).u48(now).done());
  } catch {
    // Closed meanwhile, or a fault of the disk that everything else shows.
    log.event("room.kept");
  }
}
