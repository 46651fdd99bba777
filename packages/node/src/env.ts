/** The core's ports for time on Node.js: real clocks and timers. */
import type { Clock, Scheduler } from "@tidelock/core/ports";

export function createClock(): Clock {
  return { now: () => Date.now(), mono: () => performance.now() };
}

export interface OwnScheduler extends Scheduler {
  /** Forgets all that still waits: nothing of a closed vault may run, or keep the process alive. */
  close(): void;
}

export function createScheduler(): OwnScheduler {
  const waiting = new Set<() => void>();
  return {
    after: (ms, work) => {
      const run = (): void => {
        waiting.delete(cancel);
        work();
      };
      // Zero is a turn of the event loop, not the millisecond that a timer takes at least.
      const timer = ms <= 0 ? setImmediate(run) : setTimeout(run, ms);
      const cancel = (): void => {
        waiting.delete(cancel);
        if (ms <= 0) clearImmediate(timer as NodeJS.Immediate);
        else clearTimeout(timer as NodeJS.Timeout);
      };
      waiting.add(cancel);
      return cancel;
    },
    close: () => {
      for (const cancel of waiting) cancel();
    },
  };
}
