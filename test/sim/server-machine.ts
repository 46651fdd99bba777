/** The machine that the server runs on: it crashes, comes back, and may come back with an older file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock } from "@tidelock/core/ports";
import type { Call } from "@tidelock/server/http/call";
import type { Db } from "@tidelock/server/sqlite/file";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";
import { disks } from "./scratch.ts";
import { Boot, type Exchange, type Line, signer } from "./server-boot.ts";
import type { DiskHabits } from "./server-disk.ts";
import type { Ear } from "./server-wake.ts";

const DAY = 86_400_000;
const REQUEST: readonly FaultKind[] = ["server-down"];
/** `synchronous` of a connection whose commits are flushed (SQLite, "PRAGMA synchronous"). */
const FULL = 2;
const IMAGES = 8;

export class ServerMachine {
  readonly #world: World;
  readonly #suite: Suite;
  readonly #folder: string;
  readonly #habits: DiskHabits;
  readonly #random: Stream;
  readonly #signing: ReturnType<Suite["signPair"]>;
  readonly blobs = new Map<string, Uint8Array>();
  /** Processes on the one file. */
  readonly #running: Boot[] = [];
  readonly #processes: number;
  #boots = 0;
  /** The file as it was after each of the newest commits, where it may go back to one. */
  #images: { readonly head: number; readonly bytes: Uint8Array }[] = [];
  /** Its commits do not wait for the disk: a power cut takes the newest. */
  #lax = false;
  #files = 0;
  #closed = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Stream(world.seed, "server");
    this.#suite = world.parts.suite((n) => this.#random.bytes(n));
    this.#signing = this.#suite.signPair(this.#random.bytes(32));
    const flush = this.#random.logUniform(0.2, 20);
    const stalls = this.#random.chance(0.5) ? this.#random.logUniform(0.01, 0.3) : 0;
    this.#processes = this.#random.chance(0.3) ? 2 : 1;
    // Slow enough that two processes often write at one moment.
    this.#habits = { flush: this.#processes === 2 ? 25 * flush : flush, stalls };
    mkdirSync(disks(), { recursive: true });
    this.#folder = mkdtempSync(join(disks(), "server-"));
    this.start();
  }

  get path(): string {
    return join(this.#folder, `${this.#files}.db`);
  }

  start(): void {
    while (this.#running.length < this.#processes) this.#startOne();
  }

  #startOne(): void {
    const world = this.#world;
    this.#boots++;
    world.say(() => "server  starts");
    const { epoch, stampOffset } = world.plan.knobs;
    const random = new Stream(world.seed, `boot:${this.#boots}`);
    // A machine may come back with another time.
    const jumps = world.plan.rates["clock-jump"] !== undefined && this.#boots > this.#processes;
    const jump = jumps ? random.pick([0, -2 * DAY, -3_600_000, 3_600_000]) : 0;
    const clock: Clock = {
      now: () => Math.floor(epoch + stampOffset + jump + world.timeline.now),
      mono: () => world.timeline.now,
    };
    const user = {
      clock,
      suite: this.#suite,
      random: (n: number) => this.#random.bytes(n),
      signer: signer(this.#suite, this.#signing, clock),
      blobs: this.blobs,
      path: this.path,
      habits: this.#habits,
      seed: random,
      durable: (db: Db) => this.#keep(db),
    };
    const boot = new Boot(world, user, (powerless) =>
      powerless ? this.powerCut() : this.#end([boot], false),
    );
    this.#running.push(boot);
  }

  /** All processes are gone at once, and nobody is told. */
  powerCut(): void {
    this.#end([...this.#running], true);
    if (this.#lax) this.#goBack(this.#images.at(-2));
  }

  /** The faults are over: also for one whose disk has failed, or that has lost its power and nobody knows yet. */
  restart(): void {
    this.#end([...this.#running], false);
    this.start();
  }

  #end(processes: readonly Boot[], silent: boolean): void {
    const world = this.#world;
    const ms = Math.round(new Stream(world.seed, `down:${this.#boots}`).logUniform(10, 20_000));
    world.say(() => `server  ${processes.length} of ${this.#running.length} gone for ${ms} ms`);
    world.mix(this.#boots, 99);
    for (const one of processes) {
      const at = this.#running.indexOf(one);
      if (at >= 0) this.#running.splice(at, 1);
      one.end(silent);
    }
    world.timeline.after(ms, () => {
      if (!this.#closed) this.start();
    });
  }

  /** Whoever runs it puts a backup in the place of its file. */
  restore(entries: number): void {
    const newest = this.#images.at(-1)?.head ?? 0;
    const image = this.#images.findLast((one) => one.head <= newest - entries);
    if (image === undefined) return;
    this.#end([...this.#running], false);
    this.#goBack(image);
  }

  #goBack(image: { readonly bytes: Uint8Array } | undefined): void {
    if (image === undefined) return;
    this.#files++;
    this.#images = [];
    writeFileSync(this.path, image.bytes);
  }

  #keep(db: Db): void {
    this.#lax = (db.pragma("synchronous", { simple: true }) as number) < FULL;
    if (!this.#lax && this.#world.plan.rates.truncate === undefined) return;
    const head = (db.prepare("SELECT head_seq FROM vaults").pluck().get() as number | undefined) ?? 0;
    this.#images.push({ head, bytes: db.serialize() });
    if (this.#images.length > IMAGES) this.#images.shift();
  }

  /** A socket for hints; undefined where nobody listens. */
  listen(address: string, wire: Line): Ear | undefined {
    const boot = this.#any();
    return boot?.server === undefined ? undefined : boot.listen(boot.server, address, wire);
  }

  #any(): Boot | undefined {
    return this.#running.length > 1 ? this.#random.pick(this.#running) : this.#running[0];
  }

  accept(call: Call, exchange: Exchange): void {
    const boot = this.#any();
    if (boot?.server === undefined) {
      exchange.refused();
      return;
    }
    const decision = this.#world.decide(this.#world.site("server/request", REQUEST));
    if (decision !== undefined) boot.dies(this.#random.float() * 50);
    void boot.answer(boot.server, call, exchange);
  }

  close(): void {
    this.#closed = true;
    for (const one of this.#running.splice(0)) one.end(true);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
