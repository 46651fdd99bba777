/** One history from its seed to its verdict: chaos, heal, quiet, oracles, restart, a fresh device. */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { App } from "./app.ts";
import { type Attack, attack, isAttack } from "./attacks.ts";
import type { Beside } from "./beside.ts";
import { ChainWalk } from "./chain.ts";
import type { Decision } from "./faults.ts";
import { createFilesApp } from "./files-app.ts";
import { LogServer, type Shelf } from "./log-server.ts";
import { actOn, letAllIn, owesRotation, thief } from "./members.ts";
import { Network } from "./network.ts";
import { type Connect, type Host, type Life, SimNode } from "./node.ts";
import type { Plan, Step, StepKind } from "./plan.ts";
import { Stream } from "./random.ts";
import { createRegisterApp } from "./register-app.ts";
import { createTablesApp } from "./tables-app.ts";
import { judgeHistory } from "./verdict.ts";
import { SimCrash, type Violation, World, type WorldOptions } from "./world.ts";

export interface Verdict {
  readonly profile: string;
  readonly seed: string;
  readonly failure: Violation | undefined;
  /** Equal for two runs of one seed. */
  readonly trace: string;
  readonly events: number;
  readonly edits: number;
  /** Virtual ms. */
  readonly time: number;
  readonly plan: Plan;
  /** Present when asked for: what a replay decides. */
  readonly decisions: Readonly<Record<string, Decision>> | undefined;
}

/** A kind of remote: what stands on it, and how devices reach it. */
export interface Site {
  readonly shelf: Shelf;
  readonly connect: Connect;
  /** Power of whatever stores it goes and comes back. */
  readonly powerCut?: (random: Stream) => void;
  /** Shows one device another end of the log for a while. */
  readonly deceive?: (node: SimNode, ms: number, random: Stream) => void;
  /** The faults are over: what only a new start of it mends is mended. */
  readonly heal?: () => void;
  /** The history is over, however it ended. */
  readonly close?: () => void;
}

export interface Options extends WorldOptions {
  readonly remotes?: Readonly<Record<string, (world: World) => Site>>;
  readonly apps?: Readonly<Record<string, (suite: Suite) => App>>;
  /** By app: what stands beside it. */
  readonly besides?: Readonly<Record<string, (world: World) => Beside>>;
}

const apps: Readonly<Record<string, (suite: Suite) => App>> = {
  files: createFilesApp,
  register: createRegisterApp,
  tables: createTablesApp,
};

/** Steps that a device takes; the others are the storage's, or make the device. */
type DeviceStep = Exclude<StepKind, "boot" | "server-cut" | Attack>;

/** Quiet after the faults: with a hint that the network is back, and from the timers alone. */
const QUIET = { nudged: 60_000, alone: 100_000 };
const UNSIGNED_WAIT = 62_000;
/** More than any end that one device is shown alone can be longer by. */
const SPEECHES = 60;

/** Runs in a macrotask of a thread of its own: it empties the microtask queue itself. */
export function runPlan(plan: Plan, options: Options = {}): Verdict {
  const world = new World(plan, options);
  const createApp = options.apps?.[plan.app] ?? apps[plan.app] ?? createRegisterApp;
  const site = (options.remotes?.[plan.remote] ?? modelSite)(world);
  const beside = options.besides?.[plan.app]?.(world);
  const history = new History(world, site, { createApp, connect: site.connect, beside });
  const rejected = (error: unknown): void => {
    // The code of a device that is gone ends wherever it was.
    if (error instanceof SimCrash) return;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.fail("error", `nobody handled ${stack.split("\n").slice(0, 4).join(" | ")}`);
  };
  process.on("unhandledRejection", rejected);
  try {
    history.run();
  } finally {
    process.off("unhandledRejection", rejected);
    site.close?.();
    world.parts.close();
  }
  return {
    profile: plan.profile,
    seed: plan.seed,
    failure: world.failure,
    trace: world.trace,
    events: world.events,
    edits: world.ledger.edits,
    time: world.timeline.now,
    plan,
    decisions: options.record,
  };
}

function modelSite(world: World): Site {
  const server = new LogServer(world.suite, world.plan.knobs.keepsPrev);
  const network = new Network(world, server);
  return {
    shelf: server,
    connect: (node, life) => network.connect(node, life),
    deceive: (node, ms, random) => network.deceive(node, ms, random),
  };
}

