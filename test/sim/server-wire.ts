/** The way between a device and the server: every request and every answer can be late, cut, doubled or lost. */
import type { Fetch, FetchInit } from "@tidelock/remotes/transport";
import type { Call } from "@tidelock/server/http/call";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import { latency } from "@tidelock/testkit/world/network";
import type { Life, SimNode } from "@tidelock/testkit/world/node";
import { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";
import type { Exchange } from "./server-boot.ts";
import type { ServerMachine } from "./server-machine.ts";

const CALL: readonly FaultKind[] = [
  "reset",
  "drop",
  "lost-reply",
  "half-open",
  "duplicate",
  "slow",
  "busy",
  "corrupt",
];
/** When a client gives up on an answer (`createTransport`). */
const PATIENCE = 60_000;

/** `fetch` of one boot of a device. */
export function fetchOver(world: World, machine: ServerMachine, node: SimNode, life: Life): Fetch {
  const random = new Stream(world.seed, `wire:${node.name}`);
  return (url, init) =>
    new Promise((resolve, reject) => {
      life.check();
      new Attempt({ world, machine, node, life, random }, url, init, resolve, reject).run();
    });
}

interface Way {
  readonly world: World;
  readonly machine: ServerMachine;
  readonly node: SimNode;
  readonly life: Life;
  readonly random: Stream;
}

class Attempt {
  readonly #way: Way;
  readonly #url: string;
  readonly #init: FetchInit;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: Error) => void;
  /** The answer that is being received. */
  #body: Body | undefined;
  #over = false;

  constructor(
    way: Way,
    url: string,
    init: FetchInit,
    resolve: (response: Response) => void,
    reject: (error: Error) => void,
  ) {
    this.#way = way;
    this.#url = url;
    this.#init = init;
    this.#resolve = resolve;
    this.#reject = reject;
    init.signal?.addEventListener("abort", () => this.#fail("ABORT_ERR"));
  }

  run(): void {
    const { world, node, random } = this.#way;
    const { timeline } = world;
    const decision = world.decide(world.site(`${node.name}/http`, CALL));
    const ms = decision?.ms ?? 0;
    const request = latency(world, node);
    if (node.cutOffUntil > timeline.now) {
      if (node.oneWay) this.#send(request, "unheard");
      if (random.chance(0.5)) this.#failIn(Math.min(30_000, node.cutOffUntil - timeline.now), "ETIMEDOUT");
      else this.#hang();
      return;
    }
    switch (decision?.fault) {
      case "reset":
        if (random.chance(0.5)) this.#failIn(1, "ECONNREFUSED");
        else this.#send(request, "cut");
        break;
      case "drop":
        this.#failIn(ms, "ETIMEDOUT");
        break;
      case "lost-reply":
        this.#send(request, "unheard");
        this.#failIn(ms, "ECONNRESET");
        break;
      case "half-open":
        this.#send(request, "unheard");
        this.#hang();
        break;
      case "duplicate":
        // By a proxy that lost patience: the first answer counts.
        this.#send(request, "heard");
        this.#send(request + ms, "heard");
        break;
      case "slow":
        world.hangsUntil = Math.max(world.hangsUntil, timeline.now + Math.max(ms, PATIENCE));
        this.#send(ms, "heard");
        break;
      case "busy":
        this.#answer(request, random.chance(0.5) ? busy(ms) : text(503, "later"));
        break;
      case "corrupt":
        if (random.chance(0.5)) this.#answer(request, text(200, "<html>"));
        else this.#send(request, "half");
        break;
      case undefined:
      // Not drawn here.
      case "kill":
      case "power-cut":
      case "disk-full":
      case "no-hint":
      case "server-down":
        this.#send(request, "heard");
    }
  }

  #hang(): void {
    const { world } = this.#way;
    world.hangsUntil = Math.max(world.hangsUntil, world.timeline.now + PATIENCE);
  }

  #failIn(ms: number, code: string): void {
    const { world, node, life } = this.#way;
    world.hangsUntil = Math.max(world.hangsUntil, world.timeline.now + ms);
    node.deliver(life, ms, () => this.#fail(code));
  }

  #fail(code: string): void {
    if (this.#over) return;
    this.#over = true;
    const error = Object.assign(new TypeError("fetch failed"), { cause: { code } });
    if (this.#body === undefined) this.#reject(error);
    else this.#body.fail(error);
  }

  /** `cut`: only half of the request arrives; `half`: only half of the answer does. */
  #send(ms: number, how: "heard" | "unheard" | "cut" | "half"): void {
    const { world, machine, node, life } = this.#way;
    // Once sent, a request arrives even if its sender is gone by then.
    world.timeline.after(ms, () => {
      const arrived = (work: () => void): void => {
        if (how !== "unheard") node.deliver(life, latency(world, node), work);
      };
      machine.accept(
        callOf(this.#url, this.#init, node, how === "cut", (t, work) => world.timeline.after(t, work)),
        this.#exchange(arrived, how === "half"),
      );
      if (how === "cut") this.#failIn(latency(world, node), "ECONNRESET");
    });
  }

  #exchange(arrived: (work: () => void) => void, half: boolean): Exchange {
    let body: Body | undefined;
    const queue = inOrder(arrived);
    return {
      refused: () => queue(() => this.#fail("ECONNREFUSED")),
      head: (status, headers) =>
        queue(() => {
          if (this.#over || this.#body !== undefined) return;
          body = new Body();
          this.#body = body;
          this.#resolve(responseOf(status, headers, body));
        }),
      part: (bytes) => {
        const copy = half ? bytes.slice(0, bytes.length >> 1) : bytes.slice();
        queue(() => {
          body?.push(copy);
          if (half && body !== undefined) this.#fail("ECONNRESET");
        });
      },
      end: () =>
        queue(() => {
          if (body === undefined || this.#over) return;
          this.#over = true;
          body.end();
        }),
      lost: (silent) => {
        if (silent) this.#hang();
        else
          queue(() => {
            if (body === this.#body) this.#fail("ECONNRESET");
          });
      },
    };
  }

  #answer(ms: number, { status, headers, bytes }: Canned): void {
    const { node, life } = this.#way;
    node.deliver(life, ms, () => {
      this.#over = true;
      const body = new Body();
      this.#resolve(responseOf(status, headers, body));
      body.push(bytes);
      body.end();
    });
  }
}

/** One after the other, as a connection delivers, though each takes its own time. */
function inOrder(arrived: (work: () => void) => void): (work: () => void) => void {
  const waiting: (() => void)[] = [];
  return (work) => {
    waiting.push(work);
    arrived(() => waiting.shift()?.());
  };
}

interface Canned {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

const utf8 = new TextEncoder();

function text(status: number, words: string): Canned {
  return { status, headers: { "content-type": "text/html" }, bytes: utf8.encode(words) };
}

/** As the server itself says it. */
function busy(retryAfterMs: number): Canned {
  const bytes = utf8.encode(JSON.stringify({ code: "busy", why: "simulated", retryAfterMs }));
  return {
    status: 503,
    headers: { "content-type": "application/problem+json", "tidelock-proto": "1" },
    bytes,
  };
}

function callOf(
  url: string,
  init: FetchInit,
  node: SimNode,
  cut: boolean,
  after: (ms: number, work: () => void) => void,
): Call {
  const { pathname, searchParams } = new URL(url);
  const headers = init.headers as Record<string, string>;
  const sent = init.body as Uint8Array | undefined;
  const length = sent === undefined ? {} : { "content-length": String(sent.length) };
  const all: Record<string, string | undefined> = { ...headers, ...length };
  return {
    method: init.method ?? "GET",
    path: pathname,
    query: searchParams,
    header: (name) => all[name],
    body: sent === undefined ? undefined : arriving(sent.slice(), cut, after),
    address: node.name,
  };
}

/** In two pieces: what was allowed when it began may not be when it ends. */
async function* arriving(
  bytes: Uint8Array,
  cut: boolean,
  after: (ms: number, work: () => void) => void,
): AsyncGenerator<Uint8Array> {
  const half = bytes.length >> 1;
  yield bytes.subarray(0, half);
  await new Promise<void>((resolve) => after(1, resolve));
  if (cut) throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  yield bytes.subarray(half);
}

/** What `fetch` hands out, as far as it is used. */
function responseOf(status: number, headers: Readonly<Record<string, string>>, body: Body): Response {
  return {
    status,
    headers: { get: (name: string) => headers[name] ?? null },
    body: { getReader: () => body },
  } as unknown as Response;
}

type Read = { readonly done: boolean; readonly value: Uint8Array | undefined };

class Body {
  readonly #parts: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  async read(): Promise<Read> {
    for (;;) {
      const value = this.#parts.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async cancel(): Promise<void> {}

  push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(error: Error): void {
    this.#error = error;
    this.#wake();
  }
}
