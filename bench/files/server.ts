/**
 * The server of bench/files.ts as a process of its own: as `tidelock server run` starts it, with what
 * passes it counted beside it. Argument: its folder.
 */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { startServer } from "@tidelock/server/host/start";
import type { Counts } from "./pair.ts";

const open = new Set<Socket>();
let closed = 0;
const count = { packs: 0, packBytes: 0, appends: 0, appendBytes: 0 };
let [lastPut, firstGet, sentAt] = [0, 0, 0];

const passed = (socket: Socket): number => socket.bytesRead + socket.bytesWritten;

subscribe("net.server.socket", (message) => {
  const { socket } = message as { socket: Socket };
  open.add(socket);
  socket.once("close", () => {
    open.delete(socket);
    closed += passed(socket);
  });
});

subscribe("http.server.request.start", (message) => {
  const { request } = message as { request: IncomingMessage };
  const bytes = Number(request.headers["content-length"] ?? 0);
  const what = `${request.method} ${/\/(blobs|frames)\b/.exec(request.url ?? "")?.[1]}`;
  if (what === "PUT blobs") {
    count.packs++;
    count.packBytes += bytes;
    lastPut = performance.now();
  } else if (what === "GET blobs") firstGet ||= performance.now();
  else if (what === "POST frames") {
    count.appends++;
    count.appendBytes += bytes;
    sentAt = Date.now();
  }
});

const running = await startServer({ folder: process.argv[2] as string, registration: "open" });

process.on("message", () => {
  const wire = [...open].reduce((sum, socket) => sum + passed(socket), closed);
  const ahead = firstGet === 0 ? 0 : Math.max(0, lastPut - firstGet);
  process.send?.({ ...count, wire, ahead, sentAt } satisfies Counts);
  firstGet = 0;
});
process.on("disconnect", () => void running.stop().finally(() => process.exit(0)));
process.send?.({ url: running.url, pid: process.pid });
