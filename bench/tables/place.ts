/** Where the vault of a round lives: a folder on this disk, or a server on the loopback. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Used } from "./figures.ts";

export interface Place {
  /** What `openVault` is given. */
  readonly remote: string;
  /** What it wants of the person who founds the vault. */
  readonly registration?: string;
  /** Whose bytes `wire` counts: those put there, or those of all devices in both directions. */
  readonly counts: "writer" | "all";
  /** Bytes so far. */
  wire(): number;
  /** Bytes the remote takes on its disk. */
  disk(): number;
  /** Of its process, where it has one. */
  used(): Promise<Used | undefined>;
  close(): Promise<void>;
}

export const placeKinds: Readonly<Record<string, (root: string) => Promise<Place>>> = { folder, server };

/** How a child runs TypeScript from source. */
export const fromSource = ["--conditions=@tidelock/source", "--import", "tsx"];

async function folder(root: string): Promise<Place> {
  const parent = join(root, "folder");
  mkdirSync(parent);
  const remote = join(parent, "remote");
  const bytes = (): number => sizeOf(remote);
  return {
    remote,
    counts: "writer",
    wire: bytes,
    disk: bytes,
    used: async () => undefined,
    close: async () => undefined,
  };
}

/** The embedded server in its own process. Clients reach it through a proxy that counts. */
async function server(root: string): Promise<Place> {
  const directory = join(root, "server");
  const port = await freePort();
  let bytes = 0;
  const proxy = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    for (const [a, b] of [
      [from, to],
      [to, from],
    ] as const) {
      a.setNoDelay(true);
      a.on("data", (chunk) => {
        bytes += chunk.length;
        b.write(chunk);
      });
      a.on("close", () => b.destroy());
      a.on("error", () => b.destroy());
    }
  });
  const remote = `http://127.0.0.1:${await listen(proxy)}`;
  const child = fork(join(import.meta.dirname, "server.ts"), [directory, String(port), remote], {
    execArgv: fromSource,
  });
  const answer = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
  const { registration } = (await answer()) as { registration: string };
  return {
    remote,
    registration,
    counts: "all",
    wire: () => bytes,
    disk: () => sizeOf(directory),
    used: () => {
      const used = answer() as Promise<Used>;
      child.send({});
      return used;
    },
    close: async () => {
      await ended(child);
      proxy.close();
    },
  };
}

/** Ends a child and waits for it: until then its files may come back. */
export function ended(child: ChildProcess): Promise<void> {
  if (!child.connected) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.disconnect();
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function listen(on: Server): Promise<number> {
  return new Promise((resolve) => {
    on.listen(0, "127.0.0.1", () => resolve((on.address() as AddressInfo).port));
  });
}

export function sizeOf(directory: string): number {
  return readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(directory, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(path) : statSync(path).size);
  }, 0);
}
