/** The server without a host: from stores and clocks to a handler and a hub. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Log, Scheduler } from "@tidelock/core/ports";
import type { Registration } from "./auth/sign-in.ts";
import { createTokens, type TokenSigner } from "./auth/token.ts";
import type { BlobBytes } from "./blobs/bytes.ts";
import { eraseAside, eraseDeleted } from "./blobs/erase.ts";
import { Turns } from "./blobs/turns.ts";
import { Uploads } from "./blobs/uploads.ts";
import { createHandler, type Handler } from "./http/handler.ts";
import { type Rate, Rates } from "./http/rates.ts";
import type { RateName } from "./http/route.ts";
import { AppendQueue } from "./log/queue.ts";
import { Metrics } from "./metrics.ts";
import { routes } from "./routes.ts";
import type { Services } from "./services.ts";
import type { LogStore } from "./store.ts";
import { WakeHub } from "./wake/hub.ts";
import { SlotWaiters } from "./wake/slots.ts";

export interface ServerOptions {
  readonly store: LogStore;
  readonly blobs: BlobBytes;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: (n: number) => Uint8Array;
  readonly log: Log;
  readonly signer: TokenSigner;
  /** Where clients find it: `https://sync.example.org`. Signatures and sessions are bound to it. */
  readonly audience: string;
  readonly registration?: Registration;
  readonly quota?: number;
  /** By `operatorHash`: opens the operator's routes to whoever has the token. */
  readonly operator?: Uint8Array;
  readonly origins?: readonly string[];
  readonly rates?: Partial<Record<RateName, Rate>>;
}

export interface TidelockServer {
  readonly handler: Handler;
  readonly services: Services;
  readonly hub: WakeHub;
  /** Answers what was taken; the store stays open. */
  close(): Promise<void>;
}

const SWEEP = 60_000;
const READY_KEPT = 1_000;

export function createTidelockServer(options: ServerOptions): TidelockServer {
  const { store, blobs, suite, clock, scheduler, random, log, audience } = options;
  const quota = options.quota ?? Number.MAX_SAFE_INTEGER;
  const hub = new WakeHub(clock, scheduler);
  const metrics = new Metrics();
  const slots = new SlotWaiters(scheduler);
  const queue = new AppendQueue({
    store,
    suite,
    clock,
    quota,
    placed: ({ vault, head, access, members }) => {
      hub.placed(vault, head.seq);
      for (const { device, ended } of access)
        if (ended !== undefined) hub.removed(vault, toBase64Url(device));
      // Of a person who leaves, also a device that nothing had admitted yet.
      for (const { person, ended } of members)
        if (ended !== undefined) hub.removed(vault, toBase64Url(person));
    },
  });
  let looked: { readonly at: number; readonly result: Promise<void> } | undefined;
  const ready = (): Promise<void> => {
    if (looked === undefined || clock.mono() - looked.at > READY_KEPT) {
      const result = Promise.all([store.check(), blobs.check()]).then(() => undefined);
      looked = { at: clock.mono(), result };
    }
    return looked.result;
  };
  const services: Services = {
    ready,
    disconnect: (device) => hub.disconnect(toBase64Url(device)),
    disconnectVault: (vault) => hub.disconnectVault(vault),
    operator: options.operator,
    uploads: new Uploads(),
    turns: new Turns(),
    store,
    blobs,
    queue,
    suite,
    clock,
    scheduler,
    random,
    log,
    metrics,
    slots,
    audience,
    quota,
    tokens: createTokens(options.signer, clock),
    registration: options.registration ?? "token",
  };
  metrics.gauge("tidelock_wake_subscriptions", () => hub.size());
  metrics.gauge("tidelock_append_queue_seconds", () => queue.delay() / 1000);
  const rates = new Rates(clock, options.rates);
  const handler = createHandler({
    services,
    routes,
    rates,
    ...(options.origins === undefined ? {} : { origins: options.origins }),
  });
  let closed = false;
  let cancelSweep = (): void => undefined;
  const sweep = async (): Promise<void> => {
    await store.sweep(clock.now());
    await eraseDeleted(store, blobs, clock.now());
    await eraseAside(services, clock.now());
  };
  const sweepAgain = (): void => {
    // The next one when this one has ended: erasing a large vault takes its time.
    cancelSweep = scheduler.after(SWEEP, () => {
      sweep()
        .catch(() => log.event("sweep.failed"))
        .finally(() => closed || sweepAgain());
    });
  };
  sweepAgain();
  return {
    handler,
    services,
    hub,
    close: async () => {
      closed = true;
      cancelSweep();
      slots.close();
      await queue.close();
    },
  };
}
