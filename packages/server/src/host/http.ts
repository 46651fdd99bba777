/**
 * The handler behind Node's HTTP server. What would cost before a handler can refuse it is bounded
 * here: headers, time, connections that say nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Answer, Call } from "../http/call.ts";
import type { Handler } from "../http/handler.ts";

const HEADERS = 16 << 10;
const ADDRESS = 4 << 10;
const TIMES = { request: 60_000, headers: 10_000, idle: 15_000, check: 5_000 };

export interface HttpOptions {
  readonly handler: Handler;
  /** The client's address; of a proxy in front, what that says. */
  readonly addressOf: (request: IncomingMessage) => string;
}

export function createHttp({ handler, addressOf }: HttpOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADERS,
      requestTimeout: TIMES.request,
      headersTimeout: TIMES.headers,
      keepAliveTimeout: TIMES.idle,
      connectionsCheckingInterval: TIMES.check,
      noDelay: true,
    },
    (request, response) => {
      serve(handler, request, response, addressOf(request)).catch(() => response.destroy());
    },
  );
  server.maxRequestsPerSocket = 10_000;
  // A reader that takes nothing for so long: longer than any answer waits for something to say.
  server.timeout = TIMES.request;
  return server;
}

async function serve(
  handler: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  address: string,
): Promise<void> {
  const url = request.url ?? "/";
  const at = url.indexOf("?");
  const tooLong = url.length > ADDRESS;
  const call: Call = {
    method: request.method ?? "GET",
    path: tooLong ? "/" : at < 0 ? url : url.slice(0, at),
    query: new URLSearchParams(at < 0 || tooLong ? "" : url.slice(at + 1)),
    header: (name) => {
      const value = request.headers[name];
      return typeof value === "string" ? value : undefined;
    },
    body: request.method === "GET" || request.method === "HEAD" ? undefined : request,
    address,
  };
  const answer = await handler(call);
  // A body that was refused unread: the rest of it is not taken for the next request.
  const unread = !request.complete && Number(request.headers["content-length"] ?? "0") > 0;
  await send(response, answer, unread ? { connection: "close" } : {});
}

async function send(
  response: ServerResponse,
  { status, headers, body }: Answer,
  more: Readonly<Record<string, string>>,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    const length = body === undefined ? {} : { "content-length": body.length };
    const none = status === 204 || headers["content-length"] !== undefined;
    response.writeHead(status, {
      ...headers,
      ...(body === undefined && !none ? { "content-length": 0 } : length),
      ...more,
    });
    response.end(body);
    return;
  }
  response.writeHead(status, { ...headers, ...more });
  for await (const part of body) {
    if (response.destroyed) return;
    if (!response.write(part)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      response.off("drain", end);
      response.off("close", end);
      resolve();
    };
    response.once("drain", end);
    response.once("close", end);
  });
}
