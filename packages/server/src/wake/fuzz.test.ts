/** Everybody asks for hints about everything, and spoiled messages: who is told what, and what is left behind. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import { type Asker, createAskers } from "@tidelock/testkit/server-askers";
import { createCast } from "@tidelock/testkit/server-cast";
import { type IdKind, idOf } from "@tidelock/testkit/server-samples";
import { ServerStage } from "@tidelock/testkit/server-stage";
import { Spoiler } from "@tidelock/testkit/spoiler";
import { draws, repeatable, seeds } from "@tidelock/testkit/suites/seeds";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Connection, type Shared } from "./connection.ts";

/** Connections that a device may have. */
const PER_DEVICE = 8;
/** Connections of one seed. */
const CONNECTIONS = 50;

let stage: ServerStage;
let askers: readonly Asker[];
let shared: Shared;

beforeAll(async () => {
  stage = await ServerStage.open();
  const cast = await createCast(stage);
  await stage.time.run(3_600_000);
  askers = await createAskers(stage, cast);
  await stage.save();
  shared = { server: stage.server, all: new Set(), waitingByAddress: new Map() };
});
afterAll(() => stage.dispose());

/** No vault is called that. */
const LAST = "no vault";

type Told = Readonly<Record<string, unknown>>;

/** A connection whose other end is here. */
class Line {
  readonly told: Told[] = [];
  /** The code it was closed with. */
  closed: number | undefined;
  readonly #connection: Connection;
  #heard: () => void = () => undefined;

  constructor() {
    const wire = {
      isOpen: () => this.closed === undefined,
      buffered: () => 0,
      send: (text: string) => {
        this.told.push(JSON.parse(text) as Told);
        this.#heard();
      },
      close: (code: number) => {
        this.closed ??= code;
        this.#heard();
      },
    };
    this.#connection = new Connection(wire, "192.0.2.1", shared);
  }

