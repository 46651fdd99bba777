/**
 * Random histories of devices with folders: people work on the disks, devices scan, plan and carry
 * out, stop anywhere, send and read when they like. At the end all is quiet, and held against the
 * promises. A history is a list of steps, each with a seed of its own.
 */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { fold, nfc } from "@tidelock/core/kinds/files/fold";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { Plan, Step as PlanStep } from "@tidelock/core/kinds/files/plan/types";
import { textOf } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, ItemId } from "@tidelock/core/kinds/files/types";
import { Stream } from "@tidelock/testkit/world/random";
import { below, Device, Log, textIn } from "./plan-device.ts";
import { profiles, type Thing } from "./plan-disk.ts";

export interface Step {
  readonly device: number;
  readonly what: "edit" | "pass" | "place" | "read" | "select";
  readonly seed: number;
}

const NAMES = ["a", "A", "b", "d", "e", "\u00e9", "e\u0301", "x.txt", "con", "q:", "100%", "n".repeat(255)];
const VALUES = ["same", "equal"];
const ROUNDS = 200;

export function drawSteps(seed: bigint, devices: number, count: number): Step[] {
  const random = new Stream(seed, "plan");
  const whats = ["edit", "edit", "edit", "edit", "pass", "pass", "place", "place", "read", "read"] as const;
  return Array.from({ length: count }, () => ({
    device: random.int(0, devices - 1),
    what: random.chance(0.03) ? "select" : random.pick(whats),
    seed: random.u32(),
  }));
}

/** Fails by throwing. `met` hears of every step that was carried out. */
export function playSteps(
  seed: bigint,
  steps: readonly Step[],
  count: number,
  met: (what: string) => void = () => undefined,
): void {
  new World(seed, count, met).play(steps);
}

class World {
  readonly #devices: readonly Device[];
  readonly #log = new Log();
  /** Texts that the log or the outbox of a device has. */
  readonly #said = new Map<Device, Set<string>>();
  readonly #met: (what: string) => void;
  #runs = 0;
  #texts = 0;

  constructor(seed: bigint, count: number, met: (what: string) => void) {
    const random = new Stream(seed, "profiles");
    const all = Object.values(profiles);
    this.#devices = Array.from({ length: count }, (_, i) => new Device(i + 1, random.pick(all)));
    for (const device of this.#devices) this.#said.set(device, new Set());
    this.#met = met;
    // One tree that all of them know: what is not, never meets in a deletion or a move.
    const first = this.#devices[0] as Device;
    for (let i = 0; i < 12; i++) this.#edit(first, new Stream(seed * 100n + BigInt(i), "tree"));
    this.#settle();
  }

  play(steps: readonly Step[]): void {
    for (const step of steps) {
      const device = this.#devices[step.device] as Device;
      const random = new Stream(BigInt(step.seed), step.what);
      if (step.what === "edit") for (let n = random.int(1, 3); n > 0; n--) this.#edit(device, random);
      else if (step.what === "pass") this.#pass(device, random);
      else if (step.what === "place") this.#log.place(device);
      else if (step.what === "read") this.#read(device, random.int(1, 4));
      else this.#select(device, random);
    }
    this.#settle();
  }

  #pass(device: Device, random?: Stream): Plan | undefined {
    const isStopped = random?.chance(0.2) === true;
    const stops =
      random === undefined
        ? {}
        : {
            before: () => isStopped && random.chance(0.2),
            after: () => isStopped && random.chance(0.1),
            meanwhile: () => {
              if (random.chance(0.2)) this.#edit(device, random);
              // Whatever a step is about to take may have been saved just now.
              const files = this.#things(device).filter(({ thing }) => thing.kind === "file");
              for (const { thing } of files)
                if (random.chance(0.2)) device.disk.write(thing, this.#text(random));
            },
          };
    const made = device.pass(++this.#runs, stops, (step) => this.#look(device, step));
    for (const { changes } of device.waiting) for (const change of changes) this.#note(device, change);
    for (const text of device.disk.trash.splice(0))
      if (this.#said.get(device)?.has(text) !== true)
        throw new Error(`device ${device.index}: took bytes that only its disk had: ${text}`);
    return made;
  }

  #note(device: Device, change: FileChange): void {
    if ("content" in change) this.#said.get(device)?.add(decodeUtf8(inline(change)) ?? "");
  }

  /** What every step has to keep. */
  #look(device: Device, step: PlanStep): void {
    this.#met(step.do);
    if (step.do !== "delete") return;
    const { shown } = device.view();
    for (const item of below(device, step.id)) {
      const text = item.kind === "dir" ? "/" : item.kind === "link" ? `-> ${textIn(item)}` : textIn(item);
      if (shown(item) !== "yes" || !device.ever.has(text))
        throw new Error(`device ${device.index}: deletes ${item.name}, which was never on its disk: ${text}`);
    }
  }

  #read(device: Device, count?: number): boolean {
    const runs = this.#log.read(device, count);
    for (const { changes } of runs) for (const change of changes) this.#note(device, change);
    return runs.length > 0;
  }

