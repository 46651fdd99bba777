import fc from "fast-check";
import { expect, test } from "vitest";
import { type Change, type Run, reduceTables } from "../../../../../test/reference/tables.ts";
import { coreKey, Replica, runs } from "../../../../../test/reference/tables-kit.ts";
import { declare, type Saying, saying, schema } from "../../../../../test/reference/tables-world.ts";
import { nextHlc } from "./hlc.ts";

/** One step of a history: a device says something, sends what waits, or reads on. */
type Step =
  | { readonly kind: "say"; readonly device: number; readonly said: readonly Saying[]; readonly wait: number }
  | { readonly kind: "send"; readonly device: number }
  | { readonly kind: "read"; readonly device: number; readonly count: number };

const device = fc.nat(4);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      device,
      said: fc.array(saying, { minLength: 1, maxLength: 3, size: "max" }),
      wait: fc.nat(90_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("send" as const), device }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      device,
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

interface Waiting {
  readonly id: number;
  readonly run: Run;
}

class Device {
  readonly replica = new Replica();
  readonly index: number;
  /** How far its clock is off, ms. */
  readonly skew: number;
  applied = 0;
  waiting: Waiting[] = [];
  placed: Waiting[] = [];
  #nextId = 1;

  constructor(index: number, skew: number) {
    this.index = index;
    this.skew = skew;
  }

  say(said: readonly Saying[], now: number): void {
    const touched = new Set<string>();
    const changes: Change[] = [];
    this.replica.tx((tx) => {
      for (const s of said) {
        const decl = schema[s.table];
        const keys = s.op === "move" && decl?.minted === false ? [s.key, s.to] : [s.key];
        if (
          keys.some((k) => touched.has(`${s.table} ${k}`)) ||
          (s.op === "set" && Object.keys(s.cells).length === 0)
        )
          continue;
        for (const k of keys) touched.add(`${s.table} ${k}`);
        const { clock } = this.replica.kind.view(tx, s.table, coreKey(s.key));
        const hlc = nextHlc(now + this.skew, clock);
        const time = s.op === "found" ? {} : { ms: Number(hlc >> 16n), n: Number(hlc & 0xffffn) };
        changes.push({
          op: s.op,
          table: s.table,
          key: s.key,
          ...(s.op === "move" ? { to: decl?.minted ? s.key : s.to } : {}),
          ...time,
          cells: s.cells,
        });
      }
    });
    if (changes.length === 0) return;
    const run: Run = { seq: 0, time: 0, device: this.index, seen: this.applied, changes };
    const waiting = { id: this.#nextId++, run };
    this.waiting.push(waiting);
    this.replica.hold(waiting.id, run);
  }

  read(log: readonly Run[], count: number): void {
    this.replica.tx((tx) => {
      for (const run of log.slice(this.applied, this.applied + count)) {
        const own = run.device === this.index;
        if (own) this.replica.kind.release(tx, (this.placed.shift() as Waiting).id);
        this.replica.applyIn(tx, run, own);
        this.applied = run.seq;
      }
    });
  }

  /** What the reference shows of what this device knows. */
  expected(log: readonly Run[]): unknown {
    const pending = [...this.placed, ...this.waiting].map(({ id, run }) => ({
      ...run,
      seq: 2 ** 52 + id,
      time: Number.POSITIVE_INFINITY,
    }));
    return reduceTables([...log.slice(0, this.applied), ...pending]);
  }
}

function play(
  steps: readonly Step[],
  skews: readonly number[],
  each: (device: Device, log: readonly Run[]) => void,
): { devices: Device[]; log: Run[] } {
  const devices = skews.map((skew, i) => new Device(i, skew));
  let now = 1_700_000_000_000;
  const log: Run[] = [{ seq: 1, time: now, device: 9, seen: 0, changes: declare }];
  for (const d of devices) d.read(log, 1);
  for (const s of steps) {
    const d = devices[s.device % devices.length] as Device;
    if (s.kind === "say") {
      now += s.wait;
      d.say(s.said, now);
    } else if (s.kind === "read") d.read(log, s.count);
    else {
      const next = d.waiting.shift();
      if (next === undefined) continue;
      d.placed.push(next);
      log.push({ ...next.run, seq: log.length + 1, time: now });
    }
    each(d, log);
  }
  return { devices, log };
}

const skews = fc.array(fc.constantFrom(0, 0, 500, -500, 86_400_000, -86_400_000), {
  minLength: 2,
  maxLength: 5,
  size: "max",
});
const history = fc.tuple(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), skews);

test("[TBL36] devices that applied the same log are equal, and show what the rules say", () => {
  fc.assert(
    fc.property(history, ([steps, offs]) => {
      const { devices, log } = play(steps, offs, () => {});
      for (const d of devices) d.read(log, log.length);
      const expected = reduceTables(log);
      for (const d of devices) {
        for (const w of d.waiting) d.replica.tx((tx) => d.replica.kind.release(tx, w.id));
        expect(d.replica.shown()).toEqual(expected);
        expect(d.replica.digest).toBe(devices[0]?.replica.digest);
        expect(d.replica.dump(true)).toEqual(devices[0]?.replica.dump(true));
      }
    }),
    runs(80),
  );
});

test("[TBL28] the view is what confirming everything now would show", () => {
  fc.assert(
    fc.property(history, ([steps, offs]) => {
      play(steps, offs, (d, log) => {
        expect(d.replica.shown()).toEqual(d.expected(log));
      });
    }),
    runs(60),
  );
});
