/**
 * Random histories of the files kind: devices edit what they see, send later, read later, and now and then
 * one says what no honest device would. A history is a list of steps, each with a seed of its own, so that
 * dropping some leaves the rest what it was.
 */
import { encodeUtf8, toHex } from "@tidelock/core/bytes/bytes";
import { withCtx } from "@tidelock/core/crypto/labels";
import { decodeSection, encodeSection } from "@tidelock/core/kinds/files/codec";
import { RECOVERED, ROOT } from "@tidelock/core/kinds/files/names";
import { spaces, textOf } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, Item, ItemId, MetaSet, Op } from "@tidelock/core/kinds/files/types";
import { Stream } from "@tidelock/testkit/world/random";
import {
  Author,
  Replica as Files,
  fastSuite,
  idOf,
  op,
  type Replica,
  type Run,
  sectionOf,
} from "./files-kit.ts";

const NAMES = ["a", "A", "b", "\u00e9", "x.txt", "d (Phone conflict 2026-01-01)"] as const;
const ODD = ["", "..", "a/b", ".tidelock", ".Tidelock", "e\u0301", "n".repeat(255), "Recovered"];
/** Said by several at once; most contents are like no other. */
const VALUES = ["1", "2"] as const;

export interface Step {
  readonly device: number;
  readonly what: "edit" | "craft" | "place" | "read";
  readonly seed: number;
}

interface Waiting {
  readonly id: number;
  readonly changes: readonly FileChange[];
}

export interface Device {
  readonly index: number;
  readonly replica: Replica;
  readonly author: Author;
  /** Sent or not, without a verdict. */
  readonly waiting: Waiting[];
  applied: number;
}

/** Who looks, and fails by throwing. */
export interface Watch {
  /** Before a run is applied to the truth. */
  coming(truth: Replica, run: Run): void;
  placed(truth: Replica, run: Run): void;
  /** A device shows something new. */
  shown(device: Device, log: readonly Run[]): void;
}

export function drawSteps(seed: bigint, devices: number, count: number): Step[] {
  const random = new Stream(seed, "files");
  const whats = ["edit", "edit", "edit", "edit", "craft", "place", "place", "place", "read", "read"] as const;
  return Array.from({ length: count }, () => ({
    device: random.int(0, devices - 1),
    what: random.pick(whats),
    seed: random.u32(),
  }));
}

/** Fails by throwing. */
export function playSteps(steps: readonly Step[], devices: number, watch: Watch): void {
  const truth = new Files();
  const log: Run[] = [];
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
    const run = device.waiting.find(({ id }) => !log.some((placed) => placed.run === id));
    if (run === undefined) return;
    const placed: Run = { seq: log.length + 1, device: device.index, run: run.id, changes: run.changes };
    watch.coming(truth, placed);
    log.push(placed);
    truth.apply(placed);
    watch.placed(truth, placed);
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
    if (count > 0) watch.shown(device, log);
  };

  for (const step of steps) {
    const device = group[step.device] as Device;
    const random = new Stream(BigInt(step.seed), step.what);
    if (step.what === "place") place(device);
    else if (step.what === "read") read(device, random.int(1, 4));
    else {
      const changes = step.what === "edit" ? edits(device, random) : [crafted(device, log, random)];
      if (changes.length === 0) continue;
      const id = ++ids;
      device.waiting.push({ id, changes });
      device.replica.hold(id, { device: device.index, changes });
      watch.shown(device, log);
    }
  }
  for (const device of group)
    while (device.waiting.some(({ id }) => !log.some((run) => run.run === id))) place(device);
  for (const device of group) {
    read(device, log.length);
    sameState(truth, device.replica);
  }
}

/** The smallest history that still fails, of those that leave steps out. */
export function shrink(steps: readonly Step[], fails: (steps: readonly Step[]) => boolean): readonly Step[] {
  let left = steps;
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = left.length - size; at >= 0; at -= size) {
      const less = [...left.slice(0, at), ...left.slice(at + size)];
      if (fails(less)) left = less;
    }
  return left;
}

