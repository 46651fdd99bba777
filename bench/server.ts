/**
 * The embedded server under load: durable appends of single frames from 32 clients on vaults of
 * their own and on one hot vault, frames in batches of 100, idle sockets, and how long a hint takes
 * to 1, 1,000 and more listeners. The server is a process of its own; the clients share this one.
 * Beside it in the same run, the floors: bare SQLite at synchronous=FULL and a bare `node:http`.
 *
 *   node --conditions=@tidelock/source --import tsx bench/server.ts [seconds each] [idle sockets]
 */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { loginBytes } from "@tidelock/core/crypto/login";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { startServer } from "@tidelock/server/host/start";
import {
  type LogPoint,
  newDevice,
  newPerson,
  type TestDevice,
  TestVault,
} from "@tidelock/testkit/vault-people";
import Database from "better-sqlite3";
import { WebSocket } from "ws";
import { Wire } from "./server/wire.ts";

const CLIENTS = 32;
/** A lone change of 40 B makes a frame of about this size. */
const TEXT = "x".repeat(64);
const BATCH = 100;
/** Connections that a server takes of one device. */
const PER_DEVICE = 8;
const generous = { perMinute: 1e9, burst: 1e9 };

if (process.argv[2] === "serve") await serve();
else await measure();

async function serve(): Promise<void> {
  const running = await startServer({
    folder: process.argv[3] as string,
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
  process.send?.({ url: running.url });
  process.on("disconnect", () => void running.stop().then(() => process.exit(0)));
}

interface Client {
  readonly device: TestDevice;
  readonly vault: TestVault;
  readonly index: number;
  readonly token: string;
  readonly wire: Wire;
  /** The last device seq that was used. */
  seq: number;
  readonly at: LogPoint;
}

async function measure(): Promise<void> {
  const seconds = Number(process.argv[2] ?? 5);
  const idle = Number(process.argv[3] ?? 10_000);
  const { suite } = await loadSuite();
  const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
  const child = fork(process.argv[1] as string, ["serve", join(root, "server")], {
    execArgv: process.execArgv,
  });
  const url = await new Promise<string>((resolve) =>
    child.once("message", (m) => resolve((m as { url: string }).url)),
  );
  const { port } = new URL(url);

  const post = async (path: string, token: string | undefined, body: Uint8Array | string, wire?: Wire) => {
    const own = wire ?? (await Wire.open(Number(port)));
    try {
      return await own.post(path, token, body);
    } finally {
      if (wire === undefined) own.close();
    }
  };

  async function signIn(device: TestDevice): Promise<string> {
    const drawn = await post(
      "/v1/auth/challenge",
      undefined,
      JSON.stringify({ device: toBase64Url(device.id) }),
    );
    const challenge = JSON.parse(drawn.text).challenge as string;
    const bytes = loginBytes(url, fromBase64Url(challenge) as Uint8Array, device.id, device.person.id);
    const proof = {
      device: toBase64Url(device.id),
      challenge,
      certificates: [toBase64Url(device.certificate)],
      signature: toBase64Url(suite.sign(bytes, device.keys.signSecret)),
    };
    const answer = await post("/v1/persons", undefined, JSON.stringify(proof));
    return JSON.parse(answer.text).token as string;
  }

  const append = async (client: Client, frames: readonly Uint8Array[]): Promise<void> => {
    const path = `/v1/vaults/${toBase64Url(client.vault.id)}/frames`;
    const answer = await post(path, client.token, encodeFrameList(frames), client.wire);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  };

  async function founder(): Promise<Client> {
    const device = newDevice(suite, newPerson(suite));
    const vault = new TestVault(suite, device);
    const token = await signIn(device);
    const wire = await Wire.open(Number(port));
    const made = await post("/v1/vaults", token, vault.genesis.bytes, wire);
    if (made.status !== 201 && made.status !== 200) throw new Error(made.text);
    const client = { device, vault, index: 0, token, wire, seq: 1, at: vault.start };
    await append(client, [vault.first()]);
    return client;
  }

  /** Devices of one person in one vault: all write to one log. */
  async function hot(): Promise<Client[]> {
    const first = await founder();
    const clients = [first];
    for (let index = 1; index < CLIENTS; index++) {
      const head = await headOf(first);
      const device = newDevice(suite, first.device.person);
      const token = await signIn(device);
      const wire = await Wire.open(Number(port));
      const client = { device, vault: first.vault, index, token, wire, seq: 1, at: first.at };
      await append(client, [first.vault.admission(device, index, head)]);
      clients.push(client);
    }
    return clients;
  }

  async function headOf({ vault, token }: Client): Promise<LogPoint> {
    const answer = await fetch(`${url}/v1/vaults/${toBase64Url(vault.id)}/head`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const head = (await answer.json()) as { seq: number; hash: string; members: string };
    const [hash, members] = [fromBase64Url(head.hash), fromBase64Url(head.members)];
    return { seq: head.seq, link: { ...vault.start.link, hash, members } as LogPoint["link"] };
  }

  /** Frames per second and how long one request took, ms. Frames are made before the clock starts. */
  async function load(clients: readonly Client[], each: number): Promise<string> {
    const most = Math.ceil((seconds * 12_000) / clients.length / each) * (each === 1 ? 1 : 4);
    const ready = clients.map((client) =>
      Array.from({ length: most }, () =>
        Array.from({ length: each }, () =>
          client.vault.data(client.device, client.index, ++client.seq, TEXT, client.at),
        ),
      ),
    );
    const taken: number[] = [];
    const start = performance.now();
    const end = start + seconds * 1000;
    await Promise.all(
      clients.map(async (client, i) => {
        for (const frames of ready[i] ?? []) {
          const at = performance.now();
          if (at > end) {
            client.seq = Number.NaN; // what was made and not sent leaves a gap: this client is done
            return;
          }
          await append(client, frames);
          taken.push(performance.now() - at);
        }
      }),
    );
    const took = (performance.now() - start) / 1000;
    taken.sort((a, b) => a - b);
    const rate = (taken.length * each) / took;
    const at = (p: number): string => `${(taken[Math.floor(taken.length * p)] ?? 0).toFixed(1)} ms`;
    return `${rate.toFixed(0)} frames/s   p50 ${at(0.5)}, p99 ${at(0.99)}`;
  }

  const line = (what: string, figure: string): void => console.log(what.padEnd(34) + figure);
  try {
    for (const [what, rows] of [
      ["floor: SQLite, a commit a row", 1],
      ["floor: SQLite, 32 rows a commit", 32],
    ] as const)
      line(what, `${sqliteFloor(root, rows, seconds).toFixed(0)} rows/s`);
    line("floor: node:http, 32 clients", `${(await httpFloor(seconds)).toFixed(0)} requests/s`);
    const many = await Promise.all(Array.from({ length: CLIENTS }, () => founder()));
    line("32 clients, 32 vaults", await load(many, 1));
    line("32 clients, one hot vault", await load(await hot(), 1));
    const batches = await Promise.all(Array.from({ length: CLIENTS }, () => founder()));
    line(`32 clients, ${BATCH} frames a request`, await load(batches, BATCH));
    line("server's memory after that", memory(child));
    const group = await hot();
    const [writer] = group;
    for (const listeners of [1, CLIENTS * PER_DEVICE]) {
      const devices = group.slice(0, Math.ceil(listeners / PER_DEVICE));
      const sockets = await listen(url, devices, listeners);
      line(`hint to ${listeners} listeners of a vault`, await wake(writer as Client, sockets));
      for (const socket of sockets) socket.terminate();
    }
    const before = memory(child);
    const crowd: Client[] = [];
    while (crowd.length * PER_DEVICE < idle)
      crowd.push(...(await Promise.all(Array.from({ length: 25 }, () => founder()))));
    const sockets = await listen(url, crowd, idle);
    line(`server's memory, ${sockets.length} idle sockets`, `${memory(child)} (before: ${before})`);
    const [one] = crowd;
    line("hint among them", await wake(one as Client, sockets.slice(0, PER_DEVICE)));
    for (const socket of sockets) socket.terminate();
  } finally {
    child.disconnect();
    await new Promise((resolve) => child.once("exit", resolve));
    rmSync(root, { recursive: true, force: true });
  }

  async function wake(writer: Client, sockets: readonly WebSocket[]): Promise<string> {
    const taken: number[] = [];
    for (let round = 0; round < 10; round++) {
      let start = 0;
      const all = Promise.all(
        sockets.map(
          (socket) =>
            new Promise<void>((resolve) => {
              socket.once("message", () => {
                taken.push(performance.now() - start);
                resolve();
              });
            }),
        ),
      );
      const frame = writer.vault.data(writer.device, 0, ++writer.seq, TEXT, writer.at);
      start = performance.now();
      await append(writer, [frame]);
      await all;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    taken.sort((a, b) => a - b);
    const at = (p: number): string => `${(taken[Math.floor(taken.length * p)] ?? 0).toFixed(1)} ms`;
    return `p50 ${at(0.5)}, p99 ${at(0.99)} from before the append`;
  }
}

function memory(child: ChildProcess): string {
  const kib = execFileSync("ps", ["-o", "rss=", "-p", String(child.pid)], { encoding: "utf8" });
  return `${(Number(kib) / 1024).toFixed(0)} MiB`;
}

/** Connections that have signed in, a few at a time: a server takes 20 of an address before that. */
async function listen(url: string, devices: readonly Client[], count: number): Promise<readonly WebSocket[]> {
  const sockets: WebSocket[] = [];
  for (let at = 0; at < count; ) {
    const some = Array.from({ length: Math.min(10, count - at) }, (_, i) =>
      listener(url, devices[Math.floor((at + i) / PER_DEVICE)] as Client),
    );
    sockets.push(...(await Promise.all(some)));
    at += some.length;
  }
  return sockets;
}

function listener(url: string, { token, vault }: Client): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/v1/wake`, { perMessageDeflate: false });
    socket.on("error", reject);
    socket.once("open", () =>
      socket.send(JSON.stringify({ t: "auth", token, subs: [toBase64Url(vault.id)] })),
    );
    socket.once("message", () => resolve(socket));
  });
}

function sqliteFloor(root: string, rows: number, seconds: number): number {
  const db = new Database(join(root, `floor${rows}.db`));
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)");
  const insert = db.prepare("INSERT INTO t (v) VALUES (?)");
  const value = Buffer.alloc(300, 7);
  const commit = db.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(value);
  });
  const start = performance.now();
  let done = 0;
  for (; performance.now() - start < seconds * 1000; done += rows) commit();
  const took = (performance.now() - start) / 1000;
  db.close();
  return done / took;
}

/** Requests a second that Node's own server answers to the same clients, in a process of its own. */
async function httpFloor(seconds: number): Promise<number> {
  const code = `require("node:http").createServer((q, r) => { q.resume(); q.on("end", () => r.end("{}")); })
    .listen(0, "127.0.0.1", function () { process.send(this.address().port); }); process.on("disconnect", () => process.exit(0));`;
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const port = await new Promise<number>((resolve) => child.once("message", (m) => resolve(m as number)));
  const body = Buffer.alloc(300, 7);
  const start = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const wire = await Wire.open(port);
      for (; performance.now() - start < seconds * 1000; done++) await wire.post("/", undefined, body);
      wire.close();
    }),
  );
  const took = (performance.now() - start) / 1000;
  child.disconnect();
  return done / took;
}
