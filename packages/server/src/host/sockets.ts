/** Wake over WebSocket: who may connect, and that both ends still live. Rules SRV62 to SRV65. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { refusal } from "../http/handler.ts";
import { notFound, Problem } from "../problem.ts";
import type { TidelockServer } from "../server.ts";
import { Connection, MESSAGE, type Shared } from "../wake/connection.ts";
import { endWith } from "./http.ts";

const PING = 30_000;
const UNAUTHENTICATED_PER_ADDRESS = 20;

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
  const pulses = new Set<Pulse>();
  const waitingByAddress = new Map<string, number>();
  const shared = { server, all, waitingByAddress };

  wss.on("wsClientError", (_, socket) =>
    endWith(socket, refusal(server.services, new Problem("bad-request", "this is no WebSocket handshake"))),
  );
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const address = addressOf(request);
    socket.on("error", () => socket.destroy());
    const refuse = (problem: Problem): void => endWith(socket, refusal(server.services, problem));
    if (request.url !== "/v1/wake") return refuse(notFound());
    const { origin } = request.headers;
    if (origin !== undefined && !(origins ?? []).includes(origin))
      return refuse(new Problem("no-access", "this page may not listen here"));
    if ((waitingByAddress.get(address) ?? 0) >= UNAUTHENTICATED_PER_ADDRESS)
      return refuse(new Problem("too-many", "too many connections have not signed in"));
    wss.handleUpgrade(request, socket, head, (ws) => {
      const connection = connect(ws, address, shared);
      const pulse = new Pulse(ws);
      pulses.add(pulse);
      ws.on("close", () => {
        pulses.delete(pulse);
        connection.ended();
      });
    });
  });

  server.services.metrics.gauge("tidelock_wake_connections", () => all.size);
  const pings = setInterval(() => {
    for (const one of pulses) one.ping();
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

function connect(ws: WebSocket, address: string, shared: Shared): Connection {
  const connection = new Connection(
    {
      isOpen: () => ws.readyState === ws.OPEN,
      buffered: () => ws.bufferedAmount,
      send: (text) => ws.send(text),
      close: (code, reason) => ws.close(code, reason),
    },
    address,
    shared,
  );
  ws.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary || data.length > connection.most) ws.close(1009, "too large");
    else connection.receive(data.toString("utf8"));
  });
  ws.on("error", () => ws.terminate());
  return connection;
}

/** Whether the other end still answers. */
class Pulse {
  readonly #ws: WebSocket;
  #missed = 0;

  constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on("pong", () => {
      this.#missed = 0;
    });
  }

  ping(): void {
    if (this.#missed++ >= 2) this.#ws.terminate();
    else this.#ws.ping();
  }
}
