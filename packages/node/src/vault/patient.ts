/**
 * The remote as a set-up sees it: a call that is not answered in time is answered for it, as `unreachable`. So the
 * set-up ends in its own order, and nothing goes on behind the back of a command that has given up.
 */
import { lstat } from "node:fs/promises";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure, Remote } from "@tidelock/core/ports";
import { folderOf, isServer, placeName } from "./remote.ts";
import { answered } from "./stalls.ts";

export interface Patience {
  /** What is left for the next call, ms. */
  left(): number;
}

/** A request to a server ends after a minute by itself, with a better word. */
const CALL = { folder: 30_000, server: 75_000 };

/** `timeoutMs`: for all of it together, where a person said so. */
export function patienceFor(remote: string, timeoutMs: number | undefined): Patience {
  const call = isServer(remote) ? CALL.server : CALL.folder;
  const end = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  return { left: () => Math.max(0, Math.min(call, end - performance.now())) };
}

/** Waits for something that has no answer of its own for silence; `gaveUp` ends it. */
export async function patiently<T>(
  remote: string,
  patience: Patience,
  work: Promise<T>,
  gaveUp: () => void = () => undefined,
): Promise<T> {
  const result = await answered(
    work.then((value) => ({ value })),
    patience.left(),
  );
  if (result !== undefined) return result.value;
  gaveUp();
  // Its own failure comes too late for anybody.
  work.catch(() => undefined);
  throw new TidelockError("unreachable", {
    why: "it does not answer",
    next: `check that ${placeName(remote)}; nothing was set up`,
  });
}

/** Asked before anything that would hold the whole process up: a dead mount answers nothing. */
export async function needAnswer(remote: string | undefined, patience: Patience): Promise<void> {
  if (remote === undefined || isServer(remote)) return;
  const there = lstat(folderOf(remote)).catch(() => undefined);
  await patiently(remote, patience, there);
}

export function patientRemote(remote: Remote, patience: Patience): Remote {
  const silent: Failure = { kind: "unreachable", why: "it does not answer" };
  const within = async <T>(work: Promise<T>): Promise<T | Failure> =>
    (await answered(work, patience.left())) ?? silent;
  return {
    caps: remote.caps,
    create: (genesis) => within(remote.create(genesis)),
    genesis: () => within(remote.genesis()),
    read: (after, want) => within(remote.read(after, want)),
    // It may have been placed.
    append: async (frames, seen) =>
      (await answered(remote.append(frames, seen), patience.left())) ?? { kind: "unknown" },
    putBlob: (id, bytes) => within(remote.putBlob(id, bytes)),
    getBlob: (id, part) => within(remote.getBlob(id, part)),
    listBlobs: (after) => within(remote.listBlobs(after)),
    deleteBlobs: (ids, condemnedAt) => within(remote.deleteBlobs(ids, condemnedAt)),
    close: () => remote.close(),
  };
}
