/** A person at a simulated machine: makes, saves, renames and deletes files, in the ways programs do. */
import { concat } from "@tidelock/core/bytes/bytes";
import { Writer } from "@tidelock/core/bytes/writer";
import { CANARY, type EditKind, type Moment } from "@tidelock/testkit/world/app";
import type { FolderImage, OpenFile } from "@tidelock/testkit/world/folder-image";
import type { Stream } from "@tidelock/testkit/world/random";

const NAMES = ["a", "A", "b", "\u00e9", "e\u0301", "x.txt", "notes.md", "Notes.md"];
const OURS = ".tidelock";
/** Well within the time that what gave way is held (FLD6), ms: it counts from a note that is a little older than the step. */
const HELD = 5000;
/** Saves by programs that know of nothing have one marker: their own count tells them apart. */
const MEDDLED = 3_000_000;

export type Found = { readonly kind: "dir" | "link" } | { readonly kind: "file"; readonly bytes: Uint8Array };

/** All below a folder by its path; `ours`: also what lies in our own place. */
export function treeOf(image: FolderImage, root: string, ours = false): Map<string, Found> {
  const found = new Map<string, Found>();
  const walk = (path: string): void => {
    for (const { name, kind } of image.list(`${root}${path}`).entries) {
      if (name === OURS && !ours) continue;
      const at = `${path}/${name}`;
      if (kind === "file") found.set(at, { kind, bytes: image.read(`${root}${at}`) });
      else found.set(at, { kind: kind === "dir" ? "dir" : "link" });
      if (kind === "dir") walk(at);
    }
  };
  walk("");
  return found;
}

export interface Owed {
  readonly what: string;
  /** `vault`: it has to be in the tree or in the vault's history; `disk`: a disk's trash is enough. */
  readonly by: "vault" | "disk";
}

export interface PersonDeps {
  readonly image: FolderImage;
  readonly root: string;
  /** By hash: what somebody saved and nobody destroyed. */
  readonly owed: Map<string, Owed>;
  readonly hashOf: (bytes: Uint8Array) => string;
  readonly name: string;
  /** The world's time, ms. */
  readonly now: () => number;
  readonly after: (ms: number, work: () => void) => void;
  /** Another number each time the machine slept or its clock was set. */
  readonly shaken: () => number;
  /** Whether anything may go wrong now. */
  readonly isRestless: () => boolean;
  readonly say: (line: () => string) => void;
}

export class Person {
  readonly #deps: PersonDeps;
  /** What this disk was asked to make durable. */
  readonly #durable = new Set<string>();
  #saves = 0;
  /** What a program has open, and writes to when it likes. */
  #open: OpenFile | undefined;
  #opened: Moment | undefined;
  /** When that was first seen to lie in our own place alone. */
  #leftAt: number | undefined;
  /** What the product saw at a path when it last looked. */
  readonly #seenInoByPath = new Map<string, bigint>();
  /** When the machine last slept, as far as anybody looked. */
  #shakenAt = Number.NEGATIVE_INFINITY;
  #shaken = 0;
  /** The folder is elsewhere, and an empty one stands in its place. */
  #away = false;

  get isAway(): boolean {
    return this.#away;
  }

  /** How often the folder went elsewhere. */
  departures = 0;

  constructor(deps: PersonDeps) {
    this.#deps = deps;
  }

