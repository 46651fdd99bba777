/** A command's side of the daemon's socket. Loads nothing but HTTP, so that `status` is quick. */
import { request } from "node:http";
import { createInterface } from "node:readline";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import type { VaultStatus } from "../vault/status.ts";
import { SILENCE } from "./alive.ts";
import type { ProgressEvent, StatusEvent } from "./events.ts";
import { type Operation, type Problem, routes } from "./routes.ts";
import type { DaemonInfo } from "./server.ts";
import type { VaultService } from "./service.ts";

export interface DaemonClient {
  readonly service: VaultService;
  info(): Promise<DaemonInfo>;
  /** Answered once the daemon has begun to end. */
  stop(): Promise<DaemonInfo>;
  /** Answered once it has begun to begin anew. */
  restart(): Promise<DaemonInfo>;
  /**
   * Calls back with the status and each change of it; rejects with `NoDaemon` when the daemon ends. `after`: the id of
   * what was told last, which is not told again.
   */
  follow(each: (status: VaultStatus, id: string) => void, after?: string): Promise<never>;
}

export interface ClientOptions {
  readonly vault?: string | undefined;
  /** How long the daemon may be silent, ms. A long call is no silence while it answers others. */
  readonly silence?: number | undefined;
  /** What to say when it was. */
  readonly silent?: (ms: number) => TidelockError;
}

/** Nobody listens at the socket: there is no daemon, or it is just starting or ending. */
export class NoDaemon extends Error {}

/** Between two questions whether the daemon still answers while a call is under way, ms. */
const ASK = 5000;
/** Of an answer; the largest is a page of the log. */
const ANSWER = 256 << 20;

export function createClient(socket: string, options: ClientOptions = {}): DaemonClient {
  const patience = options.silence ?? SILENCE;
  const silent = (): TidelockError =>
    options.silent?.(patience) ??
    new TidelockError("stalled", { why: `the daemon has not answered for ${patience / 1000} s` });
  const vault = encodeURIComponent(options.vault ?? "-");
  const short = (method: string, path: string): Promise<unknown> =>
    exchange(socket, method, path, {}, AbortSignal.timeout(patience)).catch((error: unknown) => {
      throw isAbort(error) ? silent() : error;
    });
  const info = (): Promise<DaemonInfo> => short("GET", "/v1/daemon") as Promise<DaemonInfo>;

  /** As long as it takes, while the daemon answers beside it. */
  async function long(method: string, path: string, wish: object): Promise<unknown> {
    const end = new AbortController();
    let fault: unknown;
    const watch = setInterval(
      () =>
        void info().catch((error: unknown) => {
          // Gone is what the call itself will say.
          if (!(error instanceof TidelockError)) return;
          fault ??= error;
          end.abort();
        }),
      Math.min(ASK, patience),
    );
    try {
      return await exchange(socket, method, path, wish, end.signal);
    } catch (error) {
      throw fault ?? error;
    } finally {
      clearInterval(watch);
    }
  }

  const calls = (Object.keys(routes) as Operation[]).map((operation) => {
    const { method, path } = routes[operation];
    return [operation, (wish: object = {}) => long(method, path.replace("{v}", vault), wish)] as const;
  });
  return {
    // Every operation of the table, with the types the service gives them.
    service: Object.fromEntries(calls) as unknown as VaultService,
    info,
    stop: () => short("POST", "/v1/stop") as Promise<DaemonInfo>,
    restart: () => short("POST", "/v1/restart") as Promise<DaemonInfo>,
    follow: (each, after) => follow(socket, each, after),
  };
}

async function exchange(
  socket: string,
  method: string,
  path: string,
  wish: object,
  signal: AbortSignal,
): Promise<unknown> {
  const json = JSON.stringify(wish);
  const body = json === "{}" ? undefined : json;
  const inPath = method === "GET" && body !== undefined;
  const target = inPath ? `${path}?q=${encodeURIComponent(body)}` : path;
  const { status, text } = await send(socket, method, target, inPath ? undefined : body, signal);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw new TidelockError("internal", {
      why: "the daemon's answer is not JSON",
      next: "tidelock daemon restart",
      cause,
    });
  }
  if (status < 300) return answer;
  const { code, why, next, retryable, details } = answer as Partial<Problem>;
  const known = code !== undefined && Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : "internal";
  throw new TidelockError(known, {
    why: why ?? `the daemon answered ${status}`,
    ...(next === undefined ? {} : { next }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(details === undefined ? {} : { details }),
  });
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: string | undefined,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(gone.has(error.code ?? "") && !signal.aborted ? new NoDaemon(error.code) : error);
    };
    const sent = request({ socketPath, method, path, agent: false, signal }, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        size += part.length;
        if (size > ANSWER) sent.destroy(new TidelockError("too-large", { why: "the daemon's answer" }));
        parts.push(part);
      });
      response.on("error", failed);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
      );
    });
    sent.on("error", failed);
    if (body !== undefined) {
      sent.setHeader("content-type", "application/json");
      // Said for every method: Node.js sends the body of a DELETE without any length else.
      sent.setHeader("content-length", Buffer.byteLength(body));
    }
    sent.end(body);
  });
}

function follow(
  socketPath: string,
  each: (status: VaultStatus, id: string) => void,
  after: string | undefined,
): Promise<never> {
  const path = `/v1/events${after === undefined ? "" : `?after=${encodeURIComponent(after)}`}`;
  return new Promise((_, reject) => {
    const ended = (): void => reject(new NoDaemon("ended"));
    const sent = request({ socketPath, path, agent: false }, (response) => {
      const lines = createInterface({ input: response });
      lines.on("line", (line) => {
        try {
          const told = JSON.parse(line) as StatusEvent | ProgressEvent;
          if (told.event === "status") each(told.status, told.id);
        } catch {
          sent.destroy(); // half a line of a daemon that was killed
        }
      });
      // It repeats what went wrong with what it reads.
      lines.on("error", ended);
      response.on("error", ended);
      response.on("close", ended);
    });
    sent.on("error", ended);
    sent.end();
  });
}

/** No socket; nobody behind it; killed with the call in its hands. A file in its place counts as none. */
const gone: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTSOCK"]);

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
