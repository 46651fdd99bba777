/**
 * The hash chain over a vault's entries, and log time. A remote computes the chain without any
 * verdict; every device checks it. Rules LOG1..LOG5.
 */
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import { ctx, hashContexts } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import { frameKinds } from "./frame.ts";

export interface Link {
  /** h_n: covers every entry up to n, its receive time and the membership hash. */
  readonly hash: Uint8Array;
  /** M_n: covers the membership entries alone. */
  readonly members: Uint8Array;
}

/** h_0 = M_0 = the vault id. */
export function genesisLink(vault: Uint8Array): Link {
  return { hash: vault, members: vault };
}

/** An entry as the chain sees it. `frame` is absent for garbage at a number. */
export interface ChainEntry {
  readonly time: number;
  /** SHA-256 of the frame, or of the garbage. */
  readonly id: Uint8Array;
  readonly frame: Uint8Array | undefined;
}

export function nextLink(suite: Suite, before: Link, seq: number, entry: ChainEntry): Link {
  const at = new Writer(14).u64(seq).u48(entry.time).done();
  const members = isMembership(entry.frame)
    ? suite.sha256(concat(ctx(hashContexts.memberChain), before.members, at, entry.id))
    : before.members;
  const hash = suite.sha256(concat(ctx(hashContexts.chain), before.hash, members, at, entry.id));
  return { hash, members };
}

/** By the kind byte and the size alone, so that a remote that can judge nothing agrees. */
export function isMembership(frame: Uint8Array | undefined): boolean {
  return frame !== undefined && frame[2] === frameKinds.membership && frame.length <= limits.membershipFrame;
}

const DAY = 86_400_000;
const LATEST = 2 ** 47 - 1;

/**
 * Log time after an accepted frame (ms): the receive time, but at most a day past the author's
 * own signed clock, never backwards, within 47 bits. A void entry leaves it as it was.
 */
export function nextLogTime(before: number, received: number, sealedAt: number): number {
  return Math.max(before, Math.min(received, sealedAt * 1000 + DAY, LATEST));
}
