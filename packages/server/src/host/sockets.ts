/**
 * Wake over WebSocket. The first message signs in; the address holds no token and no cookie is
 * looked at. Rules SRV62 to SRV65.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { type WebSocket, WebSocketServer } from "ws";
import type { Session } from "../auth/token.ts";
import { standingOf } from "../log/access.ts";
import type { TidelockServer } from "../server.ts";
import type { Listener } from "../wake/hub.ts";

export const closeCodes = {
  auth: 4401,
  access: 4403,
  slow: 4408,
  tooMany: 4429,
  restart: 1012,
} as const;

const FIRST_MESSAGE = { within: 5_000, most: 4 << 10 };
const MESSAGE = 64 << 10;
const BUFFERED = 1 << 20;
const PING = 30_000;
const PER_DEVICE = 8;
const UNAUTHENTICATED_PER_ADDRESS = 20;
const VAULTS = 200;
/** Messages of one connection that wait to be taken. */
const PENDING = 100;

export interface Sockets {
  close(): void;
}

export function attachSockets(
  http: Server,
  server: TidelockServer,
  addressOf: (request: IncomingMessage) => string,
  origins?: readonly string[],
): Sockets {
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MESSAGE });
  const all = new Set<Connection>();
  const waitingByAddress = new Map<string, number>();
  const shared = { server, all, waitingByAddress };

  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const address = addressOf(request);
    const refuse = (status: string): void => {
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    };
    socket.on("error", () => socket.destroy());
    if (request.url !== "/v1/wake") return refuse("404 Not Found");
    const { origin } = request.headers;
    if (origin !== undefined && !(origins ?? []).includes(origin)) return refuse("403 Forbidden");
    if ((waitingByAddress.get(address) ?? 0) >= UNAUTHENTICATED_PER_ADDRESS)
      return refuse("429 Too Many Requests");
    wss.handleUpgrade(request, socket, head, (ws) => {
      all.add(new Connection(ws, address, shared));
    });
  });

  server.services.metrics.gauge("tidelock_wake_connections", () => all.size);
  const pings = setInterval(() => {
    for (const one of all) one.ping();
  }, PING);
  pings.unref();

  return {
    close: () => {
      clearInterval(pings);
      for (const one of all) one.bye();
      wss.close();
    },
  };
}

interface Shared {
  readonly server: TidelockServer;
  readonly all: Set<Connection>;
  readonly waitingByAddress: Map<string, number>;
}

type Message =
  | { readonly t: "auth"; readonly token: string; readonly subs: readonly string[] }
  | { readonly t: "sub" | "unsub"; readonly v: string };

