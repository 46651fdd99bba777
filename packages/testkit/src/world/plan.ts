/** A history before it runs: plain data, drawn from a seed or read from a file of a found case. */
import type { EditKind } from "./app.ts";
import { type Decision, drawRates, type EventKind, type FaultClass, type Rates } from "./faults.ts";
import { Stream } from "./random.ts";

export interface Profile {
  readonly name: string;
  readonly app: string;
  readonly remote: string;
  /** Lowest and highest number, both included. */
  readonly devices: readonly [number, number];
  readonly edits: readonly [number, number];
  /** How long the chaos lasts, ms. */
  readonly span: readonly [number, number];
  /** Several persons, with roles: how many acts on the membership a device tries. */
  readonly acts?: readonly [number, number];
  /** Fault classes that it never draws. */
  readonly without?: readonly FaultClass[];
}

export interface Knobs {
  /** What is due at one moment comes in random order. */
  readonly shuffle: boolean;
  /** Mean of one way over the network, ms; 0: always 1 ms. */
  readonly latency: number;
  /** Bytes of one page of a read. */
  readonly page: number;
  readonly wake: boolean;
  /** The remote keeps what its writers say of the chain. */
  readonly keepsPrev: boolean;
  /** When the faults end, every device is told that it is online. */
  readonly nudge: boolean;
  /** Wall clock of the start of the history, ms since 1970. */
  readonly epoch: number;
  /** Wall clocks show multiples of this, ms. */
  readonly tick: number;
  /** Added to every receive time. */
  readonly stampOffset: number;
  /** Receive times come from the writer's clock, as in a folder. */
  readonly writerStamps: boolean;
  /** Per device: how far off its clock is, and how fast it runs away. */
  readonly clocks: readonly { readonly offset: number; readonly drift: number }[];
}

export type StepKind = EditKind | EventKind | "boot" | "kill" | "sync-now" | "snapshot" | "act" | "thief";

export interface Step {
  /** Names the step's own randomness; deleting another step leaves it as it is. */
  readonly id: number;
  readonly at: number;
  readonly device: number;
  readonly do: StepKind;
  readonly ms: number;
}

export interface Plan {
  /** 3: devices are made of what ships. Without it, of stand-ins in memory. */
  readonly layer?: 3;
  readonly profile: string;
  readonly app: string;
  readonly remote: string;
  readonly seed: string;
  readonly knobs: Knobs;
  readonly rates: Rates;
  /** Per device whose it is; without it all are the founder's, 0. */
  readonly persons?: readonly number[];
  /** In order of time. */
  readonly steps: readonly Step[];
  /** A replay: these decisions and no others, by `<place>#<occurrence>`. */
  readonly decisions?: Readonly<Record<string, Decision>>;
}

export const profiles: Readonly<Record<string, Profile>> = {
  small: {
    name: "small",
    app: "tables",
    remote: "memory",
    devices: [2, 4],
    edits: [4, 12],
    span: [4_000, 90_000],
  },
  register: {
    name: "register",
    app: "register",
    remote: "memory",
    devices: [2, 4],
    edits: [4, 12],
    span: [4_000, 90_000],
  },
  files: {
    name: "files",
    app: "files",
    remote: "memory",
    devices: [2, 4],
    edits: [4, 12],
    span: [4_000, 90_000],
  },
  // Folders of real files on disks that people share. One device, one disk: a copy of either is another story.
  drive: {
    name: "drive",
    app: "drive",
    remote: "memory",
    devices: [2, 3],
    edits: [4, 14],
    span: [10_000, 120_000],
    without: ["clone", "restore", "rewrite", "truncate", "false-ack", "other-end"],
  },
  folder: {
    name: "folder",
    app: "tables",
    remote: "folder",
    devices: [2, 4],
    edits: [3, 9],
    span: [4_000, 60_000],
  },
  server: {
    name: "server",
    app: "tables",
    remote: "server",
    devices: [2, 4],
    edits: [3, 9],
    span: [4_000, 60_000],
  },
  "server-members": {
    name: "server-members",
    app: "register",
    remote: "server",
    devices: [3, 5],
    edits: [2, 6],
    span: [4_000, 90_000],
    acts: [1, 5],
  },
  members: {
    name: "members",
    app: "register",
    remote: "memory",
    devices: [3, 6],
    edits: [2, 8],
    span: [4_000, 120_000],
    acts: [1, 6],
  },
  large: {
    name: "large",
    app: "tables",
    remote: "memory",
    devices: [4, 8],
    edits: [20, 60],
    span: [20_000, 600_000],
  },
};

const DAY = 86_400_000;
const YEAR = 365 * DAY;

