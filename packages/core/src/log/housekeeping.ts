/**
 * The housekeeping reducer: what content a remote was given, and which of it is given up. A frame
 * whose only section is an empty one attests its anchor, which lets other devices pass an entry that
 * nobody signed (rule LOG7). Checkpoints and the floor will be its records.
 */

import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { sizes } from "../crypto/suite.ts";
import type { Kind } from "./kind.ts";
import { addPack, giveUpPacks, holdPack, isGivenUp, locationSpaces, releasePacks } from "./locations.ts";
import { readStored, type Stored, writeStored } from "./pack.ts";

export const HOUSEKEEPING = 1;

const VERSION = 1;
const STORED = 0;
const CONDEMNED = 1;
/** Names of packs in one record. */
const MOST = 4096;

export type HousekeepingRecord =
  /** The remote has this pack. */
  | { readonly kind: "stored"; readonly stored: Stored }
  /** These are given up; one that something relies on, or that is new, stays. */
  | { readonly kind: "condemned"; readonly packs: readonly Uint8Array[] };

export function encodeHousekeeping(records: readonly HousekeepingRecord[]): Uint8Array {
  if (records.length === 0) return new Uint8Array(0);
  const w = new Writer(1024).u8(VERSION).v(records.length);
  for (const record of records) {
    if (record.kind === "stored") {
      writeStored(w.u8(STORED), record.stored);
      continue;
    }
    w.u8(CONDEMNED).v(record.packs.length);
    for (const pack of record.packs) w.fixed(pack);
  }
  return w.done();
}

function readRecords(r: Reader): HousekeepingRecord[] {
  if (r.u8() !== VERSION) throw new Malformed("unknown housekeeping section");
  const count = r.v(limits.changesPerFrame);
  if (count === 0) throw new Malformed("a section without records");
  return Array.from({ length: count }, () => readRecord(r));
}

function readRecord(r: Reader): HousekeepingRecord {
  const kind = r.u8();
  if (kind === STORED) return { kind: "stored", stored: readStored(r) };
  if (kind !== CONDEMNED) throw new Malformed("unknown record");
  const count = r.v(MOST);
  if (count === 0) throw new Malformed("nothing is condemned");
  return { kind: "condemned", packs: Array.from({ length: count }, () => r.fixed(sizes.digest).slice()) };
}

export function createHousekeeping(): Kind<readonly HousekeepingRecord[]> {
  return {
    section: HOUSEKEEPING,
    name: "housekeeping",
    spaces: locationSpaces,
    decode(section) {
      const value = section.length === 0 ? [] : decodeWith(section, readRecords);
      return value === null ? null : { changes: value.length, value };
    },
    apply(tx, sections, at) {
      for (const record of sections.flat())
        if (record.kind === "stored") addPack(tx, record.stored, at);
        else giveUpPacks(tx, record.packs, at);
    },
    lacking(tx, records) {
      const lost = records.filter((one) => one.kind === "stored" && isGivenUp(tx, one.stored.pack));
      return lost.length === 0 ? undefined : encodeHousekeeping(lost);
    },
    hold(tx, id, sections) {
      releasePacks(tx, id);
      for (const record of sections.flat()) if (record.kind === "stored") holdPack(tx, id, record.stored);
    },
    release: (tx, id) => releasePacks(tx, id),
    settle: () => undefined,
  };
}
