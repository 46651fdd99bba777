/** The operator's addresses of a server, and what their refusals mean at a command line. */
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";

export interface Admin {
  ask<T>(method: string, path: string, json?: unknown): Promise<T>;
  /** All pages of a list. */
  pages<T>(path: string, name: string, idOf: (row: T) => string): Promise<readonly T[]>;
}

const PATIENCE = 30_000;

export function createAdmin(url: string, token: string, timeoutMs: number = PATIENCE): Admin {
  async function ask<T>(method: string, path: string, json?: unknown): Promise<T> {
    const answer = await fetch(`${url}/v1/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      // The token is for this address alone.
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    }).catch((cause: unknown) => {
      throw new TidelockError("unreachable", {
        why: `${url} does not answer`,
        next: "tidelock server healthcheck URL",
        cause,
      });
    });
    const value = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    if (!answer.ok) throw refusalOf(url, answer.status, value);
    return value as T;
  }

  return {
    ask,
    async pages<T>(path: string, name: string, idOf: (row: T) => string) {
      const all: T[] = [];
      for (;;) {
        const last = all.at(-1);
        const after = last === undefined ? "" : `?after=${idOf(last)}`;
        const some = (await ask<Record<string, readonly T[]>>("GET", path + after))[name] ?? [];
        if (some.length === 0) return all;
        all.push(...some);
      }
    },
  };
}

const codes: Readonly<Record<number, ErrorCode>> = { 400: "usage", 404: "not-found", 409: "exists" };

function refusalOf(url: string, status: number, { code, why }: Record<string, unknown>): TidelockError {
  if (status === 401)
    return new TidelockError("no-access", {
      why: `this is not the operator's token of ${url}`,
      next: "give the token that it was started with",
    });
  // Without an operator a server has no such addresses, and says no more than that.
  const told = typeof why === "string" && typeof code === "string" ? why : `it answers ${status}`;
  const known = codes[status];
  return new TidelockError(known ?? "unreachable", {
    why: told,
    next:
      status === 404
        ? "check the id, and that the server was started with an operator's token"
        : "tidelock server admin usage",
  });
}