  act(what: EditKind, moment: Moment): void {
    const { random } = moment;
    this.#comeAndGo(random);
    if (this.#away) return;
    const acts = what === "small" ? random.int(1, 3) : what === "run" ? random.int(4, 8) : 1;
    if (what === "big") this.#manyFiles(moment);
    for (let n = 0; n < acts; n++) {
      try {
        this.#one(moment);
      } catch (error) {
        if ((error as { code?: string }).code === undefined) throw error;
      }
    }
    if (!random.chance(0.6)) return;
    const { image, root, hashOf } = this.#deps;
    image.syncAll();
    for (const [, found] of treeOf(image, root))
      if (found.kind === "file") this.#durable.add(hashOf(found.bytes));
  }

  /** What was never flushed may be lost by it, and is nobody's fault. */
  powerCut(cut: () => void): void {
    this.#open = undefined;
    const { image, hashOf, owed } = this.#deps;
    const all = (): Set<string> => {
      const hashes = new Set<string>();
      for (const [, found] of treeOf(image, "", true))
        if (found.kind === "file") hashes.add(hashOf(found.bytes));
      return hashes;
    };
    const before = all();
    cut();
    const after = all();
    for (const hash of before) if (!after.has(hash) && !this.#durable.has(hash)) owed.delete(hash);
  }

  #one(moment: Moment): void {
    const { random } = moment;
    const { image, root } = this.#deps;
    const tree = treeOf(image, root);
    const paths = [...tree.keys()];
    const files = paths.filter((path) => tree.get(path)?.kind === "file");
    const folders = ["", ...paths.filter((path) => tree.get(path)?.kind === "dir")];
    const any = random.pick(paths);
    const file = random.pick(files);
    const place = `${random.pick(folders) ?? ""}/${random.pick(NAMES)}`;
    const act = random.int(0, 13);
    this.#deps.say(() => `${this.#deps.name}  person: ${act} file ${file} any ${any} place ${place}`);
    switch (act) {
      case 12:
        this.#open = file === undefined ? undefined : image.open(root + file);
        this.#opened = moment;
        this.#leftAt = undefined;
        return;
      case 13:
        this.#writeToOpen(moment);
        return;
      case 0:
        image.mkdir(root + place);
        return;
      case 1:
      case 2:
        if (file !== undefined) this.#overwrite(file, moment);
        return;
      case 3:
        if (file !== undefined) this.#saveBeside(file, moment);
        return;
      case 4:
        if (file !== undefined) this.#saveAfterBackup(file, moment);
        return;
      case 5:
      case 6:
        if (any !== undefined) this.#move(any, place);
        return;
      case 7:
        if (any !== undefined) this.#delete(any);
        return;
      case 8:
        if (any !== undefined) this.#move(any, caseOf(any));
        return;
      case 9:
        if (file !== undefined) image.chmod(root + file, random.chance(0.5) ? 0o755 : 0o644);
        return;
      case 10:
        image.create(root + place, new TextEncoder().encode("a"), "link");
        return;
      default:
        if (tree.get(place)?.kind === "file") this.#overwrite(place, moment);
        else this.#create(place, moment);
    }
  }

  #content({ random, marker }: Moment): Uint8Array {
    const size = random.chance(0.15) ? 17_000 : random.int(0, 60);
    const head = concat(
      CANARY,
      new Writer(16)
        .v(marker)
        .v(++this.#saves)
        .done(),
    );
    return concat(head, new TextEncoder().encode(this.#deps.name), new Uint8Array(size));
  }

  #create(path: string, moment: Moment): void {
    const { image, root } = this.#deps;
    const bytes = this.#content(moment);
    image.create(root + path, bytes);
    this.#owe(path, bytes);
  }

  #overwrite(path: string, moment: Moment): void {
    const { image, root } = this.#deps;
    this.#destroyed(path);
    const bytes = this.#content(moment);
    image.overwrite(root + path, bytes);
    this.#owe(path, bytes);
  }

  /** As most programs: a new file beside it, flushed, in its place. */
  #saveBeside(path: string, moment: Moment): void {
    const { image, root } = this.#deps;
    const bytes = this.#content(moment);
    const beside = `${path}.tmp`;
    image.create(root + beside, bytes);
    image.syncFile(root + beside);
    this.#destroyed(path);
    image.rename(root + beside, root + path);
    this.#owe(path, bytes);
  }

