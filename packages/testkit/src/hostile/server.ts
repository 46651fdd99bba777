/** A real server behind a hostile proxy: whom it is told to lie to sees another log under the same address. */

import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { concat, toHex } from "@tidelock/core/bytes/bytes";
import { deviceId } from "@tidelock/core/crypto/identity";
import { encodePageItem, parseFrameList, parsePageList } from "@tidelock/core/log/frame-list";
import { encodePage } from "@tidelock/core/log/page";
import type { Remote } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { createMemoryRemote, type MemoryVaultLog } from "../memory-remote.ts";
import { ServerRig } from "../server-rig.ts";
import type { Kit, Who } from "../vault-kit.ts";
import type { HostilePlace } from "./place.ts";
import { type Asked, HostileProxy, type Meddle, type Said } from "./proxy.ts";

const BINARY = "application/vnd.tidelock";
/** What every answer of a server says of itself: a liar says it too. */
export const MARKED = { "tidelock-proto": "1" } as const;
const EVERYBODY = "";

/** One server and one proxy for many vaults. */
export class HostileServer {
  readonly proxy: HostileProxy;
  readonly rig: ServerRig;
  readonly #vaults = new Map<string, ServerPlace>();

  private constructor(proxy: HostileProxy, rig: ServerRig) {
    this.proxy = proxy;
    this.rig = rig;
    proxy.meddle = async (asked, honest, raw) => {
      const vault = /^\/v1\/vaults\/([\w-]{43})/.exec(asked.path)?.[1];
      const place = vault === undefined ? undefined : this.#vaults.get(vault);
      return place === undefined ? honest() : place.answer(asked, honest, raw);
    };
  }

  static async start(): Promise<HostileServer> {
    const proxy = await HostileProxy.start();
    const port = await freePort();
    proxy.upstream = port;
    // Devices know the server by the proxy's address, as they would where a proxy does its TLS.
    return new HostileServer(proxy, await ServerRig.start({ url: proxy.url, port }));
  }

  place(kit: Kit): ServerPlace {
    return new ServerPlace(this, kit, (vault, place) => this.#vaults.set(vault, place));
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.rig.dispose();
  }
}

export class ServerPlace implements HostilePlace {
  readonly name = "server";
  /** Asked before anything else is done: one attack on the answer itself. */
  meddle: Meddle | undefined;
  readonly #server: HostileServer;
  readonly #kit: Kit;
  readonly #claim: (vault: string, place: ServerPlace) => void;
  readonly #shown = new Map<string, MemoryVaultLog>();
  readonly #deviceByName = new Map<string, string>();
  readonly #blobs = new Set<string>();
  readonly #remotes: Remote[] = [];
  #vault = "";
  #session: string | undefined;

  constructor(server: HostileServer, kit: Kit, claim: (vault: string, place: ServerPlace) => void) {
    this.#server = server;
    this.#kit = kit;
    this.#claim = claim;
  }

  door({ name, vault, keys, person }: Who): Remote {
    const { suite, clock, time } = this.#kit;
    this.#vault = toBase64Url(vault);
    this.#claim(this.#vault, this);
    this.#deviceByName.set(name, toBase64Url(deviceId(suite, keys.sign, keys.box)));
    const certificates = [issueCertificate(suite, person, keys, clock.now()).bytes];
    const identity = { person, device: keys, signSecret: keys.signSecret, certificates };
    const { url } = this.#server.proxy;
    const remote = createServerRemote({ url, vault, suite, clock, scheduler: time, fetch, identity });
    this.#remotes.push(remote);
    return remote;
  }

  async found(by?: Pick<Who, "name">): Promise<MemoryVaultLog> {
    const shown =
      this.#shown.get(by === undefined ? EVERYBODY : this.device(by)) ?? this.#shown.get(EVERYBODY);
    if (shown !== undefined) return this.#kit.copyLog(shown);
    const log = this.#kit.copyLog();
    const genesis = await this.#read("/genesis");
    log.genesis = genesis.body;
    for (let after = 0; ; ) {
      const said = await this.#read("/frames", `?after=${after}`);
      const pages = parsePageList(said.body, after);
      if (pages === null) throw new Error("the honest server answers with no page list");
      if (pages.length === 0) break;
      // One object an entry: a server cuts pages anew for every read.
      for (const { page } of pages)
        for (const entry of page.entries)
          log.put(++after, encodePage({ first: after, prev: null, entries: [entry] }));
    }
    for (const id of this.#blobs) {
      const said = await this.#read(`/blobs/${id}`);
      log.blobs.set(toHex(fromBase64Url(id) as Uint8Array), said.body);
    }
    return log;
  }