class Connection {
  readonly #ws: WebSocket;
  readonly #shared: Shared;
  readonly #address: string;
  readonly #subscriptions = new Map<string, () => void>();
  #session: Session | undefined;
  #listener: Listener | undefined;
  #forget: () => void = () => undefined;
  #deadline: NodeJS.Timeout;
  #missed = 0;
  /** Messages are taken one after the other. */
  #work: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(ws: WebSocket, address: string, shared: Shared) {
    this.#ws = ws;
    this.#shared = shared;
    this.#address = address;
    bump(shared.waitingByAddress, address, 1);
    this.#deadline = setTimeout(() => ws.close(closeCodes.auth, "no sign-in"), FIRST_MESSAGE.within);
    ws.on("message", (data: Buffer, isBinary: boolean) => {
      const most = this.#session === undefined ? FIRST_MESSAGE.most : MESSAGE;
      if (isBinary || data.length > most) return ws.close(1009, "too large");
      if (++this.#pending > PENDING) return ws.close(closeCodes.tooMany, "too many");
      this.#work = this.#work
        .then(() => this.#take(data.toString("utf8")))
        .catch(() => ws.close(1011, "failed"))
        .finally(() => {
          this.#pending--;
        });
    });
    ws.on("pong", () => {
      this.#missed = 0;
    });
    ws.on("error", () => ws.terminate());
    ws.on("close", () => this.#end());
  }

  ping(): void {
    if (this.#missed++ >= 2) this.#ws.terminate();
    else this.#ws.ping();
  }

  bye(): void {
    this.#send({ t: "bye", reason: "restart", retryMs: 1_000 });
    this.#ws.close(closeCodes.restart, "restart");
  }

  async #take(text: string): Promise<void> {
    const message = parseMessage(text);
    if (message === undefined) return this.#ws.close(1008, "not understood");
    if (message.t === "auth") return this.#signIn(message.token, message.subs);
    if (this.#session === undefined) return this.#ws.close(closeCodes.auth, "sign in first");
    if (message.t === "unsub") {
      this.#subscriptions.get(message.v)?.();
      this.#subscriptions.delete(message.v);
      return undefined;
    }
    const seq = await this.#subscribe(message.v);
    if (seq === undefined) this.#send({ t: "gone", v: message.v, code: "not-found" });
    else this.#send({ t: "wake", v: message.v, seq });
  }

  async #signIn(token: string, subs: readonly string[]): Promise<void> {
    const { tokens, store, clock } = this.#shared.server.services;
    let session: Session;
    try {
      session = await tokens.verify(token);
    } catch {
      return this.#ws.close(closeCodes.auth, "no session");
    }
    const account = await store.accountDevice(session.device);
    if (account === undefined || account.revoked !== undefined)
      return this.#ws.close(closeCodes.access, "signed out");
    const before = this.#session;
    if (before !== undefined && before.deviceName !== session.deviceName)
      return this.#ws.close(closeCodes.auth, "another device");
    if (before === undefined) {
      const { hub } = this.#shared.server;
      if (hub.connectionsOf(session.deviceName) >= PER_DEVICE)
        return this.#ws.close(closeCodes.tooMany, "too many");
      this.#forget = hub.connected(session.deviceName, () => this.#ws.close(closeCodes.access, "signed out"));
      bump(this.#shared.waitingByAddress, this.#address, -1);
    }
    this.#session = session;
    clearTimeout(this.#deadline);
    // The session's end is the connection's, unless it signs in anew before.
    this.#deadline = setTimeout(
      () => this.#ws.close(closeCodes.auth, "session ended"),
      Math.max(0, session.until - clock.now()),
    );
    this.#deadline.unref();
    const heads: Record<string, number> = {};
    for (const v of subs) {
      const seq = await this.#subscribe(v);
      if (seq === undefined) this.#send({ t: "gone", v, code: "not-found" });
      else heads[v] = seq;
    }
    this.#send({ t: "ok", heads });
  }

  /** Subscribed before the head is read, so that nothing falls between the two. */
  async #subscribe(v: string): Promise<number | undefined> {
    const session = this.#session as Session;
    const vault = fromBase64Url(v);
    if (vault?.length !== 32) return undefined;
    if (this.#subscriptions.size >= VAULTS && !this.#subscriptions.has(v)) return undefined;
    const { hub, services } = this.#shared.server;
    if (!this.#subscriptions.has(v))
      this.#subscriptions.set(v, hub.subscribe(vault, this.#asListener(session)));
    const state = await services.store.state({
      vault,
      devices: [session.device],
      persons: [session.person],
      placed: [],
    });
    const standing = standingOf(state?.devices[0], state?.members[0]);
    if (state !== undefined && (standing.kind === "active" || standing.kind === "joining"))
      return state.row.head.seq;
    this.#subscriptions.get(v)?.();
    this.#subscriptions.delete(v);
    return undefined;
  }

  #asListener(session: Session): Listener {
    this.#listener ??= {
      device: session.deviceName,
      wake: (vault, seq) => this.#send({ t: "wake", v: toBase64Url(vault), seq }),
      gone: (vault) => {
        const v = toBase64Url(vault);
        this.#subscriptions.get(v)?.();
        this.#subscriptions.delete(v);
        this.#send({ t: "gone", v, code: "device-removed" });
      },
    };
    return this.#listener;
  }

  #send(message: unknown): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    // Who does not read what little there is must not hold the server's memory.
    if (this.#ws.bufferedAmount > BUFFERED) {
      this.#ws.close(closeCodes.slow, "too slow");
      return;
    }
    this.#ws.send(JSON.stringify(message));
  }

  #end(): void {
    clearTimeout(this.#deadline);
    const { all, waitingByAddress } = this.#shared;
    all.delete(this);
    if (this.#session === undefined) bump(waitingByAddress, this.#address, -1);
    this.#forget();
    for (const end of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
  }
}

function parseMessage(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { t, token, subs, v } = value as Record<string, unknown>;
  if ((t === "sub" || t === "unsub") && typeof v === "string" && v.length < 64) return { t, v };
  if (t !== "auth" || typeof token !== "string" || !Array.isArray(subs) || subs.length > VAULTS)
    return undefined;
  const names = subs.filter((one): one is string => typeof one === "string" && one.length < 64);
  return names.length === subs.length ? { t, token, subs: names } : undefined;
}

function bump(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next <= 0) counts.delete(key);
  else counts.set(key, next);
}
