/**
 * One connection that waits for hints, whatever carries it. The first message signs in; the address
 * holds no token and no cookie is looked at. Rules SRV62 to SRV65.
 */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { termsOf } from "../auth/terms.ts";
import type { Session } from "../auth/token.ts";
import { standingOf } from "../log/access.ts";
import type { TidelockServer } from "../server.ts";
import type { VaultState } from "../store.ts";
import type { Listener } from "./hub.ts";

const closeCodes = {
  auth: 4401,
  access: 4403,
  slow: 4408,
  tooMany: 4429,
  restart: 1012,
} as const;

const FIRST_MESSAGE = { within: 5_000, most: 4 << 10 };
export const MESSAGE: number = 64 << 10;
const BUFFERED = 1 << 20;
const PER_DEVICE = 8;
const VAULTS = 200;
/** Messages of one connection that wait to be taken. */
const PENDING = 100;

/** The part of a socket that is used. */
export interface Wire {
  readonly isOpen: () => boolean;
  /** Bytes that were sent and are still here. */
  readonly buffered: () => number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** What the connections of one server share. */
export interface Shared {
  readonly server: TidelockServer;
  readonly all: Set<Connection>;
  readonly waitingByAddress: Map<string, number>;
}

type Message =
  | { readonly t: "auth"; readonly token: string; readonly subs: readonly string[] }
  | { readonly t: "sub" | "unsub"; readonly v: string };

export class Connection {
  readonly #wire: Wire;
  readonly #shared: Shared;
  readonly #address: string;
  readonly #subscriptions = new Map<string, () => void>();
  #session: Session | undefined;
  #listener: Listener | undefined;
  #forget: () => void = () => undefined;
  #cancelDeadline: () => void;
  /** Messages are taken one after the other. */
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #over = false;

  constructor(wire: Wire, address: string, shared: Shared) {
    this.#wire = wire;
    this.#shared = shared;
    this.#address = address;
    shared.all.add(this);
    bump(shared.waitingByAddress, address, 1);
    this.#cancelDeadline = this.#closeAfter(FIRST_MESSAGE.within, "no sign-in");
  }

  /** Bytes that the next message may have. */
  get most(): number {
    return this.#session === undefined ? FIRST_MESSAGE.most : MESSAGE;
  }

