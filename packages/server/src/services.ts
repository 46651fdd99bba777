/** What handlers work with. Everything of a host comes in here. */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Log, Scheduler } from "@tidelock/core/ports";
import type { Registration } from "./auth/sign-in.ts";
import type { Tokens } from "./auth/token.ts";
import type { BlobBytes } from "./blobs/bytes.ts";
import type { Turns } from "./blobs/turns.ts";
import type { Uploads } from "./blobs/uploads.ts";
import type { AppendQueue } from "./log/queue.ts";
import type { Metrics } from "./metrics.ts";
import type { LogStore } from "./store.ts";
import type { SlotWaiters } from "./wake/slots.ts";

export interface Services {
  readonly store: LogStore;
  readonly blobs: BlobBytes;
  readonly queue: AppendQueue;
  readonly tokens: Tokens;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: (n: number) => Uint8Array;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly slots: SlotWaiters;
  /** The server's address as clients know it: what signatures and sessions are bound to. */
  readonly audience: string;
  readonly registration: Registration;
  /** Throws where nothing can be written. Anybody may ask, so it looks at most once a second. */
  readonly ready: () => Promise<void>;
  /** What holds for a device has changed: its connections end, and are judged anew when they come back. */
  readonly disconnect: (device: Uint8Array) => void;
  /** The same for all that listen to a vault. */
  readonly disconnectVault: (vault: Uint8Array) => void;
  /** SHA-256 of the operator's token. Without one there are no routes for an operator. */
  readonly operator: Uint8Array | undefined;
  /** Bytes a vault may have. */
  readonly quota: number;
  readonly uploads: Uploads;
  readonly turns: Turns;
}
