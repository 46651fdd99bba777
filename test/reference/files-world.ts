/**
 * Random histories of the files kind: devices edit what they see, send later, read later. After
 * each change of the log the tree is looked at whole, and every content that was ever accepted is
 * looked for.
 */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { fold } from "@tidelock/core/kinds/files/fold";
import { ROOT } from "@tidelock/core/kinds/files/names";
import { spaces, textOf } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, Item, ItemId, Outcome } from "@tidelock/core/kinds/files/types";
import { Stream } from "@tidelock/testkit/world/random";
import { Author, Replica as Files, type Replica, type Run } from "./files-kit.ts";

const NAMES = ["a", "A", "b", "c", "\u00e9", "x.txt", "d (Phone conflict 2026-01-01)"] as const;
/** Said by several at once; most contents are like no other. */
const VALUES = ["1", "2", "3"] as const;

interface Waiting {
  readonly id: number;
  readonly changes: readonly FileChange[];
}

interface Device {
  readonly index: number;
  readonly replica: Replica;
  readonly author: Author;
  /** Sent or not, without a verdict. */
  readonly waiting: Waiting[];
  applied: number;
}

export interface Told {
  readonly log: readonly Run[];
  readonly outcomes: readonly Outcome[];
  readonly replicas: readonly Replica[];
}

/** Fails by throwing. */
export function runSchedule(seed: bigint, devices: number, steps: number, check = checkTree): Told {
  const random = new Stream(seed, "files");
  const truth = new Files();
  const log: Run[] = [];
  const all: Outcome[] = [];
  const brought = new Map<string, string>();
  const group = Array.from(
    { length: devices },
    (_, i): Device => ({
      index: i + 1,
      replica: new Files(),
      author: new Author((i + 1) * 1_000_000),
      waiting: [],
      applied: 0,
    }),
  );
  let ids = 0;

  const place = (device: Device): void => {
    const run = device.waiting.find(
      ({ id }) => !log.some((placed) => placed.run === id && placed.device === device.index),
    );
    if (run === undefined) return;
    const seq = (log.at(-1)?.seq ?? 0) + 1;
    const placed: Run = { seq, device: device.index, run: run.id, changes: run.changes };
    log.push(placed);
    const outcomes = truth.apply(placed);
    all.push(...outcomes);
    for (const [i, change] of run.changes.entries())
      if ((change.do === "create" || change.do === "write") && outcomes[i]?.kind !== "void")
        brought.set(toHex(change.content.hash), textOf(change.op));
    check(truth);
    checkLedger(truth, brought);
  };

  const read = (device: Device, count: number): void => {
    for (const run of log.slice(device.applied, device.applied + count)) {
      const own = run.device === device.index;
      device.replica.tx((tx) => {
        if (own) device.replica.kind.release(tx, run.run as number);
        device.replica.applyIn(tx, { ...run, own });
      });
      if (own) device.waiting.splice(0, 1);
      device.applied++;
    }
  };

  for (let step = 0; step < steps; step++) {
    const device = random.pick(group);
    const what = random.int(0, 9);
    if (what < 5) {
      const changes = edits(device, random);
      if (changes.length === 0) continue;
      const id = ++ids;
      device.waiting.push({ id, changes });
      device.replica.hold(id, { device: device.index, changes });
      checkView(device, log);
    } else if (what < 8) place(device);
    else read(device, random.int(1, 4));
  }
  for (const device of group)
    while (device.waiting.some(({ id }) => !log.some((run) => run.run === id))) place(device);
  for (const device of group) {
    read(device, log.length);
    sameState(truth, device.replica);
  }
  return { log, outcomes: all, replicas: [truth, ...group.map((device) => device.replica)] };
}

