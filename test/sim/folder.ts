/** The folder remote that ships, on the simulated disk of a file server that loses power. */
import { encodePage, objectAt } from "@tidelock/core/log/page";
import type { LogObject, Page, Remote } from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { createFolderRemote } from "@tidelock/node/remote-folder/folder";
import { ChainWalk } from "@tidelock/testkit/world/chain";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import type { Site } from "@tidelock/testkit/world/history";
import type { Shelf } from "@tidelock/testkit/world/log-server";
import { latency } from "@tidelock/testkit/world/network";
import type { Life, SimNode } from "@tidelock/testkit/world/node";
import { Stream } from "@tidelock/testkit/world/random";
import { SimDisk, type SimMount } from "@tidelock/testkit/world/sim-disk";
import { drain, type World } from "@tidelock/testkit/world/world";

const ROOT = "/vault";
const CALL: readonly FaultKind[] = [
  "reset",
  "lost-reply",
  "half-open",
  "slow",
  "disk-full",
  "corrupt",
  "server-down",
];
const HINT: readonly FaultKind[] = ["no-hint"];
const TIMEOUT = 30_000;
const MOST = 5 << 20;

export function folderSite(world: World): Site {
  const server = new FileServer(world);
  return {
    shelf: new FolderShelf(world, server),
    connect: (node, life) => connect(world, server, node, life),
    powerCut: (random) => {
      server.powerCut(() => random.float());
    },
    heal: () => {
      if (server.damaged) server.powerCut(() => 0.5);
    },
  };
}

class FileServer {
  readonly #disk: SimDisk;
  mount: SimMount;
  /** The errno with which the next call fails as a disk does. */
  failNext: string | undefined;
  /** Fails calls that are under way. */
  readonly pending = new Set<() => void>();
  cuts = 0;
  /** A sync failed: its directory takes nothing more before the next boot. */
  damaged = false;

  constructor(world: World) {
    const { knobs } = world.plan;
    // Every fourth file server has no hard links.
    this.#disk = new SimDisk({
      now: () => knobs.epoch + knobs.stampOffset + world.timeline.now,
      links: world.seed % 4n !== 0n,
    });
    this.mount = this.#mount();
  }

  #mount(): SimMount {
    return this.#disk.mount({
      before: () => {
        const code = this.failNext;
        this.failNext = undefined;
        return code;
      },
    });
  }

  powerCut(random: () => number): void {
    this.#disk.powerCut(random);
    this.mount = this.#mount();
    this.cuts++;
    this.damaged = false;
    for (const fail of Array.from(this.pending)) fail();
  }
}

function connect(world: World, server: FileServer, node: SimNode, life: Life): Remote {
  const { ledger } = world;
  const { clock } = life.env;
  const fs = new RemoteFs(world, server, node, life);
  const inner = createFolderRemote({
    directory: ROOT,
    fs,
    clock,
    random: (n) => node.suite.random(n),
    sha256: (bytes) => node.suite.sha256(bytes),
    modes: ["link", "rename-dir"],
  });
  const told = <T extends { readonly kind: string }>(name: string, call: () => Promise<T>): Promise<T> => {
    life.check();
    ledger.called(node, life, name);
    life.pass(node.pointSite(`remote.${name}/before`));
    const after = node.pointSite(`remote.${name}/after`);
    const { urged } = life;
    return call().then((value) => {
      life.pass(after);
      world.say(() => `${node.name}  ${name}: ${value.kind}`);
      ledger.answered(node, life, value, urged);
      return value;
    });
  };
  return {
    caps: { ...inner.caps, wake: world.plan.knobs.wake },
    create: (genesis) => told("create", () => inner.create(genesis)),
    genesis: () => told("genesis", () => inner.genesis()),
    read: (after, want) => told("read", () => inner.read(after, want)),
    append: (frames, seen) => {
      ledger.sending(frames);
      return told("append", () => inner.append(frames, seen)).then((result) => {
        if (result.kind === "committed") ledger.acknowledged(node, result.first, frames);
        return result;
      });
    },
    putBlob: (id, bytes) => told("put-blob", () => inner.putBlob(id, bytes)),
    getBlob: (id, part) => told("get-blob", () => inner.getBlob(id, part)),
    listBlobs: (after) => told("list-blobs", () => inner.listBlobs(after)),
    deleteBlobs: (ids, condemnedAt) => told("delete-blobs", () => inner.deleteBlobs(ids, condemnedAt)),
    ...(world.plan.knobs.wake
      ? {
          wake: (hint: () => void) => {
            const stop = inner.wake?.(hint) ?? (() => undefined);
            life.unwake = stop;
            return stop;
          },
        }
      : {}),
    close: () => inner.close(),
  };
}

