/**
 * Where a remote shows another history than the one held here, that part of it which nobody else
 * has signed is read once more. If somebody else has signed what the remote shows now, and no entry
 * of others is missing from it, the remote had shown this device an unsigned end otherwise than to
 * everybody else: the replica is rebuilt under theirs. Anything else stays a halt. Rule LOG18.
 */
import { equalBytes, toHex } from "../bytes/bytes.ts";
import { type Link, nextLink } from "../log/chain.ts";
import { type Frame, frameKinds, parseFrame } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import type { Failure, Page, Remote } from "../ports.ts";
import { entriesAfter, getCursor, getEntry, linkAt, sameEntry } from "./entries.ts";
import { isStrange, type Raw, rawEntries } from "./ingest.ts";
import { getTrack, type SignerDeps, signerOf, vouches } from "./judge.ts";
import { PAGE } from "./pull.ts";
import { getVerdict } from "./verdicts.ts";

/** What a remote shows in place of entries that are held here. */
export interface OtherEnd {
  /** The first seq that differs. */
  readonly from: number;
  readonly entries: readonly Raw[];
  /** The chain hash after the last of them. */
  readonly hash: Uint8Array;
  /** Somebody else has signed this history up to here: at or past `from`. */
  readonly signed: number;
}

export interface RereadDeps extends SignerDeps {
  readonly read: <T>(work: (tx: Tx) => T) => T;
  readonly ownDevice: (tx: Tx) => number | undefined;
}

export type Reread =
  | { readonly kind: "other"; readonly end: OtherEnd }
  /** The remote shows what was applied, or nothing that may take its place. */
  | { readonly kind: "none" }
  | Failure;

/** Held in memory until it is known to fit. */
const MOST = 64 << 20;
const PER_ENTRY = 512;

export async function readAgain(deps: RereadDeps, remote: Remote): Promise<Reread> {
  const proven = deps.read((tx) => provenUpTo(deps, tx));
  // The remote may have cut its objects otherwise: then from the beginning.
  for (const start of proven === 0 ? [0] : [proven, 0]) {
    const again = new Rereading(deps, proven, start);
    for (;;) {
      const page = await remote.read(again.at, PAGE);
      if (page.kind !== "ok") return page;
      const result = deps.read((tx) => again.take(tx, page.value));
      if (result === "more") continue;
      if (result === "unaligned") break;
      return result === "none" ? { kind: "none" } : { kind: "other", end: result };
    }
  }
  return { kind: "none" };
}

/** The newest entry up to which somebody else has signed our history. */
export function provenUpTo(deps: RereadDeps, tx: Tx): number {
  const own = deps.ownDevice(tx);
  const { read } = getCursor(tx);
  let proven = 0;
  for (const { index } of deps.membership.devices(tx))
    if (index !== own) proven = Math.max(proven, getTrack(tx, index).anchorSeq);
  // Also by frames that were void, or only wait: whoever signs past an entry stands behind it.
  for (let seq = proven; seq < read; ) {
    for (const entry of entriesAfter(tx, seq, 16)) {
      seq = entry.seq;
      const frame = entry.frame === undefined ? null : parseFrame(entry.frame);
      if (frame === null || frame.anchorSeq <= proven || frame.anchorSeq >= seq) continue;
      const ours = linkAt(tx, deps.vault, frame.anchorSeq) as Link;
      if (equalBytes(ours.hash, frame.anchor) && isOthers(deps, tx, frame)) proven = frame.anchorSeq;
    }
  }
  return proven;
}

function isOthers(deps: RereadDeps, tx: Tx, frame: Frame): boolean {
  const signer = signerOf(deps, tx, frame);
  const other =
    signer.kind === "known" && (signer.author === "admission" || frame.device !== deps.ownDevice(tx));
  return other && vouches(signer);
}

