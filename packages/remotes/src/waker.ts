/** Hints over a WebSocket. They may be lost, so nothing here is retried for its own sake: it only reconnects. */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Scheduler } from "@tidelock/core/ports";
import type { Sessions } from "./session.ts";

/** The part of a WebSocket that is used: the browser's own, or `ws` on Node.js. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export type OpenSocket = (url: string) => Socket;

const RETRY = { base: 1_000, cap: 60_000 };
/** From the call to the server's first word. */
const PATIENCE = 30_000;
/** A little before the server would end it. */
const RENEW = 10 * 60_000;

export class Waker {
  readonly #open: OpenSocket;
  readonly #url: string;
  readonly #vault: string;
  readonly #sessions: Sessions;
  readonly #scheduler: Scheduler;
  readonly #suite: Suite;
  readonly #hints = new Set<(seq?: number) => void>();
  #socket: Socket | undefined;
  #cancel: (() => void) | undefined;
  #attempts = 0;
  #connecting = false;
  /** The server has said that it will tell of this vault. */
  #told = false;

  constructor(
    open: OpenSocket,
    origin: string,
    vault: string,
    sessions: Sessions,
    scheduler: Scheduler,
    suite: Suite,
  ) {
    this.#open = open;
    this.#url = `${origin.replace(/^http/, "ws")}/v1/wake`;
    this.#vault = vault;
    this.#sessions = sessions;
    this.#scheduler = scheduler;
    this.#suite = suite;
  }

  get awake(): boolean {
    return this.#told;
  }

  add(hint: (seq?: number) => void): () => void {
    this.#hints.add(hint);
    if (this.#socket === undefined && this.#cancel === undefined) this.#connect();
    return () => {
      this.#hints.delete(hint);
      if (this.#hints.size === 0) this.close();
    };
  }

  close(): void {
    this.#hints.clear();
    this.#cancel?.();
    this.#cancel = undefined;
    this.#drop()?.close();
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    void this.#sessions.token().then((token) => {
      this.#connecting = false;
      if (this.#hints.size === 0) return;
      if (typeof token === "string") this.#start(token);
      else this.#retry();
    });
  }

  #start(token: string): void {
    let socket: Socket;
    try {
      socket = this.#open(this.#url);
    } catch {
      // A browser refuses some addresses from some pages: without hints there is still the poll.
      this.#retry();
      return;
    }
    this.#socket = socket;
    // Who takes the call and never says a word is as good as gone.
    this.#cancel?.();
    this.#cancel = this.#scheduler.after(PATIENCE, () => {
      this.#drop()?.close();
      this.#retry();
    });
    socket.onopen = () => socket.send(JSON.stringify({ t: "auth", token, subs: [this.#vault] }));
    // What still arrives after a close must not begin anything.
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (this.#socket === socket) this.#take(event.data);
    };
    socket.onerror = () => undefined; // its close follows
    socket.onclose = (event: { readonly code: number }) => {
      if (this.#socket !== socket) return;
      const told = this.#told;
      this.#drop();
      // Polls were rare as long as it told: now only a look shows whether the server is there.
      if (told) for (const hint of this.#hints) hint();
      if (event.code === 4401) this.#sessions.drop(token);
      this.#retry();
    };
  }

  #take(data: unknown): void {
    const message = objectOf(data);
    const said = message?.["t"];
    // What is gone is found by looking, as is what came while nobody listened.
    let seq: number | undefined;
    if (said === "ok") {
      this.#attempts = 0;
      this.#cancel?.();
      this.#cancel = this.#scheduler.after(RENEW, () => this.#renew());
      const heads = message?.["heads"];
      seq = seqOf(typeof heads === "object" && heads !== null ? Object.entries(heads) : [], this.#vault);
      this.#told = seq !== undefined;
    } else if (said === "wake") seq = seqOf([[message?.["v"], message?.["seq"]]], this.#vault);
    else if (said === "gone") this.#told = false;
    else return;
    for (const hint of this.#hints) hint(seq);
  }

  #renew(): void {
    this.#cancel = undefined;
    this.#drop()?.close();
    this.#connect();
  }

  #retry(): void {
    this.#cancel?.();
    const ceiling = Math.min(RETRY.cap, RETRY.base * 2 ** Math.min(this.#attempts++, 10));
    const [a = 0] = this.#suite.random(1);
    this.#cancel = this.#scheduler.after(1 + (a / 256) * ceiling, () => {
      this.#cancel = undefined;
      this.#connect();
    });
  }

  #drop(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#told = false;
    return socket;
  }
}

function objectOf(data: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(String(data));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The head that is told of a vault, if it is a seq. */
function seqOf(heads: readonly (readonly [unknown, unknown])[], vault: string): number | undefined {
  const seq = heads.find(([name]) => name === vault)?.[1];
  return typeof seq === "number" && Number.isSafeInteger(seq) && seq >= 0 ? seq : undefined;
}
