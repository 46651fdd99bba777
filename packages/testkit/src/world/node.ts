/** A device of the simulated world: its disk, its clocks, its boots, and the host that runs the engine. */
import {
  type DeviceSeeds,
  deviceKeys,
  drawDeviceSeeds,
  type SecretKeys,
} from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import type { EnginePoint } from "@tidelock/core/engine/points";
import {
  beginReplica,
  createReplica,
  type Replica,
  replicaSpaces,
  storedGenesis,
} from "@tidelock/core/engine/replica";
import type { SyncEnv } from "@tidelock/core/engine/sync";
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import type { Tx } from "@tidelock/core/log/tx";
import type { Remote } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import { joinBytes } from "@tidelock/core/vault/records";
import type { App, EditKind } from "./app.ts";
import type { Beside } from "./beside.ts";
import type { FaultKind } from "./faults.ts";
import type { RunRecord } from "./ledger.ts";
import type { Lie } from "./lie.ts";
import type { DiskImage } from "./parts.ts";
import { Stream } from "./random.ts";
import { SimStore } from "./sim-store.ts";
import { type Asking, SimCrash, type Site, type World } from "./world.ts";

/** What survives a crash of a device, and moves with its disk. */
export interface Home {
  readonly name: string;
  readonly seeds: DeviceSeeds;
  readonly keys: SecretKeys;
  readonly localKey: Uint8Array;
  readonly founder: boolean;
  /** Whose it is: 0 is the founder, whose words admit; others are let in by a device of the vault. */
  readonly person: number;
  disk: DiskImage | undefined;
  /** Edits that were committed on it, in order. */
  readonly runs: RunRecord[];
  /** Went back in time, or lives twice: its engine may find that out and stop. */
  doubled: boolean;
  /** Why its engine stopped for good. */
  halt: string | undefined;
}

/** One vault's remote as a device reaches it; everything may go wrong in between. */
export type Connect = (node: SimNode, life: Life) => Remote;

export interface Host {
  readonly createApp: (suite: Suite) => App;
  readonly connect: Connect;
  readonly beside?: Beside | undefined;
}

const PROCESS: readonly FaultKind[] = ["kill", "power-cut"];
const DISK: readonly FaultKind[] = ["kill", "power-cut", "disk-full"];
/** Failures of a join that a host meets by trying again. */
const temporary: ReadonlySet<ErrorCode> = new Set([
  "not-found",
  "unreachable",
  "key-missing",
  "remote-corrupt",
  "remote-denied",
  "login",
  "quota",
  "disk-full",
]);
const JOIN_AGAIN = 2_000;

/** One boot of a device, from power on to crash. */
export class Life {
  alive = true;
  readonly node: SimNode;
  readonly app: App;
  readonly store: SimStore;
  readonly env: SyncEnv;
  readonly remote: Remote;
  readonly monoOrigin: number;
  replica: Replica | undefined;
  engine: ReturnType<typeof createEngine> | undefined;
  /** What a failing join last ended with. */
  joining: ErrorCode | undefined;
  unwake: (() => void) | undefined;
  /** No call of the engine may come before: a remote said so. */
  notBefore = 0;
  /** How often a person or the system told it not to wait: what was asked before that is void. */
  urged = 0;

  constructor(node: SimNode, host: Host) {
    const { world, home } = node;
    this.node = node;
    this.app = host.createApp(node.suite);
    this.monoOrigin = node.random.int(0, 1_000_000);
    const disk = home.disk?.open() ?? world.parts.newDisk(replicaSpaces([this.app.kind]));
    const shown = this.app.kind.spaces.map((space) => space.name);
    this.store = new SimStore(disk, shown, {
      before: () => this.#step(node.sites.begin),
      commit: () => this.#step(node.sites.commit),
      after: () => this.#step(node.sites.committed),
    });
    this.env = {
      suite: node.suite,
      clock: {
        now: () => {
          this.check();
          return node.wall();
        },
        mono: () => {
          this.check();
          return world.timeline.now - node.asleep + this.monoOrigin;
        },
      },
      scheduler: { after: (ms, work) => this.after(ms, work) },
      log: { event: (name, fields) => this.#event(name, fields) },
      point: (name) => this.point(name),
    };
    this.remote = host.connect(node, this);
  }

  urge(): void {
    this.notBefore = 0;
    this.urged++;
  }

  check(): void {
    if (!this.alive) throw new SimCrash();
  }

  /** A timer of the device: stands still while it sleeps, gone when it crashes. */
  after(ms: number, work: () => void): () => void {
    this.check();
    let wanted = true;
    this.node.deliver(this, ms, () => {
      if (wanted) work();
    });
    return () => {
      wanted = false;
    };
  }

  point(name: EnginePoint): void {
    this.check();
    this.node.world.mark(name);
    if (name === "apply.after-commit") this.node.world.ledger.observe(this.node, this);
    if (name === "rebuild.after-commit") this.node.world.ledger.rebuilt(this.node, this);
    this.#step(this.node.pointSite(name));
  }

  /** A place where the device may end, and after which it is gone if it did. */
  pass(site: Site): void {
    this.#step(site);
  }

  #step(site: Site): void {
    this.check();
    const decision = this.node.world.decide(site);
    if (decision === undefined) return;
    if (decision.fault === "disk-full") {
      if (site === this.node.sites.begin && this.store.fill()) return;
      throw new TidelockError("disk-full", { why: "simulated" });
    }
    this.node.crash(decision.ms, decision.fault === "power-cut");
    throw new SimCrash();
  }

