/** The routes over real HTTP: who may do what, and what a stranger learns. */
import { join } from "node:path";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { encodeFrameList, parsePageList } from "@tidelock/core/log/frame-list";
import { OPERATOR, ServerRig } from "@tidelock/testkit/server-rig";
import { type LogPoint, newPerson, type TestDevice, TestVault, textOf } from "@tidelock/testkit/vault-people";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { routes } from "../routes.ts";
import type { Route } from "./route.ts";

let rig: ServerRig;
let vault: TestVault;
beforeAll(async () => {
  rig = await ServerRig.start();
  vault = new TestVault(rig.suite);
  expect((await rig.found(vault)).status).toBe(201);
  expect((await rig.append(vault, vault.founder, vault.first())).status).toBe(200);
});
afterAll(() => rig.dispose());

const at = (path: string, of: TestVault = vault): string => `/v1/vaults/${toBase64Url(of.id)}${path}`;

async function newVault(): Promise<TestVault> {
  const one = new TestVault(rig.suite);
  await rig.found(one);
  return one;
}

describe("founding", () => {
  test("[SRV1] a vault is founded by the person its genesis names, once and again", async () => {
    const one = new TestVault(rig.suite);
    const first = await rig.found(one);
    expect([first.status, first.body["vault"]]).toEqual([201, toBase64Url(one.id)]);
    expect((await rig.found(one)).status).toBe(200);
    const genesis = await rig.send("GET", at("/genesis", one), { as: one.founder });
    expect(genesis.bytes).toEqual(new Uint8Array(one.genesis.bytes));
    const head = await rig.send("GET", at("/head", one), { as: one.founder });
    expect(head.body).toMatchObject({ seq: 0, hash: toBase64Url(one.id) });
  });

  test("[SRV1] a genesis that does not verify, and one of somebody else, found nothing", async () => {
    const one = new TestVault(rig.suite);
    const torn = new Uint8Array(one.genesis.bytes);
    torn[70] = (torn[70] as number) ^ 1;
    const answer = await rig.send("POST", "/v1/vaults", { as: one.founder, bytes: torn });
    expect([answer.status, answer.body["code"]]).toEqual([422, "rejected"]);
    const other = await rig.send("POST", "/v1/vaults", { as: vault.founder, bytes: one.genesis.bytes });
    expect([other.status, other.body["code"]]).toEqual([403, "no-access"]);
    expect((await rig.send("GET", at("/head", one), { as: one.founder })).status).toBe(404);
  });
});

