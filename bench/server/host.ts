/**
 * What is measured, as a process of its own that says what it used: the server that ships, or one
 * of the floors beside it. Started by `process.ts`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startServer } from "@tidelock/server/host/start";
import Database from "better-sqlite3";
import { type WebSocket, WebSocketServer } from "ws";
import type { Used } from "./process.ts";

const generous = { perMinute: 1e9, burst: 1e9 };

const kinds: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  async server(folder) {
    const running = await startServer({
      folder,
      registration: "open",
      rates: {
        challenge: { ...generous, of: "address" },
        "sign-in": { ...generous, of: "address" },
        append: { ...generous, of: "device" },
        vault: { ...generous, of: "vault" },
        write: { ...generous, of: "device" },
        read: { ...generous, of: "device" },
      },
    });
    return running.url;
  },

  /** `node:http` and SQLite alone: what came in one turn is committed together, then answered. */
  floor: (folder) =>
    listen(
      createServer((request, response) => {
        let body: Buffer | undefined;
        request.on("data", (part: Buffer) => {
          body = body === undefined ? part : Buffer.concat([body, part]);
        });
        request.on("end", () => {
          waiting.push({ body: body ?? Buffer.alloc(0), answer: () => response.end("{}") });
          if (waiting.length === 1) setImmediate(commit);
        });
        db ??= openFloor(`${folder}.db`);
      }),
    ),

  /** `ws` alone: each request is told to all who are connected, in one go. */
  sockets() {
    const all = new Set<WebSocket>();
    const hint = JSON.stringify({ t: "wake", v: "x".repeat(43), seq: 1000 });
    const http = createServer((request, response) => {
      request.resume().on("end", () => {
        for (const socket of all) socket.send(hint);
        response.end("{}");
      });
    });
    new WebSocketServer({ server: http, perMessageDeflate: false }).on("connection", (socket) => {
      all.add(socket);
      socket.on("close", () => all.delete(socket));
      socket.on("message", () => socket.send("{}"));
    });
    return listen(http);
  },
};

const waiting: { readonly body: Buffer; readonly answer: () => void }[] = [];
let db: ReturnType<typeof openFloor> | undefined;

function commit(): void {
  const all = waiting.splice(0);
  db?.(all.map(({ body }) => body));
  for (const { answer } of all) answer();
}

function openFloor(path: string): (rows: readonly Buffer[]) => void {
  const file = new Database(path);
  file.pragma("journal_mode = WAL");
  file.pragma("synchronous = FULL");
  file.exec("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)");
  const insert = file.prepare("INSERT INTO t (v) VALUES (?)");
  return file.transaction((rows: readonly Buffer[]) => {
    for (const row of rows) insert.run(row);
  });
}

function listen(http: Server): Promise<string> {
  return new Promise((resolve) => {
    http.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(http.address() as AddressInfo).port}`));
  });
}

/** The serving thread apart from all others; where the system does not tell, everything is said of it. */
function used(): Used {
  const { user, system } = process.cpuUsage();
  const all = user + system;
  return { serving: servingTime() ?? all, all, rss: process.memoryUsage.rss() };
}

/** proc(5), `schedstat`: nanoseconds on a processor. */
function servingTime(): number | undefined {
  try {
    const threads = readdirSync("/proc/self/task");
    const text = readFileSync(`/proc/self/task/${threads[0]}/schedstat`, "utf8");
    return Number(text.split(" ")[0]) / 1000;
  } catch {
    return undefined;
  }
}

const [, , kind = "", folder = ""] = process.argv;
const url = await kinds[kind]?.(folder);
process.on("message", () => process.send?.(used()));
process.on("disconnect", () => process.exit(0));
process.send?.({ url });
