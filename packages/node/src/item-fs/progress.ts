import type { Scheduler } from "@tidelock/core/ports";
import { FsError } from "./types.ts";

/** Without a byte for so long, a reader is told that the remote is away. ms. */
export const PATIENCE = 30_000;

export interface Progress {
  moved(): void;
  /** What `work` comes to; or an error once nothing moves any more, or the asker does not want it any more. */
  ends<T>(work: Promise<T>): Promise<T>;
}

/** Watches over one wait for content: it ends, however the remote behaves. */
export function progress(scheduler: Scheduler, signal: AbortSignal | undefined): Progress {
  let fail: (error: FsError) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const late = (): void => fail(new FsError("offline", "nothing came for 30 s"));
  const stop = (): void => fail(new FsError("interrupted"));
  let cancel = scheduler.after(PATIENCE, late);
  if (signal?.aborted === true) stop();
  else signal?.addEventListener("abort", stop, { once: true });
  return {
    moved() {
      cancel();
      cancel = scheduler.after(PATIENCE, late);
    },
    async ends(work) {
      // Whoever loses is heard by nobody.
      work.catch(() => undefined);
      failed.catch(() => undefined);
      try {
        return await Promise.race([work, failed]);
      } finally {
        cancel();
        signal?.removeEventListener("abort", stop);
      }
    },
  };
}
