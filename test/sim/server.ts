/** A vault on the server that ships, reached by the remote that ships. */
import type { Replica } from "@tidelock/core/engine/replica";
import type { LogObject, Page, Remote } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import type { ServerIdentity } from "@tidelock/remotes/session";
import { listVaults } from "@tidelock/remotes/vaults";
import { type Db, openReader } from "@tidelock/server/sqlite/file";
import type { Site } from "@tidelock/testkit/world/history";
import type { Shelf } from "@tidelock/testkit/world/log-server";
import type { Life, SimNode } from "@tidelock/testkit/world/node";
import type { World } from "@tidelock/testkit/world/world";
import { ORIGIN } from "./server-boot.ts";
import { ServerMachine } from "./server-machine.ts";
import { socketsOver } from "./server-wake.ts";
import { fetchOver } from "./server-wire.ts";

export function serverSite(world: World): Site {
  const machine = new ServerMachine(world);
  const shelf = new ServerShelf(world, machine);
  return {
    shelf,
    connect: (node, life) => connect(world, machine, shelf, node, life),
    powerCut: () => machine.powerCut(),
    heal: () => machine.restart(),
    close: () => {
      shelf.close();
      machine.close();
    },
  };
}

function connect(world: World, machine: ServerMachine, shelf: Shelf, node: SimNode, life: Life): Remote {
  const { ledger } = world;
  const { suite, home } = node;
  const { clock, scheduler } = life.env;
  const person = world.personOf(home.person);
  const identity: ServerIdentity = {
    person,
    device: home.keys,
    signSecret: home.keys.signSecret,
    certificates: [issueCertificate(suite, person, home.keys, 0).bytes],
  };
  const { wake } = world.plan.knobs;
  const sockets = wake ? { openSocket: socketsOver(world, machine, node, life) } : {};
  const host = {
    url: ORIGIN,
    identity,
    suite,
    clock,
    scheduler,
    fetch: fetchOver(world, machine, node, life),
  };
  let inner: Remote | undefined;
  const open = (vault: Uint8Array): Remote => {
    inner ??= createServerRemote({ ...host, ...sockets, vault });
    return inner;
  };
  /** By the replica, or as a device finds it that has only the words. */
  const find = async (): Promise<Awaited<ReturnType<typeof listVaults>> | Remote> => {
    const vault = life.replica?.vault;
    if (inner !== undefined) return inner;
    if (vault !== undefined) return open(vault);
    const listed = await listVaults(host);
    const [first] = listed.kind === "ok" ? listed.value : [];
    return first === undefined ? listed : open(first);
  };
  const told = async <T extends { readonly kind: string }>(
    name: string,
    call: (remote: Remote) => Promise<T>,
    absent: T,
  ): Promise<T> => {
    life.check();
    ledger.called(node, life, name);
    life.pass(node.pointSite(`remote.${name}/before`));
    const { urged } = life;
    const remote = await find();
    const value =
      "kind" in remote ? (remote.kind === "ok" ? absent : (remote as unknown as T)) : await call(remote);
    life.check();
    life.pass(node.pointSite(`remote.${name}/after`));
    world.say(() => `${node.name}  ${name}: ${JSON.stringify(value.kind)}`);
    ledger.answered(node, life, value, urged);
    return value;
  };
  const nowhere = { kind: "unreachable", why: "no vault" } as const;
  return {
    caps: { wake, deletes: true, accounts: true, links: false },
    create: (genesis) => told("create", (remote) => remote.create(genesis), nowhere),
    genesis: () =>
      // Of a vault that he is not in yet, a guest has it from whoever lets him in.
      home.person > 0 && life.replica === undefined
        ? Promise.resolve({ kind: "ok", value: shelf.genesis })
        : told("genesis", (remote) => remote.genesis(), { kind: "ok", value: undefined }),
    read: (after, want) =>
      told(
        "read",
        (remote) => remote.read(after, { ...want, bytes: Math.min(want.bytes, world.plan.knobs.page) }),
        nowhere,
      ),
    append: async (frames, seen) => {
      ledger.sending(frames);
      const result = await told("append", (remote) => remote.append(frames, seen), nowhere);
      if (result.kind === "committed") ledger.acknowledged(node, result.first, frames);
      return result;
    },
    putBlob: (id, bytes) => told("put-blob", (remote) => remote.putBlob(id, bytes), nowhere),
    getBlob: (id, part) => told("get-blob", (remote) => remote.getBlob(id, part), nowhere),
    listBlobs: (after) => told("list-blobs", (remote) => remote.listBlobs(after), nowhere),
    deleteBlobs: (ids, condemnedAt) =>
      told("delete-blobs", (remote) => remote.deleteBlobs(ids, condemnedAt), nowhere),
    ...(wake
      ? {
          wake: (hint: () => void) => {
            const { vault } = life.replica as Replica;
            const stop = open(vault).wake?.(hint) ?? (() => undefined);
            life.unwake = stop;
            return stop;
          },
        }
      : {}),
    close: () => inner?.close(),
  };
}

interface LogEntry {
  readonly seq: number;
  readonly time: number;
  readonly frame: Uint8Array;
}

/** What stands in the server's file, read as whoever runs it would. */
class ServerShelf implements Shelf {
  readonly #world: World;
  readonly #machine: ServerMachine;
  #path = "";
  #opened: Db | undefined;
  #objects: LogObject[] = [];

  constructor(world: World, machine: ServerMachine) {
    this.#world = world;
    this.#machine = machine;
  }

  get #db(): Db {
    const { path } = this.#machine;
    if (this.#opened === undefined || path !== this.#path) {
      this.#opened?.close();
      this.#opened = openReader(path);
      this.#objects = [];
      this.#path = path;
    }
    return this.#opened;
  }

  get genesis(): Uint8Array | undefined {
    return this.#db.prepare("SELECT genesis FROM vaults").pluck().get() as Uint8Array | undefined;
  }

  get head(): number {
    return (this.#db.prepare("SELECT head_seq FROM vaults").pluck().get() as number | undefined) ?? 0;
  }

  get objects(): readonly LogObject[] {
    const db = this.#db;
    const rows = db
      .prepare("SELECT seq, time, frame FROM log WHERE seq > ? ORDER BY seq")
      .all(this.#objects.length) as LogEntry[];
    for (const { seq, time, frame } of rows)
      this.#objects.push({
        kind: "page",
        first: seq,
        prev: null,
        entries: [{ time, frame: new Uint8Array(frame) }],
        hash: this.#world.suite.sha256(frame),
      });
    return this.#objects;
  }

  blobs(): Iterable<Uint8Array> {
    return this.#machine.blobs.values();
  }

  read(after: number): Page {
    return { objects: this.objects.slice(after), head: this.head };
  }

  truncate = (entries: number): void => this.#machine.restore(entries);

  close(): void {
    this.#opened?.close();
  }
}
