/** Several devices with a file each over one log, for tests. */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { ReplicaStore } from "@tidelock/core/ports";
import { Device, TestTime } from "./device.ts";
import { SharedLog } from "./harness.ts";
import { type Folder, temporaryFolder } from "./writers.ts";

export interface World {
  readonly time: TestTime;
  readonly log: SharedLog;
  readonly folder: Folder;
  readonly devices: readonly Device[];
  /** Everything everywhere until nothing moves. */
  settle(): Promise<void>;
  end(): void;
}

export interface WorldOptions {
  readonly devices: number;
  readonly suite: Suite;
  readonly makeStore: (spaces: readonly string[]) => ReplicaStore;
  readonly vault?: number;
}

const BIRTH = Date.UTC(2026, 0, 1);

export function createWorld({ devices: count, suite, makeStore, vault = 1 }: WorldOptions): World {
  const folder = temporaryFolder();
  // The triggers read the machine's clock, so log time may not lie behind it.
  const now = Math.max(Date.now(), BIRTH);
  const time = new TestTime(now);
  const log = new SharedLog(now);
  const devices = Array.from(
    { length: count },
    (_, i) =>
      new Device({
        log,
        vault: new Uint8Array(32).fill(vault),
        index: i + 1,
        suite,
        time,
        makeStore,
        path: folder.file(`app${i + 1}.db`),
      }),
  );
  return {
    time,
    log,
    folder,
    devices,
    async settle() {
      for (let round = 0; round < 4; round++) {
        for (const d of devices) {
          time.pass(1000);
          await d.attachment?.pump();
          d.engine.push();
        }
        for (const d of devices) d.engine.pull();
      }
      for (const d of devices) await d.attachment?.pump();
    },
    end() {
      for (const d of devices) d.attachment?.close();
      folder.remove();
    },
  };
}
