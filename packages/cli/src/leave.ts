/**
 * Ending, where something may never answer: Node.js waits at its exit for every call on a file
 * that is under way, also for one on a disk that is gone. Then only a signal ends the process.
 */

/** What a command may take to end after its last word, ms. */
const LAST = 2000;

/** After the last word: the process ends by itself unless a file call holds it. */
export function leaveSoon(): void {
  // Does not keep the process alive; fires only where something else does.
  setTimeout(() => {
    if (waitsForFile()) byItself("SIGTERM");
  }, LAST).unref();
}

/** At once. */
export function leave(code: number, signal: NodeJS.Signals): void {
  if (waitsForFile()) byItself(signal);
  process.exit(code);
}

function waitsForFile(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq"));
}

/** As if nobody had listened for the signal: whoever started us sees an ordinary end by it. */
function byItself(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
