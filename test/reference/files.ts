/**
 * What docs/spec/files.md says, once more, as plainly as it can be said: plain maps, every stamp ever made is
 * kept, every question is answered by looking at everything. The oracle for the real reducer; of it this
 * imports names and types alone.
 */
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { withCtx } from "@tidelock/core/crypto/labels";
import { fold } from "@tidelock/core/kinds/files/fold";
import { freeName, isNameIn, RECOVERED, RECOVERED_NAME, ROOT } from "@tidelock/core/kinds/files/names";
import type { Entry, FileChange, ItemKind, Pick, Refusal } from "@tidelock/core/kinds/files/types";
import { type Content, sameContent } from "@tidelock/core/log/content";
import { fastSuite, type Run } from "./files-kit.ts";

/** Of an item or an op, in hex. */
type Id = string;

export interface Thing {
  readonly id: Id;
  readonly kind: ItemKind;
  parent: Id;
  name: string;
  content?: Content | undefined;
  target?: string;
  rev: Id;
  writes: number;
  equal: Set<Id>;
  place: Id;
  placeEqual: Set<Id>;
  by: { device: number; time: number };
  mtime: number;
  executable: boolean;
  compress: boolean;
  pin: boolean;
  tags: Map<string, string>;
  dead?: { op: Id; seq: number; device: number } | undefined;
  copyOf?: { item: Id; entry: Id } | undefined;
  /** FIL8, by the letter: all that anybody ever did to it. */
  readonly done: { to: "content" | "place" | "rest"; seq: number; device: number }[];
  readonly versions: { rev: Id; content: Content; seq: number }[];
}

export interface Told {
  readonly op: Id;
  readonly why: Entry["why"];
  readonly item: Id;
  readonly seq: number;
  readonly index: number;
  /** Of a conflict. */
  readonly sides?: { copy: Id; rev: Id; otherRev: Id; ended: Pick | "over" | undefined };
}

/** `ok`, `copy ID`, `void REASON`, … */
export type Became = string;

/** A change, who says it and where in the log. */
type Act = FileChange & {
  readonly at: {
    readonly seq: number;
    readonly index: number;
    readonly device: number;
    readonly label: string;
  };
};

const root = toHex(ROOT);
const recovered = toHex(RECOVERED);
const no = (reason: Refusal): Became => `void ${reason}`;
const opOf = (c: Act): Id => toHex(c.op);

export class Law {
  readonly items = new Map<Id, Thing>();
  readonly alias = new Map<Id, Id>();
  readonly heads = new Map<Id, Id>();
  readonly entries = new Map<Id, Told>();
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;

  constructor(sha256: (bytes: Uint8Array) => Uint8Array = fastSuite.sha256) {
    this.#sha256 = sha256;
  }

  /** What became of each change; `after` looks at the state between them. */
  apply(run: Run, after: (index: number, became: Became) => void = () => undefined): Became[] {
    const { seq, device, label = `d${device}` } = run;
    return run.changes.map((change, index) => {
      const became = this.#take({ ...change, at: { seq, device, index, label } });
      after(index, became);
      return became;
    });
  }

  conflicts(): Told[] {
    return [...this.entries.values()].filter((e) => e.sides !== undefined && e.sides.ended === undefined);
  }

  /** By path. */
  tree(): Map<string, Thing> {
    const found = new Map<string, Thing>();
    const walk = (folder: Id, path: string): void => {
      for (const x of this.#in(folder)) {
        found.set(path + x.name, x);
        walk(x.id, `${path}${x.name}/`);
      }
    };
    walk(root, "");
    return found;
  }

