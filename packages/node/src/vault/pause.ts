/** A person's word that nothing goes out or comes in, kept in the home until it is taken back. */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import { TidelockError } from "@tidelock/core/errors";
import type { ReplicaStore } from "@tidelock/core/ports";
import { HOME_SPACE } from "./place.ts";

export interface Pause {
  /** Wall clock, ms since 1970; absent: until somebody resumes. */
  readonly until: number | undefined;
}

const PAUSE = encodeUtf8("pause");

/** A pause that has run out counts as none, whether or not anybody was there to see it end. */
export function pauseOf(store: ReplicaStore, now: number): Pause | undefined {
  const bytes = store.get(HOME_SPACE, PAUSE);
  if (bytes === undefined) return undefined;
  const until = new Reader(bytes).u48();
  if (until === 0) return { until: undefined };
  return now < until ? { until } : undefined;
}

export function putPause(store: ReplicaStore, pause: Pause | undefined): void {
  if (pause === undefined) store.delete(HOME_SPACE, PAUSE);
  else store.put(HOME_SPACE, PAUSE, new Writer(8).u48(pause.until ?? 0).done());
}

export function pausedError(pause: Pause): TidelockError {
  const end = pause.until === undefined ? "" : ` until ${new Date(pause.until).toISOString()}`;
  return new TidelockError("paused", { why: `you paused it${end}; edits wait here` });
}
