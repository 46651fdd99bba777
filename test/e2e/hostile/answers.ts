/** What a place can answer to a call: about an append, and instead of an answer at all. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { encodePageItem } from "@tidelock/core/log/frame-list";
import type { HostilePlace } from "@tidelock/testkit/hostile/place";
import type { Meddle, Said } from "@tidelock/testkit/hostile/proxy";
import { isAppend, json, MARKED, ServerPlace } from "@tidelock/testkit/hostile/server";
import { expect } from "vitest";
import { type Attack, goesOn, halts, together, told, unchanged } from "./attack.ts";
import type { Scene } from "./scene.ts";

function serverOf(place: HostilePlace): ServerPlace {
  if (!(place instanceof ServerPlace)) throw new Error("no server");
  return place;
}

const BINARY = { ...MARKED, "content-type": "application/vnd.tidelock", "tidelock-head": "999" };

const isRead = (asked: Parameters<Meddle>[0]): boolean =>
  asked.method === "GET" && asked.path.endsWith("/frames");

/** Every read of a is answered like this; the others find the truth. Then a does too. */
async function answered(
  s: Scene,
  code: string,
  answer: (raw: Parameters<Meddle>[2]) => Said | undefined,
): Promise<string> {
  const place = serverOf(s.place);
  await s.says(s.b, s.fresh());
  s.write(s.a, s.fresh());
  const victim = place.device(s.a);
  place.meddle = async (asked, honest, raw) =>
    asked.device === victim && isRead(asked) ? answer(raw) : honest();
  await s.sync(s.a);
  const outcome = await unchanged(s, s.a, async () => told(await s.sync(s.a)));
  expect(outcome).toBe(code);
  place.meddle = undefined;
  await goesOn(s);
  return outcome;
}

const page = (body: Uint8Array, headers: Record<string, string> = {}): Said => ({
  status: 200,
  headers: { ...BINARY, ...headers },
  body,
});

const html = new TextEncoder().encode("<html><script>alert(1)</script>");