/** What a person does with what the device shows: a few changes at once. */
function edits({ replica, author, applied }: Device, random: Stream): FileChange[] {
  author.base = applied;
  const { live, dead } = everything(replica);
  const folders = [ROOT, ...live.filter((item) => item.kind === "dir").map((item) => item.id)];
  const files = live.filter((item) => item.kind === "file");
  const changes: FileChange[] = [];
  for (let n = random.int(1, 3); n > 0; n--) {
    const name = random.pick(NAMES);
    const parent = random.pick(folders);
    const one = random.pick(live);
    const file = random.pick(files);
    const gone = random.pick(dead);
    switch (random.int(0, 12)) {
      case 0:
      case 1:
        changes.push(author.mkdir(name, parent));
        break;
      case 2:
      case 3:
        changes.push(author.create(name, contentText(random), parent));
        break;
      case 4:
      case 5:
        if (file !== undefined) changes.push(author.write(file, contentText(random)));
        break;
      case 6:
      case 7:
        if (one !== undefined) changes.push(author.move(one, name, parent));
        break;
      case 8:
      case 9:
        if (one !== undefined) changes.push(author.delete(one));
        break;
      case 10:
        if (gone !== undefined)
          changes.push(author.restore(gone, random.chance(0.5) ? { parent, name } : undefined));
        break;
      case 11:
        if (one !== undefined)
          changes.push(author.pin(random.chance(0.2) && gone !== undefined ? gone : one));
        break;
      default: {
        const [entry] = replica.tx((tx) => replica.kind.conflicts(tx, { open: true }));
        if (entry?.sides === undefined) break;
        const [item, copy] = [replica.item(entry.item), replica.item(entry.sides.copy)];
        if (item !== undefined && copy !== undefined)
          changes.push(
            author.settle(entry, random.pick(["keep-current", "use-other", "keep-both"]), item, copy),
          );
      }
    }
  }
  return changes;
}

function contentText(random: Stream): string {
  return random.chance(0.4) ? random.pick(VALUES) : `${random.u32()}`;
}

export function everything(replica: Replica): {
  readonly live: readonly Item[];
  readonly dead: readonly Item[];
} {
  const ids = new Map<string, ItemId>();
  for (const [key] of replica.store.scan("f.item", new Uint8Array(0), undefined))
    ids.set(textOf(key), key as ItemId);
  // Those that only the view has.
  for (const [key] of replica.store.scan("f.over", Uint8Array.of(0), Uint8Array.of(1)))
    ids.set(textOf(key.subarray(1)), key.slice(1) as ItemId);
  const items = [...ids.values()].map((id) => replica.item(id)).filter((item) => item !== undefined);
  return {
    live: items.filter((item) => item.dead === undefined),
    dead: items.filter((item) => item.dead !== undefined),
  };
}

/** FIL1. */
export function checkTree(replica: Replica): void {
  const { live } = everything(replica);
  const taken = new Set<string>();
  for (const item of live) {
    const slot = `${toHex(item.parent)}/${fold(item.name)}`;
    if (taken.has(slot)) throw new Error(`two items have the name ${item.name}`);
    taken.add(slot);
    const seen = new Set<string>();
    for (let at: Item | undefined = item; at !== undefined && !equalBytes(at.parent, ROOT); ) {
      if (seen.has(textOf(at.id))) throw new Error(`${item.name} lies in itself`);
      seen.add(textOf(at.id));
      at = replica.item(at.parent);
      if (at?.kind !== "dir" || at.dead !== undefined) throw new Error(`${item.name} lies in no live folder`);
    }
  }
  const listed = Object.keys(replica.tree()).length;
  if (listed !== live.length) throw new Error(`${listed} of ${live.length} live items are in the tree`);
}

/** FIL16. */
function checkLedger(replica: Replica, brought: ReadonlyMap<string, string>): void {
  const { live, dead } = everything(replica);
  const kept = new Set<string>();
  for (const item of [...live, ...dead]) {
    if (item.content !== undefined) kept.add(toHex(item.content.hash));
    for (const { content } of replica.tx((tx) => replica.kind.history(tx, item.id)))
      kept.add(toHex(content.hash));
  }
  for (const hash of brought.keys()) if (!kept.has(hash)) throw new Error("a content is nowhere any more");
}

/** FIL14: the view is what a device would have whose log ends with what waits here. */
function checkView({ replica, waiting, applied, index }: Device, log: readonly Run[]): void {
  const other = new Files();
  for (const run of log.slice(0, applied)) other.apply({ ...run, own: run.device === index });
  for (const { changes } of waiting) other.apply({ seq: 2 ** 48, device: index, changes });
  const [ours, theirs] = [replica.tree(), other.tree()];
  if (JSON.stringify(ours) !== JSON.stringify(theirs))
    throw new Error(
      `the view is not what it should be: ${JSON.stringify(ours)}, not ${JSON.stringify(theirs)}`,
    );
}

/** Every confirmed row. */
function sameState(a: Replica, b: Replica): void {
  if (a.digest !== b.digest) throw new Error("two devices have other states");
  for (const { name, digested } of spaces) {
    if (digested) continue;
    const rows = b.store.scan(name, new Uint8Array(0), undefined);
    if (name !== "f.meta" && rows.length > 0) throw new Error(`${rows.length} rows are left in ${name}`);
  }
  if (JSON.stringify(a.tree()) !== JSON.stringify(b.tree())) throw new Error("two devices show other trees");
}
