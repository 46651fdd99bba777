/**
 * A copied home would use this device's numbers a second time. It is noticed by where it lies; a
 * restored one at the latest by `op-reused` from the log. Either sends nothing until it has joined anew.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { ReplicaStore } from "@tidelock/core/ports";
import { encodePlacement, isCopied, parsePlacement, placementOf } from "../home/machine.ts";
import type { HomePaths } from "../home/paths.ts";
import { HOME_SPACE, type VaultPlace } from "./place.ts";

const PLACEMENT = encodeUtf8("placement");
const ENROL = encodeUtf8("enrol-anew");

export function rememberPlacement(store: ReplicaStore, paths: HomePaths, place: VaultPlace): void {
  store.put(HOME_SPACE, PLACEMENT, encodePlacement(placementOf(paths.lock, place.replica)));
}

/**
 * The lock must be held: its file is part of the proof. One of two files made anew is taken note
 * of. `unknown`: a set-up that was cut short.
 */
export function checkPlacement(
  store: ReplicaStore,
  paths: HomePaths,
  place: VaultPlace,
): "here" | "copied" | "unknown" {
  const bytes = store.get(HOME_SPACE, PLACEMENT);
  const now = placementOf(paths.lock, place.replica);
  if (bytes === undefined) return "unknown";
  const then = parsePlacement(bytes);
  if (isCopied(then, now)) return "copied";
  if (then.lock !== now.lock || then.replica !== now.replica) rememberPlacement(store, paths, place);
  return "here";
}

/** The log said that another copy of this device is at work: kept, so that a later `join` may enrol anew. */
export function noteEnrolAnew(store: ReplicaStore): void {
  store.put(HOME_SPACE, ENROL, new Uint8Array([1]));
}

export function enrolAnewNoted(store: ReplicaStore): boolean {
  return store.get(HOME_SPACE, ENROL) !== undefined;
}

export function copiedError(): TidelockError {
  return new TidelockError("op-reused", {
    why: "its files are a copy; the device they belong to may be at work elsewhere",
    next: "tidelock join --remote DIR --words, which adds this copy as a device of its own",
  });
}
