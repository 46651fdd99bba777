/**
 * The handler behind Node's HTTP server. What would cost before a handler can refuse it is bounded
 * here: headers, time, connections that say nothing.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Duplex } from "node:stream";
import type { Answer, Call } from "../http/call.ts";
import type { Handler } from "../http/handler.ts";
import { Problem, type ProblemCode } from "../problem.ts";

const HEADERS = 16 << 10;
const ADDRESS = 4 << 10;
const TIMES = { request: 600_000, silence: 60_000, headers: 10_000, idle: 15_000, check: 5_000 };

export interface HttpOptions {
  readonly handler: Handler;
  /** What is refused before there is a call. */
  readonly refusal: (problem: Problem) => Answer;
  /** The client's address; of a proxy in front, what that says. */
  readonly addressOf: (request: IncomingMessage) => string;
}

export function createHttp({ handler, refusal, addressOf }: HttpOptions): Server {
  const answering = new WeakMap<Duplex, ServerResponse>();
  const hostless: Handler = async () => refusal(new Problem("bad-request", "the request names no host"));
  const server = createServer(
    {
      maxHeaderSize: HEADERS,
      requestTimeout: TIMES.request,
      headersTimeout: TIMES.headers,
      keepAliveTimeout: TIMES.idle,
      connectionsCheckingInterval: TIMES.check,
      noDelay: true,
      // It is required, below: Node.js would refuse without a word.
      requireHostHeader: false,
    },
    (request, response) => {
      answering.set(request.socket, response);
      const isHostless = request.headers.host === undefined && request.httpVersion !== "1.0";
      const entry = isHostless ? hostless : handler;
      serve(entry, request, response, addressOf(request)).catch(() => response.destroy());
    },
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    // In the middle of an answer there is no place for another one.
    const isFree =
      answering.get(socket)?.headersSent !== true || answering.get(socket)?.writableEnded === true;
    if (!socket.writable || !isFree || error.code === "ECONNRESET") return socket.destroy();
    const [code, why] = faults[error.code ?? ""] ?? faults["other"];
    return endWith(socket, refusal(new Problem(code, why)));
  });
  // Left to Node.js, a refusal without a word.
  server.on("checkExpectation", (request: IncomingMessage) =>
    endWith(request.socket, refusal(new Problem("bad-request", "nothing but 100-continue is expected here"))),
  );
  server.maxRequestsPerSocket = 10_000;
  // A reader that takes nothing for so long: longer than any answer waits for something to say.
  server.timeout = TIMES.silence;
  return server;
}

/** By the codes of Node.js. */
const faults: Readonly<Record<string, readonly [ProblemCode, string]>> & {
  readonly other: readonly [ProblemCode, string];
} = {
  HPE_HEADER_OVERFLOW: ["headers-too-large", `at most ${HEADERS} bytes of headers are taken`],
  ERR_HTTP_REQUEST_TIMEOUT: ["timeout", "the request did not arrive in time"],
  other: ["bad-request", "this is no HTTP request"],
};

/** Where there is nobody to answer a request as usual. */
export function endWith(socket: Duplex, { status, headers, body }: Answer): void {
  const bytes = body as Uint8Array;
  const all = { ...headers, "content-length": String(bytes.length), connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`);
  socket.end(bytes);
}

/** Who breaks off in the middle is the cause of what follows, not the server. */
const brokenOff = (): Problem => new Problem("bad-request", "the body broke off");

async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* request as AsyncIterable<Uint8Array>;
  } catch {
    throw brokenOff();
  }
}

/** By events: an iterator over a stream costs more than all else that is done with a small body. */
function eachOf(request: IncomingMessage, take: (part: Uint8Array) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    if (request.destroyed) return reject(brokenOff());
    request.on("data", (part: Uint8Array) => {
      if (take(part)) return;
      request.pause();
      resolve();
    });
    request.on("end", resolve);
    request.on("error", () => reject(brokenOff()));
    request.on("close", () => {
      if (!request.readableEnded) reject(brokenOff());
    });
  });
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
  const bodiless = request.method === "GET" || request.method === "HEAD";
  const call: Call = {
    method: request.method ?? "GET",
    path: tooLong ? "/" : at < 0 ? url : url.slice(0, at),
    query: new URLSearchParams(at < 0 || tooLong ? "" : url.slice(at + 1)),
    header: (name) => {
      const value = request.headers[name];
      return typeof value === "string" ? value : undefined;
    },
    ...(bodiless ? { body: undefined } : { body: bodyOf(request), each: (take) => eachOf(request, take) }),
    address,
  };
  const answer = await handler(call);
  // A body that was refused unread: the rest of it is not taken for the next request.
  const { "content-length": length = "0", "transfer-encoding": coding } = request.headers;
  const unread = !request.complete && (coding !== undefined || Number(length) > 0);
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
