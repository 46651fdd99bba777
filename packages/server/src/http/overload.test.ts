/** More than the server can do: what is refused, how, and what goes on. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import { foundIn } from "@tidelock/testkit/suites/log-store-kit";
import { Time } from "@tidelock/testkit/vault-kit";
import { TestVault } from "@tidelock/testkit/vault-people";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createJwtSigner, newTokenKey } from "../auth/jwt.ts";
import { openDiskBlobs } from "../blobs/disk.ts";
import { random } from "../host/files.ts";
import { routes } from "../routes.ts";
import { createTidelockServer, type TidelockServer } from "../server.ts";
import { openSqliteStore } from "../sqlite/store.ts";
import type { LogStore } from "../store.ts";
import type { Answer, Call } from "./call.ts";
import { createHandler } from "./handler.ts";
import { Rates } from "./rates.ts";

const AUDIENCE = "https://sync.example";
let folder: string;
let store: LogStore;
let server: TidelockServer;
let vault: TestVault;
let token: string;
const time = new Time();
/** While it is shut no commit ends. */
let gate: { readonly open: () => void; readonly opened: Promise<void> };

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
  store = await openSqliteStore(join(folder, "server.db"), { writer: "inline" });
  const suite = await createPortableSuite();
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  gate = { open, opened };
  const clock = { now: () => time.now(), mono: () => time.mono };
  server = createTidelockServer({
    store: {
      ...store,
      commit: async (writes) => {
        await opened;
        return store.commit(writes);
      },
    },
    blobs: await openDiskBlobs(join(folder, "blobs"), random),
    suite,
    clock,
    scheduler: time,
    random,
    log: { event: () => undefined },
    signer: await createJwtSigner({ keys: [await newTokenKey(0, random)] }, AUDIENCE, clock),
    audience: AUDIENCE,
  });
  vault = new TestVault(suite);
  await foundIn(store, vault);
  const { founder } = vault;
  const { person, keys, id } = founder;
  const account = {
    person: person.id,
    signKey: person.keys.sign,
    boxKey: person.keys.box,
    created: 0,
    closed: undefined,
  };
  const device = {
    device: id,
    person: person.id,
    signKey: keys.sign,
    added: 0,
    seen: 0,
    revoked: undefined,
    closed: undefined,
  };
  await store.admitAccount(account, device);
  token = (await server.services.tokens.issue(id, person.id)).token;
});

afterEach(async () => {
  gate.open();
  await server.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Sent {
  readonly answer: Promise<Answer>;
  /** Whether anybody asked for the body. */
  readonly read: () => boolean;
}

function send(method: string, path: string, bytes?: Uint8Array, handler = server.handler): Sent {
  let read = false;
  const headers: Record<string, string | undefined> = {
    authorization: `Bearer ${token}`,
    "content-length": bytes === undefined ? undefined : String(bytes.length),
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    read = true;
    yield bytes as Uint8Array;
  }
  const call: Call = {
    method,
    path: `/v1/vaults/${toBase64Url(vault.id)}${path}`,
    query: new URLSearchParams(),
    header: (name) => headers[name],
    body: bytes === undefined ? undefined : body(),
    address: "192.0.2.1",
  };
  return { answer: handler(call), read: () => read };
}

/** Its body was read, and some turns of the loop have passed since. */
async function taken(sent: Sent): Promise<void> {
  for (let turns = 0; turns < 20; ) {
    await new Promise((resolve) => setImmediate(resolve));
    if (sent.read()) turns++;
  }
}

const append = (n: number): Sent =>
  send("POST", "/frames", encodeFrameList([vault.data(vault.founder, 0, n, "x")]));
const codeOf = ({ body }: Answer): unknown =>
  (JSON.parse(new TextDecoder().decode(body as Uint8Array)) as { code: string }).code;

test("[SRV56] once appends wait for more than 2 s, more are refused unread, reads go on, and what waits is placed", async () => {
  const first = append(1);
  await taken(first);
  await time.run(2_000);
  const second = append(2);
  await taken(second);
  await time.run(1);
  const third = append(3);
  const refused = await third.answer;
  expect([refused.status, codeOf(refused), third.read()]).toEqual([503, "busy", false]);
  const seconds = Number(refused.headers["retry-after"]);
  expect(seconds >= 1 && seconds <= 5).toBe(true);
  expect((await send("GET", "/head").answer).status).toBe(200);
  gate.open();
  expect([(await first.answer).status, (await second.answer).status]).toEqual([200, 200]);
  expect((await append(3).answer).status).toBe(200);
});

test("[SRV56] bodies beyond what may be in memory at one time are refused unread", async () => {
  const clock = { now: () => time.now(), mono: () => time.mono };
  const handler = createHandler({
    services: server.services,
    routes,
    rates: new Rates(clock),
    bodyBytes: 1_000,
  });
  const frame = (n: number): Uint8Array =>
    encodeFrameList([vault.data(vault.founder, 0, n, "x".repeat(500))]);
  const first = send("POST", "/frames", frame(1), handler);
  await taken(first);
  const second = send("POST", "/frames", frame(2), handler);
  expect([codeOf(await second.answer), second.read()]).toEqual(["busy", false]);
  gate.open();
  expect((await first.answer).status).toBe(200);
  expect((await send("POST", "/frames", frame(2), handler).answer).status).toBe(200);
});

test("[SRV9] a full disk is said as one, and nothing was placed", async () => {
  const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
  const broken = { ...server.services, store: { ...store, state: () => Promise.reject(full) } };
  const clock = { now: () => time.now(), mono: () => time.mono };
  const handler = createHandler({ services: broken, routes, rates: new Rates(clock) });
  const answer = await send("GET", "/head", undefined, handler).answer;
  expect([answer.status, codeOf(answer)]).toEqual([507, "quota"]);
});

test("[SRV50] a fault of the server says nothing of what went wrong inside, and has a name to look for", async () => {
  const broken = {
    ...server.services,
    store: { ...store, state: () => Promise.reject(new Error("/secret/path")) },
  };
  const clock = { now: () => time.now(), mono: () => time.mono };
  const told: unknown[] = [];
  const log = { event: (name: string, fields?: object) => void told.push([name, fields]) };
  const handler = createHandler({ services: { ...broken, log }, routes, rates: new Rates(clock) });
  const answer = await send("GET", "/head", undefined, handler).answer;
  const text = new TextDecoder().decode(answer.body as Uint8Array);
  expect(answer.status).toBe(500);
  expect(text).not.toContain("secret");
  const requestId = answer.headers["tidelock-request"];
  expect(text).toContain(requestId);
  expect(told).toEqual([["request.failed", { route: "GET /v1/vaults/{v}/head", requestId, why: "Error" }]]);
});
