/** One request to a server and what came back, over whatever `fetch` the host hands in. */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Gatherer } from "@tidelock/core/bytes/gatherer";
import type { DenialCause, Failure, Pace, Scheduler } from "@tidelock/core/ports";

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;
export type FetchInit = Pick<
  RequestInit,
  "method" | "headers" | "body" | "signal" | "redirect" | "credentials"
> & { readonly duplex?: "half" };

export interface HttpAnswer {
  readonly status: number;
  /** The server's own word for a problem; undefined for whatever stood between. */
  readonly code: string | undefined;
  readonly why: string;
  readonly retryAfterMs: number | undefined;
  /** The server's clock. */
  readonly time: number | undefined;
  readonly header: (name: string) => string | null;
  readonly body: Uint8Array;
}

export interface SendOptions {
  readonly token?: string;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  /** `bytes` leave piece by piece, each when this lets it: how long that takes says nothing of the server. */
  readonly pace?: Pace;
  readonly range?: { readonly from: number; readonly to: number };
  /** Most bytes of the answer. */
  readonly most?: number;
}

/** Nothing was sent: the connection was never there. */
export type SendFailure = Failure & { readonly sent: boolean };

const JSON_ANSWER = 1 << 20;
const PATIENCE = 60_000;
/** Of what leaves piece by piece. */
const PIECE = 64 << 10;
const BINARY = "application/vnd.tidelock";

export interface Transport {
  readonly origin: string;
  send(method: string, path: string, options?: SendOptions): Promise<HttpAnswer | SendFailure>;
  /** What an answer that is no success means for any call but an append. */
  failureOf(answer: HttpAnswer): Failure;
  /** Ends what is under way: nobody waits for its answer any more. */
  close(): void;
}

export function isAnswer(result: HttpAnswer | Failure): result is HttpAnswer {
  return "status" in result;
}

export function createTransport(url: string, fetch: Fetch, scheduler: Scheduler): Transport {
  const { origin } = new URL(url);
  const under = new Set<AbortController>();
  let closed = false;

  async function send(
    method: string,
    path: string,
    options: SendOptions = {},
  ): Promise<HttpAnswer | SendFailure> {
    if (closed) return { kind: "unreachable", why: "it is closed", sent: false };
    const { token, json, bytes, pace, range } = options;
    const headers: Record<string, string> = { "tidelock-client": "tidelock/0" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    if (range !== undefined) headers["range"] = `bytes=${range.from}-${range.to - 1}`;
    const body = json === undefined ? bytes : encodeUtf8(JSON.stringify(json));
    if (body !== undefined) headers["content-type"] = json === undefined ? BINARY : "application/json";
    const abort = new AbortController();
    under.add(abort);
    const patience = (): (() => void) => scheduler.after(PATIENCE, () => abort.abort());
    let cancel = patience();
    const paced = async (size: number): Promise<void> => {
      cancel();
      cancel = (): void => undefined;
      await pace?.(size);
      if (!abort.signal.aborted) cancel = patience();
    };
    if (pace !== undefined) headers["content-length"] = String(bytes?.length ?? 0);
    const once = async (): Promise<HttpAnswer> => {
      const response = await fetch(origin + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
        ...(pace === undefined || bytes === undefined
          ? {}
          : { body: streamOf(bytes, paced), duplex: "half" as const }),
        signal: abort.signal,
        // A server that sends us elsewhere is not the one that we signed in at.
        redirect: "manual",
        credentials: "omit",
      });
      return answerOf(response, options.most ?? JSON_ANSWER);
    };
    try {
      return await once().catch((error: unknown) => {
        // A kept connection may have ended while it was idle: once more, on another one, where that does no harm.
        if (method === "POST" || !broken.has(codeOf(error)) || abort.signal.aborted) throw error;
        return once();
      });
    } catch (error) {
      if (error instanceof Unusable) return { kind: "corrupt", why: error.message, sent: true };
      return { kind: "unreachable", why: whyOf(error, abort.signal.aborted), sent: !neverSent(error) };
    } finally {
      cancel();
      under.delete(abort);
    }
  }

  function close(): void {
    closed = true;
    for (const abort of under) abort.abort();
  }

  return { origin, send, failureOf, close };
}

