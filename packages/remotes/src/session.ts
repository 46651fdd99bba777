/** Signing in at a server, by itself and again before a session ends. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import type { PublicKeys } from "@tidelock/core/crypto/identity";
import { deviceId, personId } from "@tidelock/core/crypto/identity";
import { loginBytes } from "@tidelock/core/crypto/login";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Failure } from "@tidelock/core/ports";
import { type HttpAnswer, isAnswer, jsonOf, type Transport } from "./transport.ts";

export interface ServerIdentity {
  readonly person: PublicKeys;
  readonly device: PublicKeys;
  readonly signSecret: Uint8Array;
  /** From the one that the person issued to the device's own. */
  readonly certificates: readonly Uint8Array[];
  /** Where the person may have to register: the token of whoever runs the server. */
  readonly registration?: Uint8Array;
  /** Where a session outlives this process. */
  readonly memory?: SessionMemory;
}

/** Whoever has it acts as this device until it ends: a secret. */
export interface KeptSession {
  readonly token: string;
  /** By this device's wall clock, ms since 1970. */
  readonly made: number;
  readonly ends: number;
}

/** Never throws: without it the next process signs in anew. */
export interface SessionMemory {
  read(): KeptSession | undefined;
  /** Undefined: the one that was kept is good no more. */
  write(kept: KeptSession | undefined): void;
}

interface Kept {
  readonly token: string;
  /** By our clock's own count, so that a wrong wall clock does no harm. */
  readonly until: number;
}

/** A session is renewed this long before it ends. */
const EARLY = 60_000;
/** No server gives one that is kept for longer. */
const LONGEST = 24 * 3_600_000;

export class Sessions {
  readonly #transport: Transport;
  readonly #suite: Suite;
  readonly #clock: Clock;
  readonly #me: ServerIdentity;
  #kept: Kept | undefined;
  #asking: Promise<Kept | Failure> | undefined;

  constructor(transport: Transport, suite: Suite, clock: Clock, me: ServerIdentity) {
    this.#transport = transport;
    this.#suite = suite;
    this.#clock = clock;
    this.#me = me;
  }

  async token(): Promise<string | Failure> {
    const kept = this.#lasting(this.#kept) ?? this.#lasting(this.#remembered());
    if (kept !== undefined) {
      this.#kept = kept;
      return kept.token;
    }
    // One at a time, however many calls wait for it.
    this.#asking ??= this.#signIn().finally(() => {
      this.#asking = undefined;
    });
    const result = await this.#asking;
    if ("kind" in result) return result;
    this.#kept = result;
    return result.token;
  }

  /** Whatever was kept: a person asks for a new one. */
  renew(): Promise<string | Failure> {
    this.#kept = undefined;
    this.#me.memory?.write(undefined);
    return this.token();
  }

  /** The server does not take it any more. */
  drop(token: string): void {
    if (this.#kept?.token === token) this.#kept = undefined;
    const { memory } = this.#me;
    // Another may have been kept since.
    if (memory?.read()?.token === token) memory.write(undefined);
  }

  #lasting(kept: Kept | undefined): Kept | undefined {
    return kept !== undefined && kept.until > this.#clock.mono() ? kept : undefined;
  }

  #remembered(): Kept | undefined {
    const kept = this.#me.memory?.read();
    const now = this.#clock.now();
    // A clock that was set back says nothing of its age.
    if (kept === undefined || now < kept.made) return undefined;
    return { token: kept.token, until: this.#clock.mono() + kept.ends - now };
  }

  async #signIn(): Promise<Kept | Failure> {
    const answer = await this.#prove("/v1/auth/token", {});
    const { registration } = this.#me;
    const code = isAnswer(answer) ? answer.code : undefined;
    const closed = code === "account-closed" && registration !== undefined;
    if (code !== "registration-closed" && !closed) return this.#keep(answer);
    // Also without a token: an open server takes whoever comes.
    const token = registration === undefined ? {} : { registration: toBase64Url(registration) };
    const registered = await this.#prove("/v1/persons", token);
    // That a token is missing says less than why one is wanted.
    const missing = registration === undefined && isAnswer(registered) && registered.code === "bad-request";
    // And that it is no good, less than that the account is closed.
    const still = closed && isAnswer(registered) && registered.code === "registration-closed";
    return this.#keep(missing || still ? answer : registered);
  }

  /** A challenge serves once and for a minute: who slept in between, or was answered by nobody, needs another. */
  async #prove(path: string, more: object): Promise<HttpAnswer | Failure> {
    const answer = await this.#proveOnce(path, more);
    return isAnswer(answer) && answer.code === "bad-proof" ? this.#proveOnce(path, more) : answer;
  }

  async #proveOnce(path: string, more: object): Promise<HttpAnswer | Failure> {
    const { person, device, certificates, signSecret } = this.#me;
    const id = deviceId(this.#suite, device.sign, device.box);
    const drawn = await this.#transport.send("POST", "/v1/auth/challenge", {
      json: { device: toBase64Url(id) },
    });
    if (!isAnswer(drawn) || drawn.status !== 200) return drawn;
    const { challenge: text, aud } = jsonOf(drawn) ?? {};
    const challenge = fromBase64Url(typeof text === "string" ? text : "");
    if (challenge?.length !== 32) return { kind: "corrupt", why: "the server drew no challenge" };
    // The address is ours, not what the server says it is: what is signed here serves nowhere else.
    if (aud !== this.#transport.origin)
      return { kind: "denied", why: `the server goes by another address than ${this.#transport.origin}` };
    const who = personId(this.#suite, person.sign, person.box);
    const signed = loginBytes(this.#transport.origin, challenge, id, who);
    return this.#transport.send("POST", path, {
      json: {
        device: toBase64Url(id),
        challenge: toBase64Url(challenge),
        certificates: certificates.map(toBase64Url),
        signature: toBase64Url(this.#suite.sign(signed, signSecret)),
        ...more,
      },
    });
  }

  #keep(answer: HttpAnswer | Failure): Kept | Failure {
    if (!isAnswer(answer)) return answer;
    if (answer.status !== 200 && answer.status !== 201) return this.#transport.failureOf(answer);
    const body = jsonOf(answer);
    const [token, expires] = [body?.["token"], body?.["expires"]];
    if (!isToken(token) || typeof expires !== "number" || answer.time === undefined)
      return { kind: "corrupt", why: "the server gave no session" };
    const life = Math.min(LONGEST, Math.max(0, expires - answer.time - EARLY));
    const made = this.#clock.now();
    this.#me.memory?.write({ token, made, ends: made + life });
    return { token, until: this.#clock.mono() + life };
  }
}

/** What can stand in a header and is no longer than a session of any server. */
function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\w.~+/-]{1,1024}=*$/.test(value);
}
