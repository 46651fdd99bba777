/**
 * What Evolu asks of its host, for Node. Evolu publishes hosts for the web and React Native only; this
 * one is wired as on React Native: Evolu's own in-process workers, ports and channels, one thread a
 * device. SQLite is better-sqlite3 with its defaults, as in Evolu's own Node package: rollback
 * journal, synchronous=FULL. It does not encrypt the device's file, which saves Evolu work.
 *
 * Evolu 8.11 declares Node 24.20. What Node 20 lacks is put in place here before it loads.
 */
import { timingSafeEqual } from "node:crypto";
import Database from "better-sqlite3";
import { WebSocket } from "ws";

const lacking = (target, name, value) => {
  if (target[name] === undefined) Object.defineProperty(target, name, { value, configurable: true });
};
lacking(globalThis, "WebSocket", WebSocket);
lacking(Promise, "withResolvers", () => {
  let resolve;
  let reject;
  const promise = new Promise((a, b) => {
    resolve = a;
    reject = b;
  });
  return { promise, resolve, reject };
});
lacking(Promise, "try", (work, ...args) => new Promise((done) => done(work(...args))));
lacking(Array, "fromAsync", async (items) => {
  const out = [];
  for await (const item of items) out.push(item);
  return out;
});
lacking(Set.prototype, "difference", function (other) {
  return new Set([...this].filter((v) => !other.has(v)));
});
lacking(Set.prototype, "intersection", function (other) {
  return new Set([...this].filter((v) => other.has(v)));
});
lacking(Set.prototype, "union", function (other) {
  return new Set([...this, ...other.keys()]);
});
const { installPolyfills } = await import("@evolu/common/polyfills");
installPolyfills();

export const common = await import("@evolu/common");
export const localFirst = await import("@evolu/common/local-first");
const { createPreparedStatementsCache, ok } = common;

/** Evolu's driver over better-sqlite3; the file is `<name>.db` in the working directory. */
export const createSqliteDriver = (name, options) => () => {
  const db = new Database(options?.mode === "memory" ? ":memory:" : `${name}.db`);
  const cache = createPreparedStatementsCache(
    (sql) => db.prepare(sql),
    () => undefined,
  );
  return ok({
    exec: (query) => {
      const statement = cache.get(query, true);
      if (statement.reader) return { rows: statement.all(query.parameters), changes: 0 };
      return { rows: [], changes: statement.run(query.parameters).changes };
    },
    export: () => new Uint8Array(db.serialize()),
    deleteDatabase: () => {
      throw new Error("not needed here");
    },
    [Symbol.dispose]: () => {
      cache[Symbol.dispose]();
      db.close();
    },
  });
};

export const relayDeps = {
  createSqliteDriver,
  timingSafeEqual: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

/** Processor time of this process so far, ms, and its largest size, MiB. */
export function used() {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1000, peak: process.resourceUsage().maxRSS / 1024 };
}

/** The Web Locks of one process: exclusive ones, first come first served. */
function createLocks() {
  const tailByName = new Map();
  return {
    request: (name, options, work) => {
      const before = tailByName.get(name) ?? Promise.resolve();
      const run = before.then(() => {
        options.signal?.throwIfAborted();
        return work({ name, mode: "exclusive" });
      });
      tailByName.set(
        name,
        run.catch(() => undefined),
      );
      return run;
    },
    query: async () => ({ held: [], pending: [] }),
  };
}

/** One device: a run that can make an Evolu, with its two workers in this process. */
export async function createDevice(console) {
  const { createBroadcastChannel, createMessageChannel, createMessagePort, createRun } = common;
  const { createSharedWorker, createWebSocket, createWorker, createStore } = common;
  const lockManager = createLocks();
  const workerRun = createRun({
    console,
    consoleStoreOutputEntry: createStore(null),
    createBroadcastChannel,
    createMessageChannel,
    createMessagePort,
    createSqliteDriver,
    createWebSocket,
    lockManager,
  });
  const deps = localFirst.createEvoluDeps({
    console,
    createBroadcastChannel,
    createMessageChannel,
    lockManager,
    reloadApp: () => undefined,
    createDbWorker: () => createWorker((self) => void workerRun.ok(localFirst.startDbWorker(self))),
    sharedWorker: createSharedWorker((self) => void workerRun.ok(localFirst.initSharedWorker(self))),
  });
  deps.evoluError.subscribe(() => {
    throw new Error(`Evolu reported ${JSON.stringify(deps.evoluError.get())}`);
  });
  return { deps, run: createRun(deps) };
}