export const answers: readonly Attack[] = [
  {
    ids: "H40",
    what: "a page without an end",
    on: "server",
    run: (s) =>
      answered(s, "remote-corrupt", (raw) => {
        raw.writeHead(200, BINARY);
        const piece = new Uint8Array(1 << 18);
        const more = (): void => {
          while (!raw.destroyed && raw.write(piece));
        };
        raw.on("drain", more);
        more();
        return undefined;
      }),
  },
  {
    ids: "H41",
    what: "a decompression bomb around an answer",
    on: "server",
    run: (s) => {
      const bomb = gzipSync(new Uint8Array(64 << 20), { level: 9 });
      return answered(s, "remote-corrupt", () => page(bomb, { "content-encoding": "gzip" }));
    },
  },
  {
    ids: "H42",
    what: "a byte now and then",
    on: "server",
    run: async (s) => {
      const place = serverOf(s.place);
      const victim = place.device(s.a);
      const before = s.state(s.a);
      let dripping = (): void => undefined;
      const drips = new Promise<void>((resolve) => {
        dripping = resolve;
      });
      let ended = (): void => undefined;
      const gone = new Promise<void>((resolve) => {
        ended = resolve;
      });
      place.meddle = async (asked, honest, raw) => {
        if (asked.device !== victim || !isRead(asked)) return honest();
        raw.writeHead(200, BINARY);
        raw.write("x");
        raw.on("close", ended);
        dripping();
        return undefined;
      };
      s.patient = false;
      const looking = s.a.engine.syncNow();
      await drips;
      await s.kit.time.run(60_000);
      await gone;
      const outcome = told(await s.kit.time.until(looking));
      s.patient = true;
      place.meddle = undefined;
      expect(s.state(s.a)).toEqual(before);
      expect(outcome).toBe("unreachable");
      await goesOn(s);
      return `${outcome} after a minute`;
    },
  },
  {
    ids: "H43",
    what: "a redirect to another host, of reads and of appends",
    on: "server",
    run: async (s) => {
      let asked = 0;
      const elsewhere = createServer((_, response) => {
        asked++;
        response.end();
      });
      await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
      const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
      const outcomes = new Set<string>();
      for (const status of [301, 302, 307, 308])
        outcomes.add(
          await answered(s, "remote-corrupt", () => ({
            status,
            headers: { location },
            body: new Uint8Array(0),
          })),
        );
      const place = serverOf(s.place);
      place.meddle = async (call, honest) =>
        call.method === "POST" && call.path.endsWith("/frames")
          ? { status: 307, headers: { location }, body: new Uint8Array(0) }
          : honest();
      s.write(s.a, s.fresh());
      outcomes.add(told(await s.sync(s.a)));
      place.meddle = undefined;
      await goesOn(s);
      await new Promise<void>((resolve) => elsewhere.close(() => resolve()));
      expect(asked).toBe(0);
      return `${[...outcomes].join(", ")}; nobody was asked there`;
    },
  },
  {
    ids: "H44",
    what: "cookies, HTML and a script in an answer",
    on: "server",
    run: async (s) => {
      const place = serverOf(s.place);
      let cookies = 0;
      place.meddle = async (asked, honest) => {
        if (asked.cookie !== undefined) cookies++;
        const said = await honest();
        return { ...said, headers: { ...said.headers, "set-cookie": "who=a; path=/" } };
      };
      for (let i = 0; i < 2; i++) await together(s);
      expect(cookies).toBe(0);
      return answered(s, "remote-corrupt", () => page(html, { "content-type": "text/html" }));
    },
  },
  {
    ids: "H40",
    what: "an old answer again, half of one, one with more behind it, a head that is none",
    on: "server",
    run: async (s) => {
      const item = encodePageItem(s.kit.pageBytes(1, null, [s.kit.frameAt(s.a, 1)]));
      const bad = [
        item,
        item.slice(0, -3),
        new Uint8Array([...item, 0]),
        new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x7f]),
      ];
      for (const body of bad) await answered(s, "remote-corrupt", () => page(body));
      for (const head of ["", "1.5"])
        await answered(s, "remote-corrupt", () => page(new Uint8Array(0), { "tidelock-head": head }));
      return answered(s, "chain-broken", () => page(new Uint8Array(0)));
    },
  },
  {
    ids: "H45",
    what: "an append is acknowledged and thrown away",
    run: (s) => acknowledged(s, "dropped", "rollback"),
  },
  {
    ids: "H46",
    what: "an append is acknowledged where another's entry stands",
    run: (s) => acknowledged(s, "replaced", "fork"),
  },
  {
    ids: "H46",
    what: "an append is acknowledged at a number that is none",
    on: "server",
    run: async (s) => {
      const place = serverOf(s.place);
      const victim = place.device(s.a);
      const outcomes = new Set<string>();
      for (const first of [0, -1, 1.5, 2 ** 53, 1e300]) {
        place.meddle = async (asked, honest) =>
          asked.device === victim && isAppend(asked) ? json({ first }) : honest();
        const id = s.fresh();
        s.write(s.a, id);
        await s.sync(s.a);
        outcomes.add(await unchanged(s, s.a, async () => told(await s.sync(s.a))));
        place.meddle = undefined;
        await goesOn(s);
        expect(s.rows(s.b)).toContain(`${id}=said by a`);
      }
      expect([...outcomes]).toEqual(["unreachable"]);
      return [...outcomes].join(", ");
    },
  },
];

/** It was told that it was placed, and finds that it was not: it stops, and the edit is still its own. */
async function acknowledged(s: Scene, how: "dropped" | "replaced", code: string): Promise<string> {
  await s.says(s.b, s.fresh());
  await s.sync(s.a);
  s.place.acknowledge(how, s.a);
  const id = s.fresh();
  s.write(s.a, id);
  await s.sync(s.a);
  const outcome = await halts(s, s.a, code);
  expect(s.state(s.a).waiting).toEqual({ pending: 1, parked: 0 });
  s.place.acknowledge(undefined, s.a);
  // What it was promised, this process alone knows.
  await s.restart();
  await goesOn(s);
  expect(s.rows(s.b)).toContain(`${id}=said by a`);
  return `${outcome}; the edit kept, and sent after a restart`;
}