describe("the log", () => {
  test("[P3] [SRV3] [SRV54] frames are appended and read back, again without a second place", async () => {
    const one = await newVault();
    const { founder } = one;
    const frames = ["a", "b", "c"].map((text, i) => one.data(founder, 0, i + 1, text));
    const placed = await rig.append(one, founder, ...frames);
    expect(placed.body).toMatchObject({ first: 1, again: false, head: { seq: 3 } });
    expect((await rig.append(one, founder, ...frames)).body).toMatchObject({ first: 1, again: true });
    const read = await rig.send("GET", at("/frames?after=1", one), { as: founder });
    expect([read.status, read.headers.get("tidelock-head")]).toEqual([200, "3"]);
    const pages = parsePageList(read.bytes, 1) ?? [];
    expect(pages.flatMap(({ page }) => page.entries.map(({ frame }) => textOf(frame)))).toEqual(["b", "c"]);
    const nothing = await rig.send("GET", at("/frames?after=3", one), { as: founder });
    expect([nothing.status, nothing.headers.get("tidelock-head")]).toEqual([204, "3"]);
  });

  test("[SRV4] M-17: a reader's position is its own: reading leaves nothing on the server", async () => {
    const one = await newVault();
    await rig.append(one, one.founder, one.first());
    const held = (): string => {
      const db = new Database(join(rig.folder, "server.db"), { readonly: true });
      try {
        const tables = db
          .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
          .pluck()
          .all() as string[];
        // When an account was seen last is of its sign-in.
        const kept = tables.filter((name) => name !== "account_devices");
        return JSON.stringify(kept.map((name) => [name, db.prepare(`SELECT * FROM "${name}"`).all()]));
      } finally {
        db.close();
      }
    };
    const before = held();
    for (const path of ["/frames?after=0", "/frames?after=1", "/head", "/genesis"])
      expect((await rig.send("GET", at(path, one), { as: one.founder })).status).toBeLessThan(300);
    expect(held()).toBe(before);
  });

  test("[SRV4] a long log is read in bounded answers, each made of pages that join", async () => {
    const one = await newVault();
    const { founder } = one;
    const text = "x".repeat(20_000);
    for (let n = 0; n < 400; n += 100)
      await rig.append(
        one,
        founder,
        ...Array.from({ length: 100 }, (_, i) => one.data(founder, 0, n + i + 1, text)),
      );
    let after = 0;
    let answers = 0;
    while (after < 400) {
      const read = await rig.send("GET", at(`/frames?after=${after}`, one), { as: founder });
      expect(read.bytes.length).toBeLessThan((4 << 20) + (64 << 10));
      const pages = parsePageList(read.bytes, after) ?? [];
      expect(pages.length).toBeGreaterThan(1);
      for (const { page } of pages) after += page.entries.length;
      answers++;
    }
    expect(answers).toBe(2);
    const few = await rig.send("GET", at("/frames?after=5&frames=7", one), { as: founder });
    expect(parsePageList(few.bytes, 5)?.[0]?.page.entries).toHaveLength(7);
  });

  test("[SRV54] anything but a frame list of one device is refused whole", async () => {
    const one = await newVault();
    const post = async (bytes: Uint8Array): Promise<unknown> =>
      (await rig.send("POST", at("/frames", one), { as: one.founder, bytes })).body["code"];
    expect(await post(encodeUtf8("no frames"))).toBe("rejected");
    const [a, b] = [one.data(one.founder, 0, 1, "a"), one.data(one.founder, 1, 2, "b")];
    expect(await post(encodeFrameList([a, b]))).toBe("rejected");
    expect((await rig.send("GET", at("/head", one), { as: one.founder })).body["seq"]).toBe(0);
  });

  test("[SRV11] [SRV13] [SRV14] a device of the same person lets itself in, and is on the list", async () => {
    const one = await newVault();
    const sister = rig.newDevice(one.founder.person);
    await rig.append(one, one.founder, one.first());
    const read = await rig.send("GET", at("/head", one), { as: sister });
    expect(read.status).toBe(200);
    const link = {
      hash: fromBase64Url(String(read.body["hash"])) as Uint8Array,
      members: fromBase64Url(String(read.body["members"])) as Uint8Array,
    };
    const blob = encodeUtf8("blob");
    const put = await rig.send("PUT", at(`/blobs/${toBase64Url(rig.suite.sha256(blob))}`, one), {
      as: sister,
      bytes: blob,
    });
    expect([put.status, put.body["code"]]).toEqual([403, "no-access"]);
    expect((await rig.append(one, sister, one.data(sister, 1, 1, "x"))).body["code"]).toBe("no-access");
    expect((await rig.append(one, sister, one.admission(sister, 1, { seq: 1, link }))).status).toBe(200);
    const access = await rig.send("GET", at("/access", one), { as: sister });
    expect((access.body["devices"] as { index: number }[]).map(({ index }) => index)).toEqual([0, 1]);
    const audit = await rig.send("GET", at("/audit", one), { as: one.founder });
    expect((audit.body["events"] as { action: string }[]).map(({ action }) => action)).toEqual([
      "device-add",
      "epoch",
      "found",
    ]);
  });
});

