/**
 * A disk in memory, as far as the planner's promises look: names as a profile takes them, numbers of
 * things, times of change, and renames that replace nothing. Time is a count of what happened.
 */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { fold, nfc } from "@tidelock/core/kinds/files/fold";
import type { DiskProfile, Fingerprint, LocalEntry } from "@tidelock/core/kinds/files/plan/types";
import type { ItemKind } from "@tidelock/core/kinds/files/types";
import { fastSuite } from "./files-kit.ts";

export interface Thing {
  readonly kind: ItemKind | "special";
  readonly ino: bigint;
  readonly born: bigint;
  mtime: bigint;
  ctime: bigint;
  executable: boolean;
  /** A file's text or a link's target. */
  text: string;
  /** By what the disk takes for one name. */
  readonly kids: Map<string, { readonly name: Uint8Array; readonly thing: Thing }>;
}

const WINDOWS = '<>:"|?*\\';
const common = { hardLinks: true, symlinks: true, executable: true, stampStep: 1n, refused: "" } as const;
const utf16 = { most: 255, unit: "utf16" } as const;

export const profiles: Readonly<Record<"ext4" | "apfs" | "hfs" | "ntfs" | "exfat", DiskProfile>> = {
  ext4: {
    ...common,
    caseSensitive: true,
    normalisation: "kept",
    nameLimit: { most: 255, unit: "byte" },
    windowsNames: false,
  },
  apfs: {
    ...common,
    caseSensitive: false,
    normalisation: "insensitive",
    nameLimit: utf16,
    windowsNames: false,
  },
  hfs: {
    ...common,
    caseSensitive: false,
    normalisation: "decomposed",
    nameLimit: utf16,
    windowsNames: false,
  },
  ntfs: {
    ...common,
    caseSensitive: false,
    normalisation: "kept",
    executable: false,
    symlinks: false,
    nameLimit: utf16,
    refused: WINDOWS,
    windowsNames: true,
  },
  exfat: {
    ...common,
    caseSensitive: false,
    normalisation: "kept",
    hardLinks: false,
    executable: false,
    symlinks: false,
    nameLimit: utf16,
    refused: WINDOWS,
    windowsNames: true,
  },
};

export class ModelDisk {
  readonly profile: DiskProfile;
  readonly top: Thing;
  /** All bytes that were taken out of the tree by a step. */
  readonly trash: string[] = [];
  #inos = 1n;
  #now = 1n;

  constructor(profile: DiskProfile) {
    this.profile = profile;
    this.top = this.#thing("dir", "");
  }

  #thing(kind: Thing["kind"], text: string): Thing {
    this.#now++;
    // No time of birth: what is not recognised by its number is still recognised by its name.
    const born = this.profile.hardLinks ? this.#now : 0n;
    const [mtime, ctime] = [this.#now, this.#now];
    return { kind, ino: this.#inos++, born, mtime, ctime, executable: false, text, kids: new Map() };
  }

  #keyOf(name: Uint8Array): string {
    const { normalisation, caseSensitive } = this.profile;
    const text = decodeUtf8(name);
    if (text === undefined) return `\0${name.join(" ")}`;
    const formed = normalisation === "kept" ? text : nfc(text);
    return caseSensitive ? formed : fold(formed);
  }

  takes(name: string): boolean {
    const { refused, windowsNames, nameLimit, normalisation } = this.profile;
    const stored = normalisation === "decomposed" ? name.normalize("NFD") : name;
    const length = nameLimit.unit === "byte" ? encodeUtf8(stored).length : stored.length;
    if (length > nameLimit.most || Array.from(refused).some((char) => name.includes(char))) return false;
    return !windowsNames || !/[. ]$|^(?:con|aux|com1)(?:\.|$)/i.test(name);
  }