export function drawPlan(profile: Profile, seed: bigint, layer?: 3): Plan {
  const random = new Stream(seed, "plan");
  const drawn = drawRates(new Stream(seed, "swarm"));
  const left = Object.entries(drawn).filter(
    ([name]) => profile.without?.includes(name as FaultClass) !== true,
  );
  const rates: Rates = Object.fromEntries(left);
  const devices = random.int(...profile.devices);
  const span = Math.round(random.logUniform(...profile.span));
  const steps: Step[] = [];
  const add = (at: number, device: number, what: StepKind, ms = 0): void => {
    steps.push({ id: steps.length, at: Math.round(at), device, do: what, ms });
  };

  add(0, 0, "boot");
  for (let d = 1; d < devices; d++)
    add(random.chance(0.5) ? random.float() * 500 : random.float() * span * 0.6, d, "boot");
  const bursts = random.chance(0.4);
  for (let d = 0; d < devices; d++) {
    for (let n = random.int(...profile.edits); n > 0; n--) {
      const at = span * random.float();
      const die = random.float();
      const what = die < 0.8 ? "small" : die < 0.997 ? "run" : "big";
      add(bursts ? Math.floor(at / 3_000) * 3_000 + random.float() * 50 : at, d, what);
    }
    if (random.chance(0.3)) add(span * random.float(), d, "sync-now");
  }
  // A membership frame stands for one place in the log: under another end its device stops, and may stop
  // for good. What such a history promises is less than what these are about.
  const { "other-end": _, ...alike } = rates;
  drawEvents(random, profile.acts === undefined ? rates : alike, devices, span, add);
  const persons = profile.acts === undefined ? undefined : drawActs(seed, profile.acts, devices, span, add);

  const clocks = [];
  for (let d = 0; d < devices + 8; d++) {
    const ahead = rates["year-ahead"] !== undefined && random.chance(0.4) ? YEAR : 0;
    const drift = rates.drift === undefined ? 0 : (random.float() * 2 - 1) * rates.drift;
    clocks.push({
      offset: ahead + Math.round((random.float() - 0.5) * 4) * 1_000 + random.int(0, 99),
      drift,
    });
  }
  const knobs: Knobs = {
    shuffle: random.chance(0.5),
    latency: random.chance(0.1) ? 0 : random.logUniform(2, 200),
    page: random.chance(0.2) ? random.int(1, 2_000) : 1 << 20,
    wake: random.chance(0.7),
    keepsPrev: random.chance(rates.rewrite === undefined ? 0.8 : 0.4),
    nudge: random.chance(0.5),
    epoch: 1_750_000_000_000,
    tick: rates["coarse-clock"] === undefined ? 1 : 1_000,
    stampOffset:
      rates["false-stamps"] === undefined ? 0 : random.pick([-2 * DAY, -3_600_000, 3_600_000, YEAR]),
    writerStamps: rates["writer-stamps"] !== undefined,
    clocks,
  };
  steps.sort((a, b) => a.at - b.at || a.id - b.id);
  return {
    ...(layer === undefined ? {} : { layer }),
    profile: profile.name,
    app: profile.app,
    remote: profile.remote,
    seed: String(seed),
    knobs,
    rates,
    ...(persons === undefined ? {} : { persons }),
    steps,
  };
}

/** Whose each device is, and when it acts on the membership. From a stream of its own. */
function drawActs(
  seed: bigint,
  acts: readonly [number, number],
  devices: number,
  span: number,
  add: Add,
): readonly number[] {
  const random = new Stream(seed, "acts");
  const persons = [0];
  for (let d = 1; d < devices; d++) persons.push(random.chance(0.35) ? 0 : random.int(1, 3));
  for (let d = 0; d < devices; d++)
    for (let n = random.int(...acts); n > 0; n--) add(span * random.float(), d, "act");
  for (let n = random.int(0, 2); n > 0; n--) add(span * random.float(), random.int(0, devices - 1), "thief");
  return persons;
}

type Add = (at: number, device: number, what: StepKind, ms?: number) => void;

function drawEvents(random: Stream, rates: Rates, devices: number, span: number, add: Add): void {
  const times = (expected: number | undefined): number => {
    if (expected === undefined) return 0;
    return Math.floor(expected) + (random.chance(expected % 1) ? 1 : 0);
  };
  const each = (what: EventKind, work: (at: number, device: number) => void): void => {
    for (let n = times(rates[what]); n > 0; n--) work(random.float() * span, random.int(0, devices - 1));
  };
  each("suspend", (at, d) => add(at, d, "suspend", random.logUniform(1_000, 30 * DAY)));
  each("partition", (at, d) => add(at, d, "partition", random.logUniform(100, span)));
  each("pause", (at, d) => add(at, d, "pause", random.logUniform(1_000, span)));
  each("clock-jump", (at, d) => add(at, d, "clock-jump"));
  each("restore", (at, d) => {
    add(random.float() * at, d, "snapshot");
    add(at, d, "restore");
  });
  each("clone", (at, d) => add(at, d, "clone"));
  each("garbage", (at, d) => add(at, d, "garbage"));
  each("repeated-frame", (at, d) => add(at, d, "repeated-frame"));
  each("altered-frame", (at, d) => add(at, d, "altered-frame"));
  each("stray-page", (at, d) => add(at, d, "stray-page"));
  each("rewrite", (at, d) => add(at, d, "rewrite"));
  each("false-ack", (at, d) => add(at, d, "false-ack"));
  each("torn-append", (at, d) => add(at, d, "torn-append"));
  each("server-cut", (at, d) => add(at, d, "server-cut"));
  // One device alone; what holds the whole log to nothing, or makes two of a device, would hide it.
  if (
    ["rewrite", "truncate", "false-ack", "restore", "clone"].every((k) => rates[k as EventKind] === undefined)
  )
    each("other-end", (at, d) => add(at, d, "other-end", random.logUniform(1_000, span)));
  each("truncate", (at, d) => add(at, d, "truncate"));
  if (rates.kill !== undefined || rates["power-cut"] !== undefined)
    for (let n = random.int(0, devices); n > 0; n--)
      add(random.float() * span, random.int(0, devices - 1), "kill", random.logUniform(10, 20_000));
}
