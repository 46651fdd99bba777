/**
 * The transcript property on the way from a server: what it answers is changed at frame boundaries, at random
 * bytes and in its headers, and the remote and the engine that ship take it in. The one on the log (core,
 * `engine/transcript.test.ts`) never sees what is between them: page lists, which are cut anew for every read,
 * the head beside them, the answers about sessions and appends, and the retries. `TIDELOCK_RUNS=n` for n times as many.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { concat, toHex } from "@tidelock/core/bytes/bytes";
import { errorKinds } from "@tidelock/core/errors";
import { encodePageItem, parseFrameList } from "@tidelock/core/log/frame-list";
import { encodePage, type PageEntry } from "@tidelock/core/log/page";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import type { FetchInit } from "@tidelock/remotes/transport";
import { expect, test } from "vitest";
import { draws, seeds } from "../suites/seeds.ts";
import { type Device, fastKit, type Kit } from "../vault-kit.ts";

type Draw = () => number;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

interface Asked {
  readonly path: string;
  readonly init: FetchInit;
}

const ORIGIN = "http://server.test";
const MARKED = { "tidelock-proto": "1", "tidelock-time": "1700000000000" };
/** Each is lied to several times. */
const READERS = 500;
/** Readers that share one honest history. */
const PER_HISTORY = 250;
/** Entries that come after the lies, each anchored at the one before: more than the lies add. */
const LATER = 8;
/** Of an honest session, in the words of a server. */
const SESSION = { token: "good", expires: 1_700_000_900_000 };

const below = (draw: Draw, n: number): number => Math.floor(draw() * n);
const pick = <T>(draw: Draw, list: readonly T[]): T => list[below(draw, list.length)] as T;
const json = (value: object, status = 200): Answer => ({
  status,
  headers: { ...MARKED, "content-type": status < 300 ? "application/json" : "application/problem+json" },
  body: new TextEncoder().encode(JSON.stringify(value)),
});

class History {
  readonly seed: number;
  readonly kit: Kit;
  /** Where it last read the truth, with an edit of its own to send. */
  readonly #reader: Device;
  readonly #witness: Device;
  readonly #notes: ReadonlySet<string>;
  readonly #digestByHash = new Map<string, bigint>();
  readonly #foreign: readonly Uint8Array[];
  readonly #entries: readonly PageEntry[];
  /** What stands on the server now. */
  #log: PageEntry[] = [];
  #lies = 0;
  #answer: (asked: Asked) => Answer = () => json({});

  private constructor(
    seed: number,
    kit: Kit,
    reader: Device,
    witness: Device,
    foreign: readonly Uint8Array[],
  ) {
    this.seed = seed;
    this.kit = kit;
    this.#reader = reader;
    this.#witness = witness;
    this.#notes = new Set([...kit.notes(witness), "reader"]);
    this.#foreign = foreign;
    this.#entries = kit.entries as readonly PageEntry[];
    this.#log = [...this.#entries];
  }

  static async of(seed: number): Promise<History> {
    const draw = draws(seed);
    let history: History | undefined;
    const fetch = async (url: string, init: FetchInit): Promise<Response> => {
      const path = url.slice(ORIGIN.length);
      const { status, headers, body } = (history as History).#answer({ path, init });
      return new Response(status === 204 ? null : (body as Uint8Array<ArrayBuffer>), { status, headers });
    };
    const kit = fastKit(seed, {
      door: ({ name, vault, keys, person }) => {
        if (name !== "reader") return {};
        const identity = { person, device: keys, signSecret: keys.signSecret, certificates: [keys.sign] };
        const { suite, clock, time: scheduler } = kit;
        return createServerRemote({ url: ORIGIN, vault, suite, clock, scheduler, fetch, identity });
      },
    });
    const others = [await kit.found("a"), await kit.join("b"), await kit.join("c")];
    const { store, keys, localKey, replica, engine } = await kit.join("joining");
    engine.pause();
    for (let i = 0; i < 6; i++) {
      const device = pick(draw, others);
      const frames = 1 + below(draw, 2);
      kit.write(device, ...Array.from({ length: frames }, (_, n) => `${device.name}:${i}.${n}`));
      await kit.sync(device);
    }
    await kit.converge(...others);
    for (let i = 0; i < LATER; i++) {
      const device = others[i % 3] as Device;
      kit.write(device, `${device.name}:later${i}`);
      await kit.converge(...others);
    }
    for (const device of others) device.engine.pause();
    const reader = kit.open("reader", replica.genesis, keys, { store, localKey });
    kit.write(reader, "reader");
    const other = fastKit(seed + 1_000_000);
    const stranger = await other.found();
    other.write(stranger, "foreign");
    await other.sync(stranger);
    const foreign = other.entries.map((entry) => entry.frame as Uint8Array);
    history = new History(seed, kit, reader, others[0] as Device, foreign);
    history.#learn();
    return history;
  }

