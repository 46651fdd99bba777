/** The embedded server: one process, one folder, one port. */
import { createHash, hash as hashOnce } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, Log, Scheduler } from "@tidelock/core/ports";
import { createJwtSigner } from "../auth/jwt.ts";
import type { Registration } from "../auth/sign-in.ts";
import { openDiskBlobs } from "../blobs/disk.ts";
import { refusal } from "../http/handler.ts";
import { operatorHash } from "../http/operator.ts";
import type { Rate } from "../http/rates.ts";
import type { RateName } from "../http/route.ts";
import { createTidelockServer, type TidelockServer } from "../server.ts";
import { openSqliteStore } from "../sqlite/store.ts";
import { addressOf } from "./address.ts";
import { openTokenKeys, random } from "./files.ts";
import { createHttp } from "./http.ts";
import { attachSockets } from "./sockets.ts";

export interface StartOptions {
  /** Everything the server keeps. */
  readonly folder: string;
  readonly host?: string;
  /** 0: any free one. */
  readonly port?: number;
  /** Where clients find it, where that is not `http://host:port`: behind a proxy that does TLS. */
  readonly url?: string;
  /** Whether a proxy stands in front and says who calls. By default where `url` is `https:`, which this server does not speak. */
  readonly proxied?: boolean;
  readonly registration?: Registration;
  /** Bytes a vault may have. */
  readonly quota?: number;
  /** Opens `/v1/admin` to whoever has it; at least 32 characters. */
  readonly operatorToken?: string;
  readonly origins?: readonly string[];
  readonly rates?: Partial<Record<RateName, Rate>>;
  readonly log?: Log;
  /** Serves `/metrics` there, apart from everything else. */
  readonly metrics?: { readonly host?: string; readonly port: number };
  /** `inline` writes in this thread: starts sooner, and stalls with the disk. */
  readonly writer?: "inline" | "thread";
}

export interface RunningServer {
  readonly url: string;
  /** Where metrics are, if they are served. */
  readonly metricsUrl: string | undefined;
  readonly server: TidelockServer;
  /** A token that admits one person, for a day. */
  invitePerson(): Promise<string>;
  /** Resolves when the disk has failed and only a new start can write again. May never. */
  readonly failed: Promise<Error>;
  /** Takes nothing new, answers what was taken, then ends. */
  stop(): Promise<void>;
}

const DAY = 86_400_000;
/** How long requests may take to end, once a stop was asked for. */
const GRACE = 5_000;
const LOOK = 20;

export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { folder } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const clock: Clock = { now: () => Date.now(), mono: () => performance.now() };
  const suite = await hostSuite();
  // Before anything is opened that would have to be closed again.
  const { operatorToken } = options;
  const operator = operatorToken === undefined ? undefined : operatorHash(suite, operatorToken);
  const store = await openSqliteStore(join(folder, "server.db"), { writer: options.writer ?? "thread" });
  const blobs = await openDiskBlobs(join(folder, "blobs"), random);
  await blobs.tidy();
  const tokenKeys = await openTokenKeys(folder, clock.now());
  const proxied = options.proxied ?? options.url?.startsWith("https:") ?? false;
  const caller = (request: IncomingMessage): string => addressOf(request, proxied);
  let made: TidelockServer | undefined;
  const http = createHttp({
    handler: (call) => (made as TidelockServer).handler(call),
    refusal: (problem) => refusal((made as TidelockServer).services, problem),
    addressOf: caller,
  });
  const port = await listen(http, options).catch(async (error: unknown) => {
    // Its thread would keep the process alive.
    await store.close();
    throw error;
  });
  const url = options.url ?? `http://${options.host ?? "127.0.0.1"}:${port}`;
  const audience = new URL(url).origin;
  const server = createTidelockServer({
    store,
    blobs,
    suite,
    clock,
    scheduler: hostScheduler(),
    random,
    log: options.log ?? { event: () => undefined },
    signer: await createJwtSigner(tokenKeys, audience, clock),
    audience,
    ...(operator === undefined ? {} : { operator }),
    ...pick(options, ["registration", "quota", "origins", "rates"]),
  });
  made = server;
  const metrics = options.metrics === undefined ? undefined : await serveMetrics(server, options.metrics);
  const sockets = attachSockets(http, server, caller, options.origins);
  return {
    url,
    metricsUrl: metrics?.url,
    failed: store.failed,
    server,
    invitePerson: async () => {
      const token = random(16);
      await store.addRegistration(suite.sha256(token), 1, clock.now() + DAY);
      return toBase64Url(token);
    },
    stop: async () => {
      sockets.close();
      metrics?.close();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      await server.close();
      // Again and again: a connection is idle only a moment after its answer has arrived.
      const idle = setInterval(() => http.closeIdleConnections(), LOOK);
      const force = setTimeout(() => http.closeAllConnections(), GRACE);
      await closed;
      clearInterval(idle);
      clearTimeout(force);
      await store.close();
    },
  };
}

async function serveMetrics(
  server: TidelockServer,
  at: { readonly host?: string; readonly port: number },
): Promise<{ readonly url: string; readonly close: () => void }> {
  const http = createServer((request, response) => {
    const found = request.method === "GET" && request.url === "/metrics";
    response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4" });
    response.end(found ? server.services.metrics.text() : "");
  });
  const port = await listen(http, at);
  return {
    url: `http://${at.host ?? "127.0.0.1"}:${port}/metrics`,
    close: () => {
      http.close();
      http.closeAllConnections();
    },
  };
}

function listen(http: Server, at: { readonly host?: string; readonly port?: number }): Promise<number> {
  const { host = "127.0.0.1", port = 0 } = at;
  return new Promise((resolve, reject) => {
    http.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new TidelockError("in-use", {
          why: `${host}:${port} cannot be listened on (${cause.code})`,
          next: "choose another port, or stop what uses it",
          cause,
        }),
      ),
    );
    http.listen(port, host, () => resolve((http.address() as AddressInfo).port));
  });
}

/** The portable suite with the platform's SHA-256, which has one right answer and is several times faster. */
async function hostSuite(): Promise<Suite> {
  const suite = await createPortableSuite();
  const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
    if (parts.length === 1) return new Uint8Array(hashOnce("sha256", parts[0] as Uint8Array, "buffer"));
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return new Uint8Array(hash.digest());
  };
  return { ...suite, sha256 };
}

function hostScheduler(): Scheduler {
  return {
    after: (ms, work) => {
      if (ms <= 0) {
        const turn = setImmediate(work);
        return () => clearImmediate(turn);
      }
      const timer = setTimeout(work, ms);
      // Nothing that only waits keeps a stopped server alive.
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const out: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined) out[name] = from[name];
  return out;
}
