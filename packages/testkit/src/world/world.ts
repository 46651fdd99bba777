/** One simulated history: virtual time, the faults it draws, what its devices did, and what went wrong. */
import { type PublicKeys, personKeys, type SecretKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { type Decision, durationOf, type FaultKind } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { fastParts, type Parts } from "./parts.ts";
import type { Plan } from "./plan.ts";
import { Stream } from "./random.ts";
import { Timeline } from "./timeline.ts";

/** Thrown into the code of a device that is gone. No product code may stop it from being gone. */
export class SimCrash extends Error {
  override readonly name = "SimCrash";
}

export type Oracle =
  | "chain"
  | "acked"
  | "intent"
  | "ghost"
  | "digest"
  | "outbox"
  | "reads"
  | "quiet"
  /** Something that somebody saved is nowhere any more. */
  | "ledger"
  /** Somebody reads or writes who may not, or cannot although he may. */
  | "access"
  | "sealed"
  | "bounded"
  /** Product code threw what it should not, or stopped for no reason. */
  | "error"
  /** A run of the same seed went another way. */
  | "repeat"
  /** No end within the time of the real world. */
  | "hang";

export interface Violation {
  readonly oracle: Oracle;
  readonly detail: string;
  /** Virtual ms. */
  readonly at: number;
}

/** What pairing hands to whoever lets a device in. */
export interface Asking {
  readonly person: number;
  readonly device: PublicKeys;
  readonly certificate: Uint8Array;
  readonly joinSignature: Uint8Array;
}

/** Where something can go wrong, with its own dice. */
export interface Site {
  readonly name: string;
  readonly hash: number;
  readonly kinds: readonly FaultKind[];
  readonly rates: readonly number[];
  readonly total: number;
  readonly random: Stream;
  count: number;
}

export class World {
  readonly plan: Plan;
  readonly seed: bigint;
  readonly timeline: Timeline;
  readonly parts: Parts;
  readonly suite: Suite;
  /** The founder's. */
  readonly person: SecretKeys;
  readonly #persons = new Map<number, SecretKeys>();
  /** Devices that want in, by the name of their home, and whose they are. */
  readonly asking: Map<string, Asking> = new Map();
  readonly ledger: Ledger;
  readonly #sites = new Map<string, Site>();
  readonly #record: Record<string, Decision> | undefined;
  readonly #marks: Map<string, number> | undefined;
  readonly #say: ((line: string) => void) | undefined;
  #trace1 = 0x9e3779b9;
  #trace2 = 0x85ebca6b;
  /** False once the faults are over. */
  chaos = true;
  failure: Violation | undefined;
  /** Until then a call that something went wrong with may be without an answer. */
  hangsUntil = 0;
  events = 0;

  constructor(plan: Plan, options: WorldOptions) {
    this.plan = plan;
    this.seed = BigInt(plan.seed);
    const ties = new Stream(this.seed, "ties");
    this.timeline = new Timeline(plan.knobs.shuffle ? () => ties.u32() : () => 0);
    const random = new Stream(this.seed, "world");
    this.parts = plan.layer === 3 ? realParts(options) : fastParts;
    this.suite = this.parts.suite((n) => random.bytes(n));
    this.person = personKeys(this.suite, random.bytes(32));
    this.ledger = new Ledger(this);
    this.#record = options.record;
    this.#marks = options.marks;
    this.#say = options.say;
  }

  personOf(index: number): SecretKeys {
    if (index === 0) return this.person;
    let keys = this.#persons.get(index);
    if (keys === undefined) {
      const random = new Stream(this.seed, `person:${index}`);
      keys = personKeys(this.suite, random.bytes(32));
      this.#persons.set(index, keys);
    }
    return keys;
  }

  /** `make` lists what can happen there; asked once. */
  site(name: string, kinds: readonly FaultKind[]): Site {
    let site = this.#sites.get(name);
    if (site === undefined) {
      const { rates } = this.plan;
      const known = kinds.filter((kind) => rates[kind] !== undefined);
      const list = known.map((kind) => rates[kind] as number);
      const random = new Stream(this.seed, name);
      site = {
        name,
        hash: random.u32(),
        kinds: known,
        rates: list,
        total: list.reduce((sum, rate) => sum + rate, 0),
        random,
        count: 0,
      };
      this.#sites.set(name, site);
    }
    return site;
  }

  /** What goes wrong here now, if anything. */
  decide(site: Site): Decision | undefined {
    site.count++;
    if (!this.chaos) return undefined;
    const { decisions } = this.plan;
    let decision: Decision | undefined;
    if (decisions !== undefined) {
      decision = decisions[`${site.name}#${site.count}`];
    } else if (site.total > 0) {
      let die = site.random.float();
      for (let i = 0; i < site.kinds.length; i++) {
        die -= site.rates[i] as number;
        if (die < 0) {
          const fault = site.kinds[i] as FaultKind;
          decision = { fault, ms: durationOf(fault, site.random) };
          break;
        }
      }
    }
    if (decision === undefined) return undefined;
    this.mix(site.hash ^ site.count, decision.ms);
    this.#marks?.set(decision.fault, (this.#marks.get(decision.fault) ?? 0) + 1);
    if (this.#record !== undefined) this.#record[`${site.name}#${site.count}`] = decision;
    this.#say?.(`${site.name}#${site.count}  ${decision.fault} ${decision.ms}`);
    return decision;
  }

  /** Counts a place that was passed, for coverage. */
  mark(name: string): void {
    if (this.#marks !== undefined) this.#marks.set(name, (this.#marks.get(name) ?? 0) + 1);
  }

  say(text: () => string): void {
    if (this.#say !== undefined) this.#say(text());
  }

  /** The first violation ends the history at the next event. */
  fail(oracle: Oracle, detail: string): void {
    this.failure ??= { oracle, detail, at: this.timeline.now };
    this.say(() => `FAILED ${oracle}: ${detail}`);
  }

  /** Takes something that must repeat into the trace. */
  mix(a: number, b: number): void {
    this.#trace1 = Math.imul(this.#trace1 ^ a ^ (this.timeline.now | 0), 0x9e3779b1);
    this.#trace1 ^= this.#trace1 >>> 15;
    this.#trace2 = Math.imul(this.#trace2 ^ b ^ this.#trace1, 0x85ebca77);
    this.#trace2 ^= this.#trace2 >>> 13;
  }

  get trace(): string {
    return `${(this.#trace1 >>> 0).toString(16)}-${(this.#trace2 >>> 0).toString(16)}-${this.events}`;
  }

  /** Runs until `end` or until `done` says so, asked every virtual 250 ms. */
  run(end: number, done?: () => boolean): boolean {
    const { timeline } = this;
    let ask = timeline.now;
    while (this.failure === undefined) {
      if (done !== undefined && timeline.now >= ask) {
        if (done()) return true;
        ask = timeline.now + 250;
      }
      let more = false;
      try {
        more = timeline.step(end);
      } catch (error) {
        more = true;
        if (!(error instanceof SimCrash)) {
          const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
          this.fail("error", stack.split("\n").slice(0, 6).join(" | "));
        }
      }
      drain();
      if (!more) return done?.() ?? true;
      if (++this.events > MOST_EVENTS) this.fail("bounded", `more than ${MOST_EVENTS} events`);
    }
    return false;
  }
}

const MOST_EVENTS = 400_000;

function realParts({ realParts: make }: WorldOptions): Parts {
  if (make === undefined) throw new RangeError("histories of layer 3 need what ships");
  return make();
}

export interface WorldOptions {
  /** What devices are made of in histories of layer 3. */
  readonly realParts?: (() => Parts) | undefined;
  /** Receives every decision, by `<place>#<occurrence>`. */
  readonly record?: Record<string, Decision> | undefined;
  /** Receives how often each point was passed and each fault drawn. */
  readonly marks?: Map<string, number> | undefined;
  readonly say?: ((line: string) => void) | undefined;
}

/**
 * Runs every promise reaction that is due. Node's own end-of-callback step, called by name: a turn of
 * the event loop for each simulated event would take six times as long.
 */
export const drain: () => void = (process as unknown as { readonly _tickCallback: () => void })._tickCallback;
