/** Signing in for its own sake: a person who was not known, or is not any more, registers with a token. */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Result, Scheduler } from "@tidelock/core/ports";
import { type ServerIdentity, Sessions } from "./session.ts";
import { createTransport, type Fetch } from "./transport.ts";

export interface LogInOptions {
  readonly url: string;
  /** With the token, where the server wants one of whoever is new. */
  readonly identity: ServerIdentity;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly fetch: Fetch;
}

export async function logIn(options: LogInOptions): Promise<Result<"in">> {
  const transport = createTransport(options.url, options.fetch, options.scheduler);
  const token = await new Sessions(transport, options.suite, options.clock, options.identity).renew();
  return typeof token === "string" ? { kind: "ok", value: "in" } : token;
}
