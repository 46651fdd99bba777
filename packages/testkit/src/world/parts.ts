/** What a simulated device is made of: stand-ins in memory that are fast, or what ships (layer 3). */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { ReplicaStore } from "@tidelock/core/ports";
import { MapReplicaStore } from "../map-store.ts";
import { createFastSuite } from "./fast-suite.ts";
import type { Stream } from "./random.ts";

/** A committed state of a replica. Never changes; may be opened any number of times. */
export interface DiskImage {
  readonly open: () => Disk;
}

export interface Disk {
  readonly store: ReplicaStore;
  /** The state after the last committed transaction. The store goes on. */
  image(): DiskImage;
  /**
   * Ends at this very moment, also amid a transaction, and answers what is found at the next start.
   * With `power`, the stream says what of the unsynced is left.
   */
  end(power: Stream | undefined): DiskImage;
  /** Until the answer is called no byte more fits. Absent where that is not known: the caller fails instead. */
  fill?(): () => void;
}

/** Of one history. Every draw of a suite comes from the seed. */
export interface Parts {
  readonly suite: (random: (n: number) => Uint8Array) => Suite;
  readonly newDisk: (spaces: readonly string[]) => Disk;
  /** The history is over, however it ended. */
  readonly close: () => void;
}

export const fastParts: Parts = {
  suite: createFastSuite,
  newDisk: (spaces) => mapDisk(new MapReplicaStore(spaces)),
  close: () => undefined,
};

function mapDisk(store: MapReplicaStore): Disk {
  const image = (): DiskImage => {
    const rows = store.image();
    return { open: () => mapDisk(MapReplicaStore.fromImage(rows)) };
  };
  return { store, image, end: image };
}
