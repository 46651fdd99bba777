/** What the files kind shows beside what the reference says, after every single change. */
import { toHex } from "@tidelock/core/bytes/bytes";
import { fold } from "@tidelock/core/kinds/files/fold";
import { confirmed, NOTHING } from "@tidelock/core/kinds/files/spaces";
import type { Entry, Item, ItemId, Outcome } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Tx } from "@tidelock/core/log/tx";
import { Law, type Thing, type Told } from "./files.ts";
import { type Replica, type Run, treeIn } from "./files-kit.ts";
import { type Device, drawSteps, playSteps, type Step, shrink } from "./files-world.ts";

const UNDO = new Error("only to look");
/** All that any history has, and one that says nothing. */
const DEVICES = [1, 2, 3, 9];
/** What a device calls itself until it has read something of its own. */
const SELF = 2 ** 32;

/** Throws with the first difference. Tells `became` of each change. */
export function compareSteps(
  steps: readonly Step[],
  devices: number,
  became: (outcome: string) => void = () => undefined,
): void {
  const law = new Law();
  const brought = new Set<string>();
  let said: string[] = [];
  playSteps(steps, devices, {
    coming(truth, run) {
      said = [];
      law.apply(run, (index, outcome) => {
        said.push(outcome.replace(/[0-9a-f]{32}/, short));
        became(outcome);
        const change = run.changes[index];
        if (change !== undefined && "content" in change && !outcome.startsWith("void"))
          brought.add(toHex(change.content.hash));
        checkLaw(law, brought);
        // The whole run is looked at when it is there.
        if (index + 1 === run.changes.length) return;
        const some = { ...run, changes: run.changes.slice(0, index + 1) };
        peek(truth, (tx) => {
          const where = `seq ${run.seq}, change ${index}: `;
          same(`${where}outcomes`, truth.applyIn(tx, some).map(outcomeText), said);
          compareState(where, truth, tx, law);
        });
      });
    },
    placed(truth, { seq }) {
      same(`seq ${seq}: outcomes`, truth.outcomes.map(outcomeText), said);
      truth.tx((tx) => compareState(`seq ${seq}: `, truth, tx, law));
    },
    shown: compareView,
  });
}

/** As `compareSteps`, of many short histories: outcomes run by run, one view on the way, all else at the end. */
export function compareEnd(steps: readonly Step[], devices: number, viewAt: number): number {
  const law = new Law();
  const brought = new Set<string>();
  let said: string[] = [];
  let shown = 0;
  let changes = 0;
  let last: Replica | undefined;
  playSteps(steps, devices, {
    coming(truth, run) {
      last = truth;
      changes += run.changes.length;
      said = law.apply(run, (index, outcome) => {
        const change = run.changes[index];
        if (change !== undefined && "content" in change && !outcome.startsWith("void"))
          brought.add(toHex(change.content.hash));
      });
    },
    placed(truth, { seq }) {
      const told = said.map((outcome) => outcome.replace(/[0-9a-f]{32}/, short));
      same(`seq ${seq}: outcomes`, truth.outcomes.map(outcomeText), told);
    },
    shown(device, log) {
      if (shown++ === viewAt) compareView(device, log);
    },
  });
  checkLaw(law, brought);
  const truth = last;
  truth?.tx((tx) => compareState("at the end: ", truth, tx, law));
  return changes;
}