  receive(text: string): void {
    if (++this.#pending > PENDING) {
      this.#wire.close(closeCodes.tooMany, "too many");
      return;
    }
    this.#work = this.#work
      .then(() => this.#take(text))
      .catch(() => this.#wire.close(1011, "failed"))
      .finally(() => {
        this.#pending--;
      });
  }

  bye(): void {
    this.#send({ t: "bye", reason: "restart", retryMs: 1_000 });
    this.#wire.close(closeCodes.restart, "restart");
  }

  async #take(text: string): Promise<void> {
    const message = parseMessage(text);
    if (message === undefined) return this.#wire.close(1008, "not understood");
    if (message.t === "auth") return this.#signIn(message.token, message.subs);
    if (this.#session === undefined) return this.#wire.close(closeCodes.auth, "sign in first");
    if (message.t === "unsub") {
      this.#subscriptions.get(message.v)?.();
      this.#subscriptions.delete(message.v);
      return undefined;
    }
    const seq = await this.#subscribe(message.v);
    if (seq === undefined) this.#send({ t: "gone", v: message.v, code: "not-found" });
    else this.#send({ t: "wake", v: message.v, seq });
  }

  async #signIn(token: string, subs: readonly string[]): Promise<void> {
    const { tokens, store, clock } = this.#shared.server.services;
    let session: Session;
    try {
      session = await tokens.verify(token);
    } catch {
      return this.#wire.close(closeCodes.auth, "no session");
    }
    const account = await store.accountDevice(session.device);
    if (account === undefined || account.revoked !== undefined || account.closed !== undefined)
      return this.#wire.close(closeCodes.access, "signed out");
    // It may have ended meanwhile: what it takes now nobody would give back.
    if (this.#over) return;
    const before = this.#session;
    if (before !== undefined && before.deviceName !== session.deviceName)
      return this.#wire.close(closeCodes.auth, "another device");
    if (before === undefined) {
      const { hub } = this.#shared.server;
      if (hub.connectionsOf(session.deviceName) >= PER_DEVICE)
        return this.#wire.close(closeCodes.tooMany, "too many");
      this.#forget = hub.connected(session.deviceName, () =>
        this.#wire.close(closeCodes.access, "look again"),
      );
      bump(this.#shared.waitingByAddress, this.#address, -1);
    }
    this.#session = session;
    this.#cancelDeadline();
    // The session's end is the connection's, unless it signs in anew before.
    this.#cancelDeadline = this.#closeAfter(Math.max(0, session.until - clock.now()), "session ended");
    const heads: Record<string, number> = {};
    for (const v of subs) {
      const seq = await this.#subscribe(v);
      if (seq === undefined) this.#send({ t: "gone", v, code: "not-found" });
      else heads[v] = seq;
    }
    this.#send({ t: "ok", heads });
  }

  /** Subscribed before the head is read, so that nothing falls between the two. */
  async #subscribe(v: string): Promise<number | undefined> {
    const session = this.#session as Session;
    const vault = fromBase64Url(v);
    if (vault?.length !== 32 || this.#over) return undefined;
    if (this.#subscriptions.size >= VAULTS && !this.#subscriptions.has(v)) return undefined;
    const { hub, services } = this.#shared.server;
    if (!this.#subscriptions.has(v))
      this.#subscriptions.set(v, hub.subscribe(vault, this.#asListener(session)));
    const state = await services.store.state({
      vault,
      devices: [session.device],
      persons: [session.person],
      placed: [],
    });
    if (state !== undefined && (await this.#mayListen(session, state))) return state.row.head.seq;
    this.#subscriptions.get(v)?.();
    this.#subscriptions.delete(v);
    return undefined;
  }

  async #mayListen({ device, person }: Session, { row, devices, members }: VaultState): Promise<boolean> {
    const standing = standingOf(devices[0], members[0]);
    if (standing.kind !== "active" && standing.kind !== "joining") return false;
    if (row.deleted !== undefined) return false;
    const { store, clock } = this.#shared.server.services;
    const rows = await store.terms({ vault: row.vault, owner: row.owner, person, device });
    return termsOf(rows, clock.now()).connects;
  }

  #asListener(session: Session): Listener {
    this.#listener ??= {
      device: session.deviceName,
      person: toBase64Url(session.person),
      wake: ({ text }) => this.#sendText(text),
      gone: (vault) => {
        const v = toBase64Url(vault);
        this.#subscriptions.get(v)?.();
        this.#subscriptions.delete(v);
        this.#send({ t: "gone", v, code: "device-removed" });
      },
    };
    return this.#listener;
  }

  #closeAfter(ms: number, why: string): () => void {
    const { scheduler } = this.#shared.server.services;
    return scheduler.after(ms, () => this.#wire.close(closeCodes.auth, why));
  }

  #send(message: unknown): void {
    this.#sendText(JSON.stringify(message));
  }

  #sendText(text: string): void {
    if (!this.#wire.isOpen()) return;
    // Who does not read what little there is must not hold the server's memory.
    if (this.#wire.buffered() > BUFFERED) {
      this.#wire.close(closeCodes.slow, "too slow");
      return;
    }
    this.#wire.send(text);
  }

  /** It is closed. */
  ended(): void {
    this.#over = true;
    this.#cancelDeadline();
    const { all, waitingByAddress } = this.#shared;
    all.delete(this);
    if (this.#session === undefined) bump(waitingByAddress, this.#address, -1);
    this.#forget();
    for (const end of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
  }
}

function parseMessage(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { t, token, subs, v } = value as Record<string, unknown>;
  if ((t === "sub" || t === "unsub") && typeof v === "string" && v.length < 64) return { t, v };
  if (t !== "auth" || typeof token !== "string" || !Array.isArray(subs) || subs.length > VAULTS)
    return undefined;
  const names = subs.filter((one): one is string => typeof one === "string" && one.length < 64);
  return names.length === subs.length ? { t, token, subs: names } : undefined;
}

function bump(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next <= 0) counts.delete(key);
  else counts.set(key, next);
}