  at(folder: Thing, name: string | Uint8Array): Thing | undefined {
    return folder.kids.get(this.#keyOf(typeof name === "string" ? encodeUtf8(name) : name))?.thing;
  }

  make(folder: Thing, name: string | Uint8Array, kind: Thing["kind"], text = ""): Thing {
    const thing = this.#thing(kind, text);
    this.put(folder, name, thing);
    return thing;
  }

  /** Under a name that is free: everything else would lose something. */
  put(folder: Thing, name: string | Uint8Array, thing: Thing): void {
    const bytes = typeof name === "string" ? encodeUtf8(name) : name;
    const text = decodeUtf8(bytes);
    if (text !== undefined && !this.takes(text))
      throw new Error(`the disk has no name ${JSON.stringify(text)}`);
    const key = this.#keyOf(bytes);
    if (folder.kids.has(key)) throw new Error(`EEXIST ${String(text)}`);
    if (within(thing, folder)) throw new Error("EINVAL");
    const stored =
      this.profile.normalisation === "decomposed" && text !== undefined
        ? encodeUtf8(text.normalize("NFD"))
        : bytes;
    folder.kids.set(key, { name: stored, thing });
    thing.ctime = this.#changed(folder);
  }

  take(folder: Thing, name: string | Uint8Array): Thing {
    const key = this.#keyOf(typeof name === "string" ? encodeUtf8(name) : name);
    const found = folder.kids.get(key);
    if (found === undefined) throw new Error("ENOENT");
    folder.kids.delete(key);
    found.thing.ctime = this.#changed(folder);
    return found.thing;
  }

  write(thing: Thing, text: string): void {
    thing.text = text;
    thing.mtime = thing.ctime = ++this.#now;
  }

  setExecutable(thing: Thing, executable: boolean): void {
    thing.executable = executable;
    thing.ctime = ++this.#now;
  }

  #changed(folder: Thing): bigint {
    this.#now++;
    folder.mtime = folder.ctime = this.#now;
    return this.#now;
  }

  /** All below the top, in the order the disk happens to have. */
  scan(isApart: (name: string) => LocalEntry["apart"] = () => undefined): LocalEntry[] {
    const entries: LocalEntry[] = [];
    const folders: { readonly at: number; readonly thing: Thing }[] = [{ at: 0, thing: this.top }];
    for (const { at: parent, thing: folder } of folders)
      for (const { name, thing } of folder.kids.values()) {
        const at = entries.length + 1;
        const apart = isApart(decodeUtf8(name) ?? "");
        entries.push({ at, parent, name, ...seenOf(thing), apart });
        if (thing.kind === "dir") folders.push({ at, thing });
      }
    return entries;
  }

  /** Path → what is there. */
  tree(isShown: (name: string) => boolean = () => true): Record<string, string> {
    const found: Record<string, string> = {};
    const walk = (folder: Thing, path: string): void => {
      for (const { name, thing } of folder.kids.values()) {
        const text = nfc(decodeUtf8(name) ?? "\ufffd");
        if (!isShown(text)) continue;
        found[`${path}${text}`] = shown(thing);
        if (thing.kind === "dir") walk(thing, `${path}${text}/`);
      }
    };
    walk(this.top, "");
    return found;
  }
}

function shown({ kind, text, executable }: Thing): string {
  if (kind === "dir") return "/";
  return kind === "link" ? `-> ${text}` : `${text}${executable ? " *" : ""}`;
}

function seenOf(thing: Thing): Omit<LocalEntry, "at" | "parent" | "name" | "apart"> {
  const { kind, executable, text } = thing;
  const target = kind === "link" ? encodeUtf8(text) : undefined;
  return { kind, print: printOf(thing), executable, racy: false, hash: undefined, target };
}

export function printOf({ text, mtime, ctime, ino, born }: Thing): Fingerprint {
  return { size: encodeUtf8(text).length, mtimeNs: mtime, ctimeNs: ctime, ino, birthtimeNs: born };
}

export function hashOf({ text }: Thing): Uint8Array {
  return fastSuite.sha256(encodeUtf8(text));
}

/** Whether a folder is a thing or lies in it. */
function within(thing: Thing, folder: Thing): boolean {
  if (thing === folder) return true;
  return [...thing.kids.values()].some((kid) => kid.thing.kind === "dir" && within(kid.thing, folder));
}
