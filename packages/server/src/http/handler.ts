/**
 * From a call to its answer. Everything that holds for all routes is here, in this order: what
 * exists, who is asking, how often, how much, whose vault. Rules SRV50 to SRV55.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { TidelockError } from "@tidelock/core/errors";
import { refuseAccount } from "../auth/sign-in.ts";
import { termsOf } from "../auth/terms.ts";
import type { Session } from "../auth/token.ts";
import { atLeast, standingOf } from "../log/access.ts";
import { notFound, Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import type { Level } from "../store.ts";
import { type Answer, type Call, declaredLength, problemAnswer } from "./call.ts";
import { isOperator } from "./operator.ts";
import type { Rates } from "./rates.ts";
import { type Context, idParam, type Policy, type Route, type VaultContext } from "./route.ts";
import { createRouter } from "./router.ts";

export interface HandlerOptions {
  readonly services: Services;
  readonly routes: readonly Route[];
  readonly rates: Rates;
  /** Pages that may call the server from a browser. */
  readonly origins?: readonly string[];
  /** Bytes of bodies at one time; beyond them the server is busy. */
  readonly bodyBytes?: number;
}

export type Handler = (call: Call) => Promise<Answer>;

/** For a host: what it refuses before there is a call. */
export function refusal(services: Services, problem: Problem): Answer {
  const requestId = toBase64Url(services.random(12));
  const answer = problemAnswer(problem, requestId);
  services.metrics.count("tidelock_http_requests_total", { route: "none", code: answer.status });
  return { ...answer, headers: { ...headersOf(services, requestId), ...answer.headers } };
}

function headersOf(services: Services, requestId: string): Record<string, string> {
  return {
    ...always,
    "tidelock-time": String(services.clock.now()),
    "tidelock-request": requestId,
  };
}

const BODY_BYTES = 256 << 20;
/** Appends that have waited this long say that more would only wait longer. */
const TOO_LATE = 2_000;

/** Nothing here is a page, and nothing may make it one; and nothing is kept unless an answer says so. */
const always: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "tidelock-proto": "1",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-site",
};

export function createHandler(options: HandlerOptions): Handler {
  const { services, rates } = options;
  // Where nobody is the operator these addresses are as absent as any other.
  const served = options.routes.filter(
    ({ policy }) => policy !== "operator" || services.operator !== undefined,
  );
  const route = createRouter(served);
  const bodyBytes = options.bodyBytes ?? BODY_BYTES;
  let held = 0;

  async function answer(call: Call, seen: (route: Route) => void): Promise<Answer> {
    const found = route(call.method, call.path);
    if (found.kind === "none") throw notFound();
    if (found.kind === "method") {
      if (call.method === "OPTIONS") return { status: 204, headers: { allow: found.allow }, body: undefined };
      throw new Problem("method-not-allowed", "this address takes other methods");
    }
    seen(found.route);
    const { params } = found;
    const session = await authenticate(services, found.route, call);
    limit(found.route, call, session);
    const length = found.route.body === "none" ? 0 : declaredLength(call, found.route.most);
    refuseOverload(found.route, length);
    const vault =
      session === undefined || params["v"] === undefined
        ? undefined
        : await authorize(services, found.route, session, idParam({ params } as Context, "v"));
    // Who may not write to it takes nothing of it.
    if (vault !== undefined && isWrite(found.route)) rates.take("vault", params["v"] ?? "");
    held += length;
    try {
      return await found.route.handle({ call, services, params, session, vault });
    } finally {
      held -= length;
    }
  }

  function limit({ rate }: Route, call: Call, session: Session | undefined): void {
    if (rate === undefined) return;
    const byDevice = rates.of(rate) === "device" && session !== undefined;
    rates.take(rate, byDevice ? session.deviceName : call.address);
  }

  function refuseOverload({ rate }: Route, length: number): void {
    const full = length > 0 && held + length > bodyBytes;
    if (full || (rate === "append" && services.queue.delay() > TOO_LATE)) {
      services.metrics.count("tidelock_overload_total");
      throw new Problem("busy", "the server has more to do than it can", 1_000 + jitter(services) * 4_000);
    }
  }

  const drawId = drawer(services.random, 12);

  return async (call) => {
    const requestId = toBase64Url(drawId());
    let name = "none";
    let result: Answer;
    try {
      result = await answer(call, ({ method, path }) => {
        name = `${method} ${path}`;
      });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code === "internal")
        services.log.event("request.failed", { route: name, requestId, why: kindOf(error) });
      result = problemAnswer(problem, requestId);
    }
    services.metrics.count("tidelock_http_requests_total", { route: name, code: result.status });
    const headers = Object.assign(
      headersOf(services, requestId),
      cors(options.origins, call),
      result.headers,
    );
    return { status: result.status, headers, body: result.body };
  };
}

