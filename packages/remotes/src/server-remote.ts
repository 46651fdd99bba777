/**
 * A vault on a Tidelock server. The server gives positions itself, so an append is `behind` only
 * where reading shows something that must be seen first. Rules SRV70 to SRV73, SRV90.
 */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Sealed } from "@tidelock/core/bytes/brand";
import { concat, equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { ctx, hashContexts } from "@tidelock/core/crypto/labels";
import type { Suite } from "@tidelock/core/crypto/suite";
import { encodeFrameList, parsePageList } from "@tidelock/core/log/frame-list";
import { checkAppend } from "@tidelock/core/log/page";
import type {
  AppendResult,
  BlobInfo,
  BlobList,
  Clock,
  Failure,
  Page,
  Remote,
  RemoteCaps,
  Result,
  Scheduler,
} from "@tidelock/core/ports";
import { type ServerIdentity, Sessions } from "./session.ts";
import {
  createTransport,
  type Fetch,
  type HttpAnswer,
  isAnswer,
  jsonOf,
  type SendFailure,
  type SendOptions,
  type Transport,
  wholeNumber,
} from "./transport.ts";
import { type OpenSocket, Waker } from "./waker.ts";

export interface ServerRemoteOptions {
  /** `https://host[:port]`. */
  readonly url: string;
  readonly vault: Uint8Array;
  readonly identity: ServerIdentity;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly fetch: Fetch;
  /** Without it there are no hints, and the engine polls. */
  readonly openSocket?: OpenSocket;
}

/** A whole page list and what surrounds it. */
const READ_ANSWER = limits.pageBytes + (1 << 20);
/** All names that one call takes, with size and time of each. */
const LIST_ANSWER = limits.blobsPerCall * 160;

export function createServerRemote(options: ServerRemoteOptions): Remote {
  const { suite, vault, clock, scheduler, identity } = options;
  const transport = createTransport(options.url, options.fetch, scheduler);
  const sessions = new Sessions(transport, suite, clock, identity);
  const base = `/v1/vaults/${toBase64Url(vault)}`;
  const caps: RemoteCaps = {
    wake: options.openSocket !== undefined,
    deletes: true,
    accounts: true,
    links: false,
  };

  /** With a session; a second time only where the server says that the session was the matter. */
  async function call(
    method: string,
    path: string,
    more: SendOptions = {},
  ): Promise<HttpAnswer | SendFailure> {
    for (let again = false; ; again = true) {
      const token = await sessions.token();
      if (typeof token !== "string") return { ...token, sent: false };
      const answer = await transport.send(method, path, { ...more, token });
      if (again || !isAnswer(answer) || answer.status !== 401 || answer.code === undefined) return answer;
      sessions.drop(token);
    }
  }

  const waker =
    options.openSocket === undefined
      ? undefined
      : new Waker(options.openSocket, transport.origin, toBase64Url(vault), sessions, scheduler, suite);

  return {
    caps,

    async create(genesis: Sealed): Promise<Result<"created"> | { readonly kind: "exists" }> {
      checkSize(genesis, limits.genesis);
      // A vault's place on a server is its id: another genesis is another vault's.
      if (!equalBytes(suite.sha256(concat(ctx(hashContexts.vault), genesis)), vault))
        return { kind: "exists" };
      const answer = await call("POST", "/v1/vaults", { bytes: genesis });
      return done(transport, answer, [200, 201], "created");
    },

    async genesis(): Promise<Result<Uint8Array | undefined>> {
      const answer = await call("GET", `${base}/genesis`, { most: limits.genesis });
      if (isAnswer(answer) && answer.code === "not-found") return { kind: "ok", value: undefined };
      return isAnswer(answer) && answer.status === 200
        ? { kind: "ok", value: answer.body }
        : failed(transport, answer);
    },

    async read(after, want): Promise<Result<Page>> {
      const query = `after=${after}&frames=${want.frames}&bytes=${want.bytes}`;
      const answer = await call("GET", `${base}/frames?${query}`, { most: READ_ANSWER });
      if (!isAnswer(answer) || (answer.status !== 200 && answer.status !== 204))
        return failed(transport, answer);
      const pages = parsePageList(answer.body, after);
      const head = wholeNumber(answer.header("tidelock-head"));
      if (pages === null || head === undefined)
        return { kind: "corrupt", why: "the server's answer is no page list" };
      const objects = pages.map(({ page, bytes }) => ({
        kind: "page" as const,
        ...page,
        hash: suite.sha256(bytes),
      }));
      const unpaid = answer.header("tidelock-plan") === "none";
      const used = wholeNumber(answer.header("tidelock-used"));
      const told = used !== undefined && used <= 100 ? { used } : {};
      return { kind: "ok", value: { objects, head, ...(unpaid ? { unpaid } : {}), ...told } };
    },

    async append(frames, seen): Promise<AppendResult> {
      checkAppend(frames, seen);
      const answer = await call("POST", `${base}/frames`, { bytes: encodeFrameList(frames) });
      if (!isAnswer(answer)) return answer.sent ? { kind: "unknown" } : plain(answer);
      const { code, status } = answer;
      if (status === 200) return placedBy(answer, frames.length);
      // Also for `op-reused`: what this device reads next is its own number under other bytes, and it stops.
      if (code === "behind" || code === "op-reused") return { kind: "behind" };
      return code === undefined || code === "internal" || code === "timeout"
        ? { kind: "unknown" }
        : transport.failureOf(answer);
    },

    async putBlob(id, bytes, pace): Promise<Result<"stored">> {
      checkSize(bytes, limits.blob);
      if (!equalBytes(suite.sha256(bytes), id)) throw new RangeError("a blob under another hash");
      return done(
        transport,
        await call("PUT", `${base}/blobs/${toBase64Url(id)}`, {
          bytes,
          ...(pace === undefined ? {} : { pace }),
        }),
        [200, 201],
        "stored",
      );
    },

    async getBlob(id, part): Promise<Result<Uint8Array | undefined>> {
      if (id.length !== 32) throw new RangeError("a blob's name has 32 bytes");
      const [from, to] = [part?.offset ?? 0, (part?.offset ?? 0) + (part?.length ?? 0)];
      const range = part === undefined ? {} : { range: { from, to } };
      const answer = await call("GET", `${base}/blobs/${toBase64Url(id)}`, { most: limits.blob, ...range });
      if (!isAnswer(answer)) return plain(answer);
      const { status, code, body } = answer;
      if (code === "blob-missing") return { kind: "ok", value: undefined };
      // It is there, and ends before the part.
      if (code === "bad-range") return { kind: "ok", value: body.subarray(0, 0) };
      // All of it is a right answer to a question for a part, too.
      if (status === 200) return { kind: "ok", value: part === undefined ? body : body.slice(from, to) };
      if (status === 206 && part !== undefined) return { kind: "ok", value: body.slice(0, part.length) };
      return transport.failureOf(answer);
    },

    async listBlobs(after): Promise<Result<BlobList>> {
      const path = `${base}/blobs?after=${toBase64Url(after)}`;
      const answer = await call("GET", path, { most: LIST_ANSWER });
      if (!isAnswer(answer) || answer.status !== 200) return failed(transport, answer);
      const { blobs } = jsonOf(answer) ?? {};
      const { time: now } = answer;
      const found = Array.isArray(blobs) ? blobs.slice(0, limits.blobsPerCall).map(parseBlob) : [undefined];
      if (now === undefined || found.includes(undefined))
        return { kind: "corrupt", why: "the server's answer is no list of blobs" };
      return { kind: "ok", value: { now, blobs: found as readonly BlobInfo[] } };
    },

    async deleteBlobs(ids, condemnedAt): Promise<Result<readonly Uint8Array[]>> {
      if (ids.length > limits.blobsPerCall) throw new RangeError("more blobs than one call takes");
      const json = { ids: ids.map(toBase64Url), condemnedAt };
      const answer = await call("POST", `${base}/blobs/delete`, { json, most: LIST_ANSWER });
      if (!isAnswer(answer) || answer.status !== 200) return failed(transport, answer);
      const { early } = jsonOf(answer) ?? {};
      const stay = Array.isArray(early) ? early.map(idOf) : [undefined];
      if (stay.includes(undefined))
        return { kind: "corrupt", why: "the server's answer is no list of blobs" };
      return { kind: "ok", value: stay as readonly Uint8Array[] };
    },

    ...(waker === undefined
      ? {}
      : { wake: (hint: (seq?: number) => void) => waker.add(hint), awake: () => waker.awake }),

    close(): void {
      waker?.close();
      transport.close();
    },
  };
}

function placedBy(answer: HttpAnswer, frames: number): AppendResult {
  const { first, time, head } = jsonOf(answer) ?? {};
  if (typeof first !== "number" || !Number.isSafeInteger(first) || first < 1) return { kind: "unknown" };
  const { seq, hash: text } = (typeof head === "object" && head !== null ? head : {}) as Record<
    string,
    unknown
  >;
  const hash = typeof text === "string" ? fromBase64Url(text) : undefined;
  // Something stands behind them: that is for a read to show.
  if (seq !== first + frames - 1 || typeof time !== "number" || hash?.length !== 32)
    return { kind: "committed", first };
  return { kind: "committed", first, receipt: { time, hash } };
}

function idOf(text: unknown): Uint8Array | undefined {
  const id = typeof text === "string" ? fromBase64Url(text) : undefined;
  return id?.length === 32 ? id : undefined;
}

function parseBlob(value: unknown): BlobInfo | undefined {
  const {
    id: text,
    size,
    storedAt,
  } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const id = idOf(text);
  return id === undefined || !isCount(size) || !isCount(storedAt) ? undefined : { id, size, storedAt };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function done<T>(
  transport: Transport,
  answer: HttpAnswer | SendFailure,
  good: readonly number[],
  value: T,
): Result<T> {
  if (isAnswer(answer) && good.includes(answer.status)) return { kind: "ok", value };
  return failed(transport, answer);
}

function failed(transport: Transport, answer: HttpAnswer | SendFailure): Failure {
  return isAnswer(answer) ? transport.failureOf(answer) : plain(answer);
}

function plain({ sent: _sent, ...failure }: SendFailure): Failure {
  return failure as Failure;
}

function checkSize(bytes: Uint8Array, max: number): void {
  if (bytes.length === 0 || bytes.length > max) throw new RangeError("bytes outside their size");
}
