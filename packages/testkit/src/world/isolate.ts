/**
 * Takes the real world away from a thread: import this before any product code. What is left of clocks,
 * dice, timers and the network throws and is remembered, so that a `catch` cannot hide it.
 */
export class SimEscape extends Error {
  override readonly name = "SimEscape";
}

/** What the thread's own driver keeps of the real world. */
export interface Isolated {
  readonly now: () => number;
  /** Runs `work` as a task of its own: outside of every promise reaction. */
  readonly task: (work: () => void) => void;
  /** Every attempt to get out, with its stack. */
  readonly escapes: readonly string[];
}

function isolate(): Isolated {
  const { performance, setImmediate } = globalThis;
  const escapes: string[] = [];
  const closed = (name: string) => (): never => {
    const error = new SimEscape(`${name} was called: the simulated world gives clocks, dice and networks`);
    escapes.push(error.stack ?? error.message);
    throw error;
  };
  const replace = (owner: object, owned: string, names: readonly string[]): void => {
    for (const name of names)
      Object.defineProperty(owner, name, { value: closed(owned + name), configurable: true, writable: true });
  };
  const { Date: RealDate } = globalThis;
  const SimDate = new Proxy(RealDate, {
    apply: closed("Date"),
    construct: (target, args: []) => (args.length === 0 ? closed("new Date")() : new target(...args)),
  });
  replace(RealDate, "Date.", ["now"]);
  replace(Math, "Math.", ["random"]);
  replace(globalThis, "", ["setTimeout", "setInterval", "setImmediate", "fetch", "WebSocket", "EventSource"]);
  replace(globalThis.crypto, "crypto.", ["getRandomValues", "randomUUID"]);
  Object.defineProperty(globalThis.crypto, "subtle", { get: closed("crypto.subtle"), configurable: true });
  Object.defineProperty(globalThis, "Date", { value: SimDate, configurable: true, writable: true });
  const clock = { now: closed("performance.now"), mark: closed("performance.mark") };
  Object.defineProperty(globalThis, "performance", { value: clock, configurable: true, writable: true });
  return {
    now: () => performance.now(),
    task: (work) => {
      setImmediate(work);
    },
    escapes,
  };
}

export const isolated: Isolated = isolate();