  /** As some editors: the old one is kept under another name. */
  #saveAfterBackup(path: string, moment: Moment): void {
    const { image, root } = this.#deps;
    this.#destroyed(`${path}~`);
    image.rename(root + path, `${root}${path}~`);
    this.#create(path, moment);
  }

  #move(from: string, to: string): void {
    const { image, root } = this.#deps;
    const gone = from === to ? undefined : this.#hashAt(to);
    const moved = this.#hashAt(from);
    image.rename(root + from, root + to);
    if (gone !== undefined && gone !== moved) this.#deps.owed.delete(gone);
  }

  #delete(path: string): void {
    const { image, root } = this.#deps;
    const below = [...treeOf(image, root)].filter(([at]) => at === path || at.startsWith(`${path}/`));
    for (const [at, { kind }] of below.reverse()) {
      this.#destroyed(at);
      if (kind === "dir") image.rmdir(root + at);
      else image.unlink(root + at);
    }
  }

  #manyFiles(moment: Moment): void {
    const { image, root } = this.#deps;
    const folder = `/many ${moment.marker}`;
    try {
      image.mkdir(root + folder);
      for (let i = moment.random.int(5, 20); i > 0; i--) this.#create(`${folder}/f${i}`, moment);
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
    }
  }

  #writeToOpen(moment: Moment): void {
    const open = this.#open;
    if (open === undefined) return;
    const { owed, hashOf, name } = this.#deps;
    owed.delete(hashOf(open.bytes()));
    const bytes = this.#content(moment);
    open.write(bytes);
    const names = open.names();
    // Into a file whose last name somebody took away: gone with the program.
    if (names.length === 0) return;
    // FLD15: after its time aside only the trash has what such a program writes.
    const by = this.#isHeld() || names.some((path) => !path.includes(`/${OURS}/trash/`)) ? "vault" : "disk";
    owed.set(hashOf(bytes), { what: `what was written to an open file on ${name}`, by });
  }

  /** A program saves just before the product looks at that path, or at another. */
  saveNow(path: string, random: Stream): void {
    if (this.#away) return;
    const { image, root, say, name } = this.#deps;
    const files = [...treeOf(image, root)].flatMap(([at, { kind }]) => (kind === "file" ? [at] : []));
    const wanted = path.slice(root.length);
    const file = files.includes(wanted) ? wanted : random.pick(files);
    const moment = { random, now: 0, marker: MEDDLED };
    say(() => `${name}  program: saves ${file}`);
    try {
      if (file === undefined) return;
      if (random.chance(0.5)) this.#overwrite(file, moment);
      else this.#saveBeside(file, moment);
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
    }
  }

  /**
   * A step of the product takes a name. What a program put there after the last look is lost by it: no call that every
   * system has lets that be seen (FLD6). What lay there when it looked must not be lost.
   */
  isReplaced(path: string): void {
    const { image, root, owed, say, name } = this.#deps;
    if (!path.startsWith(`${root}/`) || path.startsWith(`${root}/${OURS}/`)) return;
    const hash = this.#hashAt(path.slice(root.length));
    if (hash === undefined || image.look(path).ino === this.#seenInoByPath.get(path)) return;
    say(() => `${name}  ${path} came in the instant of a step`);
    owed.delete(hash);
  }

  /** The product looks at a path in this instant. */
  isLookedAt(path: string): void {
    try {
      this.#seenInoByPath.set(path, this.#deps.image.look(path).ino);
    } catch {
      this.#seenInoByPath.delete(path);
    }
  }

  /** Told of each change that was made on the disk. */
  looked(): void {
    const { now, shaken } = this.#deps;
    if (this.#shaken !== shaken()) this.#shakenAt = now();
    this.#shaken = shaken();
    const names = this.#open?.names() ?? [];
    const isOurs = names.length > 0 && names.every((path) => path.includes(`/${OURS}/`));
    if (!isOurs) this.#leftAt = undefined;
    else if (this.#leftAt === undefined) {
      this.#leftAt = now();
      this.#goesOn();
    }
  }

  /** As a program that notices nothing: it saves once more. */
  #goesOn(): void {
    const [open, moment] = [this.#open, this.#opened];
    if (moment === undefined || !moment.random.chance(0.5)) return;
    this.#deps.after(moment.random.int(0, HELD), () => {
      if (this.#open === open && this.#deps.isRestless()) this.#writeToOpen(moment);
    });
  }

  /** Whether what a program has open gave way so lately that it must still be looked after. */
  #isHeld(): boolean {
    const { now, shaken } = this.#deps;
    const at = this.#leftAt;
    return at !== undefined && now() - at < HELD && at - this.#shakenAt > HELD && this.#shaken === shaken();
  }

  /** As a volume that is not mounted for a while. */
  #comeAndGo(random: Stream): void {
    const { image, root } = this.#deps;
    if (this.#away) {
      if (random.chance(0.5)) this.comeBack();
      return;
    }
    if (!this.#deps.isRestless() || !random.chance(0.04)) return;
    image.rename(root, `${root}-away`);
    image.mkdir(root);
    image.syncAll();
    this.#away = true;
    this.departures++;
  }

  comeBack(): void {
    if (!this.#away) return;
    const { image, root } = this.#deps;
    image.rename(root, `${root}-other`);
    image.rename(`${root}-away`, root);
    // What was made in the other one while it stood there is not ours.
    this.#away = false;
    image.syncAll();
    this.#clear(`${root}-other`);
  }

  #clear(path: string): void {
    const { image } = this.#deps;
    for (const { name, kind } of image.list(path).entries)
      if (kind === "dir") this.#clear(`${path}/${name}`);
      else image.unlink(`${path}/${name}`);
    image.rmdir(path);
  }

  #hashAt(path: string): string | undefined {
    const { image, root, hashOf } = this.#deps;
    try {
      return hashOf(image.read(root + path));
    } catch {
      return undefined;
    }
  }

  #destroyed(path: string): void {
    const hash = this.#hashAt(path);
    if (hash !== undefined) this.#deps.owed.delete(hash);
  }

  #owe(path: string, bytes: Uint8Array): void {
    const { owed, hashOf, name } = this.#deps;
    owed.set(hashOf(bytes), { what: `what was saved as ${path} on ${name}`, by: "vault" });
  }
}

/** The same name in other letters. */
function caseOf(path: string): string {
  const cut = path.lastIndexOf("/") + 1;
  const name = path.slice(cut);
  return path.slice(0, cut) + (name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase());
}
