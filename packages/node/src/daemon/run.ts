/** The daemon: one vault, kept in sync while the process lives. Stopping it at any moment loses nothing. */
import { join } from "node:path";
import type { Log } from "@tidelock/core/ports";
import type { KeyOptions } from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import { copiedError } from "../vault/copied.ts";
import { createLogFile } from "../vault/log-file.ts";
import { ownHome } from "../vault/own.ts";
import { openSession, vaultOf } from "../vault/session.ts";
import { type DaemonInfo, startServer } from "./server.ts";
import { createService } from "./service.ts";

export interface DaemonOptions {
  readonly paths: HomePaths;
  readonly keys: KeyOptions;
  readonly vault?: string | undefined;
  readonly version: string;
  /** Called each time it begins to answer: at the start, and after a restart. */
  readonly ready?: (info: DaemonInfo) => void;
}

/** Runs until `signal` or a call of its API ends it. Throws `in-use` where another process has the home. */
export async function runDaemon(options: DaemonOptions, signal: AbortSignal): Promise<void> {
  const { paths } = options;
  vaultOf(paths, options.vault);
  const lock = await ownHome(paths, { what: "daemon", socket: paths.socket, waitMs: 1000, signal });
  try {
    const log = createLogFile(join(paths.state, "daemon.log"));
    // The home stays ours in between: nobody slips in while it starts anew.
    while ((await runOnce(options, log, signal)) === "restart") log.event("daemon.restart");
  } finally {
    lock.release();
  }
}

async function runOnce(options: DaemonOptions, log: Log, signal: AbortSignal): Promise<"restart" | "stop"> {
  const { paths } = options;
  const session = await openSession({ ...options, log });
  try {
    if (session.copied) throw copiedError();
    const info = {
      pid: process.pid,
      since: new Date().toISOString(),
      version: options.version,
    };
    const asked = new AbortController();
    const close = await startServer({
      socket: paths.socket,
      service: createService(session, true),
      vault: session.info.id,
      info,
      log,
      end: (how) => asked.abort(how),
    });
    try {
      session.start();
      await session.attachments.resume();
      await session.folders.resume(true);
      log.event("daemon.start", { pid: process.pid });
      options.ready?.({ ...info, calls: 0 });
      await ended(AbortSignal.any([signal, asked.signal]));
      return !signal.aborted && asked.signal.reason === "restart" ? "restart" : "stop";
    } finally {
      log.event("daemon.stop");
      await close();
    }
  } finally {
    await session.close();
  }
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
