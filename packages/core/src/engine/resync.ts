/**
 * Everything that follows from the log is made anew, for a replica that is wrong for whatever reason: the log is read
 * once more from its first entry, what is damaged here is taken from there, and all of it is replayed in one
 * transaction. What is this device's own stays. Rule ENG19.
 */
import { equalBytes } from "../bytes/bytes.ts";
import { Malformed } from "../bytes/reader.ts";
import type { Suite } from "../crypto/suite.ts";
import { genesisLink, type Link, nextLink } from "../log/chain.ts";
import type { Tx } from "../log/tx.ts";
import type { Failure, Page, Remote } from "../ports.ts";
import { type Entry, getEntry, sameEntry } from "./entries.ts";
import { type HaltCode, isStrange, type Raw, rawEntries } from "./ingest.ts";
import { PAGE } from "./pull.ts";
import type { Replica } from "./replica.ts";

/** The remote shows another history, or less of it; or this one does not replay. */
export type Refusal = Extract<HaltCode, "fork" | "rollback" | "chain-broken" | "replica-damaged">;

/** Nothing has changed unless it is done. */
export type Resynced =
  | { readonly kind: "done"; readonly entries: number; readonly mended: number }
  | { readonly kind: "halt"; readonly code: Refusal }
  | Failure;

/** Of entries from the first that is damaged on: held in memory until all are there. */
const MOST = 64 << 20;
const PER_ENTRY = 512;

/** Nothing else may read or apply meanwhile. Without a remote what is here is replayed as it is. */
export async function resync(
  replica: Replica,
  suite: Suite,
  remote: Pick<Remote, "read"> | undefined,
): Promise<Resynced> {
  const { applied } = replica.cursor();
  const reading = new Reading(suite, replica.vault, applied);
  while (remote !== undefined && reading.at < applied) {
    const page = await remote.read(reading.at, PAGE);
    if (page.kind !== "ok") return page;
    const code = replica.read((tx) => reading.take(tx, page.value));
    if (code !== undefined) return { kind: "halt", code };
  }
  const end = remote === undefined ? replica.read((tx) => asHeld(tx, replica, applied)) : reading.end();
  if (end === undefined || !replica.rebuild({ ...end, signed: applied }, "anew"))
    return { kind: "halt", code: "replica-damaged" };
  return { kind: "done", entries: applied, mended: reading.mended };
}

interface End {
  readonly from: number;
  readonly entries: readonly Raw[];
  readonly hash: Uint8Array;
}

function asHeld(tx: Tx, replica: Replica, applied: number): End | undefined {
  const link = applied === 0 ? genesisLink(replica.vault) : held(tx, applied)?.link;
  return link === undefined ? undefined : { from: applied + 1, entries: [], hash: link.hash };
}

/** Undefined where its bytes are none of ours: missing or damaged. */
function held(tx: Tx, seq: number): Entry | undefined {
  try {
    return getEntry(tx, seq);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

class Reading {
  readonly #suite: Suite;
  readonly #upTo: number;
  #link: Link;
  #from: number | undefined;
  #size = 0;
  readonly #entries: Raw[] = [];
  /** Entries that are damaged here. */
  mended = 0;
  at = 0;

  constructor(suite: Suite, vault: Uint8Array, upTo: number) {
    this.#suite = suite;
    this.#upTo = upTo;
    this.#link = genesisLink(vault);
  }

  /** Why it cannot go on. */
  take(tx: Tx, page: Page): Refusal | undefined {
    const start = this.at;
    for (const object of page.objects) {
      if (object.first <= this.at) continue;
      if (object.first > this.at + 1) break;
      const strange = isStrange(object, this.#link);
      for (const raw of rawEntries(this.#suite, object, strange)) {
        // What only waits here is read anew later: it may be another entry by now.
        if (this.at === this.#upTo) return undefined;
        const code = this.#add(tx, raw);
        if (code !== undefined) return code;
      }
    }
    if (this.at > start) return undefined;
    return page.head < this.#upTo ? "rollback" : "chain-broken";
  }

  /** What was applied, as the remote shows it, from the first entry on that is not so here. */
  end(): End {
    return { from: this.#from ?? this.#upTo + 1, entries: this.#entries, hash: this.#link.hash };
  }

  #add(tx: Tx, raw: Raw): Refusal | undefined {
    const seq = this.at + 1;
    const known = held(tx, seq);
    const link = nextLink(this.#suite, this.#link, seq, raw);
    const same = known !== undefined && sameEntry(known, raw) && isFrame(known, raw.frame);
    if (!same || !equalBytes(known.link.hash, link.hash)) {
      // Sound in itself, and another one than the remote has.
      if (known !== undefined && !same && this.#isSound(known)) return "fork";
      this.mended++;
      this.#from ??= seq;
    }
    if (this.#from !== undefined) {
      this.#size += PER_ENTRY + (raw.frame?.length ?? 0);
      if (this.#size > MOST) return "replica-damaged";
      this.#entries.push(raw);
    }
    this.#link = link;
    this.at = seq;
    return undefined;
  }

  #isSound(known: Entry): boolean {
    const { frame, id, link, seq } = known;
    if (frame !== undefined && !equalBytes(this.#suite.sha256(frame), id)) return false;
    return equalBytes(nextLink(this.#suite, this.#link, seq, known).hash, link.hash);
  }
}

function isFrame({ frame }: Entry, other: Uint8Array | undefined): boolean {
  return frame === undefined || other === undefined ? frame === other : equalBytes(frame, other);
}
