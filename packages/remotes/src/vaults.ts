/** Which vaults of a server a person is in: asked by a device that has only the words. */
import { fromBase64Url } from "@tidelock/core/bytes/base64url";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Failure, Result, Scheduler } from "@tidelock/core/ports";
import { type ServerIdentity, Sessions } from "./session.ts";
import { createTransport, type Fetch, isAnswer, jsonOf } from "./transport.ts";

export interface ListOptions {
  readonly url: string;
  readonly identity: ServerIdentity;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly fetch: Fetch;
  /** Who asks has given up. */
  readonly signal?: AbortSignal;
}

/** More than a person has; a server that names more is not believed. */
const MOST = 10_000;

/** The ids as the server says them. What is behind an id, its genesis proves. */
export async function listVaults(options: ListOptions): Promise<Result<readonly Uint8Array[]>> {
  const transport = createTransport(options.url, options.fetch, options.scheduler);
  options.signal?.addEventListener("abort", () => transport.close(), { once: true });
  const sessions = new Sessions(transport, options.suite, options.clock, options.identity);
  const token = await sessions.token();
  if (typeof token !== "string") return token;
  const answer = await transport.send("GET", "/v1/vaults", { token });
  if (!isAnswer(answer)) return answer;
  if (answer.status !== 200) return transport.failureOf(answer);
  const listed = jsonOf(answer)?.["vaults"];
  if (!Array.isArray(listed) || listed.length > MOST) return noList();
  const ids: Uint8Array[] = [];
  for (const one of listed as readonly unknown[]) {
    const text = typeof one === "object" && one !== null && "vault" in one ? one.vault : undefined;
    const id = typeof text === "string" ? fromBase64Url(text) : undefined;
    if (id?.length !== 32) return noList();
    ids.push(id);
  }
  return { kind: "ok", value: ids };
}

function noList(): Failure {
  return { kind: "corrupt", why: "the server's list of vaults is none" };
}