  #event(name: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    this.check();
    const { world } = this.node;
    world.say(() => `${this.node.name}  ${name} ${JSON.stringify(fields)}`);
    const code = String(fields?.["code"]);
    if (name === "sync.halt") world.ledger.halted(this.node, code);
    if (name !== "sync.error" || code === "disk-full") return;
    // A server that goes down amid the proof that it orders writes has not proved it: asked again later.
    if (code === "remote-no-cas" && this.node.world.plan.remote === "folder") return;
    world.fail("error", `${this.node.name}: the engine failed with ${code}`);
  }
}

export class SimNode {
  readonly world: World;
  readonly name: string;
  readonly index: number;
  /** The device whose steps are also its own: another's for a copy. */
  original: number;
  readonly random: Stream;
  readonly suite: Suite;
  readonly sites: { readonly begin: Site; readonly commit: Site; readonly committed: Site };
  readonly #host: Host;
  readonly #points = new Map<string, Site>();
  home: Home;
  life: Life | undefined;
  /** Homes that were given up, with what they still hold. */
  readonly left: Home[] = [];
  snapshot: { readonly disk: DiskImage | undefined; readonly runs: number } | undefined;
  booted = false;
  rebooting = false;
  asleepUntil = 0;
  asleep = 0;
  /** What came due while it slept. */
  #slept: (() => void)[] = [];
  cutOffUntil = 0;
  /** Replies are lost, requests are not. */
  oneWay = false;
  jump = 0;
  /** The next append is acknowledged and thrown away. */
  liedTo = false;
  /** The remote's holder places only some frames of the next append. */
  torn = false;
  /** What the remote's holder shows to this device alone. */
  lie: Lie | undefined;
  /** It may have applied what was shown to it alone, after this seq. */
  deceivedFrom: number | undefined;
  /** The newest seq it has applied, over all its lives on this disk. */
  applied = 0;
  /** Calls of the current virtual minute. */
  minute = 0;
  calls = 0;
  failures = 0;

  constructor(world: World, index: number, host: Host, home?: Home) {
    this.world = world;
    this.index = index;
    this.original = index;
    this.name = String.fromCharCode(97 + index);
    this.#host = host;
    this.random = new Stream(world.seed, `env:${this.name}`);
    this.suite = world.ledger.watch(world.parts.suite((n) => this.random.bytes(n)));
    this.sites = {
      begin: world.site(`${this.name}/store.begin`, DISK),
      commit: world.site(`${this.name}/store.commit`, DISK),
      committed: world.site(`${this.name}/store.committed`, PROCESS),
    };
    this.home = home ?? this.#newHome();
  }

