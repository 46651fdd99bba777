/**
 * What of a folder is not synced: the built-in list, `.tidelockignore` of any folder, and
 * `.tidelock/ignore.local` of this device. The syntax is that of gitignore. Names are compared as
 * the vault compares them (FIL3), so that one item is ignored under every spelling.
 */
import { fold, nfc } from "@tidelock/core/kinds/files/fold";
import { type Glob, matchesGlob, parseGlob } from "./glob.ts";

/** Of an ignore file; what lies beyond counts for nothing. */
export const IGNORE_BYTES: number = 64 << 10;
const RULES = 1000;
const RULE = 1024;
export const IGNORE_FILE = ".tidelockignore";

interface Rule {
  readonly not: boolean;
  readonly folders: boolean;
  /** Names from the folder of its file down; null is `**`. */
  readonly parts: readonly (Glob | null)[];
}

/** The rules of one file, for the folder it lies in. */
export type Rules = readonly Rule[];

/** Temporary and lock files of editors, office programs, browsers and desktops. */
export const builtIn: Rules = parseRules(
  "~$*\n.~lock.*#\n.#*\n*.sw[px]\n4913\n.DS_Store\nThumbs.db\ndesktop.ini\n*.part\n*.crdownload\n",
);
/** Of those, what a desktop leaves in every folder: it goes with the folder. */
const litter: Rules = parseRules(".DS_Store\nThumbs.db\ndesktop.ini\n");

/** A name under which programs write what they then rename: such a file is given time for that. */
const temporary: Rules = parseRules("*.tmp\n*.temp\n~*\n");

export function parseRules(text: string): Rules {
  const rules: Rule[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (rules.length >= RULES) break;
    const rule = parseRule(line);
    if (rule !== undefined) rules.push(rule);
  }
  return rules;
}

function parseRule(line: string): Rule | undefined {
  if (line.startsWith("#") || line.length > RULE) return undefined;
  const not = line.startsWith("!");
  // Blanks at the end count only behind a backslash.
  const text = line.slice(not ? 1 : 0).replace(/(?<!\\) +$/, "");
  const folders = text.endsWith("/");
  const bare = folders ? text.slice(0, -1) : text;
  if (bare === "") return undefined;
  const rooted = bare.includes("/");
  const names = comparable(bare).split("/");
  if (names[0] === "") names.shift();
  const parts = names.map((name) => (name === "**" ? null : parseGlob(name)));
  return { not, folders, parts: rooted ? parts : [null, ...parts] };
}

/** Rules that hold in a folder, those of the vault's root first. */
export interface Ignoring {
  readonly depth: number;
  readonly rules: Rules;
}

export function comparable(name: string): string {
  return fold(nfc(name));
}

/** `path`: names from the root down, none of whose folders is ignored. */
export function isIgnored(levels: readonly Ignoring[], path: readonly string[], isFolder: boolean): boolean {
  const names = path.map(comparable);
  // The nearest file that says anything decides, and in it the last line.
  for (let i = levels.length - 1; i >= 0; i--) {
    const { depth, rules } = levels[i] as Ignoring;
    const said = saidOf(rules, names.slice(depth), isFolder);
    if (said !== undefined) return said;
  }
  return saidOf(builtIn, names, isFolder) === true;
}

export function isLitter(name: string): boolean {
  return saidOf(litter, [comparable(name)], false) === true;
}

export function isTemporary(name: string): boolean {
  return saidOf(temporary, [comparable(name)], false) === true;
}

function saidOf(rules: Rules, names: readonly string[], isFolder: boolean): boolean | undefined {
  for (let i = rules.length - 1; i >= 0; i--) {
    const { not, folders, parts } = rules[i] as Rule;
    if ((isFolder || !folders) && matchesParts(parts, names)) return !not;
  }
  return undefined;
}

/** `**` is any number of names; behind everything else at least one. */
function matchesParts(parts: readonly (Glob | null)[], names: readonly string[]): boolean {
  let [at, part] = [0, 0];
  let [star, taken] = [-1, 0];
  while (at < names.length) {
    const now = parts[part];
    if (now === null) {
      if (part === parts.length - 1) return true;
      [star, taken] = [part, at];
      part++;
    } else if (now !== undefined && matchesGlob(now, names[at] as string)) {
      at++;
      part++;
    } else if (star >= 0) {
      taken++;
      [at, part] = [taken, star + 1];
    } else return false;
  }
  return part === parts.length;
}