  #take(c: Act): Became {
    const used = [this.items, this.alias, this.heads, this.entries].some((of) => of.has(opOf(c)));
    return used || /^0{30}/.test(opOf(c)) ? no("bad") : this.#does(c);
  }

  #does(c: Act): Became {
    switch (c.do) {
      case "mkdir":
      case "create":
      case "symlink":
        return isNameIn(c.parent, c.name) ? this.#make(c) : no("bad");
      case "write":
        return this.#write(c);
      case "move":
        return isNameIn(c.parent, c.name) ? this.#move(c) : no("bad");
      case "delete":
        return this.#delete(c);
      case "restore":
        return c.to === undefined || isNameIn(c.to.parent, c.to.name) ? this.#restore(c) : no("bad");
      case "meta":
        return this.#meta(c);
      case "settle":
        return this.#settle(c);
    }
  }

  /** FIL5. */
  #make(c: Act & { do: "mkdir" | "create" | "symlink" }): Became {
    const home = this.#home(toHex(c.parent), c);
    const there = this.#in(home.id).find((x) => fold(x.name) === fold(c.name));
    if (there !== undefined && isSame(there, c)) {
      this.alias.set(opOf(c), there.id);
      there.placeEqual.add(opOf(c));
      if (c.do !== "create") note(there, "rest", c);
      else {
        this.heads.set(opOf(c), there.id);
        there.equal.add(opOf(c));
        note(there, "content", c);
      }
      return "same";
    }
    const kind = c.do === "mkdir" ? "dir" : c.do === "create" ? "file" : "link";
    const x = this.#born(opOf(c), kind, home.id, c.name, c);
    if (c.do === "create")
      Object.assign(x, { content: c.content, mtime: c.meta.mtime, executable: c.meta.executable });
    if (c.do === "symlink") x.target = toHex(c.target);
    if (there !== undefined && kind === "file" && there.kind === "file")
      this.#conflict(c, "create", there, x);
    else if (home.recovered) this.#notice(c, "recovered", x.id);
    else if (there !== undefined) this.#notice(c, "renamed", x.id);
    return there !== undefined ? `copy ${x.id}` : home.recovered ? "adjusted" : "ok";
  }

  /** FIL9. */
  #write(c: Act & { do: "write" }): Became {
    const asked = this.items.get(this.#named(c.id));
    const lives = asked !== undefined && !asked.dead && holds(asked, toHex(c.rev));
    const head = this.heads.get(toHex(c.rev));
    const x = lives || head === undefined ? asked : this.items.get(head);
    if (this.items.has(this.#copyId(c)) && (x?.kind !== "file" || this.#isLost(x, c))) return no("bad");
    if (x === undefined || x.kind !== "file") {
      const made = this.#born(this.#copyId(c), "file", this.#recovered(c), "unknown", c);
      Object.assign(made, { content: c.content, mtime: c.mtime });
      this.#notice(c, "recovered", made.id);
      return `copy ${made.id}`;
    }
    const named = holds(x, toHex(c.rev));
    if (this.#isLost(x, c)) return this.#loses(x, c);
    if (named) {
      this.#over(x.copyOf?.entry);
      this.#replace(x, c.content, c);
      Object.assign(x, { mtime: c.mtime, by: { device: c.at.device, time: c.time } });
    } else {
      x.equal.add(opOf(c));
      this.heads.set(opOf(c), x.id);
      note(x, "content", c);
    }
    if (!x.dead) return named ? "ok" : "same";
    this.#wake(x, this.#home(x.parent, c).id, x.name, c);
    return "adjusted";
  }

  #isLost(x: Thing, c: Act & { do: "write" }): boolean {
    return !holds(x, toHex(c.rev)) && !sameContent(c.content, x.content as Content);
  }

  #loses(x: Thing, c: Act & { do: "write" }): Became {
    note(x, "content", c);
    if (x.dead) this.#wake(x, this.#home(x.parent, c).id, x.name, c);
    const copy = this.#born(this.#copyId(c), "file", this.#home(x.parent, c).id, x.name, c);
    Object.assign(copy, { content: c.content, mtime: c.mtime, executable: x.executable });
    this.#conflict(c, "write", x, copy);
    return `copy ${copy.id}`;
  }

  /** FIL10. */
  #move(c: Act & { do: "move" }): Became {
    const x = this.items.get(this.#named(c.id));
    if (x === undefined) return no("gone");
    const to = this.#named(c.parent);
    if (!x.dead && x.parent === to && x.name === c.name) {
      x.placeEqual.add(opOf(c));
      note(x, "place", c);
      return "same";
    }
    if (toHex(c.place) !== x.place && !x.placeEqual.has(toHex(c.place))) {
      this.#notice(c, "moved", x.id);
      return no("moved");
    }
    if (this.#under(this.#landing(to), x.id)) {
      this.#notice(c, "cycle", x.id);
      return no("cycle");
    }
    return this.#put(x, to, c.name, c);
  }

  /** FIL11. */
  #delete(c: Act & { do: "delete" }): Became {
    const x = this.items.get(this.#named(c.id));
    if (x === undefined || x.dead) return no("gone");
    if (saw(x, c, "place") && this.#goes(x, c)) return "ok";
    this.#notice(c, "delete", x.id);
    return saw(x, c, "place") && x.kind === "dir" ? "adjusted" : no("touched");
  }

  /** With all it can take along, the deepest first. */
  #goes(x: Thing, c: Act): boolean {
    if (!saw(x, c, "place")) return false;
    for (const child of this.#in(x.id)) this.#goes(child, c);
    if (!saw(x, c) || this.#in(x.id).length > 0) return false;
    this.#dies(x, c);
    return true;
  }

  /** FIL15. */
  #restore(c: Act & { do: "restore" }): Became {
    const x = this.items.get(this.#named(c.id));
    if (x === undefined) return no("gone");
    if (!x.dead) return "same";
    const to = c.to && this.#named(c.to.parent);
    if (to !== undefined && this.#under(this.#landing(to), x.id)) {
      this.#notice(c, "cycle", x.id);
      return no("cycle");
    }
    return this.#put(x, to, c.to?.name ?? x.name, c);
  }

  #meta(c: Act & { do: "meta" }): Became {
    const x = this.items.get(this.#named(c.id));
    if (x === undefined) return no("gone");
    const { dead } = x;
    if (dead && (dead.seq <= c.base || dead.device === c.at.device)) return no("gone");
    if (dead) this.#wake(x, this.#home(x.parent, c).id, x.name, c);
    const { set } = c;
    if (set.key !== "tag") x[set.key] = set.value;
    else if (set.value === "") x.tags.delete(set.name);
    else x.tags.set(set.name, set.value);
    note(x, "rest", c);
    return dead ? "adjusted" : "ok";
  }

  /** FIL13. */
  #settle(c: Act & { do: "settle" }): Became {
    const entry = this.entries.get(toHex(c.entry));
    const sides = entry?.sides;
    if (entry === undefined || sides === undefined || sides.ended !== undefined) return no("settled");
    const [x, copy] = [this.items.get(entry.item) as Thing, this.items.get(sides.copy) as Thing];
    if (!holds(x, toHex(c.rev)) || !holds(copy, toHex(c.otherRev))) return no("touched");
    sides.ended = c.pick;
    copy.copyOf = undefined;
    if (c.pick === "use-other") {
      this.#replace(x, copy.content as Content, c);
      Object.assign(x, { mtime: copy.mtime, by: copy.by });
      for (const same of [copy.rev, ...copy.equal]) {
        x.equal.add(same);
        this.heads.set(same, x.id);
      }
    }
    if (c.pick !== "keep-both") this.#dies(copy, c);
    return "ok";
  }

  // What they are made of.

  #named(id: Uint8Array): Id {
    return this.alias.get(toHex(id)) ?? toHex(id);
  }

  /** What lives in a folder. */
  #in(folder: Id): Thing[] {
    return [...this.items.values()].filter((x) => x.parent === folder && !x.dead);
  }

  #copyId(c: Act): Id {
    return toHex(this.#sha256(withCtx("tl1/copy", fromHex(opOf(c)) as Uint8Array))).slice(0, 32);
  }

  #born(id: Id, kind: ItemKind, parent: Id, wanted: string, c: Act): Thing {
    const name = this.#free(parent, wanted, undefined, c);
    const [rev, by] = [opOf(c), { device: c.at.device, time: c.time }];
    const flags = { executable: false, compress: true, pin: false, tags: new Map<string, string>() };
    const same = { equal: new Set<Id>(), placeEqual: new Set<Id>() };
    const x: Thing = {
      id,
      kind,
      parent,
      name,
      rev,
      place: rev,
      writes: 1,
      ...same,
      by,
      mtime: 0,
      ...flags,
      done: [],
      versions: [],
    };
    note(x, "content", c);
    note(x, "place", c);
    this.items.set(id, x);
    if (kind === "file") this.heads.set(opOf(c), id);
    return x;
  }

  #replace(x: Thing, content: Content, c: Act): void {
    x.versions.push({ rev: x.rev, content: x.content as Content, seq: c.at.seq });
    Object.assign(x, { content, rev: opOf(c), equal: new Set<Id>() });
    x.writes++;
    this.heads.set(opOf(c), x.id);
    note(x, "content", c);
  }

  /** FIL4. */
  #free(parent: Id, wanted: string, but: Id | undefined, c: Act): string {
    const taken = this.#in(parent).filter((x) => x.id !== but);
    const made = { label: c.at.label, time: c.time };
    return freeName(wanted, made, (name) => taken.some((x) => fold(x.name) === fold(name)));
  }

  /** Where what is put into this folder lands. FIL6. */
  #landing(folder: Id): Id {
    return folder === root || this.items.get(folder)?.kind === "dir" ? folder : recovered;
  }

  /** Whether it is this item or lies in it, dead or alive. */
  #under(folder: Id, id: Id): boolean {
    for (let at = folder; at !== root; at = this.items.get(at)?.parent ?? root) if (at === id) return true;
    return false;
  }

  /** FIL6: a live folder. */
  #home(folder: Id, c: Act): { id: Id; recovered: boolean } {
    const named = this.alias.get(folder) ?? folder;
    const x = this.items.get(named);
    if (named !== root && x?.kind !== "dir")
      return { id: this.#recovered(c), recovered: named !== recovered };
    if (x?.dead) this.#wake(x, this.#home(x.parent, c).id, x.name, c);
    return { id: named, recovered: false };
  }

  #recovered(c: Act): Id {
    const x = this.items.get(recovered);
    if (x === undefined) this.#born(recovered, "dir", root, RECOVERED_NAME, c);
    else if (x.dead) this.#wake(x, root, x.name, c);
    return recovered;
  }

  /** It alone: what was dead lives here. */
  #wake(x: Thing, parent: Id, wanted: string, c: Act): void {
    Object.assign(x, { dead: undefined, parent, name: this.#free(parent, wanted, x.id, c) });
    note(x, "rest", c);
  }

  /** FIL7: to a place, or where it was, with all that died with it. */
  #put(x: Thing, to: Id | undefined, wanted: string, c: Act): Became {
    const home = this.#home(to ?? x.parent, c);
    const { dead } = x;
    if (dead) this.#wake(x, home.id, wanted, c);
    else Object.assign(x, { parent: home.id, name: this.#free(home.id, wanted, x.id, c) });
    if (dead) this.#wakeIn(x, dead.op, c);
    if (to !== undefined) {
      this.#over(x.copyOf?.entry);
      Object.assign(x, { place: opOf(c), placeEqual: new Set<Id>() });
      note(x, "place", c);
    }
    if (home.recovered) this.#notice(c, "recovered", x.id);
    else if (x.name !== wanted) this.#notice(c, "renamed", x.id);
    return home.recovered || x.name !== wanted ? "adjusted" : "ok";
  }

  #wakeIn(folder: Thing, op: Id, c: Act): void {
    for (const x of this.items.values())
      if (x.parent === folder.id && x.dead?.op === op) {
        this.#wake(x, folder.id, x.name, c);
        this.#wakeIn(x, op, c);
      }
  }

  #dies(x: Thing, c: Act): void {
    x.dead = { op: opOf(c), seq: c.at.seq, device: c.at.device };
    for (const entry of this.conflicts())
      if (entry.item === x.id || entry.sides?.copy === x.id) this.#over(entry.op);
  }

  /** FIL12. */
  #conflict(c: Act, why: Entry["why"], x: Thing, copy: Thing): void {
    const sides = { copy: copy.id, rev: x.rev, otherRev: copy.rev, ended: undefined };
    this.entries.set(opOf(c), { op: opOf(c), why, item: x.id, seq: c.at.seq, index: c.at.index, sides });
    copy.copyOf = { item: x.id, entry: opOf(c) };
  }

  #notice(c: Act, why: Entry["why"], item: Id): void {
    this.entries.set(opOf(c), { op: opOf(c), why, item, seq: c.at.seq, index: c.at.index });
  }

  #over(entry: Id | undefined): void {
    const told = entry === undefined ? undefined : this.entries.get(entry);
    if (told?.sides === undefined || told.sides.ended !== undefined) return;
    told.sides.ended = "over";
    (this.items.get(told.sides.copy) as Thing).copyOf = undefined;
  }
}

function isSame(x: Thing, c: Act): boolean {
  if (c.do === "mkdir") return x.kind === "dir";
  if (c.do === "create") return x.content !== undefined && sameContent(x.content, c.content);
  return c.do === "symlink" && x.target === toHex(c.target);
}

/** Whether this op made what it holds, or said the same. */
function holds(x: Thing, rev: Id): boolean {
  return x.rev === rev || x.equal.has(rev);
}

function note(x: Thing, to: Thing["done"][number]["to"], c: Act): void {
  x.done.push({ to, seq: c.at.seq, device: c.at.device });
}

/** FIL8: whether its author had seen all that others did to it. */
function saw(x: Thing, c: Act, only?: "place"): boolean {
  return x.done.every(
    ({ to, seq, device }) => device === c.at.device || seq <= c.base || (only && to !== only),
  );
}