  #newHome(): Home {
    const seeds = drawDeviceSeeds(this.suite);
    return {
      name: `${this.name}${this.left.length === 0 ? "" : this.left.length}`,
      seeds,
      keys: deviceKeys(this.suite, seeds),
      localKey: this.suite.random(32),
      founder: this.index === 0 && this.left.length === 0,
      person: this.world.plan.persons?.[this.index] ?? 0,
      disk: undefined,
      runs: [],
      doubled: false,
      halt: undefined,
    };
  }

  pointSite(name: string): Site {
    let site = this.#points.get(name);
    if (site === undefined) {
      site = this.world.site(`${this.name}/${name}`, PROCESS);
      this.#points.set(name, site);
    }
    return site;
  }

  wall(): number {
    const { knobs } = this.world.plan;
    const clock = knobs.clocks[this.index] ?? { offset: 0, drift: 0 };
    const now = this.world.timeline.now;
    const exact = knobs.epoch + clock.offset + this.jump + now * (1 + clock.drift);
    return Math.max(0, Math.floor(exact / knobs.tick) * knobs.tick);
  }

  /** Does `work` on this device after `ms`: later if it sleeps then, never if this boot of it has ended. */
  deliver(life: Life, ms: number, work: () => void): void {
    const { timeline } = this.world;
    timeline.after(ms, () => {
      if (!life.alive) return;
      if (this.asleepUntil > timeline.now) this.#slept.push(() => life.alive && work());
      else work();
    });
  }

  sleep(ms: number): void {
    const { timeline } = this.world;
    const until = timeline.now + ms;
    if (until <= this.asleepUntil) return;
    this.asleep += until - Math.max(this.asleepUntil, timeline.now);
    this.asleepUntil = until;
    timeline.after(ms, () => {
      if (this.asleepUntil <= timeline.now) this.wakeUp();
    });
  }

  wakeUp(): void {
    const { timeline } = this.world;
    this.asleep -= Math.max(0, this.asleepUntil - timeline.now);
    this.asleepUntil = 0;
    for (const work of this.#slept) timeline.after(0, work);
    this.#slept = [];
  }

  /** Ends this boot; the disk keeps what was committed. Power comes back after `ms`. */
  crash(ms: number, power = false): void {
    const { life, world } = this;
    if (life === undefined) return;
    life.alive = false;
    this.#host.beside?.ended(life, power);
    this.home.disk = life.store.kill(
      power ? new Stream(world.seed, `store:${this.name}:${world.timeline.now}`) : undefined,
    );
    life.unwake?.();
    this.life = undefined;
    world.mix(this.index + 1, 77);
    world.say(() => `${this.name}  is gone for ${ms} ms`);
    this.rebooting = true;
    world.timeline.after(ms, () => {
      this.rebooting = false;
      if (this.life === undefined) this.boot();
    });
  }

  boot(): void {
    this.booted = true;
    if (this.life !== undefined) return;
    const life = new Life(this, this.#host);
    this.life = life;
    this.world.say(() => `${this.name}  starts`);
    this.#run(life).catch((error: unknown) => {
      if (!(error instanceof SimCrash)) this.world.fail("error", `${this.name}: ${describe(error)}`);
    });
  }

  /** What a program that embeds the engine does at its start. */
  async #run(life: Life): Promise<void> {
    const { home, suite, world } = this;
    const { env, store, remote, app } = life;
    const make = (genesis: Parameters<typeof createReplica>[1]["genesis"]): Replica => {
      const { keys, localKey } = home;
      life.replica = createReplica(env, { store, genesis, keys, localKey, kinds: [app.kind] });
      return life.replica;
    };
    const stored = storedGenesis(suite, store);
    let replica: Replica;
    if (stored !== undefined) {
      replica = make(stored);
    } else if (home.founder) {
      replica = make(makeGenesis(suite, env.clock, world.person, home.keys));
      await this.#retry(life, async () =>
        foundVault(suite, env.clock, replica, { vault: "home", device: this.name }),
      );
    } else {
      replica = await this.#retry(life, async () => make(await findVault(suite, remote, world.person)));
    }
    if (home.person > 0) {
      await this.#retry(life, async () => {
        if (replica.read((tx) => replica.membership.devices(tx).length) === 0)
          replica.write((tx) => beginReplica(replica, tx, true));
      });
      world.asking.set(home.name, asking(world, home, replica.vault));
    }
    // A copy of a disk that was still joining finds itself admitted by its twin, without the key.
    const ready = replica.read((tx) => replica.ownDevice(tx) !== undefined && holdsSomeKey(replica, tx));
    if (!ready && home.person === 0)
      await this.#retry(life, () =>
        joinVault(suite, env.clock, replica, remote, world.person, this.name, env.scheduler),
      );
    life.check();
    life.joining = undefined;
    life.urge();
    const engine = createEngine({ env, replica, remote });
    life.engine = engine;
    engine.onChange(() => this.#look(life));
    world.ledger.resumed(this, life);
    engine.start();
    this.#host.beside?.started(life);
  }

  async #retry<T>(life: Life, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof TidelockError)) throw error;
        life.joining = error.code;
        this.world.say(() => `${this.name}  ${error.message}`);
        if (!temporary.has(error.code)) {
          this.world.ledger.halted(this, error.code);
          return new Promise(() => undefined);
        }
      }
      await new Promise<void>((resolve) => this.deliver(life, JOIN_AGAIN, resolve));
    }
  }

  #look(life: Life): void {
    if (!life.store.touched) return;
    life.store.touched = false;
    const half = life.replica?.read((tx) => life.app.halfShown(tx));
    if (half !== undefined) this.world.fail("reads", `${this.name}: ${half}`);
  }

  /** One edit by the app; nothing where the device is off or not yet a member. */
  edit(what: EditKind, step: number): void {
    const { life, world } = this;
    const engine = life?.engine;
    if (this.asleepUntil > world.timeline.now) return;
    const random = new Stream(world.seed, `edit:${step}`);
    const { beside } = this.#host;
    if (beside !== undefined) {
      beside.act(this, what, { random, now: this.wall(), marker: step + 1 });
      return;
    }
    if (life === undefined || engine === undefined) return;
    if (engine.device === undefined && this.home.person > 0) return;
    let shown: (() => boolean) | undefined;
    try {
      engine.write((tx) => {
        const edit = life.app.edit(tx, what, { random, now: this.wall(), marker: step + 1 });
        if (edit === undefined) return;
        if (edit.wrong !== undefined) world.fail("intent", `${this.name}: ${edit.wrong}`);
        const id = engine.submit(tx, { frames: edit.frames });
        const run = world.ledger.tried(this.home, id, edit.frames);
        life.store.onCommit(() => world.ledger.committed(this, life, run));
        shown = () => engine.read((after) => edit.shown(after));
      });
    } catch (error) {
      if (error instanceof TidelockError && (error.code === "disk-full" || error.code === "no-access"))
        return;
      throw error;
    }
    if (shown !== undefined && !shown())
      world.fail("reads", `${this.name}: does not see its own edit ${step}`);
  }

  /** The disk becomes what it was at the snapshot. */
  restore(): void {
    const { snapshot } = this;
    if (snapshot === undefined || this.life === undefined || this.home.halt !== undefined) return;
    this.crash(1_000);
    this.home.disk = snapshot.disk;
    this.home.doubled = true;
    this.applied = 0;
    for (const run of this.home.runs.slice(snapshot.runs)) run.undone = true;
  }

  takeSnapshot(): void {
    if (this.life?.engine === undefined || this.snapshot !== undefined) return;
    this.snapshot = { disk: this.life.store.image(), runs: this.home.runs.length };
  }

  /** Another machine starts with a copy of this device's disk. */
  clone(index: number): SimNode | undefined {
    // Twins of a founder that has not founded yet would found two vaults.
    const unfounded = this.home.founder && this.life?.engine === undefined;
    if (this.life === undefined || unfounded || this.home.halt !== undefined) return undefined;
    this.home.doubled = true;
    const home: Home = { ...this.home, name: `${this.home.name}'`, disk: this.life.store.image(), runs: [] };
    const twin = new SimNode(this.world, index, this.#host, home);
    twin.original = this.original;
    return twin;
  }

  /** A person follows the advice of `op-reused`: this machine joins again as a new device. */
  enrolAnew(): void {
    if (this.life === undefined) return;
    this.crash(500);
    this.left.push(this.home);
    this.home = this.#newHome();
    this.applied = 0;
    this.snapshot = undefined;
  }
}

/** The first key that a joining device gets may be of any epoch. */
function holdsSomeKey(replica: Replica, tx: Tx): boolean {
  const newest = replica.membership.newestEpoch(tx)?.n;
  for (let n = 1; n <= (newest ?? 0); n++) if (replica.ring.epochKey(tx, n) !== undefined) return true;
  return newest === undefined;
}

function asking(world: World, home: Home, vault: Uint8Array): Asking {
  const { suite } = world;
  const person = world.personOf(home.person);
  const { sign, box } = home.keys;
  return {
    person: home.person,
    device: { sign, box },
    certificate: issueCertificate(suite, person, home.keys, 0).bytes,
    joinSignature: suite.sign(joinBytes(vault, person, home.keys), home.keys.signSecret),
  };
}

function describe(error: unknown): string {
  return error instanceof Error
    ? (error.stack ?? error.message).split("\n").slice(0, 4).join(" | ")
    : String(error);
}