  async show(log: MemoryVaultLog | undefined, to?: Pick<Who, "name">): Promise<void> {
    if (log === undefined && to === undefined) this.#shown.clear();
    else if (log === undefined) this.#shown.delete(this.device(to as Pick<Who, "name">));
    else this.#shown.set(to === undefined ? EVERYBODY : this.device(to), log);
  }

  async answer(
    asked: Asked,
    honest: () => Promise<Said>,
    raw: Parameters<Meddle>[2],
  ): Promise<Said | undefined> {
    if (asked.authorization !== undefined) this.#session = asked.authorization;
    const blob = /\/blobs\/([\w-]{43})$/.exec(asked.path)?.[1];
    if (asked.method === "PUT" && blob !== undefined) this.#blobs.add(blob);
    const log = this.#shown.get(asked.device ?? "?") ?? this.#shown.get(EVERYBODY);
    const usual = (): Promise<Said> => (log === undefined ? honest() : fromLog(log, asked, this.#kit));
    return this.meddle?.(asked, usual, raw) ?? usual();
  }

  acknowledge(how: "dropped" | "replaced" | undefined, by: Pick<Who, "name">): void {
    const victim = this.device(by);
    const taken = async (): Promise<Said> => {
      const head = (await this.found(by)).head();
      return json({ first: how === "dropped" ? head + 1 : head, again: false });
    };
    this.meddle =
      how === undefined
        ? undefined
        : async (asked, honest) => (asked.device === victim && isAppend(asked) ? taken() : honest());
  }

  dispose(): Promise<void> {
    for (const remote of this.#remotes) remote.close();
    return Promise.resolve();
  }

  /** How requests name a device. */
  device({ name }: Pick<Who, "name">): string {
    const device = this.#deviceByName.get(name);
    if (device === undefined) throw new Error(`${name} has no door here`);
    return device;
  }

  #read(path: string, query = ""): Promise<Said> {
    const authorization = this.#session;
    const asked = { method: "GET", path: `/v1/vaults/${this.#vault}${path}`, authorization };
    return this.#server.proxy.honest({ ...asked, body: new Uint8Array(0) }, query);
  }
}

/** The routes of one vault's log and blobs, over whatever log is to be shown. */
async function fromLog(log: MemoryVaultLog, { method, path, query, body }: Asked, kit: Kit): Promise<Said> {
  const route = /^\/v1\/vaults\/[\w-]{43}\/(frames|genesis|blobs)(?:\/([\w-]{43}))?$/.exec(path);
  const time = { ...MARKED, "tidelock-time": String(kit.time.now()) };
  const binary = (bytes: Uint8Array | undefined, headers: Record<string, string> = {}): Said =>
    bytes === undefined
      ? problem("blob-missing")
      : { status: 200, headers: { ...time, "content-type": BINARY, ...headers }, body: bytes };
  if (route === null) return problem("not-found");
  const [, what, id = ""] = route;
  if (what === "genesis") return log.genesis === undefined ? problem("not-found") : binary(log.genesis);
  if (what === "blobs") {
    const name = toHex(fromBase64Url(id) ?? new Uint8Array(0));
    if (method === "GET") return binary(log.blobs.get(name));
    log.blobs.set(name, body);
    return json({});
  }
  if (method === "POST") {
    const frames = parseFrameList(body);
    if (frames === null) return problem("rejected");
    const first = log.head() + 1;
    for (const [i, frame] of frames.entries()) {
      const entries = [{ time: kit.time.now(), frame: new Uint8Array(frame) }];
      log.put(first + i, encodePage({ first: first + i, prev: null, entries }));
    }
    return json({ first, again: false });
  }
  const wanted = { frames: Number(query.get("frames")), bytes: Number(query.get("bytes")) };
  const page = await createMemoryRemote(log).read(Number(query.get("after")), wanted);
  if (page.kind !== "ok") return problem("internal");
  const items = page.value.objects.map(({ first }) => encodePageItem(log.bytesAt(first) as Uint8Array));
  return binary(concat(...items), { "tidelock-head": String(page.value.head) });
}

export function isAppend({ method, path }: Asked): boolean {
  return method === "POST" && path.endsWith("/frames");
}

export function json(value: object): Said {
  return answer(200, "application/json", value);
}

function problem(code: string): Said {
  return answer(404, "application/problem+json", { code, why: "so it says" });
}

function answer(status: number, type: string, value: object): Said {
  return {
    status,
    headers: { ...MARKED, "content-type": type },
    body: new TextEncoder().encode(JSON.stringify(value)),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
