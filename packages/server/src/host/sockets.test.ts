/** Wake over real sockets. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { ServerRig } from "@tidelock/testkit/server-rig";
import { type TestDevice, TestVault } from "@tidelock/testkit/vault-people";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Connection } from "../wake/connection.ts";

let rig: ServerRig;
let vault: TestVault;
beforeAll(async () => {
  rig = await ServerRig.start({ origins: ["https://app.example"] });
  vault = new TestVault(rig.suite);
  await rig.found(vault);
});
afterAll(() => rig.dispose());

type Message = Record<string, unknown>;

/** A socket whose messages are taken one by one. */
class Line {
  readonly ws: WebSocket;
  readonly closed: Promise<number>;
  readonly #messages: Message[] = [];
  #waiting: ((message: Message) => void) | undefined;

  constructor(over: { readonly origin?: string; readonly path?: string } = {}) {
    const url = rig.url.replace("http", "ws") + (over.path ?? "/v1/wake");
    this.ws = new WebSocket(url, over.origin === undefined ? {} : { origin: over.origin });
    this.closed = new Promise((resolve) => this.ws.on("close", resolve));
    this.ws.on("error", () => undefined);
    this.ws.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message;
      if (this.#waiting === undefined) this.#messages.push(message);
      else this.#waiting(message);
      this.#waiting = undefined;
    });
  }

  async open(): Promise<this> {
    await new Promise((resolve) => this.ws.on("open", resolve));
    return this;
  }

  send(message: unknown): void {
    this.ws.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  next(): Promise<Message> {
    const ready = this.#messages.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

const v = (of: TestVault = vault): string => toBase64Url(of.id);

async function signedIn(device: TestDevice, subs: readonly string[]): Promise<Line> {
  const line = await new Line().open();
  line.send({ t: "auth", token: await rig.token(device), subs });
  return line;
}

test("[SRV60] [SRV62] who signs in learns the heads, and then of every new entry", async () => {
  const line = await signedIn(vault.founder, [v()]);
  expect(await line.next()).toEqual({ t: "ok", heads: { [v()]: 0 } });
  await rig.append(vault, vault.founder, vault.first());
  expect(await line.next()).toEqual({ t: "wake", v: v(), seq: 1 });
  line.send({ t: "unsub", v: v() });
  line.send({ t: "sub", v: v() });
  expect(await line.next()).toEqual({ t: "wake", v: v(), seq: 1 });
  line.ws.close();
});

test("[SRV51] [SRV62] another's vault and an absent one are both gone", async () => {
  const stranger = rig.newDevice();
  const absent = new TestVault(rig.suite);
  const line = await signedIn(stranger, [v(), v(absent)]);
  expect(await line.next()).toEqual({ t: "gone", v: v(), code: "not-found" });
  expect(await line.next()).toEqual({ t: "gone", v: v(absent), code: "not-found" });
  expect(await line.next()).toEqual({ t: "ok", heads: {} });
  line.ws.close();
});

test("[SRV84] [SRV85] whom an act of the operator concerns is let go at once, and finds out when he is back", async () => {
  const one = new TestVault(rig.suite);
  const { founder } = one;
  await rig.found(one);
  const group = `/groups/${toBase64Url(rig.suite.random(16))}`;
  const acts: readonly [string, string, Message][] = [
    ["PUT", `${group}/vaults/${v(one)}`, { t: "gone", v: v(one), code: "not-found" }],
    ["PUT", `${group}/devices/${toBase64Url(founder.id)}`, { t: "ok", heads: { [v(one)]: 0 } }],
    ["PUT", `${group}/persons/${toBase64Url(founder.person.id)}`, { t: "ok", heads: { [v(one)]: 0 } }],
    ["DELETE", `${group}/devices/${toBase64Url(founder.id)}`, { t: "ok", heads: { [v(one)]: 0 } }],
    [
      "DELETE",
      `${group}/persons/${toBase64Url(founder.person.id)}`,
      { t: "gone", v: v(one), code: "not-found" },
    ],
    ["DELETE", `${group}/vaults/${v(one)}`, { t: "ok", heads: { [v(one)]: 0 } }],
    ["DELETE", `/vaults/${v(one)}`, { t: "gone", v: v(one), code: "not-found" }],
    ["POST", `/vaults/${v(one)}/restore`, { t: "ok", heads: { [v(one)]: 0 } }],
  ];
  // Somebody whom none of it concerns.
  const neighbour = await signedIn(vault.founder, [v()]);
  await neighbour.next();
  let ended = false;
  void neighbour.closed.then(() => {
    ended = true;
  });
  let line = await signedIn(founder, [v(one)]);
  let told = await line.next();
  for (const [method, path, expected] of acts) {
    expect((await rig.admin(method, path)).status).toBe(204);
    // Who was told that it is gone listens to nothing: his own timer brings him back.
    if (told["t"] === "ok" || !path.includes(v(one))) expect(await line.closed).toBe(4403);
    line = await signedIn(founder, [v(one)]);
    told = await line.next();
    expect([method, path, told]).toEqual([method, path, expected]);
  }
  expect(ended).toBe(false);
  const account = await rig.admin("DELETE", `/persons/${toBase64Url(founder.person.id)}`);
  expect([account.status, await line.closed]).toEqual([204, 4403]);
  expect(ended).toBe(false);
  neighbour.ws.close();
});

test("[SRV62] no session, a torn message, one too long, and none at all end the connection", async () => {
  const close = async (message: string | Buffer): Promise<number> => {
    const line = await new Line().open();
    line.ws.send(message);
    return line.closed;
  };
  expect(await close(JSON.stringify({ t: "auth", token: "x", subs: [] }))).toBe(4401);
  expect(await close(JSON.stringify({ t: "sub", v: v() }))).toBe(4401);
  expect(await close("{")).toBe(1008);
  expect(await close(Buffer.from("{}"))).toBe(1009);
  expect(await close(JSON.stringify({ t: "auth", token: "x".repeat(5000), subs: [] }))).toBe(1009);
});

test("[SRV62] a page of another site is refused, one on the list is not", async () => {
  const foreign = new Line({ origin: "https://evil.example" });
  expect(await foreign.closed).toBe(1006);
  const ours = await new Line({ origin: "https://app.example" }).open();
  ours.ws.close();
  expect(await new Line({ path: "/v1/other" }).closed).toBe(1006);
});

test("[SRV64] a device has at most eight connections, and an address twenty that have not signed in", async () => {
  const device = rig.newDevice();
  const lines: Line[] = [];
  for (let i = 0; i < 8; i++) {
    const line = await signedIn(device, []);
    expect((await line.next())["t"]).toBe("ok");
    lines.push(line);
  }
  expect(await (await signedIn(device, [])).closed).toBe(4429);
  for (const line of lines.splice(0)) {
    line.ws.close();
    await line.closed;
  }
  for (let i = 0; i < 20; i++) lines.push(await new Line().open());
  expect(await new Line().closed).toBe(1006);
  for (const line of lines) line.ws.terminate();
});

test("[SRV23] signing a device out ends its connections", async () => {
  const device = rig.newDevice(vault.founder.person);
  const line = await signedIn(device, [v()]);
  expect((await line.next())["t"]).toBe("ok");
  const path = `/v1/devices/${toBase64Url(device.id)}`;
  expect((await rig.send("DELETE", path, { as: vault.founder })).status).toBe(204);
  expect(await line.closed).toBe(4403);
});

test("[SRV64] who takes nothing of what it is sent is let go, and does not fill the server's memory", async () => {
  const device = rig.newDevice();
  const line = await signedIn(device, []);
  await line.next();
  line.ws.pause();
  // Each is answered by 200 words about vaults that are none.
  const subs = Array.from({ length: 200 }, () => "x".repeat(60));
  const asking = JSON.stringify({ t: "auth", token: await rig.token(device), subs });
  // What the system's own buffers hold, and more than what the server's may.
  for (let round = 0; round < 80; round++) {
    for (let i = 0; i < 5; i++) line.ws.send(asking, () => undefined);
    await new Promise((resolve) => setImmediate(resolve));
  }
  line.ws.resume();
  expect(await line.closed).toBe(4408);
});

test("[SRV64] who sends faster than it is answered is let go", async () => {
  const line = await signedIn(rig.newDevice(), []);
  await line.next();
  for (let i = 0; i < 300; i++) line.send({ t: "sub", v: toBase64Url(rig.suite.random(32)) });
  expect(await line.closed).toBe(4429);
});

test("[SRV65] a stop says goodbye with a time to come back, and closes as a restart", async () => {
  const line = await signedIn(vault.founder, [v()]);
  await line.next();
  await rig.down();
  expect(await line.next()).toMatchObject({ t: "bye", reason: "restart" });
  expect(await line.closed).toBe(1012);
  await rig.up();
});

test("[SRV64] a connection that ends while it signs in takes no place of its device's", async () => {
  const device = rig.newDevice();
  const token = await rig.token(device);
  const { server } = rig.running;
  const wire = { isOpen: () => true, buffered: () => 0, send: () => undefined, close: () => undefined };
  const waitingByAddress = new Map<string, number>();
  const connection = new Connection(wire, "192.0.2.1", { server, all: new Set(), waitingByAddress });
  connection.receive(JSON.stringify({ t: "auth", token, subs: [v()] }));
  connection.ended();
  // Behind everything that it still asks of the store.
  for (let n = 0; n < 3; n++) await rig.send("GET", "/v1/vaults", { token });
  expect(server.hub.connectionsOf(toBase64Url(device.id))).toBe(0);
  expect(waitingByAddress.size).toBe(0);
});