/** What a person does with what the device shows: a few changes at once, each knowing those before it. */
function edits({ replica, author, applied }: Device, random: Stream): FileChange[] {
  author.base = applied;
  const { live, dead } = everything(replica);
  const byId = new Map(live.map((item) => [toHex(item.id), item]));
  const folders = [ROOT, ...live.filter((item) => item.kind === "dir").map((item) => item.id)];
  const changes: FileChange[] = [];
  /** What the change before was about: people go on with what they have in hand. */
  let hand: Item | undefined;
  const say = (change: FileChange, item?: Item): void => {
    changes.push(change);
    // Some programs send on without having looked.
    hand = random.chance(0.2) ? hand : item;
    if (hand !== undefined) byId.set(toHex(hand.id), hand);
    if (hand?.kind === "dir") folders.push(hand.id);
  };
  for (let n = random.int(1, 3); n > 0; n--) {
    const all = [...byId.values()];
    const name = random.pick(NAMES);
    const parent = hand?.kind === "dir" && random.chance(0.5) ? hand.id : random.pick(folders);
    const one = hand !== undefined && random.chance(0.3) ? hand : some(all, random);
    const file =
      one?.kind === "file"
        ? one
        : some(
            all.filter((item) => item.kind === "file"),
            random,
          );
    const gone = some(dead, random);
    const value = contentText(random);
    switch (random.int(0, 15)) {
      case 0:
      case 1: {
        const made = author.mkdir(name, parent);
        say(made, { ...like(made, parent, name), kind: "dir" });
        break;
      }
      case 2:
      case 3: {
        const made = author.create(name, value, parent);
        say(made, { ...like(made, parent, name), kind: "file" });
        break;
      }
      case 4:
        say({ do: "symlink", ...author.said(), parent, name, target: encodeUtf8(random.pick(VALUES)) });
        break;
      case 5:
      case 6:
      case 7: {
        if (file === undefined) break;
        const write = author.write(file, value);
        say(write, { ...file, rev: write.op });
        break;
      }
      case 8:
      case 9: {
        if (one === undefined) break;
        const move = author.move(
          one,
          random.chance(0.2) ? one.name : name,
          random.chance(0.2) ? one.parent : parent,
        );
        say(move, { ...one, place: move.op });
        break;
      }
      case 10:
      case 11:
        if (one !== undefined) say(author.delete(one));
        break;
      case 12:
      case 13:
        if (gone !== undefined)
          say(author.restore(gone, random.chance(0.5) ? { parent, name } : undefined), gone);
        break;
      case 14: {
        const about = random.chance(0.3) && gone !== undefined ? gone : one;
        if (about !== undefined)
          say({ do: "meta", ...author.said(), id: about.id, set: setOf(random) }, about);
        break;
      }
      default: {
        const entry = random.pick(replica.tx((tx) => replica.kind.conflicts(tx, { open: true })));
        if (entry?.sides === undefined) break;
        const [item, copy] = [replica.item(entry.item), replica.item(entry.sides.copy)];
        if (item !== undefined && copy !== undefined)
          say(author.settle(entry, random.pick(["keep-current", "use-other", "keep-both"]), item, copy));
      }
    }
  }
  return changes;
}

/** A few are what everybody works on, and folders are what most hangs on. */
function some(items: readonly Item[], random: Stream): Item | undefined {
  const few = items.slice(0, 5);
  const folders = few.filter((item) => item.kind === "dir");
  return random.pick(folders.length > 0 && random.chance(0.3) ? folders : random.chance(0.6) ? few : items);
}

/** As the change that makes it leaves it, as far as later changes of the same run look. */
function like({ op }: FileChange, parent: ItemId, name: string): Item {
  return { id: idOf(op), parent, name, rev: op, place: op } as Item;
}

function setOf(random: Stream): MetaSet {
  if (random.chance(0.3)) return { key: "tag", name: random.pick(NAMES), value: random.pick(["", "red"]) };
  return { key: random.pick(["executable", "compress", "pin"]), value: random.chance(0.5) };
}

/** What the format lets anybody say: ids and ops from anywhere, names that are none, a base of long ago. */
function crafted({ author, applied, index }: Device, log: readonly Run[], random: Stream): FileChange {
  author.base = random.int(0, applied);
  const fresh = author.said();
  const said = log.flatMap((run) => run.changes.map((change) => change.op));
  const copies = said.map((of) => fastSuite.sha256(withCtx("tl1/copy", of)).slice(0, 16) as Op);
  const reserved = [ROOT, RECOVERED].map((id) => id as Uint8Array as Op);
  const any = (): Op =>
    random.pick([random.pick(said), random.pick(said), random.pick(copies), ...reserved]) ?? op(7);
  const id = (): ItemId => idOf(any());
  const made = random.chance(0.3) ? any() : fresh.op;
  const head = { ...fresh, op: made, time: random.chance(0.5) ? 0 : fresh.time };
  const place = { parent: id(), name: random.pick(random.chance(0.3) ? ODD : NAMES) };
  const change = ((): FileChange => {
    switch (random.int(0, 8)) {
      case 0:
        return { do: "mkdir", ...head, ...place };
      case 1:
        return { ...author.create("", contentText(random)), ...head, ...place } as FileChange;
      case 2:
        return { do: "symlink", ...head, ...place, target: encodeUtf8(random.pick(["", "1"])) };
      case 3:
        return {
          ...author.write({ id: id(), rev: any() } as Item, contentText(random)),
          ...head,
        } as FileChange;
      case 4:
        return { do: "move", ...head, id: id(), place: any(), ...place };
      case 5:
        return { do: "delete", ...head, id: id() };
      case 6:
        return { do: "restore", ...head, id: id(), to: random.chance(0.5) ? place : undefined };
      case 7:
        return { do: "meta", ...head, id: id(), set: setOf(random) };
      default:
        return { do: "settle", ...head, entry: any(), pick: "use-other", rev: any(), otherRev: any() };
    }
  })();
  const bytes = encodeSection(sectionOf({ device: index, changes: [change] }));
  return decodeSection(bytes)?.changes[0] ?? author.mkdir("b");
}

function contentText(random: Stream): string {
  return random.chance(0.5) ? random.pick(VALUES) : `${random.u32()}`;
}

function everything(replica: Replica): {
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

/** Every confirmed row. */
function sameState(a: Replica, b: Replica): void {
  if (a.digest !== b.digest) throw new Error("two devices have other states");
  for (const { name, digested } of spaces) {
    if (digested) continue;
    const rows = b.store.scan(name, new Uint8Array(0), undefined);
    if (name !== "f.meta" && name !== "f.state" && rows.length > 0)
      throw new Error(`${rows.length} rows are left in ${name}`);
  }
  if (JSON.stringify(a.tree()) !== JSON.stringify(b.tree())) throw new Error("two devices show other trees");
}
