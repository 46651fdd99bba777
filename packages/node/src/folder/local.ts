/** The local tree as the planner wants it: entries with numbers, and the way back from a number to a path. */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { type LocalEntry, type Spot, TOP } from "@tidelock/core/kinds/files/plan/types";
import { type Apart, childKey, type Seen, type SeenTree } from "./seen.ts";

export interface Local {
  readonly entries: readonly LocalEntry[];
  readonly places: Places;
}

/** `racy`: whether only its bytes tell if this file is what its row says; `read`: whether these were read for that. */
export function localOf(tree: SeenTree, racy: (seen: Seen) => boolean, read: (seen: Seen) => boolean): Local {
  const entries: LocalEntry[] = [];
  const places = new Places();
  const walk = (key: string, number: number): void => {
    const folder = tree.get(key);
    if (folder === undefined) return;
    for (const name of folder.notText) entries.push(nameless(++places.last, number, name));
    for (const seen of folder.entries.values()) {
      const at = ++places.last;
      places.put(at, number, seen.name);
      entries.push(entryOf(at, number, seen, racy(seen), read));
      if (seen.facts.kind === "dir") walk(childKey(key, seen.name), at);
    }
  };
  walk("", TOP);
  return { entries, places };
}

function entryOf(
  at: number,
  parent: number,
  seen: Seen,
  racy: boolean,
  read: (seen: Seen) => boolean,
): LocalEntry {
  const { facts, apart, hash, target } = seen;
  return {
    at,
    parent,
    name: encodeUtf8(seen.name),
    kind: facts.kind === "other" ? "special" : facts.kind,
    print: facts,
    executable: (facts.mode & 0o100) !== 0,
    racy,
    hash: racy && !read(seen) ? undefined : hash,
    target,
    apart: apart === undefined ? undefined : apartOf[apart],
  };
}

const apartOf: Readonly<Record<Apart, LocalEntry["apart"]>> = {
  ignored: "ignored",
  "special-file": undefined,
  "nested-vault": "closed",
  "other-volume": "closed",
  unreadable: "closed",
  "too-large": "unsettled",
  unsettled: "unsettled",
  "file-keeps-changing": "unsettled",
};

const NOTHING = { size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, birthtimeNs: 0n };

/** A name that no call of ours can say. */
function nameless(at: number, parent: number, name: Uint8Array): LocalEntry {
  const none = { executable: false, racy: false, hash: undefined, target: undefined };
  return { at, parent, name, kind: "special", print: NOTHING, apart: undefined, ...none };
}

/** Where the entries of a plan lie, also while its steps move them. */
export class Places {
  readonly #byNumber = new Map<number, { readonly parent: number; readonly name: string }>();
  last: number = TOP;

  put(at: number, parent: number, name: string): void {
    this.#byNumber.set(at, { parent, name });
  }

  /** Undefined where a folder on the way was never made. */
  key(at: number): string | undefined {
    const names: string[] = [];
    for (let now = at; now !== TOP; ) {
      const place = this.#byNumber.get(now);
      if (place === undefined) return undefined;
      names.unshift(place.name);
      now = place.parent;
    }
    return names.join("/");
  }

  spot({ folder, name }: Spot): string | undefined {
    const [parent, text] = [this.key(folder), decodeUtf8(name)];
    return parent === undefined || text === undefined ? undefined : childKey(parent, text);
  }

  /** The entry lies there now, with all in it. */
  moved(at: number, to: Spot): void {
    this.put(at, to.folder, decodeUtf8(to.name) ?? "");
  }
}
