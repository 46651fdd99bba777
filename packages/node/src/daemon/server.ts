/**
 * The daemon's socket: HTTP/1.1, open to this user alone by the permissions of the file and its
 * folder, which is all the authentication there is.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import type { Log } from "@tidelock/core/ports";
import { ownFolder } from "../home/files.ts";
import { matchesVault } from "../vault/place.ts";
import { streamStatus } from "./events.ts";
import { findRoute, type Operation, type Problem } from "./routes.ts";
import type { VaultService } from "./service.ts";
import { parseWish } from "./wish.ts";

export interface DaemonInfo {
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
  readonly version: string;
  /** Calls under way, without this one. */
  readonly calls: number;
}

export interface ServerOptions {
  readonly socket: string;
  readonly service: VaultService;
  /** The vault's id. */
  readonly vault: string;
  readonly info: Omit<DaemonInfo, "calls">;
  readonly log: Log;
  /** Somebody asked the daemon to end, or to begin anew. */
  readonly end: (how: "stop" | "restart") => void;
}

/** Of one call. A person's own programs need a fraction of each. */
const BODY = 64 << 10;
const HEADERS = 16 << 10;
const CONNECTIONS = 64;
/** To say what is wanted, ms. The answer may take as long as it takes. */
const ASKING = 10_000;

/** Listening when it resolves. The home's lock must be held: what lies at the socket's path is then stale. */
export async function startServer(options: ServerOptions): Promise<() => Promise<void>> {
  const { socket } = options;
  const isFile = process.platform !== "win32";
  if (isFile) {
    ownFolder(dirname(socket));
    removeStale(socket);
  }
  const limits = {
    maxHeaderSize: HEADERS,
    headersTimeout: ASKING,
    requestTimeout: ASKING,
    connectionsCheckingInterval: 1000,
  };
  const under = { way: 0 };
  const server = createServer(limits, (request, response) => {
    answer(options, under, request, response).catch((error: unknown) => sendError(options, response, error));
  });
  server.maxConnections = CONNECTIONS;
  refuseNonsense(server, options.log);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  if (isFile) chmodSync(socket, 0o600);
  return () =>
    new Promise((resolve) => {
      server.close(() => {
        if (isFile) rmSync(socket, { force: true });
        resolve();
      });
      // A client that waits for a long sync must not hold the daemon up.
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), 500).unref();
    });
}

/** What a killed daemon left; never a folder, which none of ours is. */
function removeStale(socket: string): void {
  try {
    rmSync(socket, { force: true });
  } catch (cause) {
    throw new TidelockError("usage", {
      why: `something else lies at ${socket}`,
      next: "move it away, and start the daemon again",
      cause,
    });
  }
}

const ends: ReadonlyMap<string, "stop" | "restart"> = new Map([
  ["/v1/stop", "stop"],
  ["/v1/restart", "restart"],
]);

async function answer(
  options: ServerOptions,
  under: { way: number },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const infoNow = (): DaemonInfo => ({ ...options.info, calls: under.way });
  const url = urlOf(request);
  const method = request.method ?? "GET";
  if (method === "GET" && url.pathname === "/v1/daemon") return send(response, 200, infoNow());
  if (method === "GET" && url.pathname === "/v1/events")
    return streamStatus(response, options.service, url.searchParams.get("after") ?? undefined);
  const how = method === "POST" ? ends.get(url.pathname) : undefined;
  if (how !== undefined) {
    send(response, 202, infoNow());
    response.once("finish", () => options.end(how));
    return;
  }
  const found = findRoute(method, url.pathname);
  if (found === undefined)
    throw new TidelockError("not-found", {
      why: "the daemon knows no such call",
      next: "use a tidelock of the same version",
    });
  if (found.vault !== "-" && !matchesVault(options.vault, found.vault))
    throw new TidelockError("not-found", { why: "this daemon serves another vault" });
  const wish = parseWish(found.operation, await argumentOf(request, url));
  const started = performance.now();
  under.way++;
  const result = await call(options.service, found.operation, wish).finally(() => under.way--);
  options.log.event("api.call", { call: found.operation, ms: Math.round(performance.now() - started) });
  send(response, 200, result ?? null);
}

function call(service: VaultService, operation: Operation, wish: object): Promise<unknown> {
  const method = service[operation] as (wish: unknown) => Promise<unknown>;
  return method(wish);
}

/** What is no HTTP, too long or too slow ends with its own connection. */
function refuseNonsense(server: Server, log: Log): void {
  server.on("clientError", (error: NodeJS.ErrnoException, stream: Duplex) => {
    const long = error.code === "HPE_HEADER_OVERFLOW";
    const late = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    const refusal = long
      ? new TidelockError("too-large", { why: `headers of more than ${HEADERS} bytes` })
      : late
        ? new TidelockError("timeout", { why: `no whole call within ${ASKING / 1000} s` })
        : new TidelockError("usage", { why: "this is no HTTP" });
    log.event("api.error", { code: refusal.code });
    if (!stream.writable) return void stream.destroy();
    const body = JSON.stringify(problemOf(refusal));
    const head = `HTTP/1.1 ${statusFor(refusal.code)} refused\r\nconnection: close\r\ncontent-type: application/json`;
    stream.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
}

function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? "/", "http://localhost");
  } catch (cause) {
    throw new TidelockError("usage", { why: "this is no address of a call", cause });
  }
}

/** The body of a call that changes something, the `q` parameter of one that does not. */
async function argumentOf(request: IncomingMessage, url: URL): Promise<unknown> {
  const text =
    request.method === "GET" ? (url.searchParams.get("q") ?? "{}") : (await bodyOf(request)) || "{}";
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new TidelockError("usage", { why: "the call's argument is not JSON", cause });
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY) throw new TidelockError("too-large", { why: `a call of more than ${BODY} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function sendError(options: ServerOptions, response: ServerResponse, error: unknown): void {
  const known = error instanceof TidelockError ? error : unexpected(error);
  options.log.event("api.error", { code: known.code });
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // The rest of a call that was refused is not read: nobody may make us.
  if (!response.req.complete) response.setHeader("connection", "close");
  const problem = problemOf(known);
  send(response, problem.status, problem);
}

function problemOf(known: TidelockError): Problem {
  return {
    type: `urn:tidelock:error:${known.code}`,
    title: known.title,
    status: statusFor(known.code),
    code: known.code,
    why: known.why,
    next: known.next,
    retryable: known.retryable,
    details: known.details,
  };
}

function unexpected(error: unknown): TidelockError {
  return new TidelockError("internal", {
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}

function statusFor(code: ErrorCode): number {
  return statusByCode[code] ?? 422;
}

/** Of the codes that HTTP has a word for; clients branch on the code. */
const statusByCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  "not-found": 404,
  "not-configured": 404,
  exists: 409,
  "in-use": 409,
  "op-reused": 409,
  "guard-deletion": 409,
  "too-large": 413,
  usage: 400,
  "bad-name": 400,
  unreachable: 503,
  timeout: 503,
  "disk-full": 507,
  quota: 507,
  "update-needed": 426,
  "no-access": 403,
  "device-removed": 403,
  internal: 500,
  stalled: 500,
  cancelled: 500,
};
