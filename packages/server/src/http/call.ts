/**
 * One request and its answer, without a host: Node.js and anything that speaks `fetch` are thin
 * adapters (`host/`, `fetch.ts`).
 */
import { Gatherer } from "@tidelock/core/bytes/gatherer";
import { Problem, problemKinds } from "../problem.ts";

export interface Call {
  readonly method: string;
  /** The path alone, as it was sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly header: (name: string) => string | undefined;
  /** Undefined where there is none. Read at most once. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
  /**
   * The body's pieces in turn, until `take` wants no more, instead of iterating: of hosts that have
   * a cheaper way for a body that is wanted whole.
   */
  readonly each?: (take: (part: Uint8Array) => boolean) => Promise<void>;
  /** Who is at the other end of the connection: for limits only, and never stored. */
  readonly address: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is made as it is sent, so that a slow reader holds little. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

const utf8 = new TextEncoder();

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = utf8.encode(JSON.stringify(value));
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

export const BINARY = "application/vnd.tidelock";

export function binary(body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, headers: { "content-type": BINARY, ...headers }, body };
}

export function empty(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: undefined };
}

export function problemAnswer(problem: Problem, requestId: string): Answer {
  const { code, why, retryAfterMs } = problem;
  const { status, title, next } = problemKinds[code];
  const body = { type: `urn:tidelock:error:${code}`, status, code, title, why, next, requestId };
  const seconds = retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000));
  return json(status, retryAfterMs === undefined ? body : { ...body, retryAfterMs }, {
    "content-type": "application/problem+json",
    ...(seconds === undefined ? {} : { "retry-after": String(seconds) }),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  });
}

/** The length a request declares. Throws where it declares none, or too much: before a byte is read. */
export function declaredLength(call: Call, most: number): number {
  const text = call.header("content-length");
  if (text === undefined) throw new Problem("length-required", "a body without Content-Length");
  if (!/^\d{1,15}$/.test(text)) throw new Problem("bad-request", "a Content-Length that is no number");
  const length = Number(text);
  if (length > most) throw new Problem("too-large", `at most ${most} bytes are taken here`);
  return length;
}

export async function readBody(call: Call, most: number): Promise<Uint8Array> {
  const length = declaredLength(call, most);
  const all = new Gatherer(length);
  let fits = true;
  // A host that does not hold the sender to its word must not let it fill the memory.
  const take = (part: Uint8Array): boolean => {
    fits &&= all.add(part);
    return fits;
  };
  if (call.each !== undefined) await call.each(take);
  else for await (const part of call.body ?? []) if (!take(part)) break;
  if (!fits) throw new Problem("bad-request", "the body is longer than it says");
  if (all.size !== length) throw new Problem("bad-request", "the body is shorter than it says");
  return all.done();
}
