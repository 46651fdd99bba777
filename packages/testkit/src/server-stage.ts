/**
 * The server without a host, over a real database and real files, in a time of its own: thousands of
 * requests a second, and a state that can be looked at and put back between any two of them.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat } from "@tidelock/core/bytes/bytes";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock } from "@tidelock/core/ports";
import { createJwtSigner, newTokenKey, type TokenKeys } from "@tidelock/server/auth/jwt";
import { createTokens } from "@tidelock/server/auth/token";
import { openDiskBlobs } from "@tidelock/server/blobs/disk";
import { random } from "@tidelock/server/host/files";
import type { Answer, Call } from "@tidelock/server/http/call";
import type { Rate } from "@tidelock/server/http/rates";
import { createTidelockServer, type TidelockServer } from "@tidelock/server/server";
import { type Db, openReader } from "@tidelock/server/sqlite/file";
import { openSqliteStore } from "@tidelock/server/sqlite/store";
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

export class ServerStage {
  readonly suite: Suite;
  readonly keys: TokenKeys;
  readonly time: Time = new Time();
  readonly #root: string = mkdtempSync(join(tmpdir(), "tidelock-stage-"));
  #server: TidelockServer | undefined;
  #reader: Db | undefined;
  #saved: { readonly mono: number; readonly digest: string; readonly files: string } | undefined;
  #version: unknown;
  readonly events: string[] = [];

  private constructor(suite: Suite, keys: TokenKeys) {
    this.suite = suite;
    this.keys = keys;
  }

  static async open(): Promise<ServerStage> {
    const stage = new ServerStage(await createPortableSuite(), { keys: [await newTokenKey(0, random)] });
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

  async #up(): Promise<void> {
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
      signer: await createJwtSigner(this.keys, STAGE_ADDRESS, this.clock),
      audience: STAGE_ADDRESS,
      registration: "token",
      operatorToken: OPERATOR,
      rates: {
        challenge: plenty,
        "sign-in": plenty,
        append: plenty,
        write: plenty,
        read: plenty,
        reserve: plenty,
        slot: plenty,
        operator: plenty,
      },
    });
    this.#reader = openReader(path);
    this.#version = this.#reader.pragma("data_version", { simple: true });
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
    this.#saved = { mono: this.time.mono, digest: this.digest(), files: this.#files().join() };
    await this.#down();
    cpSync(join(this.#root, "now"), join(this.#root, "saved"), { recursive: true });
    await this.#up();
  }

  async restore(): Promise<void> {
    await this.#down();
    rmSync(join(this.#root, "now"), { recursive: true, force: true });
    cpSync(join(this.#root, "saved"), join(this.#root, "now"), { recursive: true });
    this.time.mono = this.#saved?.mono ?? 0;
    await this.#up();
  }

  /** Whether everything is as it was saved. */
  isSaved(): boolean {
    // Nothing was committed by anybody, and nothing put beside the database: no need to read it all.
    const version = (this.#reader as Db).pragma("data_version", { simple: true });
    if (version === this.#version && this.#files().join() === this.#saved?.files) return true;
    const same = this.digest() === this.#saved?.digest;
    if (same) this.#version = version;
    return same;
  }

  /** Every row of every table, and every file. */
  digest(): string {
    const db = this.#reader as Db;
    const hash = createHash("sha256");
    const tables = db
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .pluck()
      .all();
    for (const name of tables) {
      hash.update(`${String(name)}\n`);
      for (const row of db
        .prepare(`SELECT * FROM ${String(name)}`)
        .raw()
        .iterate() as Iterable<unknown[]>)
        for (const cell of row)
          hash.update(cell instanceof Uint8Array ? cell : `${typeof cell} ${String(cell)};`);
    }
    for (const file of this.#files()) hash.update(`${file}\n`);
    return hash.digest("hex");
  }

  #files(): readonly string[] {
    return (readdirSync(join(this.#root, "now", "blobs"), { recursive: true }) as string[]).sort();
  }

  async ask(request: StageRequest): Promise<StageAnswer> {
    return collected(await this.server.handler(callOf(request)));
  }

  /** A session of this server, or of another one with its keys. */
  async session(
    device: TestDevice,
    over: { readonly age?: number; readonly keys?: TokenKeys; readonly audience?: string } = {},
  ): Promise<string> {
    const at = this.time.now() - (over.age ?? 0);
    const clock = { now: () => at, mono: () => 0 };
    const { keys = this.keys, audience = STAGE_ADDRESS } = over;
    const tokens = createTokens(await createJwtSigner(keys, audience, clock), clock);
    return (await tokens.issue(device.id, device.person.id)).token;
  }
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