  say(message: unknown): void {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    // What carries it lets nothing longer through.
    if (new TextEncoder().encode(text).length <= this.#connection.most) this.#connection.receive(text);
  }

  /** Resolves behind everything that was said before. */
  async answered(): Promise<void> {
    const isAnswered = (): boolean => this.closed !== undefined || this.told.at(-1)?.["v"] === LAST;
    this.say({ t: "sub", v: LAST });
    while (!isAnswered())
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    if (this.told.at(-1)?.["v"] === LAST) this.told.pop();
  }

  end(): void {
    this.#connection.ended();
  }
}

const kinds: readonly IdKind[] = ["own", "foreign", "absent", "malformed", "another"];

/** The code for no session at all, or for a good one of somebody who may not come in. */
function dueClose({ name, session }: Asker): number | undefined {
  if (session === undefined) return undefined;
  const isGood = session !== "bad-proof" && session !== "session-expired";
  return isGood || name === "a device that never came" ? 4403 : 4401;
}

test("[P11] [SRV51] [SRV62] everybody hears of the vaults that he is in, and of all others alike: nothing", async () => {
  for (const asker of askers) {
    const ids = kinds.map((kind) => idOf("v", kind, asker) as string);
    const isIn = asker.rank !== "stranger" && asker.rank !== "removed";
    const close = dueClose(asker);
    const gone = (v: string): Told => ({ t: "gone", v, code: "not-found" });
    const [own = "", ...others] = ids;
    const seq = asker.own.at.seq;

    const line = new Line();
    line.say({ t: "auth", token: asker.token ?? "", subs: ids });
    line.say({ t: "sub", v: own });
    await line.answered();
    const first = isIn ? others.map(gone) : ids.map(gone);
    const last = isIn ? { t: "wake", v: own, seq } : gone(own);
    const told = [...first, { t: "ok", heads: isIn ? { [own]: seq } : {} }, last];
    expect([asker.name, line.closed, line.told]).toEqual([
      asker.name,
      close,
      close === undefined ? told : [],
    ]);
    line.end();
  }
  expect([shared.all.size, shared.waitingByAddress.size, stage.server.hub.size()]).toEqual([0, 0, 0]);
});

test.each(seeds(8))(
  "[P14] [SRV62] [SRV64] whatever is said, a connection is told what it may know or closed, and leaves nothing behind (seed %d)",
  (seed) =>
    repeatable("packages/server/src/wake/fuzz.test.ts", seed, async () => {
      const spoiler = new Spoiler(draws(seed));
      const closes = new Set<number | undefined>();
      for (let n = 0; n < CONNECTIONS; n++) {
        const asker = spoiler.pick(askers);
        const own = toBase64Url(asker.own.vault.id);
        const line = new Line();
        const honest: readonly Told[] = [
          { t: "auth", token: asker.token, subs: [own] },
          { t: "sub", v: own },
          { t: "unsub", v: own },
        ];
        if (spoiler.chance(0.5)) line.say(honest[0]);
        for (let said = spoiler.int(6); said > 0; said--) {
          const message = spoiler.pick(honest);
          line.say(spoiler.chance(0.8) ? spoiler.json(message) : message);
        }
        // Some leave before they are answered.
        if (spoiler.chance(0.8)) await line.answered();
        line.end();
        closes.add(line.closed);
        const vaults = line.told.flatMap((one) =>
          one["t"] === "wake" ? [one["v"]] : Object.keys(one["heads"] ?? {}),
        );
        expect(vaults.filter((v) => v !== own)).toEqual([]);
        expect(line.told.filter(({ t }) => !["ok", "wake", "gone"].includes(String(t)))).toEqual([]);
        expect([undefined, 1008, 4401, 4403]).toContain(line.closed);
      }
      expect(closes.size).toBeGreaterThan(2);
      // Behind what those who left had begun.
      const last = new Line();
      last.say({ t: "auth", token: askers.find(({ rank }) => rank === "viewer")?.token, subs: [] });
      await last.answered();
      last.end();
      const { hub } = stage.server;
      const names = new Set(askers.map(({ device }) => toBase64Url(device.id)));
      expect([...names].filter((name) => hub.connectionsOf(name) > 0)).toEqual([]);
      expect([shared.all.size, shared.waitingByAddress.size, hub.size()]).toEqual([0, 0, 0]);
      expect(stage.changed()).toEqual([]);
    }),
);

test("[P13] [SRV63] who is removed hears no more, also on a device that nothing had admitted", async () => {
  const named = (name: string): Asker => askers.find((one) => one.name === name) as Asker;
  const { own, claims, device, token } = named("owner");
  const v = toBase64Url(own.vault.id);
  const lines: Line[] = [];
  for (const name of ["editor", "not admitted yet", "viewer"]) {
    const line = new Line();
    line.say({ t: "auth", token: named(name).token, subs: [v] });
    await line.answered();
    lines.push(line);
  }
  const removal = { type: "member-remove", person: 2, cutoffs: [0] } as const;
  const frames = [
    own.vault.say(device, claims.index, claims.next, [removal], own.at),
    own.vault.data(device, claims.index, claims.next + 1, "not for the removed", own.at),
  ];
  for (const frame of frames) {
    const bytes = encodeFrameList([frame]);
    const path = `/v1/vaults/${v}/frames`;
    expect((await stage.ask({ method: "POST", path, token, bytes })).status).toBe(200);
    await stage.time.run(1_000);
  }
  const { seq } = own.at;
  const [ok, removed, next] = [
    { t: "ok", heads: { [v]: seq } },
    { t: "wake", v, seq: seq + 1 },
    { t: "wake", v, seq: seq + 2 },
  ];
  const gone = { t: "gone", v, code: "device-removed" };
  expect(lines.map(({ told }) => told)).toEqual([
    [ok, removed, gone],
    [ok, removed, gone],
    [ok, removed, next],
  ]);
  for (const line of lines) line.end();
});

/** Of a storm: all devices of a large server, after it was away. */
const RECONNECTS = 10_000;

test("[SRV62] M-18 ten thousand connections come at once: each that may is told, and none leaves anything behind", {
  timeout: 300_000,
}, async () => {
  const asker = askers.find(({ rank, session }) => rank === "owner" && session === undefined) as Asker;
  const own = toBase64Url(asker.own.vault.id);
  let told = 0;
  for (let n = 0; n < RECONNECTS; n += PER_DEVICE) {
    const lines = Array.from({ length: PER_DEVICE }, () => new Line());
    for (const line of lines) line.say({ t: "auth", token: asker.token, subs: [own] });
    // Half of them are gone again before they are answered.
    for (const line of lines.splice(PER_DEVICE / 2)) line.end();
    for (const line of lines) {
      await line.answered();
      if (line.told.some(({ t }) => t === "ok")) told++;
      line.end();
    }
  }
  expect(told).toBe(RECONNECTS / 2);
  expect([shared.all.size, shared.waitingByAddress.size, stage.server.hub.size()]).toEqual([0, 0, 0]);
});
