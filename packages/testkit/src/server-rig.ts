/** A real server in a folder of its own on the loopback, and devices that sign in at it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { loginBytes } from "@tidelock/core/crypto/login";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import type { Clock, Remote, Scheduler } from "@tidelock/core/ports";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { type RunningServer, type StartOptions, startServer } from "@tidelock/server/host/start";
import { WebSocket } from "ws";
import { newDevice, newPerson, type TestDevice, type TestPerson, type TestVault } from "./vault-people.ts";

export interface RigAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** Of a JSON answer. */
  readonly body: Record<string, unknown>;
}

/** Of the rig's operator. */
export const OPERATOR = "the-operator-of-this-rig-0123456789";

const generous = { perMinute: 1e9, burst: 1e9 };

export const realClock: Clock = { now: () => Date.now(), mono: () => performance.now() };
export const realScheduler: Scheduler = {
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

export class ServerRig {
  readonly suite: Suite;
  readonly folder: string;
  readonly #options: Partial<StartOptions>;
  #running: RunningServer | undefined;
  readonly #tokens = new Map<string, string>();
  readonly #remotes: Remote[] = [];
  #port = 0;

  private constructor(suite: Suite, options: Partial<StartOptions>) {
    this.suite = suite;
    this.#options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "tidelock-server-"));
  }

  static async start(options: Partial<StartOptions> = {}): Promise<ServerRig> {
    const rig = new ServerRig(await createPortableSuite(), options);
    await rig.up();
    return rig;
  }

  get running(): RunningServer {
    if (this.#running === undefined) throw new Error("the server is down");
    return this.#running;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** On the port it had before. */
  async up(): Promise<void> {
    this.#running = await startServer({
      folder: this.folder,
      port: this.#port,
      registration: "open",
      writer: "inline",
      rates: {
        challenge: { ...generous, of: "address" },
        "sign-in": { ...generous, of: "address" },
        append: { ...generous, of: "device" },
        write: { ...generous, of: "device" },
        read: { ...generous, of: "device" },
        operator: { ...generous, of: "address" },
        vault: { ...generous, of: "vault" },
      },
      operatorToken: OPERATOR,
      ...this.#options,
    });
    this.#port = Number(new URL(this.#running.url).port);
  }

  async down(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  async dispose(): Promise<void> {
    for (const remote of this.#remotes) remote.close();
    await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }

  newDevice(person: TestPerson = newPerson(this.suite)): TestDevice {
    return newDevice(this.suite, person);
  }

  remote(vault: Uint8Array, device: TestDevice, more: { readonly wake?: boolean } = {}): Remote {
    const { person, keys, certificate } = device;
    const remote = createServerRemote({
      url: this.url,
      vault,
      suite: this.suite,
      clock: realClock,
      scheduler: realScheduler,
      fetch,
      identity: {
        person: person.keys,
        device: keys,
        signSecret: keys.signSecret,
        certificates: [certificate],
        registration: this.suite.random(16),
      },
      ...(more.wake === false ? {} : { openSocket: (url: string) => new WebSocket(url) }),
    });
    this.#remotes.push(remote);
    return remote;
  }

  /** As whoever runs the server. */
  admin(method: string, path: string, json?: unknown): Promise<RigAnswer> {
    return this.send(method, `/v1/admin${path}`, {
      token: OPERATOR,
      ...(json === undefined ? {} : { json }),
    });
  }

  async send(
    method: string,
    path: string,
    over: {
      readonly as?: TestDevice | undefined;
      readonly token?: string;
      readonly json?: unknown;
      readonly bytes?: Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<RigAnswer> {
    const token = over.token ?? (over.as === undefined ? undefined : await this.token(over.as));
    const sent = over.json === undefined ? over.bytes : JSON.stringify(over.json);
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...over.headers,
      },
      ...(sent === undefined ? {} : { body: sent as string }),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const isJson = bytes.length > 0 && (response.headers.get("content-type") ?? "").includes("json");
    const body = isJson ? (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>) : {};
    return { status: response.status, headers: response.headers, bytes, body };
  }

  /** What a device posts to sign in or to register, with a challenge drawn for it. */
  async proof(
    device: TestDevice,
    over: { readonly audience?: string; readonly challenge?: string; readonly signSecret?: Uint8Array } = {},
  ): Promise<Record<string, unknown>> {
    const drawn = await this.send("POST", "/v1/auth/challenge", { json: { device: toBase64Url(device.id) } });
    const challenge = over.challenge ?? String(drawn.body["challenge"]);
    const { keys, person, certificate, id } = device;
    const bytes = fromBase64Url(challenge) as Uint8Array;
    const signed = loginBytes(over.audience ?? new URL(this.running.url).origin, bytes, id, person.id);
    return {
      device: toBase64Url(id),
      challenge,
      certificates: [toBase64Url(certificate)],
      signature: toBase64Url(this.suite.sign(signed, over.signSecret ?? keys.signSecret)),
    };
  }

  /** A session, made once a device; the first one registers its person. */
  async token(device: TestDevice): Promise<string> {
    const key = toBase64Url(device.id);
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    const answer = await this.send("POST", "/v1/persons", { json: await this.proof(device) });
    if (answer.status !== 201) throw new Error(`no session: ${JSON.stringify(answer.body)}`);
    const token = String(answer.body["token"]);
    this.#tokens.set(key, token);
    return token;
  }

  async found(vault: TestVault): Promise<RigAnswer> {
    return this.send("POST", "/v1/vaults", { as: vault.founder, bytes: vault.genesis.bytes });
  }

  append(vault: TestVault, device: TestDevice, ...frames: readonly Uint8Array[]): Promise<RigAnswer> {
    return this.send("POST", `/v1/vaults/${toBase64Url(vault.id)}/frames`, {
      as: device,
      bytes: encodeFrameList(frames),
    });
  }
}