/** A device's way to the file server: each call can be late, lost or half done. */
class RemoteFs implements Fs {
  readonly #world: World;
  readonly #server: FileServer;
  readonly #node: SimNode;
  readonly #life: Life;
  readonly #cuts: Stream;

  constructor(world: World, server: FileServer, node: SimNode, life: Life) {
    this.#world = world;
    this.#server = server;
    this.#node = node;
    this.#life = life;
    this.#cuts = new Stream(world.seed, `cuts:${node.name}`);
  }

  readFile(path: string, max: number, at?: number): Promise<Uint8Array> {
    return this.#call("readFile", (fs) => fs.readFile(path, max, at));
  }

  writeFileNew(path: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    return this.#call("writeFileNew", (fs) => fs.writeFileNew(path, copy));
  }

  syncFile(path: string): Promise<void> {
    return this.#call("syncFile", (fs) => fs.syncFile(path));
  }

  link(from: string, to: string): Promise<void> {
    return this.#call("link", (fs) => fs.link(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#call("unlink", (fs) => fs.unlink(path));
  }

  mkdir(path: string): Promise<void> {
    return this.#call("mkdir", (fs) => fs.mkdir(path));
  }

  rmdir(path: string): Promise<void> {
    return this.#call("rmdir", (fs) => fs.rmdir(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call("rename", (fs) => fs.rename(from, to));
  }

  readdir(path: string): Promise<readonly string[]> {
    return this.#call("readdir", (fs) => fs.readdir(path));
  }

  stat(path: string): ReturnType<Fs["stat"]> {
    return this.#call("stat", (fs) => fs.stat(path));
  }

  syncDir(path: string): Promise<void> {
    return this.#call("syncDir", (fs) => fs.syncDir(path));
  }

  watch(path: string, hint: () => void): () => void {
    this.#life.check();
    const site = this.#world.site(`${this.#node.name}/hint`, HINT);
    return this.#server.mount.watch(path, () => {
      if (this.#node.cutOffUntil > this.#world.timeline.now || this.#world.decide(site) !== undefined) return;
      this.#node.deliver(this.#life, latency(this.#world, this.#node) / 4, hint);
    });
  }

  #call<T>(op: string, work: (fs: Fs) => Promise<T>): Promise<T> {
    const world = this.#world;
    const node = this.#node;
    const life = this.#life;
    const server = this.#server;
    const { timeline } = world;
    life.check();
    life.pass(node.pointSite(`fs.${op}/before`));
    const decision = world.decide(world.site(`${node.name}/fs.${op}`, CALL));
    const after = node.pointSite(`fs.${op}/after`);
    const way = latency(world, node) / 8;
    const cuts = this.#cuts;
    return new Promise<T>((resolve, reject) => {
      let open = true;
      const settle = (ms: number, done: () => void): void => {
        if (!open) return;
        open = false;
        server.pending.delete(lost);
        node.deliver(life, ms, () => {
          life.pass(after);
          done();
        });
      };
      const fail = (ms: number, code: string): void => {
        world.hangsUntil = Math.max(world.hangsUntil, timeline.now + ms);
        settle(ms, () => reject(errno(code)));
      };
      const lost = (): void => fail(100, "EIO");
      const serve = (ms: number, answered: boolean): void =>
        timeline.after(ms, () => {
          // The connection is gone: what was on its way is not done.
          if (!open && answered) return;
          void work(server.mount).then(
            (value) => {
              if (answered) settle(way, () => resolve(value));
            },
            (error: unknown) => {
              if (answered) settle(way, () => reject(error as Error));
            },
          );
        });
      if (node.cutOffUntil > timeline.now) {
        if (node.oneWay) serve(way, false);
        fail(Math.min(TIMEOUT, node.cutOffUntil - timeline.now + 1_000), "ETIMEDOUT");
        return;
      }
      server.pending.add(lost);
      switch (decision?.fault) {
        case "reset":
          fail(1, "EIO");
          break;
        case "lost-reply":
          serve(way, false);
          fail(decision.ms, "EIO");
          break;
        case "half-open":
          serve(way, false);
          fail(TIMEOUT, "ETIMEDOUT");
          break;
        case "slow":
          world.hangsUntil = Math.max(world.hangsUntil, timeline.now + Math.min(decision.ms, TIMEOUT));
          if (decision.ms < TIMEOUT) serve(decision.ms, true);
          else {
            serve(decision.ms, false);
            fail(TIMEOUT, "ETIMEDOUT");
          }
          break;
        case "disk-full":
          if (/^(write|mkdir|link|rename)/.test(op)) fail(way, "ENOSPC");
          else serve(way, true);
          break;
        case "corrupt":
          // A disk that fails: a sync loses what it was to keep, and says so.
          server.damaged = true;
          server.failNext = "EIO";
          void work(server.mount).then(
            (value) => settle(way, () => resolve(value)),
            (error: unknown) => settle(way, () => reject(error as Error)),
          );
          server.failNext = undefined;
          break;
        case "server-down":
          // Done, and then the power fails.
          timeline.after(way, () => {
            void work(server.mount).then(
              () => undefined,
              () => undefined,
            );
            drain();
            server.powerCut(() => cuts.float());
          });
          break;
        case undefined:
        // Not drawn here.
        case "kill":
        case "power-cut":
        case "drop":
        case "duplicate":
        case "busy":
        case "no-hint":
          serve(way, true);
      }
    });
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** What stands in the folder, read as its holder would: directly, and without any device noticing. */
class FolderShelf implements Shelf {
  readonly #world: World;
  readonly #server: FileServer;
  #known = { names: -1, cuts: -1 };
  #objects: readonly LogObject[] = [];
  #head = 0;

