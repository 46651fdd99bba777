/** One process of the server that ships, from its start to its end. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { concat, decodeUtf8, encodeUtf8, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Scheduler } from "@tidelock/core/ports";
import type { TokenSigner } from "@tidelock/server/auth/token";
import type { BlobBytes } from "@tidelock/server/blobs/bytes";
import type { Call } from "@tidelock/server/http/call";
import { Problem } from "@tidelock/server/problem";
import { createTidelockServer, type TidelockServer } from "@tidelock/server/server";
import type { WriteDoor } from "@tidelock/server/sqlite/door";
import type { Db } from "@tidelock/server/sqlite/file";
import { openSqliteStore } from "@tidelock/server/sqlite/store";
import type { LogStore } from "@tidelock/server/store";
import { Connection, type Wire } from "@tidelock/server/wake/connection";
import type { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";
import { type DiskHabits, openSimDoor } from "./server-disk.ts";
import type { Ear } from "./server-wake.ts";

export const ORIGIN = "https://sync.example.org";

/** One request as the machine sees it: where its answer goes. */
export interface Exchange {
  /** Nobody listens at the address. */
  refused(): void;
  head(status: number, headers: Readonly<Record<string, string>>): void;
  part(bytes: Uint8Array): void;
  end(): void;
  /** The connection is gone; a machine without power does not say so. */
  lost(silent: boolean): void;
}

/** A socket's other end. */
export type Line = Wire & Pick<Exchange, "lost">;

export interface BootOptions {
  readonly clock: Clock;
  readonly suite: Suite;
  readonly random: (n: number) => Uint8Array;
  readonly signer: TokenSigner;
  readonly blobs: Map<string, Uint8Array>;
  readonly path: string;
  readonly habits: DiskHabits;
  readonly seed: Stream;
  /** A write has become durable, or the file was opened. */
  readonly durable: (db: Db) => void;
}

export class Boot {
  readonly #world: World;
  readonly #crash: (silent: boolean) => void;
  readonly durable: (db: Db) => void;
  #alive = true;
  #broken = false;
  #door: WriteDoor | undefined;
  #store: LogStore | undefined;
  readonly #wires = new Set<Line>();
  readonly #exchanges = new Set<Exchange>();
  readonly all = new Set<Connection>();
  readonly waitingByAddress = new Map<string, number>();
  server: TidelockServer | undefined;