  /** What each prefix of the truth leads to. */
  #learn(): void {
    const { replica } = this.kit.clone(this.#reader);
    const read = this.#read(replica);
    const note = (): void => {
      const { applied } = replica.cursor();
      const hash = this.kit.link({ ...this.#reader, replica }, applied).hash;
      this.#digestByHash.set(toHex(hash), replica.digest());
    };
    note();
    while (replica.apply(1, undefined).applied > 0) note();
    expect(this.#digestByHash.size).toBe(read + 1);
  }

  /** As the server answers. */
  #honest({ path, init }: Asked, size = 256): Answer {
    if (path === "/v1/auth/challenge")
      return json({ challenge: toBase64Url(new Uint8Array(32).fill(7)), aud: ORIGIN });
    if (path === "/v1/auth/token") return json(SESSION);
    const { authorization } = init.headers as Record<string, string>;
    if (authorization !== `Bearer ${SESSION.token}`) return json({ code: "login", why: "who is it" }, 401);
    if (init.method === "POST") return this.#place(parseFrameList(init.body as Uint8Array) ?? []);
    const after = Number(/after=(\d+)/.exec(path)?.[1]);
    return this.#list(after, this.#log.slice(after), size);
  }

  #list(after: number, entries: readonly PageEntry[], size: number): Answer {
    const items: Uint8Array[] = [];
    for (let at = 0; at < entries.length; at += size) {
      const page = { first: after + at + 1, prev: null, entries: entries.slice(at, at + size) };
      items.push(encodePageItem(encodePage(page)));
    }
    const headers = {
      ...MARKED,
      "content-type": "application/vnd.tidelock",
      "tidelock-head": String(after + entries.length),
    };
    return { status: items.length === 0 ? 204 : 200, headers, body: concat(...items) };
  }

  #place(frames: readonly Uint8Array[]): Answer {
    const first = this.#log.length + 1;
    const time = this.kit.time.now();
    for (const frame of frames) this.#log.push({ time, frame: new Uint8Array(frame) });
    return json({ first, time: this.kit.time.now(), head: { seq: first }, again: false });
  }

  /** Of somebody who was never lied to, over what stands there now. */
  #truth(): bigint {
    const { replica } = this.kit.clone(this.#witness);
    this.#read(replica);
    replica.apply(1e9, undefined);
    return replica.digest();
  }

