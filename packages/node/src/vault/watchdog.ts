/**
 * Notices what is due and does not move. Whoever looks says what is due now; whoever works says
 * when something moved. Pure but for the clock it is given, so that a test can be quick.
 */

/** Nothing that is due may be silent for longer, ms. */
export const STALL = 30_000;

export interface Watchdog {
  /** Looks at one activity; true once it was due for longer than `after` (30 s) without a move. */
  stalled(name: string, due: boolean): boolean;
  /** The activity made progress. */
  moved(name: string): void;
  /** It is no activity of ours any more. */
  forget(name: string): void;
}

export function createWatchdog(mono: () => number, after: number = STALL): Watchdog {
  const sinceByName = new Map<string, number>();
  return {
    stalled: (name, due) => {
      if (!due) {
        sinceByName.delete(name);
        return false;
      }
      const now = mono();
      const since = sinceByName.get(name);
      if (since === undefined) sinceByName.set(name, now);
      return since !== undefined && now - since > after;
    },
    moved: (name) => {
      if (sinceByName.has(name)) sinceByName.set(name, mono());
    },
    forget: (name) => void sinceByName.delete(name),
  };
}
