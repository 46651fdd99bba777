/** How full the vault's place is, as it was told last: kept in the home, so that each process tells the same. */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { ReplicaStore } from "@tidelock/core/ports";
import type { Matter } from "./issues.ts";
import { HOME_SPACE } from "./place.ts";

const ROOM = encodeUtf8("room");

/** `used`: percent, 0 where nothing was said of it. Written only where it has changed. */
export function noteRoom(store: ReplicaStore, used: number): void {
  if (used === roomUsed(store)) return;
  try {
    if (used === 0) store.delete(HOME_SPACE, ROOM);
    else store.put(HOME_SPACE, ROOM, new Writer(1).u8(used).done());
  } catch {
    // A full or dying disk is an issue itself, and the worse one.
  }
}

function roomUsed(store: ReplicaStore): number {
  const bytes = store.get(HOME_SPACE, ROOM);
  return bytes === undefined ? 0 : new Reader(bytes).u8();
}

/** Before anything is refused, and while that still helps. */
export function nearlyFull(store: ReplicaStore): readonly Matter[] {
  const used = roomUsed(store);
  if (used === 0) return [];
  return [
    {
      code: "quota-near",
      why: `${used} % of the room on the server is used; once it is full, edits wait on this device`,
      next: "ask whoever runs the server for more room",
    },
  ];
}