  #read(replica: Device["replica"]): number {
    const after = replica.cursor().read;
    const entries = this.#log.slice(after);
    if (entries.length === 0) return 0;
    const page = { kind: "page" as const, first: after + 1, prev: null, entries, hash: new Uint8Array(32) };
    replica.ingest(after, { objects: [page], head: after + entries.length });
    return entries.length;
  }

  /** How many answers were changed since it was last asked. */
  takeLies(): number {
    const told = this.#lies;
    this.#lies = 0;
    return told;
  }

  /** One reader is lied to, and then told the truth. Answers what it made of the lies. */
  async mutant(seed: number): Promise<string> {
    const draw = draws(seed);
    const { kit } = this;
    this.#log = this.#entries.slice(0, -LATER);
    const device = kit.clone(this.#reader);
    const lie = pick(draw, lies);
    const what = `seed ${seed}, ${lie.name}`;
    const size = 1 + below(draw, 4);
    const changed = (answer: Answer): Answer => {
      this.#lies++;
      return lie.answer(answer, draw);
    };
    this.#answer = (asked) => {
      // Nothing of the reader's is placed while it may stand on a lie.
      if (asked.path.includes("/frames") && asked.init.method === "POST")
        return changed(json({ first: this.#log.length + 1, time: 1, again: false }));
      const isRead = asked.path.includes("/frames");
      if (isRead && lie.entries !== undefined && draw() < 0.8) {
        const after = Number(/after=(\d+)/.exec(asked.path)?.[1]);
        const entries = this.#log.slice(after);
        if (entries.length > 0) lie.entries(entries, below(draw, entries.length), draw, this.#foreign);
        this.#lies++;
        return this.#list(after, entries, size);
      }
      const honest = this.#honest(asked, size);
      return draw() < (isRead ? 0.8 : 0.1) ? changed(honest) : honest;
    };
    const looks = 1 + below(draw, 3);
    let outcome = "";
    for (let i = 0; i < looks; i++) {
      const result = await kit.sync(device);
      outcome = result.kind === "live" ? "live" : result.why === "unsigned" ? "waits" : result.code;
      if (result.kind !== "live") expect(Object.keys(errorKinds), what).toContain(result.code);
      this.#check(device, `${what}: ${outcome}`);
    }
    // What it was promised, only a new process forgets.
    device.engine.sync?.dispatch("stop");
    this.#log = [...this.#entries];
    this.#answer = (asked) => this.#honest(asked);
    const again = kit.clone(device);
    expect(await kit.sync(again), `${what}: ${outcome}`).toMatchObject({ kind: "live" });
    this.#check(again, `${what}: ${outcome}, then the truth`);
    expect(again.replica.digest(), what).toBe(this.#truth());
    expect(again.replica.waiting(), what).toEqual({ pending: 0, parked: 0 });
    again.engine.sync?.dispatch("stop");
    return outcome;
  }

  #check(device: Device, what: string): void {
    const { kit } = this;
    const notes = kit.notes(device);
    expect(new Set(notes).size, `${what}: twice`).toBe(notes.length);
    for (const note of notes) expect(this.#notes.has(note), `${what}: forged ${note}`).toBe(true);
    const edits = [...notes, ...kit.heldNotes(device)].filter((note) => note === "reader");
    expect(edits, `${what}: its own edit`).toHaveLength(1);
    const { applied } = device.replica.cursor();
    const expected = this.#digestByHash.get(toHex(kit.link(device, applied).hash));
    if (expected !== undefined)
      expect(device.replica.digest(), `${what}: same prefix, another state`).toBe(expected);
  }
}

interface Lie {
  readonly name: string;
  readonly answer: (answer: Answer, draw: Draw) => Answer;
  readonly entries?: (entries: PageEntry[], at: number, draw: Draw, foreign: readonly Uint8Array[]) => void;
}

const bytes =
  (change: (body: Uint8Array, at: number, draw: Draw) => Uint8Array) =>
  (answer: Answer, draw: Draw): Answer => {
    if (answer.body.length === 0) return answer;
    return { ...answer, body: change(answer.body, below(draw, answer.body.length), draw) };
  };
const flip = (body: Uint8Array, at: number, draw: Draw): Uint8Array =>
  body.with(at, (body[at] as number) ^ (1 << below(draw, 8))) as Uint8Array;
const header =
  (name: string, values: readonly string[]) =>
  (answer: Answer, draw: Draw): Answer => ({
    ...answer,
    headers: { ...answer.headers, [name]: pick(draw, values) },
  });
/** Other answers only now and then: most reads must come to the entries. */
const onReads = (name: string, entries: NonNullable<Lie["entries"]>): Lie => ({
  name,
  entries,
  answer: bytes(flip),
});
const at = (entries: readonly PageEntry[], i: number): PageEntry => entries[i] as PageEntry;

const lies: readonly Lie[] = [
  { name: "a bit", answer: bytes(flip) },
  { name: "a byte", answer: bytes((body, i, draw) => body.with(i, below(draw, 256)) as Uint8Array) },
  { name: "cut", answer: bytes((body, i) => body.slice(0, i)) },
  { name: "longer", answer: bytes((body, i) => concat(body, body.slice(i))) },
  { name: "a part twice", answer: bytes((body, i) => concat(body.slice(0, i), body)) },
  {
    name: "a part gone",
    answer: bytes((body, i, draw) => concat(body.slice(0, i), body.slice(i + below(draw, 99)))),
  },
  { name: "noise", answer: bytes((body, _, draw) => body.map(() => below(draw, 256))) },
  { name: "nothing", answer: (answer) => ({ ...answer, body: new Uint8Array(0) }) },
  {
    name: "status",
    answer: (answer, draw) => ({
      ...answer,
      status: pick(draw, [200, 201, 202, 206, 400, 401, 403, 404, 412, 422, 429, 500, 503]),
    }),
  },
  { name: "head", answer: header("tidelock-head", ["", "-1", "0", "1", "3", "999999999999", "1e9", "x"]) },
  { name: "time", answer: header("tidelock-time", ["", "0", "-5", "999999999999999", "x"]) },
  { name: "type", answer: header("content-type", ["text/html", "application/problem+json", ""]) },
  { name: "no mark", answer: (answer) => ({ ...answer, headers: { "tidelock-head": "99" } }) },
  onReads("entry left out", (entries, i) => void entries.splice(i, 1)),
  onReads("entry twice", (entries, i) => void entries.splice(i, 0, at(entries, i))),
  onReads("entry again later", (entries, i) => void entries.push(at(entries, i))),
  onReads("entries swapped", (entries, i) => {
    if (i > 0) entries.splice(i - 1, 2, at(entries, i), at(entries, i - 1));
  }),
  onReads("cut between entries", (entries, i) => void entries.splice(i)),
  onReads("retimed", (entries, i, draw) => {
    entries[i] = {
      ...at(entries, i),
      time: pick(draw, [0, 5, 2 ** 47, 2 ** 48 - 1, at(entries, i).time + 1]),
    };
  }),
  onReads("foreign entry", (entries, i, draw, foreign) => {
    entries.splice(i, 0, { time: 5, frame: pick(draw, foreign) });
  }),
  onReads("frame changed", (entries, i, draw) => {
    const { time, frame } = at(entries, i);
    entries[i] = { time, frame: flip(frame, below(draw, frame.length), draw) };
  }),
  onReads("frame cut", (entries, i, draw) => {
    const { time, frame } = at(entries, i);
    entries[i] = { time, frame: frame.slice(0, 1 + below(draw, frame.length - 1)) };
  }),
  onReads("frames spliced", (entries, i, draw) => {
    const other = at(entries, below(draw, entries.length)).frame;
    const { time, frame } = at(entries, i);
    const where = 1 + below(draw, Math.min(frame.length, other.length) - 1);
    entries[i] = { time, frame: concat(frame.slice(0, where), other.slice(where)) };
  }),
];

test("[LOG11, LOG13, SRV72, SRV73] no change of a server's answers gets anything forged applied, loses an edit, or outlasts the truth", {
  timeout: 300_000 * seeds(1).length,
}, async () => {
  const outcomes = new Set<string>();
  const all = seeds(READERS);
  let told = 0;
  let history: History | undefined;
  for (const seed of all) {
    const of = seed - ((seed - 1) % PER_HISTORY);
    if (history?.seed !== of) history = await History.of(of);
    outcomes.add(await history.mutant(seed));
    told += history.takeLies();
  }
  if (all.length === 1) return;
  expect([...outcomes]).toEqual(
    expect.arrayContaining(["fork", "waits", "rollback", "chain-broken", "remote-corrupt", "unreachable"]),
  );
  expect(told).toBeGreaterThan(4 * all.length);
});
