/** The way between a device and the model remote: slow, lossy, and never honest about what was lost. */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { AppendResult, Failure, Remote, RemoteCaps, Result } from "@tidelock/core/ports";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { ChainWalk } from "./chain.ts";
import type { FaultKind } from "./faults.ts";
import { Lie } from "./lie.ts";
import type { LogServer } from "./log-server.ts";
import type { Life, SimNode } from "./node.ts";
import { Stream } from "./random.ts";
import type { World } from "./world.ts";

const CALL: readonly FaultKind[] = [
  "reset",
  "drop",
  "lost-reply",
  "half-open",
  "duplicate",
  "slow",
  "busy",
  "corrupt",
];
const HINT: readonly FaultKind[] = ["no-hint"];
/** When a client gives up on an answer. */
const TIMEOUT = 30_000;

const unreachable: Failure = { kind: "unreachable", why: "simulated" };
const corrupt: Failure = { kind: "corrupt", why: "simulated" };
const unknown = { kind: "unknown" } as const;

/** The calls of every device to one server. */
export class Network {
  readonly #world: World;
  readonly #server: LogServer;
  readonly #hints = new Map<Life, (seq?: number) => void>();

  constructor(world: World, server: LogServer) {
    this.#world = world;
    this.#server = server;
    server.onGrowth = () => this.#hintAll();
  }

