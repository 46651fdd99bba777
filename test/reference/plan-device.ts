/**
 * A device with a folder: its replica, its disk, and what both last agreed on. It scans, plans and
 * carries out, step by step, each with its precondition; whatever is stopped in between is planned anew.
 */
import { decodeUtf8 } from "@tidelock/core/bytes/bytes";
import { plan } from "@tidelock/core/kinds/files/plan/plan";
import { Selection, type SelectionRule } from "@tidelock/core/kinds/files/plan/selection";
import type {
  DiskProfile,
  Fingerprint,
  LocalEntry,
  Plan,
  PlanOptions,
  PlanView,
  RowPatch,
  Spot,
  Step,
  SyncedRow,
  UpStep,
} from "@tidelock/core/kinds/files/plan/types";
import { textOf } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import { Author, Replica, type Run, text } from "./files-kit.ts";
import { hashOf, ModelDisk, printOf, type Thing } from "./plan-disk.ts";

export interface Stops {
  /** Asked before each step of the disk: whether the device stops here. */
  readonly before?: () => boolean;
  /** Whether it stops when a step is done and not noted. */
  readonly after?: () => boolean;
  /** Called between the scan and the first step: somebody is at work. */
  readonly meanwhile?: () => void;
}

export class Device {
  readonly index: number;
  readonly disk: ModelDisk;
  readonly author: Author;
  readonly rows = new Map<string, SyncedRow>();
  /** By id. */
  readonly rules = new Map<string, SelectionRule>();
  replica = new Replica();
  /** Runs without a verdict. */
  readonly waiting: { readonly id: number; readonly changes: readonly FileChange[] }[] = [];
  applied = 0;
  /** All texts that ever lay on the disk. */
  readonly ever = new Set<string>();
  approved: PlanOptions["approved"] = [];
  isIgnored: (name: string) => boolean = () => false;
  #hashes = new Map<string, Uint8Array>();

  constructor(index: number, profile: DiskProfile) {
    this.index = index;
    this.disk = new ModelDisk(profile);
    this.author = new Author(index * 1_000_000);
  }

  scan(): LocalEntry[] {
    const entries = this.disk.scan((name) => (this.isIgnored(name) ? "ignored" : undefined));
    return entries.map((entry) => ({ ...entry, hash: this.#hashes.get(keyOf(entry.print)) }));
  }

  view(): PlanView {
    const { kind } = this.replica;
    const known = new Map<string, Item | undefined>();
    const children = (id: ItemId): readonly Item[] => {
      const items = this.replica.tx((tx) => kind.list(tx, id, undefined, 100_000));
      for (const one of items) known.set(textOf(one.id), one);
      return items;
    };
    const item = (id: ItemId): Item | undefined => {
      const key = textOf(id);
      if (!known.has(key)) known.set(key, this.replica.item(id));
      return known.get(key);
    };
    const selection = new Selection([...this.rules.values()], item);
    const shown = (one: Item): ReturnType<PlanView["shown"]> => {
      for (let at: Item | undefined = one; at !== undefined; at = item(at.parent))
        if (this.isIgnored(at.name)) return "ignored";
      return selection.shows(one) ? "yes" : "deselected";
    };
    return { self: this.index, item, children, shown, selects: (folder) => selection.selects(folder) };
  }

  plan(entries: readonly LocalEntry[]): Plan {
    const options = { op: () => this.author.said().op, approved: this.approved };
    return plan(this.view(), entries, [...this.rows.values()], this.disk.profile, options);
  }

  /** One pass; undefined where there was nothing to do. `check` looks at every step before it is done. */
  pass(run: number, stops: Stops = {}, check: (step: Step) => void = () => undefined): Plan | undefined {
    this.look();
    let entries = this.scan();
    let made = this.plan(entries);
    for (let reads = hashesOf(made); reads.length > 0; reads = hashesOf(made)) {
      for (const { entry } of reads) this.#read(entry, entries);
      entries = this.scan();
      const next = this.plan(entries);
      // Hashes of things that changed meanwhile may be asked for again, but not for ever.
      if (hashesOf(next).length >= reads.length && sameReads(hashesOf(next), reads))
        throw new Error("the same files are to be read again");
      made = next;
    }
    stops.meanwhile?.();
    const table = new Table(this.disk, entries);
    this.#send(run, made.steps.filter(isUp), table, check);
    for (const step of made.steps) {
      if (isUp(step) || step.do === "hash") continue;
      if (step.do === "adopt") this.#set(step.id, step.set);
      else if (step.do === "forget") this.rows.delete(textOf(step.id));
      else {
        check(step);
        if (stops.before?.() === true) return made;
        const done = table.carryOut(step);
        if (done === undefined) continue;
        if (stops.after?.() === true) return made;
        if (step.do === "toTrash" || step.do === "removeDir") {
          if (step.id !== undefined) this.rows.delete(textOf(step.id));
        } else this.#set(step.id, { ...step.set, print: printOf(done) });
      }
    }
    this.look();
    return made.steps.length === 0 ? undefined : made;
  }

  /** Notes what lies on the disk. */
  look(): void {
    for (const value of Object.values(this.disk.tree())) this.ever.add(value.replace(/ \*$/, ""));
  }

  /** A file is known by its number and times; reading it says what it holds. */
  #read(entry: LocalEntry, entries: readonly LocalEntry[]): void {
    const thing = new Table(this.disk, entries).thing(entry.at);
    if (thing !== undefined) this.#hashes.set(keyOf(entry.print), hashOf(thing));
  }

  #set(id: ItemId, set: RowPatch): void {
    const key = textOf(id);
    this.rows.set(key, { ...(this.rows.get(key) as SyncedRow), ...set, id });
  }

  /** All changes of a plan are one run. One that no longer holds takes with it what was made in it. */
  #send(run: number, steps: readonly UpStep[], table: Table, check: (step: Step) => void): void {
    const dropped = new Set<string>();
    const changes: FileChange[] = [];
    const sets: (() => void)[] = [];
    this.author.base = this.applied;
    for (const step of steps) {
      if ("parent" in step && dropped.has(textOf(step.parent))) dropped.add(textOf(step.id));
      else if (!table.holds(step)) dropped.add(textOf(step.id));
      else {
        check(step);
        const thing = "entry" in step && step.entry !== undefined ? table.thing(step.entry.at) : undefined;
        changes.push(changeOf(step, this.author, thing));
        sets.push(() => this.#noteSent(step, thing));
      }
    }
    if (changes.length === 0) return;
    this.waiting.push({ id: run, changes });
    this.replica.hold(run, { device: this.index, label: `D${this.index}`, changes });
    for (const set of sets) set();
  }

  #noteSent(step: UpStep, thing: Thing | undefined): void {
    if (step.do === "delete") {
      this.rows.delete(textOf(step.id));
      return;
    }
    const isRead = thing !== undefined && (step.do === "create" || step.do === "write");
    this.#set(step.id, isRead ? { ...step.set, hash: hashOf(thing) } : step.set);
    if ("select" in step && step.select) this.rules.set(textOf(step.id), { id: step.id, selected: true });
  }
}

