/**
 * The daemon's socket: HTTP/1.1, open to this user alone by the permissions of the file and its
 * folder, which is all the authentication there is.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import type { Log } from "@tidelock/core/ports";
import { ownFolder } from "../home/files.ts";
import { matchesVault } from "../vault/setup.ts";
import { findRoute, type Operation, type Problem } from "./routes.ts";
import type { VaultService } from "./service.ts";

export interface DaemonInfo {
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
  readonly version: string;
}

export interface ServerOptions {
  readonly socket: string;
  readonly service: VaultService;
  /** The vault's id. */
  readonly vault: string;
  readonly info: DaemonInfo;
  readonly log: Log;
  /** Somebody asked the daemon to end. */
  readonly stop: () => void;
}

const BODY = 1 << 20;

/** Listening when it resolves. The home's lock must be held: what lies at the socket's path is then stale. */
export async function startServer(options: ServerOptions): Promise<() => Promise<void>> {
  const { socket } = options;
  const isFile = process.platform !== "win32";
  if (isFile) {
    ownFolder(dirname(socket));
    rmSync(socket, { force: true });
  }
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => sendError(options, response, error));
  });
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

async function answer(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const method = request.method ?? "GET";
  if (method === "GET" && url.pathname === "/v1/daemon") return send(response, 200, options.info);
  if (method === "POST" && url.pathname === "/v1/stop") {
    send(response, 202, options.info);
    response.once("finish", options.stop);
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
  const wish = await wishOf(request, url);
  const started = performance.now();
  const result = await call(options.service, found.operation, wish);
  options.log.event("api.call", { call: found.operation, ms: Math.round(performance.now() - started) });
  send(response, 200, result ?? null);
}

function call(service: VaultService, operation: Operation, wish: unknown): Promise<unknown> {
  // The shapes are the client's own: both ends are one program, and the socket is this user's.
  const method = service[operation] as (wish: unknown) => Promise<unknown>;
  return method(wish);
}

/** The body of a call that changes something, the `q` parameter of one that does not: one JSON object. */
async function wishOf(request: IncomingMessage, url: URL): Promise<unknown> {
  const text =
    request.method === "GET" ? (url.searchParams.get("q") ?? "{}") : (await bodyOf(request)) || "{}";
  try {
    const wish: unknown = JSON.parse(text);
    if (typeof wish === "object" && wish !== null) return wish;
  } catch {
    // answered below
  }
  throw new TidelockError("usage", { why: "the call's argument is not a JSON object" });
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
  const problem: Problem = {
    type: `urn:tidelock:error:${known.code}`,
    title: known.title,
    status: statusFor(known.code),
    code: known.code,
    why: known.why,
    next: known.next,
    retryable: known.retryable,
    details: known.details,
  };
  send(response, problem.status, problem);
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