test("[SRV15] a removed device reads up to the entry that removed it, and no further; all else is refused", async () => {
  const one = await newVault();
  const { founder } = one;
  await rig.append(one, founder, one.first());
  const sister = rig.newDevice(founder.person);
  const pointOf = async (): Promise<LogPoint> => {
    const { body } = await rig.send("GET", at("/head", one), { as: founder });
    const bytes = (name: string): Uint8Array => fromBase64Url(String(body[name])) as Uint8Array;
    return { seq: Number(body["seq"]), link: { hash: bytes("hash"), members: bytes("members") } };
  };
  await rig.append(one, sister, one.admission(sister, 1, await pointOf()));
  const revoke = { type: "device-revoke", device: 1, since: 2, cutoff: 1 } as const;
  expect((await rig.append(one, founder, one.say(founder, 0, 2, [revoke], await pointOf()))).status).toBe(
    200,
  );
  await rig.append(one, founder, one.data(founder, 0, 3, "not for the removed"));
  const read = await rig.send("GET", at("/frames", one), { as: sister });
  const pages = parsePageList(read.bytes, 0) ?? [];
  expect([read.status, read.headers.get("tidelock-head")]).toEqual([200, "3"]);
  expect(pages.flatMap(({ page }) => page.entries)).toHaveLength(3);
  expect((await rig.send("GET", at("/frames?after=3", one), { as: sister })).status).toBe(204);
  expect((await rig.send("GET", at("/genesis", one), { as: sister })).status).toBe(200);
  for (const path of ["/head", "/access", "/notes", "/blobs"])
    expect((await rig.send("GET", at(path, one), { as: sister })).body["code"]).toBe("device-removed");
  const late = await rig.append(one, sister, one.data(sister, 1, 2, "late"));
  expect([late.status, late.body["code"]]).toEqual([403, "device-removed"]);
});

describe("blobs", () => {
  const bytes = encodeUtf8("0123456789");
  const path = (name: Uint8Array = rig.suite.sha256(bytes)): string => at(`/blobs/${toBase64Url(name)}`);
  const range = async (header: string): Promise<unknown> => {
    const got = await rig.send("GET", path(), { as: vault.founder, headers: { range: header } });
    return [got.status, new TextDecoder().decode(got.bytes), got.headers.get("content-range")];
  };

  test("[SRV31] a blob is stored under its hash, and comes back whole or in one range", async () => {
    const as = vault.founder;
    expect((await rig.send("GET", path(), { as })).body["code"]).toBe("blob-missing");
    expect((await rig.send("PUT", path(), { as, bytes })).status).toBe(201);
    expect((await rig.send("PUT", path(), { as, bytes })).status).toBe(200);
    const whole = await rig.send("GET", path(), { as });
    expect([whole.status, whole.bytes, whole.headers.get("accept-ranges")]).toEqual([200, bytes, "bytes"]);
    const head = await rig.send("HEAD", path(), { as });
    expect([head.status, head.headers.get("content-length"), head.bytes.length]).toEqual([200, "10", 0]);
    expect(await range("bytes=2-4")).toEqual([206, "234", "bytes 2-4/10"]);
    expect(await range("bytes=7-")).toEqual([206, "789", "bytes 7-9/10"]);
    expect(await range("bytes=-3")).toEqual([206, "789", "bytes 7-9/10"]);
    expect(await range("bytes=8-99")).toEqual([206, "89", "bytes 8-9/10"]);
    expect((await range("bytes=10-12")) as unknown[]).toContain(416);
    // Several ranges are not asked for by any client of ours: the whole of it is a right answer.
    expect(await range("bytes=0-1,4-5")).toEqual([200, "0123456789", null]);
    const list = await rig.send("GET", at("/blobs"), { as });
    expect(list.body["blobs"]).toMatchObject([{ id: toBase64Url(rig.suite.sha256(bytes)), size: 10 }]);
  });

  test("[SRV31] bytes under another hash, and none, are refused and nothing is kept", async () => {
    const as = vault.founder;
    const name = rig.suite.sha256(encodeUtf8("other"));
    expect((await rig.send("PUT", path(name), { as, bytes })).body["code"]).toBe("hash-mismatch");
    expect((await rig.send("GET", path(name), { as })).body["code"]).toBe("blob-missing");
    const none = rig.suite.sha256(new Uint8Array(0));
    expect((await rig.send("PUT", path(none), { as, bytes: new Uint8Array(0) })).status).toBe(400);
  });
});