export function isUp(step: Step): step is UpStep {
  return ["mkdir", "create", "symlink", "write", "move", "meta", "delete"].includes(step.do);
}

function hashesOf({ steps }: Plan): Extract<Step, { do: "hash" }>[] {
  return steps.filter((step) => step.do === "hash");
}

function sameReads(a: readonly { entry: LocalEntry }[], b: readonly { entry: LocalEntry }[]): boolean {
  const keys = new Set(b.map(({ entry }) => keyOf(entry.print)));
  return a.every(({ entry }) => keys.has(keyOf(entry.print)));
}

function keyOf({ size, mtimeNs, ctimeNs, ino }: Fingerprint): string {
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}`;
}

function changeOf(step: UpStep, author: Author, thing: Thing | undefined): FileChange {
  const said = { base: author.base, time: author.said().time, op: step.op as Op };
  const content = text(thing?.text ?? "");
  const mtime = Number(thing?.mtime ?? 0n);
  switch (step.do) {
    case "mkdir":
      return { do: "mkdir", ...said, parent: step.parent, name: step.name };
    case "create": {
      const meta = { mtime, executable: thing?.executable ?? false };
      return { do: "create", ...said, parent: step.parent, name: step.name, content, meta };
    }
    case "symlink":
      return {
        do: "symlink",
        ...said,
        parent: step.parent,
        name: step.name,
        target: step.entry.target as Uint8Array,
      };
    case "write":
      return { do: "write", ...said, id: step.id, rev: step.rev, content, mtime };
    case "move":
      return { do: "move", ...said, id: step.id, place: step.place, parent: step.parent, name: step.name };
    case "meta":
      return { do: "meta", ...said, id: step.id, set: { key: "executable", value: step.executable } };
    case "delete":
      return { do: "delete", ...said, id: step.id };
  }
}

/** Where the scan saw everything, and where the plan's own steps put it since. */
class Table {
  readonly #disk: ModelDisk;
  readonly #spots = new Map<number, Spot>();
  readonly #prints = new Map<number, Fingerprint>();

  constructor(disk: ModelDisk, entries: readonly LocalEntry[]) {
    this.#disk = disk;
    for (const { at, parent, name, print } of entries) {
      this.#spots.set(at, { folder: parent, name });
      this.#prints.set(at, print);
    }
  }

  /** What lies at a number's place now, whatever it is. */
  thing(at: number): Thing | undefined {
    if (at === 0) return this.#disk.top;
    const spot = this.#spots.get(at);
    const folder = spot === undefined ? undefined : this.thing(spot.folder);
    return folder?.kind === "dir" ? this.#disk.at(folder, (spot as Spot).name) : undefined;
  }

  /** What was seen there, if it is still that. */
  same({ at, kind }: LocalEntry): Thing | undefined {
    const thing = this.thing(at);
    const print = this.#prints.get(at);
    if (thing === undefined || print === undefined || thing.kind !== kind) return undefined;
    const now = printOf(thing);
    if (kind === "dir") return now.ino === print.ino ? thing : undefined;
    return keyOf(now) === keyOf(print) ? thing : undefined;
  }

  holds(step: UpStep): boolean {
    if (step.do === "delete")
      return (
        step.gone === undefined ||
        this.#free(step.gone) !== undefined ||
        this.thing(step.gone.folder) === undefined
      );
    return step.entry === undefined || this.same(step.entry) !== undefined;
  }

  /** The folder of a spot where nothing lies. */
  #free({ folder, name }: Spot): Thing | undefined {
    const thing = this.thing(folder);
    return thing?.kind === "dir" && this.#disk.at(thing, name) === undefined ? thing : undefined;
  }

  /** Undefined where the precondition does not hold. */
  carryOut(step: Exclude<Step, UpStep | { do: "hash" | "adopt" | "forget" }>): Thing | undefined {
    switch (step.do) {
      case "makeDir": {
        const folder = this.#free(step.to);
        if (folder === undefined) return undefined;
        this.#spots.set(step.at, step.to);
        return this.#disk.make(folder, step.to.name, "dir");
      }
      case "createFile":
      case "makeLink": {
        const folder = this.#free(step.to);
        if (folder === undefined) return undefined;
        const { kind, executable } = step.item;
        const made = this.#disk.make(folder, step.to.name, kind, textIn(step.item));
        if (this.#disk.profile.executable && executable) this.#disk.setExecutable(made, true);
        return made;
      }
      case "replaceFile": {
        const thing = this.same(step.entry);
        const spot = this.#spots.get(step.entry.at) as Spot;
        if (thing === undefined) return undefined;
        const folder = this.thing(spot.folder) as Thing;
        this.#disk.trash.push(thing.text);
        this.#disk.take(folder, spot.name);
        const made = this.#disk.make(folder, spot.name, "file", textIn(step.item));
        if (this.#disk.profile.executable && step.item.executable) this.#disk.setExecutable(made, true);
        this.#prints.set(step.entry.at, printOf(made));
        return made;
      }
      case "rename": {
        const thing = this.same(step.entry);
        const folder = this.#free(step.to);
        if (thing === undefined || folder === undefined) return undefined;
        const spot = this.#spots.get(step.entry.at) as Spot;
        this.#disk.take(this.thing(spot.folder) as Thing, spot.name);
        this.#disk.put(folder, step.to.name, thing);
        this.#spots.set(step.entry.at, step.to);
        this.#prints.set(step.entry.at, printOf(thing));
        return thing;
      }
      case "setExecutable": {
        const thing = this.same(step.entry);
        if (thing === undefined) return undefined;
        this.#disk.setExecutable(thing, step.executable);
        this.#prints.set(step.entry.at, printOf(thing));
        return thing;
      }
      case "toTrash": {
        const thing = this.same(step.entry);
        if (thing === undefined) return undefined;
        const spot = this.#spots.get(step.entry.at) as Spot;
        if (thing.kind === "file") this.#disk.trash.push(thing.text);
        return this.#disk.take(this.thing(spot.folder) as Thing, spot.name);
      }
      case "removeDir": {
        const thing = this.same(step.entry);
        if (
          thing === undefined ||
          [...thing.kids.values()].some(({ name }) => !JUNK.has(decodeUtf8(name) ?? ""))
        )
          return undefined;
        const spot = this.#spots.get(step.entry.at) as Spot;
        return this.#disk.take(this.thing(spot.folder) as Thing, spot.name);
      }
    }
  }
}

const JUNK = new Set([".DS_Store"]);

export function textIn({ content, target }: Item): string {
  if (target !== undefined) return decodeUtf8(target) ?? "";
  return content?.body.kind === "inline" ? (decodeUtf8(content.body.bytes) ?? "") : "?";
}

/** All that one id and those below it are, by walking the view. */
export function below(device: Device, id: ItemId): Item[] {
  const { item, children } = device.view();
  const first = item(id);
  const found = first === undefined ? [] : [first];
  for (const one of found) if (one.kind === "dir") found.push(...children(one.id));
  return found;
}

/** What all devices read in one order. */
export class Log {
  readonly truth = new Replica();
  readonly #runs: Run[] = [];

  /** The next run of a device, if it has one that is not placed. */
  place(device: Device): boolean {
    const run = device.waiting.find(({ id }) => !this.#runs.some((placed) => placed.run === id));
    if (run === undefined) return false;
    const { index } = device;
    const { id, changes } = run;
    const placed: Run = { seq: this.#runs.length + 1, device: index, label: `D${index}`, run: id, changes };
    this.#runs.push(placed);
    this.truth.apply(placed);
    return true;
  }

  /** The runs that a device reads. */
  read(device: Device, count?: number): readonly Run[] {
    const end = count === undefined ? undefined : device.applied + count;
    const runs = this.#runs.slice(device.applied, end);
    for (const run of runs) {
      const own = run.device === device.index;
      device.replica.tx((tx) => {
        if (own) device.replica.kind.release(tx, run.run as number);
        device.replica.applyIn(tx, { ...run, own });
      });
      if (own) device.waiting.splice(0, 1);
      device.applied++;
    }
    return runs;
  }
}