  constructor(world: World, server: FileServer) {
    this.#world = world;
    this.#server = server;
  }

  get genesis(): Uint8Array | undefined {
    return this.#now((fs) => fs.readFile(`${ROOT}/genesis`, MOST));
  }

  get objects(): readonly LogObject[] {
    this.#look();
    return this.#objects;
  }

  get head(): number {
    this.#look();
    return this.#head;
  }

  *blobs(): Iterable<Uint8Array> {
    for (const home of this.#now((fs) => fs.readdir(`${ROOT}/blob`)) ?? []) {
      for (const name of this.#now((fs) => fs.readdir(`${ROOT}/blob/${home}`)) ?? []) {
        const bytes = this.#now((fs) => fs.readFile(`${ROOT}/blob/${home}/${name}`, MOST));
        if (bytes !== undefined) yield bytes;
      }
    }
  }

  /** As a remote answers that knows no chain: by numbers alone. */
  read(after: number): Page {
    const objects: LogObject[] = [];
    for (let number = after + 1; ; ) {
      const object = this.#object(number);
      if (object === undefined) return { objects, head: Math.max(this.head, number - 1) };
      objects.push(object);
      number += object.kind === "page" ? object.entries.length : 1;
    }
  }

  place(prev: Uint8Array | null, frames: readonly Uint8Array[], time: number): void {
    const first = this.head + 1;
    this.#put(encodePage({ first, prev, entries: frames.map((frame) => ({ time, frame })) }));
  }

  placeGarbage(bytes: Uint8Array): void {
    this.#put(bytes);
  }

  #put(bytes: Uint8Array): void {
    const path = this.#path(this.head + 1);
    const { mount } = this.#server;
    this.#now(async () => {
      await mount.writeFileNew(path, bytes);
      await mount.syncFile(path);
      await mount.syncDir(`${ROOT}/log`);
    });
  }

  #path(number: number): string {
    return `${ROOT}/log/${String(number).padStart(12, "0")}`;
  }

  #object(number: number): LogObject | undefined {
    const path = this.#path(number);
    const bytes =
      this.#now((fs) => fs.readFile(path, MOST)) ?? this.#now((fs) => fs.readFile(`${path}/data`, MOST));
    return bytes === undefined ? undefined : objectAt(number, bytes, (b) => this.#world.suite.sha256(b));
  }

  #look(): void {
    const names = this.#now((fs) => fs.readdir(`${ROOT}/log`))?.length ?? 0;
    const { cuts } = this.#server;
    if (names === this.#known.names && cuts === this.#known.cuts) return;
    this.#known = { names, cuts };
    const genesis = this.genesis;
    const parsed = genesis === undefined ? null : parseGenesis(this.#world.suite, genesis);
    if (parsed === null) {
      this.#objects = [];
      this.#head = 0;
      return;
    }
    const walk = new ChainWalk(this.#world.suite, parsed.vault);
    const objects: LogObject[] = [];
    for (;;) {
      const object = this.#object(walk.seq + 1);
      if (object === undefined) break;
      objects.push(object);
      walk.add(object);
    }
    this.#objects = objects;
    this.#head = walk.seq;
  }

  /** The mount has no delays: what it is asked for is there once the promises have run. */
  #now<T>(work: (fs: Fs) => Promise<T>): T | undefined {
    let value: T | undefined;
    void work(this.#server.mount).then(
      (found) => {
        value = found;
      },
      () => undefined,
    );
    drain();
    return value;
  }
}
