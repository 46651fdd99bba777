/**
 * The server without a host, over a real database and real files, in a time of its own: thousands of
 * requests a second, and a state that can be looked at and put back between any two of them.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { concat } from "@tidelock/core/bytes/bytes";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock } from "@tidelock/core/ports";
import { createJwtSigner, type TokenKeys } from "@tidelock/server/auth/jwt";
import { createTokens } from "@tidelock/server/auth/token";
import { openDiskBlobs } from "@tidelock/server/blobs/disk";
import type { Answer, Call } from "@tidelock/server/http/call";
import { operatorHash } from "@tidelock/server/http/operator";
import type { Rate } from "@tidelock/server/http/rates";
import { createTidelockServer, type TidelockServer } from "@tidelock/server/server";
import { type Db, openReader } from "@tidelock/server/sqlite/file";
import { openSqliteStore } from "@tidelock/server/sqlite/store";
import { draws } from "./suites/seeds.ts";
import { Time } from "./vault-kit.ts";
import type { TestDevice } from "./vault-people.ts";

export interface StageRequest {
  readonly method: string;
  /** As it would be sent, with its query. */
  readonly path: string;
  readonly token?: string | undefined;
  /** Lower case. They win over what is derived. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly bytes?: Uint8Array | undefined;
  /** In place of `bytes`. */
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
}

export interface StageAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  /** Of a problem. */
  readonly code: string | undefined;
}

const plenty: Rate = { perMinute: 1e9, burst: 1e9, of: "device" };

/** Of whoever runs it. */
export const OPERATOR = "the-operator-of-this-stage-0123456789";
/** Where everybody finds it. */
export const STAGE_ADDRESS = "https://sync.example";

/** The same in every run, so that a seed says all: sealed envelopes alone draw for themselves. */
const SEED = 7;

export class ServerStage {
  readonly suite: Suite;
  readonly time: Time = new Time();
  readonly events: string[] = [];
  readonly #root: string = mkdtempSync(join(tmpdir(), "tidelock-stage-"));
  #draw: () => number = draws(SEED);
  #server: TidelockServer | undefined;
  #reader: Db | undefined;
  #savedAt = 0;
  #saved: ReadonlyMap<string, string> = new Map();
  #marked: ReadonlyMap<string, string> = new Map();
  #markedVersion: unknown;

  private constructor(suite: Suite) {
    this.suite = { ...suite, random: (n) => this.#random(n) };
  }

  static async open(): Promise<ServerStage> {
    const stage = new ServerStage(await createPortableSuite());
    await stage.#up();
    return stage;
  }

  get server(): TidelockServer {
    if (this.#server === undefined) throw new Error("the stage is closed");
    return this.#server;
  }

  get clock(): Clock {
    return { now: () => this.time.now(), mono: () => this.time.mono };
  }

  #random(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => Math.floor(this.#draw() * 256));
  }

  async #up(): Promise<void> {
    const random = (n: number): Uint8Array => this.#random(n);
    const path = join(this.#root, "now", "server.db");
    const blobs = await openDiskBlobs(join(this.#root, "now", "blobs"), random);
    const store = await openSqliteStore(path, { writer: "inline" });
    this.#server = createTidelockServer({
      store,
      blobs,
      suite: this.suite,
      clock: this.clock,
      scheduler: this.time,
      random,
      log: { event: (event: string) => void this.events.push(event) },
      signer: await createJwtSigner(tokenKeys(this.suite, 0), STAGE_ADDRESS, this.clock),
      audience: STAGE_ADDRESS,
      registration: "token",
      operator: operatorHash(this.suite, OPERATOR),
      rates: {
        challenge: plenty,
        "sign-in": plenty,
        append: plenty,
        write: plenty,
        read: plenty,
        reserve: plenty,
        slot: plenty,
        operator: plenty,
        vault: plenty,
      },
    });
    this.#reader = openReader(path);
  }

  async #down(): Promise<void> {
    await this.#server?.close();
    await this.#server?.services.store.close();
    this.#reader?.close();
    this.#server = undefined;
    this.#reader = undefined;
  }

