/** One round of Tidelock: a device founds the vault and writes, another joins cold, each in its own process. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Answer, at, type Command, check, type Figures, type Used } from "./figures.ts";
import { ended, fromSource, type Place, sizeOf } from "./place.ts";
import { type Row, sameRows, text } from "./rows.ts";

/** Between two updates: the receipts of one must not count as the next one's bytes. */
const REST = 50;

interface Device {
  readonly folder: string;
  /** Of a vault this device founded. */
  words(): string;
  ask(name: Command["name"], input?: unknown): Promise<Answer>;
  used(): Promise<Used>;
  stop(): Promise<void>;
}

async function startDevice(root: string, name: string, remote: string, words = ""): Promise<Device> {
  const folder = join(root, name);
  mkdirSync(folder);
  const child: ChildProcess = fork(
    join(import.meta.dirname, "device.ts"),
    [join(folder, "home"), remote, words],
    { execArgv: fromSource },
  );
  let shown: readonly string[] = [];
  let calls = 0;
  const waiting = new Map<number, (answer: Answer) => void>();
  const ready = new Promise<void>((resolve, reject) => {
    child.on("message", (message: { ready?: true; words?: string[]; call: number; result: Answer }) => {
      if (message.ready === true) resolve();
      else if (message.words !== undefined) shown = message.words;
      else waiting.get(message.call)?.(message.result);
    });
    child.on("exit", (code) => reject(new Error(`device ${name} ended with ${code}`)));
  });
  const died = ready.then(() => new Promise<never>((_, reject) => child.on("exit", reject)));
  died.catch(() => undefined);
  await ready;
  const ask = (command: Command["name"], input: unknown = {}): Promise<Answer> => {
    const call = calls++;
    const answer = new Promise<Answer>((resolve) => waiting.set(call, resolve));
    child.send({ call, name: command, input } satisfies Command);
    return Promise.race([answer, died]);
  };
  return {
    folder,
    words: () => shown.join(" "),
    ask,
    used: async () => (await ask("used")).used as Used,
    stop: () => ended(child),
  };
}

export async function runTidelock(
  root: string,
  place: Place,
  rows: readonly Row[],
  updates: number,
): Promise<Omit<Figures, "name">> {
  const devices: Device[] = [];
  const start = async (name: string, words?: string): Promise<Device> => {
    const device = await startDevice(root, name, place.remote, words);
    devices.push(device);
    return device;
  };
  try {
    const a = await start("a");
    await a.ask("found", { registration: place.registration });
    const cpuOf = async (device: Device): Promise<number> =>
      (await device.used()).cpu + ((await place.used())?.cpu ?? 0);
    const before = { wire: place.wire(), cpu: await cpuOf(a) };
    const sent = await a.ask("insert", { rows });
    const up = place.wire() - before.wire;
    const sentCpu = (await cpuOf(a)) - before.cpu;

    const b = await start("b", a.words());
    const joinCpu = await cpuOf(b);
    const joined = await b.ask("join", { rows: rows.length });
    const joinedCpu = (await cpuOf(b)) - joinCpu;
    const { rows: there = [] } = await b.ask("rows");
    check(sameRows(there, rows), `${there.length} rows, or other values`);

    // The newcomer's own entries are no part of an update's bytes.
    await a.ask("settle");
    await b.ask("settle");
    const { id } = rows[rows.length >> 1] as Row;
    const latencies: number[] = [];
    const wire: number[] = [];
    for (let i = 0; i < updates; i++) {
      const value = text(30);
      const was = place.wire();
      const watching = b.ask("watch", { id, a: value });
      const { start: began = 0 } = await a.ask("update", { id, a: value });
      latencies.push(((await watching).at ?? 0) - began);
      await new Promise((resolve) => setTimeout(resolve, REST));
      wire.push(place.wire() - was);
    }
    const server = await place.used();
    const perUpdate = at(wire, 0.5);
    const span = (answer: Answer): number => (answer.at ?? 0) - (answer.start ?? 0);
    return {
      stored: (sent.stored ?? 0) - (sent.start ?? 0),
      sent: span(sent),
      joined: span(joined),
      update: { p50: at(latencies, 0.5), p95: at(latencies, 0.95), samples: updates },
      wire: {
        up: up / rows.length,
        ...(place.counts === "writer" ? { update: perUpdate } : { updateAll: perUpdate }),
      },
      disk: { server: place.disk() / rows.length, client: sizeOf(b.folder) / rows.length },
      cpu: { sent: sentCpu, joined: joinedCpu },
      peakMiB: { client: (await b.used()).peak, ...(server === undefined ? {} : { server: server.peak }) },
    };
  } finally {
    await Promise.all(devices.map((device) => device.stop()));
  }
}