  connect(node: SimNode, life: Life): Remote {
    const { knobs } = this.#world.plan;
    const server = this.#server;
    const world = this.#world;
    const caps: RemoteCaps = { wake: knobs.wake, deletes: true, accounts: false, links: false };
    const call = new Calls(world, node, life);
    const lies = new Set<readonly Uint8Array[]>();
    const now = (): number => Math.floor(knobs.epoch + world.timeline.now);
    const read = <T>(name: string, serve: () => T): Promise<Result<T>> =>
      call.make<Result<T>>(name, () => ({ kind: "ok", value: serve() }), unreachable);
    return {
      caps,
      create: (genesis) =>
        call.make<Awaited<ReturnType<Remote["create"]>>>(
          "create",
          () =>
            server.create(genesis) === "created" ? { kind: "ok", value: "created" } : { kind: "exists" },
          unreachable,
        ),
      genesis: () => read("genesis", () => server.genesis),
      read: (after, want) =>
        read("read", () => (node.lie ?? server).read(after, Math.min(want.bytes, knobs.page))),
      append: (frames, seen) => {
        world.ledger.sending(frames);
        return call
          .make<AppendResult>(
            "append",
            () => {
              const clock = knobs.writerStamps ? node.wall() : now();
              const time = Math.max(0, clock + knobs.stampOffset);
              if (node.lie !== undefined) {
                lies.add(frames);
                return node.lie.append(frames, seen, time);
              }
              // Who was deceived builds on what nobody has: a server that knows its own chain does not place it.
              if (node.deceivedFrom !== undefined && !this.#knows(seen)) return { kind: "behind" };
              if (node.liedTo) {
                node.liedTo = false;
                world.ledger.lied = true;
                lies.add(frames);
                return { kind: "committed", first: seen.seq + 1 };
              }
              if (node.torn && seen.seq === server.head) {
                node.torn = false;
                server.tear(frames, seen.hash, now());
                return unknown;
              }
              return server.append(frames, seen, time);
            },
            unknown,
          )
          .then((result) => {
            if (result.kind === "committed" && !lies.has(frames))
              world.ledger.acknowledged(node, result.first, frames);
            return result;
          });
      },
      putBlob: (id, bytes) =>
        read("put-blob", () => {
          server.shelf.put(id, bytes, now());
          return "stored" as const;
        }),
      getBlob: (id, part) => read("get-blob", () => server.shelf.get(id, part)),
      listBlobs: (after) => read("list-blobs", () => server.shelf.list(after, now())),
      deleteBlobs: (ids, condemnedAt) =>
        read("delete-blobs", () => server.shelf.delete(ids, now(), server.timeOf(condemnedAt))),
      wake: (hint) => {
        this.#hints.set(life, hint);
        life.unwake = () => this.#hints.delete(life);
        return life.unwake;
      },
      close: () => undefined,
    };
  }

  /** From now on, and for `ms`, this device alone is shown another end of the log. */
  deceive(node: SimNode, ms: number, random: Stream): void {
    if (node.lie !== undefined || node.deceivedFrom !== undefined || this.#server.genesis === undefined)
      return;
    const lie = new Lie(this.#world.suite, this.#server, random);
    node.lie = lie;
    node.deceivedFrom = lie.from;
    this.#world.say(() => `attacker  ${lie.mode} end for ${node.name} after ${lie.from}, ${ms} ms`);
    this.#world.timeline.after(ms, () => {
      if (node.lie === lie) node.lie = undefined;
    });
  }

  /** Whether a head is one of the log that everybody else sees. */
  #knows(seen: { readonly seq: number; readonly hash: Uint8Array }): boolean {
    const genesis = parseGenesis(this.#world.suite, this.#server.genesis as Uint8Array);
    const walk = new ChainWalk(this.#world.suite, (genesis as { vault: Uint8Array }).vault);
    for (const object of this.#server.objects) walk.add(object);
    const hash = walk.links[seen.seq];
    return hash !== undefined && equalBytes(hash, seen.hash);
  }

  #hintAll(): void {
    if (!this.#world.plan.knobs.wake) return;
    for (const [life, hint] of this.#hints) {
      const { node } = life;
      if (node.cutOffUntil > this.#world.timeline.now) continue;
      if (this.#world.decide(this.#world.site(`${node.name}/hint`, HINT)) !== undefined) continue;
      // Who is deceived is told no number: its log is another one.
      const seq = node.deceivedFrom === undefined ? this.#server.head : undefined;
      node.deliver(life, latency(this.#world, node), () => hint(seq));
    }
  }
}

const dice = new WeakMap<SimNode, Stream>();

export function latency(world: World, node: SimNode): number {
  const mean = world.plan.knobs.latency;
  if (mean === 0) return 1;
  let stream = dice.get(node);
  if (stream === undefined) {
    stream = new Stream(world.seed, `net:${node.name}`);
    dice.set(node, stream);
  }
  return mean * (0.3 - 0.7 * Math.log(1 - stream.float()));
}

/** One device's calls during one boot. */
export class Calls {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #life: Life;

  constructor(world: World, node: SimNode, life: Life) {
    this.#world = world;
    this.#node = node;
    this.#life = life;
  }

  /** `lost` is what a caller learns who cannot know whether it was served. */
  make<T>(name: string, serve: () => T, lost: T | Failure): Promise<T> {
    const world = this.#world;
    const node = this.#node;
    const life = this.#life;
    life.check();
    world.ledger.called(node, life, name);
    life.pass(node.pointSite(`remote.${name}/before`));
    const decision = world.decide(world.site(`${node.name}/remote.${name}`, CALL));
    const after = node.pointSite(`remote.${name}/after`);
    const { urged } = life;
    const { timeline } = world;
    return new Promise<T>((resolve) => {
      const answer = (ms: number, value: T): void =>
        node.deliver(life, ms, () => {
          life.pass(after);
          const { kind } = value as { readonly kind: string };
          world.say(() => `${node.name}  ${name}: ${kind}`);
          world.ledger.answered(
            node,
            life,
            value as { readonly kind: string; readonly retryAfter?: number },
            urged,
          );
          resolve(value);
        });
      const away = (ms: number): void => {
        const until = timeline.now + ms;
        if (until > world.hangsUntil) world.hangsUntil = until;
        answer(ms, lost as T);
      };
      const request = latency(world, node);
      const reply = latency(world, node);
      // Once sent, a request arrives even if its sender is gone by then.
      const arrive = (ms: number, reached: (value: T) => void): void =>
        timeline.after(ms, () => reached(serve()));
      if (node.cutOffUntil > timeline.now) {
        if (node.oneWay) arrive(request, () => undefined);
        else if (request * 1_000 - Math.floor(request * 1_000) < 0.5) {
          answer(10, unreachable as T);
          return;
        }
        away(Math.min(TIMEOUT, node.cutOffUntil - timeline.now + 5_000));
        return;
      }
      switch (decision?.fault) {
        case undefined:
          arrive(request, (value) => answer(reply, value));
          break;
        case "reset":
          answer(1, unreachable as T);
          break;
        case "drop":
          away(decision.ms);
          break;
        case "lost-reply":
          arrive(request, () => undefined);
          away(decision.ms);
          break;
        case "half-open":
          arrive(request, () => undefined);
          away(TIMEOUT);
          break;
        case "duplicate":
          arrive(request, (value) => answer(reply, value));
          arrive(request + decision.ms, () => undefined);
          break;
        case "slow":
          if (decision.ms < TIMEOUT) {
            world.hangsUntil = Math.max(world.hangsUntil, timeline.now + decision.ms);
            arrive(decision.ms, (value) => answer(reply, value));
          } else {
            arrive(decision.ms, () => undefined);
            away(TIMEOUT);
          }
          break;
        case "busy":
          answer(request + reply, { kind: "busy", retryAfter: decision.ms } as T);
          break;
        case "corrupt":
          answer(request + reply, corrupt as T);
          break;
        // Not drawn here.
        case "kill":
        case "power-cut":
        case "disk-full":
        case "no-hint":
        case "server-down":
          arrive(request, (value) => answer(reply, value));
      }
    });
  }
}
