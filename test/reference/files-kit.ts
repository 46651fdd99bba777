/** What the tests of the files kind share: a replica in memory, and short words for changes. */

import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { createFilesKind, type FilesKind } from "@tidelock/core/kinds/files/files";
import { ROOT } from "@tidelock/core/kinds/files/names";
import { spaces as filesSpaces, textOf } from "@tidelock/core/kinds/files/spaces";
import type {
  Entry,
  FileChange,
  FilesSection,
  Item,
  ItemId,
  Op,
  Outcome,
  Pick,
} from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import { locationSpaces } from "@tidelock/core/log/locations";
import { digestedSpaces, Tx } from "@tidelock/core/log/tx";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";

const spaces = [...filesSpaces, ...locationSpaces];

export const fastSuite = createFastSuite((n) => new Uint8Array(n));

export function op(n: number): Op {
  const bytes = new Uint8Array(16).fill(0xee);
  new DataView(bytes.buffer).setUint32(12, n);
  return bytes as Op;
}

export function idOf(op: Op): ItemId {
  return op as Uint8Array as ItemId;
}

export function text(value: string): Content {
  const bytes = encodeUtf8(value);
  return { size: bytes.length, hash: fastSuite.sha256(bytes), body: { kind: "inline", bytes } };
}

export interface Run {
  readonly seq: number;
  readonly device: number;
  readonly label?: string;
  readonly own?: boolean;
  /** Its id in its author's outbox. */
  readonly run?: number;
  readonly changes: readonly FileChange[];
}

export function sectionOf({ changes, device, label }: Omit<Run, "seq">): FilesSection {
  return { label: label ?? `d${device}`, approved: false, changes };
}

/** One device's files: the kind over a store in memory, settled before each transaction commits. */
export class Replica {
  outcomes: readonly Outcome[] = [];
  readonly kind: FilesKind = createFilesKind(fastSuite, (outcomes) => {
    this.outcomes = outcomes;
  });
  readonly store: MapReplicaStore = new MapReplicaStore(spaces.map((s) => s.name));
  readonly #digested = digestedSpaces(spaces);
  digest = 0n;

  tx<T>(work: (tx: Tx) => T): T {
    return this.store.transaction(() => {
      const tx = new Tx(this.store, fastSuite, this.#digested, this.digest);
      const result = work(tx);
      this.kind.settle(tx);
      this.digest = tx.digest;
      return result;
    });
  }

  apply(run: Run): readonly Outcome[] {
    return this.tx((tx) => this.applyIn(tx, run));
  }

  applyIn(tx: Tx, run: Run): readonly Outcome[] {
    const { seq, device, own = false } = run;
    this.kind.apply(tx, [sectionOf(run)], { seq, time: seq * 1000, device, own });
    return this.outcomes;
  }

  hold(id: number, run: Omit<Run, "seq">): void {
    this.tx((tx) => this.kind.hold(tx, id, [sectionOf(run)]));
  }

  release(id: number): void {
    this.tx((tx) => this.kind.release(tx, id));
  }

  /** Path → what is there: a folder as `/`, a file's text, a link's target. */
  tree(): Readonly<Record<string, string>> {
    return this.tx((tx) => treeIn(this.kind, tx));
  }

  item(id: ItemId): Item | undefined {
    return this.tx((tx) => this.kind.item(tx, id));
  }

  open(): number {
    return this.tx((tx) => this.kind.conflicts(tx, { open: true })).length;
  }
}

/** Path → what is there: a folder as `/`, a file's text, a link's target. */
export function treeIn(kind: FilesKind, tx: Tx): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  const walk = (folder: ItemId, path: string): void => {
    for (const item of kind.list(tx, folder, undefined, 1000)) {
      const name = `${path}${item.name}`;
      found[name] = shownOf(item);
      if (item.kind === "dir") walk(item.id, `${name}/`);
    }
  };
  walk(ROOT, "");
  return found;
}

export function shownOf({ kind, content, target }: Item): string {
  if (kind === "dir") return "/";
  if (kind === "link") return `-> ${textOf(target as Uint8Array)}`;
  return content?.body.kind === "inline" ? textOf(content.body.bytes) : "?";
}

/** An author: ops of its own, and the base it says. */
export class Author {
  base = 0;
  #ops: number;

  constructor(first: number) {
    this.#ops = first;
  }

  said(): { op: Op; base: number; time: number } {
    return { op: op(++this.#ops), base: this.base, time: Date.UTC(2026, 10, 20) };
  }

  mkdir(name: string, parent: ItemId = ROOT): FileChange {
    return { do: "mkdir", ...this.said(), parent, name };
  }

  create(name: string, value: string, parent: ItemId = ROOT): FileChange {
    const meta = { mtime: 0, executable: false };
    return { do: "create", ...this.said(), parent, name, content: text(value), meta };
  }

  write(item: Item, value: string): FileChange {
    return { do: "write", ...this.said(), id: item.id, rev: item.rev, content: text(value), mtime: 0 };
  }

  move(item: Item, name: string, parent: ItemId = ROOT): FileChange {
    return { do: "move", ...this.said(), id: item.id, place: item.place, parent, name };
  }

  delete(item: Item): FileChange {
    return { do: "delete", ...this.said(), id: item.id };
  }

  restore(item: Item, to?: { parent: ItemId; name: string }): FileChange {
    return { do: "restore", ...this.said(), id: item.id, to };
  }

  pin(item: Item): FileChange {
    return { do: "meta", ...this.said(), id: item.id, set: { key: "pin", value: true } };
  }

  settle(entry: Entry, pick: Pick, item: Item, copy: Item): FileChange {
    return { do: "settle", ...this.said(), entry: entry.op, pick, rev: item.rev, otherRev: copy.rev };
  }
}

/** One tree, and what devices say of it one after another. */
export class Scene {
  readonly replica = new Replica();
  readonly #authors = new Map<number, Author>();
  #seq = 0;

  author(device: number): Author {
    const author = this.#authors.get(device) ?? new Author(device * 1000);
    this.#authors.set(device, author);
    return author;
  }

  /** By a device that has seen everything but, if told so, what stands after a seq. */
  say(device: number, make: (author: Author) => FileChange, seen = this.#seq): Outcome {
    const author = this.author(device);
    author.base = seen;
    this.replica.apply({ seq: ++this.#seq, device, label: `D${device}`, changes: [make(author)] });
    return this.replica.outcomes[0] as Outcome;
  }

  at(...names: readonly string[]): Item {
    let item: Item | undefined;
    for (const name of names) {
      const parent = item?.id ?? ROOT;
      item = this.replica.tx((tx) => this.replica.kind.child(tx, parent, name));
    }
    if (item === undefined) throw new Error(`no ${names.join("/")}`);
    return item;
  }

  get seq(): number {
    return this.#seq;
  }
}

/** `d/e/f` and `d/g`. */
export function made(): Scene {
  const s = new Scene();
  s.say(1, (a) => a.mkdir("d"));
  s.say(1, (a) => a.mkdir("e", s.at("d").id));
  s.say(1, (a) => a.create("f", "1", s.at("d", "e").id));
  s.say(1, (a) => a.create("g", "2", s.at("d").id));
  return s;
}
