/** The server as a process: what its options and limits do, and what is in its folder. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8, toHex } from "@tidelock/core/bytes/bytes";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { OPERATOR, realClock, realScheduler, ServerRig } from "@tidelock/testkit/server-rig";
import { TestVault } from "@tidelock/testkit/vault-people";
import { afterEach, expect, test } from "vitest";
import { toFetch } from "../fetch.ts";
import type { Rate } from "../http/rates.ts";
import { type StartOptions, startServer } from "./start.ts";

let rig: ServerRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

async function start(options: Partial<StartOptions> = {}): Promise<ServerRig> {
  rig = await ServerRig.start(options);
  return rig;
}

const register = async (at: ServerRig, registration?: string): Promise<unknown> => {
  const json = { ...(await at.proof(at.newDevice())), registration };
  const answer = await at.send("POST", "/v1/persons", { json });
  return answer.status === 201 ? "in" : answer.body["code"];
};

test("[SRV22] by default a person registers with a token of whoever runs the server, each token once", async () => {
  const at = await start({ registration: "token" });
  const token = await at.running.invitePerson();
  expect(await register(at, toBase64Url(new Uint8Array(16)))).toBe("registration-closed");
  expect(await register(at)).toBe("registration-closed");
  expect(await register(at, token)).toBe("in");
  expect(await register(at, token)).toBe("registration-closed");
});

test("[SRV22] a closed server takes nobody", async () => {
  expect(await register(await start({ registration: "closed" }))).toBe("registration-closed");
});

test("[SRV25] [SRV80] [M-22] the database holds nothing that gives a session: no key, no token, nobody's", async () => {
  const at = await start({ registration: "token" });
  const token = await at.running.invitePerson();
  await register(at, token);
  expect((await at.admin("GET", "/usage")).status).toBe(200);
  await at.down();
  const keys = JSON.parse(readFileSync(join(at.folder, "session-keys.json"), "utf8")) as {
    keys: { jwk: { d: string } }[];
  };
  expect(statSync(join(at.folder, "session-keys.json")).mode & 0o077).toBe(0);
  const operator = encodeUtf8(OPERATOR);
  const secrets = [
    fromBase64Url(token),
    fromBase64Url(keys.keys[0]?.jwk.d ?? ""),
    operator,
    at.suite.sha256(operator),
  ].map((one) => Buffer.from(one ?? new Uint8Array(0)));
  for (const name of readdirSync(at.folder).filter((one) => one.startsWith("server.db"))) {
    const bytes = readFileSync(join(at.folder, name));
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(15);
      expect(bytes.includes(secret)).toBe(false);
      expect(bytes.includes(secret.toString("base64url"))).toBe(false);
    }
  }
});

test("[SRV25] sessions outlive a restart of the server", async () => {
  const at = await start();
  const device = at.newDevice();
  const token = await at.token(device);
  await at.down();
  await at.up();
  expect((await at.send("GET", "/v1/vaults", { token })).status).toBe(200);
});

test("[SRV53] a caller beyond its limit is told when to come back, and others are not held up", async () => {
  const few = { perMinute: 6, burst: 3, of: "device" as const };
  const generous = { perMinute: 1e9, burst: 1e9, of: "address" as const };
  const at = await start({ rates: { read: few, challenge: generous, "sign-in": generous } });
  const [a, b] = [at.newDevice(), at.newDevice()];
  for (let i = 0; i < 3; i++) expect((await at.send("GET", "/v1/vaults", { as: a })).status).toBe(200);
  const refused = await at.send("GET", "/v1/vaults", { as: a });
  expect([refused.status, refused.body["code"]]).toEqual([429, "too-many"]);
  expect(Number(refused.body["retryAfterMs"])).toBeGreaterThan(9_000);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(8);
  expect((await at.send("GET", "/v1/vaults", { as: b })).status).toBe(200);
});

test("[SRV53] [M-31] limits are a device's, a vault's and an address's, and a device waits as long as it is told", async () => {
  const few = (of: Rate["of"]): Rate => ({ perMinute: 6, burst: 3, of });
  const append = async (rates: StartOptions["rates"]) => {
    const at = await start({ rates: { ...rates, challenge: many, "sign-in": many } });
    const vault = new TestVault(at.suite);
    const sister = at.newDevice(vault.founder.person);
    await at.found(vault);
    await at.append(vault, vault.founder, vault.first());
    await at.append(vault, vault.founder, vault.data(vault.founder, 0, 2, "x"));
    const own = await at.append(vault, vault.founder, vault.data(vault.founder, 0, 3, "x"));
    // Refused by the log, if it is not refused before: it counts all the same.
    const others = await at.append(vault, sister, vault.data(sister, 1, 1, "x"));
    const other = await at.found(new TestVault(at.suite));
    const codes = [own, others, other].map(({ status, body }) => body["code"] ?? status);
    const remote = at.remote(vault.id, vault.founder, { wake: false });
    const again = await remote.append([vault.data(vault.founder, 0, 4, "x")], {
      seq: 3,
      hash: new Uint8Array(32),
    });
    await rig?.dispose();
    return [...codes, again];
  };
  const many: Rate = { perMinute: 1e9, burst: 1e9, of: "address" };
  const later = { kind: "busy", retryAfter: expect.any(Number) };
  expect(await append({ append: few("device") })).toMatchObject([200, "no-access", 201, later]);
  // Its founding was one call of the device; the vault's limit counts appends of everybody in it.
  expect(await append({ vault: few("vault") })).toMatchObject([200, "too-many", 201, later]);
  expect(await append({ append: few("address") })).toMatchObject([200, "too-many", 201, later]);
});

test("[SRV9] a vault that is full takes no data, blobs only for envelopes, and is read on", async () => {
  const at = await start({ quota: 5_000 });
  const vault = new TestVault(at.suite);
  const as = vault.founder;
  await at.found(vault);
  const put = async (text: string): Promise<number> => {
    const bytes = encodeUtf8(text);
    const path = `/v1/vaults/${toBase64Url(vault.id)}/blobs/${toBase64Url(at.suite.sha256(bytes))}`;
    return (await at.send("PUT", path, { as, bytes })).status;
  };
  expect(await put("x".repeat(4_000))).toBe(201);
  // A removal's list of envelopes finds room, a day's worth of it.
  expect(await put("y".repeat(1 << 20))).toBe(201);
  expect(await put("z")).toBe(507);
  expect(await put("x".repeat(4_000))).toBe(200);
  expect((await at.append(vault, as, vault.data(as, 0, 1, "z".repeat(2_000)))).body["code"]).toBe("quota");
  expect((await at.append(vault, as, vault.first())).status).toBe(200);
  const head = await at.send("GET", `/v1/vaults/${toBase64Url(vault.id)}/head`, { as });
  expect(head.body["usage"]).toMatchObject({ blobs: 4_000 + (1 << 20), room: 5_000 });
  expect(head.body["free"]).toBe(0);
});

test("[SRV30] a blob lies in one file of its name, and nothing is left beside it", async () => {
  const at = await start();
  const vault = new TestVault(at.suite);
  await at.found(vault);
  const bytes = encodeUtf8("a blob");
  const id = at.suite.sha256(bytes);
  const path = `/v1/vaults/${toBase64Url(vault.id)}/blobs/${toBase64Url(id)}`;
  await at.send("PUT", path, { as: vault.founder, bytes });
  await at.send("PUT", path.replace(toBase64Url(id), toBase64Url(vault.id)), { as: vault.founder, bytes });
  const [v, b] = [toHex(vault.id), toHex(id)];
  expect(readFileSync(join(at.folder, "blobs", v.slice(0, 2), v, b.slice(0, 2), b))).toEqual(
    Buffer.from(bytes),
  );
  expect(readdirSync(join(at.folder, "blobs", "tmp"))).toEqual([]);
  expect(readdirSync(join(at.folder, "blobs", v.slice(0, 2), v))).toEqual([b.slice(0, 2)]);
});

test("[SRV52] headers beyond their cap, and a body that is not as long as it says, are refused", async () => {
  const at = await start();
  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(new URL(at.url).port), "127.0.0.1", () => socket.end(text));
      let got = "";
      socket.on("data", (data) => {
        got += data.toString();
      });
      socket.on("error", () => resolve(got));
      socket.on("close", () => resolve(got));
    });
  const head = `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`;
  const long = await raw(head);
  expect(long).toContain("HTTP/1.1 431");
  expect(JSON.parse(long.split("\r\n\r\n")[1] ?? "")).toMatchObject({
    code: "headers-too-large",
    status: 431,
  });
  for (const header of ["tidelock-time: ", "tidelock-proto: 1", "content-type: application/problem+json"])
    expect(long).toContain(header);
  expect(await raw("nothing of the kind\r\n\r\n")).toContain('"code":"bad-request"');
  const chunked =
    "POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  expect(await raw(chunked)).toContain("411");
  // Refused unread: nothing more is taken of what may have no end.
  expect(await raw(chunked.slice(0, -5))).toContain("connection: close");
  const address = `GET /${"a".repeat(5_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  expect(await raw(address)).toContain("404");
});

test("[SRV50] the same handler serves hosts that speak Request and Response", async () => {
  const at = await start();
  const handle = toFetch(at.running.server.handler);
  const answer = await handle(new Request(`${at.url}/healthz`));
  expect([answer.status, await answer.json()]).toEqual([200, { ok: true }]);
  const device = at.newDevice();
  const body = JSON.stringify({ device: toBase64Url(device.id) });
  const headers = { "content-length": String(body.length) };
  const drawn = await handle(new Request(`${at.url}/v1/auth/challenge`, { method: "POST", body, headers }));
  expect(drawn.status).toBe(200);
  const missing = await handle(new Request(`${at.url}/v1/vaults`));
  expect([missing.status, missing.headers.get("content-type")]).toEqual([401, "application/problem+json"]);
});

test("[SRV8] a port that is taken is said, and the folder is let go", async () => {
  const at = await start();
  const port = Number(new URL(at.url).port);
  const folder = join(at.folder, "second");
  await expect(startServer({ folder, port, writer: "inline" })).rejects.toMatchObject({ code: "in-use" });
  await (await startServer({ folder, writer: "inline" })).stop();
});

test("[SRV70] an address that the server does not go by is named, instead of a proof that fails", async () => {
  const at = await start();
  const vault = new TestVault(at.suite);
  const { founder } = vault;
  const remote = createServerRemote({
    url: at.url.replace("127.0.0.1", "localhost"),
    vault: vault.id,
    suite: at.suite,
    clock: realClock,
    scheduler: realScheduler,
    fetch,
    identity: {
      person: founder.person.keys,
      device: founder.keys,
      signSecret: founder.keys.signSecret,
      certificates: [founder.certificate],
    },
  });
  const result = await remote.genesis();
  expect(result).toMatchObject({ kind: "denied", why: expect.stringContaining("localhost") });
});

test("[SRV55] metrics are served on an address of their own, where the server was told to", async () => {
  const at = await start({ metrics: { port: 0 } });
  await at.token(at.newDevice());
  const answer = await fetch(at.running.metricsUrl ?? "");
  expect(answer.status).toBe(200);
  const text = await answer.text();
  expect(text).toMatch(/^tidelock_http_requests_total\{route="POST \/v1\/persons",code="201"\} 1$/m);
  expect(text).toMatch(/^tidelock_wake_connections 0$/m);
  expect((await at.send("GET", "/metrics")).status).toBe(404);
});

test("[SRV6] a stop answers what was taken before it ends", async () => {
  const at = await start();
  const vault = new TestVault(at.suite);
  await at.found(vault);
  await at.token(vault.founder);
  const sent = Array.from({ length: 20 }, (_, i) =>
    at.append(vault, vault.founder, vault.data(vault.founder, 0, i + 1, "x")).catch(() => undefined),
  );
  await at.running.server.services.store.check();
  await at.down();
  const placed = (await Promise.all(sent)).filter((one) => one?.status === 200).length;
  await at.up();
  const head = await at.send("GET", `/v1/vaults/${toBase64Url(vault.id)}/head`, { as: vault.founder });
  // At least what was answered; more where an answer could not be delivered any more.
  expect(Number(head.body["seq"])).toBeGreaterThanOrEqual(placed);
});
