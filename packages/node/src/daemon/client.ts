/** A command's side of the daemon's socket. Loads nothing but HTTP, so that `status` is quick. */
import { request } from "node:http";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import { type Operation, type Problem, routes } from "./routes.ts";
import type { DaemonInfo } from "./server.ts";
import type { VaultService } from "./service.ts";

export interface DaemonClient {
  readonly service: VaultService;
  info(): Promise<DaemonInfo>;
  /** Answered once the daemon has begun to end. */
  stop(): Promise<DaemonInfo>;
}

/** Nobody listens at the socket: there is no daemon, or it is just starting or ending. */
export class NoDaemon extends Error {}

export function createClient(socket: string, vault = "-"): DaemonClient {
  const entries = (Object.keys(routes) as Operation[]).map((operation) => {
    const { method, path } = routes[operation];
    const at = path.replace("{v}", encodeURIComponent(vault));
    return [operation, (wish: object = {}) => call(socket, method, at, wish)] as const;
  });
  return {
    // Every operation of the table, with the types the service gives them.
    service: Object.fromEntries(entries) as unknown as VaultService,
    info: () => call(socket, "GET", "/v1/daemon", {}) as Promise<DaemonInfo>,
    stop: () => call(socket, "POST", "/v1/stop", {}) as Promise<DaemonInfo>,
  };
}

async function call(socket: string, method: string, path: string, wish: object): Promise<unknown> {
  const body = JSON.stringify(wish);
  const plain = body === "{}";
  const target = method === "GET" && !plain ? `${path}?q=${encodeURIComponent(body)}` : path;
  const { status, text } = await exchange(
    socket,
    method,
    target,
    method === "GET" || plain ? undefined : body,
  );
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw new TidelockError("internal", {
      why: "the daemon's answer is not JSON",
      next: "tidelock daemon stop",
      cause,
    });
  }
  if (status < 300) return answer;
  const { code, why, next, retryable, details } = answer as Partial<Problem>;
  const known = code !== undefined && code in errorKinds ? (code as ErrorCode) : "internal";
  throw new TidelockError(known, {
    why: why ?? `the daemon answered ${status}`,
    ...(next === undefined ? {} : { next }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(details === undefined ? {} : { details }),
  });
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
      );
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      const absent = error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ECONNRESET";
      reject(absent && !sent.reusedSocket ? new NoDaemon(error.code) : error);
    });
    if (body !== undefined) {
      sent.setHeader("content-type", "application/json");
      // Said for every method: Node.js sends the body of a DELETE without any length else.
      sent.setHeader("content-length", Buffer.byteLength(body));
    }
    sent.end(body);
  });
}
