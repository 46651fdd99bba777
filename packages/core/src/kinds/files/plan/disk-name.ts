/**
 * How a name of the log is spelled on a disk that cannot hold it (PLN9). Reversible by what the
 * synced row says, never by reading the alias: nobody's file is renamed for looking like one.
 */
import { encodeUtf8, toHex } from "../../../bytes/bytes.ts";
import type { ItemId } from "../types.ts";
import type { DiskProfile } from "./types.ts";

export interface Speller {
  /** As this disk can hold it; the name itself wherever it can. */
  spell(name: string, id: ItemId): string;
}

/** What Windows takes for a device, whatever follows a dot (Microsoft, "Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)/i;

export function spellerFor(profile: DiskProfile): Speller {
  const refused = refusedBy(profile);
  const { most, unit } = profile.nameLimit;
  const lengthOf = (text: string): number => {
    const stored = profile.normalisation === "decomposed" ? text.normalize("NFD") : text;
    return unit === "byte" ? encodeUtf8(stored).length : stored.length;
  };
  /** Whatever the unit, three of it hold a unit of ours, and a few more a decomposed one. */
  const isShort = (text: string): boolean => text.length * 3 <= most && /^[\0-\x7f]*$/.test(text);

  return {
    spell(name, id) {
      const bare =
        !refused.test(name) && !(profile.windowsNames && DEVICE.test(name)) ? name : escaped(name, refused);
      return isShort(bare) || lengthOf(bare) <= most ? bare : withId(bare, id, most, lengthOf);
    },
  };
}

/** The same name with something of the item's id, for when the spelling is taken or has to step aside. */
export function asideOf(name: string, id: ItemId, { nameLimit }: DiskProfile): string {
  const measure = (text: string): number => encodeUtf8(text).length;
  return withId(name, id, Math.min(nameLimit.most, 255), measure);
}

/** Whether a name can only have come from `asideOf` for this item. */
export function isAside(name: string, id: ItemId): boolean {
  return name.endsWith(suffixOf(id));
}

function suffixOf(id: ItemId): string {
  return `~${toHex(id.subarray(-4))}`;
}

function withId(name: string, id: ItemId, most: number, lengthOf: (text: string) => number): string {
  const suffix = suffixOf(id);
  const chars = Array.from(name);
  let length = lengthOf(name + suffix);
  while (length > most && chars.length > 0) {
    const surplus = length - most;
    // No character is longer than twelve units in any form.
    chars.length -= Math.max(1, Math.floor(surplus / 12));
    length = lengthOf(chars.join("") + suffix);
  }
  // What is cut off may not leave a space or a dot to be cut off next by somebody else.
  return chars.join("") + suffix;
}

function refusedBy({ refused, windowsNames }: DiskProfile): RegExp {
  const set = Array.from(refused)
    .map((char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)
    .join("");
  const parts = [...(set === "" ? [] : [`[${set}]`]), ...(windowsNames ? ["[\\u{1}-\\u{1f}]", "[. ]$"] : [])];
  return parts.length === 0 ? /$./ : new RegExp(parts.join("|"), "u");
}

/** Every byte that gives offence as `%XX`; a `%` too, so that no two names get one spelling. */
function escaped(name: string, refused: RegExp): string {
  const percent = name.replaceAll("%", "%25");
  const safe = percent.replace(new RegExp(refused.source, "gu"), percentOf);
  return DEVICE.test(safe) ? percentOf(safe.slice(0, 1)) + safe.slice(1) : safe;
}

function percentOf(text: string): string {
  return Array.from(encodeUtf8(text), (b) => `%${toHex(Uint8Array.of(b)).toUpperCase()}`).join("");
}
