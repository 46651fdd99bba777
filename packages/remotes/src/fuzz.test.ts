/**
 * What a server, or whoever stands in its place, may answer: honest answers with some of their bytes,
 * words and numbers changed, and real servers that have no answer in mind at all.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Remote, Result } from "@tidelock/core/ports";
import { type blobOf, createCast } from "@tidelock/testkit/server-cast";
import { ServerStage, STAGE_ADDRESS } from "@tidelock/testkit/server-stage";
import { Spoiler } from "@tidelock/testkit/spoiler";
import { draws, repeatable, seeds } from "@tidelock/testkit/suites/seeds";
import type { TestDevice, TestVault } from "@tidelock/testkit/vault-people";
import { beforeAll, expect, test } from "vitest";
import { createServerRemote } from "./server-remote.ts";
import type { Fetch } from "./transport.ts";
import { listVaults } from "./vaults.ts";

/** Calls of one seed. */
const CALLS = 200;

interface Recorded {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

let suite: Suite;
let vault: TestVault;
let device: TestDevice;
let frame: Uint8Array;
let genesis: Uint8Array;
let blob: ReturnType<typeof blobOf>;
/** What the server answers, by method and path. */
const recorded = new Map<string, Recorded>();

beforeAll(async () => {
  const stage = await ServerStage.open();
  const { home, inHome } = await createCast(stage);
  suite = stage.suite;
  ({ vault } = home);
  const { owner } = inHome;
  ({ device } = owner);
  blob = { blob: home.blob, blobId: home.blobId };
  frame = vault.data(device, 0, owner.next, "an edit", home.at);
  genesis = vault.genesis.bytes;
  const honest: Fetch = async (url, { method = "GET", headers, body }) => {
    const token = (headers as Record<string, string>)["authorization"]?.slice(7);
    const bytes = body as Uint8Array | undefined;
    const path = url.slice(STAGE_ADDRESS.length);
    const answer = await stage.ask({ method, path, token, bytes });
    recorded.set(`${method} ${path}`, answer);
    return responseOf(answer);
  };
  for (const call of calls(honest)) expect(["ok", "committed"]).toContain((await call()).kind);
  await stage.dispose();
});

type Outcome = Result<unknown> | Awaited<ReturnType<Remote["append"]>> | { readonly kind: "exists" };

function calls(fetch: Fetch): readonly (() => Promise<Outcome>)[] {
  const options = {
    url: STAGE_ADDRESS,
    suite,
    clock: { now: () => 0, mono: () => 0 },
    scheduler: { after: () => () => undefined },
    fetch,
    identity: {
      person: device.person.keys,
      device: device.keys,
      signSecret: device.keys.signSecret,
      certificates: [device.certificate],
    },
  };
  const remote = createServerRemote({ ...options, vault: vault.id });
  return [
    () => remote.read(0, { frames: 100, bytes: 1 << 20 }),
    () => remote.genesis(),
    () => remote.getBlob(blob.blobId),
    () => remote.putBlob(blob.blobId, blob.blob as never),
    () => remote.create(genesis as never),
    () => remote.append([frame as never], { seq: 0, hash: vault.id }),
    () => listVaults(options),
  ];
}

function responseOf({ status, headers, bytes }: Recorded, body?: ReadableStream<Uint8Array>): Response {
  const empty = status === 204 || status === 304;
  return new Response(empty ? null : (body ?? (bytes as Uint8Array<ArrayBuffer>)), {
    status,
    headers: { ...headers },
  });
}

const statuses = [200, 200, 200, 201, 204, 206, 302, 304, 307, 400, 401, 403, 404, 412, 429, 500, 503, 507];
const types = [
  "text/html",
  "application/json",
  "application/problem+json",
  "application/problem+json; x",
  "",
];
const pages = [
  "<html><script>alert(1)</script>",
  "null",
  "[]",
  "{}",
  '{"code":{}}',
  '{"code":"busy","retryAfterMs":-1e308}',
];

function spoiledAnswer(spoiler: Spoiler, honest: Recorded, other: Recorded): Response {
  let { status, bytes } = honest;
  const headers: Record<string, string> = { ...honest.headers };
  for (let n = 1 + spoiler.int(2); n > 0; n--) {
    const what = spoiler.int(10);
    if (what === 0) status = spoiler.pick(statuses);
    else if (what === 1) headers["content-type"] = spoiler.pick(types);
    else if (what === 2) {
      const name = spoiler.pick(["tidelock-head", "tidelock-time"]);
      headers[name] = spoiler
        .text(headers[name] ?? "5")
        .replace(/[^ -~]/g, "")
        .slice(0, 100);
    } else if (what === 3) delete headers[spoiler.pick(Object.keys(headers))];
    else if (what === 4) bytes = encodeUtf8(spoiler.pick(pages));
    else if (what === 5) ({ status, bytes } = other);
    else if (what === 6) {
      status = spoiler.pick(statuses);
      headers["content-type"] = "application/problem+json";
      bytes = encodeUtf8(
        spoiler.json({ code: spoiler.pick(codes), why: "because\u001b[2J\u202e", retryAfterMs: 5 }),
      );
    } else if (what === 7 && bytes[0] === 0x7b)
      bytes = encodeUtf8(spoiler.json(JSON.parse(new TextDecoder().decode(bytes))));
    else bytes = spoiler.bytes(bytes, other.bytes);
  }
  return responseOf({ status, headers, bytes }, spoiler.chance(0.3) ? inPieces(spoiler, bytes) : undefined);
}

const codes = [
  "busy",
  "quota",
  "denied",
  "no-access",
  "not-found",
  "internal",
  "behind",
  "session-expired",
  "x",
];

/** As small as can be, and now and then broken off, or without end. */
function inPieces(spoiler: Spoiler, bytes: Uint8Array): ReadableStream<Uint8Array> {
  const [breaks, endless] = [spoiler.chance(0.2), spoiler.chance(0.1)];
  let at = 0;
  return new ReadableStream({
    pull: (to) => {
      const size = endless && at >= bytes.length ? 1 << 20 : 1 + spoiler.int(9);
      const piece = at < bytes.length ? bytes.slice(at, at + size) : new Uint8Array(endless ? size : 0);
      at += size;
      if (piece.length > 0) return to.enqueue(piece);
      return breaks ? to.error(new TypeError("terminated")) : to.close();
    },
  });
}

function checkOutcome(outcome: Outcome): void {
  switch (outcome.kind) {
    case "committed":
      expect(Number.isSafeInteger(outcome.first) && outcome.first > 0).toBe(true);
      return;
    case "ok":
      checkValue(outcome.value);
      return;
    case "busy":
      expect(Number.isFinite(outcome.retryAfter)).toBe(true);
      return;
    case "unreachable":
    case "denied":
    case "quota":
    case "corrupt":
      expect(outcome.why).toMatch(/^\P{C}{1,200}$/u);
      return;
    case "unknown":
    case "behind":
    case "exists":
  }
}

function checkValue(value: unknown): void {
  if (value instanceof Uint8Array) expect(value.length).toBeLessThanOrEqual(limits.blob);
  if (typeof value !== "object" || value === null || !("objects" in value)) return;
  const { objects, head } = value as {
    objects: { first: number; entries: { frame: Uint8Array }[] }[];
    head: number;
  };
  expect(Number.isSafeInteger(head) && head >= 0).toBe(true);
  let next = 1;
  for (const { first, entries } of objects) {
    expect([first, entries.length > 0]).toEqual([next, true]);
    next += entries.length;
  }
}

test.each(seeds(10))(
  "[P14] [SRV72] [SRV90] whatever is answered, a call ends with one of its results (seed %d)",
  (seed) =>
    repeatable("packages/remotes/src/fuzz.test.ts", seed, async () => {
      const spoiler = new Spoiler(draws(seed));
      const kinds = new Set<string>();
      const all = [...recorded.values()];
      for (let n = 0; n < CALLS; n++) {
        let answers = 0;
        const hostile: Fetch = async (url, { method = "GET" }) => {
          const honest = recorded.get(`${method} ${url.slice(STAGE_ADDRESS.length)}`) as Recorded;
          // Signing in comes before everything else: most of it has to work for the rest to be seen.
          const isDoor = url.includes("/auth/") && !spoiler.chance(0.1);
          // A call asks a few times and no more.
          expect(++answers).toBeLessThan(20);
          return isDoor ? responseOf(honest) : spoiledAnswer(spoiler, honest, spoiler.pick(all));
        };
        const outcome = await spoiler
          .pick(calls(hostile))()
          .catch((cause: unknown) => {
            throw new Error(`call ${n} ended with no result`, { cause });
          });
        checkOutcome(outcome);
        kinds.add(outcome.kind);
      }
      // It got further than to the door.
      expect(kinds.size).toBeGreaterThan(4);
    }),
);
