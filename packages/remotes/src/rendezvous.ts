/** Where two devices meet that do not know each other yet: two slots on a server, each filled once. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { limits } from "@tidelock/core/bytes/limits";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Failure, Result, Scheduler } from "@tidelock/core/ports";
import { type ServerIdentity, Sessions } from "./session.ts";
import { createTransport, type Fetch, type HttpAnswer, isAnswer } from "./transport.ts";

export interface RendezvousOptions {
  readonly url: string;
  readonly scheduler: Scheduler;
  readonly fetch: Fetch;
}

export interface HostOptions extends RendezvousOptions {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly identity: ServerIdentity;
}

/** It ran out, was called off, or never was. */
export type Gone = { readonly kind: "gone" };

export interface Rendezvous {
  /** Again with the same bytes: ok. */
  put(slot: 1 | 2, bytes: Uint8Array): Promise<Result<"there"> | { readonly kind: "used" } | Gone>;
  /** Undefined while nothing is there; the server waits for it up to `waitMs`, at most 25 s. */
  get(slot: 1 | 2, waitMs: number): Promise<Result<Uint8Array | undefined> | Gone>;
  close(): void;
}

/** As somebody whom the server does not know. */
export function meetAt(id: Uint8Array, options: RendezvousOptions): Rendezvous {
  const transport = createTransport(options.url, options.fetch, options.scheduler);
  const path = (slot: 1 | 2): string => `/v1/rv/${toBase64Url(id)}/${slot}`;
  const failed = (answer: HttpAnswer | Failure): Failure | Gone => {
    if (!isAnswer(answer)) return answer;
    return answer.code === "code-expired" ? { kind: "gone" } : transport.failureOf(answer);
  };
  return {
    async put(slot, bytes) {
      const answer = await transport.send("PUT", path(slot), { bytes });
      if (isAnswer(answer) && answer.status === 204) return { kind: "ok", value: "there" };
      if (isAnswer(answer) && answer.code === "code-used") return { kind: "used" };
      return failed(answer);
    },
    async get(slot, waitMs) {
      const query = `?wait=${Math.min(25_000, Math.max(0, Math.floor(waitMs)))}`;
      const answer = await transport.send("GET", path(slot) + query, { most: limits.rendezvous });
      if (!isAnswer(answer) || (answer.status !== 200 && answer.status !== 204)) return failed(answer);
      return { kind: "ok", value: answer.status === 204 ? undefined : answer.body };
    },
    close: () => transport.close(),
  };
}

/** Keeps the place for so long, as a device that the server knows. */
export async function reserveMeeting(
  id: Uint8Array,
  lifeMs: number,
  options: HostOptions,
): Promise<Result<"reserved">> {
  return asHost(options, (transport, token) =>
    transport.send("POST", "/v1/rv", { token, json: { id: toBase64Url(id), lifeMs } }),
  );
}

export async function cancelMeeting(id: Uint8Array, options: HostOptions): Promise<Result<"reserved">> {
  return asHost(options, (transport, token) =>
    transport.send("DELETE", `/v1/rv/${toBase64Url(id)}`, { token }),
  );
}

async function asHost(
  { url, fetch, scheduler, suite, clock, identity }: HostOptions,
  call: (transport: ReturnType<typeof createTransport>, token: string) => Promise<HttpAnswer | Failure>,
): Promise<Result<"reserved">> {
  const transport = createTransport(url, fetch, scheduler);
  const token = await new Sessions(transport, suite, clock, identity).token();
  if (typeof token !== "string") return token;
  const answer = await call(transport, token);
  if (!isAnswer(answer)) return answer;
  return answer.status < 300 ? { kind: "ok", value: "reserved" } : transport.failureOf(answer);
}