  async dispose(): Promise<void> {
    await this.#down();
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** What `restore` brings back. */
  async save(): Promise<void> {
    await this.#down();
    cpSync(join(this.#root, "now"), join(this.#root, "saved"), { recursive: true });
    this.#savedAt = this.time.mono;
    await this.#up();
    this.#saved = this.#look();
    this.mark(this.#saved);
  }

  async restore(): Promise<void> {
    await this.#down();
    rmSync(join(this.#root, "now"), { recursive: true, force: true });
    cpSync(join(this.#root, "saved"), join(this.#root, "now"), { recursive: true });
    this.time.mono = this.#savedAt;
    this.#draw = draws(SEED + 1);
    await this.#up();
    this.mark(this.#saved);
  }

  /** From here on `changed` counts. */
  mark(state: ReadonlyMap<string, string> = this.#look()): void {
    this.#marked = state;
    this.#markedVersion = this.#version();
  }

  /** The tables that are other than they were, and `files` where the blobs are. */
  changed(): readonly string[] {
    // Nothing was committed by anybody, and nothing put beside the database: no need to read it all.
    const version = this.#version();
    if (version === this.#markedVersion && this.#files() === this.#marked.get("files")) return [];
    const now = this.#look();
    const all = [...now].filter(([name, digest]) => this.#marked.get(name) !== digest);
    if (all.length === 0) this.#markedVersion = version;
    return all.map(([name]) => name);
  }

  #version(): unknown {
    return (this.#reader as Db).pragma("data_version", { simple: true });
  }

  /** A digest of every table, and the names of all files. */
  #look(): ReadonlyMap<string, string> {
    const db = this.#reader as Db;
    const tables = db
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
      .pluck()
      .all() as string[];
    const found = tables.map((name): [string, string] => {
      const hash = createHash("sha256");
      for (const row of db.prepare(`SELECT * FROM ${name}`).raw().iterate() as Iterable<unknown[]>)
        for (const cell of row)
          hash.update(cell instanceof Uint8Array ? cell : `${typeof cell} ${String(cell)};`);
      return [name, hash.digest("hex")];
    });
    return new Map([...found, ["files", this.#files()]]);
  }

  #files(): string {
    const names = readdirSync(join(this.#root, "now", "blobs"), { recursive: true }) as string[];
    return names.sort().join();
  }

  async ask(request: StageRequest): Promise<StageAnswer> {
    return collected(await this.server.handler(callOf(request)));
  }

  /** A session of this server, 0, or of another one. */
  async session(
    device: TestDevice,
    over: { readonly age?: number; readonly server?: number; readonly audience?: string } = {},
  ): Promise<string> {
    const at = this.time.now() - (over.age ?? 0);
    const clock = { now: () => at, mono: () => 0 };
    const keys = tokenKeys(this.suite, over.server ?? 0);
    const signer = await createJwtSigner(keys, over.audience ?? STAGE_ADDRESS, clock);
    const tokens = createTokens(signer, clock);
    return (await tokens.issue(device.id, device.person.id)).token;
  }
}

/** What the server with this number signs sessions with. */
function tokenKeys(suite: Suite, server: number): TokenKeys {
  const seed = new Uint8Array(32).fill(server);
  const { publicKey } = suite.signPair(seed);
  const jwk = { kty: "OKP", crv: "Ed25519", x: toBase64Url(publicKey), d: toBase64Url(seed) };
  return { keys: [{ kid: "stage", made: 0, jwk }] };
}

function callOf({ method, path, token, headers = {}, bytes, stream }: StageRequest): Call {
  const at = path.indexOf("?");
  const all: Record<string, string> = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(bytes === undefined ? {} : { "content-length": String(bytes.length) }),
    ...headers,
  };
  return {
    method,
    path: at < 0 ? path : path.slice(0, at),
    query: new URLSearchParams(at < 0 ? "" : path.slice(at + 1)),
    header: (name) => (Object.hasOwn(all, name) ? all[name] : undefined),
    body: stream ?? (bytes === undefined ? undefined : once(bytes)),
    address: "192.0.2.1",
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function collected({ status, headers, body }: Answer): Promise<StageAnswer> {
  const parts: Uint8Array[] = [];
  if (body instanceof Uint8Array) parts.push(body);
  else for await (const part of body ?? []) parts.push(part);
  const bytes = concat(...parts);
  const isProblem = headers["content-type"] === "application/problem+json";
  const { code } = isProblem ? (JSON.parse(new TextDecoder().decode(bytes)) as { code?: unknown }) : {};
  return { status, headers, bytes, code: typeof code === "string" ? code : undefined };
}