  constructor(world: World, options: BootOptions, crash: (silent: boolean) => void) {
    this.#world = world;
    this.#crash = crash;
    this.durable = options.durable;
    this.#start(options).catch((error: unknown) => {
      // It may be gone before it has begun.
      if (this.#alive) throw error;
    });
  }

  async #start(options: BootOptions): Promise<void> {
    const { clock, suite, random, signer, habits, seed } = options;
    const store = await openSqliteStore(options.path, {
      writer: (path) => {
        this.#door = openSimDoor(this.#world, this, habits, seed, path);
        return this.#door;
      },
      endOfTurn: (work) => this.after(0, work),
    });
    this.#store = store;
    // Whoever runs it starts it again.
    void store.failed.then(() => this.dies(1_000));
    this.server = createTidelockServer({
      store: this.#whileAlive(store),
      blobs: blobsIn(options.blobs, (ms) => this.#pause(ms)),
      suite,
      clock,
      scheduler: this.#scheduler(),
      random,
      log: { event: (name, fields) => this.#event(name, fields) },
      signer,
      audience: ORIGIN,
      registration: "open",
    });
  }

  after(ms: number, work: () => void): void {
    this.#world.timeline.after(ms, () => {
      if (this.#alive) work();
    });
  }

  dies(ms: number): void {
    this.after(ms, () => this.#crash(ms % 1 < 0.5));
  }

  breaks(): void {
    this.#broken = true;
  }

  listen(server: TidelockServer, address: string, wire: Line): Ear {
    const { all, waitingByAddress } = this;
    this.#wires.add(wire);
    const connection = new Connection(wire, address, { server, all, waitingByAddress });
    return {
      receive: (text) => {
        if (this.#alive) connection.receive(text);
      },
      ended: () => {
        this.#wires.delete(wire);
        if (this.#alive) connection.ended();
      },
    };
  }

  end(silent: boolean): void {
    this.#alive = false;
    for (const one of [...this.#wires, ...this.#exchanges]) one.lost(silent);
    void (this.#store ?? this.#door)?.close();
  }

  async answer(server: TidelockServer, call: Call, exchange: Exchange): Promise<void> {
    this.#exchanges.add(exchange);
    const { status, headers, body } = await server.handler(call);
    if (!this.#alive) return;
    exchange.head(status, headers);
    if (body instanceof Uint8Array) exchange.part(body);
    else
      for await (const part of body ?? []) {
        exchange.part(part);
        await this.#pause(1);
      }
    exchange.end();
    this.#exchanges.delete(exchange);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  #scheduler(): Scheduler {
    return {
      after: (ms, work) => {
        let wanted = true;
        this.after(ms, () => {
          if (wanted) work();
        });
        return () => {
          wanted = false;
        };
      },
    };
  }

  /** What is left of a process that is gone waits for ever. */
  #whileAlive(store: LogStore): LogStore {
    const guarded = Object.entries(store).map(([name, value]) => [
      name,
      typeof value === "function"
        ? (...args: readonly unknown[]) =>
            this.#alive
              ? (value as (...given: readonly unknown[]) => unknown)(...args)
              : new Promise(() => undefined)
        : value,
    ]);
    return Object.fromEntries(guarded) as LogStore;
  }

  #event(name: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    this.#world.say(() => `server  ${name} ${JSON.stringify(fields)}`);
    // A connection that broke, or a disk that did.
    if (fields?.["why"] === "ECONNRESET" || this.#broken) return;
    this.#world.fail("error", `the server failed: ${name} ${JSON.stringify(fields)}`);
  }
}

/** Durable when its promise resolves, and never half. */
function blobsIn(kept: Map<string, Uint8Array>, pause: (ms: number) => Promise<void>): BlobBytes {
  const name = (vault: Uint8Array, id: Uint8Array): string => `${toHex(vault)}/${toHex(id)}`;
  return {
    put: async (vault, id, bytes) => {
      const parts: Uint8Array[] = [];
      for await (const part of bytes) parts.push(part);
      const whole = concat(...parts);
      await pause(1);
      kept.set(name(vault, id), whole);
      return { size: whole.length };
    },
    get: async (vault, id, from, to) => {
      const whole = kept.get(name(vault, id));
      if (whole === undefined) return undefined;
      return (async function* () {
        yield whole.slice(from, to);
      })();
    },
    remove: async (vault, id) => {
      kept.delete(name(vault, id));
    },
    drop: async (vault) => {
      for (const key of kept.keys()) if (key.startsWith(name(vault, new Uint8Array(0)))) kept.delete(key);
    },
    check: async () => undefined,
  };
}

/** Stands in for JSON Web Tokens, whose WebCrypto ends in turns of a real event loop. */
export function signer(suite: Suite, pair: ReturnType<Suite["signPair"]>, clock: Clock): TokenSigner {
  return {
    sign: async ({ deviceName, person, issued, until }) => {
      const claims = encodeUtf8(JSON.stringify([deviceName, toBase64Url(person), issued, until]));
      return `${toBase64Url(claims)}.${toBase64Url(suite.sign(claims, pair.secretKey))}`;
    },
    open: async (token) => {
      const [claims, signature] = token.split(".").map((part) => fromBase64Url(part));
      if (
        claims === undefined ||
        signature?.length !== 64 ||
        !suite.verify(signature, claims, pair.publicKey)
      )
        throw new Problem("bad-proof", "no session of this server");
      const [deviceName, person, issued, until] = JSON.parse(decodeUtf8(claims) ?? "") as [
        string,
        string,
        number,
        number,
      ];
      if (until <= clock.now()) throw new Problem("session-expired", "the session has ended");
      const [device, who] = [fromBase64Url(deviceName), fromBase64Url(person)];
      if (device === undefined || who === undefined) throw new Problem("bad-proof", "no session");
      return { device, person: who, deviceName, issued, until };
    },
  };
}