class Rereading {
  readonly #deps: RereadDeps;
  readonly #proven: number;
  readonly #entries: Raw[] = [];
  /** Of the entries that differ, from the one before the first. */
  readonly #links: Link[] = [];
  /** Ids of entries that must not be missing. */
  #wanted: Set<string> = new Set();
  #from: number | undefined;
  #signed = 0;
  #size = 0;
  /** Up to here it was read. */
  at: number;

  constructor(deps: RereadDeps, proven: number, start: number) {
    this.#deps = deps;
    this.#proven = proven;
    this.at = start;
  }

  take(tx: Tx, page: Page): "more" | "none" | "unaligned" | OtherEnd {
    const start = this.at;
    for (const object of page.objects) {
      if (object.first <= this.at) continue;
      if (object.first > this.at + 1) break;
      const strange = isStrange(object, this.#link(tx));
      for (const raw of rawEntries(this.#deps.suite, object, strange)) if (!this.#add(tx, raw)) return "none";
      // Only at the end of an object: the next read begins there.
      const end = this.#end();
      if (end !== undefined) return end;
    }
    if (this.at > start) return "more";
    return page.head > this.at && this.#from === undefined && start > 0 ? "unaligned" : "none";
  }

  #link(tx: Tx): Link {
    return this.#links.at(-1) ?? (linkAt(tx, this.#deps.vault, this.at) as Link);
  }

  /** False where nothing may come of it. */
  #add(tx: Tx, raw: Raw): boolean {
    const seq = this.at + 1;
    if (this.#from === undefined) {
      const known = seq <= getCursor(tx).read ? getEntry(tx, seq) : undefined;
      // Nothing that is held differs: reading on as usual is enough.
      if (known === undefined) return false;
      if (sameEntry(known, raw)) {
        this.at = seq;
        return true;
      }
      if (seq <= this.#proven) return false;
      this.#links.push(linkAt(tx, this.#deps.vault, seq - 1) as Link);
      this.#from = seq;
      this.#wanted = this.#others(tx, seq);
    }
    this.#size += PER_ENTRY + (raw.frame?.length ?? 0);
    if (this.#size > MOST) return false;
    this.#links.push(nextLink(this.#deps.suite, this.#link(tx), seq, raw));
    this.#entries.push(raw);
    this.at = seq;
    this.#wanted.delete(toHex(raw.id));
    this.#look(tx, raw, this.#from);
    return true;
  }

  #end(): OtherEnd | undefined {
    if (this.#from === undefined || this.#signed < this.#from || this.#wanted.size > 0) return undefined;
    const { hash } = this.#links.at(-1) as Link;
    return { from: this.#from, entries: this.#entries, hash, signed: this.#signed };
  }

  /** Whether this entry is anchored in what differs. */
  #look(tx: Tx, raw: Raw, from: number): void {
    const frame = raw.frame === undefined ? null : parseFrame(raw.frame);
    if (frame === null || frame.anchorSeq <= this.#signed) return;
    const link = frame.anchorSeq < from ? undefined : this.#links[frame.anchorSeq - from + 1];
    // Its own link is there already, and nobody is anchored at himself.
    if (link === undefined || frame.anchorSeq >= this.at || !equalBytes(link.hash, frame.anchor)) return;
    if (isOthers(this.#deps, tx, frame)) this.#signed = frame.anchorSeq;
  }

  /** What others wrote, and membership of our own, which is made for one place: none of it may get lost. */
  #others(tx: Tx, from: number): Set<string> {
    const ids = new Set<string>();
    for (let after = from - 1; ; ) {
      const batch = entriesAfter(tx, after, 16);
      for (const entry of batch) {
        after = entry.seq;
        // What was void had no effect, and what only waits gives way at any time (LOG2).
        if (entry.frame === undefined || getVerdict(tx, after)?.reason !== "") continue;
        const frame = parseFrame(entry.frame) as Frame;
        if (frame.kind === frameKinds.membership || frame.device !== this.#deps.ownDevice(tx))
          ids.add(toHex(entry.id));
      }
      if (batch.length < 16) return ids;
    }
  }
}