/** Undefined where no device is asked for: the operator has none. */
async function authenticate(services: Services, route: Route, call: Call): Promise<Session | undefined> {
  if (route.policy === "open") return undefined;
  const token = /^Bearer ([\w.~+/=-]+)$/.exec(call.header("authorization") ?? "")?.[1];
  if (route.policy === "operator") {
    const { operator, suite } = services;
    if (token === undefined || operator === undefined || !isOperator(suite, operator, token))
      throw new Problem("bad-proof", "this address is for whoever runs the server");
    return undefined;
  }
  if (token === undefined) throw new Problem("bad-proof", "this address needs a session");
  const session = await services.tokens.verify(token);
  if (route.fresh === true && !services.tokens.isFresh(session))
    throw new Problem("session-expired", "this needs a session younger than a minute");
  // Looked up each time: signing a device out binds at once.
  const device = await services.store.accountDevice(session.device);
  if (device === undefined) throw new Problem("bad-proof", "this device has not signed in here");
  refuseAccount(device);
  return session;
}

function isWrite({ rate }: Route): boolean {
  return rate === "append" || rate === "write";
}

/** What may be done in the vault. An absent vault and one of others have one answer. */
async function authorize(
  services: Services,
  route: Route,
  session: Session,
  id: Uint8Array,
): Promise<VaultContext> {
  const { device, person } = session;
  const state = await services.store.state({ vault: id, devices: [device], persons: [person], placed: [] });
  const standing = standingOf(state?.devices[0], state?.members[0]);
  if (standing.kind === "removed" && route.policy !== "past")
    throw new Problem("device-removed", "the log has removed this device");
  if (state === undefined || standing.kind === "stranger") throw notFound();
  const { row } = state;
  if (row.deleted !== undefined && route.policy !== "owner")
    throw new Problem("vault-deleted", "the vault was deleted on this server");
  const rows = await services.store.terms({ vault: id, owner: row.owner, person, device });
  const terms = termsOf(rows, services.clock.now());
  // What a removed device may still read it was let in for.
  if (!terms.connects && standing.kind !== "removed")
    throw new Problem("not-in-group", "no group of this vault has the device or its person");
  const needed = levels[route.policy];
  if (needed !== undefined && (standing.kind !== "active" || !atLeast(standing.level, needed)))
    throw new Problem("no-access", "this device may not do that in the vault");
  return { row, standing, terms };
}

/** The least level of an admitted device, where a policy asks for one. */
const levels: Readonly<Partial<Record<Policy, Level>>> = {
  member: "viewer",
  write: "editor",
  admin: "admin",
  owner: "owner",
};

function cors(origins: readonly string[] | undefined, call: Call): Record<string, string> | undefined {
  const origin = call.header("origin");
  if (origin === undefined || origins === undefined) return undefined;
  if (!origins.includes(origin)) return { vary: "origin" };
  return {
    vary: "origin",
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
    "access-control-allow-headers": "authorization, content-type, range, tidelock-client",
    "access-control-expose-headers":
      "tidelock-head, tidelock-plan, tidelock-used, tidelock-time, tidelock-proto, retry-after, content-range",
    "access-control-max-age": "600",
    "cross-origin-resource-policy": "cross-origin",
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isFull(error)) return new Problem("quota", "the server's disk is full");
  return new Problem("internal", "the server failed on this request");
}

function isFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT" || (error instanceof TidelockError && code === "disk-full");
}

/** A word for the log: never a message, which may hold a path. */
function kindOf(error: unknown): string {
  if (error instanceof TidelockError) return error.code;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : "unknown";
}

/** Random bytes, drawn for many requests at a time: a draw costs as much as a small read. */
function drawer(random: Services["random"], size: number): () => Uint8Array {
  let [pool, at] = [new Uint8Array(0), 0];
  return () => {
    if (at === pool.length) [pool, at] = [new Uint8Array(random(256 * size)), 0];
    at += size;
    return pool.subarray(at - size, at);
  };
}

function jitter(services: Services): number {
  const [a = 0, b = 0] = services.random(2);
  return (a * 256 + b) / 65_536;
}