test("[SRV95] a blob that was given up is set aside, and the owner takes it back; a request that makes no sense is refused", async () => {
  const one = await newVault();
  const as = one.founder;
  expect((await rig.append(one, as, one.first())).status).toBe(200);
  const bytes = encodeUtf8("given up");
  const id = toBase64Url(rig.suite.sha256(bytes));
  const read = async (): Promise<number> => (await rig.send("GET", at(`/blobs/${id}`, one), { as })).status;
  const remove = async (json: unknown): Promise<unknown> => {
    const answer = await rig.send("POST", at("/blobs/delete", one), { as, json });
    return answer.status === 200 ? answer.body["early"] : answer.body["code"];
  };
  expect((await rig.send("PUT", at(`/blobs/${id}`, one), { as, bytes })).status).toBe(201);
  expect(await remove({ ids: [id], condemnedAt: 1 })).toEqual([id]);
  const db = new Database(join(rig.folder, "server.db"), { timeout: 5_000 });
  const n = db.prepare("SELECT n FROM vaults WHERE vault = ?").pluck().get(one.id);
  db.prepare("UPDATE log SET time = 0 WHERE vault_n = ?").run(n);
  db.prepare("UPDATE blobs SET stored_at = 0 WHERE vault_n = ?").run(n);
  db.close();
  expect(await remove({ ids: [id], condemnedAt: 1 })).toEqual([]);
  expect(await read()).toBe(404);
  const restored = await rig.send("POST", at("/blobs/restore", one), { as });
  expect([restored.status, restored.body["restored"], await read()]).toEqual([200, 1, 200]);
  for (const wrong of [
    {},
    { ids: [id] },
    { ids: ["x"], condemnedAt: 1 },
    { ids: id, condemnedAt: 1 },
    { ids: [], condemnedAt: 0 },
  ])
    expect(await remove(wrong)).toBe("bad-request");
});

describe("codes and notes", () => {
  test("[SRV40] two devices meet in the slots of a reserved code, and the one that waits is told at once", async () => {
    const id = toBase64Url(rig.suite.random(16));
    const put = (slot: number, text: string) =>
      rig.send("PUT", `/v1/rv/${id}/${slot}`, { bytes: encodeUtf8(text) });
    expect((await put(1, "early")).body["code"]).toBe("code-expired");
    const reserved = await rig.send("POST", "/v1/rv", { as: vault.founder, json: { id, lifeMs: 600_000 } });
    expect(reserved.status).toBe(201);
    expect((await rig.send("GET", `/v1/rv/${id}/1`)).status).toBe(204);
    const waiting = rig.send("GET", `/v1/rv/${id}/1?wait=20000`);
    expect((await put(1, "hello")).status).toBe(204);
    expect(new TextDecoder().decode((await waiting).bytes)).toBe("hello");
    expect((await put(1, "hello")).status).toBe(204);
    expect((await put(1, "mine")).body["code"]).toBe("code-used");
    const stranger = rig.newDevice();
    await rig.send("DELETE", `/v1/rv/${id}`, { as: stranger });
    expect((await rig.send("GET", `/v1/rv/${id}/1`)).status).toBe(200);
    await rig.send("DELETE", `/v1/rv/${id}`, { as: vault.founder });
    expect((await rig.send("GET", `/v1/rv/${id}/1`)).status).toBe(410);
  });

  test("[SRV41] a device's note replaces its one before", async () => {
    for (const text of ["one", "two"])
      await rig.send("PUT", at("/notes"), { as: vault.founder, bytes: encodeUtf8(text) });
    const { body } = await rig.send("GET", at("/notes"), { as: vault.founder });
    expect(body["notes"]).toMatchObject([
      { device: toBase64Url(vault.founder.id), note: toBase64Url(encodeUtf8("two")) },
    ]);
  });
});

