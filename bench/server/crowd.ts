/**
 * Many listeners in a process of their own, so that neither their memory nor their descriptors are
 * those of the server or of who appends. Started by `wake.ts`.
 */
import { WebSocket } from "ws";

/** Opens `count` connections, so many of each device in turn. */
export interface Open {
  readonly url: string;
  readonly first: readonly string[];
  readonly perDevice: number;
  readonly count: number;
}

/** A server takes 20 of an address that have not signed in. */
const AT_ONCE = 10;
/** A hint may be lost; a measurement that waits for it must end. */
const PATIENCE = 20_000;

const sockets: WebSocket[] = [];
let arrived: number[] = [];
let wanted = Number.POSITIVE_INFINITY;
let all: () => void = () => undefined;

async function open({ url, first, perDevice, count }: Open): Promise<number> {
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, (_, i) =>
      listener(url, first[Math.floor((sockets.length + i) / perDevice)] as string),
    );
    sockets.push(...(await Promise.all(some)));
  }
  for (const socket of sockets) socket.on("message", arrive);
  return sockets.length;
}

/** Connected, and answered once. */
function listener(url: string, first: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`the server closed with ${code}`)));
    socket.once("open", () => socket.send(first));
    socket.once("message", () => resolve(socket));
  });
}

function arrive(): void {
  if (arrived.push(Number(process.hrtime.bigint()) / 1e6) === wanted) all();
}

/** When each of the next hints arrived, by the system's monotonic clock, ms. */
async function next(): Promise<void> {
  arrived = [];
  wanted = sockets.length;
  const done = new Promise<void>((resolve) => {
    all = resolve;
    setTimeout(resolve, PATIENCE).unref();
  });
  process.send?.("armed");
  await done;
  process.send?.(arrived);
}

process.on("message", (message: Open | "next") => {
  if (message === "next") void next();
  else void open(message).then((count) => process.send?.(count));
});
process.on("disconnect", () => process.exit(0));