class Unusable extends Error {}

/** What is left of it is not taken, and its end not waited for: there may be none. */
function unusable(body: { cancel(): Promise<void> } | null, why: string): Unusable {
  body?.cancel().catch(() => undefined);
  return new Unusable(why);
}

/** On every answer of a server of ours. */
const MARK = "tidelock-proto";

async function answerOf(response: Response, most: number): Promise<HttpAnswer> {
  const { status, type: kind } = response;
  // A browser shows only that it is one.
  if (kind === "opaqueredirect" || (status >= 300 && status < 400))
    throw unusable(response.body, "the address sends its callers to another one: name that one");
  const ours = response.headers.get(MARK) !== null;
  // A portal or a proxy says yes to anything: what is durable because of it is nothing.
  if (!ours && status < 300) throw unusable(response.body, "what answers there is no Tidelock server");
  const body = await bounded(response, most);
  const type = response.headers.get("content-type") ?? "";
  const problem = ours && type.startsWith("application/problem+json") ? objectOf(body) : undefined;
  const { code, why, retryAfterMs } = problem ?? {};
  return {
    status,
    code: typeof code === "string" ? code : undefined,
    why: plainText(why) ?? `the server answered ${status}`,
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : undefined,
    time: wholeNumber(response.headers.get("tidelock-time")),
    header: (name) => response.headers.get(name),
    body,
  };
}

/** A server's words are shown to people: none of them may move their cursor, or turn their text around. */
function plainText(words: unknown): string | undefined {
  if (typeof words !== "string") return undefined;
  const text = words
    .slice(0, 200)
    .replace(/\p{C}+/gu, " ")
    .trim();
  return text === "" ? undefined : text;
}

export function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

async function bounded(response: Response, most: number): Promise<Uint8Array> {
  const all = new Gatherer(most);
  const reader = response.body?.getReader();
  if (reader === undefined) return all.done();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return all.done();
    if (!all.add(value)) throw unusable(reader, "the answer is too long");
  }
}

function streamOf(bytes: Uint8Array, pace: Pace): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  const pull = async (to: ReadableStreamDefaultController): Promise<void> => {
    const piece = bytes.subarray(at, at + PIECE);
    await pace(piece.length);
    at += piece.length;
    to.enqueue(piece);
    if (at >= bytes.length) to.close();
  };
  // Nothing ahead of what is taken: what is asked for is what leaves.
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

function objectOf(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(decodeUtf8(body) ?? "");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export function jsonOf(answer: HttpAnswer): Record<string, unknown> | undefined {
  return objectOf(answer.body);
}

function failureOf({ status, code, why, retryAfterMs }: HttpAnswer): Failure {
  // Without the server's own word it was a proxy, or a fault: nothing certain about what is asked.
  if (code === undefined || code === "internal" || code === "timeout") return { kind: "unreachable", why };
  if (status === 429 || status === 503) return { kind: "busy", retryAfter: retryAfterMs ?? 1_000 };
  if (code === "quota") return { kind: "quota", why };
  const cause = causeOf(status, code);
  return cause === undefined ? { kind: "denied", why } : { kind: "denied", why, cause };
}

const causes: Readonly<Record<string, DenialCause>> = {
  "registration-closed": "login",
  "account-closed": "account-closed",
  "signed-out": "signed-out",
  "device-removed": "device-removed",
  "not-in-group": "not-in-group",
  "vault-deleted": "vault-deleted",
};

function causeOf(status: number, code: string): DenialCause | undefined {
  if (status === 402) return "payment";
  // Only what a session does not mend by itself comes this far.
  if (status === 401) return "login";
  return Object.hasOwn(causes, code) ? causes[code] : undefined;
}

/** Codes of Node.js for a connection that never came to be. A browser tells nothing: then it may have been sent. */
const before = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** Codes of Node.js for a connection that was there and broke. */
const broken = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

function neverSent(error: unknown): boolean {
  return before.has(codeOf(error));
}

function whyOf(error: unknown, timedOut: boolean): string {
  if (timedOut) return "no answer within a minute";
  const code = codeOf(error);
  return code === "" ? "the connection failed" : `the connection failed (${code})`;
}

function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}
