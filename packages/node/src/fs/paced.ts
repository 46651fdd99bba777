/**
 * Calls of the disk that mostly answer from memory are made at once: through the thread pool each costs several
 * times as much. Others have a turn every few ms, and a disk that lets us wait is asked through the pool again.
 */
import { performance } from "node:perf_hooks";

/** ms until others have a turn. */
const TURN = 10;
/** A call that takes longer, ms, is one of a slow disk, and so many after it are made in the pool. */
const SLOW = 40;
const POOLED = 256;

export type Paced = <T>(now: () => T, pooled: () => Promise<T>) => Promise<T>;

/** `clock`: ms that never go back. */
export function createPacer(clock: () => number = () => performance.now()): Paced {
  let ends = 0;
  let slow = 0;
  let turn: Promise<void> | undefined;

  /** One turn of the loop for all who wait for it. */
  function others(): Promise<void> {
    turn ??= new Promise((resolve) => {
      setImmediate(() => {
        turn = undefined;
        ends = clock() + TURN;
        resolve();
      });
    });
    return turn;
  }

  return async (now, pooled) => {
    while (clock() >= ends) await others();
    if (slow > 0) {
      slow--;
      return pooled();
    }
    const start = clock();
    try {
      return now();
    } finally {
      if (clock() - start > SLOW) slow = POOLED;
    }
  };
}