describe("who may do what", () => {
  /** A request to a route, with ids of `of`. */
  function requestOf(
    route: Route,
    of: TestVault,
  ): { path: string; over: { bytes?: Uint8Array; json?: unknown } } {
    const blob = rig.suite.sha256(encodeUtf8("a blob"));
    const path = route.path
      .replace("{v}", toBase64Url(of.id))
      .replace("{b}", toBase64Url(blob))
      .replace("{d}", toBase64Url(of.founder.id))
      .replace(/\{[ps]\}/, toBase64Url(of.founder.person.id))
      .replace(/\{[rg]\}/, toBase64Url(new Uint8Array(16)))
      .replace("{slot}", "1");
    const bytes = route.path.endsWith("/frames")
      ? encodeFrameList([of.data(of.founder, 0, 9, "x")])
      : encodeUtf8("a blob");
    if (route.body === "none") return { path, over: {} };
    return { path, over: route.body === "json" ? { json: {} } : { bytes } };
  }

  const ofVaults = routes.filter(({ path, policy }) => path.includes("{v}") && policy !== "operator");
  const signedIn = routes.filter(({ policy }) => policy !== "open");

  test("[SRV51] every route of a vault answers a stranger and an absent vault alike: same status, headers, body", async () => {
    expect(ofVaults.length).toBeGreaterThan(10);
    const stranger = rig.newDevice();
    const absent = new TestVault(rig.suite, vault.founder);
    for (const route of ofVaults) {
      const answers = [];
      for (const of of [vault, absent]) {
        const { path, over } = requestOf(route, of);
        const { status, headers, body, bytes } = await rig.send(route.method, path, {
          as: stranger,
          ...over,
        });
        const names = [...headers.keys()].sort().filter((name) => name !== "date");
        answers.push([status, { ...body, requestId: "" }, bytes.length, names]);
      }
      expect([route.path, answers[0]]).toEqual([route.path, answers[1]]);
      expect(answers[0]?.[0]).toBe(404);
    }
  });

  test("[SRV51] no route but an open one answers without a session, with a torn one, or with another server's", async () => {
    const good = await rig.token(vault.founder);
    const [head, claims, signature] = good.split(".") as [string, string, string];
    const forged = (header: object): string => `${toBase64Url(encodeUtf8(JSON.stringify(header)))}.${claims}`;
    const tokens = [
      undefined,
      "nothing",
      `${head}.${claims}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
      `${head}.${claims}.`,
      `${forged({ alg: "none", typ: "tl+jwt" })}.`,
      `${forged({ alg: "HS256", typ: "tl+jwt" })}.${signature}`,
    ];
    for (const route of signedIn)
      for (const token of tokens) {
        const { path, over } = requestOf(route, vault);
        const answer = await rig.send(route.method, path, {
          ...over,
          ...(token === undefined ? {} : { token }),
        });
        expect([route.path, token, answer.status]).toEqual([route.path, token, 401]);
      }
  });

  test("[SRV51] a malformed id, and an id of another kind, are as absent as a foreign one", async () => {
    const as = vault.founder;
    for (const id of ["x", "AA", toBase64Url(new Uint8Array(31)), `${toBase64Url(vault.id)}A`, "%00", ".."]) {
      const answer = await rig.send("GET", `/v1/vaults/${id}/head`, { as });
      expect([id, answer.status]).toEqual([id, 404]);
    }
    const swapped = `/v1/vaults/${toBase64Url(vault.founder.id)}/head`;
    expect((await rig.send("GET", swapped, { as })).status).toBe(404);
  });

  test("[SRV51] a list of vaults holds one's own, and a list of devices too", async () => {
    const mine = await rig.send("GET", "/v1/vaults", { as: vault.founder });
    expect((mine.body["vaults"] as { vault: string }[]).map((one) => one.vault)).toEqual([
      toBase64Url(vault.id),
    ]);
    const stranger = rig.newDevice();
    expect((await rig.send("GET", "/v1/vaults", { as: stranger })).body["vaults"]).toEqual([]);
    const devices = await rig.send("GET", "/v1/devices", { as: stranger });
    expect(devices.body["devices"]).toMatchObject([{ device: toBase64Url(stranger.id) }]);
  });
});

describe("what holds for every answer", () => {
  test("[SRV50] a refusal says what happened, why and what to do, in one form with a code of the list", async () => {
    const answer = await rig.send("GET", "/v1/nothing");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({
      type: "urn:tidelock:error:not-found",
      status: 404,
      code: "not-found",
      title: expect.any(String),
      why: expect.any(String),
      next: expect.any(String),
      requestId: answer.headers.get("tidelock-request"),
    });
    const wrong = await rig.send("PUT", "/v1/vaults", { as: vault.founder, bytes: encodeUtf8("x") });
    expect([wrong.status, wrong.body["code"]]).toEqual([405, "method-not-allowed"]);
  });

  test("[SRV50] every answer has the server's time, and nothing that a browser could take for a page", async () => {
    for (const path of ["/healthz", "/v1/nothing", "/openapi.json"]) {
      const { headers } = await rig.send("GET", path);
      expect(Math.abs(Number(headers.get("tidelock-time")) - Date.now())).toBeLessThan(60_000);
      expect(headers.get("tidelock-proto")).toBe("1");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("set-cookie")).toBeNull();
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  test("[SRV52] a body beyond its cap is refused by its length, before it is read", async () => {
    for (const route of routes.filter(({ body }) => body !== "none")) {
      const as = route.policy === "open" || route.policy === "operator" ? undefined : vault.founder;
      const token = route.policy === "operator" ? { token: OPERATOR } : {};
      const path = route.path
        .replace("{v}", toBase64Url(vault.id))
        .replace(/\{[bs]\}/, toBase64Url(rig.suite.sha256(encodeUtf8("x"))))
        .replace("{r}", toBase64Url(new Uint8Array(16)))
        .replace("{slot}", "1");
      const bytes = new Uint8Array(route.most + 1);
      const answer = await rig.send(route.method, path, { as, ...token, bytes }).catch(() => undefined);
      // A server that stops reading may close before a client has sent all.
      if (answer !== undefined) expect([route.path, answer.status]).toEqual([route.path, 413]);
    }
  });

  test("[SRV55] the route table is what /openapi.json says, and it is ready", async () => {
    const { body } = await rig.send("GET", "/openapi.json");
    const paths = body["paths"] as Record<string, Record<string, { "x-tidelock-policy": string }>>;
    for (const { method, path, policy } of routes)
      expect([path, paths[path]?.[method.toLowerCase()]?.["x-tidelock-policy"]]).toEqual([path, policy]);
    expect((await rig.send("GET", "/readyz")).status).toBe(200);
    expect((await rig.send("GET", "/metrics")).status).toBe(404);
    const text = rig.running.server.services.metrics.text();
    expect(text).toContain('tidelock_appends_total{result="placed"}');
    expect(text).not.toContain(toBase64Url(vault.id));
  });
});

describe("signing in", () => {
  const signIn = (json: unknown, path = "/v1/auth/token") => rig.send("POST", path, { json });

  test("[SRV20] [SRV21] a challenge signs one device in, once", async () => {
    const device = rig.newDevice(vault.founder.person);
    await rig.token(vault.founder);
    const proof = await rig.proof(device);
    expect((await signIn(proof)).status).toBe(200);
    expect((await signIn(proof)).body["code"]).toBe("bad-proof");
  });

  test("[SRV20] no proof but the device's own holds", async () => {
    const device = rig.newDevice(vault.founder.person);
    const other = rig.newDevice();
    const codes = [
      await rig.proof(device, { audience: "https://other.example" }),
      await rig.proof(device, { signSecret: other.keys.signSecret }),
      await rig.proof(device, { challenge: toBase64Url(rig.suite.random(32)) }),
      { ...(await rig.proof(device)), challenge: (await rig.proof(other))["challenge"] },
      { ...(await rig.proof(device)), certificates: [toBase64Url(other.certificate)] },
      { ...(await rig.proof(device)), device: toBase64Url(other.id) },
      { ...(await rig.proof(device)), device: toBase64Url(vault.founder.id) },
    ].map(async (proof) => (await signIn(proof)).body["code"]);
    expect(await Promise.all(codes)).toEqual(codes.map(() => "bad-proof"));
    for (const wrong of [{}, [], null, "x", { ...(await rig.proof(device)), certificates: [] }])
      expect((await signIn(wrong)).status).toBe(400);
  });

  test("[SRV20] a person who has not registered has no session, however good the proof", async () => {
    const device = rig.newDevice(newPerson(rig.suite));
    expect((await signIn(await rig.proof(device))).body["code"]).toBe("registration-closed");
  });

  test("[SRV23] a device that was signed out is out at once, and stays out", async () => {
    const device: TestDevice = rig.newDevice(vault.founder.person);
    const token = await rig.token(device);
    expect((await rig.send("GET", "/v1/vaults", { token })).status).toBe(200);
    const path = `/v1/devices/${toBase64Url(device.id)}`;
    const stranger = rig.newDevice();
    expect((await rig.send("DELETE", path, { as: stranger })).status).toBe(404);
    expect((await rig.send("DELETE", path, { as: vault.founder })).status).toBe(204);
    expect((await rig.send("GET", "/v1/vaults", { token })).body["code"]).toBe("signed-out");
    expect((await signIn(await rig.proof(device))).body["code"]).toBe("signed-out");
    expect((await signIn(await rig.proof(device), "/v1/persons")).body["code"]).toBe("signed-out");
  });
});
