/** Requests from many clients at once, each waiting for its answer: how many, how long, at which cost. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import Database from "better-sqlite3";
import { type Client, framesOf } from "./clients.ts";
import type { Host } from "./process.ts";
import type { Wire } from "./wire.ts";

export interface Load {
  /** Per second. */
  readonly rate: number;
  /** Of a request, ms. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time of one unit, µs: of the serving thread, of the rest of its process, of the clients. */
  readonly serving: number;
  readonly beside: number;
  readonly clients: number;
}

/** Requests of one client, made beforehand. */
interface Sender {
  readonly wire: Wire;
  readonly path: string;
  readonly token?: string;
  readonly bodies: readonly Uint8Array[];
}

/** So many a second are made beforehand: what is faster ends before its time. */
const MOST = { single: 8_000, batched: 45_000, bare: 30_000 };

/** Appends of `each` frames; what was made and not sent is taken back. */
export async function appendLoad(
  host: Host,
  clients: readonly Client[],
  each: number,
  seconds: number,
): Promise<Load> {
  const count = Math.ceil((seconds * (each === 1 ? MOST.single : MOST.batched)) / clients.length / each);
  const senders = clients.map((client) => ({
    client,
    before: client.seq,
    wire: client.wire,
    token: client.token,
    path: `/v1/vaults/${toBase64Url(client.vault.id)}/frames`,
    bodies: Array.from({ length: count }, () => encodeFrameList(framesOf(client, each))),
  }));
  const { load, sent } = await measure(host, senders, each, seconds);
  for (const [i, { client, before }] of senders.entries()) client.seq = before + (sent[i] ?? 0) * each;
  return load;
}

/** As many small requests as fit. */
export async function requestLoad(host: Host, wires: readonly Wire[], seconds: number): Promise<Load> {
  const bodies = Array.from({ length: Math.ceil((seconds * MOST.bare) / wires.length) }, () =>
    Buffer.alloc(300, 7),
  );
  const senders = wires.map((wire) => ({ wire, path: "/", bodies }));
  return (await measure(host, senders, 1, seconds)).load;
}

async function measure(
  host: Host,
  senders: readonly Sender[],
  units: number,
  seconds: number,
): Promise<{ readonly load: Load; readonly sent: readonly number[] }> {
  await Promise.all(senders.map(({ wire }) => wire.renew()));
  const taken: number[] = [];
  const [before, own] = [await host.used(), process.cpuUsage()];
  const start = performance.now();
  const end = start + seconds * 1000;
  const sent = await Promise.all(
    senders.map(async ({ wire, path, token, bodies }) => {
      let count = 0;
      for (const body of bodies) {
        const at = performance.now();
        if (at > end) break;
        const answer = await wire.post(path, token, body);
        if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
        taken.push(performance.now() - at);
        count++;
      }
      return count;
    }),
  );
  const took = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(own);
  const after = await host.used();
  taken.sort((a, b) => a - b);
  const done = taken.length * units;
  const serving = after.serving - before.serving;
  return {
    sent,
    load: {
      rate: done / took,
      p50: taken[Math.floor(taken.length * 0.5)] ?? 0,
      p99: taken[Math.floor(taken.length * 0.99)] ?? 0,
      serving: serving / done,
      beside: (after.all - before.all - serving) / done,
      clients: (user + system) / done,
    },
  };
}

/** Rows a second that SQLite makes durable one by one, for as many seconds. */
export function sqliteFloor(path: string, seconds: number): number {
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)");
  const insert = db.prepare("INSERT INTO t (v) VALUES (?)");
  const value = Buffer.alloc(300, 7);
  const start = performance.now();
  let done = 0;
  for (; performance.now() - start < seconds * 1000; done++) insert.run(value);
  const took = (performance.now() - start) / 1000;
  db.close();
  return done / took;
}