/** A seed whose history fails, made small: what differs and what happened. */
export function explain(seed: number, devices: number, count: number): string | undefined {
  const why = (steps: readonly Step[]): string | undefined => {
    try {
      compareSteps(steps, devices);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const all = drawSteps(BigInt(seed), devices, count);
  const first = why(all);
  if (first === undefined) return undefined;
  const least = shrink(all, (steps) => why(steps) !== undefined);
  return `${why(least) ?? first}\n${story(least, devices)}`;
}

/** FIL14: what a device shows is what the law makes of what it has read with its own changes after it. */
function compareView({ replica, waiting, applied, index }: Device, log: readonly Run[]): void {
  const law = new Law();
  for (const run of log.slice(0, applied)) law.apply(run);
  for (const { id, changes } of waiting) law.apply({ seq: 2 ** 48 + id, device: index, changes });
  replica.tx((tx) => compareState(`device ${index} at ${applied}: `, replica, tx, law, index));
}

/** FIL1 and FIL16, of what both agree on. */
function checkLaw(law: Law, brought: ReadonlySet<string>): void {
  const live = [...law.items.values()].filter((x) => !x.dead);
  const found = [...law.tree().values()];
  if (found.length !== live.length)
    throw new Error(`${found.length} of ${live.length} live items are in the tree`);
  const slots = new Set(live.map((x) => `${x.parent}/${fold(x.name)}`));
  if (slots.size !== live.length) throw new Error("two items have one name");
  const kept = new Set<string>();
  for (const x of law.items.values())
    for (const content of [x.content, ...x.versions.map((version) => version.content)])
      if (content !== undefined) kept.add(toHex(content.hash));
  for (const hash of brought) if (!kept.has(hash)) throw new Error(`the content ${hash} is nowhere any more`);
}

/** Throws with the first difference. */
export function compareState(
  where: string,
  { kind }: Pick<Replica, "kind">,
  tx: Tx,
  law: Law,
  self?: number,
): void {
  const whole = self === undefined;
  if (whole)
    same(`${where}number of items`, tx.scan(confirmed.item, NOTHING, undefined).length, law.items.size);
  for (const thing of law.items.values()) {
    const id = bytesOf(thing.id);
    const item = kind.item(tx, id);
    same(`${where}item`, itemText(item, self), thingText(thing));
    if (whole)
      same(
        `${where}known by device`,
        item && knownText(item),
        DEVICES.map((d) => foreign(thing, d)),
      );
    const history = kind
      .history(tx, id)
      .map(({ rev, seq, content }) => versionText(toHex(rev), seq, content));
    same(
      `${where}history`,
      history,
      thing.versions.map(({ rev, seq, content }) => versionText(rev, seq, content)),
    );
  }
  for (const [from, to] of law.alias) {
    const item = kind.item(tx, bytesOf(from));
    same(`${where}alias`, item && toHex(item.id), to);
  }
  same(`${where}tree`, Object.keys(treeIn(kind, tx)).sort(), [...law.tree().keys()].sort());
  const entries = (open: boolean): string[] => kind.conflicts(tx, { open }).map(entryText).sort();
  same(`${where}open conflicts`, entries(true), law.conflicts().map(toldText).sort());
  if (whole) same(`${where}entries`, entries(false), [...law.entries.values()].map(toldText).sort());
}

function peek(replica: Replica, look: (tx: Tx) => void): void {
  const { digest } = replica;
  try {
    replica.tx((tx) => {
      look(tx);
      throw UNDO;
    });
  } catch (error) {
    if (error !== UNDO) throw error;
  }
  replica.digest = digest;
}

function same(what: string, theirs: unknown, ours: unknown): void {
  const [a, b] = [JSON.stringify(theirs), JSON.stringify(ours)];
  if (a !== b) throw new Error(`${what}: ${a}, where the law says ${b}`);
}

function outcomeText(outcome: Outcome): string {
  if (outcome.kind === "copy") return `copy ${short(toHex(outcome.id))}`;
  return outcome.kind === "void" ? `void ${outcome.reason}` : outcome.kind;
}

function itemText(item: Item | undefined, self?: number): unknown {
  if (item === undefined) return undefined;
  const { dead, copyOf, content, target } = item;
  return {
    kind: item.kind,
    at: `${short(toHex(item.parent))}/${item.name}`,
    holds: content !== undefined ? toHex(content.hash).slice(0, 12) : target && toHex(target),
    rev: short(toHex(item.rev)),
    writes: item.writes,
    equal: item.equal.map((op) => short(toHex(op))).sort(),
    place: short(toHex(item.place)),
    placeEqual: item.placeEqual.map((op) => short(toHex(op))).sort(),
    said: [item.mtime, item.executable, item.compress, item.pin, ...item.tags],
    by: [item.by.device >= SELF ? self : item.by.device, item.by.time],
    dead: dead && `${short(toHex(dead.op))} ${dead.seq}`,
    copyOf: copyOf && `${short(toHex(copyOf.item))} ${short(toHex(copyOf.entry))}`,
  };
}

function thingText(x: Thing): unknown {
  return {
    kind: x.kind,
    at: `${short(x.parent)}/${x.name}`,
    holds: x.content !== undefined ? toHex(x.content.hash).slice(0, 12) : x.target,
    rev: short(x.rev),
    writes: x.writes,
    equal: [...x.equal].map(short).sort(),
    place: short(x.place),
    placeEqual: [...x.placeEqual].map(short).sort(),
    said: [x.mtime, x.executable, x.compress, x.pin, ...[...x.tags].sort()],
    by: [x.by.device, x.by.time],
    dead: x.dead && `${short(x.dead.op)} ${x.dead.seq}`,
    copyOf: x.copyOf && `${short(x.copyOf.item)} ${short(x.copyOf.entry)}`,
  };
}

/** FIL8 by the stamps: up to where each device must have read to know an item, and where it lies. */
function knownText({ stamps }: Item): unknown {
  const { rev, place, touch } = stamps;
  return DEVICES.map((device) => {
    const [a, b, c] = [rev, place, touch].map((stamp) => (stamp.device === device ? stamp.other : stamp.seq));
    return [Math.max(a ?? 0, b ?? 0, c ?? 0), b];
  });
}

/** The same by all that was ever done to it. */
function foreign(thing: Thing, device: number): unknown {
  const others = thing.done.filter((done) => done.device !== device);
  const last = (done: Thing["done"]): number => Math.max(0, ...done.map(({ seq }) => seq));
  return [last(others), last(others.filter(({ to }) => to === "place"))];
}

function entryText({ op, why, item, seq, index, sides }: Entry): string {
  const told = `${short(toHex(op))} ${why} ${short(toHex(item))} ${seq} ${index}`;
  if (sides === undefined) return told;
  const { copy, rev, otherRev, ended } = sides;
  return `${told} ${[copy, rev, otherRev].map((id) => short(toHex(id))).join(" ")} ${ended}`;
}

function toldText({ op, why, item, seq, index, sides }: Told): string {
  const told = `${short(op)} ${why} ${short(item)} ${seq} ${index}`;
  if (sides === undefined) return told;
  const { copy, rev, otherRev, ended } = sides;
  return `${told} ${[copy, rev, otherRev].map(short).join(" ")} ${ended}`;
}

const versionText = (rev: string, seq: number, content: Content): string =>
  `${short(rev)} ${seq} ${toHex(content.hash).slice(0, 12)}`;

/** Ops of the kit count upwards in their last bytes; what a reducer makes is a hash. */
const short = (hex: string): string => hex.slice(hex.startsWith("eeee") ? -6 : -8);

const bytesOf = (hex: string): ItemId => Uint8Array.from(Buffer.from(hex, "hex")) as ItemId;

/** The log that these steps make. */
function story(steps: readonly Step[], devices: number): string {
  const lines: string[] = [];
  const law = new Law();
  const tell = (run: Run): void => {
    law.apply(run, (i, became) => {
      const { op, base, time: _, ...rest } = run.changes[i] as Run["changes"][number];
      const said = JSON.stringify(rest, (_key, value) =>
        value instanceof Uint8Array
          ? short(toHex(value))
          : value?.hash
            ? toHex(value.hash).slice(0, 12)
            : value,
      );
      lines.push(`  ${run.seq}.${i} d${run.device} base ${base} op ${short(toHex(op))} ${said}: ${became}`);
    });
  };
  try {
    playSteps(steps, devices, {
      coming: (_, run) => tell(run),
      placed: () => undefined,
      shown: ({ index, applied, waiting }) =>
        void lines.push(`  d${index} shows ${applied} and ${waiting.length} of its own`),
    });
  } catch (error) {
    lines.push(`  ${(error as Error).message}`);
  }
  return lines.join("\n");
}