class History {
  readonly #world: World;
  readonly #site: Site;
  readonly #shelf: Shelf;
  readonly #host: Host;
  readonly #nodes: SimNode[] = [];
  #clones = 0;
  /** Every member has said something after the faults. */
  #spoken = false;

  constructor(world: World, site: Site, host: Host) {
    this.#world = world;
    this.#site = site;
    this.#shelf = site.shelf;
    this.#host = host;
  }

  run(): void {
    const world = this.#world;
    const { timeline, plan } = world;
    for (const step of plan.steps) timeline.after(step.at, () => this.#do(step));
    world.run((plan.steps.at(-1)?.at ?? 0) + 1_000);
    this.#heal();
    // What hangs in the network when the faults end is part of them.
    world.run(Math.max(timeline.now, world.hangsUntil) + 1_000);
    this.#speak();
    const { nudge } = plan.knobs;
    if (nudge) this.#nudge();
    this.#settle("after the faults", nudge ? QUIET.nudged : QUIET.alone);
    if (plan.persons !== undefined && world.failure === undefined) {
      letAllIn(world, this.#nodes);
      // Whoever wrote behind an entry that nobody signed may be gone since: somebody has to say something.
      for (const node of this.#nodes) node.edit("small", 2_000_000 + node.index);
      this.#spoken = true;
      this.#settle("after all who asked were let in", QUIET.alone);
    }
    this.#restart();
    this.#settle("after a restart of every device", QUIET.alone);
    this.#join();
    this.#settle("after a new device joined", QUIET.alone);
    this.#probe();
    if (world.failure === undefined) judgeHistory(world, this.#shelf, this.#nodes, this.#host.createApp);
    const lost = world.failure === undefined ? this.#host.beside?.judge(this.#nodes) : undefined;
    if (lost !== undefined) world.fail("ledger", lost);
  }

  #do(step: Step): void {
    const world = this.#world;
    // Copies of a device are used like the device itself.
    const twins = this.#nodes.filter((n) => n.original === step.device);
    const node = twins[step.id % Math.max(1, twins.length)];
    world.mix(step.id, step.device);
    world.mark(step.do);
    world.say(() => `${String.fromCharCode(97 + step.device)}  step ${step.id}: ${step.do} ${step.ms}`);
    const { do: what } = step;
    if (what === "boot") {
      const made = node ?? new SimNode(world, step.device, this.#host);
      if (node === undefined) this.#nodes.push(made);
      made.boot();
    } else if (what === "server-cut") {
      this.#site.powerCut?.(new Stream(world.seed, `cut:${step.id}`));
    } else if (isAttack(what)) {
      attack(world, this.#shelf, what, step.id);
    } else if (node !== undefined) {
      this.#doOn(node, step, what);
    }
  }

  #doOn(node: SimNode, step: Step, what: DeviceStep): void {
    const { life, world } = node;
    switch (what) {
      case "small":
      case "run":
      case "big":
        node.edit(what, step.id);
        break;
      case "act":
        actOn(world, node, step.id);
        break;
      case "thief":
        thief(world, this.#shelf, this.#nodes, step.id);
        break;
      case "sync-now":
        if (life?.engine === undefined) break;
        life.urge();
        void life.engine.syncNow();
        break;
      case "suspend":
        if (life !== undefined) node.sleep(step.ms);
        break;
      case "partition":
        node.cutOffUntil = world.timeline.now + step.ms;
        node.oneWay = step.id % 3 === 0;
        break;
      case "pause":
        life?.urge();
        life?.engine?.pause();
        if (life !== undefined) node.deliver(life, step.ms, () => this.#resume(life));
        break;
      case "clock-jump": {
        const random = new Stream(world.seed, `jump:${step.id}`);
        // An hour, two days, back to 1970, on to 2106.
        node.jump = random.pick([-3_600_000, 3_600_000, -2 * 86_400_000, 2 * 86_400_000, -1.75e12, 2.5e12]);
        break;
      }
      case "kill":
        node.crash(step.ms);
        break;
      case "snapshot":
        node.takeSnapshot();
        break;
      case "restore":
        node.restore();
        break;
      case "torn-append":
        node.torn = true;
        break;
      case "false-ack":
        node.liedTo = true;
        break;
      case "other-end":
        // One at a time, and only where somebody else can say what is true.
        if (this.#nodes.some((n) => n.deceivedFrom !== undefined)) break;
        if (!this.#nodes.some((n) => n !== node && n.life?.engine?.device !== undefined)) break;
        // A membership that only one device saw is made for that place, and cannot be sent again.
        if (life?.engine?.device === undefined) break;
        this.#site.deceive?.(node, step.ms, new Stream(world.seed, `lie:${step.id}`));
        break;
      case "clone": {
        const clone = node.clone(world.plan.knobs.clocks.length - 1 - this.#clones++);
        if (clone === undefined) break;
        this.#nodes.push(clone);
        clone.boot();
        if (world.plan.remote === "server") this.#writeAtOnce([node, clone], step.id);
        break;
      }
    }
  }

  /** Only a server can tell two frames under one number apart before anybody has read either. */
  #writeAtOnce(nodes: readonly SimNode[], step: number): void {
    this.#world.timeline.after(3_000, () => {
      for (const [i, node] of nodes.entries()) node.edit("small", 3_000_000 + 2 * step + i);
    });
  }

  /** A person's word counts before a remote's. */
  #resume(life: Life): void {
    if (life.engine?.sync?.facts().state !== "paused") return;
    life.urge();
    life.engine.resume();
  }

  #heal(): void {
    const world = this.#world;
    world.chaos = false;
    world.say(() => "the faults are over");
    this.#site.heal?.();
    for (const node of this.#nodes) {
      node.wakeUp();
      node.cutOffUntil = 0;
      node.liedTo = false;
      node.torn = false;
      node.lie = undefined;
      const again = node.home.halt === "op-reused" || node.home.halt === "device-removed";
      if (again && node.random.chance(0.5)) node.enrolAnew();
      if (node.life === undefined) node.boot();
      else this.#resume(node.life);
    }
    this.#host.beside?.healed(this.#nodes);
  }

  /** What an operating system tells its programs when the network is back. */
  #nudge(): void {
    for (const { life } of this.#nodes) {
      if (life === undefined) continue;
      life.urge();
      life.engine?.sync?.dispatch("now");
    }
  }

  #restart(): void {
    if (this.#world.failure !== undefined) return;
    for (const node of this.#nodes) {
      node.crash(0);
      // What it tells again about its state is compared with what it told before.
      node.applied = 0;
      if (node.home.halt !== "op-reused") node.home.halt = undefined;
    }
  }

  #join(): void {
    if (this.#world.failure !== undefined || this.#shelf.genesis === undefined) return;
    const node = new SimNode(this.#world, 25, this.#host);
    this.#nodes.push(node);
    node.boot();
  }

  /** Only what others sign tells a device that was lied to which end of the log is theirs. */
  #speak(): void {
    const world = this.#world;
    const deceived = this.#nodes.filter((n) => n.deceivedFrom !== undefined);
    const others = this.#nodes.filter((n) => n.deceivedFrom === undefined);
    if (deceived.length === 0) return;
    for (let round = 0; round < SPEECHES && world.failure === undefined; round++) {
      const speakers = others.filter(
        (n) => n.life?.engine?.device !== undefined && n.home.halt === undefined,
      );
      const speaker = speakers[round % Math.max(1, speakers.length)];
      if (speaker === undefined) break;
      speaker.edit("small", 2_000_000 + round);
      world.run(world.timeline.now + 20_000);
      for (const { life } of deceived) {
        life?.urge();
        life?.engine?.sync?.dispatch("now");
      }
      world.run(world.timeline.now + 20_000);
      for (const node of deceived) {
        if (node.deceivedFrom === undefined || !this.#holdsTruth(node)) continue;
        // Told that something was placed where it is not: that ends with its next start.
        if (node.life?.engine?.sync?.facts().halt !== undefined) node.crash(0);
        else node.deceivedFrom = undefined;
      }
      if (deceived.every((n) => n.deceivedFrom === undefined)) return;
    }
    // Nobody is left who could.
    if (deceived.some((n) => n.deceivedFrom !== undefined && !this.#canSpeak()))
      world.ledger.rewritten = true;
  }

  /** What it has applied is what everybody else sees. What only waits may still show it a lie it was told. */
  #holdsTruth(node: SimNode): boolean {
    const engine = node.life?.engine;
    if (engine === undefined) return false;
    const { replica } = engine;
    const { read, applied } = replica.cursor();
    if (applied < read && engine.sync?.facts().halt === undefined) return false;
    const walk = new ChainWalk(this.#world.suite, replica.vault);
    for (const object of this.#shelf.objects) walk.add(object);
    const { seq, hash } = replica.head();
    const theirs = walk.links[seq];
    return theirs !== undefined && equalBytes(hash, theirs);
  }

  #canSpeak(): boolean {
    return this.#nodes.some(
      (n) =>
        n.deceivedFrom === undefined && n.life?.engine?.device !== undefined && n.home.halt === undefined,
    );
  }

  /** In a rewritten history each device says something: only then can others see where it stands. */
  #probe(): void {
    const world = this.#world;
    if (world.failure !== undefined || !world.ledger.rewritten) return;
    for (const node of this.#nodes) node.edit("small", 1_000_000 + node.index);
    world.run(world.timeline.now + QUIET.alone + UNSIGNED_WAIT);
  }

  /** Until every device has all of the log and nothing to send. */
  #settle(when: string, limit: number): void {
    const world = this.#world;
    if (world.failure !== undefined) return;
    const { timeline, ledger } = world;
    const quiet = (): boolean => this.#nodes.every((node) => this.#unquiet(node) === undefined);
    // A file that a server's power cut tore is garbage that nobody planted.
    const torn = world.plan.remote === "folder" ? 1 : 0;
    const extra = Math.min(2, Math.max(torn, ledger.unsigned.size)) * UNSIGNED_WAIT;
    if (world.run(timeline.now + limit + extra, quiet)) return;
    const waits = this.#nodes.map((node) => this.#unquiet(node)).filter((why) => why !== undefined);
    if (!ledger.rewritten) world.fail("quiet", `${when}, ${limit + extra} ms: ${waits.join("; ")}`);
  }

  /** As somebody knows who has read that far. */
  #isOut(device: number | undefined): boolean {
    return this.#nodes.some(({ life }) => {
      const replica = life?.engine?.replica;
      if (replica === undefined || device === undefined) return false;
      return replica.read((tx) => replica.membership.device(tx, device)?.removedAt !== undefined);
    });
  }

  #unquiet(node: SimNode): string | undefined {
    const { life, home, name } = node;
    const engine = life?.engine;
    // Stopped for good; one that goes on after all owes the same as the others.
    if (home.halt !== undefined && (engine === undefined || engine.sync?.facts().halt !== undefined))
      return undefined;
    // Without its first device there is no vault to join.
    if (this.#shelf.genesis === undefined && !this.#nodes.some((n) => n.index === 0)) return undefined;
    // A device that was lied to stops until its next start, also the one that others need to join.
    const { lied } = this.#world.ledger;
    if (engine === undefined && lied && this.#nodes.some((n) => n.home.halt !== undefined)) return undefined;
    // Whom nobody has let in waits for no one here.
    if (home.person > 0 && engine?.device === undefined && life?.joining === undefined) return undefined;
    if (life === undefined || engine === undefined) return `${name} joins (${life?.joining ?? "no answer"})`;
    const { replica, sync } = engine;
    const { pending } = replica.waiting();
    const { applied } = replica.cursor();
    const { head } = this.#shelf;
    const { unsigned, planted } = this.#world.ledger;
    let signed = applied + 1;
    // Entries that nobody signed need no one to pass them until somebody has something to say.
    if (unsigned.has(signed)) while (signed <= head && planted.has(signed)) signed++;
    if (owesRotation(replica)) return `${name} has not made the epoch that is due`;
    if (pending === 0 && signed > head) return this.#host.beside?.unquiet(life);
    const facts = sync?.facts();
    // Who is out gets no list of envelopes either, and may not come as far as the entry that says so.
    const { failure } = facts ?? {};
    const isShutOut = failure?.kind === "denied" && failure.cause === "device-removed";
    if (isShutOut && this.#isOut(engine.device)) return undefined;
    const unspoken = this.#world.plan.persons !== undefined && !this.#spoken;
    if (unspoken && pending === 0 && facts?.stuck?.why === "unsigned") return undefined;
    return `${name} is ${facts?.state} at ${applied} of ${head} with ${pending} edits${facts?.stuck === undefined ? "" : `, stuck: ${facts.stuck.why}`}`;
  }
}