  /** A person deselects a folder, takes one back, or wants one alone of what is not there. */
  #select(device: Device, random: Stream): void {
    const rule = random.pick([...device.rules.values()]);
    if (rule !== undefined && random.chance(0.4)) {
      device.rules.delete(textOf(rule.id));
      return;
    }
    const selected = random.chance(0.3);
    const live = device
      .view()
      .children(ROOT)
      .flatMap(({ id }) => below(device, id));
    const items = [ROOT, ...live.map(({ id }) => id)];
    const id = random.pick(
      selected || random.chance(0.1) ? items : [...device.rows.values()].map((row) => row.id),
    );
    if (id !== undefined) device.rules.set(textOf(id), { id, selected });
  }

  /** Nobody works any more: everything has to come to rest, and to be the same everywhere. */
  #settle(): void {
    let last: readonly (Plan | undefined)[] = [];
    for (let round = 0; ; round++) {
      if (round === ROUNDS) throw new Error(`no rest after ${ROUNDS} rounds\n${last.map(told).join("\n")}`);
      last = this.#devices.map((device) => this.#pass(device));
      let isMoving = last.some((plan) => plan !== undefined);
      for (const device of this.#devices) while (this.#log.place(device)) isMoving = true;
      for (const device of this.#devices) if (this.#read(device)) isMoving = true;
      for (const device of this.#devices) if (this.#mend(device)) isMoving = true;
      if (!isMoving) break;
    }
    for (const device of this.#devices) this.#compare(device);
  }

  /** Two names that are one want a person, and so does a deletion of all there is. */
  #mend(device: Device): boolean {
    const entries = device.scan();
    const { issues } = device.plan(entries);
    device.approved = [];
    for (const issue of issues) {
      this.#met(issue.kind);
      if (issue.kind === "guard-deletion") device.approved = [issue.direction];
      if (issue.kind !== "name-clash") continue;
      const { entry } = issue;
      const place = this.#things(device).find(({ thing }) => thing.ino === entry.print.ino);
      if (place === undefined) continue;
      const thing = device.disk.take(place.folder, entry.name);
      device.disk.put(place.folder, `other${++this.#texts}`, thing);
      return true;
    }
    return device.approved.length > 0;
  }

  /** The disk shows what the view says, as far as it can. */
  #compare(device: Device): void {
    const { children, shown } = device.view();
    const { symlinks, executable } = device.disk.profile;
    const found = device.disk.tree();
    const expected: Record<string, string> = {};
    const folders: { readonly id: ItemId; readonly path: string }[] = [{ id: ROOT, path: "" }];
    for (const { id, path } of folders)
      for (const item of children(id)) {
        if (item.kind === "link" && !symlinks) continue;
        if (shown(item) !== "yes") {
          // A person may have a folder of that name all the same: it stays, and is nobody's while it is empty.
          for (const [at, text] of Object.entries(found))
            if (text === "/" && fold(at) === fold(`${path}${item.name}`)) delete found[at];
          continue;
        }
        const row = device.rows.get(textOf(item.id));
        const name = nfc(row?.alias === undefined ? item.name : (decodeUtf8(row.alias) ?? ""));
        const star = item.executable && executable ? " *" : "";
        expected[`${path}${name}`] =
          item.kind === "dir" ? "/" : item.kind === "link" ? `-> ${textIn(item)}` : `${textIn(item)}${star}`;
        if (item.kind === "dir") folders.push({ id: item.id, path: `${path}${name}/` });
      }
    const [is, should] = [found, expected].map((tree) => JSON.stringify(Object.entries(tree).sort(byName)));
    if (is !== should) throw new Error(`device ${device.index}: the disk is not the view\n${is}\n${should}`);
    if (device.replica.digest !== this.#log.truth.digest) throw new Error("two devices have other states");
  }

  #things(device: Device): { readonly folder: Thing; readonly name: Uint8Array; readonly thing: Thing }[] {
    const found: { readonly folder: Thing; readonly name: Uint8Array; readonly thing: Thing }[] = [];
    const folders = [device.disk.top];
    for (const folder of folders)
      for (const { name, thing } of folder.kids.values()) {
        found.push({ folder, name, thing });
        if (thing.kind === "dir") folders.push(thing);
      }
    return found;
  }

  #text(random: Stream): string {
    return random.chance(0.2) ? random.pick(VALUES) : `t${++this.#texts}`;
  }

  /** What a person or a program does with a disk. */
  #edit(device: Device, random: Stream): void {
    const { disk } = device;
    // What a pass that stopped had made already is seen, and may be what goes now.
    device.look();
    const all = this.#things(device);
    const folders = [disk.top, ...all.map(({ thing }) => thing).filter(({ kind }) => kind === "dir")];
    const folder = random.pick(folders);
    const name = random.pick(NAMES);
    const one = random.pick(all);
    const file = random.pick(all.filter(({ thing }) => thing.kind === "file"));
    const isFree = (where: Thing, wanted: string, but?: Thing): boolean =>
      disk.takes(wanted) &&
      [...where.kids.values()].every(
        ({ name: there, thing }) => thing === but || fold(nfc(decodeUtf8(there) ?? "")) !== fold(nfc(wanted)),
      );
    const move = (what: {
      readonly folder: Thing;
      readonly name: Uint8Array;
      readonly thing: Thing;
    }): void => {
      const isInside = [what.thing, ...below_(what.thing)].includes(folder);
      if (isInside || !isFree(folder, name, what.thing)) return;
      disk.take(what.folder, what.name);
      disk.put(folder, name, what.thing);
    };
    switch (random.int(0, 15)) {
      case 0:
      case 1:
      case 2:
        if (isFree(folder, name)) disk.make(folder, name, "file", this.#text(random));
        break;
      case 3:
      case 4:
        if (isFree(folder, name)) disk.make(folder, name, "dir");
        break;
      case 5:
      case 6:
        if (file !== undefined) disk.write(file.thing, this.#text(random));
        break;
      case 7:
      case 8:
        if (one !== undefined) move(one);
        break;
      case 9:
        // A folder is what most hangs on.
        if (one?.thing.kind === "dir") move(one);
        break;
      case 10:
      case 11:
        if (one !== undefined) disk.take(one.folder, one.name);
        break;
      case 12: {
        // As programs save: what is new takes the name of what was.
        if (file === undefined) break;
        disk.take(file.folder, file.name);
        const fresh = disk.make(file.folder, file.name, "file", this.#text(random));
        if (random.chance(0.5) && isFree(file.folder, "x~")) {
          disk.put(file.folder, "x~", file.thing);
          fresh.executable = file.thing.executable;
        }
        break;
      }
      case 13: {
        // Two change places.
        const other = random.pick(all);
        if (one === undefined || other === undefined || one.thing === other.thing) break;
        if ([one.thing, ...below_(one.thing)].includes(other.folder)) break;
        if ([other.thing, ...below_(other.thing)].includes(one.folder)) break;
        disk.take(one.folder, one.name);
        disk.take(other.folder, other.name);
        disk.put(one.folder, one.name, other.thing);
        disk.put(other.folder, other.name, one.thing);
        break;
      }
      case 14:
        // Another kind under an old name.
        if (one === undefined) break;
        disk.take(one.folder, one.name);
        if (one.thing.kind === "dir") disk.make(one.folder, one.name, "file", this.#text(random));
        else disk.make(one.folder, one.name, "dir");
        break;
      default:
        if (file !== undefined && disk.profile.executable && random.chance(0.5))
          disk.setExecutable(file.thing, !file.thing.executable);
        else if (disk.profile.symlinks && isFree(folder, name))
          disk.make(folder, name, "link", random.pick(["a", "b"]));
    }
    device.look();
  }
}

function below_(thing: Thing): Thing[] {
  const found = [thing];
  for (const one of found) for (const kid of one.kids.values()) found.push(kid.thing);
  return found.slice(1);
}

function inline(change: FileChange): Uint8Array {
  return "content" in change && change.content.body.kind === "inline"
    ? change.content.body.bytes
    : encodeUtf8("");
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function told(plan: Plan | undefined, index: number): string {
  const steps = plan?.steps.map((step) => {
    const name =
      "name" in step
        ? step.name
        : "entry" in step && step.entry !== undefined
          ? decodeUtf8(step.entry.name)
          : "";
    return `${step.do} ${name} ${"to" in step ? `→ ${step.to.folder}/${decodeUtf8(step.to.name)}` : ""} ${"set" in step ? Object.keys(step.set) : ""}`;
  });
  return `device ${index + 1}: ${steps?.join("; ") ?? "quiet"}`;
}
