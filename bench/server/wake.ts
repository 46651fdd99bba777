/** How long a hint takes to many listeners of one vault, and what they cost while nothing happens. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Suite } from "@tidelock/core/crypto/suite";
import { newDevice } from "@tidelock/testkit/vault-people";
import { append, type Client, Clients, framesOf } from "./clients.ts";
import type { Open } from "./crowd.ts";
import { Host, Program } from "./process.ts";
import type { Wire } from "./wire.ts";

export interface Woken {
  readonly listeners: number;
  /** From before the request until the hint arrived, ms. */
  readonly p50: number;
  readonly p99: number;
  /** Hints that did not come. */
  readonly lost: number;
  /** Of the server, bytes, before and with the listeners. */
  readonly before: number;
  readonly after: number;
}

interface Scripts {
  readonly host: string;
  readonly crowd: string;
}

/** Connections that a server takes of one device. */
const PER_DEVICE = 8;
/** Longer than a vault counts as busy. */
const QUIET = 150;

export async function wakeTidelock(
  scripts: Scripts,
  suite: Suite,
  folder: string,
  counts: readonly number[],
): Promise<readonly Woken[]> {
  const host = await Host.start(scripts.host, "server", folder);
  const clients = new Clients(suite, host.url);
  const writer = await clients.founder();
  const hello = await hellos(suite, clients, writer, Math.ceil(Math.max(...counts) / PER_DEVICE));
  const out: Woken[] = [];
  for (const count of counts) {
    const tell = (): Promise<void> => append(writer, framesOf(writer, 1));
    out.push(
      await woken(scripts, host, writer.wire, tell, {
        url: `${host.url.replace("http", "ws")}/v1/wake`,
        first: hello,
        perDevice: PER_DEVICE,
        count,
      }),
    );
  }
  await host.stop();
  return out;
}

export async function wakeBare(
  scripts: Scripts,
  suite: Suite,
  folder: string,
  counts: readonly number[],
): Promise<readonly Woken[]> {
  const out: Woken[] = [];
  const host = await Host.start(scripts.host, "sockets", folder);
  const wire = await new Clients(suite, host.url).wire();
  const body = Buffer.alloc(300, 7);
  const tell = async (): Promise<void> => void (await wire.post("/", undefined, body));
  for (const count of counts) {
    const at = { url: host.url.replace("http", "ws"), first: ["hello"], perDevice: count, count };
    out.push(await woken(scripts, host, wire, tell, at));
  }
  await host.stop();
  return out;
}

/** What each device says first. They are the writer's person's, and nothing has admitted them. */
async function hellos(
  suite: Suite,
  clients: Clients,
  writer: Client,
  count: number,
): Promise<readonly string[]> {
  const subs = [toBase64Url(writer.vault.id)];
  const wires = await Promise.all(Array.from({ length: Math.min(16, count) }, () => clients.wire()));
  const out: string[] = [];
  const signIn = async (wire: Wire): Promise<void> => {
    while (out.length < count) {
      const at = out.push("") - 1;
      const token = await clients.signedIn(newDevice(suite, writer.device.person), wire);
      out[at] = JSON.stringify({ t: "auth", token, subs });
    }
  };
  await Promise.all(wires.map(signIn));
  for (const wire of wires) wire.close();
  return out;
}

async function woken(
  { crowd: script }: Scripts,
  host: Host,
  wire: Wire,
  tell: () => Promise<void>,
  open: Open,
): Promise<Woken> {
  const { rss: before } = await host.used();
  const crowd = new Program(script, []);
  await crowd.ask<number>(open);
  await pause(1_000);
  const { rss: after } = await host.used();
  // It was idle for as long as the others took to connect.
  await wire.renew();
  const taken: number[] = [];
  const rounds = Math.max(10, Math.ceil(100 / open.count));
  for (let round = 0; round < rounds; round++) {
    await pause(QUIET);
    await crowd.ask<string>("next");
    const arrivals = crowd.told<readonly number[]>();
    const start = Number(process.hrtime.bigint()) / 1e6;
    await tell();
    for (const at of await arrivals) taken.push(at - start);
  }
  await crowd.stop();
  await pause(1_000);
  taken.sort((a, b) => a - b);
  return {
    listeners: open.count,
    p50: taken[Math.floor(taken.length * 0.5)] ?? 0,
    p99: taken[Math.floor(taken.length * 0.99)] ?? 0,
    lost: rounds * open.count - taken.length,
    before,
    after,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
